"""What the database must refuse: the constraints have to hold at every moment, also after a rebuild."""

from demo.application.actor import Actor
from demo.application.transaction import Transaction

_NOT_NULL = "23502"
_FOREIGN_KEY = "23503"
_UNIQUE = "23505"
_CHECK = "23514"


def refused(tx: Transaction, actor: Actor) -> None:
    """Break one constraint; nothing of it may remain."""
    order = actor.own_order(tx)
    item = actor.item_row(order[0])
    match actor.rng.randrange(7):
        case 0:
            tx.refused("insert order_items", list({**item, "quantity": "0"}.values()), _CHECK)
        case 1:
            orphan = {**item, "order_id": actor.new_id()}
            tx.refused("insert order_items", list(orphan.values()), _FOREIGN_KEY)
        case 2:
            twin = dict(tx.model.rows["User"][actor.own_user(tx)])
            # Another id and another spelling: the unique index is on lower(email).
            twin |= {"id": actor.new_id(), "email": (twin["email"] or "").upper()}
            tx.refused("insert User", list(twin.values()), _UNIQUE)
        case 3:
            again = {**tx.model.rows["Order"][order], "note": "same id"}
            tx.refused("insert Order", list(again.values()), _UNIQUE)
        case 4:
            rule = [order[0], actor.rng.choice(actor.shared.tenants), actor.label("NO-SUCH-CODE"), "1.00"]
            tx.refused("insert redemptions", rule, _FOREIGN_KEY)
        case 5:
            invoice = [actor.new_id(), actor.new_id(), actor.rng.choice(actor.shared.tenants), "1.00", "{}"]
            tx.refused("insert invoices", invoice, _FOREIGN_KEY)
        case _:
            tx.refused("insert order_items", list({**item, "product_id": None}.values()), _NOT_NULL)
