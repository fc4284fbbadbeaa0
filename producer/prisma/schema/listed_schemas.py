"""Schemas of tables that no model is made of, as the file's datasource may name them all the same."""

from __future__ import annotations

from collections.abc import Iterable

from producer.prisma.schema.document import Document


def listed_schemas(document: Document, own: Iterable[str]) -> list[str]:
    """Those of the schemas that the file's datasource names."""
    said = " ".join(line for block in document.of_kind("datasource") for m in block.members for line in m.lines)
    return [schema for schema in own if f'"{schema}"' in said]
