"""The sink for Prometheus: what it is told and what it reads gets into metrics, once, under few labels."""

import asyncio
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from asking import ask
from facts import LOOP, origin, stall
from live.processes import free_port, require, running
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from services import need

from loopwatch.errors import MissingExtraError, SettingError
from loopwatch.records import Cause, LoopInfo, LoopStats
from loopwatch.settings import Settings
from loopwatch.sinks import sink_called
from loopwatch.sinks.prometheus import PrometheusSink, metrics_app
from loopwatch.sinks.prometheus.exposition import exposition
from loopwatch.sinks.prometheus.labels import OTHER
from loopwatch.sinks.prometheus.metrics import MAX_LOOPS, MAX_SITES

NOTHING = LoopStats(None, 0, None, 0, 0, 0, 0, 0, 0, {}, 0, 0, 0, 0, None)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Source:
    """A watch that says what a test wants it to."""

    def __init__(self, *loops, **totals):
        self.settings = Settings()
        self.incidents, self.pools = (), ()
        self.say(*loops, **totals)

    def say(self, *loops, **totals):
        self.now = replace(NOTHING, loops=loops, **totals)

    def stats(self):
        return self.now


def loop(thread="MainThread", lags_ms=(), looks=None, **totals):
    """The totals of one loop."""
    info = replace(LOOP, thread=thread, thread_id=hash(thread))
    looks = len(lags_ms) if looks is None else looks
    return replace(NOTHING, loop=info, lags_ms=tuple(lags_ms), looks=looks, **totals)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def sink(source):
    """The sink, begun."""
    made = PrometheusSink()
    made.begin(source)
    yield made
    made.end()


def scraped():
    """All samples of loopwatch's that a scrape gets, by name and labels; without the times at which counters were made."""
    found = {}
    for family in text_string_to_metric_families(exposition("").body.decode()):
        for sample in family.samples:
            if sample.name.startswith("loopwatch_") and not sample.name.endswith("_created"):
                found[sample.name, *sorted(sample.labels.items())] = sample.value
    return found


def value(name, **labels):
    """One sample of a scrape; None: there is none."""
    return scraped().get((name, *sorted(labels.items())))


# ── stalls ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stalls(sink):
    """Every stall that has ended is in the histogram, in seconds, by loop and cause; and on its line's account."""
    sink.count(stall(400))
    sink.count(stall(200, cause=Cause.SLEEP))
    sink.count(stall(3000, cause=Cause.GIL, origin=origin("hog", line=7)))

    assert value("loopwatch_event_loop_blocked_seconds_count", loop="MainThread", cause="sleep") == 2
    assert value("loopwatch_event_loop_blocked_seconds_sum", loop="MainThread", cause="sleep") == pytest.approx(0.6)
    assert value("loopwatch_event_loop_blocked_seconds_bucket", loop="MainThread", cause="sleep", le="0.25") == 1
    assert value("loopwatch_event_loop_blocked_seconds_sum", loop="MainThread", cause="gil") == 3
    site = {"file": "/srv/shop.py", "function": "handler", "line": "10"}
    assert value("loopwatch_blocked_site_seconds_total", **site) == pytest.approx(0.6)
    assert value("loopwatch_blocked_site_seconds_total", **{**site, "function": "hog", "line": "7"}) == 3


def test_no_line_to_blame(sink):
    """A stall that is no line's fault is on no line's account, and still in the sum over all."""
    sink.count(stall(400, cause=Cause.STARVED, origin=None))

    assert value("loopwatch_blocked_site_seconds_total", file="unknown", function="", line="") == 0.4


def test_what_is_no_lost_time(sink, source):
    """What is allowed, and a pause of the whole process, is counted and takes no time from anybody."""
    sink.count(stall(400, allowed="warm-up"))
    sink.count(stall(400, cause=Cause.SUSPENDED))
    source.say(loop(allowed=1, suspended=1))

    assert value("loopwatch_allowed_stalls_total", loop="MainThread") == 1
    assert value("loopwatch_suspensions_total", loop="MainThread") == 1
    assert not any("blocked" in name for name, *_ in scraped())


def test_told_within_limits(sink):
    """That a stall is told to people counts nothing: it has been counted already, or will be when it ends."""
    before = scraped()

    sink(stall())

    assert scraped() == before


# ── totals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_totals(sink, source):
    """What the watch knows is there at each scrape, in seconds."""
    source.say(
        loop(observed_s=100.0, utilization=0.25, stalled_ms=1500.0), dropped=3, cost_cpu_ms=20.0, stalled_ms=1500.0
    )

    assert value("loopwatch_event_loop_observed_seconds_total", loop="MainThread") == 100
    assert value("loopwatch_event_loop_busy_seconds_total", loop="MainThread") == 25
    assert value("loopwatch_event_loop_stalled_seconds", loop="MainThread") == 1.5
    assert value("loopwatch_dropped_total") == 3
    assert value("loopwatch_overhead_seconds_total") == pytest.approx(0.02)


