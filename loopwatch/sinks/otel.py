"""Stalls through OpenTelemetry: a log event, a span under the one that was held, and metrics.

Needs the API only: providers and exporters are the program's. Where it has set none, nothing is sent; if it sets them later,
what comes from then on is sent. Spans get no events, which OpenTelemetry has given up (OTEP 4430).
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopwatch.records import Frame, Stall, TraceInfo
from loopwatch.sinks import Source, need
from loopwatch.sinks.event import facts_of, plain, sentence, to_blame
from loopwatch.versions import version_of

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from loopwatch.sinks.otel_metrics import Instruments

__all__ = ["OpenTelemetrySink", "attributes_of"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONVENTIONS = {
    "file": "code.file.path",
    "line": "code.line.number",
    "loop": "loopwatch.loop.backend",
    "route": "http.route",
    "thread": "thread.name",
    "pid": "process.pid",
}
"""The keys of our log event that have a name in the semantic conventions; the others get our prefix."""
SEVERITIES = {"info": "INFO", "warning": "WARN", "error": "ERROR", "critical": "FATAL"}
OTHERWISE = frozenset({"function", "method", "stack", "started_at"})
"""Those that are told in another form, or by a field of the record itself."""


class OpenTelemetrySink:
    """Stalls as log events and spans, and metrics that count all of them.

    Args:
        tracer_provider: None: the global one.
        meter_provider: As above.
        logger_provider: As above.
    """

    def __init__(
        self,
        tracer_provider: "TracerProvider | None" = None,
        meter_provider: "MeterProvider | None" = None,
        logger_provider: "LoggerProvider | None" = None,
    ) -> None:
        need("otel", "opentelemetry")
        self._providers = tracer_provider, meter_provider, logger_provider
        self._begun: tuple[Tracer, Instruments, Logger] | None = None

    def begin(self, source: Source) -> None:
        from opentelemetry import _logs, trace

        from loopwatch.sinks.otel_metrics import instruments_of

        tracer_provider, meter_provider, logger_provider = self._providers
        own_version = version_of("loopwatch", "")
        instruments = instruments_of(meter_provider)
        instruments.take(self, source)
        tracer = trace.get_tracer("loopwatch", own_version, tracer_provider)
        self._begun = tracer, instruments, _logs.get_logger("loopwatch", own_version, logger_provider)

    def count(self, stall: Stall) -> None:
        if self._begun is not None:
            self._begun[1].count(self, stall, _context_of(stall.trace))

    def __call__(self, stall: Stall) -> None:
        if self._begun is None:
            return
        tracer, _, logger = self._begun
        context = _context_of(stall.trace)
        if not stall.ongoing:
            _add_span(tracer, stall, context)
        _emit(logger, stall, context)

    def end(self) -> None:
        if self._begun is not None:
            self._begun[1].give_back(self)


def _add_span(tracer: "Tracer", stall: Stall, context: "Context") -> None:
    start_ns, end_ns = _from_to_ns(stall)
    attributes = attributes_of(stall)
    tracer.start_span("event loop blocked", context, attributes=attributes, start_time=start_ns).end(end_ns)


def _emit(logger: "Logger", stall: Stall, context: "Context") -> None:
    from opentelemetry._logs import SeverityNumber

    severity = SeverityNumber[SEVERITIES[stall.severity]]
    logger.emit(
        event_name="loopwatch.event_loop.stalled" if stall.ongoing else "loopwatch.event_loop.blocked",
        timestamp=_from_to_ns(stall)[1],
        context=context,
        severity_number=severity,
        severity_text=severity.name,
        body=sentence(stall),
        attributes=attributes_of(stall),
    )


def attributes_of(stall: Stall) -> dict[str, Any]:
    """What our log event says, under the names of the semantic conventions or with the prefix "loopwatch."."""
    facts = facts_of(stall)
    attributes = {CONVENTIONS.get(key, f"loopwatch.{key}"): facts[key] for key in facts if key not in OTHERWISE}
    if stall.request is not None and stall.request.method != "WEBSOCKET":
        attributes["http.request.method"] = facts["method"]
    if stall.origin is not None:
        module = f"{stall.origin.module}." if stall.origin.module else ""
        attributes["code.function.name"] = plain(f"{module}{stall.origin.function}")
    if not stall.ongoing and not stall.stack_omitted:
        attributes["code.stacktrace"] = "\n".join(map(_lines_of, to_blame(stall)))
    return {key: value for key, value in attributes.items() if value is not None}


def _lines_of(frame: Frame) -> str:
    """As in a traceback."""
    place = plain(f'File "{frame.file}", line {frame.line}, in {frame.function}')
    return f"  {place}\n    {plain(frame.source)}" if frame.source else f"  {place}"


def _context_of(held: TraceInfo | None) -> "Context":
    """A context in which the span that was held is current. Without one: in which none is, whatever this thread inherited."""
    from opentelemetry.context import Context
    from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if held is None:
        return set_span_in_context(INVALID_SPAN, Context())
    ids = SpanContext(
        int(held.trace_id, 16), int(held.span_id, 16), is_remote=False, trace_flags=TraceFlags(held.flags)
    )
    return set_span_in_context(NonRecordingSpan(ids), Context())


def _from_to_ns(stall: Stall) -> tuple[int, int]:
    """Since 1970."""
    start_ns = (stall.started_at - EPOCH) // timedelta(microseconds=1) * 1000
    return start_ns, start_ns + int(stall.duration_ms * 1e6)
