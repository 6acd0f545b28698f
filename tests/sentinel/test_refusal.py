"""What is said where py-spy is missing or the kernel refuses."""

import pytest

import loopwatch
from loopwatch.sentinel import refusal


@pytest.mark.parametrize(
    ("scope", "dumpable", "remedy"),
    [
        (1, False, "changed its user"),
        (2, True, "sysctl kernel.yama.ptrace_scope=1"),
        (3, True, "boot with another value"),
        (0, True, "--cap-add=SYS_PTRACE"),
        (None, True, "--cap-add=SYS_PTRACE"),
    ],
)
def test_remedy(scope, dumpable, remedy):
    """Whatever forbids it is named, with what to set."""
    sentence = refusal.refusal(scope, dumpable)

    assert remedy in sentence
    assert sentence.startswith("loopwatch: the sentinel may not read this process")


def test_found_beside_python(tmp_path):
    """py-spy is found where pip puts it."""
    program = tmp_path / "py-spy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    assert refusal.find_program([tmp_path / "nowhere", tmp_path]) == str(program)


def test_found_on_path(tmp_path, monkeypatch):
    """Or on PATH; and where it is not, it is not."""
    program = tmp_path / "py-spy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal.find_program([]) == str(program)
    monkeypatch.setenv("PATH", "/nowhere")
    assert refusal.find_program([]) is None


def test_missing(monkeypatch):
    """Without py-spy the setting is refused with the extra that brings it, and nothing is installed."""
    monkeypatch.setattr(refusal, "find_program", lambda: None)

    with pytest.raises(loopwatch.SettingError, match=r"invalid sentinel True .*pip install 'loopwatch\[sentinel\]'"):
        loopwatch.enable(sentinel=True)
