"""The shop's endpoints. Every handler is `async def`, so whatever it calls runs on the event loop."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

import loopwatch

from . import logs
from .services import Shop

__all__ = ["app"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the shop in a thread (it measures this machine and fills its database), then watch the loop."""
    logs.configure()
    app.state.shop = await asyncio.to_thread(Shop.open, os.environ["SHOP_SUPPLIER"])
    app.state.watch = loopwatch.enable()  # the one line
    yield
    await app.state.shop.close()


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)


class Credentials(BaseModel):
    """What a customer types to log in."""

    name: str
    password: str


# ── five endpoints that block the loop ──────────────────────────────────────────────────────────────────────────


@app.get("/prices/{sku}")
async def price(sku: str) -> dict[str, Any]:
    """Today's price of one article, as its supplier quotes it."""
    return await _shop().price_of(sku)


@app.get("/customers/best")
async def best_customers() -> list[dict[str, Any]]:
    """Who spent most."""
    return await _shop().best_customers()


@app.post("/login")
async def login(credentials: Credentials) -> dict[str, Any]:
    """Check a password."""
    if not await _shop().knows(credentials.name, credentials.password):
        raise HTTPException(401, "name or password is wrong")
    return {"welcome": credentials.name}


@app.get("/export")
async def export() -> Response:
    """Every price that every article ever had, as one JSON document."""
    history = _shop().repository.price_history
    body = json.dumps(history)  # planted export: native
    return Response(body, media_type="application/json")


@app.get("/products/alike")
async def alike() -> dict[str, Any]:
    """The two articles that customers rate most alike."""
    left, right = await _shop().closest_pair()
    return {"alike": [left, right]}


# ── two endpoints that do nothing wrong ─────────────────────────────────────────────────────────────────────────


@app.get("/stock/{sku}")
async def stock(sku: str) -> dict[str, Any]:
    """Ask the same slow supplier, but await it: slow for its caller, free for everybody else."""
    return await _shop().stock_of(sku)


@app.get("/health")
async def health() -> dict[str, bool]:
    """What a load balancer asks all day long."""
    return {"ok": True}


# ── for the demo ────────────────────────────────────────────────────────────────────────────────────────────────


@app.get("/_loopwatch")
def loopwatch_says() -> dict[str, Any]:
    """What loopwatch found so far. A plain `def`: FastAPI runs it in a thread, where `flush` may wait."""
    watch: loopwatch.Watch = app.state.watch
    watch.flush()
    return {
        "stats": asdict(watch.stats()),
        "incidents": [asdict(incident) for incident in watch.incidents],
        "own_ms": sum(stall.own_ms for stall in watch.stalls),
    }


def _shop() -> Shop:
    shop: Shop = app.state.shop
    return shop
