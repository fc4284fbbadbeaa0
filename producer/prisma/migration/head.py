"""What people should know of the migration script: its first lines."""

from __future__ import annotations

from replank.plan.plan import Plan

HEAD = """\
-- Written by `replank prisma`: what its plan changed, as one offline migration.
-- The live database was migrated by Replank and has this recorded as applied (see baseline.sql): it never runs there.
"""
CACHE = "-- Schema {} is the cache of permissions (step 04), which applications ask. Prisma does not look there.\n"
AUDIT = "-- Schema {} (step 03) is left out: no model stands for its tables, and a copy works without them.\n"


def head_of(plan: Plan) -> str:
    cache, audit = plan.steps.permission_cache, plan.steps.audit_log
    said = [CACHE.format(_on_one_line(cache.table_schema))] if cache is not None else []
    said += [AUDIT.format(_on_one_line(audit.table_schema))] if audit is not None else []
    return HEAD + "".join(said)


def _on_one_line(schema: str) -> str:
    return " ".join(schema.splitlines())
