"""The platform's plan: written by hand in plan.toml and tables.toml, joined with the ids that `inspect` proposes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any

from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.tables.partition_plan import Every

_SECTION = re.compile(r"^\[\[tables\]\]\n", re.MULTILINE)


def compose_plan(proposed: Sequence[Mapping[str, Any]], *, database: str, every: Every = "month") -> str:
    """The whole plan as TOML. `proposed` are the tables that `inspect --json` gives, by their present names; `every`
    is how much time a partition of the two large tables holds.

    Tables behind step 07 are named as it leaves them, so the proposals are translated.
    """
    head = Template(_read("plan.toml")).substitute(database=database)
    mappings = MappingsPlan.model_validate(tomllib.loads(head)["steps"]["mappings"])
    columns = dict(_translated(proposed, mappings))
    by_hand = dict(_sections(Template(_read("tables.toml")).substitute(every=every)))
    written = [text + "".join(columns.pop(name, ())) for name, text in by_hand.items()]
    written += [f'\n[[tables]]\nname = "{name}"\n' + "".join(texts) for name, texts in columns.items()]
    return head + "".join(written)


def _translated(proposed: Sequence[Mapping[str, Any]], mappings: MappingsPlan) -> Iterator[tuple[str, list[str]]]:
    """Of each proposed table its new name, and its columns as TOML."""
    for table in proposed:
        schema, name = table["schema"], table["name"]
        columns = [(mappings.column_to(schema, name, column["name"]), column["to"]) for column in table["columns"]]
        texts = [f'[[tables.columns]]\nname = "{column}"\nto = "{to}"\n' for column, to in columns]
        yield mappings.table_to(schema, name), texts


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """What is written by hand of each table, by its name."""
    for section in _SECTION.split(text)[1:]:
        named = tomllib.loads(f"[[tables]]\n{section}")["tables"][0]["name"]
        yield named, f"\n[[tables]]\n{section.rstrip()}\n"


def _read(name: str) -> str:
    return (files("demo.datasets.platform") / name).read_text(encoding="utf-8")
