"""Dumps of py-spy, taken while the GIL was kept, joined to hand-made stalls."""

from facts import LOOP, at_ns, frame, hold, observation, sample, samples, vitals

from loopwatch.judge import judge
from loopwatch.records import Cause, Frame, Spot
from loopwatch.sentinel.dumps import Dump, Thread, dump_of, joined

RUNS = ("/python/asyncio/base_events.py", "BaseEventLoop._run_once")
BOUNDARY = frozenset({RUNS})
LOOP_ITSELF = (*RUNS, 1971)
HANDLER = ("/srv/shop.py", "handler", 10)


def plain(place):
    file, function, line = place
    return Frame(file=file, function=function, line=line, source=f"line {line}")


def dump(at_ms, *places, thread=LOOP.native_id, took_ms=40, due_ms=None):
    """A dump that ended then, of a thread that had the GIL; places outermost first."""
    began = at_ms - took_ms
    due = at_ns(began - 25 if due_ms is None else due_ms)
    return Dump(due, at_ns(began), at_ns(at_ms), (Thread(thread, "", True, places),))


def late_sample(*stack, at_ms=395, late_ms=360):
    """A sample of a watchdog that was kept out until the stall was as good as over."""
    return sample(at_ms, *stack, late_ms=late_ms, cpu_ms=390, process_cpu_ms=390)


def told(seen, *dumps, **fields):
    """The stall, judged with those dumps."""
    facts = observation(*seen, vitals=vitals(cpu_ms=390, other_cpu_ms=0, late_ms=360), **fields)
    return judge(joined(facts, dumps, plain, BOUNDARY), 100)


def test_operator():
    """A stall whose only sample is late has the line on which the sentinel saw it, for certain."""
    late = late_sample(frame("handler", 12, point="resume"))

    stall = told([late], dump(120, LOOP_ITSELF, HANDLER))

    assert stall.cause is Cause.NATIVE
    assert (stall.origin.line, stall.origin.exact, stall.origin.candidates) == (10, True, ())
    assert stall.origin.source == "line 10"


def test_without():
    """Without the sentinel that line is an inference."""
    late = late_sample(frame("handler", 12, point="jump", suspects=(Spot(11), Spot(10))))

    stall = told([late])

    assert (stall.origin.line, stall.origin.exact, stall.origin.candidates) == (11, False, (11, 10))


def test_expression():
    """Where the line is one of the suspects, the exact piece of it is known as well."""
    suspect = Spot(10, 10, 8, 14, "b = a ** n", "a ** n")
    late = late_sample(frame("handler", 12, point="call", suspects=(Spot(11), suspect)))

    stall = told([late], dump(120, LOOP_ITSELF, HANDLER))

    assert (stall.origin.expression, stall.origin.column, stall.origin.call) == ("a ** n", 8, None)


def test_same_place():
    """Where both saw the same call, the watchdog's frame stays, with columns and the call's name."""
    here = frame("handler", 10, point="call", expression="json.dumps(rows)", call="json.dumps", column=4)

    stall = told([late_sample(here)], dump(120, LOOP_ITSELF, HANDLER))

    assert (stall.origin.expression, stall.origin.call, stall.origin.exact) == ("json.dumps(rows)", "json.dumps", True)


def test_collection():
    """The collector calls loopwatch when it has finished, where the watchdog then gets in: the line's call stays `gc.collect`."""
    here = frame("handler", 10, point="call", expression="gc.collect()", call="gc.collect")
    ours = frame("GarbageProbe._on_collection", 34, point="resume", kind="loopwatch")

    found = joined(observation(late_sample(here, ours)), [dump(120, LOOP_ITSELF, HANDLER)], plain, BOUNDARY)

    assert found.samples[0].stack == (here,)


def test_function_gone():
    """A function that has returned by the time the watchdog gets in is named all the same."""
    late = late_sample(frame("handler", 10, point="call"))

    stall = told([late], dump(120, LOOP_ITSELF, HANDLER, ("/srv/rows.py", "find", 33)))

    assert (stall.origin.file, stall.origin.function, stall.origin.line) == ("/srv/rows.py", "find", 33)
    assert [one.function for one in stall.stack] == ["handler", "find"]


def test_no_sample():
    """A stall that was over before the watchdog could take a sample has the sentinel's."""
    stall = told([], dump(120, LOOP_ITSELF, HANDLER))

    assert (stall.cause, stall.samples) == (Cause.NATIVE, 1)
    assert (stall.origin.line, stall.origin.exact) == (10, True)


