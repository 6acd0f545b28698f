"""Looks at every loop's heartbeat, takes samples of the busy ones, and hands on the facts of each stall."""

from loopwatch.watchdog.looking import Watchdog, stall_ids
from loopwatch.watchdog.notes import Watched

__all__ = ["Watchdog", "Watched", "stall_ids"]
