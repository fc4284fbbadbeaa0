"""After the tables are swapped back: foreign keys are validated, and only then the new tables are dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import errors
from psycopg.sql import SQL, Identifier

from producer.waiting.lock_retries import LockRetries
from replank.errors import NeedsOperator
from replank.values.states import TableState
from replank.values.table_spec import Relation, TableSpec
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, quarantines, tables
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.next_table import foreign_keys
from sql.next_table.on_update_trigger import function_name
from sql.quarantine.quarantined_rows import drop_quarantine
from sql.rollback.original_texts import original_texts_table
from sql.rollback.table_pair import was_table
from sql.rows.reverse_capture import remove_capture
from sql.session.connection import Connection, apply_settings
from sql.session.statements import execute
from sql.swap.drop_retained import drop_hanging, drop_table, read_retained
from sql.swap.moved_dependents import ROLLED_BACK


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """The last part of one rollback; each step may be done twice."""

    connection: Connection
    run: Run
    lock_retries: LockRetries

    def restore(self, one: ConversionSet) -> None:
        """Foreign keys are validated, then the new tables and reverse capture are dropped."""
        found = tables.read_tables(self.connection, self.run.run_id)
        members = [table.spec for table in found if table.set_no == one.set_no]
        keys = [key for key in one.foreign_keys if key["validated"]]
        for key in keys:
            self._validate(key)
        conversion_sets.move_set(self.connection, one, TableState.RESTORED)
        self._drop_new(members)
        with self.connection.transaction():
            for spec in members:
                execute(self.connection, remove_capture(spec))
                drop_quarantine(self.connection, spec)
                quarantines.remove(self.connection, spec)
                self.connection.execute(SQL("DROP TABLE IF EXISTS {}").format(was_table(spec)))
            name = original_texts_table(self.run.run_id, one.set_no)
            self.connection.execute(SQL("DROP TABLE IF EXISTS {}").format(name))

    def _validate(self, key: foreign_keys.ForeignKeyDocument) -> None:
        options = self.run.plan.options

        def validate() -> None:
            with self.connection.transaction():
                apply_settings(self.connection, {"lock_timeout": f"{options.lock_timeout_ms}ms"}, local=True)
                for each in foreign_keys.to_validate(self.connection, key):
                    self.connection.execute(
                        SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                            Identifier(each["schema"], each["table"]), Identifier(each["name"])
                        )
                    )
                foreign_keys.join_leaves(self.connection, key)

        try:
            self.lock_retries.until_granted(
                validate, what=f"{key['schema']}.{key['table_name']}", command="replank rollback"
            )
        except errors.ForeignKeyViolation as error:
            raise NeedsOperator(
                f"The past tables are live, but foreign key {key['name']} of {key['schema']}.{key['table_name']} "
                f"is violated: {error.diag.message_detail}. Correct the rows, then `replank rollback` again "
                "to continue."
            ) from None

    def _drop_new(self, members: Sequence[TableSpec]) -> None:
        limit = self.run.plan.options.lock_timeout_ms
        new_tables = read_retained(self.connection, [(spec.rolled_back_schema, spec.name) for spec in members])

        def drop(relation: Relation) -> None:
            drop_table(self.connection, relation, lock_timeout_ms=limit)

        if new_tables:
            self.lock_retries.until_granted(
                lambda: drop_hanging(self.connection, new_tables, prefix=ROLLED_BACK, lock_timeout_ms=limit),
                what="a table in a replank_rolled_back schema",
                command="replank rollback",
            )
        for relation in new_tables:
            self.lock_retries.until_granted(
                lambda each=relation: drop(each),  # type: ignore[misc]
                what=relation.full_name,
                command="replank rollback",
            )
        for spec in (s for s in members if any(c.on_update for c in s.columns)):
            function = Identifier(spec.rolled_back_schema, function_name(spec))
            self.connection.execute(SQL("DROP FUNCTION IF EXISTS {}()").format(function))
