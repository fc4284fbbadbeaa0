"""Octavia's tables in an empty database, as its models make them; prints what Alembic finds different even so.

Its history does not run on PostgreSQL (backquotes, `MODIFY`, `UPDATE … LEFT JOIN` in three of its revisions), so the
database is stamped with the newest revision, as its documentation says of tables that were made otherwise.
"""

import sys

import sqlalchemy
from compare import found
from history import run
from octavia.db import base_models, models  # noqa: F401

base_models.BASE.metadata.create_all(sqlalchemy.create_engine(sys.argv[1]))
run(sys.argv[1], "stamp", "head")
print(found(sys.argv[1]))
