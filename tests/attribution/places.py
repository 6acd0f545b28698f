"""A FastAPI app that blocks in every place where an app can hold user code. Each place has its own mark."""

import asyncio
import time
from contextlib import asynccontextmanager

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, field_serializer, field_validator
from starlette.middleware.base import BaseHTTPMiddleware

items = APIRouter(prefix="/api")


@items.get("/items/{item_id}")
async def read_item(item_id: str):
    time.sleep(0.2)  # BLOCK handler
    return item_id


@items.get("/sync-code/{item_id}")
async def read_price(item_id: str):
    return price_of(item_id)


def price_of(item_id):
    time.sleep(0.2)  # BLOCK sync code
    return len(item_id)


@items.get("/threaded")
def read_in_a_thread():
    time.sleep(0.2)


async def current_user():
    time.sleep(0.2)  # BLOCK dependency


@items.get("/dependency")
async def read_as_user(user: None = Depends(current_user)):
    return "ok"


async def transaction():
    yield
    time.sleep(0.2)  # BLOCK dependency exit


@items.get("/dependency-exit")
async def read_in_transaction(session: None = Depends(transaction)):
    return "ok"


async def send_mail(address):
    await asyncio.sleep(0)
    time.sleep(0.2)  # BLOCK background task


@items.post("/background")
async def register(tasks: BackgroundTasks):
    tasks.add_task(send_mail, "a@example.org")


class Order(BaseModel):
    amount: int = 1

    @field_validator("amount")
    @classmethod
    def check_amount(cls, value):
        time.sleep(0.2)  # BLOCK validator
        return value


@items.post("/validator")
async def create_order(order: Order):
    return "ok"


class Receipt(BaseModel):
    amount: int = 1

    @field_serializer("amount")
    def show_amount(self, value):
        time.sleep(0.2)  # BLOCK serializer
        return str(value)


@items.get("/serializer", response_model=Receipt)
async def read_receipt():
    return Receipt()


class OutOfStock(Exception):
    """What an exception handler below turns into a response."""


async def out_of_stock(request, error):
    time.sleep(0.2)  # BLOCK exception handler
    return JSONResponse({}, status_code=409)


@items.get("/exception")
async def read_stock():
    raise OutOfStock


async def lines():
    yield "one\n"
    await asyncio.sleep(0)
    time.sleep(0.2)  # BLOCK stream
    yield "two\n"


@items.get("/stream")
async def read_lines():
    return StreamingResponse(lines())


@items.websocket("/rooms/{room}")
async def chat(websocket: WebSocket, room: str):
    await websocket.accept()
    message = await websocket.receive_text()
    time.sleep(0.2)  # BLOCK websocket
    await websocket.send_text(message)
    await websocket.close()


@items.get("/quick/{item_id}")
async def read_quickly(item_id: str):
    return item_id


class SlowMiddleware:
    """Pure ASGI: blocks before the app is called, or after."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["path"].endswith("/before"):
            time.sleep(0.2)  # BLOCK middleware before
        await self.app(scope, receive, send)
        if scope["path"].endswith("/after"):
            time.sleep(0.2)  # BLOCK middleware after


async def dispatch(request, call_next):
    response = await call_next(request)
    if request.url.path.endswith("/dispatch"):
        time.sleep(0.2)  # BLOCK dispatch
    return response


@asynccontextmanager
async def slow_lifespan(app):
    time.sleep(0.2)  # BLOCK start-up
    yield
    time.sleep(0.2)  # BLOCK shutdown


def make_app(*, lifespan=None, middleware=True):
    """The app; its lifespan does not block unless it is told to."""
    app = FastAPI(lifespan=lifespan)
    app.include_router(items)
    app.add_exception_handler(OutOfStock, out_of_stock)
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
        app.add_middleware(SlowMiddleware)
    return app
