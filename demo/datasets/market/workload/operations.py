"""What the application does, kind by kind: each operation is one transaction's content."""

from collections.abc import Mapping
from types import MappingProxyType

from demo.clients.kind import Kind
from demo.clients.tables import Row
from demo.clients.transaction import Surprise, Transaction
from demo.datasets.market.workload.actor import MarketActor
from demo.datasets.market.workload.refusals import refused


def insert(tx: Transaction, actor: MarketActor) -> None:
    """An order with items, ids made by the client."""
    actor.place_order(tx)


def insert_with_default_id(tx: Transaction, actor: MarketActor) -> None:
    """Rows whose ids the column default makes."""
    parent = tx.model.pick("categories")
    row: Row = {"parent": parent[0] if parent else None, "name": "Shelf", "position": "1"}
    ((category,),) = tx.fetch("insert categories, id by default", list(row.values()))
    tx.model.put("categories", {"id": str(category), **row})
    row = {"name": "New tenant", "slug": actor.label("slug"), "plan_id": "free"}
    ((tenant,),) = tx.fetch("insert tenants, id by default", list(row.values()))
    tx.model.put("tenants", {"id": str(tenant), **row})


def insert_event(tx: Transaction, actor: MarketActor) -> None:
    """An event, in a table whose primary key is an identity column."""
    actor.add_event(tx, actor.own_user(tx))


def update(tx: Transaction, actor: MarketActor) -> None:
    """Columns of one row; a product's update must fire its trigger."""
    order = actor.own_order(tx)
    tx.update("Order", order, status="paid", total=actor.money(), note=actor.label("note"))
    match actor.rng.randrange(4):
        case 0:
            user = actor.own_user(tx)
            tx.update("User", user, displayName=actor.label("name"), preferences='{"newsletter": false}')
        case 1 if event := tx.model.pick("events"):
            tx.update("events", event, payload=None)
        case 2 if product := tx.model.pick("products"):
            price = actor.money()
            if tx.fetch("price products", [price, *product]) != [(True,)]:
                raise Surprise("updated_at was not touched by the trigger, or the row is missing")
            tx.model.update("products", product, price=price)


def update_many(tx: Transaction, actor: MarketActor) -> None:
    """Several rows in one statement."""
    items = tx.model.children_in("order_items", "Order", order := actor.own_order(tx))
    tx.run("more of every item", order, rows=len(items))
    for item in items:
        quantity = tx.model.rows["order_items"][item]["quantity"]
        tx.model.update("order_items", item, quantity=str(int(quantity or 0) + 1))
    chosen = {tx.model.pick("order_items") or actor.add_item(tx, order) for _ in range(3)}
    ids = [item[0] for item in chosen]
    tx.run("note on three items", ["checked", *(ids * 3)[:3]], rows=len(ids))
    for item in chosen:
        tx.model.update("order_items", item, note="checked")


def delete(tx: Transaction, actor: MarketActor) -> None:
    """Single rows that nothing hangs on."""
    for table in actor.rng.sample(["order_items", "events", "payments", "redemptions", "_OrderToTag"], k=2):
        if key := tx.model.pick(table):
            tx.delete(table, key)
    product = tx.model.pick("products")
    if product and not tx.model.children_in("order_items", "products", product):
        tx.delete("products", product)


def delete_parent(tx: Transaction, actor: MarketActor) -> None:
    """An order, a user, a price rule or a tag, with everything below it."""
    table = actor.rng.choice(["Order", "Order", "User", "price_rules", "Tag", "invoices"])
    if key := tx.model.pick(table):
        tx.delete(table, key)
    else:
        tx.delete("Order", actor.place_order(tx))


def set_null(tx: Transaction, actor: MarketActor) -> None:
    """A category goes: its children and products stay, without it."""
    row: Row = {"id": actor.new_id(), "parent": None, "name": "Short-lived", "position": "2"}
    parent = tx.insert("categories", row)
    if child := tx.model.pick("categories"):
        tx.update("categories", child, parent=parent[0] if child != parent else None)
    product = tx.model.pick("products") or actor.own_product(tx)
    tx.update("products", product, category_id=parent[0])
    tx.delete("categories", parent)


def upsert(tx: Transaction, actor: MarketActor) -> None:
    """INSERT … ON CONFLICT DO UPDATE, now inserting, now updating."""
    actor.own_rule(tx, code=actor.label("CODE") if actor.rng.random() < 0.5 else None)
    actor.own_tag(tx)


