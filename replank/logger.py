"""The logger of modules that every command imports: structlog comes with the first line, which few commands write."""

from __future__ import annotations

import logging
import sys
from typing import Any


class Logger:
    """What `structlog.get_logger()` returns, asked for when a line is written."""

    def __getattr__(self, name: str) -> Any:
        import structlog

        if not structlog.is_configured():
            configure_logging()
        return getattr(structlog.get_logger(), name)


def configure_logging() -> None:
    """Log lines for machines and people go to standard error; standard output is for results."""
    import structlog

    from replank.log_lines import PROCESSORS

    structlog.configure(
        processors=list(PROCESSORS),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Asked again for each line: a progress display takes standard error's place while it is shown.
        logger_factory=lambda *_: structlog.PrintLogger(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
