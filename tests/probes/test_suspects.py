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


@pytest.mark.parametrize("harmless", ["a is b", "pass", "global x"])
def test_no_suspects(module, harmless):
    """What takes no time is none."""
    price = module(f"def price(a, b):\n    {harmless}\n    helper()").price

    assert at_call_of_helper(price).suspects == ()


@pytest.mark.parametrize(
    ("operator", "rank"),
    [
        *(("a ** b", 0), ("a in b", 0), ("a = a + b", 0)),
        *(("a == b", 1), ("a[b]", 1), ("not a", 1)),
        *(("a = b", 2), ("del a", 2), ("a.b = b", 2), ("del a[b]", 2)),
    ],
)
def test_ranks(module, operator, rank):
    """Operators known to take long come first, then those that are mostly short, then what may free the last reference."""
    price = module(f"def price(a, b):\n    {operator}\n    helper()").price

    assert [(spot.line, spot.rank) for spot in at_call_of_helper(price).suspects] == [(2, rank)]


def test_likeliest_first(module):
    """Within a rank the latest is the likeliest."""
    price = module("""
        def price(a, b):
            a ** b
            a in b
            a == b
            a = b
            helper()
    """).price

    assert [spot.line for spot in at_call_of_helper(price).suspects] == [3, 2, 4, 5]


def test_call_that_has_returned(module):
    """A function whose frame is gone may have spent the time as it returned: the call before is told as well."""
    price = module("""
        def price(a, b):
            total(a)
            helper()
    """).price

    assert at_call_of_helper(price).returned.line == 2
    assert at_call_of_helper(module("def price(a, b):\n    helper()").price).returned is None


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

    assert [spot.line for spot in frame.suspects] == [4, 5, 2]


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
