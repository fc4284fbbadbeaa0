"""The live application: clients that write to the sample shop throughout, and know what must be there."""

from demo.application.check import JournalCheck, check_journal
from demo.application.journal import Journal
from demo.application.live import Application, ApplicationFailed, ApplicationReport

__all__ = [
    "Application",
    "ApplicationFailed",
    "ApplicationReport",
    "Journal",
    "JournalCheck",
    "check_journal",
]
