"""The demo's command line: `python -m loopwatch.demo`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]

NEEDED = ("fastapi", "httpx", "requests", "structlog", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    Returns:
        0 if every planted blocker was named and nothing innocent blamed, 1 if not, 2 if the demo could not run, 130
        after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    needed = (*NEEDED, "uvloop") if options.loop == "uvloop" else NEEDED
    if missing := [name for name in needed if find_spec(name) is None]:
        return _complain(f"this needs {', '.join(missing)}: pip install 'loopwatch[demo]'")
    return _run(options.loop, options.seconds, options.json)


def _run(loop: str, seconds: float, as_json: bool) -> int:
    from .run import run_as_json, run_on_screen  # only now that what they import is known to be there
    from .server import DemoError

    run = run_as_json if as_json else run_on_screen
    try:
        return asyncio.run(run(loop, seconds, sys.stdout))
    except DemoError as error:
        return _complain(str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nloopwatch.demo: stopped", file=sys.stderr)
        return 130


def _complain(what: str) -> int:
    print(f"loopwatch.demo: {what}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loopwatch.demo",
        description="Serve a small FastAPI shop that blocks its event loop, send it traffic, and show what loopwatch "
        "says about it. Everything stays on this machine's loopback interface.",
        epilog="Exit status: 0 if every planted blocker was named, 1 if not, 2 if the demo could not run.",
    )
    parser.add_argument("--seconds", type=_seconds, default=8.0, metavar="S", help="length of the traffic (default: 8)")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop", help="the shop's event loop")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def _seconds(text: str) -> float:
    """From 3 s, so that every blocker is called, to 10 minutes."""
    seconds = float(text)
    if not 3 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text}: give 3 to 600 seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
