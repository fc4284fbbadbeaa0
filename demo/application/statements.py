"""The application's statements, each built once.

Parameters carry no type (psycopg sends text as `unknown`), as the statements of most drivers and ORMs
do: the server takes them for what the column is, text before the conversion and uuid after it.
"""

from collections.abc import Iterator, Sequence

from psycopg import sql

from demo.application.shop import TABLES, Table

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


def _joined(columns: Sequence[str], form: str, separator: str) -> sql.Composed:
    """The columns, each quoted and put into `form`, for instance '{} = %s'."""
    return sql.SQL(separator).join(sql.SQL(form).format(sql.Identifier(column)) for column in columns)


def _generic(table: Table) -> Iterator[tuple[str, sql.Composed]]:
    """Insert all columns, delete by key, select by key."""
    name = sql.Identifier(table.schema, table.name)
    key = _joined(table.key, "{} = %s", " AND ")
    values = sql.SQL(", ").join([sql.Placeholder()] * len(table.columns))
    columns = _joined(table.columns, "{}", ", ")
    yield (
        f"insert {table.name}",
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(name, columns, values),
    )
    yield f"delete {table.name}", sql.SQL("DELETE FROM {} WHERE {}").format(name, key)
    texts = _joined(table.columns, "{}::text", ", ")
    yield f"select {table.name}", sql.SQL("SELECT {} FROM {} WHERE {}").format(texts, name, key)


def _update(table: Table, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("UPDATE {} SET {} WHERE {}").format(
        sql.Identifier(table.schema, table.name),
        _joined(columns, "{} = %s", ", "),
        _joined(table.key, "{} = %s", " AND "),
    )


def _build() -> dict[str, bytes]:
    built = {name: text.encode() for name, text in _WRITTEN_OUT.items()}
    for table in TABLES.values():
        built.update({name: statement.as_bytes(None) for name, statement in _generic(table)})
    for name, columns in _UPDATES:
        built[update_name(name, columns)] = _update(TABLES[name], columns).as_bytes(None)
    return built


def update_name(table: str, columns: Sequence[str]) -> str:
    """The name of the statement that sets these columns of one row of the table."""
    return f"update {table} {', '.join(columns)}"


# Name -> statement with %s placeholders.
STATEMENTS: dict[str, bytes] = _build()
