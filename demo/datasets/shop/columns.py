"""Which columns of the shop hold uuids as texts."""

from collections.abc import Mapping
from types import MappingProxyType

_COLUMNS = {
    "tenants": ("id",),
    "users": ("id", "tenant_id", "invited_by"),
    "api_keys": ("user_id",),
    "addresses": ("id",),
    "customers": ("id", "tenant_id", "address_id"),
    "warehouses": ("id",),
    "shelves": ("id", "warehouse_id"),
    "products": ("id", "label"),
    "tags": ("id",),
    "product_tags": ("product_id", "tag_id"),
    "carriers": ("id",),
    "orders": ("id", "customer_id"),
    "order_lines": ("order_id", "product_id"),
    "shipments": ("id", "order_id", "carrier_id"),
    "events": ("subject_id",),
}

UUID_COLUMNS: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {("public", table): columns for table, columns in _COLUMNS.items()}
)
"""(schema, table) -> its columns."""
