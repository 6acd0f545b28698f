"""Whose code is it, and what is the full name of what it calls?"""

import dataclasses
import os
import sys
import sysconfig
from types import ModuleType

import pytest

import loopwatch
from loopwatch.probes.names import kind_of_code, resolve_name

PURELIB = sysconfig.get_path("purelib")
PACKAGE = os.path.dirname(loopwatch.__file__)


def kind(file, module="shop"):
    """The kind of code that came from this file."""
    return kind_of_code(compile("pass", str(file), "exec"), module)


# ── whose code ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("/srv/shop/main.py", "app"),
        ("main.py", "app"),
        (os.__file__, "stdlib"),
        (os.path.join(os.path.dirname(os.__file__), "json", "decoder.py"), "stdlib"),
        (os.path.join(PURELIB, "requests", "api.py"), "library"),
        ("/srv/shop/.venv/lib/python3.11/site-packages/requests/api.py", "library"),
        ("/usr/lib/python3/dist-packages/yaml/loader.py", "library"),
        (os.path.join(sysconfig.get_path("scripts"), "uvicorn"), "library"),
        (os.path.join(PACKAGE, "engine.py"), "loopwatch"),
        (os.path.join(PACKAGE, "demo", "shop", "main.py"), "app"),
        (PACKAGE + "_shop/main.py", "library" if "site-packages" in PACKAGE else "app"),
        ("/srv/site-packages.py", "app"),
    ],
)
def test_by_path(file, expected):
    """A path tells the user's code from a library's, the standard library's, and loopwatch's own."""
    assert kind(file) == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("<string>", "app"),
        ("<stdin>", "app"),
        ("<frozen importlib._bootstrap>", "stdlib"),
        ("<attrs generated init shop.Item>", "library"),
    ],
)
def test_without_a_file(file, expected):
    """Code that was typed or executed is the user's; frozen modules and generated methods are not."""
    assert kind(file) == expected


def test_generated_methods():
    """The methods that a dataclass writes are not the user's line: the line that calls them is."""

    @dataclasses.dataclass(order=True)
    class Item:
        price: int

    for method in (Item.__init__, Item.__eq__, Item.__lt__):
        assert kind_of_code(method.__code__, __name__) == "library"


def test_relative_path(tmp_path, monkeypatch):
    """A relative path is one of the current folder, where the program was started."""
    monkeypatch.chdir(tmp_path)

    assert kind("shop/main.py") == "app"


# ── what it calls ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shop(monkeypatch):
    """A module to resolve names in."""
    made = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", made)
    return made


@pytest.mark.parametrize(
    ("value", "dotted", "resolved"),
    [
        ("import time", "time.sleep", "time.sleep"),
        ("from time import sleep", "sleep", "time.sleep"),
        ("import time as t", "t.sleep", "time.sleep"),
        ("import os", "os.path.join", "posixpath.join"),
        ("from json import JSONDecoder", "JSONDecoder.decode", "json.decoder.JSONDecoder.decode"),
        ("import json.decoder", "json.decoder.JSONDecoder.decode", "json.decoder.JSONDecoder.decode"),
        ("import os", "os.no_such_thing.call", "os.no_such_thing.call"),
        ("", "open", "open"),
        ("", "self.client.get", "self.client.get"),
        ("from builtins import open as read", "read", "io.open" if sys.version_info < (3, 12) else "_io.open"),
        ("length = len", "length", "len"),
    ],
)
def test_resolved(shop, value, dotted, resolved):
    """A name is followed through modules to its full name; what is no function or class is left as it is written."""
    exec(value, vars(shop))

    assert resolve_name(dotted, "shop") == resolved


def test_no_code_of_the_program_runs(shop):
    """Attributes of the program's own objects are not read: a property could do anything."""

    class Client:
        @property
        def get(self):
            raise AssertionError("was run")

        def __getattr__(self, name):
            raise AssertionError("was run")

    shop.client = Client()

    assert resolve_name("client.get", "shop") == "client.get"
    assert resolve_name("client.session.get", "shop") == "client.session.get"


def test_module_that_makes_its_names(shop):
    """Nor is a module's own `__getattr__` called."""

    def fetch(name):
        raise AssertionError("was run")

    shop.lazy = ModuleType("lazy")
    shop.lazy.__getattr__ = fetch

    assert resolve_name("lazy.thing.call", "shop") == "lazy.thing.call"


@pytest.mark.parametrize("module", [None, "no_such_module"])
def test_unknown_module(module):
    """Without a module there is nothing to resolve in."""
    assert resolve_name("sleep", module) == "sleep"


@pytest.mark.parametrize("placeholder", [None, object()])
def test_placeholder_for_a_module(monkeypatch, placeholder):
    """A program may put anything in a module's place."""
    monkeypatch.setitem(sys.modules, "shop", placeholder)

    assert resolve_name("sleep", "shop") == "sleep"
