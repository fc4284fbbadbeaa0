"""Alembic's environment: the database comes from SHOP_DATABASE_URL."""

import os

from alembic import context
from shop.models import Base
from sqlalchemy import create_engine

from replank.alembic import include_name

engine = create_engine(os.environ["SHOP_DATABASE_URL"])
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        include_name=include_name(connection),
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
