"""Who writes to the shop: one client with its own rows, and the rows it shares with others."""

from dataclasses import dataclass

from demo.clients.actor import Actor
from demo.clients.tables import Key, Row
from demo.clients.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Ids of rows that were there before and have no owner: referenced and counted, never removed."""

    tenants: tuple[str, ...]
    addresses: tuple[str, ...]
    products: tuple[str, ...]
    tags: tuple[str, ...]
    carriers: tuple[str, ...]


class ShopActor(Actor[Shared]):
    def own_user(self, tx: Transaction) -> Key:
        """One of the own users; now and then, and when there is none, a new one, whom another has let in."""
        picked = tx.model.pick("users")
        if picked is not None and self.rng.random() < 0.7:
            return picked
        row: Row = {
            "id": self.new_id(),
            "tenant_id": self.rng.choice(self.shared.tenants),
            "email": f"{self.label('User')}@example.com",
            "invited_by": picked[0] if picked else None,
        }
        return tx.insert("users", row)

    def add_api_key(self, tx: Transaction) -> Key:
        user = self.own_user(tx)
        return tx.insert("api_keys", {"code": self.label("key")[-40:], "user_id": user[0], "note": None})

    def own_customer(self, tx: Transaction) -> Key:
        """One of the own customers, adopted ones too; now and then a new one."""
        picked = tx.model.pick("customers")
        if picked is not None and self.rng.random() < 0.9:
            return picked
        address = tx.model.pick("addresses")
        row: Row = {
            "id": self.new_id(),
            "tenant_id": self.rng.choice(self.shared.tenants),
            "address_id": address[0] if address else self.rng.choice([None, *self.shared.addresses]),
            "name": self.rng.choice(["Ada", "Łukasz", "O'Brien"]),
        }
        return tx.insert("customers", row)

    def add_address(self, tx: Transaction) -> Key:
        return tx.insert("addresses", {"id": self.new_id(), "street": "1 New Street", "city": "Bergen"})

    def own_order(self, tx: Transaction) -> Key:
        """One of the own orders, or a new one with lines."""
        return tx.model.pick("orders") or self.place_order(tx)

    def place_order(self, tx: Transaction) -> Key:
        """An order with one to three lines, mostly of products shared with everybody."""
        row: Row = {
            "id": self.new_id(),
            "customer_id": self.own_customer(tx)[0],
            "state": self.rng.choice(["open", "paid"]),
            "total": self.money(),
        }
        wanted: list[str] = []
        for _ in range(self.rng.randint(1, 3)):
            own = tx.model.pick("products") if self.rng.random() < 0.2 else None
            wanted += [own[0] if own else self.rng.choice(self.shared.products), str(self.rng.randint(1, 9))]
        lines = tx.fetch("place order", [*row.values(), *wanted])
        order = tx.model.put("orders", row)
        for line, product, quantity in lines:
            made: Row = {"id": str(line), "order_id": row["id"], "product_id": str(product), "quantity": str(quantity)}
            tx.model.put("order_lines", made)
        return order

    def ship(self, tx: Transaction) -> Key:
        carrier = tx.model.pick("carriers") or (self.rng.choice(self.shared.carriers),)
        order = self.own_order(tx)
        return tx.insert("shipments", {"id": self.new_id(), "order_id": order[0], "carrier_id": carrier[0]})

    def own_product(self, tx: Transaction) -> Key:
        """One of the own products; now and then a new one, whose label the database makes."""
        picked = tx.model.pick("products")
        if picked is not None and self.rng.random() < 0.7:
            return picked
        row: Row = {"id": self.new_id(), "sku": self.label("S")[-30:], "name": "Something new", "stock": "10"}
        return tx.insert("products", row)

    def own_tag(self, tx: Transaction) -> Key:
        """A new tag, or one of the own with another name: an upsert by its id."""
        picked = tx.model.pick("tags")
        row: Row = {
            "id": picked[0] if picked and self.rng.random() < 0.5 else self.new_id(),
            "name": self.label("tag")[-50:],
        }
        tx.run("upsert tag", list(row.values()), rows=1)
        return tx.model.put("tags", row)

    def own_warehouse(self, tx: Transaction) -> Key:
        """With a shelf or two."""
        warehouse = tx.insert("warehouses", {"id": self.new_id(), "name": self.label("Hall")})
        for number in range(self.rng.randint(1, 2)):
            row: Row = {"id": self.new_id(), "warehouse_id": warehouse[0], "shelf_number": str(number)}
            tx.insert("shelves", row)
        return warehouse
