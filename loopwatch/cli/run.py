"""`loopwatch run -- COMMAND`: watch the loops of a program that knows nothing of loopwatch.

The command takes this process's place, so its exit code and its signals are its own. Python finds our `sitecustomize` through
PYTHONPATH; it hands on to the one that was there before, and begins to watch once asyncio is imported. Child processes
(workers, reloaders) inherit it.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from loopwatch.errors import SettingError
from loopwatch.settings import ENVIRONMENT_PREFIX, resolve

__all__ = ["DESCRIPTION", "SUMMARY", "prepare_parser", "run"]

SUMMARY = "run a command with its event loops watched"
DESCRIPTION = (
    "Run COMMAND with every event loop of it, and of its child processes, watched; nothing in it needs to change. "
    "Example: loopwatch run --threshold-ms 50 -- uvicorn app:app --workers 2. "
    "The exit code is the command's; 2 if a setting cannot be used, 127 if there is no such command."
)
NOT_FOUND = 127
OPTIONS = {
    "threshold_ms": ("MS", "a turn this long is a stall (default 100)"),
    "ongoing_ms": ("MS", "announce a stall while it lasts from here on, or 'none' (default 1000)"),
    "sinks": ("NAMES", "where stalls go, separated by commas (default structlog)"),
    "app_packages": ("NAMES", "installed packages that count as your code, separated by commas"),
    "grace_ms": ("MS", "stalls that end within so much time of a loop's start are only counted (default 0)"),
    "repeat_ms": ("MS", "how far apart records of one incident come at least, after the first five (default 60000)"),
    "records_per_minute": ("N", "records that a named sink gets, of all incidents (default 30)"),
    "stacks_per_minute": ("N", "records that carry their stack (default 10)"),
    "quiet_ms": (
        "MS",
        "without a stall for so long an incident is quiet, after five times that closed (default 60000)",
    ),
    "max_frames": ("N", "frames kept of one sample (default 64)"),
    "max_samples": ("N", "samples kept of one stall (default 200)"),
    "keep": ("N", "ended stalls remembered (default 1000)"),
}


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    for name, (metavar, text) in OPTIONS.items():
        parser.add_argument("--" + name.replace("_", "-"), metavar=metavar, help=text)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def run(chosen: argparse.Namespace) -> int:
    """Start the command in this process's place.

    Returns:
        Only if it could not be started.

    Raises:
        SettingError: a setting cannot be used, or no command was given.
    """
    words = chosen.words[1:] if chosen.words[:1] == ["--"] else chosen.words
    if not words:
        raise SettingError("no command given; write it after two dashes: loopwatch run -- uvicorn app:app")
    environment = _environment(chosen)
    if shutil.which(words[0], path=environment.get("PATH")) is None:
        print(f"loopwatch: no such command: {words[0]}", file=sys.stderr)
        return NOT_FOUND
    os.execvpe(words[0], words, environment)  # noqa: S606 - starting the user's command is what this is for
    return NOT_FOUND


def _environment(chosen: argparse.Namespace) -> dict[str, str]:
    """This process's environment with the settings, checked now, and the way to our `sitecustomize`."""
    given = {name: getattr(chosen, name) for name in OPTIONS if getattr(chosen, name) is not None}
    resolve(given)
    environment = dict(os.environ)
    environment.update({ENVIRONMENT_PREFIX + name.upper(): value for name, value in given.items()})
    package = Path(__file__).resolve().parent
    paths = [str(package / "bootstrap"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
