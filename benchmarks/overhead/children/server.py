"""One FastAPI hello-world under uvicorn, with or without loopwatch; serves until terminated."""

import argparse
import json
import os
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from benchmarks.overhead.children.turn import park_a_thread

if TYPE_CHECKING:
    import socket

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    return {"message": "hello"}


class AnnouncedServer(uvicorn.Server):
    """Says its port once it listens.

    uvicorn opens the socket by itself here, as it does for users: handed one from `Config.bind_socket()`, asyncio
    leaves Nagle's algorithm on (it looks at `sock.proto`, which is 0 then) and every answer waits 40 ms.
    """

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("asyncio", "uvloop"), required=True)
    parser.add_argument("--side", choices=("one thread", "without", "loopwatch"), required=True)
    parser.add_argument("--core", type=int, help="the only core to run on")
    chosen = parser.parse_args()

    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    if chosen.side == "loopwatch":
        import loopwatch

        loopwatch.enable()
    elif chosen.side == "without":
        park_a_thread()
    config = uvicorn.Config(app, port=0, loop=chosen.backend, http="httptools", log_level="warning", access_log=False)
    AnnouncedServer(config).run()


if __name__ == "__main__":
    main()
