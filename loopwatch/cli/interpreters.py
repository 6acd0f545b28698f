"""Which options of Python's own keep `loopwatch run` out: those with which it does not look for `sitecustomize` where we put it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["shuts_us_out"]

BLIND = "IES"
"""-I: no PYTHON* variable counts, -E: neither; -S: `site` is not imported, which imports `sitecustomize`."""
WITH_VALUE = "WX"
LAST = "cm"
"""What follows is the program's own."""
PYTHONS = ("python", "pypy")
LONGEST_LINE = 512


def shuts_us_out(program: str, arguments: Sequence[str]) -> str | None:
    """The option, written as "-I", that keeps us out of a command; None: none does.

    Args:
        program: Path of the command: Python, or a script that names a Python in its first line.
        arguments: What follows it.
    """
    path = Path(program)
    if path.name.lower().startswith(PYTHONS):
        return _blind(arguments)
    try:
        with path.open("rb") as script:
            first = script.readline(LONGEST_LINE).decode("utf-8", "replace")
    except OSError:
        return None
    words = first.removeprefix("#!").split() if first.startswith("#!") else []
    named = [index for index, word in enumerate(words) if Path(word).name.startswith(PYTHONS)]
    return _blind(words[named[0] + 1 :]) if named else None


def _blind(arguments: Iterable[str]) -> str | None:
    """The first of Python's options that matters, as Python reads them: "-Im" is "-I -m" (cmdline options, Python/getopt.c)."""
    words = iter(arguments)
    for word in words:
        if not word.startswith("-") or word.startswith("--") or word == "-":
            return None
        for index, letter in enumerate(word[1:], 2):
            if letter in BLIND:
                return f"-{letter}"
            if letter in LAST:
                return None
            if letter in WITH_VALUE:
                if index == len(word):
                    next(words, None)
                break
    return None
