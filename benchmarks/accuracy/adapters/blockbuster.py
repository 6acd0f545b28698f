"""blockbuster: a known blocking call raises `BlockingError` on a loop, instead of being made. It measures no time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from traceback import walk_tb
from typing import Any

from benchmarks.accuracy.facts import Report

__all__ = ["detector", "meaning", "report_of"]

MEANS = (
    ("time.sleep", ("sleep",)),
    ("threading.Lock.", ("lock",)),
    ("lock.acquire", ("lock",)),
    ("socket.", ("network",)),
    ("ssl.", ("network",)),
    ("sqlite3.", ("disk", "native", "lock")),
    ("os.read", ("disk", "network", "subprocess")),  # of a file, a pipe or a socket: it does not say
    ("os.write", ("disk", "network", "subprocess")),
    ("os.", ("disk",)),
    ("posix.", ("disk",)),
    ("io.", ("disk",)),
    ("builtins.input", ("disk",)),
)


def meaning(call: str) -> tuple[str, ...]:
    """Which causes the name of the call that it refused stands for."""
    return next((means for start, means in MEANS if call.removeprefix("_thread.").startswith(start)), ())


def report_of(error: BaseException) -> Report | None:
    """What its error says, wherever in a chain or group of errors it is; None where there is none.

    Its traceback ends in blockbuster itself; the line above that is the call.
    """
    refusal = _refusal(error, set())
    if refusal is None:
        return None
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(refusal.__traceback__)]
    frames = [(file, line) for file, line in frames if "/blockbuster/" not in file]
    file, line = frames[-1] if frames else (None, None)
    call = str(refusal).removeprefix("Blocking call to ")
    return Report(0, None, file, line, cause=call, means=meaning(call), exact=True, stack=tuple(frames))


def _refusal(error: BaseException | None, seen: set[int]) -> BaseException | None:
    if error is None or id(error) in seen:
        return None
    seen.add(id(error))
    if type(error).__name__ == "BlockingError":
        return error
    inner = (*getattr(error, "exceptions", ()), error.__cause__, error.__context__)
    return next(filter(None, (_refusal(one, seen) for one in inner)), None)


class _BlockBuster:
    inside = True

    def __init__(self) -> None:
        self._buster: Any = None
        self._reports: list[Report] = []

    def start(self, threshold_ms: float) -> None:
        from blockbuster import BlockBuster

        self._buster = BlockBuster()
        self._buster.activate()

    def stop(self) -> list[Report]:
        self._buster.deactivate()
        return self._reports

    def refused(self, error: BaseException) -> bool:
        report = report_of(error)
        if report:
            self._reports.append(report)
        return report is not None

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._buster.deactivate()
        try:
            yield
        finally:
            self._buster.activate()

    def place(self, start_ns: int) -> None:
        self._reports[-1] = replace(self._reports[-1], start_ns=start_ns)


def detector() -> _BlockBuster:
    return _BlockBuster()
