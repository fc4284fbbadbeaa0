"""Whether the casts that the plan's `text_casts` asks for can be made, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun


def audit_text_casts(audited: PreparedRun) -> Iterator[Finding]:
    """Only a superuser makes casts between the server's own types, and they hold for the whole database."""
    if not audited.file.plan.options.text_casts:
        return
    if not audited.server.superuser:
        yield blocker(
            "text_casts_not_allowed",
            f"text_casts needs a superuser, and role {audited.server.role} is none: only the owner of one of its "
            "types can create a cast",
            hint="Connect as a superuser, or remove text_casts and let clients send ids without a type or as uuid.",
        )
        return
    yield warning(
        "text_casts",
        "from the cutover on, text is cast to uuid wherever the two are compared, in the whole database; a text "
        "that is not a uuid then fails instead of matching nothing",
        hint="Let clients send ids without a type or as uuid, and finish the run soon: `replank finish` drops the "
        "casts.",
    )
