"""What a record says of itself."""

import pytest
from facts import ongoing, stall

from loopwatch.records import CRITICAL_MS, ERROR_MS, Cause, Severity, severity_of

HOST = {Cause.STARVED, Cause.SUSPENDED}


@pytest.mark.parametrize(
    ("duration_ms", "severity"),
    [
        (0.1, "warning"),
        (ERROR_MS - 1, "warning"),
        (ERROR_MS, "error"),
        (CRITICAL_MS - 1, "error"),
        (CRITICAL_MS, "critical"),
    ],
)
@pytest.mark.parametrize("cause", sorted(set(Cause) - HOST))
def test_severity(cause, duration_ms, severity):
    """The longer the worse, whatever the program did; also where that is not known."""
    assert severity_of(cause, duration_ms) == severity


@pytest.mark.parametrize("duration_ms", [100, 1e9])
def test_the_machine_pages_nobody(duration_ms):
    """What the machine did to the process is never an error, however long it took."""
    assert severity_of(Cause.STARVED, duration_ms) is Severity.WARNING
    assert severity_of(Cause.SUSPENDED, duration_ms) is Severity.INFO


def test_severity_rises_while_a_stall_lasts():
    """A stall has the severity of its duration so far."""
    assert [ongoing(ms).severity for ms in (500, 1000, 10_000)] == ["warning", "error", "critical"]


def test_ranks():
    """Severities compare by their rank."""
    assert sorted(Severity, key=lambda one: one.rank) == ["info", "warning", "error", "critical"]


def test_only_counted():
    """What is allowed, and a pause of the whole process, is counted and not reported."""
    stalls = [stall(), stall(allowed="warm-up"), stall(cause=Cause.SUSPENDED)]

    assert [one.only_counted for one in stalls] == [False, True, True]
