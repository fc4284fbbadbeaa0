"""What a plan says of names: which tables and columns are called otherwise, by which rule, and who keeps the old names.

What a name becomes is a matter of names alone: the same before the renaming and after it, with or without a database.
"""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from replank.plan.steps.snake_case import snake_case
from replank.plan.text.plan_words import Name, Strict, TableName, split_name


class RenamePlan(Strict):
    """A table whose names the plan itself says. `to` may be its present name; `columns` maps old names to new ones.

    `view` overrides whether a view under the old names is left.
    """

    table: TableName
    to: Name | None = None
    columns: dict[Name, Name] = Field(default_factory=dict)
    view: bool | None = None


class MappingsPlan(Strict):
    """Step 07: names in the database. `tables` are those that get snake_case names, None: all.

    `views` leaves a view under the old names for each renamed table; `finish` drops it, unless `keep_views`.
    `reviewed` are trigger functions that name a renamed column and were made to work with both names.
    """

    tables: tuple[TableName, ...] | None = None
    snake_case: bool = True
    rename: tuple[RenamePlan, ...] = ()
    views: bool = True
    keep_views: bool = False
    reviewed: tuple[TableName, ...] = ()

    @field_validator("rename")
    @classmethod
    def _no_table_twice(cls, rename: tuple[RenamePlan, ...]) -> tuple[RenamePlan, ...]:
        names = [split_name(one.table) for one in rename]
        if len(set(names)) < len(names):
            raise ValueError("a table is renamed twice")
        return rename

    @model_validator(mode="after")
    def _says_something(self) -> MappingsPlan:
        if not self.snake_case and not self.rename:
            raise ValueError("nothing to do: set snake_case = true, or list what is renamed")
        return self

    def renaming(self, schema: str, table: str) -> RenamePlan | None:
        """What the plan itself says of a table, by its old name."""
        return next((one for one in self.rename if split_name(one.table) == (schema, table)), None)

    def table_to(self, schema: str, table: str) -> str:
        """What a table is called afterwards."""
        said = self.renaming(schema, table)
        if said is not None and said.to is not None:
            return said.to
        return snake_case(table) if self._by_rule(schema, table) else table

    def column_to(self, schema: str, table: str, column: str) -> str:
        """What a column of a table is called afterwards; the table by its old name."""
        said = self.renaming(schema, table)
        if said is not None and column in said.columns:
            return said.columns[column]
        # A view under the old names needs a name of its own: where the table keeps its name, its columns keep theirs.
        stays = self.table_to(schema, table) == table and self.wants_view(schema, table)
        return snake_case(column) if self._by_rule(schema, table) and not stays else column

    def wants_view(self, schema: str, table: str) -> bool:
        said = self.renaming(schema, table)
        return self.views if said is None or said.view is None else said.view

    def _by_rule(self, schema: str, table: str) -> bool:
        """Prisma's own tables begin with an underscore, and nothing in its schema file can give them other names."""
        if not self.snake_case or (table.startswith("_") and self.renaming(schema, table) is None):
            return False
        if any((schema, table) == (split_name(one.table)[0], one.to) for one in self.rename):
            # It has the name that the plan has given it.
            return False
        return self.tables is None or (schema, table) in {split_name(name) for name in self.tables}
