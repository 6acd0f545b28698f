"""The helper process: starts every server that can run here, prints their addresses as one line of JSON, and waits."""

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.accuracy.services import lines, postgres, web


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        addresses: dict[str, Any] = {**lines.serve(), **web.serve(folder), **stack.enter_context(postgres.serving())}
        print(json.dumps(addresses), flush=True)
        sys.stdin.read()


main()
