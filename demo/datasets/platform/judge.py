"""Whether the platform is as its plan wanted it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from demo.datasets.data_set import Migration

_LEFT = """
SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE k.contype = 'f' AND NOT k.convalidated AND n.nspname !~ '^replank'
UNION ALL
SELECT format('%I.%I', c.relname, a.attname) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND a.attname IN ('id', 'uuid', 'tenant_id', 'user_id', 'content_id') AND NOT a.attisdropped
   AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
"""
"""Foreign keys that are not valid, and columns of ids that are still texts."""

_AUDITED = """
SELECT s.style, count(a.*) FROM unnest(ARRAY['old', 'new']) AS s (style)
  LEFT JOIN audit.audit_log AS a ON a.actor LIKE s.style || '.%' AND a.request_id IS NOT NULL
 GROUP BY s.style
"""
"""What the audit log knows of each style's clients by their own names."""


def judge(url: str, migration: Migration, criteria: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """By the catalogue: no id is a text, no key is unproved; by the audit log: it knows who wrote; by the report: uuid
    fields everywhere, nothing lost."""
    with psycopg.connect(url, autocommit=True) as connection:
        left = [name for (name,) in connection.execute(_LEFT.encode()).fetchall()]
        audited: dict[str, int] = dict(connection.execute(_AUDITED.encode()).fetchall())
    proved = [one["met"] is True for one in criteria[:2]]
    entries = ", ".join(f"{number:,} of {style} clients" for style, number in sorted(audited.items(), reverse=True))
    words = (
        f"{migration.tables} tables rebuilt and compared row by row; audit entries: {entries}; "
        f"not as planned: {', '.join(left) or 'nothing'}"
    )
    return not left and all(proved) and all(audited.values()), words
