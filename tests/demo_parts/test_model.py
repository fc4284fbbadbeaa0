"""The client's model does what the market's foreign keys do, and knows what it does not know."""

import random

import pytest

from demo.clients.model import Model, StillReferenced
from demo.clients.tables import Row
from demo.datasets.market.workload.tables import MARKET

pytestmark = pytest.mark.unit


@pytest.fixture
def model() -> Model:
    """A user with an order, of a product and with an invoice, and an event; all committed."""
    model = Model(MARKET, random.Random(1))
    rows: list[tuple[str, Row]] = [
        ("User", {"id": "u", "tenantId": "t"}),
        ("products", {"id": "p", "category_id": None}),
        ("Order", {"id": "o", "tenantId": "t", "userId": "u"}),
        ("order_items", {"id": "i", "order_id": "o", "product_id": "p"}),
        ("invoices", {"id": "v", "order_id": "o", "tenant_id": "t"}),
        ("events", {"public_id": "e", "user_id": "u"}),
    ]
    for table, row in rows:
        model.put(table, row)
    model.commit()
    return model


def test_delete_cascades_and_sets_null(model: Model) -> None:
    model.delete("User", ("u",))
    model.commit()

    assert not model.rows["Order"]
    assert not model.rows["order_items"]
    assert not model.rows["invoices"]
    assert model.rows["events"] == {("e",): {"public_id": "e", "user_id": None}}
    assert ("order_items", ("i",)) in model.gone


def test_restricted_parent_stays(model: Model) -> None:
    with pytest.raises(StillReferenced):
        model.delete("products", ("p",))
    model.rollback()

    assert ("p",) in model.rows["products"]


def test_children_follow_a_new_key(model: Model) -> None:
    model.update("Order", ("o",), id="n")
    model.commit()

    assert model.rows["order_items"][("i",)]["order_id"] == "n"
    assert model.children_in("invoices", "Order", ("n",)) == [("v",)]
    assert ("Order", ("o",)) in model.gone


def test_rollback_brings_everything_back(model: Model) -> None:
    before = {table: dict(rows) for table, rows in model.rows.items()}
    model.update("User", ("u",), id="w")
    model.delete("User", ("w",))
    model.put("User", {"id": "x", "tenantId": "t"})
    model.count("products", "stock", "p", -1)

    model.rollback()

    assert model.rows == before
    assert model.gone == {("User", ("w",)), ("User", ("x",))}
    assert not model.counters
    assert model.children_in("Order", "User", ("u",)) == [("o",)]


def test_after_an_unknown_outcome_only_new_rows_are_touched(model: Model) -> None:
    model.delete("order_items", ("i",))
    model.count("products", "stock", "p", -1)

    model.give_up()

    assert model.unknown == {("order_items", ("i",))}
    assert model.unknown_counters == {("products", "stock", "p")}
    assert not model.gone
    assert model.rows["Order"], "what was not touched is still known"
    assert model.pick("Order") is None
