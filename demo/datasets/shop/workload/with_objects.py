"""What the application has written out: objects and their relationships, and what only a statement says.

Parameters are texts, as everywhere in a workload.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, joinedload, selectinload

from demo.clients.styles.orm import Operation
from demo.clients.styles.session import Answer
from demo.datasets.shop.project.shop.models import Customer, Order, OrderLine, Product, Tag

Texts = Sequence[str | None]


def place_order(session: Session, given: Texts) -> Answer:
    """An order with its lines, all by their relationships; gives back the lines, whose keys the server makes."""
    order_id, customer_id, state, total, *wanted = (str(one) for one in given)
    ids = wanted[::2]
    products = {one.id: one for one in session.scalars(sa.select(Product).where(Product.id.in_(ids)))}
    lines = [
        OrderLine(product=products[product], quantity=int(quantity))
        for product, quantity in zip(ids, wanted[1::2], strict=True)
    ]
    customer = session.get_one(Customer, customer_id)
    session.add(Order(id=order_id, customer=customer, state=state, total=Decimal(total), lines=lines))
    session.flush()
    return Answer(touched=1 + len(lines), rows=[(line.id, line.product_id, line.quantity) for line in lines])


def more_of_every_line(session: Session, given: Texts) -> Answer:
    """Objects of a collection, each changed by itself."""
    order = session.get_one(Order, given[0], options=[selectinload(Order.lines)])
    for line in order.lines:
        line.quantity += 1
    session.flush()
    return Answer(touched=len(order.lines))


def more_at_once(session: Session, given: Texts) -> Answer:
    """The same in one statement."""
    statement = sa.update(OrderLine).where(OrderLine.order_id == given[0]).values(quantity=OrderLine.quantity + 1)
    changed = session.connection().execute(statement)
    session.expire_all()
    return Answer(touched=changed.rowcount)


def move_line(session: Session, given: Texts) -> Answer:
    """To another order: the column follows the relationship."""
    line_id, order_id = given
    line = session.get_one(OrderLine, int(str(line_id)))
    line.order = session.get_one(Order, order_id)
    session.flush()
    return Answer(touched=1)


def tag_product(session: Session, given: Texts) -> Answer:
    """A row of the table between two models, which has none itself."""
    product_id, tag_id = given
    product = session.get_one(Product, product_id)
    product.tags.append(session.get_one(Tag, tag_id))
    session.flush()
    return Answer(touched=1)


def untag_product(session: Session, given: Texts) -> Answer:
    product_id, tag_id = given
    product = session.get_one(Product, product_id)
    product.tags.remove(session.get_one(Tag, tag_id))
    session.flush()
    return Answer(touched=1)


def upsert_tag(session: Session, given: Texts) -> Answer:
    tag_id, name = given
    statement = postgresql.insert(Tag).values(id=tag_id, name=name)
    statement = statement.on_conflict_do_update(index_elements=[Tag.id], set_={"name": statement.excluded.name})
    changed = session.scalars(statement.returning(Tag), execution_options={"populate_existing": True}).all()
    return Answer(touched=len(changed))


def sell(session: Session, given: Texts) -> Answer:
    """Read without a lock, written by its version: whoever was slower tries again."""
    product = session.get_one(Product, given[0])
    product.stock -= 1
    session.flush()
    return Answer(touched=1)


def lines_of_order(session: Session, given: Texts) -> Answer:
    """A collection, and what each of its objects leads to, loaded with it."""
    loading = selectinload(Order.lines).options(joinedload(OrderLine.product))
    order = session.get_one(Order, given[0], options=[loading], populate_existing=True)
    return Answer(touched=len(order.lines), rows=[(line.id, line.product.sku) for line in order.lines])


def orders_of_customers(session: Session, given: Texts) -> Answer:
    """A join, with a list of ids."""
    statement = sa.select(Order.id, Customer.name).join(Order.customer).where(Customer.id.in_(given))
    rows = [tuple(row) for row in session.execute(statement)]
    return Answer(touched=len(rows), rows=rows)


OPERATIONS: Mapping[str, Operation] = {
    "place order": place_order,
    "more of every line": more_of_every_line,
    "more of every line at once": more_at_once,
    "move line": move_line,
    "tag product": tag_product,
    "untag product": untag_product,
    "upsert tag": upsert_tag,
    "sell product": sell,
    "lines of order": lines_of_order,
    "orders of customers": orders_of_customers,
}
