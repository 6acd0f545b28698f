"""Whose request is it? Read from one argument of the frames on a stack, with no integration.

ASGI applications are called as `app(scope, receive, send)` (asgi.readthedocs.io, "Applications"), so some frame of a request's
stack has an argument `scope`; aiohttp.web calls `Application._handle(request)`. That one argument is read, nothing else, and
of it only the method, the router's template and the endpoint's name: never a path, a query string, a header or a body.

On 3.11, where reading one variable copies them all (`loopwatch.probes.variables`), only the frame of a plain ASGI callable is
read, which has hardly anything else.
"""

import re
import sys
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from loopwatch.probes.traces import trace_of
from loopwatch.probes.variables import attribute, variable
from loopwatch.records import RequestInfo, TraceInfo

__all__ = ["request_of", "server_span_of"]

MAX_CODES = 8192
_roles: dict[int, tuple[CodeType, str | None]] = {}
"""For each code object seen: the argument to read, None for none. Holds the code, so that its id stays its own."""


def request_of(frame: FrameType, code: CodeType) -> RequestInfo | None:
    """The request that `frame` works for; None if the frame does not say. Never raises."""
    role = _roles.get(id(code))
    if role is None:
        role = _remember(code)
    if role[1] is None:
        return None
    try:
        return _describe(variable(frame, role[1]), code)
    except Exception:  # noqa: BLE001 - a foreign object of unexpected shape: then the request is simply not known
        return None


def server_span_of(frame: FrameType) -> TraceInfo | None:
    """The server's span of the request that `frame` works for, where FastAPI itself makes one (0.142-0.165). Never raises.

    For Python 3.11, on which the task's own context cannot be read (fastapi/telemetry/_asgi.py, `NativeTelemetry`).
    """
    try:
        scope = variable(frame, "scope")
        return trace_of(attribute(scope.get("fastapi.telemetry"), "span")) if type(scope) is dict else None
    except Exception:  # noqa: BLE001 - as above
        return None


def _remember(code: CodeType) -> tuple[CodeType, str | None]:
    if len(_roles) >= MAX_CODES:
        _roles.clear()
    role = _roles[id(code)] = (code, _role(code))
    return role


def _role(code: CodeType) -> str | None:
    arguments = code.co_varnames[: code.co_argcount]
    if "scope" in arguments and (sys.version_info >= (3, 12) or arguments[-3:] == ("scope", "receive", "send")):
        return "scope"
    if "request" in arguments and code.co_name == "_handle" and "aiohttp" in code.co_filename:
        return "request"
    return None


def _describe(value: Any, code: CodeType) -> RequestInfo | None:
    if type(value) is dict:
        return _from_scope(value, code)
    if type(value).__module__ == "aiohttp.web_request":
        return _from_aiohttp(value)
    return None


def _from_scope(scope: dict[Any, Any], code: CodeType) -> RequestInfo | None:
    kind = scope.get("type")
    if kind not in ("http", "websocket", "lifespan"):
        return None
    method = scope.get("method") if kind == "http" else None
    endpoint = _name_of(scope.get("endpoint"))
    return RequestInfo(
        method=method if type(method) is str else kind.upper() if kind == "websocket" else None,
        route=_route(scope),
        endpoint=endpoint or code.co_qualname.removesuffix(".__call__"),
    )


def _route(scope: dict[Any, Any]) -> str | None:
    prefix, routes = _mount(scope)
    path = _fastapi_path(scope) or _path_of(scope.get("route"))
    if path is None:
        path = _path_of_endpoint(routes, scope.get("endpoint"))
    if path is None:
        return prefix or None
    return prefix + path


def _fastapi_path(scope: dict[Any, Any]) -> str | None:
    """The whole template of a route in an included router: newer FastAPI keeps its prefixes here, not in the route."""
    own = scope.get("fastapi")
    context = own.get("effective_route_context") if type(own) is dict else None
    return _plain(attribute(context, "starlette_route"), "path") or _plain(context, "path_format")


def _path_of(route: Any) -> str | None:
    """The template of a route; a mount is not one: its template is part of the prefix."""
    return None if _routes_of(route) is not None or attribute(route, "endpoint") is None else _plain(route, "path")


def _path_of_endpoint(routes: Any, endpoint: Any) -> str | None:
    """Starlette's own routes do not put themselves into the scope: find the one with this endpoint."""
    if endpoint is None or type(routes) is not list:
        return None
    return next(
        (_plain(route, "path") for route in routes[:MAX_ROUTES] if attribute(route, "endpoint") is endpoint), None
    )


def _mount(scope: dict[Any, Any]) -> tuple[str, Any]:
    """The template under which a sub-application is mounted, and the routes below it.

    `root_path` has the values that filled the template, in whatever way they were spelt, so it only tells how deep the mount
    is: the template itself comes from the routers (starlette/routing.py, `Mount.matches`).
    """
    routes = _routes_of(scope.get("router")) or _routes_of(scope.get("app"))
    root, outer = scope.get("root_path"), scope.get("app_root_path")
    if type(root) is not str or type(outer) is not str or not root.startswith(outer):
        return "", routes
    prefix, left = "", root[len(outer) :]
    while left:
        mount = next((one for one in (routes or [])[:MAX_ROUTES] if _fits(one, left)), None)
        if mount is None:
            return prefix, routes
        template = _plain(mount, "path") or ""
        prefix += _PARAMETER.sub(r"{\1}", template)
        left = (
            "/" + "/".join(left.split("/")[template.count("/") + 1 :]) if left.count("/") > template.count("/") else ""
        )
        routes = _routes_of(mount)
    return prefix, routes


MAX_ROUTES = 2000
_PARAMETER = re.compile(r"{(\w+):\w+}")


def _fits(route: Any, path: str) -> bool:
    """Whether `route` is a mount that takes `path`."""
    pattern = attribute(route, "path_regex")
    return attribute(route, "endpoint") is None and isinstance(pattern, re.Pattern) and bool(pattern.match(path + "/"))


def _routes_of(thing: Any) -> Any:
    """The list of routes of a router, an application or a mount; None: it has none."""
    for _ in range(MAX_WRAPPED):
        routes = attribute(thing, "routes")
        if type(routes) is list:
            return routes
        inner = attribute(thing, "router") or attribute(thing, "_base_app") or attribute(thing, "app")
        if inner is None:
            return None
        thing = inner
    return None


MAX_WRAPPED = 20
"""Middlewares around an application."""


def _from_aiohttp(request: Any) -> RequestInfo | None:
    match = attribute(request, "_match_info")
    route = getattr(match, "_route", None)
    handler = getattr(route, "_handler", None)
    canonical = getattr(getattr(route, "_resource", None), "canonical", None)
    method = getattr(request, "_method", None)
    return RequestInfo(method, canonical if type(canonical) is str else None, _name_of(handler))


def _plain(value: Any, name: str) -> str | None:
    found = attribute(value, name)
    return found if type(found) is str else None


def _name_of(endpoint: Any) -> str | None:
    while type(endpoint).__name__ == "partial" and type(endpoint).__module__ == "functools":
        endpoint = endpoint.func
    if isinstance(endpoint, FunctionType | MethodType | type):
        return endpoint.__qualname__
    return None if endpoint is None else type(endpoint).__qualname__
