"""The app that servers serve: it blocks its loop on request. LIVE_ENABLE says when loopwatch begins to watch.

"import" (default): as the module is imported. "lifespan": as the app starts. "never": someone else has done it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from apps import lines

ENABLE = os.environ.get("LIVE_ENABLE", "import")

if ENABLE == "import":
    lines.enable()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if ENABLE == "lifespan":
        lines.enable()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/block")
async def block() -> dict[str, int]:
    lines.say("blocking")
    time.sleep(0.25)  # BLOCK
    return {"pid": os.getpid()}


@app.get("/cpu")
async def cpu() -> dict[str, int]:
    deadline, rounds = time.thread_time() + 0.25, 0
    while time.thread_time() < deadline:
        for number in range(5_000):  # rarely at the clock, which is a call into C
            rounds += (number * number) % 7 + (number ^ 5) * 3 - number // 2  # CPU
    return {"pid": os.getpid()}


@app.get("/async/{item}")
async def wait(item: int) -> dict[str, int]:
    lines.say("waiting")
    await asyncio.sleep(0.01 * item)
    return {"pid": os.getpid()}
