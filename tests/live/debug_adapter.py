"""A client of the Debug Adapter Protocol, just large enough to hold a program at a breakpoint and let it go on.

https://microsoft.github.io/debug-adapter-protocol/specification
"""

import json
import socket
from collections.abc import Callable
from typing import Any, Self

__all__ = ["DebugClient"]


class DebugClient:
    """What an editor is to a program that waits in `debugpy.wait_for_client()`."""

    def __init__(self, port: int, timeout: float = 60.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._stream = self._socket.makefile("rb")
        self._sent = 0
        self._early: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stream.close()
        self._socket.close()

    def attach(self, file: str, line: int) -> None:
        """Attaches with one breakpoint set, and lets the program start."""
        self._send("initialize", adapterID="loopwatch-tests", pathFormat="path")
        self._reply("initialize")
        self._send("attach", justMyCode=False)
        self._event("initialized")
        self._send("setBreakpoints", source={"path": file}, breakpoints=[{"line": line}])
        (breakpoint_,) = self._reply("setBreakpoints")["body"]["breakpoints"]
        assert breakpoint_["verified"], breakpoint_
        self._send("configurationDone")
        self._reply("attach")

    def wait_until_stopped(self) -> int:
        """Id of the thread that stands at the breakpoint, once one does."""
        return self._event("stopped")["body"]["threadId"]

    def go_on(self, thread: int) -> None:
        self._send("continue", threadId=thread)
        self._reply("continue")

    def _send(self, command: str, **arguments: Any) -> None:
        self._sent += 1
        message = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def _reply(self, command: str) -> dict[str, Any]:
        reply = self._first(lambda message: message["type"] == "response" and message["command"] == command)
        assert reply["success"], reply
        return reply

    def _event(self, name: str) -> dict[str, Any]:
        return self._first(lambda message: message["type"] == "event" and message["event"] == name)

    def _first(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first such message, be it one that came while we waited for another."""
        for message in self._early:
            if wanted(message):
                self._early.remove(message)
                return message
        while not wanted(message := self._receive()):
            self._early.append(message)
        return message

    def _receive(self) -> dict[str, Any]:
        length = 0
        while (header := self._stream.readline().strip()) or not length:
            assert header, "the adapter closed the connection"
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return json.loads(self._stream.read(length))
