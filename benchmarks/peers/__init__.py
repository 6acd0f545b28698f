"""loopwatch and its peers on one corpus, in one run, in one table: `python -m benchmarks.peers`.

    tools (who)  ->  plan (which cases, in which order)  ->  accuracy's run_case, one process each  ->  judged  ->  table
                 ->  costs (turns, FastAPI; children/)  ------------------------------------------------------------^

The adapters are accuracy's (`benchmarks/accuracy/adapters`), and so are the corpus and the rules by which it is judged.
"""
