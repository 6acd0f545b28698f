"""Real pytest sessions in processes of their own, and what they told."""

import importlib.util
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from services import need

__all__ = ["Session", "Sessions", "require"]

MODULES = {
    "asyncio": "pytest_asyncio",
    "anyio": "anyio",
    "aiohttp": "pytest_aiohttp",
    "xdist": "xdist",
    "timeout": "pytest_timeout",
    "pytest_cov": "pytest_cov",
    "randomly": "pytest_randomly",
    "time_machine": "time_machine",
    "freezegun": "freezegun",
    "uvloop": "uvloop",
    "trio": "trio",
    "pytest_trio": "pytest_trio",
    "blockbuster": "blockbuster",
    "starlette": "starlette",
    "httpx": "httpx",
}
LOADED = {"asyncio": "pytest_asyncio.plugin", "anyio": "anyio.pytest_plugin", "timeout": "pytest_timeout"}
LOADED |= {"aiohttp": "pytest_aiohttp.plugin", "xdist": "xdist.plugin", "pytest_cov": "pytest_cov.plugin"}
LOADED |= {"randomly": "pytest_randomly", "pytest_trio": "pytest_trio.plugin", "time_machine": "time_machine"}
WITHIN_S = 120.0


@dataclass(frozen=True)
class Session:
    """A pytest session that is over."""

    result: pytest.RunResult
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join(self.result.outlines)

    def verdicts(self) -> dict[str, str]:
        """By the test's bare name."""
        return {nodeid.rpartition("::")[2]: verdict for nodeid, verdict in self.report["tests"].items()}

    def blocks(self, test: str | None = None, verdict: str = "blocked") -> list[dict[str, Any]]:
        """Blocks of a test by its bare name (None: of all)."""
        return [
            one
            for one in self.report["blocks"]
            if test in {None, one["test"].rpartition("::")[2]} and one["verdict"] == verdict
        ]

    def outcomes(self) -> dict[str, int]:
        return self.result.parseoutcomes()


class Sessions:
    """Runs sessions. `gate` runs one whose tests may not block, and reads the JSON report."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def plain(self, source: str, *arguments: str, plugins: tuple[str, ...] = ("asyncio",)) -> Session:
        """A session in which nothing is asked but what `arguments` ask."""
        for name in plugins:
            require(name)
        self.pytester.makepyfile(test_it=source)
        loaded = [word for name in plugins if name in LOADED for word in ("-p", LOADED[name])]
        words = ("-p", "no:cacheprovider", "-p", "loopwatch.pytest_plugin", *loaded, *arguments)
        result = self.pytester.runpytest_subprocess(*words, timeout=WITHIN_S)
        path = self.pytester.path / "blocks.json"
        return Session(result, json.loads(path.read_text("utf-8")) if path.exists() else {})

    def gate(self, source: str, *arguments: str, plugins: tuple[str, ...] = ("asyncio",)) -> Session:
        """A session with the gate on."""
        return self.plain(source, "--loopwatch", "--loopwatch-report=blocks.json", *arguments, plugins=plugins)


def require(*names: str) -> None:
    """Skip a test whose libraries are not installed; fail it where the run says that all must be there."""
    need([name for name in names if importlib.util.find_spec(MODULES[name]) is None])
