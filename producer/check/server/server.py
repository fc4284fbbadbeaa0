"""What the server says against the run: version, rights, room on the disk, and sessions in the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from producer.check.findings import Finding, blocker, warning
from producer.check.server.disk import audit_disk
from producer.planning.prepared_run import PreparedRun
from replank.wording import seconds as duration
from sql.catalogue.catalogue import Server
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query

OLDEST_VERSION = 150_000
NEWEST_MAJOR = 18
LONG_TRANSACTION_S = 60.0
SLOT_BYTES = 1 << 30
"""A slot that is read holds back some WAL by nature; from 1 GiB on it is reported."""


def audit_server(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """All of it; cheap."""
    state = row(connection, query("audit.server_state"))
    assert state is not None
    found = [*_version(audited.server), *_rights(connection, audited)]
    found += audit_disk(connection, audited, max_wal_bytes=state["max_wal_bytes"])
    if state["in_recovery"]:
        found.append(
            blocker("standby", "this server is a standby and accepts no writes", hint="Use the primary server's URL.")
        )
    else:
        found += _slots(connection)
    return [*found, *_in_the_way(connection, audited)]


def _version(server: Server) -> Iterator[Finding]:
    said = f"the server's version is {server.version // 10_000}.{server.version % 10_000}"
    if server.version < OLDEST_VERSION:
        yield blocker("server_version", f"{said}; 15 to 18 are supported", hint="Upgrade the server first.")
    elif server.version // 10_000 > NEWEST_MAJOR:
        yield warning(
            "server_version",
            f"{said}; this version of Replank is tested on 15 to 18",
            hint="Test the plan on a copy of the database first.",
        )


def _rights(connection: Connection, audited: PreparedRun) -> Iterator[Finding]:
    role = audited.server.role
    if not audited.server.may_create:
        yield blocker(
            "no_privilege",
            f"role {role} cannot create schemas in this database",
            hint=f"GRANT CREATE ON DATABASE … TO {role}, or connect as the database's owner.",
        )
    ends = {oid for key in audited.foreign_keys for oid in (key.table_oid, key.ref_oid)}
    children = {key.table_oid for key in audited.foreign_keys}
    for table in rows(connection, query("audit.rights"), {"oids": sorted(ends | set(audited.relation_oids))}):
        name = f"{table['schema']}.{table['name']}"
        planned = audited.has(table["oid"])
        if (planned or table["oid"] in children) and not (table["owned"] and table["may_give"]):
            yield _not_owned(
                name, role, table, "" if planned else "; its foreign key to a planned table is created again"
            )
        if planned and not table["may_create"]:
            yield _no_right(
                name, role, "is in a schema in which the role cannot create objects", "GRANT CREATE ON SCHEMA"
            )
        if planned and not table["may_read"]:
            yield _no_right(name, role, "cannot be read: its values were not checked", "GRANT SELECT")
        if planned and table["filtered"]:
            yield blocker(
                "row_security_forced",
                f"row-level security applies to role {role}: it would copy only the rows that policies allow, so no "
                "row was checked",
                hint=f"As a superuser run ALTER ROLE {role} BYPASSRLS; or, for the run, ALTER TABLE {name} NO FORCE "
                "ROW LEVEL SECURITY where the role owns the table.",
                table=name,
            )
        if not planned and table["oid"] not in children and not (table["may_reference"] and table["may_lock"]):
            yield _no_right(
                name,
                role,
                "is referenced by a planned table, and the role cannot lock and reference it",
                "GRANT REFERENCES, UPDATE",
            )


def _not_owned(name: str, role: str, table: Mapping[str, Any], why: str) -> Finding:
    """What is built beside it has to become its owner's: the role is a member that inherits, and may become it."""
    grant = f"GRANT {table['owner']} TO {role}"
    if not table["member"]:
        return _no_right(name, role, f"is not owned by {role}{why}", grant)
    lacking = "SET ROLE to it (SET FALSE)" if table["owned"] else "use its rights (NOINHERIT)"
    problem = f"is owned by {table['owner']}, and {role} is a member of it but cannot {lacking}{why}"
    return _no_right(name, role, problem, f"{grant} WITH INHERIT TRUE, SET TRUE (before 16: ALTER ROLE {role} INHERIT)")


def _no_right(table: str, role: str, problem: str, grant: str) -> Finding:
    return blocker(
        "no_privilege",
        f"{table} {problem} (role {role})",
        hint=f"{grant}, or connect as the owner of the tables.",
        table=table,
    )


def _slots(connection: Connection) -> Iterator[Finding]:
    for slot in rows(connection, query("audit.slots")):
        if slot["active"] and slot["retained_bytes"] < SLOT_BYTES:
            continue
        reading = "read" if slot["active"] else "not in use"
        yield warning(
            "slot_retains_wal",
            f"replication slot {slot['name']} is {reading} and holds back {slot['retained_bytes']:,} bytes of WAL; "
            "what the run writes is kept too",
            hint="Let its consumer catch up, or drop the slot.",
            slot=slot["name"],
            retained_bytes=slot["retained_bytes"],
        )


def _in_the_way(connection: Connection, audited: PreparedRun) -> Iterator[Finding]:
    if not (audited.server.superuser or audited.server.reads_all_stats):
        yield warning(
            "activity_hidden",
            f"role {audited.server.role} cannot see the transactions of other roles: a swap waits for their "
            "snapshots and locks, and can report only their process ids",
            hint=f"GRANT pg_read_all_stats TO {audited.server.role}, so that long transactions are reported here and "
            "at the swap.",
        )
    for found in rows(connection, query("audit.long_transactions"), {"seconds": LONG_TRANSACTION_S}):
        yield warning(
            "long_transaction",
            f"pid {found['pid']} ({found['application'] or 'no name'}, role {found['role']}, {found['state']}) has had "
            f"a transaction open for {duration(found['seconds'])}",
            hint="Capture and cutover wait for it if it has used a planned table. Let it end before the run.",
            pid=found["pid"],
            application=found["application"],
            seconds=found["seconds"],
        )
    for found in rows(connection, query("audit.prepared_transactions")):
        yield warning(
            "prepared_transaction",
            f"prepared transaction {found['gid']} of {found['owner']} is {duration(found['seconds'])} old; it holds "
            "its locks until it ends",
            hint="Run COMMIT PREPARED or ROLLBACK PREPARED.",
            gid=found["gid"],
            seconds=found["seconds"],
        )
    names = {subject.live.name: subject.name for subject in audited.subjects}
    for found in rows(connection, query("cutover.vacuums"), {"oids": audited.relation_oids}):
        if found["wraparound"]:
            yield warning(
                "wraparound_vacuum",
                f"a vacuum to prevent wraparound is running (pid {found['pid']}); it does not give up its lock for "
                "others",
                hint="Let it end before the run.",
                table=names.get(found["table"], found["table"]),
                pid=found["pid"],
            )
