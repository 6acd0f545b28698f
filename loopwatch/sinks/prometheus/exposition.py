"""What a scrape gets: all metrics of the program, or of all its workers, in whichever format was asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from loopwatch.serving import Reply
from loopwatch.sinks import need
from loopwatch.sinks.prometheus import workers

__all__ = ["exposition", "metrics_app"]

App = Callable[[Any, Any, Any], Awaitable[None]]


def exposition(accept: str) -> Reply:
    """The metrics now. Blocks: in multiprocess mode it reads a file or more for each worker."""
    from prometheus_client import REGISTRY
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return Reply(encode(workers.registry() if workers.several() else REGISTRY), content_type)


def metrics_app() -> App:
    """An ASGI application to mount at `/metrics`, on asyncio.

    It answers on the program's own loop, hence not while that is stuck: alerts on a stall under way need the sink's own server
    (`prometheus:PORT`). Who may ask is the program's to decide.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """
    need("prometheus", "prometheus_client")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError(
                f"metrics_app() answers HTTP only, not {scope['type']!r}; mount it: app.mount('/metrics', ...)"
            )
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
        reply = await asyncio.to_thread(exposition, accept)
        headers = [(b"content-type", reply.content_type.encode()), (b"content-length", str(len(reply.body)).encode())]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    return app
