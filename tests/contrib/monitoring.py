"""Prometheus and Alertmanager themselves, started for one test."""

import json
import shutil
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asking import ask
from live.processes import Process, free_port, launched, until
from services import need

import loopwatch

__all__ = ["CONTRIB", "Prometheus", "alertmanager", "need_programs", "prometheus"]

CONTRIB = Path(loopwatch.__file__).parent / "contrib"
READY_WITHIN_S = 60.0
EVERY = "500ms"
"""Scrapes and rules: a test is not to wait for a minute."""


def need_programs(*names: str) -> None:
    """Skips or fails the test where one of these programs is not on PATH."""
    need([name for name in names if shutil.which(name) is None])


@dataclass(frozen=True)
class Prometheus:
    """One that runs, or will in a moment."""

    port: int
    process: Process

    def query(self, expression: str) -> list[dict]:
        """The result now, as the API gives it; fails the test if it is no query, or Prometheus has not come up."""
        until(lambda: self.process.popen.poll() is not None or _is_ready(self.port), READY_WITHIN_S, "Prometheus")
        assert self.process.popen.poll() is None, self.process.stderr
        answer = ask(self.port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        assert answer.status == 200, f"{expression}: {answer.body}"
        return json.loads(answer.body)["data"]["result"]


@contextmanager
def prometheus(
    folder: Path, targets: Mapping[str, int], rules: Sequence[Path] = (), alerts_to: int | None = None
) -> Iterator[Prometheus]:
    """One that scrapes these ports of this machine, by job, and sends alerts to the Alertmanager at `alerts_to`."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    config = folder / "prometheus.json"  # which is YAML, too
    config.write_text(json.dumps(_config(targets, rules, alerts_to)), "utf-8")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with launched(command, folder, port=port) as process:
        yield Prometheus(port, process)


def _config(targets: Mapping[str, int], rules: Sequence[Path], alerts_to: int | None) -> dict:
    managers = [{"static_configs": [{"targets": [f"127.0.0.1:{alerts_to}"]}]}] if alerts_to else []
    return {
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in targets.items()
        ],
        "alerting": {"alertmanagers": managers},
    }


@contextmanager
def alertmanager(folder: Path, webhook: str) -> Iterator[int]:
    """One that tells that address of each alert at once; gives its port. It comes up in a moment."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    config = folder / "alertmanager.json"
    route = {"receiver": "test", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    receiver = {"name": "test", "webhook_configs": [{"url": webhook}]}
    config.write_text(json.dumps({"route": route, "receivers": [receiver]}), "utf-8")
    command = [
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",  # it is alone
    ]
    with launched(command, folder, port=port) as process:
        yield port
        assert process.popen.poll() is None, process.stderr


def _is_ready(port: int) -> bool:
    try:
        return ask(port, "/-/ready").status == 200
    except OSError:
        return False
