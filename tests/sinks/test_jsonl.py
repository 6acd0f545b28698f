"""Stalls as a file of JSON Lines."""

import fcntl
import json
import multiprocessing
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from facts import ongoing, stall

from loopwatch.errors import SettingError
from loopwatch.sinks import sink_called
from loopwatch.sinks.event import fields_of
from loopwatch.sinks.jsonl import JsonlSink

from .saying import said


@pytest.fixture
def path(tmp_path):
    """Where to write."""
    return tmp_path / "stalls.jsonl"


def read(*paths):
    """The lines of these files, one after the other."""
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def ids(*paths):
    return [line["stall_id"] for line in read(*paths)]


def line_bytes():
    """How long the line of a test's stall is."""
    return len(json.dumps({"event": "event_loop_blocked", **fields_of(stall(id="00"))})) + 1


# ── lines ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines(begun, path):
    """One line for each record: the event's name, and the keys of the log event."""
    sink = begun(sink_called(f"jsonl:{path}"))
    for one in (ongoing(), stall()):
        sink(one)

    assert read(path) == [
        {"event": "event_loop_stalled", **fields_of(ongoing())},
        {"event": "event_loop_blocked", **fields_of(stall())},
    ]


def test_private(begun, path):
    """Nobody else may read the file."""
    begun(JsonlSink(str(path)))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_appends(begun, path):
    """What another run wrote stays."""
    for name in ("first", "second"):
        sink = begun(JsonlSink(str(path)))
        sink(stall(id=name))
        sink.end()

    assert ids(path) == ["first", "second"]


def test_process_id(begun, tmp_path):
    """Each process may have a file of its own."""
    begun(JsonlSink(str(tmp_path / "{pid}.jsonl")))(stall())

    assert len(read(tmp_path / f"{os.getpid()}.jsonl")) == 1


def test_any_text(begun, path):
    """A record is one line, whatever the program's names are."""
    begun(JsonlSink(str(path)))(stall(task='a\n"b"\x00\u2028\ud800'))

    assert len(path.read_bytes().splitlines()) == 1
    assert read(path)[0]["task"] == 'a "b"   '


# ── rotation ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rotation(begun, path, tmp_path):
    """A file that is full is put aside; so many old ones are kept, the newest as .1."""
    sink = begun(JsonlSink(str(path), max_bytes=2 * line_bytes(), keep=2))
    for number in range(9):
        sink(stall(id=f"{number:02}"))

    assert ids(path) == ["08"]
    assert ids(tmp_path / "stalls.jsonl.1") == ["06", "07"]
    assert ids(tmp_path / "stalls.jsonl.2") == ["04", "05"]
    assert len(list(tmp_path.iterdir())) == 3
    assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}


def test_nothing_kept(begun, path, tmp_path):
    """Without old files the disk holds no more than one full file."""
    sink = begun(JsonlSink(str(path), max_bytes=2 * line_bytes(), keep=0))
    for number in range(5):
        sink(stall(id=f"{number:02}"))

    assert ids(path) == ["04"]
    assert list(tmp_path.iterdir()) == [path]


def test_long_line(begun, path):
    """A line that is longer than a file may be gets a file of its own."""
    sink = begun(JsonlSink(str(path), max_bytes=10, keep=1))
    for name in "ab":
        sink(stall(id=name))

    assert ids(path.with_name("stalls.jsonl.1"), path) == ["a", "b"]


def test_rotated_by_another(begun, path):
    """Where somebody else has put the file aside, as logrotate does, the next line begins a new one."""
    sink = begun(JsonlSink(str(path)))
    sink(stall(id="a"))
    path.rename(path.with_name("old"))
    sink(stall(id="b"))

    assert (ids(path.with_name("old")), ids(path)) == (["a"], ["b"])


