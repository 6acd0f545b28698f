"""Found by Python at its start, through the PYTHONPATH that `loopwatch run` sets. Not imported by loopwatch itself.

It hands on to the `sitecustomize` that it hides, and begins to watch once asyncio or trio is imported: a child that never uses them
pays nothing. Trouble of its own is said in one line, and the program goes on.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

LIBRARIES = ("asyncio", "trio")
HERE = __file__.rpartition("/")[0] or __file__.rpartition("\\")[0]


class _Watching(Loader):
    """Runs a module as its own loader would, then begins to watch."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _watch()


class _OnFirst(MetaPathFinder):
    """Finds the first of `LIBRARIES` once, in order to know when it has been imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in LIBRARIES:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Watching(spec.loader)
        return spec


def _watch() -> None:
    try:
        import loopwatch.auto  # noqa: F401 - importing it is what begins to watch
    except ModuleNotFoundError as error:  # another environment's Python
        print(f"loopwatch: not watching {sys.executable}: {error}; install it there, too", file=sys.stderr)
    except Exception as error:  # noqa: BLE001 - the program must start, whatever is wrong with its watcher
        print(f"loopwatch: not watching {sys.executable}: {error}", file=sys.stderr)


def _hand_on() -> None:
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != HERE])
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if any(name in sys.modules for name in LIBRARIES):
    _watch()
else:
    sys.meta_path.insert(0, _OnFirst())
_hand_on()
