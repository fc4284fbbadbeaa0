"""Prisma's schema files, its engine as the judge, and the platform of 71 models."""
