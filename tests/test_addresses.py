"""Addresses and tokens: what may be served to whom."""

import pytest

from loopwatch.addresses import Address, address_of, token_for
from loopwatch.errors import SettingError

LOOPBACK = Address("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("9464", Address("127.0.0.1", 9464), True),
        ("127.0.0.2:9464", Address("127.0.0.2", 9464), True),
        ("localhost:9464", Address("localhost", 9464), True),
        ("[::1]:9464", Address("::1", 9464), True),
        ("0.0.0.0:9464", Address("0.0.0.0", 9464), False),
        ("[::]:9464", Address("::", 9464), False),
        ("metrics.internal:9464", Address("metrics.internal", 9464), False),
    ],
)
def test_addresses(text, address, loopback):
    """`[HOST:]PORT`; without HOST only this machine can reach it, and of a name it is not known, so that a token is needed."""
    found = address_of(text, "this test")

    assert found == address
    assert found.is_loopback is loopback
    assert address_of(str(found), "this test") == found


@pytest.mark.parametrize("text", ["", "http", "localhost", ":9464", "127.0.0.1:", "1:65536", "127.0.0.1:-1", "9464x"])
def test_no_address(text):
    """What cannot be an address is refused with an example of one."""
    with pytest.raises(SettingError, match=r"for sink 'x'; give a port, or HOST:PORT, such as 127\.0\.0\.1:9464"):
        address_of(text, "sink 'x'")


def test_others_need_a_token(monkeypatch):
    """An address that other machines can reach is refused without a token; loopback needs none."""
    monkeypatch.delenv("LOOPWATCH_TOKEN", raising=False)

    assert token_for(LOOPBACK, None, "this test") is None
    assert token_for(Address("0.0.0.0", 1), "given", "this test") == "given"
    with pytest.raises(SettingError, match=r"0\.0\.0\.0:9464, which other machines can reach; set LOOPWATCH_TOKEN"):
        token_for(Address("0.0.0.0", 9464), None, "this test")


def test_token_from_the_environment(monkeypatch):
    """`LOOPWATCH_TOKEN` holds where none is given, on loopback too."""
    monkeypatch.setenv("LOOPWATCH_TOKEN", "s3cret")

    assert token_for(Address("0.0.0.0", 1), None, "this test") == "s3cret"
    assert token_for(LOOPBACK, None, "this test") == "s3cret"
    assert token_for(LOOPBACK, "given", "this test") == "given"


@pytest.mark.parametrize("token", ["with space", "line\nbreak", "schlüssel"])
def test_token_that_no_header_can_carry(token):
    """It is refused, and not repeated in the message."""
    with pytest.raises(SettingError, match="printable ASCII") as caught:
        token_for(LOOPBACK, token, "this test")

    assert token not in str(caught.value)
