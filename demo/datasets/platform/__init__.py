"""A multi-tenant platform of 71 Prisma models: schema.prisma by hand, schema.sql by Prisma's engine, rows by SQL."""

from demo.datasets.platform.create import create_platform, create_tables, read_schema_file, read_script

__all__ = ["create_platform", "create_tables", "read_schema_file", "read_script"]
