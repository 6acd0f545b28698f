"""How much people have to read. Nothing here reads a clock: `now` is monotonic seconds, and never goes back."""

__all__ = ["Bucket"]


class Bucket:
    """A token bucket that starts full. For one thread at a time.

    Args:
        per_minute: How many tokens it gets in a minute, and how many it holds.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._tokens = float(per_minute)
        self._filled_s: float | None = None

    def take(self, now: float) -> bool:
        """Take a token; False if there is none."""
        if self._filled_s is not None:
            self._tokens += (now - self._filled_s) * self.per_minute / 60
        self._tokens, self._filled_s = min(self._tokens, float(self.per_minute)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
