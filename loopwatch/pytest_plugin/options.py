"""What the command line, the environment and the ini file ask for, and what to say when one is wrong.

The command line beats the environment, which beats the ini file (pytest.ini, `[tool.pytest]` in pyproject.toml, ...). Read when
pytest starts; imports nothing of loopwatch's.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["MARKER_HELP", "Options", "declare", "milliseconds", "resolve"]

DEFAULT_MS = 50.0
FLOAT = "float" if pytest.version_tuple >= (8, 4) else "string"
"""The type of an ini option in milliseconds: older pytests know no floats, and this is declared in all of their sessions."""
MARKER_HELP = (
    "loopwatch(max_ms=None, allow=None, up_to_ms=None, strict=None): fail the test if it blocks an event loop for max_ms or "
    'longer; allow="reason": blocking is expected here, all of it or up_to_ms of each block; strict=True: fail on any blocking '
    "call. Works without --loopwatch."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the session asks for, and where each limit comes from."""

    enabled: bool
    """Whether tests without the marker are watched, too."""
    max_ms: float
    source: str
    """Where `max_ms` comes from, in words."""
    strict: bool
    strict_source: str
    count_gc: bool
    """Whether pauses of the garbage collector are the test's own."""
    allow: tuple[str, ...]
    """Callers whose blocking calls strict mode lets pass: "module" or "module:function"."""
    baseline: Path | None
    update_baseline: bool
    report: Path | None


@dataclass(frozen=True, slots=True)
class Knob:
    """One option under its three names."""

    name: str
    """As pytest's `dest` and ini name: `loopwatch_max_ms`."""
    environment: str
    check: Callable[[Any], Any]
    default: Any

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def declare(parser: pytest.Parser) -> None:
    """Add our options to pytest's. The values stay text: `resolve` checks them, whatever their source."""
    group = parser.getgroup("loopwatch", "loopwatch: no test may block the event loop")
    for name, how, text in COMMAND_LINE:
        group.addoption(name, default=None, help=text, **how)
    for name, kind, text in INI:
        parser.addini(name, text, type=kind, default=None)  # type: ignore[arg-type]  # a name of a type


ON = {"action": "store_const", "const": True}
COMMAND_LINE: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "--loopwatch",
        {**ON, "dest": "loopwatch"},
        "fail every test that blocks an event loop (the other options below switch this on, too)",
    ),
    (
        "--no-loopwatch",
        {"action": "store_const", "const": False, "dest": "loopwatch"},
        "only tests with the marker are watched",
    ),
    (
        "--loopwatch-max-ms",
        {"metavar": "N"},
        f"a test fails if its own code holds a loop for N milliseconds or longer (default: {DEFAULT_MS:g}); what the machine, "  # noqa: ISC004 - one text
        "the garbage collector or another thread took is reported and does not count",
    ),
    ("--loopwatch-strict", ON, "fail on any blocking call on a loop's thread, however fast it was"),
    ("--loopwatch-count-gc", ON, "pauses of the garbage collector count as well"),
    (
        "--loopwatch-baseline",
        {"metavar": "FILE"},
        "blocks that FILE lists are known: they pass and are counted; new ones fail",
    ),
    ("--loopwatch-update-baseline", ON, "write what blocks now to the file that --loopwatch-baseline names"),
    ("--loopwatch-report", {"metavar": "FILE"}, "write all blocks and verdicts to FILE (JSON)"),
)
INI: tuple[tuple[str, str, str], ...] = (
    ("loopwatch", "bool", "as --loopwatch"),
    ("loopwatch_max_ms", FLOAT, "as --loopwatch-max-ms"),
    ("loopwatch_strict", "bool", "as --loopwatch-strict"),
    ("loopwatch_count_gc", "bool", "as --loopwatch-count-gc"),
    ("loopwatch_baseline", "string", "as --loopwatch-baseline; relative to the root folder"),
    ("loopwatch_report", "string", "as --loopwatch-report; relative to the root folder"),
    (
        "loopwatch_allow",
        "linelist",
        'callers whose blocking calls strict mode lets pass, one a line: "module:function" or "module"',
    ),
)


