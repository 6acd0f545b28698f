"""The command line: `loopwatch run -- COMMAND`, `loopwatch demo`."""

import argparse
import sys
from collections.abc import Sequence

from loopwatch.cli import run
from loopwatch.errors import LoopwatchError
from loopwatch.versions import version_of

__all__ = ["main"]

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What follows the program's name; None: `sys.argv[1:]`.

    Returns:
        The exit code: that of the command for `run`, 2 where the arguments or settings cannot be used.
    """
    parser = _parser()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["demo"]:  # it has options of its own
        return _demo(words[1:])
    chosen = parser.parse_args(words)
    if chosen.command is None:
        parser.print_help()
        return USAGE_ERROR
    try:
        return run.run(chosen)
    except LoopwatchError as error:
        print(f"loopwatch: {error}", file=sys.stderr)
        return USAGE_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="loopwatch", description="Says which line blocked the event loop, why, and for how long."
    )
    parser.add_argument(
        "--version", action="version", version=f"loopwatch {version_of('loopwatch', '(not installed)')}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run.prepare_parser(commands.add_parser("run", help=run.SUMMARY, description=run.DESCRIPTION))
    commands.add_parser("demo", help="show loopwatch at work on a FastAPI application under load", add_help=False)
    return parser


def _demo(words: list[str]) -> int:
    from loopwatch.demo.__main__ import main as show

    return show(words)
