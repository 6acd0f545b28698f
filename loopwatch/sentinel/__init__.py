"""The sentinel: a process beside the watched one, which sees what none of its threads can while C code keeps the GIL.

| file | runs in | what it does |
|---|---|---|
| `page.py` | both | the shared memory on which the watchdog stamps each look |
| `process.py` | the watched process | `Sentinel`: starts and ends the other process, stamps, receives dumps |
| `dumps.py`, `refusal.py` | the watched process | joins dumps to the stall they were taken in; says why there are none |
| `child.py` | the sentinel | reads the stamps; when one is overdue, has a dump taken, and says that the process is frozen |
| `patrol.py`, `spying.py`, `kernel.py`, `frozen.py` | the sentinel | what to do next; py-spy; what the kernel knows; what is said |

What runs in the sentinel imports next to nothing (no dataclasses, no typing), and so does this file: it stays below 15 MB.
"""
