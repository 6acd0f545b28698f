"""The middle layer."""

from . import repository


class OrderService:
    async def load(self, order_id):
        order = await repository.fetch_order(order_id)
        return {"order": order}
