"""Where the demo shows what happens: plain lines of fixed width, or rich where there is a terminal and rich."""

import textwrap
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TextIO

from . import wording
from .findings import Finding

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["PlainScreen", "RichScreen", "Screen", "screen_for"]

WIDTH = 100
EVENT_WIDTHS = (7, 8, 8, 22, 20, 30)
FINDING_HEAD = ("#", "lost", "stalls", "longest", "cause", "line", "held by", "made wait")
FINDING_WIDTHS = (2, 7, 6, 7, 8, 22, 20, 19)
INDENT = 15


class Screen(Protocol):
    """What a run needs."""

    def say(self, text: str) -> None:
        """Show a paragraph, its line ends kept."""

    def event(self, fields: Sequence[str]) -> None:
        """Show one stall as it comes; the fields are those of `wording.EVENT_HEAD`."""

    def table(self, findings: Sequence[Finding]) -> None:
        """Show all findings, ranked."""


def screen_for(out: TextIO) -> Screen:
    """Rich on a terminal, if it is installed; otherwise plain text, which looks the same everywhere."""
    return RichScreen(out) if out.isatty() and find_spec("rich") else PlainScreen(out)


class PlainScreen:
    """Lines of at most 100 columns, without colour."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, text: str) -> None:
        """Show a paragraph, its line ends kept."""
        print(text, file=self._out, flush=True)

    def event(self, fields: Sequence[str]) -> None:
        """Show one stall, cut to the width."""
        self.say(_columns(fields, EVENT_WIDTHS, right=2))

    def table(self, findings: Sequence[Finding]) -> None:
        """Show a line of figures for each finding, below it what ran, on whose behalf, and what to do."""
        self.say(_columns(FINDING_HEAD, FINDING_WIDTHS, right=4))
        for rank, finding in enumerate(findings, start=1):
            self.say("\n".join(_finding_lines(rank, finding)))


class RichScreen:
    """The same in colour."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=out, highlight=False)

    def say(self, text: str) -> None:
        """Show a paragraph, its line ends kept."""
        self._console.print(text, markup=False, soft_wrap=True)

    def event(self, fields: Sequence[str]) -> None:
        """Show one stall: how long and why in colour, so that the eye can group them."""
        from rich.text import Text

        line = Text(_columns(fields, EVENT_WIDTHS, right=2), no_wrap=True, overflow="crop")
        line.highlight_words([fields[1]], "bold red")
        line.highlight_words([f" {fields[2]} "], "yellow")
        line.highlight_words([fields[3]], "cyan")
        self._console.print(line)

    def table(self, findings: Sequence[Finding]) -> None:
        """Show all findings, ranked."""
        self._console.print(_rich_table(findings))


def _columns(fields: Sequence[str], widths: Sequence[int], right: int) -> str:
    """Fields side by side, the first `right` of them flush right; what is too long is cut."""
    cells = [
        _cut(field, width).rjust(width) if index < right else _cut(field, width).ljust(width)
        for index, (field, width) in enumerate(zip(fields, widths, strict=True))
    ]
    return " ".join(cells).rstrip()


def _cut(text: str, width: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _figures(rank: int, finding: Finding) -> tuple[str, ...]:
    """In the order of `FINDING_HEAD`."""
    lost, longest = f"{finding.lost_ms / 1e3:.2f} s", wording.milliseconds(finding.longest_ms)
    who = wording.where(finding), wording.held_by(finding), wording.made_wait(finding)
    return str(rank), lost, str(finding.stalls), longest, finding.cause, *who


def _finding_lines(rank: int, finding: Finding) -> Iterator[str]:
    yield _columns(_figures(rank, finding), FINDING_WIDTHS, right=4)
    if finding.expression:
        yield _detail("ran", _cut(finding.expression, WIDTH - INDENT))
    if finding.path and finding.file:
        yield _detail("via", " -> ".join(finding.path))
    if finding.advice:
        yield _detail("do", finding.advice)


def _detail(label: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{label + ': ':>{INDENT}}", subsequent_indent=" " * INDENT)


def _rich_table(findings: Sequence[Finding]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("#", "lost", "cause", "line, what ran", "held by, made wait", "what to do", show_lines=True)
    for rank, finding in enumerate(findings, start=1):
        number, lost, stalls, longest, cause, line, held_by, waited = _figures(rank, finding)
        table.add_row(
            number,
            Text.assemble((lost, "bold red"), f"\n{stalls} times\nto {longest}" if finding.stalls > 1 else "\nonce"),
            Text(cause, "yellow"),
            Text.assemble((line, "cyan"), f"\n{finding.expression or ''}", ("\n" + " → ".join(finding.path), "dim")),
            Text(f"{held_by}\n{waited}"),
            Text(finding.advice or ""),
        )
    return table
