"""Where the shop's data comes from: SQLite, a supplier over HTTP, and a few tables in memory."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import requests

__all__ = ["Repository"]

SCHEMA = "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, note TEXT, cents INTEGER)"
ADD_ORDERS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
    INSERT INTO orders (customer, note, cents)
    SELECT 'customer-' || (n * 7919 % 500), 'to ' || hex(randomblob(24)) || iif(n % 3, '', ' (gift)'), n * 31 % 90000
    FROM numbers WHERE n <= ?1
"""
# No index helps a LIKE that begins with a wildcard: SQLite reads every order.
TOP_SPENDERS = """
    SELECT customer, SUM(cents) AS total FROM orders WHERE note LIKE '%gift%' OR note LIKE '%express%'
    GROUP BY customer ORDER BY total DESC LIMIT 10
"""


@dataclass(slots=True)
class Repository:
    """Open connections, and what the shop keeps in memory."""

    supplier: str
    """Address of the supplier's API, such as "http://127.0.0.1:8001"."""
    database: sqlite3.Connection
    client: httpx.AsyncClient
    price_history: list[dict[str, Any]] = field(default_factory=list)
    ratings: dict[str, Sequence[int]] = field(default_factory=dict)
    """Customers' ratings by SKU, 1 to 5, in one order of customers."""

    @classmethod
    def empty(cls, supplier: str) -> Self:
        """A shop without orders or articles; its database is a file in the working directory."""
        database = sqlite3.connect("shop.db", check_same_thread=False)
        database.execute("PRAGMA synchronous = OFF")
        database.execute(SCHEMA)
        return cls(supplier, database, httpx.AsyncClient(base_url=supplier, timeout=30.0, trust_env=False))

    async def close(self) -> None:
        """Close both connections."""
        await self.client.aclose()
        self.database.close()

    def add_orders(self, count: int) -> None:
        """Write that many more orders, if any."""
        with self.database:
            self.database.execute(ADD_ORDERS, (count,))

    def top_spenders(self) -> list[tuple[str, int]]:
        """The ten best customers by cents spent: a full scan of all orders."""
        return self.database.execute(TOP_SPENDERS).fetchall()  # planted customers: native

    def supplier_price(self, sku: str) -> int:
        """Net price in cents. `requests` waits for the supplier, and the loop waits with it."""
        answer = requests.get(f"{self.supplier}/prices/{sku}", timeout=5)  # planted price: network
        return int(answer.json()["cents"])

    async def supplier_stock(self, sku: str) -> int:
        """Pieces in stock: the same supplier, just as slow, awaited."""
        answer = await self.client.get(f"/stock/{sku}")
        return int(answer.json()["pieces"])
