"""The shop's logging: one JSON object a line on standard output. loopwatch writes through it without being told."""

import sys

import structlog

__all__ = ["configure"]


def configure() -> None:
    """Set structlog up, as any service does that ships its logs as JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )
