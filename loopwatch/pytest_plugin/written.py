"""The JSON report: all blocks and verdicts of a session, for other programs. Its version grows when a reader would break."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from loopwatch.pytest_plugin.facts import BLOCKED, Block
from loopwatch.pytest_plugin.options import Options
from loopwatch.versions import version_of

__all__ = ["write_report"]

VERSION = 1


def write_report(
    path: Path, options: Options, tests: Iterable[str], blocks: Iterable[Block], unmeasured: Mapping[str, str]
) -> None:
    """Write the file; `tests` are the node ids of all that were watched."""
    every = list(blocks)
    verdicts = {test: _verdict(test, every, unmeasured) for test in sorted(tests)}
    document = {
        "version": VERSION,
        "loopwatch": version_of("loopwatch", "unknown"),
        "max_ms": options.max_ms,
        "source": options.source,
        "tests": verdicts,
        "blocks": [block.plain() for block in every],
        "unmeasured": dict(sorted(unmeasured.items())),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def _verdict(test: str, blocks: list[Block], unmeasured: Mapping[str, str]) -> str:
    """ "blocked", "unmeasured", what became of its other blocks ("known", "allowed", "machine"), or "clean"."""
    found = {block.verdict for block in blocks if block.test == test}
    if BLOCKED in found:
        return BLOCKED
    if test in unmeasured:
        return "unmeasured"
    return min(found, default="clean")
