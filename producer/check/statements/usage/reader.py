"""One pass over a statement: where a column that changes meets text, or something that only texts have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from producer.check.statements.usage.expressions import Expressions, Used
from producer.check.statements.usage.known import Kind, Known, Table
from producer.check.statements.usage.parsing import Node, Unparsable, nodes, parse, tagged, words
from producer.check.statements.usage.scopes import Relation, Scope

Given = list[tuple[str, Kind]]
"""What a query gives, in the order of its columns."""


def read_statement(text: str, known: Known) -> list[Used]:
    """What of the statement fails when the columns have their new types. Raises Unparsable."""
    reader = Reader(known)
    try:
        for tag, fields in parse(text):
            reader.query({tag: fields}, Scope())
    except RecursionError as error:
        raise Unparsable(str(error)) from None
    return list(dict.fromkeys(reader.found))


class Reader(Expressions):
    """Statements. What it finds is in `found`."""

    def query(self, node: Any, outer: Scope) -> Given:
        tag, fields = tagged(node)
        scope = Scope(outer=outer)
        match tag:
            case "SelectStmt":
                return self._select(fields, scope)
            case "InsertStmt":
                return self._insert(fields, scope)
            case "UpdateStmt":
                return self._update(fields, scope)
            case "DeleteStmt":
                return self._delete(fields, scope)
            case "MergeStmt":
                return self._merge(fields, scope)
            case _:
                # EXPLAIN, PREPARE, COPY, CREATE TABLE AS and DECLARE have a statement inside.
                self.read(fields, scope)
                return []

    def _select(self, fields: Node, scope: Scope) -> Given:
        self._with(fields, scope)
        if fields.get("op", "SETOP_NONE") != "SETOP_NONE":
            # The two branches stand in their fields without a tag.
            left = self._select(fields["larg"], Scope(outer=scope))
            right = self._select(fields["rarg"], Scope(outer=scope))
            self._rest(fields, scope)
            return [
                (name, self.one_type((one, other), "UNION, INTERSECT or EXCEPT"))
                for (name, one), (_, other) in zip(left, right, strict=False)
            ]
        if "valuesLists" in fields:
            lists = [self._kinds(row, scope) for row in fields["valuesLists"]]
            merged = [self.one_type(each, "VALUES") for each in zip(*lists, strict=False)]
            return [(f"column{number}", kind) for number, kind in enumerate(merged, start=1)]
        self._from(fields.get("fromClause", ()), scope)
        given = self._targets(fields.get("targetList", ()), scope)
        self._rest(fields, scope)
        return given

    def _rest(self, fields: Node, scope: Scope) -> None:
        done = ("withClause", "fromClause", "targetList", "larg", "rarg", "valuesLists")
        self.read([value for name, value in fields.items() if name not in done], scope)

    def _kinds(self, row: Any, scope: Scope) -> list[Kind]:
        return [self.kind(item, scope) for item in row["List"].get("items", ())]

    def _targets(self, targets: Sequence[Any], scope: Scope) -> Given:
        given: Given = []
        for _, target in nodes(list(targets)):
            tag, value = tagged(target["val"])
            names = words(value.get("fields", ())) if tag == "ColumnRef" else []
            if tag == "ColumnRef" and len(names) < len(value["fields"]):
                given += scope.star(names[-1] if names else None)[0].items()
                continue
            given.append((target.get("name") or (names[-1] if names else ""), self.kind(target["val"], scope)))
        return given

    def _with(self, fields: Node, scope: Scope) -> None:
        for _, query in nodes(fields.get("withClause", {}).get("ctes", ())):
            given = self.query(query["ctequery"], scope)
            named = words(query.get("aliascolnames", ()))
            scope.with_queries[query["ctename"]] = (_renamed(given, named), True)

    def _from(self, items: Any, scope: Scope) -> None:
        for tag, item in nodes(list(items)):
            self._from_item(tag, item, scope)

    def _from_item(self, tag: str, item: Node, scope: Scope) -> None:
        if tag == "RangeVar":
            self._relation(item, scope)
        elif tag == "RangeSubselect":
            # Without LATERAL it does not see its neighbours, and then no name means them either.
            given = self.query(item["subquery"], scope)
            alias = item.get("alias", {})
            columns = _renamed(given, words(alias.get("colnames", ())))
            scope.relations.append(Relation(alias=alias.get("aliasname", ""), columns=columns, complete=True))
        elif tag == "JoinExpr":
            self._join(item, scope)
        elif tag == "RangeFunction":
            self._function_in_from(item, scope)
        else:
            self.read({name: value for name, value in item.items() if name not in ("alias", "relation")}, scope)
            self._from([item["relation"]] if "relation" in item else [], scope)
            alias = item.get("alias", {}).get("aliasname", "")
            scope.relations.append(Relation(alias=alias, columns={}, complete=False))

    def _function_in_from(self, item: Node, scope: Scope) -> None:
        calls = [fields for tag, fields in nodes(item["functions"][0]["List"]["items"]) if tag == "FuncCall"]
        alias = item.get("alias", {})
        kinds: list[Kind] = []
        if len(item["functions"]) == len(calls) == 1 and words(calls[0]["funcname"])[-1] == "unnest":
            kinds = [_element(self.kind(argument, scope)) for argument in calls[0].get("args", ())]
        else:
            self.read(item["functions"], scope)
        names = words(alias.get("colnames", ())) or [alias.get("aliasname", "unnest")]
        # Several arrays give columns of one name, which only `*` can mean: names that nobody can say keep them apart.
        names += [f"unnest {n}" for n in range(len(names), len(kinds))]
        columns = dict(zip(names, kinds, strict=False))
        scope.relations.append(Relation(alias=alias.get("aliasname", ""), columns=columns, complete=False))

    def _relation(self, item: Node, scope: Scope) -> Table | None:
        name, schema = item["relname"], item.get("schemaname", "")
        alias = item.get("alias", {}).get("aliasname", name)
        renamed = words(item.get("alias", {}).get("colnames", ()))
        with_query = None if schema else scope.with_query(name)
        table = None if with_query is not None else self.known.table(schema, name)
        if with_query is not None:
            columns, complete = with_query
        else:
            columns, complete = (table.columns, True) if table is not None else ({}, False)
        columns = _renamed(list(columns.items()), renamed)
        scope.relations.append(Relation(alias=alias, columns=columns, complete=complete))
        return table

    def _join(self, item: Node, scope: Scope) -> None:
        begin = len(scope.relations)
        self._from([item["larg"]], scope)
        middle = len(scope.relations)
        self._from([item["rarg"]], scope)
        left, right = scope.relations[begin:middle], scope.relations[middle:]
        using = words(item.get("usingClause", ()))
        if item.get("isNatural"):
            using = [name for one in left for name in one.columns if any(name in other.columns for other in right)]
        for name in dict.fromkeys(using):
            both = (Scope(relations=left).column(None, name), Scope(relations=right).column(None, name))
            self.one_type(both, "USING or NATURAL JOIN")
        self.read(item.get("quals"), scope)

    def _insert(self, fields: Node, scope: Scope) -> Given:
        self._with(fields, scope)
        target = Scope(outer=scope)
        table = self._relation(fields["relation"], target)
        columns = table.columns if table is not None else {}
        named = [column.get("name", "") for _, column in nodes(fields.get("cols", ()))] or list(columns)
        source = fields.get("selectStmt", {}).get("SelectStmt")
        if source is not None and "valuesLists" in source:
            self._with(source, scope)
            for row in source["valuesLists"]:
                for name, kind in zip(named, self._kinds(row, scope), strict=False):
                    self.assign(columns.get(name), kind)
        elif source is not None:
            for name, (_, kind) in zip(named, self._select(source, Scope(outer=scope)), strict=False):
                self.assign(columns.get(name), kind)
        conflict = fields.get("onConflictClause")
        if conflict is not None:
            self._conflict(conflict, table, target)
        return self._returning(fields, target)

    def _conflict(self, conflict: Node, table: Table | None, target: Scope) -> None:
        infer = conflict.get("infer", {})
        elements = [element for _, element in nodes(infer.get("indexElems", ()))]
        if table is not None and table.partition_column is not None and elements:
            names = [element.get("name", "an expression") for element in elements]
            if table.partition_column not in names:
                self.found.append(
                    Used(
                        what="conflict_target",
                        table=table.full_name,
                        column=table.partition_column,
                        becomes="",
                        how=f"ON CONFLICT ({', '.join(names)})",
                    )
                )
        columns = table.columns if table is not None else {}
        target.relations.append(Relation(alias="excluded", columns=columns, complete=table is not None))
        self._set(conflict.get("targetList", ()), table, target)
        self.read([infer, conflict.get("whereClause")], target)

    def _update(self, fields: Node, scope: Scope) -> Given:
        self._with(fields, scope)
        table = self._relation(fields["relation"], scope)
        self._from(fields.get("fromClause", ()), scope)
        self._set(fields.get("targetList", ()), table, scope)
        self.read(fields.get("whereClause"), scope)
        return self._returning(fields, scope)

    def _set(self, targets: Any, table: Table | None, scope: Scope) -> None:
        """The assignments of a SET."""
        columns = table.columns if table is not None else {}
        read: dict[int, list[Kind]] = {}
        for _, target in nodes(list(targets)):
            tag, value = tagged(target["val"])
            if tag != "MultiAssignRef":
                self.assign(columns.get(target["name"]), self.kind(target["val"], scope))
                continue
            # `(a, b) = …`: the source stands in the first of them.
            if value.get("colno", 1) == 1 and "source" in value:
                read[0] = self._sources(value["source"], scope)
            kinds = read.get(0, [])
            number = value.get("colno", 1) - 1
            self.assign(columns.get(target["name"]), kinds[number] if number < len(kinds) else None)

    def _sources(self, source: Any, scope: Scope) -> list[Kind]:
        tag, fields = tagged(source)
        if tag == "RowExpr":
            return [self.kind(one, scope) for one in fields.get("args", ())]
        if tag == "SubLink":
            return [kind for _, kind in self.query(fields["subselect"], scope)]
        self.kind(source, scope)
        return []

    def _delete(self, fields: Node, scope: Scope) -> Given:
        self._with(fields, scope)
        self._relation(fields["relation"], scope)
        self._from(fields.get("usingClause", ()), scope)
        self.read(fields.get("whereClause"), scope)
        return self._returning(fields, scope)

    def _merge(self, fields: Node, scope: Scope) -> Given:
        self._with(fields, scope)
        table = self._relation(fields["relation"], scope)
        self._from([fields["sourceRelation"]], scope)
        self.read(fields.get("joinCondition"), scope)
        columns = table.columns if table is not None else {}
        for _, clause in nodes(fields.get("mergeWhenClauses", ())):
            self.read(clause.get("condition"), scope)
            values = clause.get("values")
            if values is None:
                self._set(clause.get("targetList", ()), table, scope)
                continue
            named = [target["name"] for _, target in nodes(clause.get("targetList", ()))] or list(columns)
            for name, value in zip(named, values, strict=False):
                self.assign(columns.get(name), self.kind(value, scope))
        return self._returning(fields, scope)

    def _returning(self, fields: Node, scope: Scope) -> Given:
        listed = fields.get("returningList") or fields.get("returningClause", {}).get("exprs", ())
        return self._targets(listed, scope)


def _renamed(given: Sequence[tuple[str, Kind]], names: Sequence[str]) -> dict[str, Kind]:
    """Columns under the names that an alias gives to the first of them."""
    shown = [*names, *(name for name, _ in given[len(names) :])]
    return {name: kind for name, (_, kind) in zip(shown, given, strict=False)}


def _element(kind: Kind) -> Kind:
    return replace(kind, array=False) if kind is not None else None
