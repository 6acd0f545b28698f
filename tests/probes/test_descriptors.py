"""What a descriptor is, and what is at its other end."""

import os
import socket
import sys

import pytest

from loopwatch.probes import descriptors
from loopwatch.probes.descriptors import described

linux = pytest.mark.skipif(sys.platform != "linux", reason="procfs is Linux's")


@linux
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_peer(host):
    """Of a connected socket, the address at the other end."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            expected = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

            assert described(client.fileno()) == ("socket", expected)


@linux
def test_unix_peer(tmp_path):
    """Of a socket in the file system, its path."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)

            assert described(client.fileno()) == ("socket", path)


@linux
def test_unconnected():
    """A socket without a peer has no address, and a pair of sockets has none either."""
    one, other = socket.socketpair()
    with socket.socket() as alone, one, other:
        assert described(alone.fileno()) == described(one.fileno()) == ("socket", None)


@linux
def test_file_and_pipe(tmp_path):
    """Of a file, its path; a pipe has neither."""
    read_end, write_end = os.pipe()
    with open(tmp_path / "f", "w") as file:
        assert described(file.fileno()) == ("file", str(tmp_path / "f"))
        assert described(read_end) == ("pipe", None)
    os.close(read_end)
    os.close(write_end)


def test_closed():
    """A descriptor that is not open is nothing."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.close(write_end)

    assert described(read_end) == (None, None)


@linux
def test_without_libc(monkeypatch):
    """Where the peer cannot be asked for, the kind is known all the same."""
    monkeypatch.setattr(descriptors, "_getpeername", None)
    one, other = socket.socketpair()
    with one, other:
        assert described(one.fileno()) == ("socket", None)


@pytest.mark.parametrize("raw", [b"", b"\x02\x00", b"\x02\x00\x01", b"\xff\xff" + bytes(14)])
def test_any_address(raw):
    """Whatever the kernel says, the answer is an address or None."""
    try:
        found = descriptors._address(raw)
    except (ValueError, OSError, descriptors.struct.error):
        found = None

    assert found is None
