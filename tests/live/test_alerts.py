"""Alerts of real processes: they arrive while the loop is stuck, and whoever does not take them delays nobody."""

import json
import time
from pathlib import Path

import pytest
from sinks.receivers import HANG, Receiver, closed_port

from .apps import loops
from .processes import EXIT_WITHIN_S, running, until

PRELUDE = """
import asyncio, gc, os, sys, time, tracemalloc
sys.path.append(sys.argv[2])
import loopwatch
from apps import lines, loops
from dataclasses import replace
from facts import closed, incident, stall

backend = sys.argv[1]
"""
TESTS = str(Path(__file__).parents[1])


@pytest.mark.parametrize("ending", ["released", "killed"])
def test_alert_while_stuck(tmp_path: Path, backend: str, ending: str) -> None:
    """The alert is there while the loop is stuck, and its end is told when the process ends; if it is killed, it is not."""
    program = f"""{PRELUDE}
loopwatch.enable(threshold_ms=100, ongoing_ms=200, sinks=["webhook:" + sys.argv[3]])

async def main():
    while not os.path.exists("released"):
        loops.block(0.01)

loops.run(backend, main())
"""
    with Receiver() as receiver, running(program, tmp_path, backend, TESTS, receiver.url) as process:
        opened = json.loads(receiver.next().body)
        stuck = process.popen.poll() is None and not (tmp_path / "released").exists()
        if ending == "killed":
            process.stop(9)
            assert receiver.requests.empty()
            return
        (tmp_path / "released").touch()
        assert (process.finish(EXIT_WITHIN_S), process.stderr) == (0, "")
        rest = [json.loads(request.body) for request in receiver.requests.queue]

    assert stuck
    assert (opened["news"], opened["stall"]["event"], opened["stall"]["line"]) == (
        "opened", "event_loop_stalled", loops.BLOCK_LINE,
    )  # fmt: skip
    assert (rest[-1]["news"], rest[-1]["incident_id"], rest[-1]["count"]) == ("closed", opened["incident_id"], 1)


OUTAGE = f"""{PRELUDE}
hangs, refuses, key = sys.argv[3:]
from loopwatch.sinks.pagerduty import PagerDutySink

watch = loopwatch.enable(sinks=["webhook:" + hangs, "slack:" + hangs, "alertmanager:" + refuses, PagerDutySink(key, url=refuses)])
loops.run(backend, asyncio.sleep(0.1))  # all begin
pair = [incident(stall(2000)), closed(stall(2000))]

def storm(numbers):
    for number in numbers:
        for news in (replace(one, id=str(number), fingerprint=str(number)) for one in pair):
            for outlet in watch.outlets:
                outlet.tell_incident(news)
        if not number % 200:  # else the sinks' queues would drop most of it
            [outlet.queue.join(time.monotonic() + 10) for outlet in watch.outlets]
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

tracemalloc.start()
first = storm(range(1_000))
lines.say("stormed", grown=storm(range(1_000, 10_000)) - first)
lines.say("ending", at=time.monotonic())
"""


def test_outage(tmp_path: Path) -> None:
    """While receivers hang and refuse, 10,000 incidents neither take memory without end nor keep the process from its exit."""
    refuses = f"http://127.0.0.1:{closed_port()}/"
    arguments = ("asyncio", TESTS)
    with (
        Receiver([HANG] * 100) as receiver,
        running(OUTAGE, tmp_path, *arguments, receiver.url, refuses, "KEY") as process,
    ):
        (stormed,) = process.lines.wait(what="stormed", within=60)
        assert process.finish(EXIT_WITHIN_S) == 0
        (ending,) = process.lines.all(what="ending")

        assert time.monotonic() - ending["at"] < 5
        assert stormed["grown"] < 500_000
        assert receiver.requests.qsize() < 20
    for sink in ("WebhookSink (127.0.0.1)", "SlackSink (127.0.0.1)", "AlertmanagerSink (127.0.0.1)", "PagerDutySink"):
        assert f"loopwatch: {sink}" in process.stderr
    assert process.stderr.count("the watch or the process has ended") >= 2  # those that are refused know it at once
    assert process.stderr.count("\n") < 100


def test_flush_waits_for_delivery(tmp_path: Path, backend: str) -> None:
    """`flush` is done when the receiver has answered, not when a message waits for its turn."""
    program = f"""{PRELUDE}
from loopwatch.sinks.messenger import Patience
from loopwatch.sinks.webhook import WebhookSink

watch = loopwatch.enable(threshold_ms=100, sinks=[WebhookSink(sys.argv[3], patience=Patience(pause_s=0.1))])

async def main():
    loops.block()

loops.run(backend, main())
lines.say("flushed", done=watch.flush(20))
os._exit(0)
"""
    with Receiver([500, 500, 200]) as receiver, running(program, tmp_path, backend, TESTS, receiver.url) as process:
        assert process.finish(EXIT_WITHIN_S) == 0
        (flushed,) = process.lines.all(what="flushed")

        assert receiver.requests.qsize() == 3
    assert flushed["done"]


def test_sink_added_while_a_loop_runs(tmp_path: Path, backend: str) -> None:
    """A sink that is added while loops run begins at once."""
    program = f"""{PRELUDE}
watch = loopwatch.enable(threshold_ms=100, sinks=[])

async def main():
    await asyncio.sleep(0.01)
    watch.add_sink("webhook:" + sys.argv[3])
    await asyncio.sleep(0.01)
    loops.block()
    await asyncio.sleep(0.01)
    assert await asyncio.to_thread(watch.flush, 20)

loops.run(backend, main())
"""
    with Receiver() as receiver, running(program, tmp_path, backend, TESTS, receiver.url) as process:
        assert (process.finish(EXIT_WITHIN_S), process.stderr) == (0, "")
        assert json.loads(receiver.next().body)["news"] == "opened"


def test_lines_of_a_fork(tmp_path: Path) -> None:
    """Each process writes its stalls to a file of its own name, also one that was forked when loopwatch had begun."""
    program = f"""{PRELUDE}
watch = loopwatch.enable(threshold_ms=100, sinks=["jsonl:" + os.path.join(os.getcwd(), "{{pid}}.jsonl")])

async def main():
    loops.block()

loops.run(backend, main())
watch.flush(20)
child = os.fork()
loops.run(backend, main())
watch.flush(20)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""
    flags = ("-W", "ignore::DeprecationWarning")  # of a fork in a process with threads (3.12+)
    with running(program.replace("{{", "{").replace("}}", "}"), tmp_path, "asyncio", TESTS, flags=flags) as process:
        assert (process.finish(EXIT_WITHIN_S), process.stderr) == (0, "")
    files = until(lambda: sorted(tmp_path.glob("[0-9]*.jsonl")), 1, "files")

    written = {int(file.stem): [json.loads(line) for line in file.read_text().splitlines()] for file in files}
    blocked = {pid: [one for one in told if one["line"] == loops.BLOCK_LINE] for pid, told in written.items()}
    assert {pid: {one["pid"] for one in told} for pid, told in blocked.items()} == {pid: {pid} for pid in written}
    assert sorted(len(told) for told in blocked.values()) == [1, 2]
