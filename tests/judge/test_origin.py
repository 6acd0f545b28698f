"""Which of the user's lines blocked, and how sure is that?"""

import pytest
from facts import frame, functions, library, observation, origin, sample, vitals
from hypothesis import given
from hypothesis import strategies as st

from loopwatch.judge.origin import headline_of, heaviest_stack, shares_of, user_frame
from loopwatch.records import Cause, Share, Spot

ASYNCIO = library("asyncio.events.Handle._run", kind="stdlib")
HANDLER = frame("handler", 10)
REPOSITORY = frame("find", 41, file="/srv/repository.py", module="repository", point="call")


def origin_of(*stack, late_ms=0, handed_on=False, **fields):
    """The origin of a stall in which every sample stood at this stack."""
    seen = [sample(at, *stack, late_ms=late_ms, handed_on=handed_on) for at in (100, 200, 300)]
    (share,) = shares_of(observation(*seen, **fields))
    return share.origin


# ── whose line ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_innermost_line_of_the_user():
    """The headline is the user's innermost frame; what it called is kept as `call`."""
    origin = origin_of(ASYNCIO, HANDLER, REPOSITORY, library("requests.api.get"), library("urllib3.connection.connect"))

    assert (origin.file, origin.line, origin.function) == ("/srv/repository.py", 41, "find")
    assert origin.call == "requests.api.get"
    assert origin.exact and origin.candidates == ()


def test_own_call():
    """Where the user's frame is the innermost, the call is the one that its own expression makes."""
    origin = origin_of(
        frame("nap", 3, point="call", call="time.sleep", expression="sleep(1)", source="sleep(1)  # tired")
    )

    assert (origin.call, origin.expression, origin.source) == ("time.sleep", "sleep(1)", "sleep(1)  # tired")


def test_generated_code_is_part_of_the_line():
    """A comprehension beneath a line is that line, not something that it calls."""
    inner = library("shop.<listcomp>", file="/srv/shop.py")

    assert origin_of(frame("total", 7, call="sum"), inner).call == "sum"


@pytest.mark.parametrize(
    ("app_packages", "chosen"),
    [
        ((), "handler"),
        (("shared",), "query"),
        (("elsewhere",), "handler"),
        (("shared.db",), "query"),
        (("shared.web",), "handler"),
    ],
)
def test_app_packages(app_packages, chosen):
    """An installed package that was named counts as the user's code, by its top name or a longer one."""
    stack = (HANDLER, library("shared.db.query"), library("psycopg.execute"))

    assert stack[user_frame(stack, app_packages)].function == chosen


def test_similar_package():
    """A package whose name only begins like a named one stays a library."""
    assert user_frame((HANDLER, library("shared_db.query")), ("shared",)) == 0


def test_no_user_code():
    """Without any of the user's code the innermost frame is named, save the loop's own plumbing and loopwatch."""
    mine = frame("look", module="loopwatch.engine", kind="loopwatch")
    stack = (ASYNCIO, library("uvicorn.protocols.data_received"), library("asyncio.streams.feed", kind="stdlib"), mine)

    assert user_frame(stack, ()) == 1
    assert user_frame((ASYNCIO,), ()) is None
    assert user_frame((), ()) is None
    assert shares_of(observation(sample(100, ASYNCIO))) == ()


def test_just_entered():
    """A function that was only just entered has not run: the time went by on its caller's line."""
    origin = origin_of(frame("handler", 10), frame("helper", 20, point="resume"))

    assert (origin.function, origin.line) == ("handler", 10)


def test_just_entered_by_a_library():
    """A callback that a library had just entered is named all the same: its caller is not the user's line."""
    assert origin_of(HANDLER, library("celery.call"), frame("callback", 20, point="resume")).function == "callback"


# ── how sure ────────────────────────────────────────────────────────────────────────────────────────────────────────

SUSPECTS = (Spot(12, expression="7 ** n"), Spot(11, expression="x in rows"))


def test_prompt_sample_is_exact():
    """A watchdog that got in at once, or after a switch interval, saw where the thread was."""
    assert origin_of(frame(point="jump", suspects=SUSPECTS), late_ms=14).exact


def test_late_sample_in_a_call():
    """A call into C is still on its line when it lets the watchdog in: exact, although the sample is late."""
    origin = origin_of(frame(line=13, point="call", call="json.dumps"), late_ms=300)

    assert (origin.line, origin.exact, origin.call) == (13, True, "json.dumps")


@pytest.mark.parametrize("point", ["jump", "resume", "other"])
def test_late_sample_after_an_operator(point):
    """Otherwise an operator kept the GIL, on some line since the interpreter looked last: the latest is likeliest."""
    origin = origin_of(frame(line=13, point=point, call="helper", suspects=SUSPECTS), late_ms=300)

    assert not origin.exact
    assert (origin.line, origin.expression, origin.candidates) == (12, "7 ** n", (12, 11))
    assert origin.call is None


def test_function_that_has_gone():
    """Where no operator of the frame's own may have taken the time, the call before may have, in its last act."""
    origin = origin_of(frame(line=13, point="jump", returned=Spot(12)), late_ms=300)

    assert (origin.line, origin.exact, origin.candidates) == (12, False, (12,))


def test_mostly_short_operators_beside_a_call():
    """Beside a call, which may have taken the time itself, operators that are mostly short do not count."""
    short, freeing = Spot(12, rank=1), Spot(11, rank=2)

    assert origin_of(frame(line=13, point="call", call="json.dumps", suspects=(short, freeing)), late_ms=300).exact
    quick = origin_of(frame(line=13, point="call", call="time.monotonic", suspects=(short, freeing)), late_ms=300)
    assert quick.candidates == (12, 11)


