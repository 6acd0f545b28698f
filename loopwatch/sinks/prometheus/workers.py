"""Several processes that share `PROMETHEUS_MULTIPROC_DIR`: what one of them knows of the others.

prometheus-client keeps a file per process and kind of metric there (prometheus_client/values.py and multiprocess.py, 0.20 to 0.26).
Files of counters and histograms outlive their process, whose part stays counted; those of live gauges must go with it, or a worker
that was killed during a stall would be stuck for ever.
"""

import os
from pathlib import Path
from typing import Any

from loopwatch.sinks.prometheus.metrics import STALLED

__all__ = ["forget", "forget_dead", "longest_stall_ms", "registry", "several"]

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def several() -> bool:
    """Whether this process shares its metrics with others."""
    return bool(os.environ.get(VARIABLE))


def registry() -> Any:
    """A registry of the metrics of all workers, made for one scrape."""
    from prometheus_client import CollectorRegistry

    forget_dead()
    found = CollectorRegistry()
    _multiprocess().MultiProcessCollector(found)
    return found


def forget_dead() -> None:
    """Remove the live gauges of processes that are no more."""
    folder = Path(os.environ[VARIABLE])
    owners = {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*_*.db")}
    for owner in owners:
        if owner.isdecimal() and not _runs(int(owner)):
            forget(int(owner))


def forget(pid: int) -> None:
    """Remove the live gauges of a process, which is about to end."""
    _multiprocess().mark_process_dead(pid)


def longest_stall_ms() -> float:
    """The longest stall under way in any worker, itself included; some seconds old at most."""
    forget_dead()
    files = [str(path) for path in Path(os.environ[VARIABLE]).glob("gauge_livemax_*.db")]
    found = _multiprocess().MultiProcessCollector.merge(files)
    return 1e3 * max(
        (sample.value for metric in found if metric.name == STALLED for sample in metric.samples), default=0.0
    )


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and is another user's
        return True
    return True


def _multiprocess() -> Any:
    from prometheus_client import multiprocess

    return multiprocess
