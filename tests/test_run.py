"""`loopwatch run`: what its options say reaches the command, checked before it starts."""

import argparse

import pytest

from loopwatch.cli import run
from loopwatch.errors import SettingError
from loopwatch.settings import resolve


def environment(*words):
    """What the command would find, given these options."""
    parser = argparse.ArgumentParser()
    run.prepare_parser(parser)
    return run._environment(parser.parse_args([*words, "--", "python", "app.py"]))


def test_options():
    """An option is a setting of the watched program."""
    words = "--threshold-ms 50 --grace-ms 10000 --repeat-ms 30000 --records-per-minute 5 --stacks-per-minute 0 --quiet-ms 9e4"

    found = resolve({}, environment(*words.split()), ("", {}))

    assert (found.threshold_ms, found.grace_ms, found.repeat_ms, found.quiet_ms) == (50, 10_000, 30_000, 90_000)
    assert (found.records_per_minute, found.stacks_per_minute) == (5, 0)


def test_wrong_option():
    """A wrong value is refused before the command starts."""
    with pytest.raises(SettingError, match=r"invalid records_per_minute '0'.*1 or more"):
        environment("--records-per-minute", "0")
