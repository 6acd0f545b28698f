"""Settings: what they are, where they come from, and what to say when one is wrong.

A keyword beats the environment (`LOOPWATCH_*`), which beats `[tool.loopwatch]` of the nearest pyproject.toml, which
beats the default. Reading happens when a watch begins, on the caller's thread, never later.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from loopwatch import checks
from loopwatch.errors import SettingError

__all__ = ["Settings", "resolve"]

ENVIRONMENT_PREFIX = "LOOPWATCH_"
NAMED_SINKS = {
    "alertmanager": ("alertmanager", "AlertmanagerSink", "URL"),
    "apprise": ("apprise", "AppriseSink", "URL"),
    "jsonl": ("jsonl", "JsonlSink", "PATH"),
    "livez": ("livez", "LivezSink", "PORT"),
    "logging": ("logging", "LoggingSink", ""),
    "otel": ("otel", "OpenTelemetrySink", ""),
    "pagerduty": ("pagerduty", "PagerDutySink", "ROUTING_KEY"),
    "prometheus": ("prometheus", "PrometheusSink", "[[HOST:]PORT]"),
    "sentry": ("sentry", "SentrySink", ""),
    "slack": ("slack", "SlackSink", "URL"),
    "structlog": ("structlog", "StructlogSink", ""),
    "webhook": ("webhook", "WebhookSink", "URL"),
}
"""Module of `loopwatch.sinks`, class, what must follow the name and a colon ("": nothing; "[X]": X, or nothing)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one watch. Milliseconds are floats; every bound is a positive number."""

    threshold_ms: float = 100.0
    """A turn this long is a stall."""
    ongoing_ms: float | None = 1000.0
    """A stall is announced while it lasts from here on, then at doubling intervals; None: only at its end."""
    saturated_ms: float | None = 1000.0
    """A pool for which work has been waiting this long is told of, then at doubling intervals; None: pools are not looked at."""
    sinks: tuple[Any, ...] = ("structlog",)
    """Callables that take a `Stall`, or names ("structlog"), with what they need after a colon."""
    app_packages: tuple[str, ...] = ()
    """Installed packages (import names) that count as the user's code."""
    grace_ms: float = 0.0
    """Stalls that end within so much time of a loop's start are counted, not reported."""
    repeat_ms: float = 60_000.0
    """After the first five, records of one fingerprint come so far apart at least, and ever farther as it goes on."""
    records_per_minute: int = 30
    """Records of all fingerprints that a named sink gets; what is held back is counted in the next."""
    stacks_per_minute: int = 10
    """So many of them carry their stack; beyond, they come without. 0: none does."""
    quiet_ms: float = 60_000.0
    """An incident without a stall for so long is quiet; after five times that it is closed."""
    rules: tuple[Any, ...] = ()
    """Rules of your own, `(Observation) -> Verdict | None` (`loopwatch.observations`), asked for the cause before ours."""
    session: str | None = None
    """File to record to; None: no recording."""
    sentinel: bool = False
    """Whether to start the sentinel: a process that sees the line that keeps the GIL (Linux; needs py-spy)."""
    stuck_ms: float = 30_000.0
    """`/livez` says that a process is not alive once a loop of it has been stuck for this long."""
    max_frames: int = 64
    """Frames kept of one sample; the middle of a deeper stack is left out."""
    max_samples: int = 200
    """Samples kept of one stall; older ones are thinned out."""
    keep: int = 1000
    """How many ended stalls, and how many incidents, `Watch` remembers."""
    enabled: bool = True
    """False: nothing is watched or installed, whoever asks for it: `LOOPWATCH_ENABLED=0` is the way back in production."""
    verbose: bool = False
    """Whether each process says on stderr, once, what is watched in it; else that is a line of level DEBUG in the log."""

    @property
    def threshold_ns(self) -> int:
        return int(self.threshold_ms * 1e6)

    @property
    def ongoing_ns(self) -> int | None:
        return None if self.ongoing_ms is None else int(self.ongoing_ms * 1e6)

    @property
    def saturated_ns(self) -> int | None:
        return None if self.saturated_ms is None else int(self.saturated_ms * 1e6)


