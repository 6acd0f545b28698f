"""A small web shop, as many are written: async handlers, and below them code that blocks the event loop.

Read it top down: `main.py` (handlers) -> `services.py` (what the shop does) -> `repository.py` (where data comes from).
A comment `# planted <name>: <cause>` stands on each line that blocks, so that the demo can check what loopwatch said.
"""
