"""Step 06: what the schema file becomes, as a diff to read and a text to write."""

from __future__ import annotations

import socket
from pathlib import Path

from producer.prisma.changes.planned_changes import planned_changes
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.schema.reader import read_schema
from producer.prisma.schema.schema_file import beside, diff_names, read_text
from replank.errors import WrongUse
from replank.plan.plan import Plan
from sql.scripts.file_change import FileChange, sha256, unified
from sql.session.connection import Connection


def schema_change(connection: Connection, plan: Plan, folder: Path) -> tuple[FileChange, FileChange] | None:
    """The new schema file, and its rollback; None where the plan names none, or nothing of it changes.

    `folder` is that of the plan. Raises WrongUse where the file cannot be read, or the new one's place is taken.
    """
    if plan.prisma is None:
        return None
    asked = plan.prisma
    origin = (folder / asked.schema_file).absolute()
    text = read_text(origin)
    changes = planned_changes(connection, plan, read_schema(text), asked.schema_name)
    after = rewrite(text, changes, ordered=asked.order_fields, default_schema=asked.schema_name)
    if after == text:
        return None
    path = origin if asked.write else beside(origin)
    if path != origin and path.exists() and read_text(path) != after:
        raise WrongUse(f"{path} exists already, and step 06 would write it. Move it away")
    before, host = (text if asked.write else None), socket.gethostname()
    forward = FileChange(
        host=host,
        path=str(path),
        before=before,
        after=after,
        diff=unified(text, after, *diff_names(origin, folder)),
        origin=str(origin),
        origin_sha256=sha256(text),
    )
    shown = unified(after, text, *diff_names(origin, folder))
    return forward, FileChange(host=host, path=str(path), before=after, after=before, diff=shown)
