"""Joins between tables that the plan lets be swapped apart: they fail from the swap of the one to that of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from psycopg import errors

from producer.check.findings import Finding, warning
from producer.check.statements.comparisons import Code, word
from producer.check.statements.seen import seen_statements
from producer.check.values.soft_references import PROBE_TIMEOUT_MS, SAMPLE_TIMEOUT_MS, WORDS_PER_COLUMN
from producer.planning.conversion_sets import planned_sets
from producer.planning.prepared_run import PreparedRun, Subject
from replank.wording import counted, verb
from sql.checks.sampling import matching, uuid_texts
from sql.session.connection import Connection, apply_settings, rows
from sql.session.named_queries import query

SHOWN_LENGTH = 120


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Two tables of different sets, and what shows that queries join them."""

    first: Subject
    second: Subject
    evidence: str


def audit_sets_apart(connection: Connection, audited: PreparedRun) -> Iterator[Finding]:
    """Nothing where all wait for each other. Bounded in time and in rows."""
    if audited.file.plan.options.sets == "together":
        return
    told: set[tuple[str, str]] = set()
    for found in _joined(connection, audited, list(_apart(connection, audited))):
        names = (found.first.name, found.second.name)
        if names in told:
            continue
        told.add(names)
        yield warning(
            "sets_apart",
            f"{names[0]} and {names[1]} are swapped apart, and something joins them: {found.evidence}. Between the two "
            "swaps such a join fails: uuid = text has no operator",
            hint='Leave sets = "apart" out of the plan\'s options: then all tables whose types change are swapped '
            "together.",
            table=names[0],
            tables=list(names),
            evidence=found.evidence,
        )


def _apart(connection: Connection, audited: PreparedRun) -> Iterator[tuple[Subject, Subject]]:
    """Pairs of tables whose types change in different sets, by name."""
    specs = [subject.spec for subject in audited.subjects]
    sets = planned_sets(connection, specs, audited.foreign_keys, "apart")
    number = {spec.oid: set_no for set_no, (members, _) in sets.items() for spec in members}
    changing = sorted((s for s in audited.readable if s.converted), key=lambda subject: subject.name)
    for first, second in combinations(changing, 2):
        if number.get(first.live.oid) != number.get(second.live.oid):
            yield first, second


def _joined(connection: Connection, audited: PreparedRun, pairs: Sequence[tuple[Subject, Subject]]) -> Iterator[Joined]:
    if not pairs:
        return
    texts = [
        (f"a statement that was called {counted(s.calls, 'time')}", Code(s.query)) for s in seen_statements(connection)
    ]
    named = {"names": sorted({s.live.name for pair in pairs for s in pair}), "oids": audited.oids}
    functions = rows(connection, query("audit.functions_naming"), named)
    texts += [(f"function {function['function']}", Code(function["body"])) for function in functions]
    words = _words(connection, {s.live.oid: s for pair in pairs for s in pair})
    for first, second in pairs:
        for what, text in texts:
            if compares_columns(text, first, second):
                shown = " ".join(text.text.split())[:SHOWN_LENGTH]
                yield Joined(first=first, second=second, evidence=f"{what}: {shown}")
                break
        else:
            evidence = _shared(connection, first, second, words) or _shared(connection, second, first, words)
            if evidence:
                yield Joined(first=first, second=second, evidence=evidence)


def compares_columns(code: Code, first: Subject, second: Subject) -> bool:
    """Whether a text of SQL names both tables and compares a column of the one that changes with one of the other."""
    if not (code.names(first.live.name) and code.names(second.live.name)):
        return False
    one, other = ("|".join(word(column.name) for column in subject.converted) for subject in (first, second))
    qualified = r"(?:[\w\"]+\s*\.\s*)?"
    left, right = rf"{qualified}(?:{one})", rf"{qualified}(?:{other})"
    same = [column.name for column in first.converted if column.name in {c.name for c in second.converted}]
    using = "|".join(word(name) for name in same)
    patterns = [rf"{left}\s*=\s*{right}", rf"{right}\s*=\s*{left}"]
    patterns += [rf"(?i:\busing)\s*\([^)]*(?:{using})", r"(?i:\bnatural\s+join\b)"] if same else []
    patterns += [rf"{left}\s+(?i:in)\s*\(\s*(?i:select)\s+{right}", rf"{right}\s+(?i:in)\s*\(\s*(?i:select)\s+{left}"]
    return any(re.search(pattern, code.text) for pattern in patterns)


def _words(connection: Connection, subjects: Mapping[int, Subject]) -> dict[tuple[int, str], list[str]]:
    """Some ids of each column that changes, by table and column."""
    found: dict[tuple[int, str], list[str]] = {}
    for oid, subject in subjects.items():
        for column in (column for column in subject.converted if not column.array and not column.enum):
            try:
                with connection.transaction():
                    apply_settings(connection, {"statement_timeout": f"{SAMPLE_TIMEOUT_MS}ms"}, local=True)
                    found[oid, column.name] = uuid_texts(
                        connection, subject.live, column.name, form="text", wanted=WORDS_PER_COLUMN
                    )
            except errors.QueryCanceled:
                continue
    return found


def _shared(
    connection: Connection, target: Subject, referrer: Subject, words: Mapping[tuple[int, str], Sequence[str]]
) -> str:
    """Sampled ids of the referrer that are keys of the target, or a column that is called after it."""
    keys = [key[0] for key in target.live.unique if len(key) == 1 and any(c.name == key[0] for c in target.converted)]
    for name in keys:
        for column in referrer.converted:
            sampled = words.get((referrer.live.oid, column.name), ())
            count = _matches(connection, target, name, sampled)
            if count:
                return (
                    f"{count} of {counted(len(sampled), 'sampled value')} of {referrer.name}.{column.name} "
                    f"{verb(count, 'is')} among the values of {target.name}.{name}"
                )
            if column.name.lower() in {f"{target.live.name}_{name}", f"{target.live.name.removesuffix('s')}_{name}"}:
                return f"{referrer.name}.{column.name} is called after {target.name}.{name}"
    return ""


def _matches(connection: Connection, target: Subject, column: str, words: Sequence[str]) -> int:
    if not words:
        return 0
    try:
        with connection.transaction():
            apply_settings(connection, {"statement_timeout": f"{PROBE_TIMEOUT_MS}ms"}, local=True)
            return matching(connection, target.live, column, words, [0] * len(words)).get(0, 0)
    except errors.QueryCanceled:
        return 0
