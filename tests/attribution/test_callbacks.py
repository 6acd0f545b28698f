"""The line is right, and a task is only named where there is one, in what the loop calls by itself."""

import asyncio
import socket
import threading
import time

from loopwatch.records import Cause

from .blame import assert_blames


def test_call_soon(stall_of):
    """A callback given to `call_soon` is blamed, and no task is."""

    def refresh():
        time.sleep(0.2)  # BLOCK

    async def main():
        asyncio.get_running_loop().call_soon(refresh)
        await asyncio.sleep(0.05)

    stall = stall_of(main)

    assert_blames(stall, refresh, expression="time.sleep(0.2)", call="time.sleep", cause=Cause.SLEEP)
    assert stall.task is None
    assert stall.request is None


def test_call_later(stall_of):
    """A callback given to `call_later` is blamed."""

    def expire(delay):
        time.sleep(delay)  # BLOCK

    async def main():
        asyncio.get_running_loop().call_later(0.02, expire, 0.2)
        await asyncio.sleep(0.1)

    assert_blames(stall_of(main), expire, expression="time.sleep(delay)", call="time.sleep")


def test_call_soon_threadsafe(stall_of):
    """A callback that another thread handed in is blamed."""

    def deliver():
        time.sleep(0.2)  # BLOCK

    async def main():
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(deliver,))
        thread.start()
        await asyncio.sleep(0.1)
        thread.join()

    assert_blames(stall_of(main), deliver, call="time.sleep")


def test_done_callback(stall_of):
    """A done callback of a task is blamed, not the task that is done."""

    def report(task):
        time.sleep(0.2)  # BLOCK

    async def work():
        await asyncio.sleep(0)

    async def main():
        task = asyncio.create_task(work())
        task.add_done_callback(report)
        await task
        await asyncio.sleep(0.05)

    stall = stall_of(main)

    assert_blames(stall, report, expression="time.sleep(0.2)", call="time.sleep")
    assert stall.task is None


def test_reader_callback(stall_of):
    """A callback given to `add_reader` is blamed."""
    ours, theirs = socket.socketpair()

    def readable():
        time.sleep(0.2)  # BLOCK
        ours.recv(1)

    async def main():
        asyncio.get_running_loop().add_reader(ours, readable)
        theirs.send(b"x")
        await asyncio.sleep(0.1)
        asyncio.get_running_loop().remove_reader(ours)

    with ours, theirs:
        ours.setblocking(False)
        assert_blames(stall_of(main), readable, call="time.sleep")


class Greeter(asyncio.Protocol):
    """Answers whatever it is sent, late."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        time.sleep(0.2)  # BLOCK
        self.transport.write(data)
        self.transport.close()


def test_data_received(stall_of):
    """A protocol's `data_received` is blamed, by its qualified name."""

    async def main():
        server = await asyncio.get_running_loop().create_server(Greeter, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        writer.close()
        server.close()

    stall = stall_of(main)

    assert_blames(stall, Greeter, expression="time.sleep(0.2)", call="time.sleep", cause=Cause.SLEEP)
    assert stall.origin.function == "Greeter.data_received"
    assert stall.task is None
