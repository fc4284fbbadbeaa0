"""The statements that make octavia's tables on PostgreSQL, as its models say them."""

import sqlalchemy
from octavia.db import base_models, models  # noqa: F401

engine = sqlalchemy.create_mock_engine(
    "postgresql://", lambda statement, *_: print(str(statement.compile(dialect=engine.dialect)).strip() + ";")
)
base_models.BASE.metadata.create_all(engine, checkfirst=False)
