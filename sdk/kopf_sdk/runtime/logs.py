"""Logging of the process: one line per record, as text or JSON, to stderr."""

from __future__ import annotations

import datetime as dt
import json
import logging

__all__ = ["configure_logging"]


class JsonFormatter(logging.Formatter):
    """One JSON object per record, with the keys that log collectors know."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "ts": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(level: str, format_: str) -> None:
    """Set up the root logger. Kopf is only heard when debugging: its troubles are reported by those who use it."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter() if format_ == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":
        logging.getLogger("kopf").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
