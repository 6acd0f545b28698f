"""On what machine, with which versions and under what load a benchmark ran."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["Machine", "describe", "load_average", "usable_cores", "version"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a figure must be read with: two figures from different machines do not compare."""

    cpu: str
    cores: int
    usable_cores: int
    """How many this process may run on."""
    core_quota: float | None
    """Cores per second that the control group grants; None: no limit, or not known here."""
    system: str
    python: str
    versions: dict[str, str]
    load_before: tuple[float, ...]
    """Load average over 1, 5 and 15 minutes when the benchmark began; empty where there is none."""

    def lines(self) -> list[str]:
        """For people, one fact group a line."""
        quota = "" if self.core_quota is None else f", quota {self.core_quota:g}"
        load = " ".join(f"{value:.2f}" for value in self.load_before) or "unknown"
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return [
            f"machine   {self.cpu}, {self.cores} cores ({self.usable_cores} usable{quota}), {self.system}",
            f"software  {self.python}" + (f", {packages}" if packages else ""),
            f"load      {load} before",
        ]


def describe(*packages: str) -> Machine:
    """This machine now, with the versions of those packages that are installed."""
    found = {name: version(name) for name in packages}
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        core_quota=_core_quota(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions={name: number for name, number in found.items() if number is not None},
        load_before=load_average(),
    )


def usable_cores() -> int:
    """How many cores this process may run on, affinity considered."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> tuple[float, ...]:
    try:
        return tuple(round(value, 2) for value in os.getloadavg())
    except (AttributeError, OSError):  # Windows; or not obtainable
        return ()


def version(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    """`platform.processor()` is empty on most Linux systems, so the kernel is asked first."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Hardware", "cpu model"}:
            return value.strip()
    return platform.processor() or platform.machine()


def _core_quota() -> float | None:
    """A container with half a core throttles a benchmark in a way that no load average shows."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)
