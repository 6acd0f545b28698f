"""One process, one backend, one tool: what a turn of the loop costs. The turn is that of `benchmarks.overhead.turns`."""

import argparse
import json

from benchmarks.overhead.children.turn import measure, new_loop, park_a_thread, run
from benchmarks.peers.children import switch


async def watched(detector: switch.adapters.Detector, turns: int, batches: int) -> dict[str, list[float]]:
    await switch.inside(detector)
    return await measure(turns, batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("asyncio", "uvloop"), required=True)
    parser.add_argument("--tool", required=True, help="an adapter's name")
    parser.add_argument("--turns", type=int, required=True, help="turns in a batch")
    parser.add_argument("--batches", type=int, required=True)
    chosen = parser.parse_args()

    # Every side has a second thread: the first one of a process makes its locks dearer, whoever starts it.
    park_a_thread()
    detector, loop = switch.tool(chosen.tool), new_loop(chosen.backend)
    switch.before(detector)
    print(json.dumps(run(loop, watched(detector, chosen.turns, chosen.batches))))


if __name__ == "__main__":
    main()
