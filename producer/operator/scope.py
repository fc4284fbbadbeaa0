"""What a pause or a limit is for: the whole run, one phase, or one table or cache."""

from __future__ import annotations

from dataclasses import dataclass, field

from replank.errors import WrongUse
from replank.values.steps import DATA_PHASE, PHASES
from sql.ledger.runs.restraints import Place
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, tables
from sql.session.connection import Connection

NAMED_AT_MOST = 20


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Made by `scope_of`, which looks whether the run has it. `name` is the table's or cache's."""

    name: str | None = None
    place: Place = field(default_factory=Place)

    @property
    def words(self) -> str:
        if self.name is not None:
            return self.name
        return "the whole run" if self.place.phase is None else f"phase {self.place.phase}"

    @property
    def options(self) -> str:
        """How the command line says it; empty for the whole run."""
        if self.name is not None:
            return f" --table {self.name}"
        return "" if self.place.phase is None else f" --phase {self.place.phase}"


WHOLE_RUN = Scope()


def scope_of(connection: Connection, run: Run, *, phase: int | None = None, table: str | None = None) -> Scope:
    """The scope that the operator names; nothing named is the whole run. Raises WrongUse that says what there is."""
    if phase is not None and table is not None:
        raise WrongUse(f"Give either --phase or --table: tables always belong to phase {DATA_PHASE}.")
    if phase is not None:
        if phase not in PHASES:
            there = ", ".join(f"{number} ({name})" for number, name in PHASES.items())
            raise WrongUse(f"There is no phase {phase}. The phases are {there}.")
        return Scope(place=Place(phase=phase))
    return WHOLE_RUN if table is None else _named(connection, run, table)


def _named(connection: Connection, run: Run, name: str) -> Scope:
    places = {t.spec.full_name: Place(table_no=t.table_no) for t in tables.read_tables(connection, run.run_id)}
    for cache in caches.read_caches(connection, run.run_id):
        places.setdefault(cache.name, Place(cache_no=cache.cache_no))
    fitting = [full for full in places if full == name] or [full for full in places if full.split(".", 1)[-1] == name]
    if len(fitting) == 1:
        return Scope(name=fitting[0], place=places[fitting[0]])
    if fitting:
        raise WrongUse(f"{name} is ambiguous: {' or '.join(fitting)}. Give the name with its schema.")
    if not places:
        raise WrongUse(
            f"Run {run.run_id} has not planned its tables yet. Pause phase {DATA_PHASE} instead, to which they belong."
        )
    more = "" if len(places) <= NAMED_AT_MOST else f" and {len(places) - NAMED_AT_MOST} more"
    raise WrongUse(
        f"Run {run.run_id} has no table or cache {name}; it has {', '.join(list(places)[:NAMED_AT_MOST])}{more}."
    )
