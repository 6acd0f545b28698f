"""Which request held the loop is known from the frames alone: no middleware, no integration."""

import asyncio
import time

import pytest

from loopwatch.records import RequestInfo
from loopwatch.testing import capture_stalls

from .blame import assert_blames, describe, only

httpx = pytest.importorskip("httpx")
responses = pytest.importorskip("starlette.responses")


async def get(app, path):
    """One GET request to an ASGI app, within the running loop."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path)


async def plain_app(scope, receive, send):
    assert scope["type"] == "http"  # uvicorn takes it that there is no lifespan
    time.sleep(0.2)  # BLOCK
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class PlainApp:
    """An ASGI app that is an object."""

    async def __call__(self, scope, receive, send):
        await plain_app(scope, receive, send)


async def show_item(request):
    time.sleep(0.2)  # BLOCK
    return responses.Response(status_code=204)


async def read_item(item_id: str):
    time.sleep(0.2)  # BLOCK
    return {}


def test_plain_asgi_app(stall_of):
    """A plain ASGI app has no route: method, and the app as the endpoint."""
    stall = stall_of(lambda: get(plain_app, "/items/7"))

    assert_blames(stall, plain_app, call="time.sleep")
    assert stall.request == RequestInfo("GET", None, "plain_app")


def test_plain_asgi_app_under_uvicorn(serve, client):
    """The same under a real server, whose own callables hold the scope as well."""
    with capture_stalls(threshold_ms=100) as stalls, serve(plain_app) as address:
        client.get(f"http://{address}/items/7")

    assert_blames(only(stalls), plain_app, call="time.sleep")
    assert only(stalls).request == RequestInfo("GET", None, "plain_app")


def test_asgi_object(stall_of):
    """The innermost ASGI callable is the endpoint where one calls another."""
    stall = stall_of(lambda: get(PlainApp(), "/items/7"))

    assert_blames(stall, plain_app)
    assert stall.request == RequestInfo("GET", None, "plain_app")


def starlette_app(path):
    """A Starlette app with one route."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(routes=[Route(path, show_item)])


def test_starlette(stall_of):
    """Starlette: method, route template and endpoint."""
    app = starlette_app("/items/{item_id}")

    stall = stall_of(lambda: get(app, "/items/7"))

    assert_blames(stall, show_item, call="time.sleep")
    assert stall.request == RequestInfo("GET", "/items/{item_id}", "show_item")


def test_starlette_under_uvicorn(serve, client):
    """Starlette under a real server."""
    with capture_stalls(threshold_ms=100) as stalls, serve(starlette_app("/items/{item_id}")) as address:
        client.get(f"http://{address}/items/7?page=2")

    assert_blames(only(stalls), show_item)
    assert only(stalls).request == RequestInfo("GET", "/items/{item_id}", "show_item")


def fastapi_app(router_prefix="", include_prefix=""):
    """A FastAPI app with one route, read through a router."""
    fastapi = pytest.importorskip("fastapi")
    router = fastapi.APIRouter(prefix=router_prefix)
    router.get("/items/{item_id}")(read_item)
    app = fastapi.FastAPI()
    app.include_router(router, prefix=include_prefix)
    return app


@pytest.mark.parametrize(
    ("router_prefix", "include_prefix"), [("", ""), ("/api", ""), ("", "/v1"), ("/api", "/v1")], ids=repr
)
def test_fastapi_router_prefix(stall_of, router_prefix, include_prefix):
    """The route template carries the router's own prefix and the one that it is included with."""
    prefix = include_prefix + router_prefix

    stall = stall_of(lambda: get(fastapi_app(router_prefix, include_prefix), f"{prefix}/items/7"))

    assert_blames(stall, read_item)
    assert stall.request == RequestInfo("GET", f"{prefix}/items/{{item_id}}", "read_item")


def test_fastapi_mounted_app(stall_of):
    """In a mounted app the template begins with where it is mounted."""
    fastapi = pytest.importorskip("fastapi")
    outer = fastapi.FastAPI()
    outer.mount("/sub", fastapi_app("/api"))

    stall = stall_of(lambda: get(outer, "/sub/api/items/7"))

    assert_blames(stall, read_item)
    assert stall.request == RequestInfo("GET", "/sub/api/items/{item_id}", "read_item")


@pytest.mark.parametrize(
    ("template", "value"),
    [("{tenant}", "acme"), ("{tenant:int}", "0074711"), ("{tenant:uuid}", "6F9619FF-8B86-D011-B42D-00CF4FC964FF")],
    ids=["text", "number", "uuid"],
)
def test_mount_with_a_parameter(stall_of, template, value):
    """A value that stands in the path of a mount never becomes part of the template, in whatever way it is spelt."""
    fastapi = pytest.importorskip("fastapi")
    outer = fastapi.FastAPI()
    outer.mount(f"/tenants/{template}", fastapi_app("/api"))

    stall = stall_of(lambda: get(outer, f"/tenants/{value}/api/items/7"))

    assert_blames(stall, read_item)
    assert stall.request.route.endswith("/api/items/{item_id}")
    assert value.lstrip("0").lower() not in stall.request.route.lower()
    assert value not in repr(stall)


def test_mounted_plain_app(stall_of):
    """A plain ASGI app under a mount is known by where it is mounted, said once."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = Starlette(routes=[Mount("/plain", plain_app)])

    stall = stall_of(lambda: get(app, "/plain/items/7"))

    assert_blames(stall, plain_app)
    assert stall.request.method == "GET"
    assert stall.request.route in (None, "/plain", "/plain/{path}", "/plain/{path:path}")
    assert stall.request.endpoint == "plain_app"


def test_aiohttp(stall_of):
    """aiohttp.web has no scope, but a request: method, route template and handler."""
    web = pytest.importorskip("aiohttp.web")

    async def show(request):
        time.sleep(0.2)  # BLOCK
        return web.Response()

    async def main():
        app = web.Application()
        app.router.add_get("/items/{item_id}", show)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = site._server.sockets[0].getsockname()
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://{host}:{port}/items/7?page=2")).status_code == 200
        await runner.cleanup()

    stall = stall_of(main)

    assert_blames(stall, show, call="time.sleep")
    assert stall.request.method == "GET", describe(stall)
    assert stall.request.route == "/items/{item_id}"
    assert stall.request.endpoint.endswith("show")


def test_no_request(stall_of):
    """Work that no request asked for is not given one, even while one is in flight."""

    async def report():
        await asyncio.sleep(0.01)
        time.sleep(0.2)  # BLOCK

    async def waiting_app(scope, receive, send):
        await asyncio.sleep(0.1)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def main():
        await asyncio.gather(report(), get(waiting_app, "/"))

    stall = stall_of(main)

    assert_blames(stall, report)
    assert stall.request is None
