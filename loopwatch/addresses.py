"""Where pages of our own are served, and what whoever asks must bring."""

import ipaddress
import os
from dataclasses import dataclass

from loopwatch.errors import SettingError

__all__ = ["Address", "address_of", "token_for"]

MAX_PORT = 65535
TOKEN_VARIABLE = "LOOPWATCH_TOKEN"  # noqa: S105 - the name of it


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    """A name or an IP address, IPv6 without brackets."""
    port: int
    """0: any that is free."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def address_of(text: str, whose: str) -> Address:
    """The address written as `[HOST:]PORT`; without HOST it is loopback.

    Args:
        whose: What it was written for, for the message.

    Raises:
        SettingError: it is not written so.
    """
    host, colon, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > MAX_PORT or (colon and not host):
        raise SettingError(f"invalid address {text!r} for {whose}; give a port, or HOST:PORT, such as 127.0.0.1:9464")
    return Address(host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port))


def token_for(address: Address, token: str | None, whose: str) -> str | None:
    """The token that requests must bring: the given one, else that of `LOOPWATCH_TOKEN`; None: none.

    Raises:
        SettingError: the address can be reached from other machines, and there is none; or it cannot be sent in a header.
    """
    found = token or os.environ.get(TOKEN_VARIABLE) or None
    if found is None and not address.is_loopback:
        raise SettingError(
            f"{whose} is to listen on {address}, which other machines can reach; "
            f"set {TOKEN_VARIABLE} to a secret that whoever asks must bring, or listen on 127.0.0.1"
        )
    if found is not None and not (found.isascii() and found.isprintable() and " " not in found):
        raise SettingError(f"invalid token for {whose}; give printable ASCII characters without spaces")
    return found
