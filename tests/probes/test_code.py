"""From a code object and an offset to a frame: line, expression, call, and where the interpreter stood."""

import importlib
import sys
import zipfile

import pytest

from loopwatch.probes import code as probe
from loopwatch.probes.code import Resolver

from .places import at, here, offset_of

# ── the line, and the piece of it ───────────────────────────────────────────────────────────────────────────────────


def test_expression(module):
    """The exact piece of the line is told, with its columns and the whole line."""
    shop = module("""
        class Shop:
            def price(self):
                return round(1.5), here(*[])
    """)

    frame = at(shop.Shop().price()[1])

    assert (frame.function, frame.line, frame.end_line) == ("Shop.price", 3, 3)
    assert (frame.expression, frame.source) == ("here(*[])", "return round(1.5), here(*[])")
    assert (frame.column, frame.end_column) == (27, 36)


def test_bytes_and_letters(module):
    """Columns count bytes of UTF-8; the expression is cut where the reader would cut it."""
    shop = module("""
        def größe(ärger="ß€😀"):
            return ("ß€😀", here(), ärger)
    """)

    frame = at(shop.größe()[1])

    assert (frame.function, frame.expression) == ("größe", "here()")
    assert frame.source == 'return ("ß€😀", here(), ärger)'


def test_several_lines(module):
    """An expression over several lines is one line of text, without its comments, and its last line is known."""
    shop = module("""
        def price():
            return here(

                *[],  # none
            )
    """)

    frame = at(shop.price())

    assert (frame.line, frame.end_line) == (2, 5)
    assert frame.expression == "here(*[])"
    assert frame.source == "return here("


def test_long_line(module):
    """A line of data is cut."""
    shop = module(f"def price():\n    return here({', '.join(['*[]'] * 500)})")

    frame = at(shop.price())

    assert (len(frame.source), len(frame.expression), frame.call) == (probe.MAX_TEXT, probe.MAX_TEXT, None)


def test_no_columns(module):
    """Where Python keeps no columns, the line is told all the same."""
    code, offset = module("def price():\n    return here()").price()
    stripped = code.replace(
        co_linetable=bytes([0b1_1101_000 + 7, 2]) + bytes([0b1_1101_111, 0]) * (len(code.co_code) // 16)
    )

    frame = at((stripped, offset))

    assert (frame.line, frame.column, frame.expression, frame.source) == (2, None, None, "return here()")


# ── where the source is ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("file", "kind"), [("<string>", "app"), ("/nowhere/shop.py", "app"), ("<frozen importlib._bootstrap>", "stdlib")]
)
def test_no_source(file, kind):
    """Code without a source has its line, its function and its kind, and no text."""
    names = {"here": here}
    exec(compile("def price():\n    return here()\nplace = price()", file, "exec"), names)

    frame = at(names["place"], "nowhere")

    assert (frame.file, frame.function, frame.line, frame.kind) == (file, "price", 2, kind)
    assert (frame.source, frame.expression, frame.call, frame.point) == (None, None, None, "call")


def test_zip(tmp_path, monkeypatch):
    """The source of a module in a zip is asked of its loader."""
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        archive.writestr("zipped_shop.py", "def price(here):\n    return here()\n")
    monkeypatch.syspath_prepend(str(tmp_path / "shop.zip"))
    shop = importlib.import_module("zipped_shop")

    frame = at(shop.price(here), "zipped_shop")
    del sys.modules["zipped_shop"]

    assert (frame.source, frame.expression) == ("return here()", "here()")


def test_file_that_was_cut(module, tmp_path):
    """A file that is shorter by now than the code that came from it has no text for its line."""
    shop = module("x = 1\n\ndef price():\n    return here()")
    (tmp_path / "shop.py").write_text("x = 1\n")

    assert at(shop.price()).source is None


# ── where the interpreter stood ─────────────────────────────────────────────────────────────────────────────────────


def test_point_of_a_call(module):
    """Within a call the frame stands at that call, and the call has a name."""
    frame = at(module("def price():\n    return here()").price())

    assert (frame.point, frame.call) == ("call", f"{here.__module__}.here")


def test_point_of_entry(module):
    """A function that was only just entered stands on entry: its own columns mean nothing."""
    price = module("def price():\n    return 1").price

    for offset in (offset_of(price, "RESUME"), -1):
        frame = at((price.__code__, offset))
        assert (frame.point, frame.line, frame.expression, frame.suspects) == ("resume", 1, None, ())


def test_point_of_a_round(module):
    """At the end of a loop's round the frame stands at the jump back."""
    price = module("def price(rows):\n    for row in rows:\n        pass").price

    frame = at((price.__code__, offset_of(price, "JUMP_BACKWARD")))

    assert (frame.point, frame.expression, frame.call) == ("jump", None, None)


def test_point_of_an_await(module):
    """A coroutine that waits stands at its await, and is a coroutine."""
    price = module("async def price(other):\n    await other").price

    frame = at((price.__code__, offset_of(price, "SEND")))

    assert (frame.point, frame.coroutine, frame.expression) == ("await", True, "await other")


def test_point_elsewhere(module):
    """Between two such points it stands nowhere in particular."""
    price = module("def price(a, b):\n    return a ** b").price

    assert at((price.__code__, offset_of(price, "BINARY_OP"))).point == "other"


# ── what it calls ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("imports", "expression", "called"),
    [
        ("import time", "time.sleep(1)", "time.sleep"),
        ("from time import sleep as nap", "nap(1)", "time.sleep"),
        ("import os.path", "os.path.join('a')", "posixpath.join"),
        ("import json", "await json.dumps(1)", "json.dumps"),
        ("", "open('x')", "open"),
        ("", "self.client.get(1)", "self.client.get"),
        ("", "make()(1)", None),
        ("", "rows[0].get(1)", None),
        ("", "(lambda: 1)()", None),
        ("", "a ** b", None),
        ("", "broken(", None),
        ("", None, None),
    ],
)
def test_called(module, imports, expression, called):
    """A call is told by its full dotted name, as far as names alone tell; nothing of the program is run for it."""
    module(imports)

    assert probe._called(expression, "shop") == called


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_answer_per_place(module):
    """The same place gives the same frame; equal code from another file gives another one."""
    one, other = module("def price():\n    return here()", "one"), module("def price():\n    return here()", "other")
    resolver = Resolver()
    code, offset = one.price()

    first = resolver.frame(code, offset, "one")

    assert resolver.frame(code, offset, "one") is first
    assert resolver.frame(*other.price(), "other").file.endswith("other.py")


def test_bounded_memory(module, monkeypatch):
    """A program that makes code without end does not fill the memory."""
    monkeypatch.setattr(probe, "MAX_CACHED", 3)
    resolver = Resolver()
    code, _ = module("def price():\n    return here()").price()

    for offset in range(0, 20, 2):
        resolver.frame(code, offset, "shop")

    assert len(resolver._cache) <= 3


def test_callback_of_ours(module):
    """Where the collector has called us back, the stack ends at what it interrupted."""
    price = module("def price(rows):\n    helper()").price
    ours = Resolver.frame.__code__

    frames = Resolver().stack(
        [(ours, 0, "loopwatch.probes.code"), (price.__code__, 0, "shop"), (ours, 0, "loopwatch.x")]
    )

    assert [frame.function for frame in frames] == ["Resolver.frame", "price"]