def test_totals_only_rise(sink, source):
    """A total that falls, since a loop was forgotten, is counted on from there: the counter does not fall, nor leap."""
    for observed_s in (100.0, 40.0, 45.0):
        source.say(loop(observed_s=observed_s))
        scraped()

    assert value("loopwatch_event_loop_observed_seconds_total", loop="MainThread") == 105


def test_loops_that_share_a_name(sink, source):
    """Loops of threads with one name are told as one: their times added, the longest stall of them."""
    uvloop = replace(loop(observed_s=5.0, stalled_ms=700.0), loop=LoopInfo("uvloop", "MainThread", 7, 77, 777))
    source.say(loop(observed_s=10.0, stalled_ms=300.0), uvloop)

    assert value("loopwatch_event_loop_observed_seconds_total", loop="MainThread") == 15
    assert value("loopwatch_event_loop_stalled_seconds", loop="MainThread") == 0.7


def test_lags(sink, source):
    """Each lag is counted once, however often somebody scrapes."""
    source.say(loop(lags_ms=[0.0, 30.0]))
    scraped()
    source.say(loop(lags_ms=[0.0, 30.0, 700.0]))
    scraped()

    assert value("loopwatch_event_loop_lag_seconds_count", loop="MainThread") == 3
    assert value("loopwatch_event_loop_lag_seconds_sum", loop="MainThread") == pytest.approx(0.73)
    assert value("loopwatch_event_loop_lag_seconds_bucket", loop="MainThread", le="0.05") == 2


def test_more_lags_than_are_kept(sink, source):
    """Whoever scrapes too seldom for all of them gets the latest."""
    source.say(loop(lags_ms=[1.0, 2.0], looks=5000))

    assert value("loopwatch_event_loop_lag_seconds_count", loop="MainThread") == 2


def test_pools(sink, source):
    """Pools are told by kind, name and state, those of several loops together; a pool that has gone is empty."""
    pool = SimpleNamespace(kind="anyio", name="default limiter", borrowed=40, total=40, waiting=7)
    unbounded = SimpleNamespace(kind="sqlalchemy", name="QueuePool", borrowed=3, total=None, waiting=0)
    source.pools = (pool, pool, unbounded)

    labels = {"kind": "anyio", "pool": "default limiter"}
    assert value("loopwatch_threadpool_tokens", **labels, state="waiting") == 14
    assert value("loopwatch_threadpool_tokens", **labels, state="total") == 80
    assert value("loopwatch_threadpool_tokens", kind="sqlalchemy", pool="QueuePool", state="total") is None

    source.pools = ()

    assert value("loopwatch_threadpool_tokens", **labels, state="waiting") == 0


def test_incidents(sink):
    """The gauge follows what is told of incidents: opened, going on, closed."""
    for incident_id, state in [("a", "open"), ("b", "open"), ("a", "open"), ("a", "closed")]:
        sink.incident(SimpleNamespace(id=incident_id, state=state))

    assert value("loopwatch_incidents_open") == 1


# ── labels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sites_are_capped(sink):
    """However many lines block, only so many have labels of their own; no time is lost to the rest."""
    for line in range(MAX_SITES + 50):
        sink.count(stall(100, origin=origin(line=line)))

    sites = {key: seconds for key, seconds in scraped().items() if key[0] == "loopwatch_blocked_site_seconds_total"}
    assert len(sites) == MAX_SITES + 1
    assert value("loopwatch_blocked_site_seconds_total", file=OTHER, function="", line="") == pytest.approx(5)
    assert sum(sites.values()) == pytest.approx((MAX_SITES + 50) / 10)


def test_loops_are_capped(sink, source):
    """A program that starts a loop in thread after thread does not get a series for each."""
    source.say(*(loop(f"job {number}", observed_s=1.0) for number in range(MAX_LOOPS + 30)))

    observed = [key for key in scraped() if key[0] == "loopwatch_event_loop_observed_seconds_total"]
    assert len(observed) == MAX_LOOPS + 1
    assert value("loopwatch_event_loop_observed_seconds_total", loop=OTHER) == 30


def test_threads_that_python_numbers(sink, source):
    """A thread without a name of its own is told by what it runs: a restarted process does not begin a new series."""
    source.say(loop("Thread-1 (serve)", observed_s=1.0), loop("Thread-27 (serve)", observed_s=2.0))

    assert value("loopwatch_event_loop_observed_seconds_total", loop="Thread (serve)") == 3


def test_labels_are_only_text(sink):
    """Whatever a file or function is called, the exposition stays readable, and no value is endless."""
    wild = '"} 1\n# HELP x\\' * 50
    sink.count(stall(100, origin=origin(wild, file=wild)))

    (labels,) = [dict(key[1:]) for key in scraped() if key[0] == "loopwatch_blocked_site_seconds_total"]
    assert labels["function"] == wild[:200]
    assert labels["file"] == wild[-200:]


