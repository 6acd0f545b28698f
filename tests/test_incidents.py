"""Stalls with one fingerprint, taken together."""

import itertools
from datetime import timedelta

import pytest
from facts import STARTED_AT, stall
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.incidents import MAX_ENDPOINTS, Incidents
from loopwatch.records import RequestInfo, Waiting


def numbered():
    """Makes ids."""
    return map(str, itertools.count()).__next__


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
