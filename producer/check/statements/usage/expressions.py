"""What an expression is, and where in it a column that changes meets text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from producer.check.statements.usage.known import CAST_TYPES, TEXT_TYPES, Changing, Kind, Known, Text
from producer.check.statements.usage.parsing import Node, nodes, tagged, words
from producer.check.statements.usage.scopes import Scope

COMPARISONS = frozenset({"=", "<>", "!=", "<", "<=", ">", ">="})
ARRAY_COMPARISONS = frozenset({"@>", "<@", "&&"})
TEXT_OPERATORS = frozenset({"~~", "!~~", "~~*", "!~~*", "~", "!~", "~*", "!~*", "^@", "~<~", "~<=~", "~>~", "~>=~"})
_PATTERNS = {"AEXPR_LIKE": "LIKE", "AEXPR_ILIKE": "ILIKE", "AEXPR_SIMILAR": "SIMILAR TO"}
_COMPARING = frozenset({"AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_NULLIF", "AEXPR_IN"})
_BETWEEN = frozenset({"AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"})


@dataclass(frozen=True, kw_only=True)
class Used:
    """One use that fails from the cutover on. `how` says what the statement does, for people."""

    what: Literal["text_value", "text_operator", "conflict_target"]
    table: str
    column: str
    becomes: str
    how: str


class Expressions(ABC):
    """Reads expressions; what it finds goes to `found`."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.found: list[Used] = []

    @abstractmethod
    def query(self, node: Any, outer: Scope) -> list[tuple[str, Kind]]:
        """Read a query inside of the expression; the columns that it gives, by name."""

    def kind(self, node: Any, scope: Scope) -> Kind:
        """What the expression is. Everything inside of it is read too."""
        tag, fields = tagged(node)
        match tag:
            case "ColumnRef":
                return self._column(fields, scope)
            case "TypeCast":
                return self._cast(fields, scope)
            case "A_Expr":
                return self._operator(fields, scope)
            case "FuncCall":
                return self._function(fields, scope)
            case "SubLink":
                return self._sublink(fields, scope)
            case "CoalesceExpr" | "MinMaxExpr":
                return self.common(list(fields.get("args", ())), scope, "COALESCE, GREATEST or LEAST")
            case "A_ArrayExpr":
                return self._array(list(fields.get("elements", ())), scope)
            case "CaseExpr":
                return self._case(fields, scope)
            case "CollateClause":
                return self._collation(fields, scope)
            case "A_Indirection":
                return self._element(fields, scope)
            case "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt":
                self.query(node, scope)
                return None
            case _:
                self.read(fields, scope)
                return None

    def read(self, value: Any, scope: Scope) -> None:
        """Read all that stands in a field, or in all fields of a node."""
        if isinstance(value, list):
            for one in value:
                self.read(one, scope)
        elif isinstance(value, dict):
            if any(True for _ in nodes(value)):
                self.kind(value, scope)
            else:
                for one in value.values():
                    self.read(one, scope)

    def common(self, members: Sequence[Any], scope: Scope, where: str) -> Kind:
        """Expressions that must have one type. A cast that is implicit does not help: they are of two categories."""
        kinds = [self.kind(member, scope) for member in members]
        return self.one_type(kinds, where)

    def one_type(self, kinds: Sequence[Kind], where: str) -> Kind:
        changing = next((kind for kind in kinds if isinstance(kind, Changing)), None)
        text = next((kind for kind in kinds if isinstance(kind, Text)), None)
        if changing is not None and text is not None:
            self._use("text_value", changing, f"joins it with {text.shown} in {where}")
        return changing or text

    def compare(self, left: Kind, right: Kind) -> None:
        """Two values that are compared, or the elements of one with the other."""
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Changing) and isinstance(other, Text) and not self._bridged(one, other):
                self._use("text_value", one, f"compares it with {other.shown}")

    def assign(self, column: Kind, value: Kind) -> None:
        """A value that is written into a column."""
        if isinstance(column, Changing) and isinstance(value, Text) and not self._bridged(column, value):
            self._use("text_value", column, f"writes {value.shown} into it")

    def _bridged(self, column: Changing, text: Text) -> bool:
        return self.known.text_casts and text.cast and not column.enum

    def _use(self, what: Literal["text_value", "text_operator"], column: Changing, how: str) -> None:
        self.found.append(Used(what=what, table=column.table, column=column.column, becomes=column.becomes, how=how))

    def _column(self, fields: Node, scope: Scope) -> Kind:
        names = words(fields.get("fields", ()))
        if not names or len(names) != len(fields["fields"]):
            return None  # It ends with a star.
        return scope.column(names[-2] if len(names) > 1 else None, names[-1])

    def _cast(self, fields: Node, scope: Scope) -> Kind:
        self.kind(fields["arg"], scope)
        named = words(fields["typeName"].get("names", ()))
        if not named or named[-1] not in TEXT_TYPES:
            return None
        array = bool(fields["typeName"].get("arrayBounds"))
        parameter = fields["arg"].get("ParamRef", {}).get("number")
        value = f"${parameter}" if parameter else "a value"
        return Text(shown=f"{value}::{named[-1]}{'[]' if array else ''}", array=array, cast=named[-1] in CAST_TYPES)

    def _operator(self, fields: Node, scope: Scope) -> Kind:
        kind, name = fields["kind"], words(fields["name"])[-1]
        if "lexpr" not in fields:
            self.read(fields.get("rexpr"), scope)
            return None
        if kind in _BETWEEN or kind == "AEXPR_IN":
            left = fields["lexpr"]
            members = fields["rexpr"]["List"]["items"]
            self._compare_each(left, members, scope)
            return None
        left, right = fields["lexpr"], fields["rexpr"]
        if kind in _PATTERNS or name in TEXT_OPERATORS:
            shown = _PATTERNS.get(kind, name) if not name.startswith("!") or kind not in _PATTERNS else "NOT LIKE"
            for side in (self.kind(left, scope), self.kind(right, scope)):
                if isinstance(side, Changing):
                    self._use("text_operator", side, f"uses the operator {shown} on it")
            return None
        if name == "||":
            return self._concatenation(self.kind(left, scope), self.kind(right, scope))
        if kind in _COMPARING or name in COMPARISONS:
            return self._compare_sides(left, right, scope)
        one, other = self.kind(left, scope), self.kind(right, scope)
        if name in ARRAY_COMPARISONS:
            # There is no cast between arrays, so text_casts does not help.
            for a, b in ((one, other), (other, one)):
                if isinstance(a, Changing) and a.array and isinstance(b, Text):
                    self._use("text_value", a, f"compares it with {b.shown}")
        return None

    def _compare_each(self, left: Any, members: Sequence[Any], scope: Scope) -> None:
        rows = [left, *members]
        if all("RowExpr" in row for row in rows):
            for each in zip(*(row["RowExpr"].get("args", ()) for row in rows), strict=False):
                self._compare_each(each[0], each[1:], scope)
            return
        one = self.kind(left, scope)
        texts = [kind for kind in (self.kind(member, scope) for member in members) if kind is not None]
        for other in texts[:1] if isinstance(one, Changing) else texts:
            self.compare(one, other)

    def _compare_sides(self, left: Any, right: Any, scope: Scope) -> Kind:
        if "RowExpr" in left and "RowExpr" in right:
            for one, other in zip(left["RowExpr"].get("args", ()), right["RowExpr"].get("args", ()), strict=False):
                self._compare_sides(one, other, scope)
            return None
        self.compare(self.kind(left, scope), self.kind(right, scope))
        return None

    def _concatenation(self, left: Kind, right: Kind) -> Kind:
        """A uuid is appended to a text as it is; two uuids are not appended to each other."""
        if isinstance(left, Changing) and isinstance(right, Changing) and not (left.array or right.array):
            self._use("text_operator", left, f"uses the operator || between it and {right.column}")
        changing = next((one for one in (left, right) if isinstance(one, Changing) and one.array), None)
        text = next((one for one in (left, right) if isinstance(one, Text)), None)
        if changing is not None:
            if text is not None:
                self._use("text_value", changing, f"appends {text.shown} to it")
            return changing
        return text or (Text(shown="a text that || makes") if left is not None or right is not None else None)

    def _function(self, fields: Node, scope: Scope) -> Kind:
        name = words(fields["funcname"])[-1]
        for position, argument in enumerate(fields.get("args", ())):
            kind = self.kind(argument, scope)
            if isinstance(kind, Changing) and (name, position) in self.known.functions.text_only:
                self._use("text_operator", kind, f"calls {name}() with it")
        for other in ("agg_order", "agg_filter", "over"):
            self.read(fields.get(other), scope)
        return Text(shown=f"the result of {name}()") if name in self.known.functions.give_text else None

    def _sublink(self, fields: Node, scope: Scope) -> Kind:
        given = self.query(fields["subselect"], scope)
        sort = fields["subLinkType"]
        if sort in ("ANY_SUBLINK", "ALL_SUBLINK") and "testexpr" in fields:
            test = fields["testexpr"]
            tests = test["RowExpr"].get("args", ()) if "RowExpr" in test else [test]
            operator = words(fields.get("operName", ()))[-1:] or ["="]
            for one, (_, other) in zip(tests, given, strict=False):
                kind = self.kind(one, scope)
                if operator[0] in COMPARISONS:
                    self.compare(kind, other)
        if not given or sort not in ("EXPR_SUBLINK", "ARRAY_SUBLINK"):
            return None
        return _as_array(given[0][1]) if sort == "ARRAY_SUBLINK" else given[0][1]

    def _array(self, elements: Sequence[Any], scope: Scope) -> Kind:
        if elements and all(tagged(element)[0] in ("ParamRef", "A_Const") for element in elements):
            # The server takes an array of values without a type for one of texts.
            return Text(shown="an ARRAY of values without a type", array=True)
        return _as_array(self.common(elements, scope, "ARRAY"))

    def _case(self, fields: Node, scope: Scope) -> Kind:
        tested = self.kind(fields["arg"], scope) if "arg" in fields else None
        results = []
        for _, branch in nodes(fields.get("args", ())):
            self.compare(tested, self.kind(branch["expr"], scope))
            results.append(self.kind(branch["result"], scope))
        if "defresult" in fields:
            results.append(self.kind(fields["defresult"], scope))
        return self.one_type(results, "CASE")

    def _collation(self, fields: Node, scope: Scope) -> Kind:
        kind = self.kind(fields["arg"], scope)
        if isinstance(kind, Changing):
            self._use("text_operator", kind, "gives it a collation")
        return kind

    def _element(self, fields: Node, scope: Scope) -> Kind:
        """`members[1]` and the like."""
        kind = self.kind(fields["arg"], scope)
        inner = [fields for tag, fields in nodes(fields.get("indirection", ())) if tag == "A_Indices"]
        self.read(inner, scope)
        if isinstance(kind, Changing) and inner and not any(one.get("is_slice") for one in inner):
            return replace(kind, becomes=kind.becomes.removesuffix("[]"), array=False)
        return kind if inner else None


def _as_array(kind: Kind) -> Kind:
    return replace(kind, array=True) if isinstance(kind, Text) else kind
