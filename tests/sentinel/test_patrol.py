"""What the sentinel does next, decided from hand-made stamps."""

import pytest

from loopwatch.sentinel.patrol import ANNOUNCE, AT_ONCE, REST, SPY, Patrol, late_ns, outrun

MS = 1_000_000
START = 1_000_000 * MS
LIMITS = (77, 100 * MS, 1000 * MS, 5 * MS)
DUE = START + 50 * MS
STAMP = (START, DUE, 0, 0, 0)


def kept_out(patrol, until_ms, stamp=STAMP, limits=LIMITS, state="S"):
    """Actions, with how late the watchdog was (ms), while it waits for the GIL and nobody stamps."""
    now, done = DUE, []
    while now < DUE + until_ms * MS:
        until = patrol.rest(stamp, limits, now)
        action, until = (REST, until) if until else patrol.next(stamp, limits, now, state)
        if action != REST:
            done.append((action, (now - DUE) // MS))
        assert until > now or action != REST
        now = max(until, now)
    return done


def test_in_time():
    """While the watchdog is in time the sentinel sleeps until it would not be."""
    assert Patrol().rest(STAMP, LIMITS, START + 3 * MS) == DUE + late_ns(LIMITS[1])


def test_lazy():
    """A process that has been idle for long is looked at less often, until a turn is seen under way."""
    patrol, now = Patrol(), START
    patrol.rest(STAMP, LIMITS, now)
    later = START + 11_000 * MS
    idle, busy = (later, later + 50 * MS, 0, 0, 0), (later, later + 50 * MS, 7, later, 0)

    assert patrol.rest(idle, LIMITS, later) == later + 125 * MS
    assert patrol.rest(idle, LIMITS, later + 60 * MS) == later + 75 * MS  # it has missed its time: now it is waited for
    assert patrol.rest(busy, LIMITS, later) == later + 75 * MS
    assert patrol.rest(idle, LIMITS, later) == later + 75 * MS


def test_one_dump():
    """One dump is taken of one wait, as soon as the watchdog is too late to be merely taking turns."""
    assert kept_out(Patrol(), 500) == [(SPY, 25)]


def test_announcements():
    """A process that stays frozen is announced at `ongoing_ms`, then at doubling intervals."""
    done = kept_out(Patrol(), 9000)

    assert [at for action, at in done if action == ANNOUNCE] == [1000, 2000, 4000, 8000]


def test_no_announcements():
    """Where nothing is to be announced, nothing is."""
    assert kept_out(Patrol(), 9000, limits=(77, 100 * MS, 0, 5 * MS)) == [(SPY, 25)]


@pytest.mark.parametrize("state", ["R", "T", "t", "D", "Z", ""])
def test_not_waiting(state):
    """A watchdog that lacks a core, is stopped, or has ended does not wait for the GIL: nothing is done."""
    assert kept_out(Patrol(), 3000, state=state) == []


def test_no_loop():
    """Without a loop the watchdog sleeps for as long as it likes."""
    assert kept_out(Patrol(), 5000, stamp=(START, 0, 0, 0, 0)) == []


def test_jump():
    """A machine that slept finds the stamp long overdue, and is not taken for a frozen process."""
    patrol = Patrol()

    actions = [patrol.next(STAMP, LIMITS, DUE + 60_000 * MS, "S")[0] for _ in range(2)]

    assert actions == [SPY, REST]


def test_new_stamp():
    """Each wait of the watchdog has a dump of its own."""
    patrol = Patrol()
    later = (DUE + 200 * MS, DUE + 250 * MS, 0, 0, 0)

    assert patrol.next(STAMP, LIMITS, DUE + 30 * MS, "S")[0] == SPY
    assert patrol.next(STAMP, LIMITS, DUE + 60 * MS, "S")[0] == REST
    assert patrol.next(later, LIMITS, DUE + 280 * MS, "S")[0] == SPY


def test_budget():
    """A process that keeps the GIL all the time costs no more than one dump in ten seconds in the long run."""
    patrol, dumps = Patrol(), 0
    for number in range(600):  # a minute of waits of 100 ms
        due = DUE + number * 100 * MS
        dumps += patrol.next((due - MS, due, 0, 0, 0), LIMITS, due + 30 * MS, "S")[0] == SPY

    assert AT_ONCE < dumps <= AT_ONCE + 6


def test_outrun():
    """A watchdog that is woken more often than it may ask for the GIL is outrun: nobody keeps it, and nothing is done."""
    patrol = Patrol()

    done = {patrol.next(STAMP, LIMITS, DUE + late * MS, "S", is_outrun=True)[0] for late in range(30, 3000, 30)}

    assert done == {REST}
    stamp = (START, DUE, 0, 0, 5000)
    assert not outrun(stamp, LIMITS, DUE + 1000 * MS, sleeps=5200)
    assert outrun(stamp, LIMITS, DUE + 1000 * MS, sleeps=5250)


@pytest.mark.parametrize(("threshold_ms", "late_ms"), [(10, 20), (100, 25), (200, 50), (10_000, 100)])
def test_late(threshold_ms, late_ms):
    """How late is late follows the threshold, within bounds."""
    assert late_ns(threshold_ms * MS) == late_ms * MS
