"""Texts that become uuids, and arrays of such."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composable

from sql.session.table_names import server_text
from sql.values.conversions.base import Conversion
from sql.values.uuid_texts import is_valid


@dataclass(frozen=True, kw_only=True)
class ToUuid(Conversion):
    """One cast through text, which first strips char(n)'s padding."""

    def forward(self, live: Composable) -> Composable:
        return SQL("{}::pg_catalog.text::{}").format(live, server_text(self.column.next_type))

    def convertible(self, live: Composable) -> Composable:
        return is_valid(live, self.version, array=self.column.array)

    def backward_text(self, new: Composable) -> Composable:
        return SQL("{}::pg_catalog.text").format(new)

    def differs(self, live: Composable) -> Composable:
        written = self.backward_text(self.forward(live))
        return SQL('{}::pg_catalog.text COLLATE "C" <> {}').format(live, written)

    @property
    def bad(self) -> str:
        return "not a uuid"
