"""What is known of a pool at one moment, whatever kind of pool it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import ref

from loopwatch.records import LoopInfo

__all__ = ["Pool", "Waiter", "waiter"]


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody who waits for a pool, held by a weak reference: nothing of the program is kept alive."""

    ref: ref[Any]
    waits: Callable[[Any], bool]
    """Whether that object still stands for one who waits."""

    def still_waits(self) -> bool:
        """Whether it has been waiting ever since it was seen."""
        one = self.ref()
        return one is not None and self.waits(one)


def waiter(one: Any, waits: Callable[[Any], bool]) -> Waiter | None:
    """Whoever `one` stands for; None where there is nobody."""
    return None if one is None else Waiter(ref(one), waits)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool as it was read: lengths and attributes only, none of its locks."""

    key: tuple[str, int]
    """Which pool, among those that exist now."""
    kind: str
    name: str
    loop: LoopInfo | None
    borrowed: int
    total: int | None
    """None: it has no limit."""
    waiting: int
    newest: Waiter | None = None
    """Who came last of those that wait; None: nobody waits, or that cannot be told."""
    workers: tuple[int, ...] = ()
    """`threading.get_ident()` of the threads that work for it; idle ones may be among them."""
