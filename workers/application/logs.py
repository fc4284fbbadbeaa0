"""A worker's log: Replank's lines and Celery's in one form, each with its own level, on standard error.

Celery would take standard error over and call everything that is written there a warning.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import structlog
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging
from structlog.stdlib import ProcessorFormatter
from structlog.types import EventDict

from replank.addresses.addresses import hide
from replank.log_lines import BEFORE, line
from replank.settings import Settings

CELERY_LEVEL = logging.WARNING
"""What Celery says below this, of each message, Replank says itself of each job."""


def use_own_log(settings: Settings) -> None:
    """For this process and those it forks. Call it before Celery's worker is made."""
    # It advises an option of Celery's own command line. No message is read as code, under any user.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    secret = [str(url.get_secret_value()) for url in (settings.database_url, settings.broker_url) if url is not None]

    def hidden(_logger: Any, _name: str, event: EventDict) -> EventDict:
        return {name: hide(value, secret) if isinstance(value, str) else value for name, value in event.items()}

    structlog.configure(
        processors=[*BEFORE, hidden, line],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # A line is written at once: several processes write to one file.
        logger_factory=lambda *_: structlog.WriteLogger(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*BEFORE], processors=[ProcessorFormatter.remove_processors_meta, hidden, line]
        )
    )

    @setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
    def own(**_: Any) -> None:
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(CELERY_LEVEL)
        # Python's warnings are for those who write programs; Celery has one for each lost connection.
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
