"""Scripts of steps: templates in `steps/*.sql` become plain SQL that an operator can read and psql can run.

A script is a row of blocks. Each begins with a comment line `-- [n] purpose` and is sent by itself, outside of a
transaction unless it says BEGIN. Whatever is put into a template must have been quoted: the template engine
refuses anything else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from psycopg.sql import Identifier, Literal

from sql.scripts.file_change import FileChange
from sql.session.session_settings import script_settings

if TYPE_CHECKING:
    from jinja2 import Environment

_BLOCK = re.compile(r"^-- \[(\w*)\] (.+)$", re.MULTILINE)

HEAD = """\
-- Replank: {name}. {purpose}
-- {again}
\\set ON_ERROR_STOP on
SET lock_timeout = '{lock_timeout_ms}ms';
SET statement_timeout = 0;
SET search_path = pg_catalog;
-- What the statements mean shall depend on nothing that is set for server, database or role:
{settings}
"""


AGAIN = "Every block may be run again: what is already done stays as it is."
NOT_ASKED = "the plan does not ask for this step"
ONCE = "For psql, from its top to its end, once; the first error ends it. Its rollback script undoes what was done."


class Quoted(str):
    """SQL that is safe to stand in a script: a quoted name, a quoted value, or the server's own words."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Block:
    """One thing that a script does. `sql` holds one statement, or a whole transaction."""

    purpose: str
    sql: str
    kind: str = ""
    """Its name in the template, by which callers find it; not in the script."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """The script of a step, forward or back. A script without blocks has nothing to do."""

    name: str
    purpose: str
    lock_timeout_ms: int
    blocks: tuple[Block, ...]
    change: FileChange | None = None
    """What it does to a file, where it does nothing in the database: its only block is the diff then."""
    once: bool = False
    """Whether it is for psql alone: a run does the same by jobs, watched by its coordinator."""
    why_nothing: str = NOT_ASKED

    @property
    def file_name(self) -> str:
        return f"{self.name}.{'sql' if self.change is None else 'diff'}"

    @property
    def text(self) -> str:
        """The file, as psql runs it, or as `patch` does."""
        if self.change is not None:
            return self.change.diff
        head = HEAD.format(
            name=self.name,
            purpose=self.purpose,
            lock_timeout_ms=self.lock_timeout_ms,
            settings=script_settings(),
            again=ONCE if self.once else AGAIN,
        )
        if not self.blocks:
            return head + f"\n-- Nothing to do: {self.why_nothing}.\n"
        # A name in a purpose may hold any character, and a comment ends with its line.
        purposes = [" ".join(block.purpose.split()) for block in self.blocks]
        numbered = (f"-- [{n}] {purposes[n - 1]}\n{block.sql}" for n, block in enumerate(self.blocks, start=1))
        return head + "\n" + "\n\n".join(numbered) + "\n"

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def name(*parts: str) -> Quoted:
    """A name, quoted, with as many qualifying parts as are given."""
    return Quoted(Identifier(*parts).as_string(None))


def names(columns: Iterable[str]) -> Quoted:
    """Quoted names with commas between them."""
    return Quoted(", ".join(name(column) for column in columns))


def text(value: str) -> Quoted:
    """A text, quoted."""
    return Quoted(Literal(value).as_string(None))


def text_array(values: Iterable[str]) -> Quoted:
    """An array of texts, e.g. `ARRAY['a', 'b']::text[]`."""
    return Quoted(f"ARRAY[{', '.join(text(value) for value in values)}]::text[]")


def as_written(fragment: str) -> Quoted:
    """SQL that the server or the plan wrote: it stands in the script as it is."""
    return Quoted(fragment)


def _only_quoted(value: Any) -> Any:
    if isinstance(value, Quoted | int):
        return value
    raise TypeError(f"{value!r} would be in a script unquoted")


@cache
def _environment() -> Environment:
    # Every command imports this module, since a run keeps its scripts; few make one.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sql", "steps"),
        undefined=StrictUndefined,
        finalize=_only_quoted,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,
    )
    made = {"name": name, "names": names, "text": text, "text_array": text_array, "as_written": as_written}
    environment.globals.update(made)
    return environment


def render(template: str, facts: Mapping[str, Any]) -> tuple[Block, ...]:
    """The blocks of `steps/TEMPLATE.sql` for these facts; a template marks each by `-- [] purpose` or `-- [kind] …`."""
    rendered = _environment().get_template(f"{template}.sql").render(**facts)
    heads = list(_BLOCK.finditer(rendered))
    ends = [*(head.start() for head in heads[1:]), len(rendered)][: len(heads)]
    return tuple(
        Block(purpose=head.group(2), sql=rendered[head.end() : end].strip(), kind=head.group(1))
        for head, end in zip(heads, ends, strict=True)
    )
