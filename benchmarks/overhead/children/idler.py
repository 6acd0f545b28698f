"""A loop with nothing to do for as long as the process lives: it sits in one wait for I/O and is never due."""

import argparse
import asyncio
import json
import os
import threading

from benchmarks.overhead.children.turn import new_loop, watch


async def idle() -> None:
    """Nothing is scheduled: one more wake-up of this thread is one that somebody else caused."""
    print(json.dumps({"pid": os.getpid(), "thread": threading.get_native_id()}), flush=True)
    await asyncio.get_running_loop().create_future()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("asyncio", "uvloop"), required=True)
    parser.add_argument("--side", choices=("without", "loopwatch"), required=True)
    chosen = parser.parse_args()

    loop = new_loop(chosen.backend)
    if chosen.side == "loopwatch":
        watch(chosen.side, loop)
    loop.run_until_complete(idle())


if __name__ == "__main__":
    main()
