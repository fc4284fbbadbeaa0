"""Prisma's migration.sql and its history."""
