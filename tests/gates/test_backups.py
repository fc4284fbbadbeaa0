"""A backup counts only if it is whole, of this database, and not too old, whatever its files' names and times say."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from gates.conftest import SHOP, planned
from producer.gates import checking_gates
from producer.gates.backups import newest_backup, read_backup
from producer.gates.making_backups import make_backup
from producer.gates.programs import FOLDER_VARIABLE, program_for, run_program
from producer.gates.verifying_backups import verify, write_sums
from replank.errors import NeedsOperator
from sql.catalogue.backup_contents import Place, read_place
from sql.ledger.runs.gates import Gate
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import Connection, connect

pytestmark = pytest.mark.protocol

Damage = Callable[[Path, random.Random], None]

BACKUP = {"not_asked": ["rehearsed", "rollback_scripts", "monitoring", "window"], "attestations": []}


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as connection:
        ensure_ledger(connection)
        yield connection


@pytest.fixture
def place(connection: Connection) -> Place:
    return read_place(connection)


def gate(connection: Connection, url: str, **backup: str) -> Gate:
    (found,) = checking_gates.check_gates(connection, planned(url, gates={**BACKUP, "backup": backup}).plan)
    return found


@pytest.fixture(scope="module")
def base(postgres: EmbeddedPostgres, shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A base backup of the server, and a database that it holds."""
    folder = tmp_path_factory.mktemp("base")
    url = postgres.create_database("gates_base", template=shop)
    with connect(url, name="test") as connection:
        ensure_ledger(connection)
        made = make_backup(connection, url, planned(url).plan.digest(), out=folder, method="base", by="test")
    yield url, made.path
    postgres.drop_database("gates_base")


def dumped(url: str, place: Place, target: Path, *options: str) -> Path:
    """A dump that somebody else made."""
    done = run_program(program_for("pg_dump", place.major), *options, "--file", target, url=url)
    assert done.good, done.errors
    return target


def test_a_base_backup_is_verified_and_counts(base: tuple[str, Path]) -> None:
    url, path = base
    with connect(url, name="test") as connection:
        found = gate(connection, url)
        assert (found.state, found.evidence["path"], found.evidence["kind"]) == ("passed", str(path), "base")
        # A folder in which backups lie will do as well.
        assert gate(connection, url, path=str(path.parent)).state == "passed"
        connection.execute("UPDATE replank.gate_record SET at = at - interval '7 hours' WHERE kind = 'verified'")
        assert gate(connection, url).state == "passed"
        assert len(connection.execute("SELECT FROM replank.gate_record WHERE kind = 'verified'").fetchall()) == 2


def flip(file: Path, random_source: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[random_source.choice(_used(file, len(content)))] ^= 1 << random_source.randrange(8)
    file.write_bytes(content)


def _used(file: Path, length: int) -> range:
    """Of WAL, what a restore reads: before and behind that, nobody can know what there should be."""
    if "pg_wal" not in file.parts:
        return range(length)
    (used,) = json.loads((file.parents[1] / "backup_manifest").read_text())["WAL-Ranges"]
    start = int(used["Start-LSN"].partition("/")[2], 16) % length
    # The first record's transaction id, which its checksum covers; between records there is padding.
    return range(start + 4, start + 8)


def cut(file: Path, _random_source: random.Random) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path, _random_source: random.Random) -> None:
    os.truncate(file, 0)


def remove(file: Path, _random_source: random.Random) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [flip, cut, pytest.param(remove, marks=pytest.mark.slow)])
@pytest.mark.parametrize("where", ["base/*/*", "pg_wal/0*", "global/pg_control", "backup_manifest"])
def test_damage_to_a_base_backup_is_found(damage: Damage, where: str, base: tuple[str, Path]) -> None:
    url, path = base
    # The largest; of WAL files, which are all as large, the first, in which the backup's WAL begins.
    file = max(sorted(path.glob(where)), key=lambda each: each.stat().st_size)
    whole = file.read_bytes()
    damage(file, random.Random(where))
    try:
        with connect(url, name="test") as connection:
            found = gate(connection, url)
    finally:
        file.write_bytes(whole)
    assert found.state == "open", found
    assert str(path) in found.reason


def test_a_copy_of_an_old_backup_is_old(base: tuple[str, Path], tmp_path: Path) -> None:
    url, path = base
    copy = tmp_path / "fresh"
    copy.mkdir()
    for name in ("PG_VERSION", "global", "backup_manifest"):
        (shutil.copytree if (path / name).is_dir() else shutil.copy)(path / name, copy / name)
    manifest = (copy / "backup_manifest").read_text()
    (copy / "backup_manifest").write_text(re.sub(r"20\d\d-(\d\d-\d\d [\d:]+ GMT)", r"2001-\1", manifest))
    with connect(url, name="test") as connection:
        assert "old; the plan allows 24 hours" in gate(connection, url, path=str(copy)).reason
        (copy / "backup_manifest").write_text(re.sub(r"20\d\d-(\d\d-\d\d [\d:]+ GMT)", r"2091-\1", manifest))
        assert "in the future" in gate(connection, url, path=str(copy)).reason


