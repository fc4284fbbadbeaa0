"""Models are imported in a process without our secrets, and their source is patched where a type is a literal."""

import ast
import inspect
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from producer.alembic.child import read_models as read_models_program
from producer.alembic.models.differences import differences
from producer.alembic.models.models import read_models
from producer.alembic.models.own_sql import own_sql
from producer.alembic.models.patch import make_patch
from producer.alembic.models.source import sources
from producer.history.changes import changes
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


OWN_SQL = """\
from sqlalchemy import bindparam, text, types
import sqlalchemy as sa

BY_ID = text("SELECT a.note FROM a "
             "WHERE a.id = :wanted AND a.note <> :note AND late_id NOT IN (:late)")
DONE = text("DELETE FROM a WHERE id = :id").bindparams(bindparam("id", type_=types.Uuid(as_uuid=False)))
OTHERS = text("SELECT 1 FROM other WHERE id = :id AND '10:30'::text <> :at")
CAST = sa.text("UPDATE a SET id = CAST(:id AS uuid), late_id = :late WHERE x.id = :x::uuid")
INSERT = text('INSERT INTO a ("id", note) VALUES (:new, :note)')
"""


def test_values_of_sql_in_words_are_listed_by_file_and_line(tmp_path: Path) -> None:
    # Given statements in a module that the models do not import
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(SOURCE)
    (tmp_path / "shop" / "queries.py").write_text(OWN_SQL)
    (tmp_path / "shop" / "template.py").write_text("{{ text( }}")
    models = read_models("shop.models:Base", Interpreter(folder=tmp_path))
    # When ids of table a become uuids
    found = own_sql(models, [ToUuid(table=("public", "a"), column=name) for name in ("id", "late_id")], "public")
    # Then each value that needs a type and has none is told, and no other
    assert [(one.line, one.table, one.column, one.old) for one in found] == [
        (4, "public.a", "id", ":wanted in text(…)"),
        (4, "public.a", "late_id", ":late in text(…)"),
        (8, "public.a", "late_id", ":late in text(…)"),
        (9, "public.a", "id", ":new in text(…)"),
    ]
    assert {Path(one.file).name for one in found} == {"queries.py"}
    assert found[0].new == 'bindparam("wanted", type_=Uuid(as_uuid=False))'
    assert not any(one.patched for one in found)


def test_a_file_of_many_models_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given classes of one file, one of them in a function and with a decorator
    classes = [one for one in vars(changes).values() if getattr(one, "__module__", "") == changes.__name__]
    classes = [one for one in classes if isinstance(one, type)] + [_decorated()]
    wanted = [inspect.getsourcelines(one)[1] for one in classes]
    parsed: list[object] = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda *given, **more: parsed.append(given) or parse(*given, **more))
    # When each is looked for
    said = [read_models_program._class(one) for one in classes]
    # Then its line is what Python says, and no file was parsed once more for each
    assert [one and one["line"] for one in said] == wanted
    assert len(classes) > 8
    assert len(parsed) <= len({one["file"] for one in said if one})
    assert read_models_program._class(int) is None


def _decorated() -> type:
    @dataclass
    class Inner:
        pass

    return Inner


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
