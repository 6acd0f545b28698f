"""What is public is what `__all__` says, and it says all of it."""

import importlib
import inspect

import pytest

PUBLIC = ["loopwatch", "loopwatch.clocks", "loopwatch.errors", "loopwatch.records", "loopwatch.testing"]

CONTRACT = {"enable", "disable", "watching", "allow", "Watch", "Stall", "Cause", "Origin", "Incident", "LoopStats"}


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_sorted_and_importable(name):
    """Every name in `__all__` is there, once, in order."""
    module = importlib.import_module(name)

    missing = [public for public in module.__all__ if not hasattr(module, public)]

    assert missing == []
    assert list(module.__all__) == sorted(set(module.__all__))


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_complete(name):
    """A function or class of a public module is in `__all__`, or its name starts with an underscore."""
    module = importlib.import_module(name)
    package = name.partition(".")[0]

    ours = {
        public
        for public, value in vars(module).items()
        if not public.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        # What the package itself shows may come from any of its modules.
        and (value.__module__ == name or (name == package and value.__module__.startswith(package)))
    }

    assert ours - set(module.__all__) == set()


def test_the_package_shows_the_whole_contract():
    """`import loopwatch` alone gives the doors, what they return and what they raise."""
    loopwatch = importlib.import_module("loopwatch")
    errors = importlib.import_module("loopwatch.errors")

    assert CONTRACT | set(errors.__all__) <= set(loopwatch.__all__)
