"""Where the source of models says a column, found by LibCST: nothing of it is run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from replank.errors import WrongUse

TEXTS = frozenset({"String", "Text", "Unicode", "UnicodeText", "VARCHAR", "CHAR", "TEXT", "NVARCHAR"})
"""SQLAlchemy's types of texts."""

COLUMNS = frozenset({"mapped_column", "Column", "deferred"})

Owner = tuple[str, str]
"""What a column is said in: ("class", qualified name) or ("table", the name that Table(…) is given)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A column in the source. `literal` is its type where that stands in the call itself, e.g. `sa.String(36)`.

    `follows_key`: no type is said, so it has that of the column that its foreign key leads to.
    """

    line: int
    literal: str | None
    follows_key: bool


@dataclass
class Source:
    """One file, parsed. `places` holds its columns by what they are said in and their name there."""

    path: Path
    text: str
    places: dict[tuple[Owner, str], Place] = field(default_factory=dict)


def read_source(path: Path) -> Source:
    """Raises WrongUse where the file cannot be read or is no Python."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        wrapper = MetadataWrapper(cst.parse_module(text))
    except (OSError, UnicodeDecodeError, cst.ParserSyntaxError) as error:
        raise WrongUse(f"{path}: the models' source cannot be read: {error}") from None
    finder = _Finder(wrapper.module)
    wrapper.visit(finder)
    return Source(path=path, text=text, places=finder.places)


def called(call: cst.BaseExpression | None) -> str:
    """The last name of what is called: `sa.Column(…)` is `Column`."""
    if not isinstance(call, cst.Call):
        return ""
    return last_name(call.func)


def last_name(name: cst.BaseExpression) -> str:
    if isinstance(name, cst.Attribute):
        return name.attr.value
    return name.value if isinstance(name, cst.Name) else ""


def type_argument(call: cst.Call) -> int | None:
    """Which argument is a literal type of texts."""
    for number, argument in enumerate(call.args):
        if argument.keyword is not None and argument.keyword.value != "type_":
            continue
        if argument.star == "" and (called(argument.value) in TEXTS or last_name(argument.value) in TEXTS):
            return number
    return None


def text_of(node: cst.BaseExpression) -> str | None:
    if isinstance(node, cst.SimpleString | cst.ConcatenatedString) and isinstance(node.evaluated_value, str):
        return node.evaluated_value
    return None


def _says_only_a_key(call: cst.Call) -> bool:
    """Whether a column has a foreign key and no type of its own."""
    said = [argument for argument in call.args if argument.keyword is None or argument.keyword.value == "type_"]
    keys = [argument for argument in said if called(argument.value) == "ForeignKey"]
    return bool(keys) and all(one in keys or text_of(one.value) is not None for one in said)


def column_of(node: cst.Assign | cst.AnnAssign) -> tuple[str, cst.Call] | None:
    """The attribute and the call of `id = Column(…)` and `id: Mapped[str] = mapped_column(…)`."""
    target = node.target if isinstance(node, cst.AnnAssign) else node.targets[0].target
    if not isinstance(target, cst.Name) or not isinstance(node.value, cst.Call):
        return None
    call = node.value
    if called(call) == "deferred" and call.args and isinstance(call.args[0].value, cst.Call):
        call = call.args[0].value
    return (target.value, call) if called(call) in COLUMNS else None


class Walk:
    """Where a visitor is: in which classes, and in which `Table(…)`."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self.tables: list[str] = []

    def key(self, name: str) -> tuple[Owner, str]:
        return ("class", ".".join(self.classes)), name

    def table_key(self, call: cst.Call) -> tuple[Owner, str] | None:
        """Of `Column("id", …)` inside `Table("orders", …)`."""
        name = text_of(call.args[0].value) if call.args else None
        if not self.tables or not self.tables[-1] or name is None or called(call) != "Column":
            return None
        return ("table", self.tables[-1]), name


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self.module = module
        self.walk = Walk()
        self.places: dict[tuple[Owner, str], Place] = {}

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.walk.classes.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:  # noqa: ARG002
        self.walk.classes.pop()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        # Python's qualified names say so, too; what a function makes is no literal of a class.
        self.walk.classes += [node.name.value, "<locals>"]

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:  # noqa: ARG002
        del self.walk.classes[-2:]

    def visit_Assign(self, node: cst.Assign) -> None:
        self._assigned(node)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self._assigned(node)

    def visit_Call(self, node: cst.Call) -> None:
        if called(node) == "Table":
            self.walk.tables.append((text_of(node.args[0].value) or "") if node.args else "")
        elif (key := self.walk.table_key(node)) is not None:
            self._found(key, node, node)

    def leave_Call(self, original_node: cst.Call) -> None:
        if called(original_node) == "Table":
            self.walk.tables.pop()

    def _assigned(self, node: cst.Assign | cst.AnnAssign) -> None:
        found = column_of(node)
        if found is not None:
            self._found(self.walk.key(found[0]), found[1], node)
        elif isinstance(node, cst.AnnAssign) and self.walk.classes and isinstance(node.target, cst.Name):
            # A type that the annotation alone says, or a name: told, never rewritten.
            self._place(self.walk.key(node.target.value), None, node, follows_key=False)

    def _found(self, key: tuple[Owner, str], call: cst.Call, node: cst.CSTNode) -> None:
        at = type_argument(call)
        literal = None if at is None else self.module.code_for_node(call.args[at].value)
        self._place(key, literal, node, follows_key=literal is None and _says_only_a_key(call))

    def _place(self, key: tuple[Owner, str], literal: str | None, node: cst.CSTNode, *, follows_key: bool) -> None:
        position = self.get_metadata(PositionProvider, node)
        self.places[key] = Place(line=position.start.line, literal=literal, follows_key=follows_key)


def sources(paths: Iterable[str]) -> dict[str, Source]:
    return {path: read_source(Path(path)) for path in paths}
