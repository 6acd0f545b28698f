"""Stalls with one fingerprint, taken together."""

import itertools
from datetime import timedelta

import pytest
from facts import STARTED_AT, ongoing, stall
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.groups import MAX_ENDPOINTS
from loopwatch.incidents import CLOSED_AFTER, Incidents
from loopwatch.quotas import Bucket
from loopwatch.records import RequestInfo, Severity, Waiting

QUIET_S = 60.0
CLOSED_S = CLOSED_AFTER * QUIET_S


def numbered():
    """Makes ids."""
    return map(str, itertools.count()).__next__


def machine(keep=100, **limits):
    """Incidents that nothing is known of yet."""
    return Incidents(keep, numbered(), QUIET_S, **limits)


def told(news):
    """What sinks are told."""
    return [(one.news, one.fingerprint) for one in news]


def grouped(stalls, keep=100):
    """The incidents of these stalls, which come at one moment."""
    incidents = Incidents(keep, numbered())
    for one in stalls:
        incidents.add(one, now=0.0)
    return incidents.all(now=0.0)


def at(seconds):
    """So many seconds after the first stall."""
    return STARTED_AT + timedelta(seconds=seconds)


some_stalls = st.lists(
    st.builds(
        lambda name, ms, second, waiting, route: stall(
            ms,
            fingerprint=name,
            started_at=at(second),
            waiting=Waiting(requests=waiting),
            request=None if route is None else RequestInfo("GET", route, "handler"),
        ),
        st.sampled_from("abc"),
        st.integers(100, 5000),
        st.integers(0, 1000),
        st.none() | st.integers(0, 9),
        st.sampled_from([None, "/items", "/health"]),
    ),
    max_size=12,
)


def counts(incidents):
    """All of them that may not depend on the order in which stalls came."""
    return {
        one.fingerprint: (
            one.count,
            one.lost_ms,
            one.max_ms,
            one.first_at,
            one.last_at,
            (one.p50_ms, one.p95_ms, one.p99_ms),
            one.severity,
            one.waiting_max,
            dict(one.endpoints),
        )
        for one in incidents
    }


@given(some_stalls, st.randoms())
def test_order_does_not_matter(stalls, random):
    """Loops of several threads deliver their stalls in any order: the same stalls make the same incidents."""
    shuffled = list(stalls)
    random.shuffle(shuffled)

    assert counts(grouped(shuffled)) == counts(grouped(stalls))


@given(some_stalls)
def test_nothing_is_lost(stalls):
    """Every stall is in one incident, with all of its time."""
    incidents = grouped(stalls)

    assert sum(one.count for one in incidents) == len(stalls)
    assert sum(one.lost_ms for one in incidents) == sum(one.duration_ms for one in stalls)
    assert all(one.max_ms <= one.lost_ms and one.first_at <= one.last_at for one in incidents)


def test_most_lost_time_first():
    """What cost most comes first, not what happened most often."""
    incidents = grouped([stall(100, fingerprint="often")] * 3 + [stall(1000, fingerprint="long")])

    assert [(one.fingerprint, one.count, one.lost_ms) for one in incidents] == [("long", 1, 1000), ("often", 3, 300)]


def test_latest_speaks():
    """The latest stall stands for the incident: its line, its advice."""
    first, latest = stall(id="first"), stall(id="latest", advice="Use another library.")

    (incident,) = grouped([first, latest])

    assert incident.latest is latest
    assert (incident.advice, incident.origin) == ("Use another library.", latest.origin)


@pytest.mark.parametrize(("seen", "most"), [([None, None], None), ([None, 0], 0), ([2, 5, 3], 5)])
def test_waiting(seen, most):
    """The most that one stall held up; unknown is not zero."""
    (incident,) = grouped([stall(waiting=Waiting(requests=number)) for number in seen])

    assert incident.waiting_max == most


def test_endpoints():
    """The requests that held the loop are counted by endpoint, most first; a route names it better than a function."""
    requests = [RequestInfo("GET", "/items", "list_items")] * 2 + [
        RequestInfo("POST", None, "create"),
        RequestInfo(None, None, "app"),
        None,
    ]

    (incident,) = grouped([stall(request=request) for request in requests])

    assert incident.endpoints == (("GET /items", 2), ("POST create", 1), ("app", 1))


def test_bounded():
    """Beyond the bound, the incident that has been quiet longest makes room."""
    incidents = grouped([stall(fingerprint=name) for name in ("a", "b", "a", "c")], keep=2)

    assert {(one.fingerprint, one.count) for one in incidents} == {("a", 2), ("c", 1)}


def test_bounded_endpoints():
    """An incident of thousands of endpoints remembers the first ones, and goes on counting those."""
    stalls = [stall(request=RequestInfo("GET", f"/{number}", None)) for number in range(MAX_ENDPOINTS * 2)]

    (incident,) = grouped([*stalls, stalls[0], stalls[-1]])

    assert len(incident.endpoints) == MAX_ENDPOINTS
    assert incident.endpoints[0] == ("GET /0", 2)


