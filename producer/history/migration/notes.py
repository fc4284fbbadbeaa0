"""What people should know of the migration's statements: comments for its first lines."""

from __future__ import annotations

import hashlib

from replank.plan.plan import Plan

CACHE = "Schema {} is the cache of permissions (step 04), which applications ask. {}"
AUDIT = "Schema {} (step 03) is left out: no model stands for its tables, and a copy works without them."


def mark_of(plan: Plan) -> str:
    """By what a history knows the migration of a plan: the same for the same plan."""
    return f"replank {hashlib.sha256(plan.model_dump_json().encode()).hexdigest()[:8]}"


def notes_of(plan: Plan, of_cache: str) -> list[str]:
    """Each on one line. `of_cache` is what the tool makes of the cache's schema."""
    cache, audit = plan.steps.permission_cache, plan.steps.audit_log
    said = [CACHE.format(_on_one_line(cache.table_schema), of_cache)] if cache is not None else []
    said += [AUDIT.format(_on_one_line(audit.table_schema))] if audit is not None else []
    return said


def _on_one_line(schema: str) -> str:
    return " ".join(schema.splitlines())
