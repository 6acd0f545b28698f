"""An OpenTelemetry SDK as a program would set it up, but exporting to memory."""

from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from loopwatch.sinks.otel import OpenTelemetrySink

__all__ = ["Telemetry"]


@dataclass
class Telemetry:
    """Providers, and what reached them."""

    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    exported_spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    exported_logs: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)

    def __post_init__(self):
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exported_spans))
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self.exported_logs))
        self.meter_provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.tracer = self.tracer_provider.get_tracer("test")

    def sink(self):
        """Our sink, for these providers."""
        return OpenTelemetrySink(self.tracer_provider, self.meter_provider, self.logger_provider)

    def spans(self, name="event loop blocked"):
        """Spans of that name that have ended."""
        return [span for span in self.exported_spans.get_finished_spans() if span.name == name]

    @property
    def logs(self):
        """Log records so far."""
        return [one.log_record for one in self.exported_logs.get_finished_logs()]

    def points(self, name) -> list[Any]:
        """The data points of a metric now; none where it says nothing."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name and scope.scope.name == "loopwatch"
            for point in metric.data.data_points
        ]
