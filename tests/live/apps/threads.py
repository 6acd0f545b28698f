"""An app whose plain `def` endpoint takes its time, in one of four threads."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI

from apps import lines


class Sink:
    """Writes what it is told of pools."""

    def __call__(self, stall: object) -> None:
        """Of stalls this sink wants nothing."""

    def pool(self, saturation: "lines.loopwatch.PoolSaturation") -> None:
        lines.write_pool(saturation)


lines.enable(saturated_ms=100, sinks=[Sink()])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = 4
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/query")
def query() -> None:
    time.sleep(1.0)  # QUERY


@app.get("/async/{item}")
async def wait(item: int) -> dict[str, int]:
    return {"pid": os.getpid()}
