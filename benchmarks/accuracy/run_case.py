"""Runs one case on one backend with one detector, in this process, and writes the `Outcome` as JSON.

Calibration comes first, then the detector, then an honest warm-up, then the blocker from each of its places, again
and again, with honest idle time between.
"""

import importlib
import inspect
import json
import os
import platform
import random
import resource
import sys
import tempfile
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.accuracy import adapters, corpus  # noqa: F401  (the corpus registers its cases)
from benchmarks.accuracy.calibration import calibrated
from benchmarks.accuracy.case import CASES, Case, Run, Setup, Skip, now
from benchmarks.accuracy.facts import Outcome, Report, Truth, outcome_to_json
from benchmarks.accuracy.runtimes import Runtime, runtime

__all__ = ["Spec", "main"]

SCHEDSTAT = "/proc/thread-self/schedstat"
WAITS_S = (0.18, 0.38)
"""How long a wait lasts: anything between, so that no detector's own period fits by chance."""
IDLE_S = (0.15, 0.45)
WARM_UP_S = 0.4
MEMORY_BYTES = 12 << 30
"""A bound, should a calibration run away."""
SETTLE_S = 0.6
"""Longer than any tick-based detector needs to tell of the last stall."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What one process is asked to do."""

    case: str
    backend: str
    detector: str
    threshold_ms: float
    repeat: int
    """How often each place is visited."""
    places: int
    """At most so many places, in the case's order; 0: all."""
    seed: int
    services: dict[str, Any]
    size: int | None = None
    """To what another process calibrated the case; None: calibrate here."""


def main(spec: Spec) -> Outcome:
    """The outcome, whatever happens."""
    case = CASES[spec.case]
    outcome = Outcome(
        case.name,
        spec.backend,
        platform.python_version(),
        spec.detector,
        tuple(sorted(case.causes)),
        case.lines,
        case.expect,
        case.blameless,
        case.operator,
    )
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        _require(case, spec)
        with ExitStack() as closing:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
            return _watched(spec, case, outcome, Setup(0, spec.services, folder, closing))
    except Skip as reason:
        return replace(outcome, skipped=str(reason))
    except Exception:
        return replace(outcome, error=traceback.format_exc())


def _require(case: Case, spec: Spec) -> None:
    for name in case.modules:  # imported now, so that no turn pays for it
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise Skip(f"{name} is not installed") from error
    if case.service and case.service not in spec.services:
        raise Skip(f"no {case.service} server here")


def _watched(spec: Spec, case: Case, outcome: Outcome, setup: Setup) -> Outcome:
    data, size = calibrated(case, setup, spec.size)
    detector = adapters.load(spec.detector)
    if not detector.inside:
        detector.start(spec.threshold_ms)
    library = runtime(spec.backend)
    runs, reports = library.run(partial(_session, spec, case, data, size, detector, library))
    if not detector.inside:
        reports = detector.stop()
    truths = tuple(truth for run in runs for truth in run.truths)
    return replace(outcome, truths=truths, reports=tuple(reports), size=size or None)


async def _session(
    spec: Spec, case: Case, data: Any, size: int, detector: adapters.Detector, library: Runtime
) -> tuple[list[Run], list[Report]]:
    """All goes are kept until the detector has stopped: freeing a large result is not to be part of some later turn."""
    source, schedstat = random.Random(f"{spec.seed} {spec.case}"), _schedstat()
    if detector.inside:
        await _finished(detector.start(spec.threshold_ms))
    places = case.places[: spec.places or None]
    await _warm_up(places, library)
    runs: list[Run] = []
    for _ in range(spec.repeat):
        for place in places:
            await _idle(source, library)
            run = Run(place, data, size, source.uniform(*WAITS_S), spec.services)
            runs.append(run)
            await _prepared(case, run, library)
            queued = _queued_ns(schedstat)
            await _visited(place, case, run, detector, library)
            run.truths[:] = [_with_queued(truth, queued, _queued_ns(schedstat)) for truth in run.truths]
    await library.sleep(SETTLE_S)
    reports = await _finished(detector.stop()) if detector.inside else []
    return runs, reports


async def _finished(answer: Any) -> Any:
    """What a detector's function answered, be it a coroutine function or not."""
    return await answer if inspect.isawaitable(answer) else answer


async def _prepared(case: Case, run: Run, library: Runtime) -> None:
    if case.prepare:
        run.given = await library.in_thread(case.prepare, run)


async def _visited(place: str, case: Case, run: Run, detector: adapters.Detector, library: Runtime) -> None:
    """One go. Where the detector makes it fail, it is gone through again without it: only so is there a time to judge by."""
    try:
        await library.visit(place, case.body, run)
    except Exception as error:
        if not isinstance(detector, adapters.Refuser) or not detector.refused(error):
            raise
        with detector.paused():
            run.truths.clear()
            await _prepared(case, run, library)
            await library.visit(place, case.body, run)
        detector.place(run.truths[0].start_ns if run.truths else now())


def _schedstat() -> int | None:
    """This thread's account, kept open: there are detectors that do not let a file be opened or read on the loop."""
    try:
        return os.open(SCHEDSTAT, os.O_RDONLY)
    except OSError:
        return None


def _queued_ns(schedstat: int | None) -> int | None:
    """For how long this thread has been ready but not run so far."""
    return None if schedstat is None else int(os.pread(schedstat, 128, 0).split()[1])


def _with_queued(truth: Truth, before: int | None, after: int | None) -> Truth:
    if before is None or after is None:
        return truth
    return replace(truth, runqueue_ns=min(after - before, truth.end_ns - truth.start_ns))


async def _warm_up(places: tuple[str, ...], library: Runtime) -> None:
    """Runs every place once with nothing to do, and lets the detector find its feet."""
    for place in places:
        if place != "task":
            await library.visit(place, lambda run: None, Run(place, None, 0, 0.0, {}))
    await library.sleep(WARM_UP_S)


async def _idle(source: random.Random, library: Runtime) -> None:
    """An idle loop, or one that ticks: detectors that count turns see the two differently."""
    left, ticking = source.uniform(*IDLE_S), source.random() < 0.5
    while ticking and left > 0.02:
        await library.sleep(0.02)
        left -= 0.02
    await library.sleep(left)


if __name__ == "__main__":
    result = main(Spec(**json.loads(sys.argv[1])))
    Path(sys.argv[2]).write_text(json.dumps(outcome_to_json(result)))
