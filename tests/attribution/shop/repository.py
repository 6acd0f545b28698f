"""The innermost layer, which blocks."""

import asyncio
import time


async def fetch_order(order_id):
    await asyncio.sleep(0)
    return _query(order_id)


def _query(order_id):
    time.sleep(0.2)  # BLOCK
    return order_id
