"""The outermost layer: what a route would call."""

from .services import OrderService


async def read_order(order_id):
    return await OrderService().load(order_id)
