"""What may have run unseen since the interpreter last looked for a pending switch."""

import pytest

from .places import at, at_call_of_helper, offset_of

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
