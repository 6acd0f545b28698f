"""Whose request is it? From one argument of hand-made frames."""

import functools
import sys
from dataclasses import astuple, fields
from types import SimpleNamespace

import pytest

from loopwatch.probes import requests
from loopwatch.probes.requests import request_of
from loopwatch.records import RequestInfo

SECRET = "hunter2"


def read_item():
    """An endpoint."""


class Endpoint:
    """An endpoint that is a class."""

    def get(self):
        """And one that is its method."""


def app(scope, receive, send):
    """An ASGI callable."""
    yield


def asked(function, *arguments):
    """The request that a frame of `function` works for, while it stands at its `yield`."""
    generator = function(*arguments)
    next(generator)
    found = request_of(generator.gi_frame, generator.gi_code)
    generator.close()
    return found


def scope(**changes):
    """The scope of a GET for `/items/7`, with all the secrets that a scope has."""
    return {
        "type": "http",
        "method": "GET",
        "path": f"/items/{SECRET}",
        "raw_path": f"/items/{SECRET}".encode(),
        "query_string": f"token={SECRET}".encode(),
        "headers": [(b"authorization", SECRET.encode())],
        "path_params": {"item_id": SECRET},
        "user": SimpleNamespace(password=SECRET),
        "route": SimpleNamespace(path="/items/{item_id}", endpoint=read_item),
        "endpoint": read_item,
        **changes,
    }


def of(**changes):
    """The request of such a scope."""
    return asked(app, scope(**changes), None, None)


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_request():
    """Method, route template and endpoint are told."""
    assert of() == RequestInfo("GET", "/items/{item_id}", "read_item")


def test_nothing_else():
    """Nothing but those three leaves the scope: no path, no query string, no header, no parameter."""
    assert [field.name for field in fields(RequestInfo)] == ["method", "route", "endpoint"]
    for found in (of(), of(route=None), of(route=None, endpoint=None), of(root_path=f"/{SECRET}", app_root_path="")):
        assert SECRET not in repr(astuple(found))


def test_before_the_router():
    """Until the router has matched, there is no route, and the frame's own callable stands for the endpoint."""
    found = of(route=None, endpoint=None)

    assert found == RequestInfo("GET", None, "app")


def test_callable_object():
    """An application that is an object goes by its class."""

    class Middleware:
        def __call__(self, scope, receive, send):
            yield

    assert asked(Middleware(), scope(endpoint=None, route=None), None, None).endpoint.endswith("Middleware")


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (read_item, "read_item"),
        (Endpoint, "Endpoint"),
        (Endpoint().get, "Endpoint.get"),
        (Endpoint(), "Endpoint"),
        (functools.partial(functools.partial(read_item, 1), 2), "read_item"),
    ],
)
def test_endpoint_names(endpoint, name):
    """An endpoint may be anything that can be called; it goes by its qualified name."""
    assert of(endpoint=endpoint, route=SimpleNamespace(path="/items", endpoint=endpoint)).endpoint == name


@pytest.mark.parametrize(("kind", "method"), [("http", "GET"), ("websocket", "WEBSOCKET"), ("lifespan", None)])
def test_kinds(kind, method):
    """A websocket has its own word for a method; a lifespan has none."""
    assert of(type=kind).method == method


# ── what is no request ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [None, "http", 5, [], {}, {"type": "http.request"}, {"type": None}, {"type": []}])
def test_other_values(value):
    """An argument called `scope` may be anything."""
    assert asked(app, value, None, None) is None


@pytest.mark.parametrize("method", [None, 5, b"GET"])
def test_odd_method(method):
    """A method that is no text is none."""
    assert of(method=method).method is None


def test_other_functions():
    """A frame without such an argument says nothing."""

    def handler(request):
        yield

    assert asked(handler, scope()) is None


def test_local_variable():
    """A local variable of that name is no argument."""

    def handler():
        scope = {"type": "http", "method": "GET"}
        yield scope

    assert asked(handler) is None


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="one variable can be read without the others from 3.12 on")
def test_only_plain_callables():
    """On 3.11, where reading one variable copies all, only the frame of a plain ASGI callable is read."""

    def handler(scope, password):
        yield

    assert asked(handler, scope(), SECRET) is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="reads plain callables only before 3.12")
def test_any_argument():
    """From 3.12 on the scope is found among any arguments."""

    def handler(request, scope):
        yield

    assert asked(handler, None, scope()).route == "/items/{item_id}"


def test_deleted_argument():
    """An argument that the function has deleted is not there."""

    def handler(scope, receive, send):
        del scope
        yield

    assert asked(handler, scope(), None, None) is None


# ── hostile values ──────────────────────────────────────────────────────────────────────────────────────────────────


class Hostile:
    """Runs code of the program wherever it is looked at."""

    def __getattribute__(self, name):
        raise AssertionError("was run")

    def __eq__(self, other):
        raise AssertionError("was run")

    __hash__ = None


@pytest.mark.parametrize("key", ["route", "router", "app", "fastapi", "root_path", "app_root_path", "path_params"])
def test_no_code_of_the_program_runs(key):
    """No property, comparison or attribute hook of the program's objects is run to find out."""
    found = of(**{key: Hostile()})

    assert (found.method, found.endpoint) == ("GET", "read_item")


def test_own_dictionary():
    """A scope that is a dictionary of the program's own making is not asked."""

    class Scope(dict):
        def get(self, *args):
            raise AssertionError("was run")

    assert asked(app, Scope(scope()), None, None) is None


# ── aiohttp, and memory ─────────────────────────────────────────────────────────────────────────────────────────────


def test_aiohttp():
    """An aiohttp application's request has its method, its resource's template and its handler."""
    names = {}
    exec(compile("def _handle(self, request):\n    yield", "/env/site-packages/aiohttp/web_app.py", "exec"), names)

    class Request:
        pass

    Request.__module__ = "aiohttp.web_request"
    request = Request()
    resource = SimpleNamespace(canonical="/items/{item_id}")
    request._method = "POST"
    request._match_info = SimpleNamespace(_route=SimpleNamespace(_handler=read_item, _resource=resource))

    if sys.version_info >= (3, 12):
        assert asked(names["_handle"], None, request) == RequestInfo("POST", "/items/{item_id}", "read_item")
    assert asked(names["_handle"], None, SimpleNamespace()) is None


def test_bounded_memory(monkeypatch):
    """A program that makes code without end does not fill the memory."""
    monkeypatch.setattr(requests, "MAX_CODES", 3)
    monkeypatch.setattr(requests, "_roles", {})

    for _ in range(10):
        names = {}
        exec("def handler(request):\n    yield", names)
        asked(names["handler"], None)

    assert len(requests._roles) <= 3
