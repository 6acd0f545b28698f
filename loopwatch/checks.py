"""Whether a value can be used: each check takes what somebody wrote and gives what is meant.

Where it cannot, a check raises ValueError and says what would be right; `settings.py` adds the value and where it came from.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from loopwatch.errors import SettingError

__all__ = [
    "any_ms",
    "callables",
    "check_allowance",
    "flag",
    "listed",
    "not_yet",
    "packages",
    "path",
    "positive_ms",
    "positive_ms_or_none",
    "whole",
]

LEAST_MS, MOST_MS = 0.1, 1e9


def positive_ms(value: Any) -> float:
    """Milliseconds above 0."""
    number = _number(value)
    if not LEAST_MS <= number <= MOST_MS:
        raise ValueError(f"give milliseconds above 0, from {LEAST_MS:g} to {MOST_MS:g}, such as 50")
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("give milliseconds above 0, such as 50")
    try:
        return float(value)
    except ValueError:
        raise ValueError("give milliseconds above 0, such as 50") from None


def any_ms(value: Any) -> float:
    """Milliseconds, 0 included."""
    number = _number(value)
    if not 0 <= number <= MOST_MS:
        raise ValueError(f"give milliseconds, from 0 to {MOST_MS:g}, such as 10000")
    return number


def positive_ms_or_none(none_means: str) -> Callable[[Any], float | None]:
    """Makes a check for milliseconds above 0, where None, "none" or "off" is None; `none_means` tells what that is for."""

    def check(value: Any) -> float | None:
        if value is None or (isinstance(value, str) and value.strip().lower() in {"none", "off"}):
            return None
        try:
            return positive_ms(value)
        except ValueError as error:
            raise ValueError(f"{error}, or None {none_means}") from None

    return check


def whole(at_least: int) -> Callable[[Any], int]:
    """Makes a check for whole numbers from `at_least` on."""

    def check(value: Any) -> int:
        text = value.strip() if isinstance(value, str) else value
        number = int(text) if isinstance(text, str) and text.isdigit() else text
        if isinstance(number, bool) or not isinstance(number, int) or number < at_least:
            raise ValueError(f"give a whole number, {at_least} or more")
        return number

    return check


def flag(value: Any) -> bool:
    """True or false, also in words."""
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError("give true or false")


def path(value: Any) -> str | None:
    """A file's path; None: none."""
    if value is None:
        return None
    if isinstance(value, str | os.PathLike) and str(value).strip():
        return os.fspath(value)
    raise ValueError("give a file's path")


def listed(value: Any) -> Iterable[Any]:
    """One value or several, or text with commas, as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        return list(value)
    return [value]


def packages(value: Any) -> tuple[str, ...]:
    """Import names."""
    names = tuple(listed(value))
    if not all(isinstance(name, str) and name.replace(".", "_").isidentifier() for name in names):
        raise ValueError("give import names, such as 'mycompany_app'")
    return names


def callables(value: Any) -> tuple[Any, ...]:
    """Rules for the cause."""
    rules = tuple(listed(value))
    if not all(callable(rule) for rule in rules):
        raise ValueError("give callables that take an Observation and return a Verdict or None")
    return rules


def not_yet(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A setting of the contract that this version does not serve: only its default is taken."""

    def refuse(value: Any) -> Any:
        if check(value):
            raise ValueError("this version cannot do that yet; leave it out")
        return check(value)

    return refuse


def check_allowance(door: str, reason: Any, up_to_ms: Any) -> None:
    """Whether blocking may be allowed so.

    Raises:
        SettingError: `reason` is empty, or `up_to_ms` is neither above 0 nor None.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise SettingError(f"invalid reason {reason!r} for {door}; say in words why blocking is expected here")
    if up_to_ms is not None and (
        isinstance(up_to_ms, bool) or not isinstance(up_to_ms, int | float) or not 0 < up_to_ms < float("inf")
    ):
        raise SettingError(f"invalid up_to_ms {up_to_ms!r} for {door}; give milliseconds above 0, or None")
