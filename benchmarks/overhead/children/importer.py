"""One fresh interpreter that imports what it is told to, and says which modules came in by it and how long that took.

Run by path, not with `-m`: the package on the way to it would already have imported half of what is being counted.
"""

import sys
import time


def main() -> None:
    before = set(sys.modules)
    began_ns = time.perf_counter_ns()
    for statement in sys.argv[1:]:
        exec(statement, {})
    took_ns = time.perf_counter_ns() - began_ns
    came = sorted(set(sys.modules) - before)
    import json

    print(json.dumps({"inside_ns": took_ns, "modules": came}))


if __name__ == "__main__":
    main()
