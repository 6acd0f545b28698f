"""What a sink says of itself."""

__all__ = ["said"]


def said(caplog):
    """The lines in loopwatch's own log."""
    return [record.getMessage() for record in caplog.records if record.name == "loopwatch"]
