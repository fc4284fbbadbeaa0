"""Everything that the swap makes on the new tables, part by part: sequences, CHECKs, triggers, policies, keys and more.

One list that is composed in two ways. For the swap's script all names are in full, and mean the new relations as soon
as these have their places. `before_swap` is for a trial while the new relations still lie in their building schemas:
the server writes the same definitions with names that a search_path shortens, and `Made.path` makes these mean the next
relations. So whatever is added to the swap is in the trial too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation, TableSpec, building_schema
from sql.catalogue.dependents import Dependents, Part, looking_in, read_parts
from sql.catalogue.inheritance import stub_removed
from sql.next_table.foreign_keys import key_statements
from sql.next_table.on_update_trigger import function_name, moved_on_update
from sql.next_table.owned_sequences import carried_sequences
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.table_names import live_table, next_table, quoted, server_text
from sql.swap.old_sessions import recompiled
from sql.values.enum_checks import enum_checks, next_check

ENABLED = {"D": "DISABLE TRIGGER", "R": "ENABLE REPLICA TRIGGER", "A": "ENABLE ALWAYS TRIGGER"}


@dataclass(frozen=True, kw_only=True)
class Made:
    """One thing that the swap makes. `path` is the search_path under which its statements mean what they should."""

    what: str
    table: str | None
    statements: tuple[Composable, ...]
    path: str = "pg_catalog"


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the new relations are when the statements are executed."""

    connection: Connection
    dependents: Dependents
    before_swap: bool

    def table(self, relation: Relation) -> Identifier:
        return next_table(relation) if self.before_swap else live_table(relation)

    def path(self, schema: str) -> str:
        return self.dependents.next_path(schema) if self.before_swap else "pg_catalog"

    def read(self, name: str, relation: Relation, **more: object) -> list[dict[str, Any]]:
        """A query's definitions of a live relation, in names that `path` understands."""
        named = {"oid": relation.oid, **more}
        if not self.before_swap:
            return rows(self.connection, query(name), named)
        with looking_in(self.connection, self.dependents.live_path(relation.schema)):
            return rows(self.connection, query(name), named)

    def made(self, what: str, relation: Relation, statements: Sequence[Composable]) -> Made:
        return Made(
            what=f"{what} of {relation.full_name}",
            table=relation.full_name,
            statements=tuple(statements),
            path=self.path(relation.schema),
        )


def own_parts(site: Site, spec: TableSpec) -> Iterator[Made]:
    """What a table has for itself. It needs no other table of the set but those that it inherits from."""
    # Where there are other partitions, nothing belongs to a single one: `check` has seen to that.
    for relation in spec.relations if spec.layout is None else (spec,):
        yield from _sequences(site, relation)
        yield from _late_checks(site, spec, relation)
        yield from _triggers(site, relation)


def family_parts(site: Site, specs: Sequence[TableSpec]) -> Iterator[Made]:
    """What comes when every table has its own parts, its parents' CHECKs among them."""
    for spec in (spec for spec in specs if spec.kin):
        comments = [
            _comment_on(site, spec, check)
            for check, _ in _unvalidated(site, spec, spec)
            if check["comment"] is not None
        ]
        if comments:
            yield site.made("comments on constraints", spec, comments)
        gone = stub_removed(site.connection, spec, site.table(spec))
        if gone:
            yield site.made("what its next table was born of", spec, gone)


def joint_parts(site: Site, specs: Sequence[TableSpec], foreign_keys: Sequence[Mapping[str, Any]]) -> Iterator[Made]:
    """What names several relations, or takes a place of its own: functions, policies, rules, publications, keys."""
    for spec in specs:
        moved = moved_on_update(spec)
        if moved:
            yield site.made(f"function {function_name(spec)}(), the plan's own,", spec, moved)
    for part in read_parts(site.connection, site.dependents, before_swap=site.before_swap):
        yield from_part(site, part)
    names = sorted({relation.name for relation in site.dependents.replaced})
    again = recompiled(site.connection, names, without=site.dependents.function_oids)
    if again:
        yield Made(what="what lets sessions compile their functions again", table=None, statements=tuple(again))
    for key in foreign_keys:
        yield from _foreign_key(site, key, specs)


