"""The app that is stuck until told otherwise: `/stick` reads from STICK_FIFO, on the loop. Its metrics are at METRICS_PORT."""

import os

from fastapi import FastAPI

import loopwatch

loopwatch.enable(sinks=[f"prometheus:{os.environ['METRICS_PORT']}"])

app = FastAPI()


@app.get("/stick")
async def stick() -> dict[str, int]:
    with open(os.environ["STICK_FIFO"]) as fifo:  # STICK
        fifo.read()
    return {"pid": os.getpid()}


@app.get("/async/{item}")
async def turn(item: int) -> dict[str, int]:
    return {"pid": os.getpid()}
