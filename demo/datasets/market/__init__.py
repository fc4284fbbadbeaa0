"""A market-like database with text ids, as Prisma and ten years of habits leave it behind."""

from demo.datasets.market.columns import LeftAlone, left_alone, uuid_columns
from demo.datasets.market.create import create_market

__all__ = ["LeftAlone", "create_market", "left_alone", "uuid_columns"]
