"""What is asked of one test: its markers before the session's options. Pure but for reading the item's markers."""

from collections.abc import Mapping
from typing import Any

import pytest

from loopwatch.pytest_plugin.facts import Demand
from loopwatch.pytest_plugin.options import Options, milliseconds

__all__ = ["DemandError", "demand_of"]

KEYWORDS = ("max_ms", "allow", "up_to_ms", "strict")


class DemandError(Exception):
    """A marker cannot be used. The message names the value, the test and what would be right."""


def demand_of(item: pytest.Item, options: Options) -> Demand | None:
    """What is asked of the test; None: nothing.

    Raises:
        DemandError: a marker cannot be used.
    """
    markers = [_checked(marker, item) for marker in item.iter_markers("loopwatch")]
    gates = options.enabled or bool(markers)
    if not gates and "loopwatch" not in getattr(item, "fixturenames", ()):
        return None
    # Nearest first: what a test's own marker leaves open, that of its class or module may say.
    max_ms = next((kw["max_ms"] for kw in markers if "max_ms" in kw), None)
    strict = next((kw["strict"] for kw in markers if "strict" in kw), None)
    allowing: Mapping[str, Any] = next((kw for kw in markers if "allow" in kw), {})
    return Demand(
        max_ms=options.max_ms if max_ms is None else max_ms,
        source=options.source if max_ms is None else "its marker",
        gates=gates,
        strict=options.strict and gates if strict is None else strict,
        strict_source=options.strict_source if strict is None else "its marker",
        allow=allowing.get("allow"),
        up_to_ms=allowing.get("up_to_ms"),
        count_gc=options.count_gc,
    )


def _checked(marker: pytest.Mark, item: pytest.Item) -> dict[str, Any]:
    """The marker's keywords.

    Raises:
        DemandError: one cannot be used.
    """
    where = f"@pytest.mark.loopwatch of {item.nodeid}"
    if marker.args:
        raise DemandError(
            f"invalid {marker.args[0]!r} from {where}; name it: {', '.join(f'{one}=' for one in KEYWORDS)}"
        )
    given = {key: value for key, value in marker.kwargs.items() if value is not None}
    for key, value in given.items():
        problem = _problem(key, value, given)
        if problem is not None:
            raise DemandError(f"invalid {key}={value!r} from {where}; {problem}")
    return given


def _problem(key: str, value: Any, given: Mapping[str, Any]) -> str | None:
    """What is wrong with one keyword and what would be right; None: nothing."""
    if key not in KEYWORDS:
        return f"there are: {', '.join(KEYWORDS)}"
    if key in {"max_ms", "up_to_ms"}:
        try:
            milliseconds(value)
        except ValueError as error:
            return str(error)
        return 'it needs a reason: allow="..."' if key == "up_to_ms" and "allow" not in given else None
    if key == "allow":
        return None if isinstance(value, str) and value.strip() else "say in words why blocking is expected here"
    return None if isinstance(value, bool) else "give True or False"
