"""py-spy's output, and what goes wrong with it."""

import json
import os

import pytest

from loopwatch.sentinel.spying import MAX_FRAMES, dump, moved, threads_of


def printed(thread=7, has_gil=False, depth=2, **fields):
    """One thread as py-spy 0.4 prints it."""
    frames = [
        {"name": f"f{number}", "filename": "/srv/shop.py", "line": number, "locals": None, "module": None}
        for number in range(depth)
    ]
    return {"os_thread_id": thread, "thread_name": "worker", "owns_gil": has_gil, "frames": frames, **fields}


def threads(*one, wanted=(7,)):
    return threads_of(json.dumps(one).encode(), set(wanted))


def test_threads():
    """Of a program's threads, the loops' are kept, and whoever has the GIL."""
    found = threads(printed(7), printed(8), printed(9, has_gil=True))

    assert [(thread, has_gil) for thread, _, has_gil, _ in found] == [(7, False), (9, True)]
    assert found[0] == (7, "worker", False, [("/srv/shop.py", "f0", 0), ("/srv/shop.py", "f1", 1)])


def test_deep():
    """Of a deep stack both ends are kept."""
    ((_, _, _, frames),) = threads(printed(depth=1000))

    assert len(frames) == 2 * MAX_FRAMES
    assert (frames[0][2], frames[-1][2]) == (0, 999)


def test_nameless():
    """A thread that Python knows no name of has an empty one."""
    assert threads(printed(thread_name=None))[0][1] == ""


@pytest.mark.parametrize("text", [b"", b"Error: Permission denied", b'{"a": 1}', b"[3]", b'[{"os_thread_id": 7}]'])
def test_no_dump(text):
    """Anything else is refused."""
    with pytest.raises(ValueError):
        threads_of(text, {7})


def test_moved():
    """A frozen thread stands where it stood; whoever else there is may go on."""
    here, there = threads(printed(7, has_gil=True)), threads(printed(7, has_gil=True, depth=3))

    assert moved(here, there)
    assert not moved(here, threads(printed(7, has_gil=True), printed(8, depth=9), wanted=(7, 8)))
    assert not moved(None, here)
    assert not moved(here, None)


def test_no_program():
    """A program that cannot be started says so in place of a dump."""
    assert b"cannot run /nowhere/py-spy" in dump("/nowhere/py-spy", os.getpid())


def test_other_program(tmp_path):
    """What a program prints comes back, errors too, and it is given the process and told not to stop it."""
    script = tmp_path / "py-spy"
    script.write_text('#!/bin/sh\necho "$@"\necho trouble >&2\n')
    script.chmod(0o755)

    text = dump(str(script), 4711).decode()

    assert text == "dump --nonblocking --json --pid 4711\ntrouble\n"


def test_hanging_program(tmp_path, monkeypatch):
    """One that does not end is ended."""
    monkeypatch.setattr("loopwatch.sentinel.spying.PATIENCE_S", 0.05)
    script = tmp_path / "py-spy"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)

    assert dump(str(script), 4711) == b""
