"""What others say of the migration, in small files: a journal of acknowledged writes, and errors of the application.

Both are JSON objects:

    {"checked": 120000, "lost": ["orders 4f…: the row is missing"], "source": "the checkout service's outbox"}
    {"checked": 980000, "errors": 0, "source": "load balancer, 14:00 to 15:00"}

`checked` is how many writes or requests were checked; `lost` and `errors` are a number, or one sentence for each.
`source` says who looked, and may be left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replank.errors import WrongUse
from replank.plan.text.plan_mistakes import said

_Found = Annotated[int, Field(ge=0)] | tuple[str, ...]


class _Statement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    checked: int = Field(ge=0)
    source: str = ""


class JournalStatement(_Statement):
    """How many acknowledged writes were looked for, and which were not found."""

    lost: _Found

    @property
    def count(self) -> int:
        return _count(self.lost)

    @property
    def sentences(self) -> tuple[str, ...]:
        return () if isinstance(self.lost, int) else self.lost


class ErrorsStatement(_Statement):
    """How many requests the application answered, and how many of them with an error it should not have had."""

    errors: _Found

    @property
    def count(self) -> int:
        return _count(self.errors)

    @property
    def sentences(self) -> tuple[str, ...]:
        return () if isinstance(self.errors, int) else self.errors


def _count(found: int | tuple[str, ...]) -> int:
    return found if isinstance(found, int) else len(found)


_Statements = TypeVar("_Statements", bound=_Statement)


def read_statement(path: Path, kind: type[_Statements]) -> _Statements:
    """Read such a file. Raises WrongUse with what is wrong in it."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WrongUse(f"{path}: the file cannot be read: {error.strerror}") from None
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {said(e['type'], e['msg'])}" for e in error.errors()
        )
        raise WrongUse(f"{path}: {mistakes}") from None
