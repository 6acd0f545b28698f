"""The public corpus of labelled blockers, and how well a detector accounts for them: `python -m benchmarks.accuracy`.

    corpus/ (what blocks, labelled)  ->  run_case (one process per case and backend)  ->  Outcome  ->  score  ->  tables
                 ^ services/ (slow servers in a helper process)      ^ adapters/ (one file per detector)

A label says by what mechanism a line blocks. No case is tuned to a detector.
"""
