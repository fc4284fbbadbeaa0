"""The source of models with other types; everything else stays as it is (LibCST)."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor

from producer.alembic.models.source import Owner, Walk, called, column_of, last_name, text_of, type_argument


def retyped(text: str, wanted: Mapping[tuple[Owner, str], str]) -> str:
    """The text with other types, imported where they are named so; every key must have a place with a literal."""
    rewriter = _Rewriter(wanted)
    module = cst.parse_module(text).visit(rewriter)
    context = CodemodContext()
    for name in sorted(rewriter.bare):
        AddImportsVisitor.add_needed_import(context, "sqlalchemy", name)
    return AddImportsVisitor(context).transform_module(module).code


class _Rewriter(cst.CSTTransformer):
    """Gives columns other types, in the way that their types were named: `sa.String(36)` becomes `sa.Uuid(…)`."""

    def __init__(self, wanted: Mapping[tuple[Owner, str], str]) -> None:
        super().__init__()
        self.wanted = wanted
        self.walk = Walk()
        self.bare: set[str] = set()

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.walk.classes.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:  # noqa: ARG002
        self.walk.classes.pop()
        return updated_node

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.walk.classes += [node.name.value, "<locals>"]

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:  # noqa: ARG002
        del self.walk.classes[-2:]
        return updated_node

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        return updated_node.with_changes(value=self._value(original_node, updated_node.value))

    def leave_AnnAssign(self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign) -> cst.AnnAssign:
        if updated_node.value is None:
            return updated_node
        return updated_node.with_changes(value=self._value(original_node, updated_node.value))

    def visit_Call(self, node: cst.Call) -> None:
        if called(node) == "Table":
            self.walk.tables.append((text_of(node.args[0].value) or "") if node.args else "")

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        if called(original_node) == "Table":
            self.walk.tables.pop()
            return updated_node
        key = self.walk.table_key(original_node)
        return updated_node if key is None or key not in self.wanted else self._retyped(updated_node, self.wanted[key])

    def _value(self, node: cst.Assign | cst.AnnAssign, value: cst.BaseExpression) -> cst.BaseExpression:
        found = column_of(node)
        key = None if found is None else self.walk.key(found[0])
        if key is None or key not in self.wanted or not isinstance(value, cst.Call):
            return value
        if called(value) == "deferred" and isinstance(value.args[0].value, cst.Call):
            inner = self._retyped(value.args[0].value, self.wanted[key])
            return value.with_changes(args=[value.args[0].with_changes(value=inner), *value.args[1:]])
        return self._retyped(value, self.wanted[key])

    def _retyped(self, call: cst.Call, to: str) -> cst.Call:
        at = type_argument(call)
        assert at is not None
        made = cst.parse_expression(to)
        assert isinstance(made, cst.Call)
        old = call.args[at].value
        named = old.func if isinstance(old, cst.Call) else old
        if isinstance(named, cst.Attribute):
            made = made.with_changes(func=named.with_changes(attr=made.func))
        else:
            self.bare.add(last_name(made.func))
        return call.with_changes(
            args=[one.with_changes(value=made) if n == at else one for n, one in enumerate(call.args)]
        )