# ── scrapes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_served(source):
    """With an address, `/metrics` and `/livez` are served, in whichever format is asked for."""
    port = free_port()
    sink = sink_called(f"prometheus:{port}")
    sink.begin(source)
    try:
        plain, modern, alive = ask(port, "/metrics"), ask(port, "/metrics", Accept=OPENMETRICS), ask(port, "/livez")
    finally:
        sink.end()

    assert "# TYPE loopwatch_build_info gauge" in plain.body
    assert plain.headers["Content-Type"].startswith("text/plain")
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
    assert modern.body.endswith("# EOF\n")
    assert (alive.status, "no_loop" in alive.body) == (200, True)


def test_exemplars(sink):
    """Where the format has room for it, a bucket names a stall in it: the log has its line and its trace."""
    sink.count(stall(400, id="5f00-1"))

    exemplars = [
        sample.exemplar.labels
        for family in openmetrics_families(exposition(OPENMETRICS).body.decode())
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert exemplars == [{"stall_id": "5f00-1"}]


def test_ended():
    """When the watch ends, its metrics are gone from the program's."""
    sink = PrometheusSink()
    sink.begin(Source(loop(observed_s=1.0)))
    sink.end()

    assert scraped() == {}


def test_one_per_process(sink):
    """Where two watches of a process have this sink, as a launcher's and the program's own may, one of them counts."""
    second = PrometheusSink()
    second.begin(Source())

    for one in (sink, second):
        one.count(stall(400))
    second.end()

    assert value("loopwatch_event_loop_blocked_seconds_count", loop="MainThread", cause="sleep") == 1


def test_a_failure_is_ours_alone(sink, source, caplog):
    """If the totals cannot be read, what was counted is scraped on, with the program's own metrics; and it is said once."""
    sink.count(stall(400))
    source.now = None

    for _ in range(2):
        assert value("loopwatch_event_loop_blocked_seconds_count", loop="MainThread", cause="sleep") == 1
        assert "python_info" in exposition("").body.decode()
    assert len([one for one in caplog.records if "no longer brought up to date" in one.getMessage()]) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_mounted(sink, method):
    """The ASGI application answers with the same metrics."""
    transport = httpx.ASGITransport(metrics_app())

    async def main():
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, "/")

    reply = asyncio.run(main())

    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith(CONTENT_TYPE_LATEST.partition(";")[0])
    assert ("loopwatch_build_info" in reply.text) is (method == "GET")


def test_mounted_in_fastapi(sink):
    """A FastAPI application takes it under a path of its own."""
    require("fastapi")
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/metrics", metrics_app())

    async def main():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/metrics/")

    assert "loopwatch_build_info" in asyncio.run(main()).text


def test_promtool_has_nothing_to_say(sink, source):
    """Names, units, types and help texts are as Prometheus wants them."""
    need([] if shutil.which("promtool") else ["promtool"])
    sink.count(stall())
    source.say(loop(observed_s=1.0, lags_ms=[3.0]))
    ours = "".join(
        line + "\n" for line in exposition("").body.decode().splitlines() if "loopwatch_" in line.partition("{")[0]
    )

    checked = subprocess.run(["promtool", "check", "metrics"], input=ours, capture_output=True, text=True, timeout=60)

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_missing(monkeypatch):
    """Without prometheus-client the sink and the application are refused when they are made, with what to install."""
    monkeypatch.setattr("loopwatch.sinks.find_spec", lambda name: None)

    for make in (PrometheusSink, metrics_app):
        with pytest.raises(MissingExtraError, match=r"pip install 'loopwatch\[prometheus\]'"):
            make()


def test_refused(monkeypatch):
    """An address that others can reach is refused without a token."""
    monkeypatch.delenv("LOOPWATCH_TOKEN", raising=False)

    with pytest.raises(SettingError, match=r"sink 'prometheus' is to listen on 0\.0\.0\.0:9464"):
        PrometheusSink("0.0.0.0:9464")


def test_token(source):
    """With a token, both pages ask for it."""
    port = free_port()
    sink = PrometheusSink(f"127.0.0.1:{port}", token="s3cret")
    sink.begin(source)
    try:
        assert [ask(port, path).status for path in ("/metrics", "/livez")] == [401, 401]
        assert ask(port, "/metrics", Authorization="Bearer s3cret").status == 200
    finally:
        sink.end()


def test_nothing_is_imported_early(tmp_path):
    """The sink is named and made without importing prometheus-client; it is imported when a loop starts."""
    program = """
        import sys
        from loopwatch.sinks import sink_called

        sink_called("prometheus:9464")
        print("prometheus_client" in sys.modules)
    """
    with running(program, tmp_path) as process:
        assert process.finish() == 0, process.stderr

    assert process.stdout.strip() == "False"


def test_registry_is_the_programs(sink):
    """Whatever else serves prometheus-client's registry serves our metrics, too."""
    assert REGISTRY.get_sample_value("loopwatch_dropped_total") == 0
