"""The rules and alerts that are shipped, by Prometheus's own tool."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .monitoring import CONTRIB, need_programs

RULES = CONTRIB / "prometheus"


@pytest.fixture
def folder(tmp_path):
    """The shipped files with their tests beside them."""
    need_programs("promtool")
    for path in (*RULES.glob("*.yml"), Path(__file__).parent / "rules_test.yml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def promtool(*arguments, folder):
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def test_rules(folder):
    """What they work out and when they alert is as rules_test.yml says."""
    tested = promtool("test", "rules", "rules_test.yml", folder=folder)

    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("alerts.yml", "stalled_seconds > 5", "stalled_seconds > 50"),
        ("rules.yml", '{cause!="starved"}', ""),
    ],
)
def test_the_tests_can_fail(folder, name, before, after):
    """Rules that say something else do not pass them."""
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace(before, after))

    assert before in text
    assert promtool("test", "rules", "rules_test.yml", folder=folder).returncode != 0


def test_lint(folder):
    """promtool has nothing to say about the files themselves."""
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml", "alerts.yml", folder=folder)

    assert checked.returncode == 0, checked.stdout + checked.stderr
