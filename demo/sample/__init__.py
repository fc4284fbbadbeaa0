"""A shop-like database with text ids, as Prisma and ten years of habits leave it behind."""

from demo.sample.columns import LeftAlone, left_alone, uuid_columns
from demo.sample.create import create_sample

__all__ = ["LeftAlone", "create_sample", "left_alone", "uuid_columns"]
