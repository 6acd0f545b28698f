"""The doors: `enable`, `disable` and `watching`. Each gives a `Watch`, or ends it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopwatch.engine import ENGINE
from loopwatch.errors import SettingError
from loopwatch.settings import Settings, resolve, shown
from loopwatch.watch import Watch

__all__ = ["disable", "enable", "enable_as", "watching"]

_enabled: dict[str, Watch] = {}
"""The process-wide watches: of the program ("enable") and of a launcher ("auto"). The former never fails because of the latter."""


def enable(**settings: Any) -> Watch:
    """Watch every loop of this process, running now or later.

    Settings: see `loopwatch.settings.Settings`; what is not given comes from `LOOPWATCH_*`, `[tool.loopwatch]`, or the default.

    Returns:
        The watch. The same settings again give the same watch.

    Raises:
        SettingError: a setting cannot be used, or loopwatch is enabled already with others (`disable()` first).
    """
    return enable_as("enable", settings)


def enable_as(kind: str, settings: dict[str, Any]) -> Watch:
    """`enable` on behalf of the program ("enable") or of a launcher ("auto")."""
    wanted = resolve(settings)
    with ENGINE.enabling:
        present = _enabled.get(kind)
        if present is None or present.closed:
            present = _enabled[kind] = Watch(wanted)
        elif present.asked_for != wanted:
            raise SettingError(
                f"loopwatch is enabled already, with {_difference(present.asked_for, wanted)}; "
                "call loopwatch.disable() first, or use loopwatch.watching() for a second watch"
            )
        return present


def _difference(present: Settings, wanted: Settings) -> str:
    names = [name for name in Settings.__dataclass_fields__ if getattr(present, name) != getattr(wanted, name)]
    return ", ".join(
        f"{name}={shown(name, getattr(present, name))} (asked for now: {shown(name, getattr(wanted, name))})"
        for name in names
    )


def disable() -> None:
    """End what `enable()` or `import loopwatch.auto` began: everything that was installed is uninstalled.

    Watches made by `watching()` go on. Without an enabled watch this does nothing.
    """
    for kind in list(_enabled):
        watch = _enabled.pop(kind, None)
        if watch is not None:
            watch.close()


@contextmanager
def watching(**settings: Any) -> Iterator[Watch]:
    """Watch every loop of this process within a `with` block, beside whatever else watches.

    Raises:
        SettingError: a setting cannot be used.
    """
    wanted = resolve(settings)
    watch = Watch(wanted)
    try:
        yield watch
    finally:
        watch.close()
