"""What leaves the process: Sentry's own SDK, with its own transport, in a FastAPI program of its own."""

import gzip
import http.server
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from sentry_sdk.envelope import Envelope

PROGRAM = """
    import socket, sys, threading, time, urllib.request

    import fastapi, sentry_sdk, uvicorn
    import loopwatch

    app = fastapi.FastAPI()

    @app.get("/items/{item_id}")
    async def read_item(item_id: int, token: str):
        sentry_sdk.set_user({"id": token})
        time.sleep(0.2)
        return {}

    sentry_sdk.init(sys.argv[1], traces_sample_rate=1.0, send_default_pii=True)
    watch = loopwatch.enable(sinks=["sentry"])
    config = uvicorn.Config(app, log_config=None)
    config.load()  # imports, which would block the loop
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = "http://127.0.0.1:%d/items/7?token=hunter2" % listener.getsockname()[1]
        urllib.request.urlopen(url).read()
        server.should_exit = True
        thread.join()
    assert watch.flush(30)
    sentry_sdk.flush(30)
"""


class Receiver(http.server.ThreadingHTTPServer):
    """Takes envelopes, as Sentry does."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.events = []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        items = Envelope.deserialize(body).items
        self.server.events += [json.loads(item.payload.get_bytes()) for item in items if item.type == "event"]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.05,))
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


def test_fastapi(receiver, tmp_path, elsewhere):
    """A request that blocks is one event, under its route, with its line, and with nothing of what the request held."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM), "utf-8")
    dsn = f"http://key@127.0.0.1:{receiver.server_port}/1"

    done = subprocess.run(
        [sys.executable, str(program), dsn],
        env={**os.environ, "NO_PROXY": "*"},
        cwd=elsewhere,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    (event,) = [one for one in receiver.events if "transaction" in one]  # a busy machine may add others
    assert (event["transaction"], event["exception"]["values"][0]["type"]) == ("/items/{item_id}", "EventLoopBlocked")
    blocked = [one for one in event["exception"]["values"][0]["stacktrace"]["frames"] if one["in_app"]][-1]
    assert (blocked["function"], blocked["context_line"], blocked["filename"]) == (
        "read_item",
        "time.sleep(0.2)",
        "program.py",
    )
    assert "hunter2" not in json.dumps(event)
