"""What tables and columns are called in the database at one time: a migration may give them other names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg.sql import Identifier

from demo.clients.tables import Table


@dataclass(frozen=True, kw_only=True)
class Names:
    """tables: the application's name -> the database's; columns: the same by (table, column). Others are as written."""

    tables: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def relation(self, table: Table) -> Identifier:
        return Identifier(table.schema, self.tables.get(table.name, table.name))

    def column(self, table: Table, column: str) -> Identifier:
        return Identifier(self.columns.get((table.name, column), column))


AS_WRITTEN = Names()
