"""Models are imported in a process without our secrets, and their source is patched where a type is a literal."""

import os
from pathlib import Path

import pytest

from producer.alembic.models.differences import differences
from producer.alembic.models.models import read_models
from producer.alembic.models.patch import make_patch
from producer.alembic.models.source import sources
from producer.history.changes.changes import ToUuid
from producer.history.foreign_code import Interpreter
from replank.errors import WrongUse

pytestmark = pytest.mark.alembic

SOURCE = """\
from __future__ import annotations
from sqlalchemy import (
    Column,  # of a table
    ForeignKey, String, MetaData)
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column, declared_attr
import sqlalchemy.types as T

print("what an application prints")

class Base(DeclarativeBase):
    metadata = MetaData()

class Both:
    owner: Mapped[str] = mapped_column(String( 36 ), nullable=False)

class Made:
    @declared_attr
    def other(cls): return mapped_column(String(36))

class A(Both, Made, Base):
    __tablename__ = "a"
    id = Column(T.VARCHAR, primary_key=True)  # kept
    late = deferred(Column("late_id", String(36)))

class B(Both, Base):
    __tablename__ = "b"
    id: Mapped[str] = mapped_column(type_=String(36), primary_key=True)
    a = Column(ForeignKey("a.id"))
"""


def _patched(folder: Path, *columns: tuple[str, str], as_uuid: bool = False) -> tuple[str, dict[tuple[str, str], bool]]:
    file = folder / "shop.py"
    file.write_text(SOURCE)
    models = read_models("shop:Base", Interpreter(folder=folder))
    changes = [ToUuid(table=("public", table), column=column) for table, column in columns]
    found = differences(models, changes, "public", as_uuid=as_uuid)
    patch = make_patch(models, found, sources(models.sources()), "public")
    text = dict(patch.files).get(str(file), ("", SOURCE))[1]
    return text, {(one.table, one.column): one.patched for one in patch.changes}


def test_only_types_change_and_comments_and_spaces_stay(tmp_path: Path) -> None:
    text, patched = _patched(tmp_path, ("a", "id"), ("a", "late_id"), ("b", "id"), ("b", "a"), ("a", "other"))
    assert "    id = Column(T.Uuid(as_uuid=False), primary_key=True)  # kept\n" in text
    assert '    late = deferred(Column("late_id", Uuid(as_uuid=False)))\n' in text
    assert "mapped_column(type_=Uuid(as_uuid=False), primary_key=True)" in text
    assert "Column,  # of a table\n" in text
    assert "String( 36 )" in text
    # The one that follows its foreign key needs no change; one that a function makes is for a person
    names = {("public.a", "id"): True, ("public.a", "late_id"): True, ("public.b", "id"): True}
    assert patched == names | {("public.a", "other"): False}
    compile(text, "shop.py", "exec")


def test_what_a_mixin_says_changes_only_for_all(tmp_path: Path) -> None:
    text, patched = _patched(tmp_path, ("a", "owner"))
    assert (text, patched) == (SOURCE, {("public.a", "owner"): False})
    text, patched = _patched(tmp_path, ("a", "owner"), ("b", "owner"), as_uuid=True)
    assert "owner: Mapped[str] = mapped_column(Uuid(), nullable=False)" in text
    assert all(patched.values())


def test_the_models_see_no_secret_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLANK_DATABASE_URL", "postgresql://u:secret@h/d")
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("ANYTHING", "secret")
    (tmp_path / "seen.py").write_text(
        "import os, pathlib\nfrom sqlalchemy import MetaData\nmetadata = MetaData()\n"
        "pathlib.Path('seen').write_text(repr(dict(os.environ)))\n"
    )
    assert os.environ["PGPASSWORD"] == "secret"
    read_models("seen:metadata", Interpreter(folder=tmp_path, variables={"GIVEN": "this"}))
    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen
    assert "'GIVEN': 'this'" in seen


def test_models_that_do_not_load_are_told_with_their_last_words(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import os\nos.environ['SHOP_URL']\n")
    with pytest.raises(WrongUse, match=r"--env NAME=VALUE[\s\S]*KeyError: 'SHOP_URL'"):
        read_models("broken:metadata", Interpreter(folder=tmp_path))


def test_a_default_that_is_sql_is_told_as_sql(tmp_path: Path) -> None:
    (tmp_path / "sqldefaults.py").write_text(
        "from sqlalchemy import Column, DateTime, Integer, MetaData, Sequence, Table, func, text\n"
        "metadata = MetaData()\n"
        "Table('t', metadata, Column('at', DateTime, default=func.now()), Column('n', Integer, default=text('1 + 1')),"
        " Column('s', Integer, Sequence('s_seq')), Column('c', Integer, default=7))\n"
    )
    (table,) = read_models("sqldefaults", Interpreter(folder=tmp_path)).tables
    said = {column.name: column.default for column in table.columns}
    assert said == {"at": "now()", "n": "1 + 1", "s": "Sequence('s_seq')", "c": "7"}
