"""The shop's tables as its application knows them."""

from demo.application.tables import OnDelete, Reference, Table, Tables
from demo.sample.columns import uuid_columns


def _table(name: str, key: str, columns: str = "", schema: str = "public") -> Table:
    names = (*key.split(), *columns.split())
    ids = frozenset(uuid_columns().get((schema, name), ())) & set(names)
    return Table(schema=schema, name=name, key=tuple(key.split()), columns=names, ids=ids)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
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
    )
}


def _reference(child: str, columns: str, parent: str, on_delete: OnDelete) -> Reference:
    return Reference(
        child=child,
        columns=tuple(columns.split()),
        parent=parent,
        parent_columns=TABLES[parent].key,
        on_delete=on_delete,
    )


REFERENCES: tuple[Reference, ...] = (
    _reference("User", "tenantId", "tenants", OnDelete.CASCADE),
    _reference("categories", "parent", "categories", OnDelete.SET_NULL),
    _reference("products", "category_id", "categories", OnDelete.SET_NULL),
    _reference("Order", "tenantId", "tenants", OnDelete.RESTRICT),
    _reference("Order", "userId", "User", OnDelete.CASCADE),
    _reference("order_items", "order_id", "Order", OnDelete.CASCADE),
    _reference("order_items", "product_id", "products", OnDelete.RESTRICT),
    _reference("_OrderToTag", "A", "Order", OnDelete.CASCADE),
    _reference("_OrderToTag", "B", "Tag", OnDelete.CASCADE),
    _reference("price_rules", "tenant_id", "tenants", OnDelete.CASCADE),
    _reference("redemptions", "order_id", "Order", OnDelete.CASCADE),
    _reference("redemptions", "tenant_id code", "price_rules", OnDelete.CASCADE),
    _reference("events", "user_id", "User", OnDelete.SET_NULL),
    _reference("invoices", "order_id", "Order", OnDelete.CASCADE),
    _reference("invoices", "tenant_id", "tenants", OnDelete.RESTRICT),
    _reference("payments", "invoice_id", "invoices", OnDelete.CASCADE),
)

SHOP = Tables(TABLES.values(), REFERENCES)
