"""Metrics and `/livez` of real loops and real processes, asked for while a loop is stuck."""

import asyncio
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from asking import ask
from prometheus_client.parser import text_string_to_metric_families

import loopwatch

from .processes import free_port, require, running, until
from .sensing import run

STALLED = "loopwatch_event_loop_stalled_seconds"
BLOCKED = "loopwatch_event_loop_blocked_seconds_count"


@pytest.fixture(autouse=True)
def required():
    require("prometheus_client")


def samples(port):
    """What a scrape gets of loopwatch's own: name and labels to value."""
    families = text_string_to_metric_families(ask(port, "/metrics").body)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("loopwatch_")
    }


def total(found, name):
    """The sum over all labels."""
    return sum(value for key, value in found.items() if key[0] == name)


@contextmanager
def meanwhile(work):
    """`work`, in a thread beside; its result, or what it raised, comes at the end."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        yield future
        future.result()


def stuck_until(answer, backend):
    """Runs a loop that is stuck until `answer()`, in another thread, has come back."""
    released = threading.Event()

    def asking():
        try:
            return answer()
        finally:
            released.set()

    async def main():
        await asyncio.sleep(0.05)
        with meanwhile(asking) as future:
            released.wait(60)
        return future.result()

    return run(main, backend)


def test_a_stuck_loop_can_be_scraped(backend):
    """While a loop is stuck, its metrics say for how long, and `/livez` says so once it is too long; afterwards it is over."""
    port = free_port()

    def answer():
        until(lambda: ask(port, "/livez").status == 503, 30, "stuck loop")
        return samples(port), json.loads(ask(port, "/livez").body)

    with loopwatch.watching(threshold_ms=100, stuck_ms=400, sinks=[f"prometheus:{port}"]) as watch:
        found, alive = stuck_until(answer, backend)

        assert found[STALLED, ("loop", "MainThread")] >= 0.4
        assert total(found, BLOCKED) == 0
        assert (alive["status"], alive["loops"][0]["backend"]) == ("stuck", backend)
        assert watch.flush(10)
        after = samples(port)
        assert after[STALLED, ("loop", "MainThread")] == 0
        assert after[BLOCKED, ("cause", "lock"), ("loop", "MainThread")] == 1
        assert ask(port, "/livez").status == 200


def test_an_allowed_stall(backend):
    """A block that the program allows, for however long, is neither stuck nor lost time."""
    port = free_port()

    def answer():
        until(lambda: json.loads(ask(port, "/livez").body)["loops"][0]["busy"] > 0, 30, "look at the busy loop")
        until(lambda: watch.stats().looks > 10, 30, "looks")
        return samples(port), ask(port, "/livez").status

    async def main():
        with loopwatch.allow("warm-up"):
            return await allowed()

    async def allowed():
        released = threading.Event()
        with meanwhile(lambda: (answer(), released.set())) as future:
            released.wait(60)
        return future.result()[0]

    with loopwatch.watching(threshold_ms=100, stuck_ms=200, sinks=[f"prometheus:{port}"]) as watch:
        found, status = run(main, backend)

        assert (found[STALLED, ("loop", "MainThread")], status) == (0, 200)
        assert watch.flush(10)
        assert samples(port)["loopwatch_allowed_stalls_total", ("loop", "MainThread")] == 1


WORKER = """
    import asyncio, sys, time
    import loopwatch

    watch = loopwatch.enable(threshold_ms=100, stuck_ms=1000, sinks=[f"prometheus:{sys.argv[1]}"])

    async def main():
        await asyncio.sleep(0.05)
        time.sleep(0.3)
        await asyncio.sleep(0.1)
        assert watch.flush(10)
        print("ready", flush=True)
        if sys.argv[2] == "stuck":
            sys.stdin.readline()
        else:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

    asyncio.run(main())
"""


def test_workers(tmp_path):
    """Workers that share a folder are scraped as one, on one port, also after the one that serves was killed while it was stuck."""
    port, (shared, first, second) = free_port(), [tmp_path / name for name in ("metrics", "first", "second")]
    for folder in (shared, first, second):
        folder.mkdir()
    environ = {"PROMETHEUS_MULTIPROC_DIR": str(shared)}
    with running(WORKER, first, str(port), "stuck", environ=environ) as stuck, ExitStack() as stack:
        until(lambda: "ready" in stuck.stdout, 60, "worker")
        turning = stack.enter_context(running(WORKER, second, str(port), "turning", environ=environ))
        until(lambda: "ready" in turning.stdout, 60, "worker")
        until(lambda: samples(port).get((STALLED, ("loop", "MainThread")), 0) > 0.5, 30, "stall")
        assert total(samples(port), BLOCKED) == 2
        reply = until(lambda: (found := ask(port, "/livez")).status == 503 and found, 30, "stuck worker")
        assert json.loads(reply.body)["status"] == "stuck"

        stuck.stop(signal.SIGKILL)

        until(lambda: answers(port), 30, "takeover")
        after = samples(port)
        assert total(after, BLOCKED) == 2  # what it had counted stays counted
        assert after[STALLED, ("loop", "MainThread")] == 0
        assert ask(port, "/livez").status == 200
        turning.tell("end")
        assert turning.finish() == 0, turning.stderr
        assert list(shared.glob("gauge_live*")) == []


def answers(port):
    try:
        return ask(port, "/metrics").status == 200
    except OSError:
        return False


def test_fork(tmp_path):
    """A child of fork exports for itself, by its own numbers, and serves where its parent did once that has ended."""
    program = """
        import asyncio, os, sys, time
        import loopwatch

        loopwatch.enable(threshold_ms=100, sinks=[f"prometheus:{sys.argv[1]}"])

        async def block(seconds):
            await asyncio.sleep(0.05)
            time.sleep(seconds)

        async def stay():
            await block(0.3)
            print("child", os.getpid(), flush=True)
            await asyncio.sleep(600)

        asyncio.run(block(1))
        if os.fork() == 0:
            asyncio.run(stay())
        sys.stdin.readline()
    """
    port = free_port()
    with running(program, tmp_path, str(port)) as process:
        until(lambda: "child" in process.stdout, 60, "child")
        parent = json.loads(ask(port, "/livez").body)["pid"]
        process.tell("end")
        process.finish()
        until(lambda: answers(port), 30, "takeover")

        found, child = samples(port), json.loads(ask(port, "/livez").body)["pid"]

        assert (parent, child) == (process.pid, int(process.stdout.split()[-1]))
        assert found["loopwatch_event_loop_blocked_seconds_sum", ("cause", "sleep"), ("loop", "MainThread")] < 1
