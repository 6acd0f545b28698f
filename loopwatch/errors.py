"""Every error that loopwatch raises on purpose. None of them is ever raised on a watched loop's hot path."""

__all__ = ["LoopwatchError", "MissingExtraError", "SettingError"]


class LoopwatchError(Exception):
    """Root of all errors that loopwatch raises to its user."""


class SettingError(LoopwatchError, ValueError):
    """A setting cannot be used.

    Raised when settings are read (``enable()``, ``watching()``, ``import loopwatch.auto``), never later.
    The message names the value, where it came from, and what would be right.
    """


class MissingExtraError(SettingError):
    """A setting asks for a library that is not installed; the message names what to install."""
