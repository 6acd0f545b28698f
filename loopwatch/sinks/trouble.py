"""What a sink says and counts when it cannot deliver."""

import logging
import threading

__all__ = ["Trouble"]


class Trouble:
    """Said when it begins and when it is over; what was lost meanwhile is counted, and told with what gets through next.

    Trouble that comes and goes is said the 1st, 2nd, 4th, 8th ... time, and losses at such counts. May be used by several
    threads.

    Args:
        who: The sink and where it delivers to, without a secret: "JsonlSink (/var/log/stalls.jsonl)".
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._lock = threading.Lock()
        self._in_trouble = False
        self._times = 0
        self._lost = 0
        self._owed = 0

    @property
    def owed(self) -> int:
        """How many records were lost that nobody was told of in a record that got through."""
        return self._owed

    def begins(self, why: str) -> None:
        """Something could not be delivered, and may be yet. `why` holds no secret."""
        with self._lock:
            news = not self._in_trouble
            self._in_trouble = True
            self._times += news
            said = news and _is_power_of_two(self._times)
        if said:
            logging.getLogger("loopwatch").error("%s", f"loopwatch: {self._who} cannot deliver: {why}")

    def loses(self, count: int, why: str, at_last: bool = False) -> None:
        """So many records were given up. `at_last`: it is said in any case, since nothing more will be."""
        self.begins(why)
        with self._lock:
            before, self._lost, self._owed = self._lost, self._lost + count, self._owed + count
            said = at_last or self._lost.bit_length() > before.bit_length()  # past 1, 2, 4, 8, ...
        if said:
            logging.getLogger("loopwatch").error("%s", f"loopwatch: {self._who} has lost {self._lost} so far: {why}")

    def over(self, told: int = 0) -> None:
        """Something was delivered, and told of so many that were lost."""
        with self._lock:
            said = self._in_trouble and _is_power_of_two(self._times)
            self._in_trouble = False
            self._owed -= told
        if said:
            logging.getLogger("loopwatch").warning("%s", f"loopwatch: {self._who} delivers again")


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0
