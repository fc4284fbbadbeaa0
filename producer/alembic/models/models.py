"""What an application's SQLAlchemy models say, read by a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from producer.history.changes.changes import Table
from producer.history.foreign_code import Interpreter

PROGRAM = Path(__file__).parents[1] / "child" / "read_models.py"


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelColumn(_Said):
    """`default` is one that Python makes, as its source says it. `attributes` are its names in the models.

    `server_default` is SQL: None for none, empty for what is no default's text, e.g. an identity.
    """

    name: str
    attributes: tuple[str, ...]
    type: str
    is_text: bool
    is_uuid: bool
    nullable: bool
    default: str | None
    server_default: str | None


class ModelIndex(_Said):
    """An index or a unique constraint; None stands for an expression."""

    name: str | None
    columns: tuple[str | None, ...]
    unique: bool = True


class ModelForeignKey(_Said):
    columns: tuple[str, ...]
    ref_schema: str | None
    ref_table: str
    ref_columns: tuple[str, ...]


class ModelClass(_Said):
    """A class of the source, `name` as Python qualifies it; `line` is its first one."""

    file: str
    name: str
    line: int


class Relationship(_Said):
    """`pairs` are (schema, table, column) of both sides."""

    name: str
    to: str
    pairs: tuple[tuple[tuple[str | None, ...], tuple[str | None, ...]], ...]


class Model(_Said):
    """A mapped class; `classes` begins with it and goes on with what it inherits."""

    name: str
    classes: tuple[ModelClass, ...]
    relationships: tuple[Relationship, ...]


class ModelTable(_Said):
    """A table of the MetaData. `schema_name` is None where the search path decides."""

    schema_name: str | None = Field(alias="schema")
    name: str
    columns: tuple[ModelColumn, ...]
    primary_key: tuple[str, ...]
    indexes: tuple[ModelIndex, ...]
    uniques: tuple[ModelIndex, ...]
    foreign_keys: tuple[ModelForeignKey, ...]
    models: tuple[Model, ...]

    def named(self, default_schema: str) -> Table:
        return self.schema_name or default_schema, self.name

    def column(self, name: str) -> ModelColumn | None:
        return next((column for column in self.columns if column.name == name), None)


class TextStatement(_Said):
    """A literal `text("…")` with values, anywhere in the application's packages. `typed` values have a type already."""

    file: str
    line: int
    text: str
    typed: tuple[str, ...]


class Models(_Said):
    """All tables of a MetaData; `files` are the source files that were loaded with it."""

    tables: tuple[ModelTable, ...]
    files: tuple[str, ...]
    statements: tuple[TextStatement, ...]

    def by_table(self, default_schema: str) -> Mapping[Table, ModelTable]:
        return {table.named(default_schema): table for table in self.tables}

    def sources(self) -> Iterator[str]:
        """Every file in which a column may stand, each once."""
        classes = (one.file for table in self.tables for model in table.models for one in model.classes)
        yield from dict.fromkeys((*self.files, *classes))


def read_models(reference: str, interpreter: Interpreter) -> Models:
    """Of `package.module:metadata`, or of a class that has one. Raises WrongUse where it does not load."""
    return Models.model_validate(interpreter.ask(PROGRAM, reference))
