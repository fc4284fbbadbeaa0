"""What was made on the new tables since the cutover and the past ones do not have: it would be lost, so it is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replank.errors import NeedsOperator
from replank.values.table_spec import TableSpec
from sql.catalogue import catalogue
from sql.next_table.on_update_trigger import function_name
from sql.rollback.table_pair import TablePair
from sql.rows.reverse_capture import Captured, captured
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.swap.moved_dependents import hanging_on, home


def refuse_newer(connection: Connection, pairs: Sequence[TablePair], foreign_keys: Iterable[Mapping[str, Any]]) -> None:
    """Raises NeedsOperator where a rollback would lose an object, or where changes were not captured."""
    known = captured(connection, [pair.spec for pair in pairs])
    for pair in pairs:
        if known[pair.spec.table_no] is Captured.NOT_ALWAYS:
            raise NeedsOperator(
                f"{pair.spec.full_name}: its triggers replank_capture_back_… were disabled for a time, or still are. "
                "What changed then is not known, and a comparison cannot find it in columns that the run has filled, "
                "so a rollback would lose changes."
            )
        if known[pair.spec.table_no] is not Captured.ALL:
            raise NeedsOperator(
                f"{pair.spec.full_name}: its triggers replank_capture_back_… were dropped, or it is another table than "
                "the cutover's. Its changes are not known, so a rollback would lose changes."
            )
    found = [f"{what} {name} of {p.spec.full_name}" for p in pairs for what, name in _newer(connection, p)]
    found += _newer_dependents(connection, pairs)
    known_keys = {(key["schema"], key["table_name"], key["name"]) for key in foreign_keys}
    members = {(r.schema, r.name): p.spec for p in pairs for r in p.new.relations}
    for key in catalogue.read_foreign_keys(connection, [pair.new.oid for pair in pairs]):
        whole = members.get((key.schema, key.table_name))
        # Before 18 the leaves of a partitioned table hold its key until it is validated.
        names = {(key.schema, key.table_name, key.name)} | ({(whole.schema, whole.name, key.name)} if whole else set())
        if not names & known_keys:
            found.append(f"foreign key {key.name} of {key.schema}.{key.table_name}")
    if found:
        raise NeedsOperator(
            f"{', '.join(found)}: not in the past tables, so a rollback would lose it. Drop it, or undo the change, "
            "then run `replank rollback` again. Nothing was swapped."
        )


def _newer(connection: Connection, pair: TablePair) -> list[tuple[str, str]]:
    """Parts that only the new table has; of columns also those that only the past one has."""
    past, new = _parts(connection, pair.spec), _parts(connection, pair.new)
    planned = {("column", column.name) for column in pair.spec.columns if column.added}
    planned.add(("trigger", function_name(pair.spec)))
    unique = any(column.unique for column in pair.spec.columns)
    gone = {("dropped column", name) for what, name in past - new if what == "column"}
    return sorted(part for part in new - past - planned | gone if not (part[0] == "constraint" and unique))


def _parts(connection: Connection, spec: TableSpec) -> set[tuple[str, str]]:
    named = {"root": spec.oid, "oids": [relation.oid for relation in spec.relations]}
    return {(part["what"], part["name"]) for part in rows(connection, query("swap_back.parts"), named)}


def _newer_dependents(connection: Connection, pairs: Sequence[TablePair]) -> list[str]:
    past = hanging_on(connection, [r for pair in pairs for r in pair.spec.relations])
    new = hanging_on(connection, [r for pair in pairs for r in pair.new.relations])
    views = {(home(view.schema), view.name) for view in past.views}
    # Signatures name types, whose schemas have changed: the names have to do.
    functions = {(home(f.schema), _bare(f.signature)) for f in past.functions}
    found = [f"view {view.full_name}" for view in new.views if (view.schema, view.name) not in views]
    return found + [
        f"function {function.signature}"
        for function in new.functions
        if (function.schema, _bare(function.signature)) not in functions
    ]


def _bare(signature: str) -> str:
    """A function's name without its schema and its arguments."""
    return signature.partition("(")[0].rpartition(".")[2]
