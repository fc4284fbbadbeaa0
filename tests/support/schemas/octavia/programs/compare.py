"""What Alembic would change in a database so that it is as octavia's models say: a JSON list, empty for nothing.

`for_replank` is the product's `replank/alembic.py`, which an application takes along whose environment has no Replank.
"""

import json
import sys

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from for_replank import include_name
from octavia.db import base_models, models  # noqa: F401


def found(url: str) -> str:
    with sqlalchemy.create_engine(url).connect() as connection:
        options = {
            "include_schemas": True,
            "compare_server_default": True,
            "include_name": include_name(connection),
        }
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, base_models.BASE.metadata)
        # Those of one column come in a list.
        each = [one for some in differences for one in (some if isinstance(some, list) else [some])]
        return json.dumps([_told(one) for one in each])


def _told(difference: tuple) -> str:
    """Without what else Alembic says of a column: its type is another one after a run."""
    kind, *about = difference
    if kind.startswith("modify_"):
        _, table, column, _, old, new = about
        return f"{kind} {table}.{column}: {old!r} -> {new!r}"
    return repr(difference)


if __name__ == "__main__":
    print(found(sys.argv[1]))
