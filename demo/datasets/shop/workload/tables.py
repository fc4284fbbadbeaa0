"""The shop's tables as its application knows them, and what its models do where a row goes.

The database's foreign keys refuse (NO ACTION). Where the application deletes or empties children, that is done by the
ORM's relationships: `cascade="all, delete-orphan"`, `secondary`, or none of them, which empties the child's column.
"""

from demo.clients.tables import OnDelete, Table, Tables, reference, table
from demo.datasets.shop.columns import UUID_COLUMNS


def _table(name: str, key: str, columns: str = "", *, made: str = "") -> Table:
    known = {*key.split(), *columns.split()}
    ids = " ".join(column for column in UUID_COLUMNS["public", name] if column in known)
    return table(name, key, columns, ids=ids, made=made)


SHOP = Tables(
    (
        _table("tenants", "id", "name"),
        _table("users", "id", "tenant_id email invited_by"),
        _table("api_keys", "code", "user_id note"),
        _table("addresses", "id", "street city"),
        _table("customers", "id", "tenant_id address_id name"),
        _table("warehouses", "id", "name"),
        _table("shelves", "id", "warehouse_id shelf_number"),
        # The label is given out by the database.
        _table("products", "id", "sku name label stock", made="label"),
        _table("tags", "id", "name"),
        _table("product_tags", "product_id tag_id"),
        _table("carriers", "id", "name"),
        _table("orders", "id", "customer_id state total"),
        _table("order_lines", "id", "order_id product_id quantity", made="id"),
        _table("shipments", "id", "order_id carrier_id"),
        _table("events", "id", "subject_id what", made="id"),
    ),
    (
        reference("users", "tenant_id", "tenants", OnDelete.RESTRICT),
        reference("users", "invited_by", "users", OnDelete.SET_NULL),
        reference("api_keys", "user_id", "users", OnDelete.CASCADE),
        reference("customers", "tenant_id", "tenants", OnDelete.RESTRICT),
        reference("customers", "address_id", "addresses", OnDelete.SET_NULL),
        reference("shelves", "warehouse_id", "warehouses", OnDelete.CASCADE),
        reference("product_tags", "product_id", "products", OnDelete.CASCADE),
        reference("product_tags", "tag_id", "tags", OnDelete.CASCADE),
        reference("orders", "customer_id", "customers", OnDelete.CASCADE),
        reference("order_lines", "order_id", "orders", OnDelete.CASCADE),
        reference("order_lines", "product_id", "products", OnDelete.RESTRICT),
        reference("shipments", "order_id", "orders", OnDelete.CASCADE),
        reference("shipments", "carrier_id", "carriers", OnDelete.SET_NULL),
    ),
)
