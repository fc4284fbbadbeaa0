"""The market's tables as its application knows them."""

from demo.clients.tables import OnDelete, Table, Tables, reference, table
from demo.datasets.market.columns import uuid_columns


def _table(name: str, key: str, columns: str = "", schema: str = "public") -> Table:
    known = {*key.split(), *columns.split()}
    ids = " ".join(column for column in uuid_columns().get((schema, name), ()) if column in known)
    return table(name, key, columns, schema=schema, ids=ids)


MARKET = Tables(
    (
        _table("tenants", "id", "name slug plan_id"),
        _table("User", "id", "tenantId email displayName role loginCount preferences"),
        _table("categories", "id", "parent name position"),
        _table("products", "id", "category_id supplier_id sku name price stock sold labels discontinued"),
        _table("Order", "id", "tenantId userId status total note metadata"),
        _table("order_items", "id", "order_id product_id quantity unit_price note"),
        _table("Tag", "id", "name color"),
        _table("_OrderToTag", "A B"),
        _table("price_rules", "tenant_id code", "discount conditions"),
        _table("redemptions", "order_id tenant_id code", "amount"),
        _table("events", "public_id", "user_id kind owner_type owner_id payload"),
        _table("invoices", "id", "order_id tenant_id amount line_amounts", schema="billing"),
        _table("payments", "id", "invoice_id method amount reference", schema="billing"),
    ),
    (
        reference("User", "tenantId", "tenants", OnDelete.CASCADE),
        reference("categories", "parent", "categories", OnDelete.SET_NULL),
        reference("products", "category_id", "categories", OnDelete.SET_NULL),
        reference("Order", "tenantId", "tenants", OnDelete.RESTRICT),
        reference("Order", "userId", "User", OnDelete.CASCADE),
        reference("order_items", "order_id", "Order", OnDelete.CASCADE),
        reference("order_items", "product_id", "products", OnDelete.RESTRICT),
        reference("_OrderToTag", "A", "Order", OnDelete.CASCADE),
        reference("_OrderToTag", "B", "Tag", OnDelete.CASCADE),
        reference("price_rules", "tenant_id", "tenants", OnDelete.CASCADE),
        reference("redemptions", "order_id", "Order", OnDelete.CASCADE),
        reference("redemptions", "tenant_id code", "price_rules", OnDelete.CASCADE, "tenant_id code"),
        reference("events", "user_id", "User", OnDelete.SET_NULL),
        reference("invoices", "order_id", "Order", OnDelete.CASCADE),
        reference("invoices", "tenant_id", "tenants", OnDelete.RESTRICT),
        reference("payments", "invoice_id", "invoices", OnDelete.CASCADE),
    ),
)
