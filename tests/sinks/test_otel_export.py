"""What leaves the process: through the program's own OTLP exporter, after a fork, and without an SDK."""

import http.server
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}
WITHIN_S = 60

PROGRAM = """
    import asyncio, os, sys, time
    import loopwatch

    def set_up():
        from opentelemetry import _logs, metrics, trace
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        logs, traces = LoggerProvider(), TracerProvider()
        logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), 3_600_000)])
        _logs.set_logger_provider(logs), trace.set_tracer_provider(traces), metrics.set_meter_provider(meters)
        return logs, traces, meters

    async def block():
        await asyncio.sleep(0)
        time.sleep(0.2)

    def tell(watch, providers):
        assert watch.flush(30)
        for provider in providers:
            provider.force_flush()
"""


class Receiver(http.server.ThreadingHTTPServer):
    """Takes OTLP over HTTP, as a collector does."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken = []

    def take(self, path, body):
        request = KINDS[path]()
        request.ParseFromString(body)
        self.taken.append(request)

    def scopes(self, groups, scopes):
        """What our own instrumentation scope sent of a kind: all of it, in order."""
        return [
            scope
            for request in self.taken
            for resource in getattr(request, groups, ())
            for scope in getattr(resource, scopes)
            if scope.scope.name == "loopwatch"
        ]

    @property
    def spans(self):
        return blamed(span for scope in self.scopes("resource_spans", "scope_spans") for span in scope.spans)

    @property
    def logs(self):
        return blamed(record for scope in self.scopes("resource_logs", "scope_logs") for record in scope.log_records)

    @property
    def metrics(self):
        """The latest of each name."""
        scopes = self.scopes("resource_metrics", "scope_metrics")
        return {metric.name: metric for scope in scopes for metric in scope.metrics}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.headers["content-type"] == "application/x-protobuf"
        self.server.take(self.path, self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.05,))
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


@pytest.fixture
def ran(tmp_path, elsewhere):
    """Runs a program in a process of its own, which must succeed and say nothing."""

    def ran(text, port=None):
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(PROGRAM) + textwrap.dedent(text), "utf-8")
        export = {} if port is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        environ = {**os.environ, **export, "NO_PROXY": "*"}
        # 3.12+ warns of a fork of a process with threads; what becomes of it is tested here.
        command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", str(program)]
        done = subprocess.run(command, env=environ, cwd=elsewhere, capture_output=True, text=True, timeout=WITHIN_S)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return ran


def attributes(thing):
    """A record's attributes as a dictionary."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in thing.attributes}


def blamed(records):
    """Those of `block`: any others a busy machine may add."""
    return [one for one in records if attributes(one)["loopwatch.cause"] == "sleep"]


def points(metric):
    """The data points of a histogram, by cause, or of a counter, by state."""
    kind = getattr(metric, metric.WhichOneof("data"))
    words = "loopwatch.cause", "loopwatch.eventloop.state"
    return {value: point for point in kind.data_points for key, value in attributes(point).items() if key in words}


def test_otlp(ran, receiver):
    """Through OTLP over HTTP a stall arrives as a span, a log record in its trace, and metrics."""
    (pid,) = ran(
        """
        providers = set_up()
        with loopwatch.watching(sinks=["otel"]) as watch:
            from opentelemetry import trace
            with trace.get_tracer("program").start_as_current_span("job"):
                asyncio.run(block())
            tell(watch, providers)
        print(os.getpid())
        """,
        receiver.server_port,
    )

    (span,) = receiver.spans
    (record,) = receiver.logs
    assert (span.name, record.event_name) == ("event loop blocked", "loopwatch.event_loop.blocked")
    assert span.end_time_unix_nano - span.start_time_unix_nano >= 195_000_000
    assert record.time_unix_nano == span.end_time_unix_nano
    if sys.version_info >= (3, 12):
        assert (record.trace_id, record.span_id) == (span.trace_id, span.parent_span_id)
    assert attributes(record) == attributes(span)
    assert attributes(span)["process.pid"] == int(pid)
    assert attributes(span)["code.function.name"] == "__main__.block"
    assert {"loopwatch.eventloop.utilization", "loopwatch.eventloop.delay.max"} <= receiver.metrics.keys()
    assert points(receiver.metrics["loopwatch.eventloop.blocked.duration"])["sleep"].count == 1


def test_after_a_fork(ran, receiver):
    """A child that was forked off a watched process tells of its own stalls, and its counters begin at 0."""
    child, observed_s, _ = ran(
        """
        watch = loopwatch.enable(sinks=["otel"])
        asyncio.run(block())  # the parent's threads run, and its instruments are made
        watch.flush(30)
        if (pid := os.fork()) == 0:
            providers = set_up()
            asyncio.run(block())
            tell(watch, providers)
            print(os.getpid(), watch.stats().observed_s, flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(os.getpid())
        """,
        receiver.server_port,
    )

    assert [attributes(one)["process.pid"] for one in (*receiver.spans, *receiver.logs)] == [int(child), int(child)]
    assert points(receiver.metrics["loopwatch.eventloop.blocked.duration"])["sleep"].count == 1
    assert_ran(receiver, float(observed_s))


def test_providers_before_a_fork(ran, receiver):
    """The same where the providers were set before the fork, as servers do that load the application first."""
    child, observed_s, parent = ran(
        """
        providers = set_up()
        watch = loopwatch.enable(sinks=["otel"])
        asyncio.run(block())
        tell(watch, providers)
        if (pid := os.fork()) == 0:
            asyncio.run(block())
            tell(watch, providers)
            print(os.getpid(), watch.stats().observed_s, flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(os.getpid())
        """,
        receiver.server_port,
    )

    assert [attributes(one)["process.pid"] for one in receiver.spans] == [int(parent), int(child)]
    assert_ran(receiver, float(observed_s))


def assert_ran(receiver, observed_s):
    """The latest counters are of so many seconds at most, and of the time in which the loop was blocked at least."""
    times = points(receiver.metrics["loopwatch.eventloop.time"])
    assert times["active"].as_double >= 0.19
    assert times["active"].as_double + times["idle"].as_double <= observed_s + 0.001


def test_without_an_sdk(ran):
    """Where the program has set no providers, nothing is sent, said or imported but the API."""
    said = ran(
        """
        with loopwatch.watching(sinks=["otel"]) as watch:
            asyncio.run(block())
            assert watch.flush(30)
            assert watch.stalls
        from opentelemetry import _logs, metrics, trace
        providers = trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()
        assert all("Proxy" in type(one).__name__ for one in providers), providers
        assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
        """
    )

    assert said == []
