"""From a line that blocks to whoever is on call: all that is in between is real."""

import json
import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from asking import ask
from contrib.monitoring import CONTRIB, alertmanager, need_programs, prometheus

from .processes import free_port, require, serving, until

WITHIN_S = 60.0
UVICORN = ("-m", "uvicorn", "apps.stuck:app", "--port", "{port}", "--workers", "2", "--log-level", "warning")


@contextmanager
def on_call() -> Iterator[tuple[str, "queue.Queue[dict]"]]:
    """A webhook's address, and the alerts that it is told."""
    alerts: queue.Queue[dict] = queue.Queue()

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self):
            for alert in json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"]:
                alerts.put(alert)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", alerts
        finally:
            server.shutdown()
            thread.join()


def test_alerted_while_it_is_stuck(tmp_path):
    """A loop of one of two workers is stuck: by the rules that are shipped, whoever is on call knows it meanwhile."""
    require("fastapi", "uvicorn", "prometheus_client")
    need_programs("prometheus", "prometheus-alertmanager")
    shared, fifo, metrics = tmp_path / "metrics", tmp_path / "fifo", free_port()
    shared.mkdir()
    os.mkfifo(fifo)
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(shared), "STICK_FIFO": str(fifo), "METRICS_PORT": str(metrics)}
    rules = sorted((CONTRIB / "prometheus").glob("*.yml"))
    with (
        on_call() as (webhook, alerts),
        alertmanager(tmp_path / "alertmanager", webhook) as alerts_to,
        prometheus(tmp_path / "prometheus", {"shop": metrics}, rules, alerts_to) as server,
        serving(UVICORN, tmp_path / "app", environ=environ) as app,
        ThreadPoolExecutor(1) as pool,
    ):
        until(lambda: server.query("loopwatch_event_loop_stalled_seconds == 0"), WITHIN_S, "first scrape")
        request = pool.submit(lambda: ask(app.port, "/stick", timeout=2 * WITHIN_S))

        alert = alerts.get(timeout=WITHIN_S)

        assert (alert["status"], alert["labels"]["alertname"]) == ("firing", "EventLoopStuck")
        assert alert["labels"] | {"severity": "page", "job": "shop", "loop": "MainThread"} == alert["labels"]
        assert not request.done()  # it is stuck still
        assert app.get("/async/1")["pid"] > 0  # the other worker goes on

        fifo.write_text("go on")

        assert request.result(WITHIN_S).status == 200
        until(lambda: server.query('loopwatch_event_loop_blocked_seconds_sum{cause="disk"} > 5'), WITHIN_S, "stall")
        assert alerts.get(timeout=WITHIN_S)["status"] == "resolved"
