"""What every part of a plan is made of: models that refuse unknown keys, names, and names of tables."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A part of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, Field(min_length=1, max_length=63)]


def split_name(name: str) -> tuple[str, str]:
    """`("public", "booking")` for `booking`."""
    schema, dot, table = name.partition(".")
    return (schema, table) if dot else ("public", name)