def test_those_made_to_wait():
    """Whoever waited is added up by endpoint, apart from those who held the loop."""
    waiting = [
        Waiting(3, None, (("GET /health", 2), ("GET /items", 1))),
        Waiting(1, None, (("GET /items", 1),)),
        Waiting(),
    ]

    (incident,) = grouped([stall(waiting=one) for one in waiting])

    assert incident.waited == (("GET /health", 2), ("GET /items", 2))
    assert incident.endpoints == (("GET /items/{item_id}", 3),)


def test_percentiles():
    """Percentiles of the stalls' durations, none of them over the longest."""
    (incident,) = grouped([stall(float(ms)) for ms in range(101, 201)])

    assert (incident.p50_ms, incident.p95_ms, incident.p99_ms) == pytest.approx((150, 195, 199), rel=0.05)
    assert incident.p99_ms <= incident.max_ms == 200


# ── open, quiet, closed ─────────────────────────────────────────────────────────────────────────────────────────────


def test_states():
    """An incident is open, then quiet, then closed, and told at both ends."""
    incidents = machine()

    assert told(incidents.add(stall(fingerprint="a"), 0.0)) == [("opened", "a")]
    states = [(now, incidents.all(now)[0].state) for now in (0.0, QUIET_S - 1, QUIET_S, CLOSED_S - 1)]
    assert states == [(0.0, "open"), (QUIET_S - 1, "open"), (QUIET_S, "quiet"), (CLOSED_S - 1, "quiet")]
    assert incidents.due() == CLOSED_S
    assert told(incidents.pass_time(CLOSED_S - 1)) == []
    (closed,) = incidents.pass_time(CLOSED_S)

    assert (closed.news, closed.state, incidents.all(CLOSED_S)[0].state) == ("closed", "closed", "closed")
    assert incidents.due() is None


def test_quiet_and_open_again():
    """A stall of a quiet incident makes it open again; that is the same opening, and no news of another."""
    incidents = machine()
    (opened,) = incidents.add(stall(), 0.0)

    news = incidents.add(stall(), CLOSED_S - 1)

    assert [one.news for one in news] == ["ongoing"]
    assert (news[0].id, news[0].state, news[0].openings) == (opened.id, "open", 1)
    assert incidents.due() == 2 * CLOSED_S - 1


def test_another_opening():
    """A closed incident that comes back opens anew, with another id and severity; what it has cost in all is not forgotten."""
    incidents = machine()
    (first,) = incidents.add(stall(12_000.0), 0.0)
    incidents.pass_time(CLOSED_S)

    (second,) = incidents.add(stall(200.0, started_at=at(500)), 500.0)

    assert second.id != first.id
    assert (first.severity, second.severity) == (Severity.CRITICAL, Severity.WARNING)
    assert (second.count, second.lost_ms, second.first_at, second.openings) == (2, 12_200, STARTED_AT, 2)
    assert (second.opened_count, second.opened_ms, second.opened_at) == (1, 200, at(500))


def test_goes_on():
    """While it goes on, that is said at doubling intervals."""
    incidents = machine()

    times = [now for now in range(0, 2000, 5) if incidents.add(stall(), float(now))]

    assert times == [0, 60, 180, 420, 900, 1860]


def test_worse():
    """That it became worse is said at once, and only when it did."""
    incidents = machine()

    news = [incidents.add(stall(float(ms)), 1.0) for ms in (150, 1500, 1600, 200, 15_000)]

    assert [[incident.news for incident in one] for one in news] == [["opened"], ["worse"], [], [], ["worse"]]


# ── stalls under way ────────────────────────────────────────────────────────────────────────────────────────────────


def test_opens_while_it_lasts():
    """An announcement opens an incident, which counts no stall before that has ended."""
    incidents = machine()

    (opened,) = incidents.add(ongoing(1000), 1.0)
    assert (opened.news, opened.count, opened.lost_ms, opened.latest.ongoing) == ("opened", 0, 0, True)

    assert incidents.add(stall(1500), 1.5) == []
    assert [(one.count, one.lost_ms) for one in incidents.all(1.5)] == [(1, 1500)]


def test_open_while_it_lasts():
    """While a stall lasts its incident stays open, also in the ever longer times between two announcements."""
    incidents = machine()
    incidents.add(ongoing(512_000.0), 512.0)

    assert told(incidents.pass_time(1023.0)) == []
    assert incidents.all(1023.0)[0].state == "open"

    incidents.add(stall(600_000.0), 600.0 + 512)
    assert told(incidents.pass_time(600.0 + 512 + CLOSED_S)) == [("closed", "0123456789ab")]


