"""What the shop does. The functions are `async def`, which does not make what they call asynchronous."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

from . import sizes
from .repository import Repository

__all__ = ["Shop", "distance", "find_closest", "hash_password"]

SALT = b"a salt of the shop"
CUSTOMER, PASSWORD = "ada", "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop and its one registered customer."""

    repository: Repository
    hash_rounds: int
    password_hash: bytes

    @classmethod
    def open(cls, supplier: str) -> Self:
        """Fill the database and choose sizes for this machine. Takes a second or two: not for the loop's thread."""
        repository = Repository.empty(supplier)
        rounds = sizes.scaled(100_000, lambda: hash_password(PASSWORD, 100_000))
        sizes.fill(repository, compare=find_closest)
        return cls(repository, rounds, hash_password(PASSWORD, rounds))

    async def close(self) -> None:
        """Let go of connections."""
        await self.repository.close()

    async def price_of(self, sku: str) -> dict[str, Any]:
        """Price in cents, tax added."""
        net = self.repository.supplier_price(sku)
        return {"sku": sku, "cents": net * 119 // 100}

    async def stock_of(self, sku: str) -> dict[str, Any]:
        """How many the supplier has."""
        return {"sku": sku, "pieces": await self.repository.supplier_stock(sku)}

    async def best_customers(self) -> list[dict[str, Any]]:
        """The ten who spent most, with their total in cents."""
        return [{"customer": name, "cents": cents} for name, cents in self.repository.top_spenders()]

    async def knows(self, name: str, password: str) -> bool:
        """Whether this name and password are right."""
        given = hash_password(password, self.hash_rounds)
        return name == CUSTOMER and hmac.compare_digest(given, self.password_hash)

    async def closest_pair(self) -> tuple[str, str]:
        """SKUs of the two articles with the most similar ratings."""
        return find_closest(self.repository.ratings)


def hash_password(password: str, rounds: int) -> bytes:
    """A slow hash, as it should be: slow is what protects the password."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, rounds)  # planted login: native


def find_closest(ratings: dict[str, Sequence[int]]) -> tuple[str, str]:
    """Compare every article with every other one: four times the work for twice the articles."""
    best, closest = ("", ""), 1 << 30
    for (left, ours), (right, theirs) in combinations(ratings.items(), 2):
        gap = distance(ours, theirs)  # planted alike: python
        if gap < closest:
            best, closest = (left, right), gap
    return best


def distance(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """How far two articles' ratings are apart. A few microseconds a call, so nobody ever looked at it."""
    return sum(abs(a - b) for a, b in zip(ours, theirs, strict=True))  # planted alike: python