def rekey(tx: Transaction, actor: MarketActor) -> None:
    """A row gets another key; its children follow by ON UPDATE CASCADE."""
    table = actor.rng.choice(
        ["Order", "Order", "User", "Tag", "products", "categories", "tenants", "invoices", "price_rules"]
    )
    if table == "price_rules":
        rule = tx.model.pick(table) or actor.own_rule(tx)
        tx.update(table, rule, code=actor.label("CODE"))
    elif key := tx.model.pick(table):
        tx.update(table, key, id=actor.new_id())
    else:
        tx.update("Order", actor.place_order(tx), id=actor.new_id())


def tag_order(tx: Transaction, actor: MarketActor) -> None:
    """A row of the many-to-many table; sometimes it is moved to another tag."""
    order = actor.place_order(tx)
    link = tx.insert("_OrderToTag", {"A": order[0], "B": actor.rng.choice(actor.shared.tags)})
    if actor.rng.random() < 0.3:
        tx.update("_OrderToTag", link, B=actor.own_tag(tx)[0])


def count_shared(tx: Transaction, actor: MarketActor) -> None:
    """Counters in rows that all clients write to; sorted, so that clients do not deadlock."""
    for product in sorted(actor.rng.sample(actor.shared.products, k=min(2, len(actor.shared.products)))):
        tx.run("sell products", [product], rows=1)
        tx.model.count("products", "stock", product, -1)
        tx.model.count("products", "sold", product, 1)
    user = actor.rng.choice(actor.shared.users)
    tx.run("count login", [user], rows=1)
    tx.model.count("User", "loginCount", user, 1)


def checkout(tx: Transaction, actor: MarketActor) -> None:
    """Several statements on six tables."""
    order = actor.place_order(tx)
    rule = actor.own_rule(tx, code=None)
    tenant = tx.model.rows["Order"][order]["tenantId"]
    tx.insert(
        "redemptions",
        {"order_id": order[0], "tenant_id": rule[0], "code": rule[1], "amount": actor.money()},
    )
    row: Row = {
        "order_id": order[0],
        "tenant_id": tenant,
        "amount": actor.money(),
        "line_amounts": "{1.50,20.00}",
    }
    ((invoice,),) = tx.fetch("insert invoices, id by default", list(row.values()))
    tx.model.put("invoices", {"id": str(invoice), **row})
    payment: Row = {
        "id": actor.new_id(),
        "invoice_id": str(invoice),
        "method": "card",
        "amount": actor.money(),
        "reference": actor.label("RF"),
    }
    tx.insert("payments", payment)
    tx.update("Order", order, status="paid", total=actor.money(), note=None)


def deferred(tx: Transaction, actor: MarketActor) -> None:
    """The invoice before its order: the foreign key is checked at COMMIT only."""
    row = actor.order_row(tx, actor.own_user(tx))
    invoice: Row = {
        "id": actor.new_id(),
        "order_id": row["id"],
        "tenant_id": row["tenantId"],
        "amount": "1.00",
        "line_amounts": "{}",
    }
    tx.insert("invoices", invoice)
    tx.insert("Order", row)


def read(tx: Transaction, actor: MarketActor) -> None:
    """The application's own rows must be as it left them."""
    for table in ("Order", "order_items", "_OrderToTag", "price_rules"):
        if key := tx.model.pick(table):
            tx.read_back(table, key)
    order = actor.own_order(tx)
    found = tx.fetch("read items of order", order)
    if {(str(item),) for item, _ in found} != set(tx.model.children_in("order_items", "Order", order)):
        raise Surprise(f"order {order[0]} has other items than were written")


def several(tx: Transaction, actor: MarketActor) -> None:
    """A bit of everything on own rows."""
    checkout(tx, actor)
    update_many(tx, actor)
    rekey(tx, actor)
    delete(tx, actor)


KINDS: Mapping[str, Kind[MarketActor]] = MappingProxyType(
    {
        "insert": Kind(run=insert, weight=14),
        "insert_with_default_id": Kind(run=insert_with_default_id, weight=4),
        "insert_event": Kind(run=insert_event, weight=10),
        "update": Kind(run=update, weight=18),
        "update_many": Kind(run=update_many, weight=6),
        "delete": Kind(run=delete, weight=8),
        "delete_parent": Kind(run=delete_parent, weight=4),
        "set_null": Kind(run=set_null, weight=2),
        "upsert": Kind(run=upsert, weight=6),
        "rekey": Kind(run=rekey, weight=4),
        "tag_order": Kind(run=tag_order, weight=6),
        "count_shared": Kind(run=count_shared, weight=12),
        "checkout": Kind(run=checkout, weight=6),
        "deferred": Kind(run=deferred, weight=2),
        "read": Kind(run=read, weight=8),
        "refused": Kind(run=refused, weight=2),
        "rolled_back": Kind(run=several, weight=2, rollback=True),
        "paused": Kind(run=several, weight=0.2, pause_s=0.5),
    }
)
