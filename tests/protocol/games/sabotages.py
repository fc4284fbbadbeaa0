"""What the random game must find: the protocol with one of the things missing that it stands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from psycopg.sql import SQL

from protocol.games.world import Sabotage
from replank.values.states import TableState
from sql.ledger.jobs import job_reports
from sql.rows import capture_continuity, capture_repair
from sql.session import one_snapshot, session_settings
from sql.swap import lock_attempt, swap_under_lock
from sql.values import equality_operators
from workers.kinds import table_jobs

EARLY = (TableState.PLANNED, TableState.CAPTURED, TableState.COPYING)


@dataclass(frozen=True, kw_only=True)
class Broken:
    """How it is broken, where games of it begin, and which moves they have; all of them where none are named.

    `found_by` is the number of the game that finds it.
    """

    breaks: Callable[[pytest.MonkeyPatch], None]
    found_by: int = 0
    starts: Sequence[TableState] = EARLY
    whats: Sequence[str] = ()


def drain_beside_copy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(job_reports, "copying", lambda _connection, _table: False)


def no_capture(patch: pytest.MonkeyPatch) -> None:
    """The world itself switches the triggers off; nobody notices."""
    patch.setattr(capture_repair, "capture_is_complete", lambda _connection, _spec: True)
    gaps_unseen(patch)


def inherited_isolation(patch: pytest.MonkeyPatch) -> None:
    kept = {name: said for name, said in session_settings.SESSION.items() if name != "default_transaction_isolation"}
    patch.setattr(session_settings, "SESSION", kept)
    for name in ("set_read_committed", "require_read_committed"):
        patch.setattr(swap_under_lock, name, lambda _connection: None)
    # Otherwise nothing is left for the swap's own transaction, whatever it sees.
    patch.setattr(lock_attempt.Crossing, "_drain_gated", lambda _self, _until: None)


def blind_to_rewrites(patch: pytest.MonkeyPatch) -> None:
    for module in (one_snapshot, table_jobs):
        patch.setattr(module, "refuse_rewritten", lambda _connection: None)


def equality_of_texts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        equality_operators, "operator", lambda _schema, name="=": SQL("OPERATOR(pg_catalog.{})").format(SQL(name))
    )


def old_snapshots_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lock_attempt, "snapshots", lambda _second, _first: [])


def gaps_unseen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(capture_continuity, "_in_words", lambda _lost: "")


SABOTAGES: Mapping[Sabotage, Broken] = {
    "drain beside copy": Broken(breaks=drain_beside_copy, found_by=5),
    "no capture": Broken(breaks=no_capture, found_by=2),
    "inherited isolation": Broken(breaks=inherited_isolation, found_by=31, starts=[TableState.READY]),
    "blind to rewrites": Broken(
        breaks=blind_to_rewrites,
        found_by=1,
        starts=[TableState.READY],
        whats=["upsert", "update", "commit", "finish", "interrupt"],
    ),
    "texts' equality": Broken(breaks=equality_of_texts, found_by=1),
    "gaps unseen": Broken(breaks=gaps_unseen, found_by=1, starts=[TableState.READY]),
    "old snapshots ignored": Broken(breaks=old_snapshots_ignored, found_by=12, starts=[TableState.READY]),
}
