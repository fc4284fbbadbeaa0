"""The table or cache that a job works for, by name."""

from __future__ import annotations

from sqlalchemy import and_, func

from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.table_tables import CACHE, RUN_TABLE

PLACE = func.coalesce(RUN_TABLE.c.schema_name + "." + RUN_TABLE.c.table_name, CACHE.c.name)
"""A statement that selects it is one from `WITH_PLACE`."""

WITH_PLACE = JOB.outerjoin(
    RUN_TABLE, and_(RUN_TABLE.c.run_id == JOB.c.run_id, RUN_TABLE.c.table_no == JOB.c.table_no)
).outerjoin(CACHE, and_(CACHE.c.run_id == JOB.c.run_id, CACHE.c.cache_no == JOB.c.cache_no))
