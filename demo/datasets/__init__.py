"""Databases to demonstrate with: each a folder of what is truly its own."""

from typing import Any

from demo.clients.workload import Workload
from demo.datasets.data_set import DataSet

DATA_SETS = ("shop", "platform")


def find_workload(name: str) -> Workload[Any]:
    """What clients do to the data set of this name."""
    # Each is loaded by itself: the process of an application starts faster.
    if name == "shop":
        from demo.datasets.shop.workload.workload import WORKLOAD as SHOP

        return SHOP
    if name == "platform":
        from demo.datasets.platform.workload.workload import WORKLOAD as PLATFORM

        return PLATFORM
    raise ValueError(f"no data set is called {name}")


def find_data_set(name: str) -> DataSet:
    """What a demonstration must know of the data set of this name."""
    if name == "shop":
        from demo.datasets.shop.data_set import SHOP

        return SHOP
    if name == "platform":
        from demo.datasets.platform.data_set import PLATFORM

        return PLATFORM
    raise ValueError(f"no data set is called {name}")
