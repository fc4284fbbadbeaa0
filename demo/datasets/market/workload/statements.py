"""The market's statements that are written out (`demo.clients.styles.statements` says how)."""

from collections.abc import Mapping

STATEMENTS: Mapping[str, str] = {
    "insert categories, id by default": (
        "INSERT INTO [categories] ([.parent], [.name], [.position]) VALUES (<.parent>, <>, <>) RETURNING [.id]::text"
    ),
    "insert tenants, id by default": (
        "INSERT INTO [tenants] ([.name], [.slug], [.plan_id]) VALUES (<>, <>, <>) RETURNING [.id]::text"
    ),
    "insert invoices, id by default": (
        "INSERT INTO [invoices] ([.order_id], [.tenant_id], [.amount], [.line_amounts])"
        " VALUES (<.order_id>, <.tenant_id>, <>, <>) RETURNING [.id]::text"
    ),
    # Says whether the table's trigger did its work.
    "price products": "UPDATE [products] SET [.price] = <> WHERE [.id] = <.id> RETURNING [.updated_at] = now()",
    "more of every item": "UPDATE [order_items] SET [.quantity] = [.quantity] + 1 WHERE [.order_id] = <.order_id>",
    "note on three items": "UPDATE [order_items] SET [.note] = <> WHERE [.id] IN (<.id>, <.id>, <.id>)",
    "upsert price_rules": (
        "INSERT INTO [price_rules] ([.tenant_id], [.code], [.discount], [.conditions])"
        " VALUES (<.tenant_id>, <>, <>, <>)"
        " ON CONFLICT ([.tenant_id], [.code]) DO UPDATE SET [.discount] = EXCLUDED.[.discount],"
        " [.conditions] = EXCLUDED.[.conditions]"
    ),
    "upsert Tag": (
        "INSERT INTO [Tag] ([.id], [.name], [.color]) VALUES (<.id>, <>, <>)"
        " ON CONFLICT ([.id]) DO UPDATE SET [.name] = EXCLUDED.[.name], [.color] = EXCLUDED.[.color]"
    ),
    "sell products": "UPDATE [products] SET [.stock] = [.stock] - 1, [.sold] = [.sold] + 1 WHERE [.id] = <.id>",
    "count login": "UPDATE [User] SET [.loginCount] = [.loginCount] + 1 WHERE [.id] = <.id>",
    "read items of order": (
        "SELECT i.[order_items.id]::text, p.[products.name] FROM [order_items] AS i"
        " JOIN [products] AS p ON p.[products.id] = i.[order_items.product_id]"
        " WHERE i.[order_items.order_id] = <order_items.order_id>"
    ),
}
