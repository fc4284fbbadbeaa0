"""A multi-tenant platform of 71 Prisma models: schema.prisma by hand, schema.sql by Prisma's engine, rows by SQL."""

from demo.platform.create import create_platform, read_schema_file
from demo.platform.fill import fill

__all__ = ["create_platform", "fill", "read_schema_file"]
