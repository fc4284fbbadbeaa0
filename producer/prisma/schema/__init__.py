"""schema.prisma as values: read, matched with tables, written."""
