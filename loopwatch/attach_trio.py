"""How loopwatch learns that a run of trio begins: `setup_runner` is wrapped, with which `run` and `start_guest_run` both begin.

That reaches `trio.run`, `anyio.run(backend="trio")`, pytest-trio, anyio's pytest plugin and guest runs. trio may be imported at any
later time: a finder on `sys.meta_path` waits for it, and never imports it itself. `uninstall` puts back what is still ours.

The name is private (trio 0.27-0.35, trio/_core/_run.py). Where it is not there, that is said once, and `TrioInstrument` is the way.
"""

import contextlib
import functools
import gc
import sys
import threading
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from loopwatch.probes.trio import TrioRun, run_here

__all__ = ["TrioAttachment", "on_each_run"]

RUN = "trio._core._run"
UNKNOWN_TRIO = (
    f"loopwatch: this version of trio has no {RUN}.setup_runner, by which its runs would be found; to have one watched, "
    "start it with trio.run(..., instruments=[loopwatch.TrioInstrument()])"
)


class TrioAttachment:
    """Announces runs of trio while it is installed.

    Args:
        begins: Called on a run's thread before it begins. Must not raise.
        failed: Called with one sentence where runs of this trio cannot be found.
    """

    def __init__(self, begins: Callable[[], None], failed: Callable[[str], None]) -> None:
        self._begins = begins
        self._failed = failed
        self._finder = _Finder(RUN, self._wrap)
        self._module: ModuleType | None = None
        self._original: Any = None
        self._ours: Any = None

    def install(self) -> None:
        """Wrap it now, or as soon as trio is imported."""
        module = sys.modules.get(RUN)
        if module is None:
            sys.meta_path.insert(0, self._finder)
        else:
            self._wrap(module)

    def uninstall(self) -> None:
        """Put it back, if it is still ours."""
        self._finder.withdraw()
        if self._module is not None and vars(self._module).get("setup_runner") is self._ours:
            setattr(self._module, "setup_runner", self._original)  # noqa: B010 - no such attribute, for a type checker
        self._module = None

    def _wrap(self, module: ModuleType) -> None:
        self._original = vars(module).get("setup_runner")
        if self._original is None:
            self._failed(UNKNOWN_TRIO)
            return
        self._module, self._ours = module, self._announcing(self._original)
        setattr(module, "setup_runner", self._ours)  # noqa: B010

    def _announcing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def setup_runner(*args: Any, **kwargs: Any) -> Any:
            runner = original(*args, **kwargs)
            self._begins()
            return runner

        setup_runner.__loopwatch__ = True  # type: ignore[attr-defined]
        return setup_runner


class _Finder(MetaPathFinder):
    """Waits for one module to be imported. The loader that the module gets is its own; only this once does it tell.

    Args:
        name: The module's.
        found: Called with it, right after it has been executed.
    """

    def __init__(self, name: str, found: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._found = found

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next((found for one in others if (found := one.find_spec(name, path, target)) is not None), None)
        if spec is not None:
            with contextlib.suppress(AttributeError):  # a loader that takes no attributes: `TrioInstrument` is left
                self._listen(spec.loader)
        return spec

    def _listen(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            execute(module)
            if self in sys.meta_path:
                self.withdraw()
                self._found(module)

        loader.exec_module = exec_module

    def withdraw(self) -> None:
        """Wait no longer."""
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)


def on_each_run(call: Callable[[], None]) -> None:
    """Have every run of trio call something on its own thread: at once for the one of this thread. It must not raise."""
    if "trio" not in sys.modules:
        return
    mine = _run_of_this_thread()
    if mine is not None:
        call()
    kind = getattr(sys.modules.get(RUN), "Runner", None)
    if kind is None or threading.active_count() == 1:
        return
    runners = [one for one in gc.get_objects() if type(one) is kind]
    for runner in runners:
        if mine is None or runner is not mine.runner:
            with contextlib.suppress(Exception):  # it has ended, or is only half built
                runner.current_trio_token().run_sync_soon(call)


def _run_of_this_thread() -> TrioRun | None:
    try:
        return run_here()
    except (AttributeError, RuntimeError):  # trio is still being imported; there is none
        return None
