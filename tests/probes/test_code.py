"""From a code object and an offset to a frame: line, expression, call, and where the interpreter stood."""

import dis
import importlib
import sys
import textwrap
import zipfile
from types import ModuleType

import pytest

from loopwatch.probes import code as probe
from loopwatch.probes.code import Resolver


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


def here():
    """Where the caller stands."""
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti


def offset_of(function, *names):
    """The offset of the last instruction of one of these names."""
    found = [one.offset for one in dis.get_instructions(function.__code__) if one.opname in names]
    return found[-1]


def at(place, module="shop"):
    """The frame at a place."""
    return Resolver().frame(*place, module)


def at_call_of_helper(function):
    """The frame of `function` while it calls `helper()`, its last call."""
    return at((function.__code__, offset_of(function, "CALL")))


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

    assert (frame.point, frame.call) == ("call", f"{__name__}.here")


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


# ── what may have run unseen ────────────────────────────────────────────────────────────────────────────────────────


LONG = [
    *("a ** b", "a + b", "a @ b", "a += b", "a in b", "a == b", "a < b", "a[b]", "a[b:c]", "[*a]", "{*a}", "{**a}"),
    *("-a", "~a", "not a", "f'{a}'", "f'{a:>9}{b!r}'", "x, y = a", "x, *y = a", "a[b:c] = d", "a[b] = c", "del a[b]"),
]


@pytest.mark.parametrize("operator", LONG)
def test_suspects(module, operator):
    """Every operator that may run C code of any length is a suspect at the end of its round."""
    price = module(f"def price(a, b, c, d):\n    while True:\n        {operator}").price

    frame = at((price.__code__, offset_of(price, "JUMP_BACKWARD")))

    assert 3 in [spot.line for spot in frame.suspects]


def test_suspect_iterator(module):
    """An iterator in C, such as that of `re.finditer`, may take long to find its next item."""
    price = module("def price(rows):\n    for row in rows:\n        pass").price

    frame = at((price.__code__, offset_of(price, "JUMP_BACKWARD")))

    assert [spot.line for spot in frame.suspects] == [2]


@pytest.mark.parametrize("harmless", ["a is b", "a = b", "pass", "x = 1, 2"])
def test_no_suspects(module, harmless):
    """What takes no time is none."""
    price = module(f"def price(a, b):\n    {harmless}\n    helper()").price

    assert at_call_of_helper(price).suspects == ()


@pytest.mark.parametrize(
    ("operator", "lines"), [("a ** b", [2]), ("a in b", [2]), ("a == b", []), ("a[b]", []), ("not a", [])]
)
def test_suspects_beside_a_call(module, operator, lines):
    """Beside a call, which may have taken the time itself, only operators that are known for it count."""
    price = module(f"def price(a, b):\n    {operator}\n    helper()").price

    assert [spot.line for spot in at_call_of_helper(price).suspects] == lines


def test_suspects_since_the_last_look(module):
    """Operators before the previous check point are none: the interpreter has looked since. The latest comes first."""
    price = module("""
        def price(a, b):
            a ** b
            other()
            a in b
            a = 1; a ** b
            helper()
    """).price

    suspects = at_call_of_helper(price).suspects

    assert [(spot.line, spot.expression, spot.source) for spot in suspects] == [
        (5, "a ** b", "a = 1; a ** b"),
        (4, "a in b", "a in b"),
    ]


def test_suspects_of_a_round(module):
    """At the end of a round the suspects are those of the round."""
    price = module("def price(rows, a):\n    a ** a\n    while True:\n        a in rows\n        a == rows").price

    frame = at((price.__code__, offset_of(price, "JUMP_BACKWARD")))

    assert [spot.line for spot in frame.suspects][:2] == [5, 4]


def test_suspects_before_a_coroutine(module):
    """Calling a coroutine function only makes an object: the interpreter has not looked since what came before."""
    price = module("""
        async def price(a, b):
            a ** b
            await other()
            helper()
    """).price

    at_await = at((price.__code__, offset_of(price, "SEND")))

    assert [spot.line for spot in at_await.suspects] == [2]


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
