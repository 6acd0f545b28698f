"""Whose a block is, on phases made by hand."""

import asyncio

from loopwatch.pytest_plugin.facts import Charge
from loopwatch.pytest_plugin.timeline import LEFT_BEHIND, LateTasks, Timeline


def phases():
    timeline = Timeline()
    first = timeline.begin("test_a", "setup")
    call = timeline.begin("test_a", "call")
    teardown = timeline.begin("test_a", "teardown")
    return timeline, first, call, teardown


def test_phase():
    """A block is charged to the phase in which it began."""
    timeline, setup, call, teardown = phases()

    assert timeline.charge(call.start_ns, None, teardown) == Charge("test_a", "call")
    assert timeline.charge(setup.start_ns - 1, None, teardown).phase == "teardown"


def test_fixture():
    """In setup and teardown the innermost fixture that was at work is named."""
    timeline = Timeline()
    setup = timeline.begin("test_a", "setup")
    timeline.note_fixture(setup.start_ns, "the setup of fixture outer")
    timeline.note_fixture(setup.start_ns, "the setup of fixture wide")

    charge = timeline.charge(setup.start_ns, None, setup)

    assert charge.fixture == "the setup of fixture outer"


def test_left_behind():
    """A task that a test's call began is that test's, during others and in its own teardown."""
    timeline, _, _, teardown = phases()
    other = timeline.begin("test_b", "call")

    assert timeline.charge(other.start_ns, "test_a", other) == Charge("test_a", "call", during="test_b")
    assert timeline.charge(teardown.start_ns, "test_a", other) == Charge("test_a", "teardown", LEFT_BEHIND)


def test_late_tasks():
    """What was there when the fixtures were up is nobody's; what the call added is the test's until it has gone."""
    late = LateTasks()

    async def main():
        fixtures = asyncio.create_task(asyncio.sleep(60))
        late.fixtures_are_up()
        tests = asyncio.create_task(asyncio.sleep(60))
        late.call_is_over("test_a")
        assert late.owner(id(fixtures)) is None
        assert late.owner(id(tests)) == "test_a"
        return id(tests)

    task_id = asyncio.run(main())
    late.fixtures_are_up()

    assert late.owner(task_id) is None
    assert late.owner(None) is None