def test_several():
    """Each wait of the watchdog takes the dump that was taken in it."""
    seen = [
        sample(200, frame("handler", 12, point="resume"), late_ms=170, cpu_ms=200, process_cpu_ms=200),
        sample(395, frame("handler", 22, point="resume"), late_ms=170, cpu_ms=390, process_cpu_ms=390),
    ]

    stall = told(seen, dump(120, LOOP_ITSELF, HANDLER), dump(330, LOOP_ITSELF, ("/srv/shop.py", "handler", 20)))

    assert sorted(share.origin.line for share in stall.shares) == [10, 20]
    assert all(share.origin.exact for share in stall.shares)


def test_several_of_one_wait():
    """A long wait of which there are several dumps is one sample all the same."""
    suspect = Spot(10, 10, 8, 14, "b = a ** n", "a ** n")
    late = late_sample(frame("handler", 12, point="call", suspects=(suspect,)))

    stall = told([late], dump(120, LOOP_ITSELF, HANDLER, due_ms=35), dump(300, LOOP_ITSELF, HANDLER, due_ms=35))

    assert (stall.samples, stall.origin.expression) == (1, "a ** n")


def test_other_times():
    """A dump of another time says nothing of this stall."""
    late = late_sample(frame("handler", 12, point="jump"))
    before, after = dump(20, LOOP_ITSELF, HANDLER), dump(430, LOOP_ITSELF, HANDLER)

    stall = told([late], before, after)

    assert (stall.samples, stall.origin.line, stall.origin.exact) == (1, 12, False)


def test_prompt_sample():
    """A sample that did not come late keeps its stack."""
    seen = samples(frame("handler", 12, point="call"), until_ms=100, cpu=1.0)

    found = joined(observation(*seen), [dump(250, LOOP_ITSELF, HANDLER)], plain, BOUNDARY)

    assert [one.inside for one in found.samples] == [False, False, True]
    assert [one.stack[-1].line for one in found.samples] == [12, 12, 10]


def test_no_boundary():
    """Where the loop has no frames, the stack begins where the watchdog's does."""
    outer = ("/srv/main.py", "<module>", 5)
    late = late_sample(frame("handler", 12, point="jump"))

    found = joined(observation(late), [dump(120, outer, HANDLER)], plain, BOUNDARY)

    assert [one.function for one in found.samples[0].stack] == ["handler"]


def test_foreign_thread():
    """Of another thread that kept the GIL, the line is certain, too."""
    seen = samples(frame("handler"), cpu=0.01, others=1.0, runqueue=0.0, late_ms=30)
    kept = hold(390, 350, "reports", frame("render", 30, point="resume"), cpu_ms=350, native_id=88)
    facts = observation(*seen, holds=(kept,), vitals=vitals(other_cpu_ms=390, late_ms=350))
    found = joined(facts, [dump(120, ("/srv/shop.py", "render", 20), thread=88)], plain, BOUNDARY)

    stall = judge(found, 100)

    assert (stall.cause, stall.holder.thread) == (Cause.GIL, "reports")
    assert (stall.origin.function, stall.origin.line, stall.origin.exact) == ("render", 20, True)


def test_foreign_thread_alone():
    """A thread that the watchdog did not come to suspect is named by the dump alone."""
    seen = samples(frame("handler"), cpu=0.01, others=1.0, runqueue=0.0, late_ms=30)
    facts = observation(*seen, vitals=vitals(other_cpu_ms=390, late_ms=350))
    reports = Thread(88, "reports", True, (("/srv/shop.py", "render", 20),))
    taken = Dump(at_ns(50), at_ns(80), at_ns(120), (reports,))

    stall = judge(joined(facts, [taken], plain, BOUNDARY), 100)

    assert (stall.cause, stall.holder.thread) == (Cause.GIL, "reports")
    assert (stall.origin.line, stall.origin.exact) == (20, True)


def test_foreign_thread_before():
    """A hold that began, and was seen, before the stall did is joined all the same."""
    seen = samples(frame("handler"), cpu=0.01, others=1.0, runqueue=0.0, late_ms=30)
    kept = hold(390, 450, "reports", frame("render", 30, point="resume"), cpu_ms=400, native_id=88)
    facts = observation(*seen, holds=(kept,), vitals=vitals(other_cpu_ms=390, late_ms=390))

    found = joined(facts, [dump(-5, ("/srv/shop.py", "render", 20), thread=88)], plain, BOUNDARY)

    assert [(one.inside, one.stack[-1].line) for one in found.holds] == [(True, 20)]


def test_message():
    """A dump arrives as it was sent, outermost frame first."""
    message = {
        "due_ns": 1,
        "began_ns": 2,
        "ended_ns": 3,
        "threads": [[7, "MainThread", True, [["a.py", "inner", 2], ["a.py", "outer", 1]]]],
    }

    found = dump_of(message)

    assert found.holder == Thread(7, "MainThread", True, (("a.py", "outer", 1), ("a.py", "inner", 2)))
    assert (found.due_ns, found.began_ns, found.ended_ns) == (1, 2, 3)
