"""The line and the request are right wherever a FastAPI app holds user code: under uvicorn, behind two middlewares."""

import threading

import pytest

from loopwatch.records import Cause, RequestInfo
from loopwatch.testing import capture_stalls

from .blame import assert_blames, describe, only

pytest.importorskip("fastapi")

from . import places

REQUESTS = [
    # mark, method, path, route, endpoint, function that blocks
    ("handler", "GET", "/api/items/7", "/api/items/{item_id}", "read_item", "read_item"),
    ("sync code", "GET", "/api/sync-code/7", "/api/sync-code/{item_id}", "read_price", "price_of"),
    ("dependency", "GET", "/api/dependency", "/api/dependency", "read_as_user", "current_user"),
    ("dependency exit", "GET", "/api/dependency-exit", "/api/dependency-exit", "read_in_transaction", "transaction"),
    ("background task", "POST", "/api/background", "/api/background", "register", "send_mail"),
    ("validator", "POST", "/api/validator", "/api/validator", "create_order", "Order.check_amount"),
    ("serializer", "GET", "/api/serializer", "/api/serializer", "read_receipt", "Receipt.show_amount"),
    ("exception handler", "GET", "/api/exception", "/api/exception", "read_stock", "out_of_stock"),
    ("middleware after", "GET", "/api/quick/after", "/api/quick/{item_id}", "read_quickly", "SlowMiddleware.__call__"),
    ("dispatch", "GET", "/api/quick/dispatch", "/api/quick/{item_id}", "read_quickly", "dispatch"),
]


@pytest.mark.parametrize(
    ("mark", "method", "path", "route", "endpoint", "function"), REQUESTS, ids=[case[0] for case in REQUESTS]
)
def test_request(serve, client, mark, method, path, route, endpoint, function):
    """The line is the marked one, and the request is known by method, route template and endpoint."""
    with capture_stalls(threshold_ms=100) as stalls, serve(places.make_app()) as address:
        response = client.request(method, f"http://{address}{path}", json={"amount": 3} if method == "POST" else None)
        assert response.status_code == (409 if mark == "exception handler" else 200)

    stall = only(stalls)

    assert_blames(stall, places, f"BLOCK {mark}", expression="time.sleep(0.2)", call="time.sleep", cause=Cause.SLEEP)
    assert stall.origin.function == function
    assert stall.request == RequestInfo(method, route, endpoint), describe(stall)


def test_middleware_before_routing(serve, client):
    """A pure ASGI middleware that blocks before the router ran is blamed; method is known, the route is not yet."""
    with capture_stalls(threshold_ms=100) as stalls, serve(places.make_app()) as address:
        client.get(f"http://{address}/api/quick/before")

    stall = only(stalls)

    assert_blames(stall, places, "BLOCK middleware before", call="time.sleep")
    assert stall.request.method == "GET"
    assert stall.request.route is None


def test_streamed_body(serve, client):
    """The generator of a streamed body is blamed, though Starlette may run it in a task of its own."""
    with capture_stalls(threshold_ms=100) as stalls, serve(places.make_app()) as address:
        assert client.get(f"http://{address}/api/stream").text == "one\ntwo\n"

    assert_blames(only(stalls), places, "BLOCK stream", expression="time.sleep(0.2)", call="time.sleep")


def test_websocket(serve):
    """A websocket handler is blamed; its request is the one that opened the socket."""
    client = pytest.importorskip("websockets.sync.client")

    with capture_stalls(threshold_ms=100) as stalls, serve(places.make_app()) as address:
        with client.connect(f"ws://{address}/api/rooms/7", proxy=None) as socket:
            socket.send("hello")
            assert socket.recv() == "hello"

    stall = only(stalls)

    assert_blames(stall, places, "BLOCK websocket", expression="time.sleep(0.2)", call="time.sleep")
    assert stall.request == RequestInfo("WEBSOCKET", "/api/rooms/{room}", "chat")


def test_lifespan(serve, client):
    """Start-up and shutdown are blamed on their own lines, and on no request."""
    with capture_stalls(threshold_ms=100) as stalls, serve(places.make_app(lifespan=places.slow_lifespan)) as address:
        client.get(f"http://{address}/api/quick/7")

    start_up, shutdown = (stall for stall in stalls if stall.cause is not Cause.STARVED)

    assert_blames(start_up, places, "BLOCK start-up", call="time.sleep")
    assert_blames(shutdown, places, "BLOCK shutdown", call="time.sleep")
    assert start_up.request is None or start_up.request.method is None
    assert shutdown.request is None or shutdown.request.method is None


def test_threaded_endpoint_is_no_stall(serve, client):
    """An endpoint that the framework runs in a thread holds nobody up, and is not reported."""
    with capture_stalls(threshold_ms=100) as stalls, serve(places.make_app()) as address:
        assert client.get(f"http://{address}/api/threaded").status_code == 200

    assert [describe(stall) for stall in stalls if stall.cause is not Cause.STARVED] == []


def get_all(client, address, paths):
    """Sends one request per path, all at once, each in a thread; returns when all are answered."""
    threads = [threading.Thread(target=client.get, args=(f"http://{address}{path}",)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_concurrent_requests_are_told_apart(serve, client):
    """Of requests in flight together, each stall names the one that held the loop in that turn."""
    with capture_stalls(threshold_ms=100) as stalls, serve(places.make_app()) as address:
        get_all(client, address, ["/api/items/7", "/api/sync-code/7", "/api/dependency"])

    held = [stall for stall in stalls if stall.cause is Cause.SLEEP]
    named = {share.origin.function for stall in held for share in stall.shares}

    assert {"read_item", "price_of", "current_user"} <= named, list(map(describe, stalls))
    blocked_by = {"read_item": "read_item", "price_of": "read_price", "current_user": "read_as_user"}
    assert all(stall.request.endpoint == blocked_by[stall.origin.function] for stall in held), list(map(describe, held))
