"""A stall as a log event: the keys of the contract, flat, on one line."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from facts import ongoing, origin, stall
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.records import RequestInfo, Waiting
from loopwatch.sinks.event import MAX_VALUE, event_name, fields_of, one_line

CONTRACT = (
    "stall_id duration_ms own_ms threshold_ms timing cause evidence confidence file line function expression call exact "
    "method route endpoint task waiting advice fingerprint started_at loop thread pid"
).split()
PLAIN = (str, int, float, bool, type(None))


# ── the contract ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_names():
    """The two events have the names that alerts are written for."""
    assert event_name(stall()) == "event_loop_blocked"
    assert event_name(ongoing()) == "event_loop_stalled"


def test_keys():
    """Both events carry every key of the contract and no other; the stack comes when it is over."""
    assert list(fields_of(ongoing())) == CONTRACT
    assert list(fields_of(stall())) == [*CONTRACT, "stack"]


def test_keys_without_facts():
    """A stall of which little is known has the same keys."""
    bare = stall(origin=None, request=None, task=None, advice=None, waiting=Waiting(), stack=(), shares=())

    assert list(fields_of(bare)) == [*CONTRACT, "stack"]


def test_held_back():
    """How many records were held back, and their time, is told where there were any."""
    fields = fields_of(stall(suppressed_count=3, suppressed_ms=1234.56))

    assert (fields["suppressed_count"], fields["suppressed_ms"]) == (3, 1234.6)


def test_where_it_comes_from():
    """What handed the code in from another thread, and the nurseries of a trio task, are told where there are any."""
    fields = fields_of(stall(called_from="another thread", nurseries=("main", "serve")))

    assert (fields["called_from"], fields["nurseries"]) == ("another thread", ["main", "serve"])


def test_flat():
    """Every value is a plain one, or a list of text: any log format takes it."""
    fields = fields_of(stall(context=(("request_id", "abc"),)))

    assert all(type(value) in PLAIN for key, value in fields.items() if key != "stack")
    assert fields["stack"] == ["/srv/shop.py:10 handler", "/env/site-packages/time.py:73 sleep"]
    assert json.loads(json.dumps(fields)) == fields


def test_values():
    """Times are rounded to what they are worth, and moments say their zone."""
    fields = fields_of(stall(123.456, own_ms=100.04, started_at=datetime(2026, 1, 2, tzinfo=UTC)))

    assert (fields["duration_ms"], fields["own_ms"], fields["started_at"]) == (
        123.5,
        100.0,
        "2026-01-02T00:00:00+00:00",
    )
    assert (fields["cause"], type(fields["cause"])) == ("sleep", str)


def test_expression_or_line():
    """Where Python keeps no columns, the whole line stands for the expression."""
    assert fields_of(stall(origin=origin(expression=None, source="x = f(y)")))["expression"] == "x = f(y)"


@pytest.mark.parametrize(("requests", "callbacks", "told"), [(3, 5, 3), (0, 5, 0), (None, 5, 5), (None, None, None)])
def test_waiting(requests, callbacks, told):
    """Who waited: requests where they can be counted, else callbacks."""
    assert fields_of(stall(waiting=Waiting(requests, callbacks)))["waiting"] == told


# ── the program's own context ───────────────────────────────────────────────────────────────────────────────────────


def test_context():
    """What the blocked task had bound comes along."""
    assert fields_of(stall(context=(("request_id", "abc"), ("user", 7))))["request_id"] == "abc"


def test_context_does_not_hide_facts():
    """A bound variable neither takes the place of a fact nor of what the logger itself needs."""
    bound = (("cause", "mine"), ("event", "mine"), ("level", "mine"), ("exc_info", True), ("stack", "mine"))

    fields = fields_of(stall(context=bound))

    assert fields["cause"] == "sleep"
    assert isinstance(fields["stack"], list)
    assert not {"event", "level", "exc_info"} & set(fields)


# ── hostile values ──────────────────────────────────────────────────────────────────────────────────────────────────

FORGED = 'x"\r\n2026-01-01 [error] forged=yes\x1b[31m\x00\u2028'


def forged():
    """A stall in every text of which somebody has tried to forge a line."""
    return stall(
        evidence=FORGED,
        origin=origin(function=FORGED, file=FORGED, expression=FORGED, call=FORGED),
        stack=tuple(replace(one, file=FORGED, function=FORGED) for one in stall().stack),
        request=RequestInfo(FORGED, FORGED, FORGED),
        task=FORGED,
        context=(("user", FORGED),),
    )


def test_no_forged_lines():
    """Neither line breaks nor terminal codes get into a log: one event stays one line."""
    texts = [text for value in fields_of(forged()).values() for text in (value if isinstance(value, list) else [value])]

    assert all(text.isprintable() for text in texts if isinstance(text, str))
    assert one_line(forged()).isprintable()


def test_no_forged_names():
    """A variable's name may come from outside as well: it stays on the line, too."""
    assert one_line(stall(context=((FORGED, "1"),))).isprintable()


@given(st.text())
def test_any_text(text):
    """Whatever a task is called, the event is one line of a bounded length."""
    line = one_line(stall(task=text))

    assert line.splitlines() == [line]
    assert len(line) < 3 * MAX_VALUE


def test_long_values():
    """A megabyte of data on a line of source does not become a megabyte of log."""
    assert len(fields_of(stall(origin=origin(expression="x" * 1_000_000)))["expression"]) == MAX_VALUE


# ── as text ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_line():
    """As text, an event is its name and what is known, quoted where it has to be."""
    line = one_line(stall(advice=None, task='say "hi" now'))

    assert line.startswith("event_loop_blocked stall_id=stall-1 duration_ms=400.0 own_ms=400.0 ")
    assert " advice=" not in line
    assert """ task="say 'hi' now" """ in line
    assert ' stack="/srv/shop.py:10 handler > /env/site-packages/time.py:73 sleep"' in line
