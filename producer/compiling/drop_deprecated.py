"""Step 11: past tables, old columns, views under old names and casts go, when `finish` is confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL

from producer.compiling.compile_steps import compiled_step
from producer.psql_scripts.pass_tables import SwapSet, Work
from producer.steps.compiled import CompiledStep
from producer.steps.mappings import renamed_tables
from replank.errors import WrongUse
from replank.plan.plan import Plan
from replank.plan.steps.steps_plan import DropPlan
from replank.values.steps import BY_NAME
from sql.catalogue.relations import looked_up, read_relations
from sql.rollback.original_texts import original_texts_table
from sql.rollback.table_pair import was_table
from sql.rows.backfill import filled_table
from sql.rows.reverse_capture import reverse_log
from sql.scripts import script_templates
from sql.scripts.compatibility_views import compatibility_views
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.table_names import live_table, past_table
from sql.values.text_casts import MARK

STEP = BY_NAME["11-drop-deprecated"]


def compile_deprecated(connection: Connection, work: Work) -> CompiledStep:
    """What `finish` drops, and a rollback that says that nothing comes back. Raises WrongUse for columns in use."""
    dropped = work.plan.steps.drop
    views = _views(connection, work.plan)
    asked = bool(work.specs or views or dropped)
    return compiled_step(STEP, work.plan, _facts(connection, work, dropped, views) if asked else None)


def _views(connection: Connection, plan: Plan) -> Sequence[tuple[str, str]]:
    """(schema, name) of the views under old names that step 07 has made."""
    if plan.steps.mappings is None or plan.steps.mappings.keep_views:
        return ()
    return [(view.schema, view.name) for view in compatibility_views(connection)]


def _facts(
    connection: Connection, work: Work, dropped: DropPlan | None, views: Sequence[tuple[str, str]]
) -> Mapping[str, Any]:
    kept = [name for spec in work.specs for name in (reverse_log(spec), was_table(spec), filled_table(spec))]
    kept += [original_texts_table(0, one.set_no) for one in work.sets]
    schemas = {r.past_schema for one in work.sets for r in one.dependents.replaced}
    return {
        "captured": [
            {
                "said": script_templates.as_written(_said(spec.full_name)),
                "regclass_text": script_templates.text(live_table(spec).as_string(None)),
            }
            for spec in work.rebuilt
        ],
        "sets": [_set(one) for one in work.sets],
        "compatibility_views": [
            {"said": script_templates.as_written(_said(".".join(view))), "name": script_templates.name(*view)}
            for view in views
        ],
        "columns": [] if dropped is None else list(_columns(connection, work, dropped)),
        "casts": script_templates.text(MARK) if work.options.text_casts else None,
        "by_hand": script_templates.as_written(", ".join(name.as_string(None) for name in kept)) if kept else None,
        "schemas": script_templates.text_array(sorted(schemas | {"replank"})) if work.specs else None,
    }


def _set(one: SwapSet) -> Mapping[str, Any]:
    past = [past_table(spec) for spec in one.members]
    return {
        "said": script_templates.as_written(_said(", ".join(spec.full_name for spec in one.members))),
        "tables": script_templates.as_written(SQL(", ").join(past).as_string(None)),
        "regclasses": script_templates.text_array(past_table(r).as_string(None) for r in one.dependents.replaced),
        "functions": int(bool(one.dependents.functions)),
        "views": [
            {
                "kind": script_templates.as_written("MATERIALIZED VIEW" if view.materialized else "VIEW"),
                "name": script_templates.as_written(past_table(view).as_string(None)),
            }
            for view in reversed(one.dependents.views)
        ],
    }


def _columns(connection: Connection, work: Work, dropped: DropPlan) -> Iterator[Mapping[str, Any]]:
    """Raises WrongUse where a column is not there, is in use, or belongs to a table that is rebuilt."""
    present = read_relations(connection)
    rebuilt = {spec.full_name for spec in work.rebuilt}
    mistakes: list[str] = []
    # Names are those of after step 07: what it has yet to rename is checked when it has.
    waiting = bool(renamed_tables(connection, work.plan.steps))
    for given in dropped.columns:
        named, _, column = given.rpartition(".")
        found, unknown = looked_up(present, [named])
        if unknown or column not in found[0].columns:
            if waiting:
                continue
            mistakes.append(f"column {given} does not exist")
            continue
        table = found[0]
        if table.full_name in rebuilt:
            mistakes.append(f"{given}: this plan rebuilds its table; drop the column in another plan")
        wanted = {"oid": table.oid, "column": column, "table": table.name}
        uses = [use["what"] for use in rows(connection, query("steps.column_uses"), wanted)]
        if uses:
            mistakes.append(f"{given} is used by {', '.join(uses)}")
        yield {
            "said": script_templates.as_written(_said(given)),
            "table": script_templates.name(table.schema, table.name),
            "name": script_templates.name(column),
        }
    if mistakes:
        raise WrongUse("steps.drop: " + "; ".join(mistakes))


def _said(words: str) -> str:
    return " ".join(words.split())
