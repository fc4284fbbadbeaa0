"""`replank explain JOB`."""

from __future__ import annotations

from typing import Annotated

import typer

from monitoring.failures.explain import Explanation, explain_job, newest_run
from monitoring.terminal.output import people, print_json
from replank.cli.options import AsJson, DatabaseUrl
from replank.settings import load_settings
from sql.session.connection import connect


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    job: Annotated[int, typer.Argument(metavar="JOB", help="A job's id, as `replank failures` shows it.")],
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """A job's bounds, its SQL as a worker would send it, the server's plan (never executed), and its history.

    Example: replank explain 1041
    """
    settings = load_settings(database_url=database_url)
    with connect(settings.database(), name="explain") as connection:
        found = explain_job(connection, newest_run(connection), job)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)


def _show(found: Explanation) -> None:
    job = found.job
    lines = [f"job {job.job_id}: {job.kind} {job.name} {job.chunk or ''}".rstrip(), f"  {job.state}, step {job.step}"]
    if job.parent is not None:
        lines.append(f"  a half of job {job.parent}")
    if found.halves:
        lines.append(f"  its halves: {', '.join(map(str, found.halves))}")
    if job.message:
        lines.append(f"  {job.error_class} {job.sqlstate}: {job.message}")
    if found.next_step:
        lines.append(f"  next: {found.next_step}")
    lines.append("attempts that failed or ended early:" if found.attempts else "no attempt has failed so far")
    for each in found.attempts:
        free = "" if each.counts else ", not counted"
        lines.append(
            f"  job {each.job_id}, attempt {each.attempt}, {each.ended:%Y-%m-%d %H:%M:%S} UTC, {each.worker}: "
            f"{each.outcome}{free}: {each.error_class} {each.sqlstate}: {each.message}"
        )
    lines += [f"the log of the local workers on {log.host}: {log.file}" for log in found.worker_logs]
    lines += ["its SQL:", *(f"  {statement}" for statement in found.statements)] if found.statements else []
    lines += ["its plan (not executed):", *(f"  {line}" for line in found.plan)] if found.plan else []
    if found.why_no_plan:
        lines.append(f"no plan: {found.why_no_plan}")
    console = people()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
