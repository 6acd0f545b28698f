"""A dictionary that cannot grow without end."""

from collections import OrderedDict
from typing import TypeVar

__all__ = ["MAX_LASTING", "Latest"]

MAX_LASTING = 256
"""How many stalls may last at one moment: there is at most one per loop."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Latest(OrderedDict[Key, Value]):
    """Of the keys that were put into it, the latest `limit`. For one thread at a time."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def put(self, key: Key, value: Value) -> tuple[Key, Value] | None:
        """Enter it. A key that is there keeps its place; if there are too many, the oldest makes room, and is returned."""
        self[key] = value
        return self.popitem(last=False) if len(self) > self._limit else None
