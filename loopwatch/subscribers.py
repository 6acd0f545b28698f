"""Who watches: the watches of a process, and what the engine asks of them all."""

from typing import Protocol

from loopwatch.observations import Observation, Saturation
from loopwatch.outlets import Outlet
from loopwatch.schedule import Limits, limits_of
from loopwatch.settings import Settings

__all__ = ["Subscriber", "Subscribers"]


class Subscriber(Protocol):
    """What the engine needs of a watch."""

    settings: Settings
    outlets: list[Outlet]

    def receive(self, observation: Observation, told: dict[str, bool]) -> None:
        """Judge a stall and queue it for the sinks. Called by the delivery thread.

        Args:
            observation: What was seen.
            told: Sinks by name that had this record from another watch already, and whether it passed their limits.
        """

    def receive_saturation(self, saturation: Saturation, told: set[str]) -> None:
        """The same for a saturated pool. `told`: sinks by name that another watch has handed it to already."""

    def pass_time(self) -> float | None:
        """Tell what has fallen due; for how many seconds nothing will, None: not before a stall comes. By the delivery thread."""

    def end(self) -> None:
        """It is over: tell what was held back, and that all incidents are closed. As `receive`, and before the outlets end."""

    def forget(self) -> None:
        """Drop all that was recorded: this process is a fork's child."""


class Subscribers(tuple[Subscriber, ...]):
    """Replaced as a whole when one comes or goes: readers on other threads see one state or the other."""

    __slots__ = ()

    def plus(self, subscriber: Subscriber) -> "Subscribers":
        """With one more."""
        return Subscribers((*self, subscriber))

    def without(self, subscriber: Subscriber) -> "Subscribers":
        """With one less."""
        return Subscribers(one for one in self if one is not subscriber)

    @property
    def outlets(self) -> list[Outlet]:
        """Of all of them."""
        return [outlet for subscriber in self for outlet in subscriber.outlets]

    @property
    def limits(self) -> Limits:
        """The strictest of each."""
        return limits_of(subscriber.settings for subscriber in self)

    @property
    def want_sentinel(self) -> bool:
        """Whether one of them does."""
        return any(subscriber.settings.sentinel for subscriber in self)

    def receive(self, observation: Observation) -> None:
        """Hand a stall to every one."""
        told: dict[str, bool] = {}
        for subscriber in self:
            subscriber.receive(observation, told)

    def receive_saturation(self, saturation: Saturation) -> None:
        """Hand a saturated pool to every one that looks at pools."""
        told: set[str] = set()
        for subscriber in self:
            if subscriber.settings.saturated_ns is not None:
                subscriber.receive_saturation(saturation, told)

    def pass_time(self) -> float | None:
        """Let every one tell what has fallen due; for how many seconds nothing will, None: not before a stall comes."""
        pauses = [subscriber.pass_time() for subscriber in self]
        return min((pause for pause in pauses if pause is not None), default=None)
