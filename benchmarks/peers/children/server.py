"""The FastAPI hello-world of `benchmarks.overhead.fastapi` under uvicorn, watched by one tool; serves until terminated."""

import argparse
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import uvicorn

from benchmarks.accuracy.adapters import Detector, Serving
from benchmarks.overhead.children.server import AnnouncedServer, app
from benchmarks.overhead.children.turn import park_a_thread
from benchmarks.peers.children import switch

if TYPE_CHECKING:
    import socket


class WatchedServer(AnnouncedServer):
    def __init__(self, config: uvicorn.Config, detector: Detector) -> None:
        super().__init__(config)
        self.detector = detector

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        if not isinstance(self.detector, Serving):
            with redirect_stdout(sys.stderr):  # a tool's greeting is not the answer that our parent waits for
                await switch.inside(self.detector)
        await super().startup(sockets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("asyncio", "uvloop"), required=True)
    parser.add_argument("--tool", required=True, help="an adapter's name")
    parser.add_argument("--core", type=int, help="the only core to run on")
    chosen = parser.parse_args()

    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    park_a_thread()
    detector = switch.tool(chosen.tool)
    switch.before(detector)
    if isinstance(detector, Serving):
        detector.install(app, switch.THRESHOLD_MS)
    config = uvicorn.Config(app, port=0, loop=chosen.backend, http="httptools", log_level="warning", access_log=False)
    WatchedServer(config, detector).run()


if __name__ == "__main__":
    main()
