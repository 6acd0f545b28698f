"""`loopwatch.TrioInstrument`: the way to have a run of trio watched where it is not found by itself."""

from loopwatch.engine import ENGINE

__all__ = ["TrioInstrument"]


class TrioInstrument:
    """Has one run of trio watched: `trio.run(main, instruments=[loopwatch.TrioInstrument()])`.

    Only needed where loopwatch has said that it does not know this version of trio; elsewhere it does no harm. It does nothing
    unless loopwatch is enabled when the run begins.
    """

    def before_run(self) -> None:
        """Called by trio."""
        ENGINE.trio_begins()
