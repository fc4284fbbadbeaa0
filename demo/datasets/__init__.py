"""Databases to demonstrate with: each a folder of what is truly its own."""

from typing import Any

from demo.clients.workload import Workload
from demo.datasets.data_set import DataSet

DATA_SETS = ("market", "platform", "shop", "shop_unprepared")


def find_workload(name: str) -> Workload[Any]:
    """What clients do to the data set of this name."""
    # Each is loaded by itself: the process of an application starts faster.
    match name:
        case "market":
            from demo.datasets.market.workload.workload import WORKLOAD as MARKET

            return MARKET
        case "platform":
            from demo.datasets.platform.workload.workload import WORKLOAD as PLATFORM

            return PLATFORM
        case "shop" | "shop_unprepared":
            from demo.datasets.shop.workload.workload import workload_of

            return workload_of(name, prepared=name == "shop")
    raise ValueError(f"no data set is called {name}")


def find_data_set(name: str) -> DataSet:
    """What a demonstration must know of the data set of this name."""
    match name:
        case "market":
            from demo.datasets.market.data_set import MARKET

            return MARKET
        case "platform":
            from demo.datasets.platform.data_set import PLATFORM

            return PLATFORM
        case "shop":
            from demo.datasets.shop.data_set import SHOP

            return SHOP
        case "shop_unprepared":
            from demo.datasets.shop.data_set import SHOP_UNPREPARED

            return SHOP_UNPREPARED
    raise ValueError(f"no data set is called {name}")
