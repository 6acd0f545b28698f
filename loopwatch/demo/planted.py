"""What is wrong with the shop on purpose, read from the comments in its source, so that no line number is written down."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Planted", "read_planted"]

MARKER = re.compile(r"# planted (?P<name>[\w-]+): (?P<causes>[a-z]+(?:\|[a-z]+)*)$")


@dataclass(frozen=True, slots=True)
class Planted:
    """One blocker."""

    name: str
    causes: frozenset[str]
    """Any of these is right."""
    lines: frozenset[tuple[str, int]]
    """File ("shop/services.py") and line; any of them is right: a helper and the loop that calls it are one blocker."""

    def where(self) -> str:
        """Such as "shop/services.py:41 or :52"."""
        return " or ".join(f"{file}:{line}" for file, line in sorted(self.lines))


def read_planted(shop: Path) -> tuple[Planted, ...]:
    """All blockers marked in the Python files of the package at `shop`, by name."""
    found: dict[str, list[tuple[str, int, str]]] = {}
    for file in sorted(shop.glob("*.py")):
        for name, line, causes in _markers(file.read_text().splitlines()):
            found.setdefault(name, []).append((f"{shop.name}/{file.name}", line, causes))
    return tuple(_planted(name, marks) for name, marks in sorted(found.items()))


def _markers(lines: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    for number, text in enumerate(lines, start=1):
        if match := MARKER.search(text):
            yield match["name"], number, match["causes"]


def _planted(name: str, marks: list[tuple[str, int, str]]) -> Planted:
    causes = frozenset(cause for _, _, causes in marks for cause in causes.split("|"))
    return Planted(name, causes, frozenset((file, line) for file, line, _ in marks))