def test_late_call_while_the_gil_changed_hands():
    """Where the GIL was given up meanwhile, no single call kept it: a late sample stands where it happened to."""
    origin = origin_of(frame(line=13, point="call", call="socket.send"), late_ms=300, handed_on=True)

    assert (origin.line, origin.exact, origin.candidates) == (13, False, (13,))


def test_late_call_with_suspects():
    """A late sample in a call, with operators before it, leaves both: the call first."""
    origin = origin_of(frame(line=13, point="call", call="json.dumps", suspects=SUSPECTS), late_ms=300)

    assert (origin.line, origin.exact, origin.candidates) == (13, False, (13, 12, 11))


def test_late_with_nothing_else():
    """A late sample with no suspect is still only an inference."""
    origin = origin_of(frame(line=13, point="jump"), late_ms=300)

    assert (origin.exact, origin.candidates) == (False, (13,))


def test_late_beside_busy_threads():
    """Where other threads ran as well, someone else may have got in first: a late call is not certain."""
    assert not origin_of(frame(line=13, point="call"), late_ms=300, vitals=vitals(other_cpu_ms=200)).exact
    assert origin_of(frame(line=13, point="call"), late_ms=300, vitals=vitals(other_cpu_ms=10)).exact


def test_late_under_a_library():
    """With a library's frame beneath, the user's line is certain: it has not returned from there."""
    assert origin_of(frame(line=13, suspects=SUSPECTS), library("yaml.load"), late_ms=300).exact


def test_late_before_a_function():
    """With a function just entered beneath, the time went by before it: in an operator of the user's frame."""
    origin = origin_of(
        frame(line=13, point="call", suspects=SUSPECTS), library("yaml.load", point="resume"), late_ms=300
    )

    assert (origin.exact, origin.candidates) == (False, (12, 11))


# ── shares ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_shares_by_time():
    """Each origin has the share of the time for which its samples stand, heaviest first."""
    seen = observation(
        sample(100, frame("one")), sample(150, frame("two")), sample(250, frame("two")), sample(400, frame("one"))
    )

    assert [(s.origin.function, s.share, s.samples) for s in shares_of(seen)] == [("one", 0.625, 2), ("two", 0.375, 2)]


def test_shares_of_one_line():
    """Two places on one line are one origin, certain if either is."""
    seen = observation(
        sample(100, frame(point="call", expression="a()")),
        sample(300, frame(point="jump", expression="b()"), late_ms=100),
    )

    (share,) = shares_of(seen)

    assert (share.origin.expression, share.origin.exact, share.samples) == ("a()", True, 2)


functions_seen = st.sampled_from([frame("one"), frame("two", 2), library("requests.api.get"), frame("one", 11)])


@given(st.lists(st.tuples(st.integers(1, 60), functions_seen), min_size=1, max_size=12))
def test_shares_sum_to_one(steps):
    """Shares make up the whole, are sorted, and count every sample once."""
    at, seen = 0, []
    for step, here in steps:
        at += step
        seen.append(sample(at, here))

    shares = shares_of(observation(*seen, duration_ms=at))

    assert sum(share.share for share in shares) == pytest.approx(1, abs=0.0002 * len(shares))
    assert [share.share for share in shares] == sorted((share.share for share in shares), reverse=True)
    assert sum(share.samples for share in shares) == len(seen)


# ── the headline ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_headline_agrees_with_the_cause():
    """The line is one that was held by the cause at hand; the heaviest of all only where none was."""
    shares = (
        Share(origin("hash"), 0.4, 1, Cause.NATIVE),
        Share(origin("tax"), 0.35, 1, Cause.PYTHON),
        Share(origin("sum"), 0.25, 1, Cause.PYTHON),
    )

    chosen = [headline_of(shares, cause) for cause in (Cause.NATIVE, Cause.PYTHON, Cause.LOCK)]

    assert [origin.function for origin in chosen] == ["hash", "tax", "hash"]
    assert headline_of((), Cause.PYTHON) is None


# ── the stack ───────────────────────────────────────────────────────────────────────────────────────────────────────


def stack_of(seen):
    """The stack that is shown for the heaviest origin."""
    shares = shares_of(seen)
    return heaviest_stack(seen, shares[0].origin if shares else None)


def test_heaviest_stack():
    """The stack that is shown is one of the heaviest origin's, not the last."""
    seen = observation(sample(300, HANDLER, REPOSITORY), sample(400, frame("other")))

    assert functions(stack_of(seen)) == ["handler", "find"]
    assert stack_of(observation()) == ()


def test_lasted():
    """`lasted` tells the function that took the time from the leaf that a sample happened to hit."""
    leaves = [library(f"yaml.scan{number}") for number in range(4)]
    seen = observation(*(sample(100 * n, HANDLER, library("yaml.load"), leaf) for n, leaf in enumerate(leaves, 1)))

    assert [one.lasted for one in stack_of(seen)] == [1.0, 1.0, 0.25]


def test_lasted_ends_with_the_caller():
    """What stands under another line of its caller is another call."""
    seen = observation(
        sample(100, frame("handler", 10), frame("find", 41)),
        sample(200, frame("handler", 10), frame("find", 42)),
        sample(400, frame("handler", 11), frame("find", 42)),
        duration_ms=400,
    )

    stack = stack_of(seen)

    assert stack[0].lasted == 1.0
    assert stack[1].lasted == 0.5


def test_lasted_is_in_a_row():
    """A function that was left and entered again did not last in between."""
    here, away = (HANDLER, REPOSITORY), (HANDLER, frame("other"))
    seen = observation(sample(100, *here), sample(200, *away), sample(400, *here), duration_ms=400)

    assert [one.lasted for one in stack_of(seen)] == [1.0, 0.5]
