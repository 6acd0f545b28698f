"""Looks at every loop's heartbeat, takes samples of the busy ones, and hands on the facts of each stall."""

from loopwatch.watchdog.looking import Watchdog, stall_ids
from loopwatch.watchdog.notes import Watched
from loopwatch.watchdog.saturation import PoolFollower
from loopwatch.watchdog.thread import WatchdogThread

__all__ = ["PoolFollower", "Watchdog", "WatchdogThread", "Watched", "stall_ids"]
