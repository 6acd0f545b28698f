"""Whose code is it, and what is the full name of what it calls? Decided from paths and module dictionaries only."""

import os
import sys
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

__all__ = ["kind_of_code", "kind_of_place", "resolve_name"]

# Not from sysconfig: its lock, held by our thread at the moment of a fork, would never be free again in the child.
_STDLIB = (
    os.path.join(os.path.dirname(os.__file__), ""),
    *(
        os.path.join(entry, "")
        for entry in sys.path
        if entry.endswith(f"python{sys.version_info[0]}{sys.version_info[1]}.zip")
    ),
)
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_GENERATED = (
    "__create_fn__.<locals>.",
    "__init__",
    "__repr__",
    "__eq__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__hash__",
)


_TYPED_IN = ("<string>", "<stdin>", "<console>", "<ipython", "<doctest", "<exec", "<cell")
"""Names that Python and notebooks give to code without a file; template engines have names of their own, and no module."""
_TEMPLATES = (".html", ".htm", ".j2", ".jinja", ".jinja2", ".mako", ".xml", ".txt", ".md")
"""Files that were compiled to Python: the line is one of generated code."""


def kind_of_code(code: CodeType, module: str | None) -> str:
    """ "app", "library", "stdlib" or "loopwatch"."""
    return kind_of_place(code.co_filename, code.co_qualname, module)


def kind_of_place(file: str, function: str, module: str | None) -> str:
    """As `kind_of_code`, by the file and the qualified name."""
    return _kind_without_file(file, function, module) if file.startswith("<") else _kind_of_file(file)


def _kind_without_file(file: str, function: str, module: str | None) -> str:
    """`exec`ed code is the user's; frozen modules, templates, and the methods that dataclasses and attrs write are not."""
    if file.startswith("<frozen"):
        return "stdlib"
    if function.startswith(_GENERATED) or not (file.startswith(_TYPED_IN) or module is not None):
        return "library"
    return "library" if file.startswith(("<attrs", "<__array_function__")) else "app"


@lru_cache(maxsize=8192)
def _kind_of_file(file: str) -> str:
    path = os.path.abspath(file)
    if path.startswith(_OWN):
        return "app" if path.startswith(_OWN + "demo" + os.sep) else "loopwatch"
    if any(f"{os.sep}{folder}{os.sep}" in path for folder in ("site-packages", "dist-packages")):
        return "library"
    if path.startswith(_STDLIB):
        return "stdlib"
    if path.endswith(_TEMPLATES):
        return "library"
    # The small start-up scripts that pip writes (uvicorn, gunicorn) lie beside the interpreter.
    return "library" if os.path.dirname(path) == os.path.dirname(sys.executable) else "app"


def resolve_name(dotted: str, module: str | None) -> str:
    """The full name of what `dotted` means in `module`: "sleep" -> "time.sleep". Unresolved names come back as they are.

    Looks into module dictionaries only; an attribute of anything else could run the program's code.
    """
    first, *rest = dotted.split(".")
    own = sys.modules.get(module or "")
    found = vars(own).get(first) if isinstance(own, ModuleType) else None
    while isinstance(found, ModuleType) and rest:
        first, *rest = rest
        inner = vars(found).get(first)
        if inner is None:
            return ".".join((found.__name__, first, *rest))
        found = inner
    full = _full_name(found)
    return dotted if full is None else ".".join((full, *rest))


def _full_name(value: object) -> str | None:
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, FunctionType | BuiltinFunctionType | type):
        owner = value.__module__
        return f"{owner}.{value.__qualname__}" if isinstance(owner, str) and owner != "builtins" else value.__qualname__
    return None
