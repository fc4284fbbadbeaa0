"""Who writes to the market: one client with its own rows, and the rows it shares with others."""

from dataclasses import dataclass

from demo.clients.actor import Actor
from demo.clients.tables import Key, Row
from demo.clients.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Ids of rows that were there before and have no owner: referenced and counted, never removed."""

    tenants: tuple[str, ...]
    products: tuple[str, ...]
    users: tuple[str, ...]
    tags: tuple[str, ...]


class MarketActor(Actor[Shared]):
    def own_user(self, tx: Transaction) -> Key:
        """One of the own users; now and then, and when there is none, a new one."""
        picked = tx.model.pick("User")
        if picked is not None and self.rng.random() < 0.9:
            return picked
        tenant = tx.model.pick("tenants") if self.rng.random() < 0.5 else None
        row: Row = {
            "id": self.new_id(),
            "tenantId": tenant[0] if tenant else self.rng.choice(self.shared.tenants),
            "email": f"{self.label('User')}@example.com",
            "displayName": self.rng.choice([None, "Ada", "Łukasz", "O'Brien"]),
            "role": self.rng.choice(["ADMIN", "MEMBER"]),
            "loginCount": "0",
            "preferences": '{"newsletter": true}',
        }
        return tx.insert("User", row)

    def own_order(self, tx: Transaction) -> Key:
        """One of the own orders, or a new one with items."""
        return tx.model.pick("Order") or self.place_order(tx)

    def order_row(self, tx: Transaction, user: Key) -> Row:
        """A new order's row for this user, in the user's tenant."""
        return {
            "id": self.new_id(),
            "tenantId": tx.model.rows["User"][user]["tenantId"],
            "userId": user[0],
            "status": self.rng.choice(["draft", "placed"]),
            "total": self.money(),
            "note": self.rng.choice([None, "Leave at door", 'say "hello"']),
            "metadata": '{"channel": "web"}',
        }

    def place_order(self, tx: Transaction) -> Key:
        """Insert an order with one to three items."""
        order = tx.insert("Order", self.order_row(tx, self.own_user(tx)))
        for _ in range(self.rng.randint(1, 3)):
            self.add_item(tx, order)
        return order

    def add_item(self, tx: Transaction, order: Key) -> Key:
        """Insert one item of the order: mostly of a product shared with everybody."""
        product = tx.model.pick("products") if self.rng.random() < 0.2 else None
        return tx.insert("order_items", self.item_row(order[0], product[0] if product else None))

    def item_row(self, order: str, product: str | None = None) -> Row:
        """A new item's row."""
        return {
            "id": self.new_id(),
            "order_id": order,
            "product_id": product or self.rng.choice(self.shared.products),
            "quantity": str(self.rng.randint(1, 9)),
            "unit_price": self.money(),
            "note": self.rng.choice([None, "gift"]),
        }

    def own_product(self, tx: Transaction, category: Key | None = None) -> Key:
        """Insert a product of one's own."""
        row: Row = {
            "id": self.new_id(),
            "category_id": category[0] if category else None,
            "supplier_id": None,
            "sku": self.label("SKU"),
            "name": "Something new",
            "price": self.money(),
            "stock": "10",
            "sold": "0",
            "labels": "{new,red}",
            "discontinued": "false",
        }
        return tx.insert("products", row)

    def own_rule(self, tx: Transaction, code: str | None = None) -> Key:
        """Insert a price rule, or change the one with this code: an upsert on a composite key."""
        picked = tx.model.pick("price_rules") if code is None else None
        tenant, name = picked or (self.rng.choice(self.shared.tenants), code or self.label("CODE"))
        row: Row = {
            "tenant_id": tenant,
            "code": name,
            "discount": f"0.{self.rng.randint(0, 9999):04d}",
            "conditions": f'{{"minimum": {self.rng.randint(1, 99)}}}',
        }
        tx.run("upsert price_rules", list(row.values()), rows=1)
        return tx.model.put("price_rules", row)

    def own_tag(self, tx: Transaction) -> Key:
        """Insert a tag, or change one: an upsert on a uuid."""
        picked = tx.model.pick("Tag")
        row: Row = {
            "id": picked[0] if picked and self.rng.random() < 0.5 else self.new_id(),
            "name": self.label("tag"),
            "color": self.rng.choice([None, "blue"]),
        }
        tx.run("upsert Tag", list(row.values()), rows=1)
        return tx.model.put("Tag", row)

    def add_event(self, tx: Transaction, user: Key) -> Key:
        """Insert an event whose owner is an order (a uuid), a plan (a word) or none."""
        order = tx.model.pick("Order")
        owner: tuple[str | None, str | None] = (None, None)
        if order and self.rng.random() < 0.5:
            owner = ("order", order[0])
        elif self.rng.random() < 0.5:
            owner = ("plan", "pro")
        row: Row = {
            "public_id": self.new_id(),
            "user_id": user[0],
            "kind": "login",
            "owner_type": owner[0],
            "owner_id": owner[1],
            "payload": f'{{"ip": "192.0.2.{self.rng.randint(1, 254)}"}}',
        }
        return tx.insert("events", row)
