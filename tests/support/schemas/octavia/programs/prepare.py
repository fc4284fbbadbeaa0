"""Octavia's tables in an empty database, as its models make them; prints what Alembic finds different even so.

Its history is MySQL's and stops on PostgreSQL (`DROP CONSTRAINT "PRIMARY"`, backquotes, `MODIFY`), so the database is
stamped with its newest revision.
"""

import sys

import sqlalchemy
from compare import found
from history import run
from octavia.db import base_models, models  # noqa: F401

base_models.BASE.metadata.create_all(sqlalchemy.create_engine(sys.argv[1]))
run(sys.argv[1], "stamp", "head")
print(found(sys.argv[1]))
