"""Prisma: its schema file follows the tables, line by line, and its migration history with it."""
