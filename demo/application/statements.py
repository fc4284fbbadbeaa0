"""The shop's statements, each built once. No parameter carries a type."""

from demo.application.names import AS_WRITTEN
from demo.application.shop import TABLES
from demo.application.statement import Statement, Style

# Which columns of which tables the application updates together.
_UPDATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Order", ("status", "total", "note")),
    ("User", ("displayName", "preferences")),
    ("events", ("payload",)),
    ("_OrderToTag", ("B",)),
    ("categories", ("parent",)),
    ("products", ("category_id",)),
    ("invoices", ("amount", "line_amounts")),
    # A change of the key itself: ON UPDATE CASCADE takes the children along.
    ("Order", ("id",)),
    ("User", ("id",)),
    ("Tag", ("id",)),
    ("products", ("id",)),
    ("categories", ("id",)),
    ("tenants", ("id",)),
    ("invoices", ("id",)),
    ("price_rules", ("code",)),
)

_WRITTEN_OUT: dict[str, str] = {
    "insert categories, id by default": (
        "INSERT INTO categories (parent, name, position) VALUES (%s, %s, %s) RETURNING id::text"
    ),
    "insert tenants, id by default": (
        "INSERT INTO tenants (name, slug, plan_id) VALUES (%s, %s, %s) RETURNING id::text"
    ),
    "insert invoices, id by default": (
        "INSERT INTO billing.invoices (order_id, tenant_id, amount, line_amounts) VALUES (%s, %s, %s, %s)"
        " RETURNING id::text"
    ),
    # Says whether the table's trigger did its work.
    "price products": "UPDATE products SET price = %s WHERE id = %s RETURNING updated_at = now()",
    "more of every item": "UPDATE order_items SET quantity = quantity + 1 WHERE order_id = %s",
    "note on three items": "UPDATE order_items SET note = %s WHERE id IN (%s, %s, %s)",
    "upsert price_rules": (
        "INSERT INTO price_rules (tenant_id, code, discount, conditions) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (tenant_id, code) DO UPDATE SET discount = EXCLUDED.discount,"
        " conditions = EXCLUDED.conditions"
    ),
    "upsert Tag": (
        'INSERT INTO "Tag" (id, name, color) VALUES (%s, %s, %s)'
        " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, color = EXCLUDED.color"
    ),
    "sell products": "UPDATE products SET stock = stock - 1, sold = sold + 1 WHERE id = %s",
    "count login": 'UPDATE "User" SET "loginCount" = "loginCount" + 1 WHERE id = %s',
    "read items of order": (
        "SELECT i.id::text, p.name FROM order_items AS i JOIN products AS p ON p.id = i.product_id"
        " WHERE i.order_id = %s"
    ),
}


def _build() -> dict[str, Statement]:
    style = Style(names=AS_WRITTEN)
    built = {name: Statement(text=text.encode()) for name, text in _WRITTEN_OUT.items()}
    for table in TABLES.values():
        built.update(style.each(table))
    built.update(style.update(TABLES[name], columns) for name, columns in _UPDATES)
    return built


STATEMENTS: dict[str, Statement] = _build()