def resolve(config: pytest.Config, environ: Mapping[str, str] | None = None) -> Options:
    """Options from all their sources.

    Raises:
        pytest.UsageError: a value cannot be used; says which one and where it comes from.
    """
    look = _Look(config, os.environ if environ is None else environ)
    max_ms, source = look(MAX_MS)
    strict, strict_source = look(STRICT)
    options = Options(
        enabled=_enabled(look),
        max_ms=max_ms,
        source=source,
        strict=strict,
        strict_source=strict_source,
        count_gc=look(COUNT_GC)[0],
        allow=tuple(look.ini("loopwatch_allow") or ()),
        baseline=_path(config, look(BASELINE)),
        update_baseline=look(UPDATE)[0],
        report=_path(config, look(REPORT)),
    )
    if options.update_baseline and options.baseline is None:
        raise pytest.UsageError("--loopwatch-update-baseline needs a file to write: give --loopwatch-baseline=FILE")
    return options


class _Look:
    """Looks a knob up: command line, environment, ini."""

    def __init__(self, config: pytest.Config, environ: Mapping[str, str]) -> None:
        self.config = config
        self.environ = environ

    def __call__(self, knob: Knob) -> tuple[Any, str]:
        """The value and its source; the default's source is "the default"."""
        given = self.config.getoption(knob.name, None)
        if given is not None:
            return self._checked(knob, given, knob.flag), knob.flag
        text = self.environ.get(knob.environment, "").strip()
        if text:
            return self._checked(knob, text, knob.environment), knob.environment
        written = self.ini(knob.name)
        if written is not None:
            where = f"{knob.name} in {self.config.inipath.name if self.config.inipath else 'the ini file'}"
            return self._checked(knob, written, where), where
        return knob.default, "the default"

    def ini(self, name: str) -> Any:
        try:
            return self.config.getini(name)
        except (TypeError, ValueError, pytest.UsageError) as error:
            if name not in [one for one, _, _ in INI]:  # --loopwatch-update-baseline has no ini option
                return None
            raise pytest.UsageError(f"invalid {name} in {self.config.inipath}: {error}") from None

    @staticmethod
    def _checked(knob: Knob, value: Any, where: str) -> Any:
        try:
            return knob.check(value)
        except ValueError as error:
            raise pytest.UsageError(f"invalid value {value!r} from {where}; {error}") from None


def milliseconds(value: Any) -> float:
    """A limit in milliseconds.

    Raises:
        ValueError: it is none; says what would be right.
    """
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        number = -1.0
    if not 1 <= number < 1e9:  # noqa: PLR2004 - what no scheduler promises, nobody can be held to
        raise ValueError("give milliseconds, 1 or more, such as 50")
    return number


def _flag(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() in words:
        return words[str(value).lower()]
    raise ValueError("give true or false")


ENABLED = Knob("loopwatch", "LOOPWATCH_PYTEST", _flag, default=False)
MAX_MS = Knob("loopwatch_max_ms", "LOOPWATCH_MAX_MS", milliseconds, default=DEFAULT_MS)
STRICT = Knob("loopwatch_strict", "LOOPWATCH_STRICT", _flag, default=False)
COUNT_GC = Knob("loopwatch_count_gc", "LOOPWATCH_COUNT_GC", _flag, default=False)
BASELINE = Knob("loopwatch_baseline", "LOOPWATCH_BASELINE", str, default=None)
UPDATE = Knob("loopwatch_update_baseline", "LOOPWATCH_UPDATE_BASELINE", _flag, default=False)
REPORT = Knob("loopwatch_report", "LOOPWATCH_REPORT", str, default=None)
IMPLY = (MAX_MS, STRICT, COUNT_GC, BASELINE, UPDATE, REPORT)
"""Who gives one of these on the command line means the gate to be on."""


def _enabled(look: _Look) -> bool:
    asked: bool = look(ENABLED)[0]
    if look.config.getoption("loopwatch", None) is not None:
        return asked
    return asked or any(look.config.getoption(knob.name, None) is not None for knob in IMPLY)


def _path(config: pytest.Config, found: tuple[str | None, str]) -> Path | None:
    """A path given by hand is relative to where pytest was called, one in the ini file to the root folder."""
    text, source = found
    if text is None:
        return None
    base = config.rootpath if " in " in source else config.invocation_params.dir
    return base / Path(text).expanduser()
