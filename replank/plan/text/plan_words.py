"""What every part of a plan is made of: models that refuse unknown keys, names, and names of tables."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from replank.names import LONGEST_NAME_BYTES, fits


class Strict(BaseModel):
    """A part of the plan."""

    # Every command imports the plan, few read one: its validators are built when the first is read.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _not_too_long(name: str) -> str:
    if not fits(name):
        raise ValueError(f"a name has at most {LONGEST_NAME_BYTES} bytes, this one has {len(name.encode())}")
    return name


Name = Annotated[str, Field(min_length=1), AfterValidator(_not_too_long)]
"""The name of something in the database, or that could be one."""

TableName = Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)?$")]
"""`schema.table`, or the name of a table in `public`."""

_T = TypeVar("_T")


def refuse_twice(what: str, names: list[_T]) -> None:
    """Raises ValueError that names what is there twice."""
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{what} listed twice: {', '.join(sorted(map(str, twice)))}")


def split_name(name: str) -> tuple[str, str]:
    """`("public", "booking")` for `booking`."""
    schema, dot, table = name.partition(".")
    return (schema, table) if dot else ("public", name)