def resolve(
    keywords: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    project: tuple[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Settings from all their sources.

    Args:
        keywords: What the caller passed.
        environ: None: `os.environ`.
        project: Where `[tool.loopwatch]` was read and what it says; None: look for it from the current folder upwards.

    Raises:
        SettingError: a name is unknown, or a value cannot be used.
    """
    values: dict[str, Any] = {}
    where_project, table = find_project() if project is None else project
    for name, value in table.items():
        values[name] = _checked(name, value, f"[tool.loopwatch] in {where_project}")
    for name, text in _from_environment(os.environ if environ is None else environ).items():
        values[name] = _checked(name, text, ENVIRONMENT_PREFIX + name.upper())
    for name, value in keywords.items():
        values[name] = _checked(name, value, "a keyword argument")
    return Settings(**values)


CHANGEABLE = frozenset(
    "threshold_ms ongoing_ms grace_ms repeat_ms records_per_minute stacks_per_minute quiet_ms stuck_ms".split()
)


def changed(settings: Settings, keywords: Mapping[str, Any]) -> Settings:
    """These settings with others for those that may change while a watch runs.

    Raises:
        SettingError: a name is unknown or may not change, or a value cannot be used.
    """
    values = {name: _checked(name, value, "a keyword argument") for name, value in keywords.items()}
    fixed = sorted(set(values) - CHANGEABLE)
    if fixed:
        raise SettingError(
            f"cannot change {', '.join(fixed)} of a watch that runs, only {', '.join(sorted(CHANGEABLE))}; "
            "close it and make another"
        )
    return replace(settings, **values)


def find_project(start: Path | None = None) -> tuple[str, Mapping[str, Any]]:
    """`[tool.loopwatch]` of the nearest pyproject.toml at or above `start` (None: the current folder), with its path."""
    import tomllib  # only a process that has a pyproject.toml pays for the parser

    try:
        here = (start or Path.cwd()).resolve()
    except OSError:  # the current folder was deleted
        return "", {}
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError):  # not ours to complain about
            return "", {}
        except tomllib.TOMLDecodeError as error:
            raise SettingError(f"cannot read {path}: {error}; mend the file, or start from another folder") from error
        return str(path), _table(document, path)
    return "", {}


def _table(document: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    tool = document.get("tool", {})
    table = tool.get("loopwatch", {}) if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        raise SettingError(f"invalid [tool.loopwatch] {table!r} in {path}; make it a table: [tool.loopwatch]")
    return table


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    names = {field.name for field in fields(Settings)}
    found = {
        key[len(ENVIRONMENT_PREFIX) :].lower(): text
        for key, text in environ.items()
        if key.startswith(ENVIRONMENT_PREFIX)
    }
    # Other LOOPWATCH_* variables may belong to a launcher or to a test suite: not ours to refuse.
    return {name: text for name, text in found.items() if name in names and text.strip()}


def _checked(name: str, value: Any, where: str) -> Any:
    check = _CHECKS.get(name)
    if check is None:
        raise SettingError(f"unknown setting {name!r} from {where}; there are: {', '.join(sorted(_CHECKS))}")
    try:
        return check(value)
    except (TypeError, ValueError) as error:
        raise SettingError(f"invalid {name} {shown(name, value)} from {where}; {error}") from None


def _sentinel(value: Any) -> bool:
    wanted = checks.flag(value)
    if wanted:
        from loopwatch.sentinel.refusal import find_program

        if find_program() is None:
            raise ValueError("it needs py-spy, which is not installed: pip install 'loopwatch[sentinel]'")
    return wanted


def _sinks(value: Any) -> tuple[Any, ...]:
    sinks = tuple(checks.listed(value))
    for sink in sinks:
        check_sink(sink)
    return sinks


def check_sink(sink: Any) -> None:
    """Whether it may be a sink, as far as can be said without importing anything.

    Raises:
        ValueError: says what would be right, and no more of what follows a colon than that it does.
    """
    if callable(sink):
        return
    name, argument = sink_name(sink) if isinstance(sink, str) else ("", "")
    if name not in NAMED_SINKS:
        raise ValueError(f"give callables that take a Stall, or names: {', '.join(_patterns())}")
    wanted = NAMED_SINKS[name][2]
    if bool(argument) != bool(wanted) and not wanted.startswith("["):
        raise ValueError(f"write it as {name}:{wanted}" if wanted else f"write it as {name}, with nothing after it")


def sink_name(text: str) -> tuple[str, str]:
    """A named sink's name, and what follows the colon."""
    name, _, argument = text.partition(":")
    return name.strip(), argument.strip()


def _patterns() -> list[str]:
    return [name + _pattern(wanted) for name, (_, _, wanted) in sorted(NAMED_SINKS.items())]


def _pattern(wanted: str) -> str:
    if wanted.startswith("["):
        return f"[:{wanted[1:-1]}]"
    return f":{wanted}" if wanted else ""


def shown(name: str, value: Any) -> str:
    """A setting's value for messages: what follows a sink's name may hold a secret."""
    if name == "sinks" and isinstance(value, str):
        return repr(re.sub(r":[^,]*", ":...", value))
    if name == "sinks" and isinstance(value, list | tuple):
        return f"[{', '.join(shown(name, sink) for sink in value)}]"
    return repr(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "threshold_ms": checks.positive_ms,
    "ongoing_ms": checks.positive_ms_or_none("for a report only at the end"),
    "saturated_ms": checks.positive_ms_or_none("to leave pools alone"),
    "sinks": _sinks,
    "app_packages": checks.packages,
    "grace_ms": checks.any_ms,
    "repeat_ms": checks.positive_ms,
    "records_per_minute": checks.whole(1),
    "stacks_per_minute": checks.whole(0),
    "quiet_ms": checks.positive_ms,
    "rules": checks.callables,
    "session": checks.not_yet(checks.path),
    "sentinel": _sentinel,
    "stuck_ms": checks.positive_ms,
    "max_frames": checks.whole(4),
    "max_samples": checks.whole(2),
    "keep": checks.whole(1),
    "enabled": checks.flag,
    "verbose": checks.flag,
}
