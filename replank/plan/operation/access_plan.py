"""`[access]` of a plan: database roles that may watch the run, besides its own."""

from __future__ import annotations

from pydantic import field_validator

from replank.plan.text.plan_words import Name, Strict


class AccessPlan(Strict):
    """`readers`: roles to which the run gives what `status`, `report`, `verify`, the exporter and the page read."""

    readers: tuple[Name, ...] = ()

    @field_validator("readers")
    @classmethod
    def _no_public(cls, readers: tuple[str, ...]) -> tuple[str, ...]:
        """Keys and quarantined rows of the application's stand in the ledger's schema."""
        if "public" in (reader.lower() for reader in readers):
            raise ValueError("name roles: rows that the run keeps must not be readable by every role (PUBLIC)")
        return readers
