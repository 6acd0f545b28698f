"""The baseline file: blocks that are known. They pass and are counted; new ones fail, so a code base full of them can begin today.

Keyed by fingerprint (cause, module, function, and for a wait the call), never by line: edits elsewhere change nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loopwatch.pytest_plugin.charging import line_to_show
from loopwatch.pytest_plugin.facts import BLOCKED, KNOWN, Block
from loopwatch.records import Stall

__all__ = ["Baseline", "Entry", "updated"]

VERSION = 1
COMPUTING = frozenset({"python", "native", "overload", "unknown"})
"""What a sampler may tell either way of one and the same computation."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One known block."""

    module: str
    function: str
    cause: str
    call: str
    """Empty for a computation, which may be caught at any of its calls."""
    fingerprint: str
    max_ms: float
    """The longest that was seen: for people."""

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is recognised by where the fingerprint differs: a computation is one, whatever half of it was sampled more."""
        return self.module, self.function, "computing" if self.cause in COMPUTING else f"{self.cause} {self.call}"


class Baseline:
    """The known blocks, by fingerprint and by place."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = tuple(sorted(entries))
        self._fingerprints = {entry.fingerprint for entry in self.entries}
        self._places = {entry.place for entry in self.entries}

    @classmethod
    def read(cls, path: Path | None, missing_ok: bool = False) -> "Baseline":
        """The file's; an empty one where no file was asked for.

        Raises:
            pytest.UsageError: it cannot be read.
        """
        if path is None or (missing_ok and not path.exists()):
            return cls()
        try:
            document = json.loads(path.read_text("utf-8"))
            if document["version"] != VERSION:
                raise pytest.UsageError(f"{path} has version {document['version']!r}; this loopwatch reads {VERSION}")
            return cls(Entry(**one) for one in document["blocks"])
        except FileNotFoundError:
            raise pytest.UsageError(f"no baseline {path}; write it with --loopwatch-update-baseline") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise pytest.UsageError(
                f"cannot read the baseline {path}: {error!r}; mend it, or write it anew with --loopwatch-update-baseline"
            ) from None

    def write(self, path: Path) -> None:
        """One entry a line, sorted: a diff shows what came and went."""
        lines = ",\n".join("    " + json.dumps(_plain(entry)) for entry in self.entries)
        text = f'{{\n  "version": {VERSION},\n  "blocks": [\n{lines}\n  ]\n}}\n'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def knows(self, stall: Stall) -> bool:
        """Whether it is a known one."""
        return stall.fingerprint in self._fingerprints or _place_of(stall) in self._places

    def has(self, fingerprint: str) -> bool:
        """Whether it lists that fingerprint."""
        return fingerprint in self._fingerprints

    def seen(self, blocks: Iterable[Block]) -> set[Entry]:
        """The entries that occurred among the blocks."""
        keys = [entry_of(block) for block in blocks]
        prints, places = {one.fingerprint for one in keys}, {one.place for one in keys}
        return {entry for entry in self.entries if entry.fingerprint in prints or entry.place in places}


def updated(before: Baseline, blocks: Iterable[Block], whole: bool) -> Baseline:
    """The baseline after a run: what blocked in it; where only some tests ran (`whole` is False) also what did not occur."""
    found: dict[str, Entry] = {}
    counted = [block for block in blocks if block.verdict in {BLOCKED, KNOWN}]
    for entry in map(entry_of, counted):
        there = found.get(entry.fingerprint)
        found[entry.fingerprint] = entry if there is None or entry.max_ms > there.max_ms else there
    if not whole:
        for entry in before.entries:
            found.setdefault(entry.fingerprint, entry)
    return Baseline(found.values())


def entry_of(block: Block) -> Entry:
    """A block as the baseline keeps it."""
    call = block.call or "" if block.cause not in COMPUTING else ""
    return Entry(
        block.module or "", block.function or "", block.cause, call, block.fingerprint, round(block.counted_ms)
    )


def _place_of(stall: Stall) -> tuple[str, str, str]:
    origin = line_to_show(stall)
    module, function, call = (origin.module, origin.function, origin.call) if origin else (None, None, None)
    cause = stall.cause.value
    return Entry(module or "", function or "", cause, call or "" if cause not in COMPUTING else "", "", 0).place


def _plain(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
