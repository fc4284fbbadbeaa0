"""An application's SQLAlchemy models at the command line: how they are named, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from monitoring.terminal.output import people
from producer.alembic.models.joining import JoinedModels, JoinedTable, join_models
from producer.alembic.models.models import Models
from producer.history.foreign_code import Interpreter
from producer.inspect.proposal import Proposal
from replank.errors import WrongUse
from sql.catalogue.catalogue import read_foreign_keys, read_tables
from sql.session.connection import Connection

ModelsOption = Annotated[
    str | None, typer.Option("--models", metavar="MODULE:METADATA", help="The models, e.g. shop.models:Base.metadata.")
]
Python = Annotated[str, typer.Option("--python", help="The interpreter that has the application's packages.")]
Variables = Annotated[
    list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A variable that the models need.")
]


def interpreter_of(python: str, variables: Sequence[str] | None) -> Interpreter:
    """Raises WrongUse for a variable without a value."""
    pairs = [one.partition("=") for one in variables or ()]
    wrong = [name for name, sign, _ in pairs if not name or not sign]
    if wrong:
        raise WrongUse(f"--env {wrong[0]}: write NAME=VALUE.")
    return Interpreter(python=python, variables={name: said for name, _, said in pairs})


def joined_with(connection: Connection, models: Models, proposal: Proposal, schema_name: str) -> JoinedModels:
    """The models with the database's tables; columns that hold only uuids are those that the proposal found."""
    uuids = {(table.schema, table.name, column.name) for table in proposal.tables for column in table.columns}
    uuids |= {(one.schema, one.table, one.column) for one in proposal.possible}
    return join_models(models, read_tables(connection), read_foreign_keys(connection), uuids, schema_name)


def say_joined(joined: JoinedModels) -> None:
    """For people: which model is which table, and what only one side knows."""
    console = people()
    console.print(f"Tables of the models: {len(joined.tables)}, in the database: {_found(joined)}.")
    for one in joined.tables:
        schema, name = one.table
        where = f"{schema}.{name}" if one.found else f"NO TABLE {schema}.{name}"
        console.print(f"  {', '.join(one.models) or 'Table'}: {where}", markup=False, soft_wrap=True)
        for words in _known_only_to_models(one):
            console.print(f"    {words}", markup=False, soft_wrap=True)
    for schema, name in joined.without_model:
        console.print(f"  table without model: {schema}.{name}", markup=False, soft_wrap=True)


def _found(joined: JoinedModels) -> int:
    return sum(table.found for table in joined.tables)


def _known_only_to_models(one: JoinedTable) -> list[str]:
    said = list(one.mismatches)
    for each in one.keyless:
        ends = (".".join(end) for end in (each.column, each.to))
        said.append(f"relationship {each.name} has no foreign key: {' -> '.join(ends)}")
    said += [f"{column} holds only uuids" for column in one.texts_of_uuids]
    said += [f"{column} gets its values in Python: {made}" for column, made in one.python_defaults.items()]
    return said
