"""What the application does, kind by kind: each operation is one transaction's content."""

from collections.abc import Mapping
from types import MappingProxyType

from psycopg.errors import ForeignKeyViolation, NotNullViolation, UniqueViolation

from demo.clients.kind import Kind
from demo.clients.tables import Row
from demo.clients.transaction import Surprise, Transaction
from demo.datasets.shop.workload.actor import ShopActor


def place_order(tx: Transaction, actor: ShopActor) -> None:
    actor.place_order(tx)


def register(tx: Transaction, actor: ShopActor) -> None:
    """A user with an API key, and a customer at an address."""
    actor.add_api_key(tx)
    actor.add_address(tx)
    actor.own_customer(tx)


def stock_up(tx: Transaction, actor: ShopActor) -> None:
    """A product, and a warehouse with shelves."""
    actor.own_product(tx)
    actor.own_warehouse(tx)


def note_event(tx: Transaction, actor: ShopActor) -> None:
    """About a row of any table: no foreign key says which."""
    tx.insert("events", {"subject_id": actor.own_order(tx)[0], "what": "changed"})


def update(tx: Transaction, actor: ShopActor) -> None:
    """Columns of one object."""
    order = actor.own_order(tx)
    tx.update("orders", order, state="sent", total=actor.money())
    match actor.rng.randrange(4):
        case 0:
            tx.update("users", actor.own_user(tx), email=f"{actor.label('Changed')}@example.com")
        case 1:
            tx.update("customers", actor.own_customer(tx), address_id=actor.rng.choice(actor.shared.addresses))
        case 2 if shipment := tx.model.pick("shipments"):
            tx.update("shipments", shipment, carrier_id=actor.rng.choice([None, *actor.shared.carriers]))


def update_many(tx: Transaction, actor: ShopActor) -> None:
    """All lines of an order, object by object or in one statement."""
    lines = tx.model.children_in("order_lines", "orders", order := actor.own_order(tx))
    name = actor.rng.choice(["more of every line", "more of every line at once"])
    tx.run(name, order, rows=len(lines))
    for line in lines:
        tx.model.update("order_lines", line, quantity=str(int(tx.model.rows["order_lines"][line]["quantity"] or 0) + 1))


def move_line(tx: Transaction, actor: ShopActor) -> None:
    order = actor.place_order(tx)
    line = tx.model.pick("order_lines") or tx.model.children_in("order_lines", "orders", order)[0]
    tx.run("move line", [*line, *order], rows=1)
    tx.model.update("order_lines", line, order_id=order[0])


def tag_product(tx: Transaction, actor: ShopActor) -> None:
    """A row between products and tags; now and then it goes again."""
    product, tag = actor.own_product(tx), actor.rng.choice([actor.own_tag(tx)[0], *actor.shared.tags])
    link: Row = {"product_id": product[0], "tag_id": tag}
    if (product[0], tag) not in tx.model.rows["product_tags"]:
        tx.run("tag product", list(link.values()), rows=1)
        tx.model.put("product_tags", link)
    if actor.rng.random() < 0.3:
        tx.run("untag product", list(link.values()), rows=1)
        tx.model.delete("product_tags", (product[0], tag))


def count_shared(tx: Transaction, actor: ShopActor) -> None:
    """Counters in rows that all clients write to; sorted, so that clients do not deadlock."""
    for product in sorted(actor.rng.sample(actor.shared.products, k=min(2, len(actor.shared.products)))):
        tx.run("sell product", [product], rows=1)
        tx.model.count("products", "stock", product, -1)


def ship(tx: Transaction, actor: ShopActor) -> None:
    if actor.rng.random() < 0.3:
        tx.insert("carriers", {"id": actor.new_id(), "name": "By bicycle"})
    actor.ship(tx)


def delete(tx: Transaction, actor: ShopActor) -> None:
    """Single objects that nothing hangs on."""
    for table in actor.rng.sample(["order_lines", "shipments", "api_keys", "events", "shelves"], k=2):
        if key := tx.model.pick(table):
            tx.delete(table, key)
    product = tx.model.pick("products")
    if product and not tx.model.children_in("order_lines", "products", product):
        tx.delete("products", product)


def delete_parent(tx: Transaction, actor: ShopActor) -> None:
    """An object that others hang on: by its relationships they go too, or are left without it."""
    table = actor.rng.choice(["orders", "orders", "customers", "users", "warehouses", "tags", "carriers", "addresses"])
    if key := tx.model.pick(table):
        tx.delete(table, key)
    else:
        tx.delete("orders", actor.place_order(tx))


def read(tx: Transaction, actor: ShopActor) -> None:
    """The application's own rows must be as it left them."""
    for table in ("orders", "order_lines", "customers", "shipments", "products"):
        # What all clients count is none's alone.
        if key := tx.model.pick(table):
            tx.read_back(table, key)
    order = actor.own_order(tx)
    lines = tx.fetch("lines of order", order)
    if {(str(line),) for line, _ in lines} != set(tx.model.children_in("order_lines", "orders", order)):
        raise Surprise(f"order {order[0]} has other lines than were written")
    customers = [actor.own_customer(tx) for _ in range(2)]
    found = {(str(one),) for one, _ in tx.fetch("orders of customers", [key[0] for key in customers])}
    if found != {key for customer in customers for key in tx.model.children_in("orders", "customers", customer)}:
        raise Surprise(f"customers {customers} have other orders than were written")


def refused(tx: Transaction, actor: ShopActor) -> None:
    """What the database must refuse, at every moment; nothing of it may remain."""
    match actor.rng.randrange(3):
        case 0:
            name = tx.model.rows["tags"][actor.own_tag(tx)]["name"]
            tx.refused("tags", {"id": actor.new_id(), "name": name}, UniqueViolation)
        case 1:
            order: Row = {"id": actor.new_id(), "customer_id": actor.new_id(), "state": "open", "total": "1.00"}
            tx.refused("orders", order, ForeignKeyViolation)
        case _:
            tx.refused("addresses", {"id": actor.new_id(), "street": None, "city": "Bergen"}, NotNullViolation)


def several(tx: Transaction, actor: ShopActor) -> None:
    """A bit of everything on own rows."""
    ship(tx, actor)
    update_many(tx, actor)
    register(tx, actor)
    delete(tx, actor)


KINDS: Mapping[str, Kind[ShopActor]] = MappingProxyType(
    {
        "place_order": Kind(run=place_order, weight=14),
        "register": Kind(run=register, weight=6),
        "stock_up": Kind(run=stock_up, weight=4),
        "note_event": Kind(run=note_event, weight=8),
        "update": Kind(run=update, weight=18),
        "update_many": Kind(run=update_many, weight=6),
        "move_line": Kind(run=move_line, weight=4),
        "tag_product": Kind(run=tag_product, weight=6),
        "count_shared": Kind(run=count_shared, weight=12),
        "ship": Kind(run=ship, weight=6),
        "delete": Kind(run=delete, weight=8),
        "delete_parent": Kind(run=delete_parent, weight=4),
        "read": Kind(run=read, weight=10),
        "refused": Kind(run=refused, weight=2),
        "rolled_back": Kind(run=several, weight=2, rollback=True),
        "paused": Kind(run=several, weight=0.2, pause_s=0.5),
    }
)
