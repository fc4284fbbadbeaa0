"""What the database must refuse: the constraints have to hold at every moment, also after a rebuild."""

from psycopg.errors import CheckViolation, ForeignKeyViolation, NotNullViolation, UniqueViolation

from demo.clients.tables import Row
from demo.clients.transaction import Transaction
from demo.datasets.market.workload.actor import MarketActor


def refused(tx: Transaction, actor: MarketActor) -> None:
    """Break one constraint; nothing of it may remain."""
    order = actor.own_order(tx)
    item = actor.item_row(order[0])
    match actor.rng.randrange(7):
        case 0:
            tx.refused("order_items", {**item, "quantity": "0"}, CheckViolation)
        case 1:
            tx.refused("order_items", {**item, "order_id": actor.new_id()}, ForeignKeyViolation)
        case 2:
            twin = dict(tx.model.rows["User"][actor.own_user(tx)])
            # Another id and another spelling: the unique index is on lower(email).
            twin |= {"id": actor.new_id(), "email": (twin["email"] or "").upper()}
            tx.refused("User", twin, UniqueViolation)
        case 3:
            tx.refused("Order", {**tx.model.rows["Order"][order], "note": "same id"}, UniqueViolation)
        case 4:
            redemption: Row = {
                "order_id": order[0],
                "tenant_id": actor.rng.choice(actor.shared.tenants),
                "code": actor.label("NO-SUCH-CODE"),
                "amount": "1.00",
            }
            tx.refused("redemptions", redemption, ForeignKeyViolation)
        case 5:
            invoice: Row = {
                "id": actor.new_id(),
                "order_id": actor.new_id(),
                "tenant_id": actor.rng.choice(actor.shared.tenants),
                "amount": "1.00",
                "line_amounts": "{}",
            }
            tx.refused("invoices", invoice, ForeignKeyViolation)
        case _:
            tx.refused("order_items", {**item, "product_id": None}, NotNullViolation)
