"""The truth about the sample's columns: which hold uuids, and which only look as if they might."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class LeftAlone:
    """A column of ids that must keep its text type.

    reason: a sentence for people: why it must.
    """

    schema: str
    table: str
    column: str
    reason: str


_UUID_COLUMNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("public", "tenants"): ("id",),
    ("public", "User"): ("id", "tenantId"),
    ("public", "categories"): ("id", "parent"),
    ("public", "suppliers"): ("id",),
    ("public", "products"): ("id", "category_id", "supplier_id"),
    ("public", "Order"): ("id", "tenantId", "userId"),
    ("public", "order_items"): ("id", "order_id", "product_id"),
    ("public", "Tag"): ("id",),
    ("public", "_OrderToTag"): ("A", "B"),
    ("public", "price_rules"): ("tenant_id",),
    ("public", "redemptions"): ("order_id", "tenant_id"),
    ("public", "events"): ("public_id", "user_id"),
    ("billing", "invoices"): ("id", "order_id", "tenant_id"),
    ("billing", "payments"): ("id", "invoice_id"),
}

_LEFT_ALONE: tuple[tuple[str, str, str, str], ...] = (
    ("public", "plans", "id", "the ids are words: free, pro, enterprise"),
    ("public", "tenants", "plan_id", "references plans.id, whose ids are words"),
    ("public", "settings", "key", "the keys are names of settings"),
    ("public", "products", "sku", "a supplier's article number, not a uuid"),
    ("public", "price_rules", "code", "what customers type in; only the other half of the key is a uuid"),
    ("public", "redemptions", "code", "references price_rules.code, which customers type in"),
    ("public", "events", "owner_id", "polymorphic: a uuid only where owner_type is 'order'"),
    ("billing", "payments", "reference", "the bank's reference, not a uuid"),
)


def uuid_columns() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(schema, table) -> the text columns whose every value is a uuid or NULL, in the table's order."""
    return MappingProxyType(_UUID_COLUMNS)


def left_alone() -> tuple[LeftAlone, ...]:
    """The columns that name or reference something with text that is no uuid, each with its reason."""
    return tuple(
        LeftAlone(schema=schema, table=table, column=column, reason=reason)
        for schema, table, column, reason in _LEFT_ALONE
    )
