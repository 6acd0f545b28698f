"""`loopwatch run -- COMMAND`: watch the loops of a program that knows nothing of loopwatch.

The command takes this process's place, so its exit code and its signals are its own. Python finds our `sitecustomize` through
PYTHONPATH; it hands on to the one that was there before, and begins to watch once asyncio is imported. Child processes
(workers, reloaders) inherit it.
"""

import argparse
import os
import shutil
import sys
from dataclasses import fields
from pathlib import Path

from loopwatch.cli.interpreters import shuts_us_out
from loopwatch.errors import SettingError
from loopwatch.settings import ENVIRONMENT_PREFIX, Settings, resolve
from loopwatch.sinks import sink_called

__all__ = ["DESCRIPTION", "OPTIONS", "SUMMARY", "prepare_parser", "run"]

SUMMARY = "run a command with its event loops watched"
DESCRIPTION = (
    "Run COMMAND with every event loop of it, and of its child processes, watched; nothing in it needs to change. "
    "Example: loopwatch run --threshold-ms 50 -- uvicorn app:app --workers 2. "
    "The exit code is the command's; 2 if a setting cannot be used, 127 if there is no such command, 126 if it cannot be run."
)
EPILOG = (
    "Every option is also a variable, such as LOOPWATCH_THRESHOLD_MS, and a key of [tool.loopwatch] in pyproject.toml; the "
    "option wins. LOOPWATCH_ENABLED=0 runs the command unwatched. Not watched: python -I, -E and -S, which leave out the way "
    "in; programs of another environment in which loopwatch is not installed."
)
NOT_RUN, NOT_FOUND = 126, 127
OPTIONS = {
    # setting: (what stands for its value in the help, what it means)
    "threshold_ms": ("MS", "a turn this long is a stall"),
    "ongoing_ms": ("MS", "announce a stall while it lasts from here on, or 'none'"),
    "saturated_ms": ("MS", "tell of a full pool of threads or connections from here on, or 'none'"),
    "sinks": ("NAMES", "where stalls go, separated by commas"),
    "app_packages": ("NAMES", "installed packages that count as your code, separated by commas"),
    "grace_ms": ("MS", "stalls that end within so much time of a loop's start are only counted"),
    "repeat_ms": ("MS", "how far apart records of one incident come at least, after the first five"),
    "records_per_minute": ("N", "records that a named sink gets, of all incidents"),
    "stacks_per_minute": ("N", "records that carry their stack"),
    "quiet_ms": ("MS", "without a stall for so long an incident is quiet, after five times that closed"),
    "stuck_ms": ("MS", "/livez says that a process is not alive once a loop has been stuck for so long"),
    "session": ("FILE", "record to this file"),
    "sentinel": ("", "start the process that sees which line keeps the GIL"),
    "max_frames": ("N", "frames kept of one sample"),
    "max_samples": ("N", "samples kept of one stall"),
    "keep": ("N", "ended stalls remembered"),
    "enabled": ("", "watch at all"),
    "verbose": ("", "say on stderr what is watched, once in each process"),
}
"""All settings but `rules`, which are functions and cannot be written here."""


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.epilog = EPILOG
    defaults = {field.name: field.default for field in fields(Settings)}
    for name, (metavar, text) in OPTIONS.items():
        option, default = "--" + name.replace("_", "-"), defaults[name]
        if isinstance(default, bool):
            parser.add_argument(
                option,
                action=argparse.BooleanOptionalAction,
                default=None,
                help=text + _default("yes" if default else "no"),
            )
        else:
            parser.add_argument(option, metavar=metavar, help=text + _default(default))
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def _default(value: object) -> str:
    shown = (
        ",".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else value
    )
    return f" (default {shown})" if shown else ""


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
    program = shutil.which(words[0], path=environment.get("PATH"))
    if program is None:
        print(f"loopwatch: no such command: {words[0]}", file=sys.stderr)
        return NOT_FOUND
    option = shuts_us_out(program, words[1:])
    if option is not None:
        print(
            f"loopwatch: {words[0]} runs with {option}, which leaves out the way in: it is not watched; leave {option} out, "
            "or put `import loopwatch.auto` into the program",
            file=sys.stderr,
        )
    try:
        os.execve(program, words, environment)  # noqa: S606 - starting the user's command is what this is for
    except OSError as error:
        print(f"loopwatch: cannot run {program}: {error.strerror}", file=sys.stderr)
        return NOT_RUN


def _environment(chosen: argparse.Namespace) -> dict[str, str]:
    """This process's environment with the settings, checked now, and the way to our `sitecustomize`, if it is wanted."""
    given = {name: str(getattr(chosen, name)) for name in OPTIONS if getattr(chosen, name) is not None}
    settings = resolve(given)
    environment = dict(os.environ)
    environment.update({ENVIRONMENT_PREFIX + name.upper(): value for name, value in given.items()})
    if settings.enabled:
        for sink in settings.sinks:
            sink_called(sink)  # says now what it lacks
        paths = [str(Path(__file__).resolve().parent / "bootstrap"), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
