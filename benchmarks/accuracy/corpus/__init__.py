"""The cases, grouped by mechanism. Importing this package fills `case.CASES`."""

from benchmarks.accuracy.corpus import (  # noqa: F401  (imported for their registration)
    children,
    disk,
    drivers,
    garbage,
    gil,
    honest,
    locks,
    machine,
    native_data,
    native_text,
    network,
    on_trio,
    operators,
    overload,
    python_code,
    python_libraries,
    sleeps,
)