def test_backups_of_others_do_not_count(base: tuple[str, Path], place: Place) -> None:
    _, path = base
    with pytest.raises(NeedsOperator, match="another server: its system identifier is"):
        read_backup(path, replace(place, system_identifier="7"))
    with pytest.raises(NeedsOperator, match="before database gates_"):
        read_backup(path, replace(place, database_oid=999_999))


@pytest.mark.parametrize("kind", ["custom", "directory"])
def test_damage_to_a_dump_is_found(kind: str, database: str, place: Place, tmp_path: Path) -> None:
    path = dumped(database, place, tmp_path / "shop.dump", "--format", kind)
    backup = read_backup(path, place)
    with pytest.raises(NeedsOperator, match=r"has no checksum file.*into shop\.dump\.sha256"):
        verify(backup, place)
    write_sums(backup)
    assert "SHA-256" in verify(backup, place)
    random_source = random.Random(1)
    data = max(backup.files, key=lambda each: each.stat().st_size)
    whole = data.read_bytes()
    for damage in (flip, flip, flip, cut, empty, remove):
        damage(data, random_source)
        with pytest.raises(NeedsOperator, match=r"damaged|cannot read|does not exist|neither"):
            verify(newest_backup(path, place), place)
        data.write_bytes(whole)


@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_checksums_of_a_dump_that_was_damaged_before_prove_nothing(
    damage: Damage, database: str, place: Place, tmp_path: Path
) -> None:
    backup = read_backup(dumped(database, place, tmp_path / "shop.dump", "--format", "directory"), place)
    damage(max(backup.files, key=lambda each: each.stat().st_size), random.Random(1))
    write_sums(backup)
    with pytest.raises(NeedsOperator, match="is damaged"):
        verify(backup, place)


def test_the_tools_own_dump_has_checksums(connection: Connection, database: str, place: Place, tmp_path: Path) -> None:
    plan = planned(database).plan
    made = make_backup(connection, database, plan.digest(), out=tmp_path / "new", method="dump", by="ann")
    assert gate(connection, database).state == "passed"
    assert "SHA-256" in verify(made, place)
    # A byte of the list of contents is under no other checksum.
    content = bytearray((made.path / "toc.dat").read_bytes())
    content[content.index(b"repeat") if b"repeat" in content else content.index(b"customer")] ^= 1
    (made.path / "toc.dat").write_bytes(content)
    assert "does not have the checksum" in gate(connection, database).reason


def test_dumps_of_other_databases_and_parts_do_not_count(
    postgres: EmbeddedPostgres, connection: Connection, database: str, place: Place, tmp_path: Path
) -> None:
    with pytest.raises(NeedsOperator, match="of database gates_shop, not of"):
        read_backup(dumped(postgres.url("gates_shop"), place, tmp_path / "a", "-Fc"), place)
    with pytest.raises(NeedsOperator, match="of another database, or has no rows"):
        read_backup(dumped(database, place, tmp_path / "b", "-Fc", "--schema-only"), place)
    with pytest.raises(NeedsOperator, match=r"lacks the rows of public\.orders"):
        read_backup(dumped(database, place, tmp_path / "c", "-Fc", "--table", "customer"), place)
    # The same names and rows, and the same name of the database; still it is another one.
    dump = dumped(database, place, tmp_path / "d", "-Fc")
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("DROP VIEW open_orders; DROP TABLE orders, customer")
        app.execute(SHOP)
    with pytest.raises(NeedsOperator, match="of another database"):
        read_backup(dump, read_place(connection))


def test_programs_that_are_too_old_are_named(
    connection: Connection, database: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dumped(database, place, tmp_path / "shop.dump", "--format", "custom")
    programs = tmp_path / "old"
    programs.mkdir()
    (programs / "pg_restore").write_text("#!/bin/sh\necho 'pg_restore (PostgreSQL) 14.1'\n")
    (programs / "pg_restore").chmod(0o755)
    monkeypatch.setenv(FOLDER_VARIABLE, str(programs))
    reason = gate(connection, database, path=str(path)).reason
    assert f"pg_restore of PostgreSQL {place.major} or newer is needed; found: 14 in {programs}" in reason


def test_what_is_no_backup_is_said(connection: Connection, database: str, tmp_path: Path) -> None:
    assert "none was made" in gate(connection, database).reason
    assert "does not exist" in gate(connection, database, path=str(tmp_path / "nothing")).reason
    (tmp_path / "notes.txt").write_text("PostgreSQL")
    assert "neither a base backup nor a dump" in gate(connection, database, path=str(tmp_path)).reason
    (tmp_path / "backup_manifest").write_text("{}")
    assert "tar format" in gate(connection, database, path=str(tmp_path)).reason
