"""Incidents to a real Alertmanager, which notifies a real receiver."""

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from facts import closed, incident, ongoing, origin, stall
from live.processes import until
from services import need

from loopwatch.sinks.alertmanager import AlertmanagerSink
from loopwatch.sinks.messenger import Reply

from .receivers import PATIENCE_S, Receiver, closed_port

PROGRAM = "prometheus-alertmanager"
CONFIG = """
route: {{receiver: here, group_by: [alertname], group_wait: 0s, group_interval: 100ms}}
receivers: [{{name: here, webhook_configs: [{{url: "{url}", send_resolved: true}}]}}]
"""


@pytest.fixture(scope="module")
def receiver():
    """Whom Alertmanager notifies."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def alertmanager(receiver, tmp_path_factory):
    """The address of a real Alertmanager."""
    need([] if shutil.which(PROGRAM) else [PROGRAM])
    folder, port = tmp_path_factory.mktemp("alertmanager"), closed_port()
    (folder / "config.yml").write_text(CONFIG.format(url=receiver.url), "utf-8")
    address = f"http://127.0.0.1:{port}"
    command = [
        PROGRAM, "--config.file=config.yml", "--storage.path=data", "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with open(folder / "log", "w") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        until(lambda: process.poll() is not None or _ready(address), 30, "Alertmanager")
        assert process.poll() is None, (folder / "log").read_text("utf-8")
        yield address
        process.terminate()


def _ready(address):
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture
def sink(alertmanager):
    """A sink that has begun."""
    sink = AlertmanagerSink(alertmanager, labels={"service": "shop"})
    sink.begin(None)
    yield sink
    sink.end()


def told(sink, alertmanager, news):
    """The alerts that stand after this news of a fingerprint: the test's own."""
    sink.incident(news)
    assert sink.delivered(PATIENCE_S)
    query = f"{alertmanager}/api/v2/alerts?filter=fingerprint%3D{news.fingerprint}"
    with urllib.request.urlopen(query, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def just_now(ms, record=stall, **fields):
    """A stall that began so many milliseconds ago: Alertmanager asks whether an alert is still standing."""
    return record(ms, started_at=datetime.now(UTC) - timedelta(milliseconds=ms), **fields)


def test_from_opened_to_closed(sink, alertmanager, receiver):
    """While an incident is open its alert stands, and whoever Alertmanager notifies hears of its beginning and its end."""
    stuck = just_now(3000, ongoing, fingerprint="standing")

    (alert,) = told(sink, alertmanager, incident(stuck))
    firing = json.loads(receiver.next().body)
    gone = told(sink, alertmanager, closed(stuck))
    resolved = json.loads(receiver.next().body)

    assert alert["labels"] == {
        "alertname": "EventLoopBlocked", "severity": "error", "cause": "sleep", "function": "handler",
        "fingerprint": "standing", "instance": socket.gethostname(), "pid": str(os.getpid()), "service": "shop",
    }  # fmt: skip
    assert alert["annotations"]["summary"] == "Event loop is stuck, for 3.0 s so far: time.sleep at shop.py:10 (sleep)"
    assert abs(datetime.fromisoformat(alert["startsAt"]) - stuck.started_at) < timedelta(milliseconds=1)
    assert (firing["status"], gone, resolved["status"]) == ("firing", [], "resolved")


def test_worse(sink, alertmanager):
    """A severity that rises takes the place of the one before: there is one alert, not two."""
    first = told(sink, alertmanager, incident(just_now(400, fingerprint="worse")))
    second = told(sink, alertmanager, incident(just_now(2000, ongoing, fingerprint="worse"), news="worse"))
    gone = told(sink, alertmanager, closed(just_now(2000, fingerprint="worse")))

    assert [alert["labels"]["severity"] for alert in first] == ["warning"]
    assert [alert["labels"]["severity"] for alert in second] == ["error"]
    assert gone == []


def test_stands_by_itself(alertmanager):
    """Of a process that was killed nothing more is heard: its alert ends by itself."""
    sink = AlertmanagerSink(alertmanager, stands_s=0.2)
    sink.begin(None)
    told(sink, alertmanager, incident(just_now(400, fingerprint="killed")))
    sink.end()

    def standing():
        with urllib.request.urlopen(f"{alertmanager}/api/v2/alerts?filter=fingerprint%3Dkilled", timeout=5) as answer:
            return json.load(answer)

    until(lambda: not standing(), PATIENCE_S, "end of the alert")


def test_how_long_it_stands():
    """Until a quarter of an hour from now and as long again as it has lasted: news comes at doubling intervals."""
    hour = incident(just_now(3_600_000, ongoing))
    (alert,) = AlertmanagerSink("http://host").document(hour, 0)

    left = datetime.fromisoformat(alert["endsAt"]) - datetime.now(UTC)
    assert timedelta(minutes=74) < left < timedelta(minutes=76)


@pytest.mark.parametrize("url", ["http://host", "http://host/", "http://host/api/v2/alerts"])
def test_address(url):
    """Alertmanager's address is enough; the whole one does, too."""
    assert AlertmanagerSink(url)._post._url == "http://host/api/v2/alerts"


def test_hostile_names(sink, alertmanager):
    """Whatever a function is called, Alertmanager takes the alert."""
    stuck = just_now(2000, ongoing, fingerprint="hostile", origin=origin(function='<b>"}{{.}}\ud800\x00\n'))

    (alert,) = told(sink, alertmanager, incident(stuck))

    assert alert["labels"]["function"] == '<b>"}{{.}}   '


def test_bounded_memory():
    """However many incidents are open, so many severities are remembered."""
    sink = AlertmanagerSink("http://host")
    sink._post = lambda *args: Reply(delivered=True)

    for number in range(1100):
        sink.send(incident(stall(fingerprint=str(number))), 0)

    assert len(sink._firing) == 1000
