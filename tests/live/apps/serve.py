"""Enables loopwatch, then serves the app from its own main function: `python -m apps.serve PORT LOOP`."""

import sys

import uvicorn

from apps import lines


def main() -> None:
    lines.enable()
    uvicorn.run("apps.blocking:app", port=int(sys.argv[1]), loop=sys.argv[2], log_level="info")


if __name__ == "__main__":
    main()
