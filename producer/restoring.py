"""After the tables have changed places again: foreign keys are validated, and only then the new tables are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import errors, sql

from producer.patience import Patience
from replank.errors import NeedsPerson
from replank.states import TableState
from replank.table_spec import Relation, TableSpec
from sql import foreign_keys
from sql.connection import Connection, apply_settings
from sql.dropping import drop_hanging, drop_table, put_aside
from sql.ledger import quarantines, tables
from sql.ledger.runs import Run
from sql.ledger.tables import ConversionSet
from sql.moving import UNDONE
from sql.on_update import function_name
from sql.pair import was_table
from sql.quarantine import drop_quarantine
from sql.reverse_capture import remove_capture
from sql.spellings import map_table


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """The last part of one rollback; each step may be done twice."""

    connection: Connection
    run: Run
    patience: Patience

    def restore(self, one: ConversionSet) -> None:
        """Foreign keys are validated, then the new tables go, and what was made for the way back."""
        found = tables.read_tables(self.connection, self.run.run_id)
        members = [table.spec for table in found if table.set_no == one.set_no]
        keys = [key for key in one.foreign_keys if key["validated"]]
        for key in keys:
            self._validate(key)
        tables.move_set(self.connection, one, TableState.RESTORED)
        self._drop_new(members)
        with self.connection.transaction():
            for spec in members:
                remove_capture(self.connection, spec)
                drop_quarantine(self.connection, spec)
                quarantines.remove(self.connection, spec)
                self.connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(was_table(spec)))
            name = map_table(self.run.run_id, one.set_no)
            self.connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))

    def _validate(self, key: foreign_keys.ForeignKeyDocument) -> None:
        options = self.run.plan.options

        def validate() -> None:
            with self.connection.transaction():
                apply_settings(self.connection, {"lock_timeout": f"{options.lock_timeout_ms}ms"}, local=True)
                for each in foreign_keys.to_validate(self.connection, key):
                    self.connection.execute(
                        sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                            sql.Identifier(each["schema"], each["table"]), sql.Identifier(each["name"])
                        )
                    )
                foreign_keys.join_leaves(self.connection, key)

        try:
            self.patience.until_granted(
                validate, what=f"{key['schema']}.{key['table_name']}", command="replank rollback"
            )
        except errors.ForeignKeyViolation as error:
            raise NeedsPerson(
                f"The past tables are live, but foreign key {key['name']} of {key['schema']}.{key['table_name']} "
                f"does not hold: {error.diag.message_detail}. Correct it, then `replank rollback` again: it goes on."
            ) from None

    def _drop_new(self, members: Sequence[TableSpec]) -> None:
        limit = self.run.plan.options.lock_timeout_ms
        aside = put_aside(self.connection, [(spec.undone_schema, spec.name) for spec in members])

        def drop(relation: Relation) -> None:
            drop_table(self.connection, relation, lock_timeout_ms=limit)

        if aside:
            self.patience.until_granted(
                lambda: drop_hanging(self.connection, aside, prefix=UNDONE, lock_timeout_ms=limit),
                what="a new table that was put aside",
                command="replank rollback",
            )
        for relation in aside:
            self.patience.until_granted(
                lambda each=relation: drop(each),  # type: ignore[misc]
                what=relation.full_name,
                command="replank rollback",
            )
        for spec in (s for s in members if any(c.on_update for c in s.columns)):
            function = sql.Identifier(spec.undone_schema, function_name(spec))
            self.connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(function))
