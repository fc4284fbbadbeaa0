"""The part of a plan that is about Prisma's schema file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from replank.plan.text.plan_words import Name, Strict


class PrismaPlan(Strict):
    """Step 06. `schema` is the file, from the plan's folder on, on the machine where the coordinator runs.

    With `write` it is changed in place; otherwise the new file is written beside it, as `<name>.replank.prisma`.
    `schema_name` is the schema that Prisma's URL names.
    """

    schema_file: Annotated[str, Field(min_length=1, alias="schema")]
    write: bool = False
    order_fields: bool = False
    schema_name: Name = "public"
