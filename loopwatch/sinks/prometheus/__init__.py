"""Metrics for Prometheus, served by a thread of loopwatch's own, by the program's `/metrics`, or both.

They live in prometheus-client's own registry, so whatever the program serves already has them too. Where several processes share
`PROMETHEUS_MULTIPROC_DIR`, each keeps its part there, and whichever is asked answers for all.
"""

from loopwatch.sinks.prometheus.exposition import metrics_app
from loopwatch.sinks.prometheus.sink import PrometheusSink

__all__ = ["PrometheusSink", "metrics_app"]
