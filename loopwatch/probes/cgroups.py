"""How long the control group's CPU limit has kept this process from running: cgroups(7), `cpu.stat` of version 1 and 2.

Only a group with a limit is read: without one it never throttles. Limits nest, and the innermost one that there is counts; a
container sees its own group as the root.
"""

from collections.abc import Iterator
from pathlib import Path

from loopwatch.probes import procfs

__all__ = ["ThrottleProbe"]

MEMBERSHIP = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")
_KEYS = {b"throttled_usec": 1_000, b"throttled_time": 1}
"""Nanoseconds of one unit: version 2 counts microseconds, version 1 nanoseconds."""


class ThrottleProbe:
    """Reads one group's statistics. For one thread."""

    def __init__(self) -> None:
        group = next((group for group in _groups() if _limited(group)), None)
        self._stat = None if group is None else procfs.open_file(str(group / "cpu.stat"))

    def throttled_ns(self) -> int | None:
        """Total time for which the group had used up its share so far, summed over cores; None: it has no limit."""
        if self._stat is None:
            return None
        words = procfs.read(self._stat).split()
        pairs = dict(zip(words[::2], words[1::2], strict=False))
        try:
            return next((int(pairs[key]) * unit for key, unit in _KEYS.items() if key in pairs), None)
        except ValueError:
            return None

    def close(self) -> None:
        procfs.close(self._stat)
        self._stat = None


def _groups() -> Iterator[Path]:
    """The groups of this process that may limit its CPU, innermost first."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = (line + "::").split(":")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for hierarchy in (ROOT / controllers, ROOT / "cpu") if controllers else (ROOT, ROOT / "unified"):
            inside = hierarchy / path.lstrip("/")
            yield from (group for group in (inside, *inside.parents) if group.is_relative_to(hierarchy))


def _limited(group: Path) -> bool:
    for name, unlimited in (("cpu.max", "max"), ("cpu.cfs_quota_us", "-1")):
        try:
            return (group / name).read_text().split()[0] != unlimited
        except (OSError, IndexError, ValueError):
            continue
    return False