def _foreign_key(site: Site, key: Mapping[str, Any], specs: Sequence[TableSpec]) -> Iterator[Made]:
    path = "pg_catalog"
    if site.before_swap:
        path = quoted(building_schema("replank_next", key["ref_schema"]), key["ref_schema"])
        with looking_in(site.connection, quoted(key["ref_schema"])):
            statements = key_statements(site.connection, key, specs, before_swap=True)
    else:
        statements = key_statements(site.connection, key, specs)
    named = f"{key['schema']}.{key['table_name']}"
    if statements:
        yield Made(what=f"foreign key {key['name']} of {named}", table=named, statements=tuple(statements), path=path)


def from_part(site: Site, part: Part) -> Made:
    """What is read as text, where it is to be made."""
    statements: list[Composable] = [server_text(statement) for statement in part.statements]
    if part.what == "function":
        # A body that is given as text is not parsed: it may name what comes later.
        statements.insert(0, SQL("SET LOCAL check_function_bodies = off"))
    return Made(
        what=f"{part.what} {part.name}", table=part.table, statements=tuple(statements), path=site.path(part.schema)
    )


def _sequences(site: Site, relation: Relation) -> Iterator[Made]:
    """A serial's sequence is a live one: a trial has a stand-in for it."""
    if site.before_swap:
        next_one = replace(relation, schema=relation.next_schema)
        _, attached = carried_sequences(
            site.connection, next_one, built_in=relation.next_schema, gone_to=relation.schema, stand_ins=True
        )
    else:
        _, attached = carried_sequences(
            site.connection, relation, built_in=relation.next_schema, gone_to=relation.past_schema
        )
    if attached:
        yield site.made("sequences", relation, attached)


def _late_checks(site: Site, spec: TableSpec, relation: Relation) -> Iterator[Made]:
    """CHECKs that old rows may break come only now, as they were: NOT VALID. A parent's come with it.

    In classic inheritance a child may have declared one of its parent's itself: then the parent's meets it.
    """
    kin = relation is spec and spec.kin
    for check, definition in _unvalidated(site, spec, relation):
        if check["inherited"] and not (kin and check["local"]):
            continue
        name = Identifier(check["name"])
        made: list[Composable] = [
            SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(site.table(relation), name, definition)
        ]
        if check["comment"] is not None and not kin:
            made.append(_comment_on(site, relation, check))
        yield site.made(f"constraint {check['name']}", relation, made)


def _unvalidated(site: Site, spec: TableSpec, relation: Relation) -> Iterator[tuple[Mapping[str, Any], Composable]]:
    """Each with its definition on the next table; one that goes by consent is left out."""
    over_enums = {check.name: check for check in enum_checks(site.connection, relation.oid, spec.columns)}
    for check in site.read("next_table.unvalidated_checks", relation):
        known = over_enums.get(check["name"])
        definition = server_text(check["definition"]) if known is None else next_check(spec, known)
        if definition is not None:
            yield check, definition


def _comment_on(site: Site, relation: Relation, check: Mapping[str, Any]) -> Composable:
    name = Identifier(check["name"])
    return SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, site.table(relation), check["comment"])


def _triggers(site: Site, relation: Relation) -> Iterator[Made]:
    """The user's triggers fire only from now on: filling the next table must not fire them."""
    table = site.table(relation)
    for trigger in site.read("cutover.triggers", relation, shortened=site.before_swap):
        name = Identifier(trigger["name"])
        made: list[Composable] = [server_text(trigger["definition"])]
        if trigger["enabled"] in ENABLED:
            made.append(SQL("ALTER TABLE {} {} {}").format(table, server_text(ENABLED[trigger["enabled"]]), name))
        if trigger["comment"] is not None:
            made.append(SQL("COMMENT ON TRIGGER {} ON {} IS {}").format(name, table, trigger["comment"]))
        yield site.made(f"trigger {trigger['name']}", relation, made)
    for copied in site.read("cutover.other_states", relation):
        state, name = server_text(ENABLED.get(copied["enabled"], "ENABLE TRIGGER")), Identifier(copied["name"])
        switched = SQL("ALTER TABLE {} {} {}").format(table, state, name)
        yield site.made(f"the state of trigger {copied['name']}", relation, [switched])
