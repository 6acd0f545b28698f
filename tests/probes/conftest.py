"""Modules of a test's own making."""

import sys
import textwrap
from types import ModuleType

import pytest

from .places import here


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module, in a file of its own, of a text; `here()` in it gives the place from which it was called."""

    def module(text, name="shop"):
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(text).strip() + "\n", "utf-8")
        made = ModuleType(name)
        made.here = here
        monkeypatch.setitem(sys.modules, name, made)
        exec(compile(path.read_text("utf-8"), str(path), "exec"), vars(made))
        return made

    return module
