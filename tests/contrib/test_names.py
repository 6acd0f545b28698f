"""Rules, alerts and dashboard speak of metrics that there are, and every query finds something in a real Prometheus."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from facts import LOOP, stall
from live.processes import free_port, until
from prometheus_client.parser import text_string_to_metric_families

from loopwatch.records import LoopStats
from loopwatch.settings import Settings
from loopwatch.sinks.prometheus import PrometheusSink
from loopwatch.sinks.prometheus.exposition import exposition

from .monitoring import CONTRIB, need_programs, prometheus

RULES = sorted((CONTRIB / "prometheus").glob("*.yml"))
DOCS = Path(__file__).parents[2] / "docs" / "sinks.md"
DASHBOARD = CONTRIB / "grafana" / "loopwatch.json"
NAME = re.compile(r"(?<!:)\bloopwatch_[a-z0-9_]+")
"""A metric's name; what a rule has worked out has a colon before it."""
NOTHING = LoopStats(None, 0, None, 0, 0, 0, 0, 0, 0, {}, 0, 0, 0, 0, None)


class Lively:
    """A watch that has always seen more since the last time that somebody asked."""

    settings, incidents = Settings(), ()
    pools = (SimpleNamespace(kind="anyio", name="default limiter", borrowed=40, total=40, waiting=7),)

    def __init__(self):
        self.asked = 0

    def stats(self):
        self.asked += 1
        loop = replace(
            NOTHING,
            loop=LOOP,
            observed_s=0.2 * self.asked,
            utilization=0.5,
            lags_ms=(3.0,) * 10,
            looks=10 * self.asked,
            allowed=self.asked,
            suspended=self.asked,
            stalled_ms=100.0,
        )
        return replace(NOTHING, loops=(loop,), cost_cpu_ms=float(self.asked), dropped=self.asked)


@pytest.fixture
def exporting():
    """A sink to which everything has happened that can; gives its port."""
    port = free_port()
    sink = PrometheusSink(str(port))
    sink.begin(Lively())
    sink.count(stall())
    yield port, sink
    sink.end()


def expressions(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_names(exporting):
    """Whatever rules, alerts and dashboard ask for, the exporter emits: a metric that is renamed does not silence an alert."""
    emitted = {
        sample.name
        for family in text_string_to_metric_families(exposition("").body.decode())
        for sample in family.samples
    }

    for path in (*RULES, DASHBOARD):
        asked = set(NAME.findall(path.read_text("utf-8")))

        assert asked
        assert asked - emitted == set(), path.name


def test_documented_names(exporting):
    """docs/sinks.md lists every metric that there is, and no other, each with its type and its labels."""
    documented = {
        name: (kind, frozenset(re.findall("`(.+?)`", labels)))
        for name, kind, labels in re.findall(
            r"^\| `(loopwatch_\w+)` \| (\w+) \|(.*?)\|", DOCS.read_text("utf-8"), re.MULTILINE
        )
    }
    emitted = {}
    for family in text_string_to_metric_families(exposition("").body.decode()):
        if family.name.startswith("loopwatch_") and not family.name.endswith("_created"):
            name = family.name + ("_total" if family.type == "counter" else "")
            emitted[name] = (family.type, frozenset({*family.samples[0].labels} - {"le"}))

    assert documented == emitted


def test_recorded_names():
    """An alert on what a rule works out uses that rule's name."""
    rules, alerts = (CONTRIB / "prometheus" / name for name in ("rules.yml", "alerts.yml"))
    recorded = set(re.findall(r"record: (\S+)", rules.read_text()))

    used = set(re.findall(r"\binstance\w*:\w+:\w+", alerts.read_text()))

    assert used
    assert used <= recorded


def test_dashboard_is_anybodys():
    """It carries no ids, and no data source but the one that is chosen in it; its panels do not overlap."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert not {"id", "uid"} & {*dashboard, *(key for panel in dashboard["panels"] for key in panel)}
    assert set(re.findall(r'"uid": "([^"]*)"', DASHBOARD.read_text())) == {"${datasource}"}
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_queries(exporting, tmp_path):
    """Every query of the dashboard, as Grafana would send it, is one that Prometheus answers with data; so is every rule."""
    need_programs("prometheus")
    port, sink = exporting
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    recorded = re.findall(r"record: (\S+)", RULES[-1].read_text())
    with prometheus(tmp_path, {"shop": port}, RULES) as server:

        def seen():
            sink.count(stall())
            return server.query("count_over_time(loopwatch_dropped_total[1m]) > 3")

        until(seen, 60, "a few scrapes")
        for expression in (*map(filled, expressions(dashboard)), *recorded):
            assert until(lambda query=expression: server.query(query), 30, f"answer to {expression}")


def filled(expression):
    """A query with Grafana's variables filled in."""
    for variable, text in {"$job": ".*", "$instance": ".*", "$__rate_interval": "1m", "$__range": "1m"}.items():
        expression = expression.replace(variable, text)
    assert "$" not in expression
    return expression
