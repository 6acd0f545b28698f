"""`python -m loopwatch.demo`: a real FastAPI shop under uvicorn, real traffic, and what loopwatch says about it.

The shop (`shop/`) is copied to a temporary folder and served from there, because code inside the loopwatch package
would not count as the user's. In reading order: `supplier` (the slow server that the shop calls), `server` (the shop's
process), `traffic` (its customers), `planted` (what is wrong on purpose), `findings` (what loopwatch found, and whether
that was right), `screen` (how it is shown), `__main__`.
"""
