"""No decision hangs on what a sentence says: a message can be reworded, and nothing behaves otherwise.

Sentences are told by their words, and by the names that hold them. What only another program's words tell is listed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("replank", "sql", "monitoring", "producer", "workers", "demo")

TELLING = frozenset(
    {"message", "message_primary", "problem", "reason", "window_reason", "waiting_for", "words", "hint", "suggestion"}
)
"""Names of what is written for people to read."""

SEARCHES = frozenset(
    {"startswith", "endswith", "find", "index", "count", "removeprefix", "removesuffix", "partition", "rpartition"}
)

FOREIGN = {
    ("demo/embedded/hosting.py", "'Address already in use' in tail"): "a server's log: it has no code for it",
    ("demo/embedded/postgres.py", "'invalid locale' not in str(failed)"): "initdb: its exit code is always 1",
    ("demo/datasets/platform/values.py", "bare in ('text', 'character varying', 'character')"): "names of types",
    ("monitoring/catalogue_diff/grouping.py", "part.startswith(('part of ', 'bound '))"): "a definition, not a message",
    ("monitoring/catalogue_diff/reasons.py", "was.startswith('CREATE UNIQUE')"): "SQL by pg_get_indexdef",
    ("monitoring/catalogue_diff/reasons.py", "became.endswith(' NOT VALID')"): "SQL by pg_get_constraintdef",
    ("monitoring/catalogue_diff/reasons.py", "part != 'not null'"): "a definition, not a message",
    (
        "producer/check/statements/seen.py",
        "one['query'].endswith(OWN_STATEMENT)",
    ): "a comment in SQL that marks what is ours",
    ("producer/check/server/event_triggers.py", "tag == 'ALTER TABLE'"): "a command tag of PostgreSQL",
    ("producer/operator/pools.py", "'busy' not in problem"): "Celery's pool_shrink answers in words only",
    ("producer/planning/already_done.py", "f'NEW.\"{planned.name}\" :=' in self.updates"): "a function's source text",
    ("producer/stages/backfill_stages.py", "'not null' not in found.definition.split('; ')"): "a definition",
    ("producer/stages/keeping_proof.py", "line.startswith(f'columns {table.spec.oid} ')"): "a fact of the catalogue",
    ("replank/plan/text/plan_mistakes.py", "message.removeprefix(prefix)"): "pydantic's words, made plainer for people",
    (
        "replank/plan/text/plan_mistakes.py",
        "message.partition(' should ')",
    ): "pydantic's words, made plainer for people",
    ("sql/session/connection.py", "words in str(error)"): "libpq: a connection that fails has no SQLSTATE",
    ("sql/session/connection.py", "'FATAL:' in str(error)"): "libpq: a connection that fails has no SQLSTATE",
    ("sql/session/connection.py", "said[0].removeprefix('connection failed: ')"): "libpq's words, made shorter",
    ("sql/session/server_message.py", "name not in (diag.message_primary or '')"): "a name is not said twice",
    (
        "workers/application/job_request.py",
        "str(error).removeprefix('Worker exited prematurely: ')",
    ): "billiard's words, made shorter",
}
"""Where it stands and what is compared: whose words these are."""

IDENTIFIERS = {
    ("monitoring/status/suggestions.py", "error_class in SMALLER_HELPS"): "classes of errors",
    ("producer/alembic/models/own_sql.py", "table[1] in words"): "names in a statement",
    ("producer/check/definitions/mappings.py", "new in words"): "reserved words of SQL",
    ("producer/check/server/event_triggers.py", "(tag, text) in MADE"): "command tags of PostgreSQL",
    ("producer/check/trial/hidden_casts.py", "'materialized view'"): "a kind of object, as PostgreSQL names it",
    ("producer/check/trial/hidden_casts.py", "one.definition.kind in NO_STATEMENT"): "kinds of objects",
    (
        "producer/measurement/audit_log_probe.py",
        "(r['actor'], r['request_id']) == (ACTOR, self._request)",
    ): "an actor's name",
    (
        "producer/planning/already_done.py",
        "key.replace('\"', '') != f'{planned.by.upper()} ({planned.column})'",
    ): "SQL by pg_get_partkeydef",
    ("producer/steps/mapped_names.py", "name in words"): "names in a statement",
    ("sql/values/text_casts.py", "found['comment'] == MARK"): "a comment in the catalogue that marks what is ours",
    ("workers/cli/worker.py", "words.partition(',')"): "an option's value",
    ("workers/execution/executor.py", "failure.error_class == SERVER_PROCESS_LOST"): "a class of errors",
    ("workers/execution/lost_session.py", "found.last.error_class != SERVER_PROCESS_LOST"): "a class of errors",
}
"""Names that have a space, and variables that hold no message."""

ONLY_SHOWN = {
    ("monitoring/terminal/activity_screen.py", "words != self._words"): "drawn again where it differs",
    (
        "producer/coordinator/coordinator.py",
        "(present.now, present.maximum, present.reason) != (run.window_now, run.window_max, run.window_reason)",
    ): "written where it differs",
    ("producer/coordinator/idle.py", "run.reason != reason"): "written where it differs",
    ("sql/ledger/runs/runs.py", "RUN.c.reason != given('reason')"): "written where it differs",
}
"""The words themselves are what changes: they are written again, and nothing else follows."""


def test_no_decision_hangs_on_what_a_sentence_says() -> None:
    found = {(place, said) for place, _, said in _in_python()}
    allowed = {**FOREIGN, **IDENTIFIERS, **ONLY_SHOWN}
    assert sorted(f"{place}: {said}" for place, said in found - allowed.keys()) == []
    assert sorted(allowed.keys() - found) == [], "no longer there: take it off the list"


def test_no_query_and_no_script_of_the_page_looks_into_messages() -> None:
    found = [f"{file.name}: {line.strip()}" for file in (ROOT / "sql").rglob("*.sql") for line in _looks_into(file)]
    scripts = (ROOT / "monitoring").rglob("*.js")
    found += [f"{file.name}: {line.strip()}" for file in scripts for line in _compares_sentences(file)]
    assert found == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("if 'No run is open' not in str(error): pass", "a sentence in an error"),
        ("if one.problem == problem: pass", "a problem compared"),
        ("if FREED_BY in one.problem: pass", "a name in a problem"),
        ("if cause.startswith('over '): pass\nOVER = 'over it all'\nif cause.startswith(OVER): pass", "a named one"),
        ("match said:\n    case 'it is done': pass", "a case"),
    ],
)
def test_the_kind_is_seen(code: str, kind: str) -> None:
    tree = ast.parse(code)
    assert list(_sentences_decide(tree, _constants(tree))), kind


@pytest.mark.parametrize(
    "code",
    ["if one.problem != '': pass", "if one.reason is None: pass", "if state == 'done': pass", "x = 'two words' + y"],
)
def test_what_is_no_sentence_is_let_pass(code: str) -> None:
    tree = ast.parse(code)
    assert list(_sentences_decide(tree, _constants(tree))) == []


def _in_python() -> Iterator[tuple[str, int, str]]:
    trees = {
        file.relative_to(ROOT).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
    }
    modules = {place.removesuffix(".py").replace("/", "."): _constants(tree) for place, tree in trees.items()}
    for place, tree in trees.items():
        for node in _sentences_decide(tree, {**_imported(tree, modules), **_constants(tree)}):
            yield place, node.lineno, ast.unparse(node)


def _constants(tree: ast.Module) -> dict[str, str]:
    """Names of a module that stand for a text of several words, or for some."""
    return {
        node.targets[0].id: ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_sentence(node.value, {})
    }


def _imported(tree: ast.Module, modules: dict[str, dict[str, str]]) -> dict[str, str]:
    """Such names of other modules, as they are called here."""
    return {
        alias.asname or alias.name: modules[node.module][alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in modules
        for alias in node.names
        if alias.name in modules[node.module]
    }


def _sentences_decide(tree: ast.AST, constants: dict[str, str]) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_is_empty(side) for side in sides) or any(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
                continue
            if any(_is_sentence(side, constants) or _is_told(side) for side in sides):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SEARCHES:
            if _is_told(node.func.value) or any(_is_sentence(given, constants) for given in node.args):
                yield node
        elif isinstance(node, ast.MatchValue) and _is_sentence(node.value, constants):
            yield node.value


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("", None)


def _is_sentence(node: ast.expr, constants: dict[str, str]) -> bool:
    """A text of two words or more, written here or by its name, alone or among others."""
    match node:
        case ast.Constant(value=str(text)):
            return len(text.split()) > 1
        case ast.JoinedStr(values=parts):
            texts = [part.value if isinstance(part, ast.Constant) else "x" for part in parts]
            return len("".join(map(str, texts)).split()) > 1
        case ast.Name(id=name):
            return name in constants
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return any(_is_sentence(each, constants) for each in elements)
        case ast.Call(func=ast.Name(id="frozenset"), args=[held]):
            return _is_sentence(held, constants)
    return False


def _is_told(node: ast.expr) -> bool:
    """What holds words for people: `x.problem`, `found["message"]`, `str(error)`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name in TELLING
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id="error" | "failed" | "refused")]):
            return True
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts):
            return any(_is_told(each) for each in parts)
    return False


def _looks_into(file: Path) -> list[str]:
    names = "|".join(sorted(TELLING))
    into = re.compile(
        rf"\b(?:{names})\s+(?:NOT\s+)?(?:LIKE|ILIKE|SIMILAR)\b|\b(?:{names})\s+!?~|(?:starts_with|position|strpos)\((?:\w+\.)?(?:{names})\b"
    )
    return [line for line in file.read_text(encoding="utf-8").splitlines() if into.search(line)]


def _compares_sentences(file: Path) -> list[str]:
    names = "|".join(sorted(TELLING))
    words = r"""['"`][A-Za-z]+ [A-Za-z ]+"""
    searches = r"(?:includes|startsWith|endsWith|indexOf|match|search)\("
    into = re.compile(rf"[!=]==? {words}|{searches}{words}|\.(?:{names})\.{searches}|\.(?:{names}) [!=]==? (?!'')")
    return [line for line in file.read_text(encoding="utf-8").splitlines() if into.search(line)]
