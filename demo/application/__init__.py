"""The live application: a process of clients that write throughout, and what must be found again."""

from demo.application.check import JournalCheck, check_journal
from demo.application.journal import Journal
from demo.application.process import Application, ApplicationFailed, ApplicationReport

__all__ = [
    "Application",
    "ApplicationFailed",
    "ApplicationReport",
    "Journal",
    "JournalCheck",
    "check_journal",
]
