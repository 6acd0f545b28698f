"""From 0 to a clean suite: known blocks pass, new ones fail, and the file shrinks."""

import json

import pytest
from facts import origin, stall

from loopwatch.pytest_plugin.baseline import Baseline, Entry
from loopwatch.records import Cause

SOURCE = """
    import time

    async def test_old():
        time.sleep(0.15)
"""
NEW = """
    async def test_new():
        time.sleep(0.12)
"""
CHOICE = "--loopwatch-baseline=known.json"


def test_life(sessions):
    """Written once, known blocks pass and are counted, new ones fail, and those that are gone are named and dropped."""
    written = sessions.gate(SOURCE, CHOICE, "--loopwatch-update-baseline")
    assert written.outcomes() == {"failed": 1}
    assert "wrote 1 known blocks to" in written.text

    known = sessions.gate("\n\n# moved down\n" + unindented(SOURCE), CHOICE)
    assert known.verdicts() == {"test_old": "known"}
    assert known.outcomes() == {"passed": 1}
    assert "1 blocks: 1 known by the baseline" in known.text

    new = sessions.gate(SOURCE + NEW, CHOICE)
    assert new.verdicts() == {"test_old": "known", "test_new": "blocked"}

    gone = sessions.gate("def test_old(): pass\n", CHOICE)
    assert "no longer occurs: sleep in test_it:test_old" in gone.text
    assert "remove these with --loopwatch-update-baseline" in gone.text

    sessions.gate("def test_old(): pass\n", CHOICE, "--loopwatch-update-baseline")
    assert json.loads((sessions.pytester.path / "known.json").read_text("utf-8")) == {"version": 1, "blocks": []}


def unindented(source):
    return source.replace("\n    ", "\n")


def test_part_of_a_suite(sessions):
    """A run of some tests calls nothing out of date, and an update by it drops nothing."""
    sessions.gate(SOURCE + NEW, CHOICE, "--loopwatch-update-baseline")
    path = sessions.pytester.path / "known.json"
    before = path.read_text("utf-8")

    part = sessions.gate(SOURCE + NEW, CHOICE, "-k", "new")
    sessions.gate(SOURCE + NEW, CHOICE, "-k", "new", "--loopwatch-update-baseline")

    assert "no longer occurs" not in part.text
    assert [one["function"] for one in json.loads(path.read_text("utf-8"))["blocks"]] == ["test_new", "test_old"]
    assert len(path.read_text("utf-8").splitlines()) == len(before.splitlines())


def test_missing(sessions):
    """A baseline that is not there is refused with the way to write it."""
    session = sessions.gate(SOURCE, CHOICE)

    assert session.result.ret == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines(["ERROR: no baseline *known.json; write it with --loopwatch-update-baseline"])


def test_broken(sessions):
    """One that cannot be read is refused, too."""
    (sessions.pytester.path / "known.json").write_text("{", "utf-8")

    session = sessions.gate(SOURCE, CHOICE)

    session.result.stderr.fnmatch_lines(["ERROR: cannot read the baseline *known.json: *; mend it, or write it anew*"])


def test_a_computation_is_one():
    """A computation is known whichever half of it was sampled more; a wait only if it is for the same call."""
    computes = Baseline([Entry("shop", "handler", "python", "", "aaaa", 100)])
    waits = Baseline([Entry("shop", "handler", "network", "requests.api.get", "bbbb", 100)])
    here = origin("handler", call="json.dumps", module="shop")

    assert computes.knows(stall(cause=Cause.NATIVE, origin=here, fingerprint="cccc"))
    assert not computes.knows(stall(cause=Cause.SLEEP, origin=here, fingerprint="cccc"))
    assert not waits.knows(stall(cause=Cause.NETWORK, origin=here, fingerprint="cccc"))


def test_file(tmp_path):
    """The file is sorted, one entry a line, and reads back as it was written."""
    entries = [Entry("shop", name, "sleep", "time.sleep", name, 100) for name in ("b", "a")]
    path = tmp_path / "folder" / "known.json"

    Baseline(entries).write(path)

    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line.rstrip(","))["function"] for line in lines[3:5]] == ["a", "b"]
    assert Baseline.read(path).entries == tuple(sorted(entries))
