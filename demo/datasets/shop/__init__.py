"""A shop-like database with text ids, as Prisma and ten years of habits leave it behind."""

from demo.datasets.shop.columns import LeftAlone, left_alone, uuid_columns
from demo.datasets.shop.create import create_shop

__all__ = ["LeftAlone", "create_shop", "left_alone", "uuid_columns"]
