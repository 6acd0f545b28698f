"""`import loopwatch.auto`: watch this process with the settings of `LOOPWATCH_*` and `[tool.loopwatch]`.

A program that also calls `loopwatch.enable(...)` gets its own watch beside this one; what both would log is logged once.
"""

from loopwatch.enabling import enable_as
from loopwatch.watch import Watch

__all__ = ["watch"]

watch: Watch = enable_as("auto", {})
"""The watch that this import began, or found."""
