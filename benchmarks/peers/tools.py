"""Who takes part, and whether they can here."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.pairs import ChildFailed, run_child

__all__ = ["TOOLS", "Entrant", "Tool", "enter"]


@dataclass(frozen=True, slots=True)
class Tool:
    """One detector: the name of its adapter, and what must be installed for it."""

    name: str
    package: str | None = None
    """As PyPI knows it; None: nothing."""
    since: tuple[int, int] = (3, 11)
    """The oldest Python that the package says it runs on, where that is newer than ours."""


TOOLS = (
    Tool("loopwatch"),
    Tool("asyncio_debug"),
    Tool("aiodebug_slow", "aiodebug"),
    Tool("aiodebug_hang", "aiodebug"),
    Tool("aiocop", "aiocop"),
    Tool("blockbuster", "blockbuster"),
    Tool("pyleak", "pyleak"),
    Tool("loopguard", "fastapi-loopguard"),
    Tool("loopsentry", "loopsentry", (3, 12)),
    Tool("livekit", "livekit-agents"),
    Tool("asynclens", "asynclens"),
)


@dataclass(frozen=True, slots=True)
class Entrant:
    """A tool on the interpreter that it is to run on."""

    name: str
    python: str
    """Path of the interpreter."""
    python_version: str = "?"
    version: str | None = None
    """Of its package."""
    why_not: str | None = None
    """Why it cannot take part; None: it can."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def enter(tool: Tool, python: str, backend: str) -> Entrant:
    """Switches it on for a moment, in a process of its own."""
    try:
        found = run_child("benchmarks.peers.children.probe", tool.name, backend, python=python, timeout_s=120.0)
    except (ChildFailed, OSError, ValueError) as error:
        return Entrant(tool.name, python, why_not=str(error).strip().splitlines()[-1])
    return Entrant(tool.name, python, found["python"], found["versions"].get(tool.package or ""), why(tool, found))


def why(tool: Tool, found: dict[str, Any]) -> str | None:
    """In a sentence, what the probe's answer means for taking part."""
    if found["error"] is None:
        return None
    if found["missing"] is None:
        return f"does not run on Python {found['python']}: {found['error']}"
    if tuple(map(int, found["python"].split(".")[:2])) < tool.since:
        return f"needs Python {'.'.join(map(str, tool.since))}, this is {found['python']}"
    if tool.package and tool.package not in found["versions"]:
        return f"not installed for Python {found['python']}: pip install {tool.package}"
    return f"{found['missing']} is not installed for Python {found['python']}"
