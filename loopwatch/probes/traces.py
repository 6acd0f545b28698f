"""Which OpenTelemetry span a task is in, asked from the watchdog thread. Of a span only its ids are read; none is kept.

OpenTelemetry's context is one context variable, and the current span is an item of it (API 1.38-1.45:
opentelemetry/context/contextvars_context.py, opentelemetry/trace/propagation). A span's ids are an attribute of its own
(SDK 1.38-1.45: opentelemetry/sdk/trace, `ReadableSpan._context`). What is built otherwise is not known here.
"""

import sys
from contextvars import Context, ContextVar
from typing import Any

from loopwatch.probes.variables import attribute
from loopwatch.records import TraceInfo

__all__ = ["current_trace", "trace_of"]


def current_trace(context: Context) -> TraceInfo | None:
    """The span that is current in a task's context. None as well where the program has not imported OpenTelemetry."""
    runtime = attribute(sys.modules.get("opentelemetry.context"), "_RUNTIME_CONTEXT")
    key = attribute(sys.modules.get("opentelemetry.trace.propagation"), "_SPAN_KEY")
    variable = attribute(runtime, "_current_context")
    if type(variable) is not ContextVar:
        return None
    items = context.get(variable)
    return trace_of(dict.get(items, key)) if isinstance(items, dict) else None


def trace_of(span: Any) -> TraceInfo | None:
    """The ids of a span; None if that is no span, or one that is not valid."""
    ids = attribute(span, "_context")
    if type(ids).__module__ != "opentelemetry.trace.span" or not isinstance(ids, tuple):
        return None
    trace_id, span_id, _remote, flags = tuple.__getitem__(ids, slice(4))
    return TraceInfo(f"{trace_id:032x}", f"{span_id:016x}", int(flags)) if trace_id and span_id else None
