"""The demo: run as a newcomer runs it, in a process of its own. What is wrong with the shop is read from its source."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import loopwatch
from loopwatch.demo.__main__ import main
from loopwatch.demo.findings import Finding, Latency, Outcome, problems
from loopwatch.demo.planted import Planted, read_planted
from loopwatch.demo.screens import PlainScreen
from loopwatch.demo.server import SHOP
from loopwatch.demo.traffic import percentile
from loopwatch.demo.wording import TOO_BUSY

PLANTED = {planted.name: planted for planted in read_planted(SHOP)}
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
NAMES = ("alike", "customers", "export", "login", "price")


def demo(*options, folder, **streams):
    """Start the demo with its temporary files in `folder`."""
    command = [sys.executable, "-m", "loopwatch.demo", *options]
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(Path(loopwatch.__file__).parents[1])}
    return subprocess.Popen(command, text=True, env=environment, **streams)


def finished(process):
    out, err = process.communicate(timeout=90)
    return process.returncode, out, err


def fair(run):
    """The first of three runs on which the machine had time for the shop; what a starved one lacks, nobody could see."""
    for _ in range(3):
        result, busy = run()
        if not busy:
            return result
    pytest.skip("the machine is too busy for a fair run")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What a short run on uvloop says as JSON."""

    def run():
        status, out, err = finished(demo("--json", "--seconds", "5", folder=tmp_path_factory.mktemp("uvloop"), **PIPES))
        assert out, err
        document = json.loads(out) | {"status": status, "stderr": err}
        return document, document["problems"] and document["busy"]

    return fair(run)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What a short run on asyncio shows, as (status, text)."""

    def run():
        folder = tmp_path_factory.mktemp("asyncio")
        status, out, err = finished(demo("--loop", "asyncio", "--seconds", "5", folder=folder, **PIPES))
        assert not err
        assert not list(folder.iterdir())
        return (status, out), TOO_BUSY in out

    return fair(run)


class TestRun:
    """Real shop, real traffic."""

    @pytest.mark.parametrize("name", NAMES)
    def test_names_each_planted_blocker(self, said, name):
        """Its file, its line and its cause are among the findings."""
        planted = PLANTED[name]

        named = {
            (finding["file"], finding["line"]) for finding in said["findings"] if finding["cause"] in planted.causes
        }

        assert planted.lines & named, said["findings"]

    @pytest.mark.parametrize("name", NAMES)
    def test_logs_each_planted_blocker(self, said, name):
        """The event that the shop's own structlog wrote names it too, with the request that held the loop."""
        planted = PLANTED[name]

        events = [event for event in said["events"] if (event["file"], event["line"]) in planted.lines]

        assert any(event["cause"] in planted.causes and event["route"] for event in events), said["events"]

    def test_never_blames_the_well_behaved(self, said):
        """No stall is laid on an endpoint that only waited."""
        held = {endpoint for finding in said["findings"] for endpoint in finding["endpoints"] if finding["file"]}

        assert not held & {"GET /health", "GET /stock/{sku}"}

    def test_blames_nothing_but_what_is_planted(self, said):
        """Every line of the shop that is named is a planted one."""
        lines = {line for planted in PLANTED.values() for line in planted.lines}

        assert {(finding["file"], finding["line"]) for finding in said["findings"] if finding["file"]} <= lines

    def test_succeeds(self, said):
        """All is found, so the exit status is 0 and nothing goes to standard error."""
        assert (said["status"], said["stderr"], said["problems"]) == (0, "", [])
        assert all(said["found"][name] for name in NAMES)

    def test_shows_who_waited(self, said):
        """The innocent endpoint answers slower under traffic than alone, which is the point of it all."""
        assert said["health"]["p99_ms"] > 100 > said["health_alone"]["p50_ms"]
        assert 0 < said["lost_ms"] < 1e3 * said["seconds"]

    def test_shows_everything_in_plain_text_on_asyncio(self, shown):
        """Without a terminal the text has no colour, no long line, and each blocker with its cause on one line."""
        status, text = shown

        assert status == 0, text
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= 100
        for planted in PLANTED.values():
            assert any(_tells(line, planted) for line in text.splitlines()), f"{planted}\n{text}"


def _tells(line, planted):
    words = line.split()
    return any(f"{file}:{number}" in words for file, number in planted.lines) and bool(planted.causes & set(words))


