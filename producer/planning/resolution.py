"""A plan meets a database: every table and column it names is looked up, every mistake has its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from producer.planning.already_done import Already, without_done
from producer.planning.done_before import still_to_do
from producer.planning.quarantine_scope import rebuilt_where_quarantined
from producer.planning.rebuild_or_backfill import OF_A_FAMILY, needs_rebuild
from producer.planning.trailing_blanks import without_blanks
from producer.steps.enum_types import EnumType, enum_mistakes, enum_types
from replank.errors import WrongUse
from replank.plan.plan import Plan, load_plan
from replank.plan.tables.table_plan import ColumnPlan, TablePlan
from replank.plan.text.plan_lines import line_of
from sql.catalogue import catalogue
from sql.catalogue.catalogue import ForeignKey, LiveTable
from sql.session.connection import Connection, row
from sql.session.named_queries import query

ANY_DATABASE = "*"
"""What a plan for many databases says in place of one's name."""


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A plan and the text it was read from, so that mistakes can name their line."""

    plan: Plan
    source: str
    text: str

    def at(self, *location: int | str) -> str:
        return f"{self.source}:{line_of(self.text, location)}"

    @property
    def folder(self) -> Path:
        """Where names of files in the plan go from."""
        return Path(self.source).parent


def read_plan_file(path: Path) -> PlanFile:
    plan = load_plan(path)
    if plan.gates is not None:
        plan = plan.model_copy(update={"gates": plan.gates.seen_from(path.parent)})
    return PlanFile(plan=plan, source=str(path), text=path.read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The plan's tables in the database, and the foreign keys around them."""

    tables: tuple[tuple[TablePlan, LiveTable], ...]
    foreign_keys: tuple[ForeignKey, ...]
    enums: Mapping[str, EnumType]
    """The enum types that columns become, by the name that the plan gives them."""
    already: tuple[Already, ...] = ()
    """What of the plan the database had before: nothing is done about it."""


def resolve(connection: Connection, file: PlanFile) -> Resolved:
    """Look everything up. Raises WrongUse with a line for every mistake."""
    refuse_other_database(connection, file)
    live = {(t.schema, t.name): t for t in catalogue.read_tables(connection)}
    mistakes: list[str] = []
    found: list[tuple[TablePlan, LiveTable]] = []
    enums = enum_types(connection, file.plan)
    present: list[tuple[int, TablePlan, LiveTable]] = []
    for number, planned in still_to_do(connection, file.plan):
        table = live.get((planned.table_schema, planned.name))
        if table is None:
            where = file.at("tables", number, "name")
            mistakes.append(f"{where}: {_why_no_table(connection, planned)}")
        else:
            present.append((number, planned, table))
    left, already = without_done(connection, present, enums)
    for number, planned, table in left:
        for place, words in (*_mistakes(planned, table), *enum_mistakes(planned, enums)):
            said = _place_in_file(file.plan.tables[number], planned, place)
            mistakes.append(f"{file.at('tables', number, *said)}: {words}")
        found.append((planned, table))
    if mistakes:
        raise WrongUse("\n".join(mistakes) + "\nCorrect the plan, or create a new one with `replank inspect`.")
    keys = catalogue.read_foreign_keys(connection, [table.oid for _, table in found])
    return Resolved(
        tables=without_blanks(rebuilt_where_quarantined(found, keys), keys),
        foreign_keys=tuple(keys),
        enums=enums,
        already=tuple(already),
    )


def _place_in_file(said: TablePlan, left: TablePlan, place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where a part of what is left of a table stands in the file: what is done already has left the lists."""
    match place:
        case ("columns" | "add" | "fill" as part, int(n), *rest):
            name = getattr(left, part)[n].name
            for where in (part, "add"):
                for number, column in enumerate(getattr(said, where)):
                    if column.name == name:
                        return (where, number, *rest)
    return place


def _why_no_table(connection: Connection, planned: TablePlan) -> str:
    named = {"schema": planned.table_schema, "name": planned.name}
    found = row(connection, query("platforms.relation_kind"), named)
    if found is None:
        return f"table {planned.full_name} does not exist in this database"
    return f"{planned.full_name} is {found['kind']}; only tables of the database itself are rebuilt"


def _mistakes(planned: TablePlan, table: LiveTable) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where in the table's part of the plan something does not fit the live table, and what."""
    for n, column in enumerate(planned.columns):
        present = table.column(column.name)
        if present is None:
            yield ("columns", n, "name"), f"table {planned.full_name} has no column {column.name}"
        elif not present.becomes(column.to):
            yield ("columns", n, "name"), f"{planned.full_name}.{column.name} is {present.type}; {_why_not(column)}"
        elif column.on_invalid == "null" and (present.not_null or column.name in table.key):
            words = f"{planned.full_name}.{column.name} is NOT NULL, so on_invalid = null is impossible"
            yield ("columns", n, "on_invalid"), words
    for n, added in enumerate(planned.add):
        if table.column(added.name) is not None:
            words = f"table {planned.full_name} already has a column {added.name}; fill it instead of adding it"
            yield ("add", n, "name"), words
    if planned.method == "backfill" and needs_rebuild(planned):
        yield ("method",), f"{planned.full_name} cannot be filled in place: {needs_rebuild(planned)}"
    if planned.method == "backfill" and table.kin:
        yield ("method",), f"{planned.full_name} cannot be filled in place: {OF_A_FAMILY}"
    if planned.partition is not None:
        there = {column.name for column in table.columns} | {added.name for added in planned.add}
        if planned.partition.column is not None and planned.partition.column not in there:
            words = f"table {planned.full_name} has no column {planned.partition.column}, and the plan adds none"
            yield ("partition", "column"), words
    for n, filled in enumerate(planned.fill):
        present = table.column(filled.name)
        if present is None:
            words = f"table {planned.full_name} has no column {filled.name}; add it instead of filling it"
            yield ("fill", n, "name"), words
        elif present.generated or filled.name in table.key:
            what = "a generated column" if present.generated else "part of the key that identifies its rows"
            yield ("fill", n, "name"), f"{planned.full_name}.{filled.name} is {what} and cannot be filled"


def _why_not(column: ColumnPlan) -> str:
    if column.to == "enum":
        return "only text, varchar and char become an enum"
    if column.to == "uuid[]":
        return "only arrays of text, varchar and char become uuid[]"
    return "only text, varchar and char become uuid, and arrays of them uuid[]; ids inside other types stay text"


def refuse_other_database(connection: Connection, file: PlanFile) -> None:
    server = catalogue.read_server(connection)
    wanted = file.plan.database
    if wanted.name not in (server.database, ANY_DATABASE):
        raise WrongUse(
            f"{file.at('database', 'name')}: this plan is for database {wanted.name}, and the connection is to "
            f"{server.database}. Check the URL, or create a plan for this database with `replank inspect`."
        )
    if wanted.system_identifier not in (None, server.system_identifier):
        raise WrongUse(
            f"{file.at('database', 'system_identifier')}: this plan was made on another server "
            f"({wanted.system_identifier}, this is {server.system_identifier}). To test a plan on a copy of the "
            "database, remove the line."
        )
