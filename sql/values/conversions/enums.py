"""Texts that become values of an enum: each is its value's name, or the plan maps it to one."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import Composable

from sql.values.conversions.base import Conversion
from sql.values.enum_texts import as_enum, enum_text, is_enum_text, label, not_spelled_so, texts_of


@dataclass(frozen=True, kw_only=True)
class ToEnum(Conversion):
    """The plan has all texts, so no map is needed for the way back."""

    def forward(self, live: Composable) -> Composable:
        return as_enum(self.column, live)

    def convertible(self, live: Composable) -> Composable:
        return is_enum_text(self.column, live)

    def backward_text(self, new: Composable) -> Composable:
        return enum_text(self.column, new)

    def differs(self, live: Composable) -> Composable:
        return not_spelled_so(self.column, live)

    def candidates(self, new: Composable) -> Composable:
        return texts_of(self.column, new)

    def comparable(self, live: Composable) -> Composable:
        return label(self.column, live)
