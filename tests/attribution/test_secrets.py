"""What passes through the watched program stays there: no value reaches a record or a log event."""

import logging
import time
import uuid

import pytest

from loopwatch.testing import capture_stalls

from .blame import only

pytest.importorskip("starlette")
structlog = pytest.importorskip("structlog")

from fastapi import FastAPI, Header, Request  # noqa: E402

PLACES = ("path", "query", "header", "cookie", "body", "local", "argument", "attribute")


class Session:
    """An object whose repr would give its token away."""

    def __init__(self, token):
        self.token = token

    def __repr__(self):
        return f"Session({self.token})"


def sign(password, session):
    """Blocks with secrets in its arguments and locals."""
    derived = password[::1] + "-derived"
    time.sleep(0.2)  # BLOCK
    return derived, session


def make_app(secrets):
    """An app whose endpoint holds secrets in every way that an endpoint can."""
    app = FastAPI()

    @app.post("/items/{item_id}")
    async def update(item_id: str, q: str, request: Request, authorization: str = Header()):
        body = await request.json()
        local = secrets["local"]
        return len(sign(secrets["argument"], Session(secrets["attribute"]))) + len(body) + len(local)

    return app


def send(client, address, secrets):
    """The request that carries the secrets."""
    response = client.post(
        f"http://{address}/items/{secrets['path']}?q={secrets['query']}",
        headers={"Authorization": secrets["header"], "Cookie": f"session={secrets['cookie']}"},
        json={"password": secrets["body"]},
    )
    assert response.status_code == 200


@pytest.fixture
def secrets():
    """Values that stand in no source code."""
    return {place: f"{place}-{uuid.uuid4().hex}" for place in PLACES}


def leaked(secrets, text):
    """The places whose secret is in a text."""
    return [place for place, secret in secrets.items() if secret.split("-")[1] in text]


def test_stall_holds_no_value(serve, client, secrets):
    """Nothing from path, query, headers, body, locals, arguments or attributes is in a Stall."""
    with capture_stalls(threshold_ms=100) as stalls, serve(make_app(secrets)) as address:
        send(client, address, secrets)

    stall = only(stalls)

    assert stall.request.route == "/items/{item_id}"
    assert leaked(secrets, repr(stall)) == []


def test_log_record_holds_no_value(serve, client, secrets, caplog):
    """Nor is it in the log event, where structlog is not configured and logging takes it."""
    structlog.reset_defaults()
    with caplog.at_level(logging.DEBUG, "loopwatch"), capture_stalls(threshold_ms=100, sinks=["structlog"]):
        with serve(make_app(secrets)) as address:
            send(client, address, secrets)

    ours = [record for record in caplog.records if record.name.startswith("loopwatch")]
    assert any("event_loop_blocked" in record.getMessage() for record in ours)
    assert leaked(secrets, "".join(repr(vars(record)) for record in ours)) == []


def test_structlog_event_holds_no_value(serve, client, secrets):
    """Nor in structlog's event, where it is configured."""
    with structlog.testing.capture_logs() as events, capture_stalls(threshold_ms=100, sinks=["structlog"]):
        with serve(make_app(secrets)) as address:
            send(client, address, secrets)
    structlog.reset_defaults()

    assert "event_loop_blocked" in [event["event"] for event in events]
    assert leaked(secrets, repr(events)) == []


def test_values_are_not_kept_alive(run):
    """A local of a sampled frame dies when its function ends, and dies on the loop's own thread."""
    import threading

    died_on = []

    class Local:
        def __del__(self):
            died_on.append(threading.current_thread())

    def block():
        local = Local()
        time.sleep(0.2)
        return local is None

    async def main():
        block()
        assert died_on == [threading.current_thread()]

    with capture_stalls(threshold_ms=100) as stalls:
        run(main)

    assert only(stalls).origin is not None
