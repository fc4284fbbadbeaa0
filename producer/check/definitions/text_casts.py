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
            f"the plan's text_casts need a superuser, and role {audited.server.role} is none: a cast is made by the "
            "owner of one of its types",
            hint="Run as a superuser, or leave text_casts out and let clients send ids untyped or as uuid.",
        )
        return
    yield warning(
        "text_casts",
        "from the cutover on every text is read as a uuid wherever one is compared with a uuid, in the whole database; "
        "a text that is none then fails instead of not being found",
        hint="Let clients send ids untyped or as uuid, and finish the run soon: the casts go with it.",
    )