class TestEnd:
    """However it ends, nothing stays behind."""

    @pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the shop's process through /proc")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_cleans_up_when_stopped(self, tmp_path, number):
        """Ctrl-C and SIGTERM end the shop's process and remove its folder."""
        process = demo("--seconds", "60", folder=tmp_path, **PIPES)
        while "of traffic" not in process.stdout.readline():
            assert process.poll() is None
        (shop,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

        process.send_signal(number)
        status, _, err = finished(process)

        assert (status, err) == (130, "\nloopwatch.demo: stopped\n")
        assert not list(tmp_path.iterdir())
        assert not Path(f"/proc/{shop}").exists()

    def test_says_why_the_shop_did_not_start(self, tmp_path, monkeypatch, capsys):
        """A shop that cannot be imported: status 2, and what it wrote."""
        broken = tmp_path / "shop"
        broken.mkdir()
        (broken / "main.py").write_text("raise OSError('no shop today')")
        monkeypatch.setattr("loopwatch.demo.server.SHOP", broken)

        status = main(["--loop", "asyncio"])

        assert status == 2
        assert "did not start" in (err := capsys.readouterr().err)
        assert "no shop today" in err

    def test_says_what_is_not_installed(self, monkeypatch, capsys):
        """Status 2, and the line that installs it."""
        monkeypatch.setattr("loopwatch.demo.__main__.find_spec", lambda name: None if name == "uvloop" else name)

        status = main([])

        assert status == 2
        assert "uvloop: pip install 'loopwatch[demo]'" in capsys.readouterr().err

    def test_refuses_a_run_that_is_too_short(self, capsys):
        """Every blocker must get its turn."""
        with pytest.raises(SystemExit, match="2"):
            main(["--seconds", "1"])

        assert "3 to 600" in capsys.readouterr().err


CALLS = Finding(
    lost_ms=900.0,
    stalls=4,
    longest_ms=250.0,
    cause="network",
    file="shop/repository.py",
    line=7,
    expression='requests.get(f"{self.supplier}/a/path/that/takes/more/room/than/there/is/in/one/line/{sku}")',
    path=("price", "Shop.price_of", "Repository.supplier_price"),
    endpoints=("GET /prices/{sku}",),
    waited=6,
    advice="Use an asynchronous client. " * 8,
)
QUICK = Latency(requests=40, p50_ms=1.0, p99_ms=3.0, max_ms=3.0)
GOOD = Outcome(
    loop="uvloop",
    seconds=8.0,
    lost_ms=900.0,
    own_ms=890.0,
    findings=(CALLS,),
    planted=(Planted("price", frozenset({"network"}), frozenset({("shop/repository.py", 7)})),),
    requests=200,
    failed=0,
    health_alone=QUICK,
    health=QUICK,
)


class TestProblems:
    """The demo judges loopwatch, and itself."""

    def test_none_where_all_is_named(self):
        """A planted line with its cause is what was wanted."""
        assert problems(GOOD) == ()

    @pytest.mark.parametrize(
        ("outcome", "why"),
        [
            (replace(GOOD, findings=()), "no stall was reported"),
            (replace(GOOD, findings=(replace(CALLS, cause="lock"),)), "repository.py:7 .* network; it was called lock"),
            (replace(GOOD, findings=(replace(CALLS, line=8),)), "repository.py:7 was not named"),
            (replace(GOOD, findings=(CALLS, replace(CALLS, endpoints=("GET /health",)))), "GET /health: blamed"),
            (replace(GOOD, failed=3), "3 of 200 requests"),
        ],
    )
    def test_each_is_told(self, outcome, why):
        """What is missing, wrongly named or broken gets a sentence of its own."""
        assert any(re.search(why, sentence) for sentence in problems(outcome))

    def test_a_machine_that_was_busy_is_nobodys_fault(self):
        """A starved turn that happened to run /health blames nobody."""
        busy = replace(CALLS, cause="starved", endpoints=("GET /health",))

        assert problems(replace(GOOD, findings=(CALLS, busy))) == ()


class TestParts:
    """The small pure parts."""

    def test_reads_what_is_planted(self, tmp_path):
        """Two lines with one name are one blocker; its causes are alternatives."""
        (tmp_path / "a.py").write_text("x = 1\ny()  # planted one: python|native\n")
        (tmp_path / "b.py").write_text("y()  # planted one: python\nz()  # planted two: disk\n")
        folder = tmp_path.name

        one, two = read_planted(tmp_path)

        assert (
            Planted("one", frozenset({"python", "native"}), frozenset({(f"{folder}/a.py", 2), (f"{folder}/b.py", 1)}))
            == one
        )
        assert "disk" in two.causes

    def test_the_shop_has_its_five_blockers(self):
        """They are what the tests above look for."""
        assert set(NAMES) == set(PLANTED)

    def test_percentiles_are_values_that_occurred(self):
        """By nearest rank."""
        assert tuple(percentile(range(1, 101), percent) for percent in (50, 99, 100)) == (50, 99, 100)
        assert percentile([], 50) == 0.0

    def test_plain_table_keeps_its_width(self, capsys):
        """However long an expression or an advice is."""
        PlainScreen(sys.stdout).table([CALLS])

        assert max(map(len, capsys.readouterr().out.splitlines())) <= 100