def test_another_does_not_get_on(begun, path, caplog):
    """A process that was stopped while it put the file aside costs lines, but neither time nor disk without end."""
    sink = begun(JsonlSink(str(path), max_bytes=line_bytes(), keep=1))
    sink(stall(id="a"))
    with open(path, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        sink(stall(id="b"))
    sink(stall(id="c"))

    assert (ids(path.with_name("stalls.jsonl.1")), ids(path)) == (["a"], ["c"])
    assert read(path)[0]["lost_count"] == 1
    assert "Resource temporarily unavailable" in said(caplog)[0]


def write(path, max_bytes, name, count):
    """What one of several processes does."""
    sink = JsonlSink(path, max_bytes=max_bytes, keep=100)
    sink.begin(None)
    for number in range(count):
        sink(stall(id=f"{name}{number}"))
    sink.end()


def test_several_processes(path, tmp_path):
    """Of what several processes write to one file, rotation and all, every line is whole and there once."""
    processes = [
        multiprocessing.get_context("spawn").Process(target=write, args=(str(path), 40_000, name, 500))
        for name in "abc"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    files = list(tmp_path.iterdir())
    assert sorted(ids(*files)) == sorted(f"{name}{number}" for name in "abc" for number in range(500))
    assert len(files) > 10
    assert (
        max(file.stat().st_size for file in files) < 40_000 + 3 * 2 * line_bytes()
    )  # each may have looked a line earlier


@pytest.mark.parametrize("bounds", [{"max_bytes": 0}, {"keep": -1}])
def test_wrong_bounds(bounds):
    """Bounds that bound nothing are refused."""
    with pytest.raises(SettingError, match="invalid bounds of sink jsonl"):
        JsonlSink("stalls.jsonl", **bounds)


# ── disks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_disk_full(begun, caplog):
    """A full disk is said once, and what is lost is counted."""
    sink = begun(JsonlSink("/dev/full"))
    for _ in range(3):
        sink(stall())

    assert said(caplog) == [
        "loopwatch: JsonlSink (/dev/full) cannot deliver: No space left on device",
        "loopwatch: JsonlSink (/dev/full) has lost 1 so far: No space left on device",
        "loopwatch: JsonlSink (/dev/full) has lost 2 so far: No space left on device",
    ]


def test_folder_gone(begun, tmp_path, caplog):
    """A folder that is gone is said once; when it is back, lines are written again, and the first tells how many were lost."""
    folder = tmp_path / "log"
    folder.mkdir()
    path = folder / "stalls.jsonl"
    sink = begun(JsonlSink(str(path)))
    path.unlink()
    folder.rmdir()
    for _ in range(3):
        sink(stall())
    folder.mkdir()
    for name in "ab":
        sink(stall(id=name))

    assert [(line["stall_id"], line.get("lost_count")) for line in read(path)] == [("a", 3), ("b", None)]
    assert said(caplog)[0] == f"loopwatch: JsonlSink ({path}) cannot deliver: No such file or directory"
    assert said(caplog)[-1] == f"loopwatch: JsonlSink ({path}) delivers again"


def test_no_folder_at_start(begun, tmp_path, caplog):
    """A folder that is not there is said at startup, not first when a stall is lost; it may come later."""
    path = tmp_path / "later" / "stalls.jsonl"
    sink = begun(JsonlSink(str(path)))
    assert len(said(caplog)) == 1
    path.parent.mkdir()
    sink(stall(id="a"))

    assert ids(path) == ["a"]


def test_cannot_rotate(begun, tmp_path, caplog):
    """Where a full file cannot be put aside the disk is not filled: lines are lost until it can."""
    path = tmp_path / "stalls.jsonl"
    sink = begun(JsonlSink(str(path), max_bytes=line_bytes(), keep=1))
    (tmp_path / "stalls.jsonl.1").mkdir()
    for number in range(3):
        sink(stall(id=f"{number:02}"))

    assert ids(path) == ["00"]
    assert "has lost 2 so far" in said(caplog)[-1]


PART_OF_A_LINE = """
import resource, sys
from facts import stall
from loopwatch.sinks.jsonl import JsonlSink

sink = JsonlSink(sys.argv[1])
sink.begin(None)
sink(stall(id="a"))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
sink(stall(id="b"))
sink(stall(id="c"))
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
sink(stall(id="d"))
sink.end()
"""


def test_part_of_a_line(path):
    """Of a line that found room for its first part only, the rest does not come: the next one is whole."""
    places = [str(Path(__file__).parents[1]), *sys.path]
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PART_OF_A_LINE), str(path), str(line_bytes() + 100)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        check=True,
        timeout=60,
    )

    whole, part, after = path.read_text("utf-8").splitlines()
    assert [json.loads(whole)["stall_id"], json.loads(after)["stall_id"]] == ["a", "d"]
    assert json.loads(after)["lost_count"] == 2
    assert len(part) == pytest.approx(100, abs=5)