def test_end_is_never_told():
    """A stall whose end is not told, since its process had no time for it, does not keep an incident open for ever."""
    incidents = machine()
    incidents.add(ongoing(1000), 1.0)

    news, now = [], 1.0
    while (due := incidents.due()) is not None:
        now = due
        news += incidents.pass_time(now)

    assert told(news) == [("closed", "0123456789ab")]
    assert now <= 2 * CLOSED_S + 2


def test_turns_out_to_be_another():
    """Where a stall's end is judged otherwise than its announcement, what was opened for nothing is closed at once."""
    incidents = machine()
    incidents.add(ongoing(id="x", fingerprint="guess"), 1.0)

    news = incidents.add(stall(id="x", fingerprint="truth"), 2.0)

    assert told(news) == [("closed", "guess"), ("opened", "truth")]
    assert [one.fingerprint for one in incidents.all(2.0)] == ["truth"]


def test_turns_out_to_be_allowed():
    """The same where its end is only counted; one that has other stalls to it goes on."""
    incidents = machine()
    incidents.add(ongoing(id="x", fingerprint="a"), 1.0)
    incidents.add(ongoing(id="y", fingerprint="b"), 1.0)
    incidents.add(stall(id="z", fingerprint="b"), 1.0)

    assert told(incidents.forget(stall(id="x"))) == [("closed", "a")]
    assert told(incidents.forget(stall(id="y"))) == []
    assert told(incidents.forget(stall(id="never announced"))) == []


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_too_many_at_once():
    """Openings beyond the limit are not told, nor are their ends; the next one that is says how many there were."""
    incidents = machine(openings=Bucket(1))
    news = [one for name in "abc" for one in incidents.add(stall(fingerprint=name), 0.0)]
    news += incidents.pass_time(CLOSED_S)

    assert told(news) == [("opened", "a"), ("closed", "a")]
    assert incidents.add(stall(fingerprint="d"), CLOSED_S)[0].suppressed_count == 2


def test_told_later():
    """One that was not told when it opened is told with its next stall, if the limit allows it by then."""
    incidents = machine(openings=Bucket(1))
    incidents.add(stall(fingerprint="a"), 0.0)
    assert incidents.add(stall(fingerprint="b"), 0.0) == []

    (late,) = incidents.add(stall(fingerprint="b"), 60.0)

    assert (late.news, late.opened_count) == ("opened", 2)


def test_making_room_closes():
    """What has to make room is closed, not forgotten silently."""
    incidents = machine(keep=1)
    incidents.add(stall(fingerprint="a"), 0.0)

    assert told(incidents.add(stall(fingerprint="b"), 0.0)) == [("opened", "b"), ("closed", "a")]


# ── whatever happens ────────────────────────────────────────────────────────────────────────────────────────────────

steps = st.lists(
    st.tuples(
        st.sampled_from(["ended", "ongoing", "forget", "time"]),
        st.integers(0, 4),
        st.sampled_from("abcd"),
        st.sampled_from([150, 1500, 15_000]),
        st.sampled_from([0.0, 1.0, 59.0, 301.0, 2000.0]),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 5), st.integers(1, 10))
def test_every_opening_is_closed_once(steps, keep, openings):
    """Whatever comes in whatever order: ids are unique, what is told opened is told closed once, and nothing before or after."""
    incidents, now, news = machine(keep, openings=Bucket(openings)), 0.0, []
    for kind, number, fingerprint, ms, pause in steps:
        now += pause
        if kind == "time":
            news += incidents.pass_time(now)
        elif kind == "forget":
            news += incidents.forget(stall(id=str(number)), now)
        else:
            one = (ongoing if kind == "ongoing" else stall)(ms, id=str(number), fingerprint=fingerprint)
            news += incidents.add(one, now)
        assert len(incidents.all(now)) <= keep
    news += incidents.close()

    courses = {}
    for one in news:
        courses.setdefault(one.id, []).append(one)
    for course in courses.values():
        kinds, severities = [one.news for one in course], [one.severity.rank for one in course]
        assert (kinds[0], kinds[-1]) == ("opened", "closed")
        assert set(kinds[1:-1]) <= {"worse", "ongoing"}
        assert severities == sorted(severities)
        assert len({one.fingerprint for one in course}) == 1
    assert incidents.close() == []
    assert incidents.due() is None
    assert all(one.state == "closed" for one in incidents.all(now))


@given(steps)
def test_due_says_when(steps):
    """Before the time that it names nothing happens by itself, and `pass_time` at that time gets further."""
    incidents, now = machine(), 0.0
    for kind, number, fingerprint, ms, pause in steps:
        now += pause
        one = (ongoing if kind == "ongoing" else stall)(ms, id=str(number), fingerprint=fingerprint)
        incidents.pass_time(now)
        incidents.add(one, now)
        due = incidents.due()
        assert due is not None
        assert due > now
        assert incidents.pass_time(now + (due - now) / 2) == []
