"""loopwatch says which line blocked the event loop, why, for how long, and whom it held up.

>>> import loopwatch
>>> watch = loopwatch.enable(threshold_ms=100)
>>> loopwatch.disable()

Importing this package imports nothing else: each name is fetched from its module when it is first used.
"""

TYPE_CHECKING = False  # what type checkers take for typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from loopwatch.allowing import allow
    from loopwatch.enabling import disable, enable, watching
    from loopwatch.errors import LoopwatchError, MissingExtraError, SettingError
    from loopwatch.records import (
        Cause,
        Frame,
        Holder,
        Incident,
        LoopInfo,
        LoopStats,
        Origin,
        PoolReading,
        PoolSaturation,
        PoolWorkers,
        RequestInfo,
        Severity,
        Share,
        Stall,
        TraceInfo,
        Waiting,
    )
    from loopwatch.trio_instrument import TrioInstrument
    from loopwatch.watch import Watch

    __version__: str

_HOMES = {
    "loopwatch.allowing": ("allow",),
    "loopwatch.enabling": ("disable", "enable", "watching"),
    "loopwatch.errors": ("LoopwatchError", "MissingExtraError", "SettingError"),
    "loopwatch.records": (
        *(
            "Cause",
            "Frame",
            "Holder",
            "Incident",
            "LoopInfo",
            "LoopStats",
            "Origin",
            "PoolReading",
            "PoolSaturation",
            "PoolWorkers",
            "RequestInfo",
            "Severity",
            "Share",
            "Stall",
            "TraceInfo",
            "Waiting",
        ),
    ),
    "loopwatch.trio_instrument": ("TrioInstrument",),
    "loopwatch.watch": ("Watch",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Cause",
    "Frame",
    "Holder",
    "Incident",
    "LoopInfo",
    "LoopStats",
    "LoopwatchError",
    "MissingExtraError",
    "Origin",
    "PoolReading",
    "PoolSaturation",
    "PoolWorkers",
    "RequestInfo",
    "SettingError",
    "Severity",
    "Share",
    "Stall",
    "TraceInfo",
    "TrioInstrument",
    "Waiting",
    "Watch",
    "allow",
    "disable",
    "enable",
    "watching",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("loopwatch")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
