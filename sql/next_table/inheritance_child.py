"""The next table of a child in classic inheritance: its columns and constraints are as inherited as the live one's are.

`ALTER TABLE … INHERIT` makes no column an inherited one, and a dropped column of a parent would then stay with its
children. So the next table is born of a stub, which has everything; what the live child has declared itself is
declared again, or taken from the stub alone. At the swap the parents come before the stub goes, so nothing that was
inherited becomes the child's own in between.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composable, Identifier

from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.statements import Statement


def create_inheritance_child(
    connection: Connection, child: Identifier, stub: Identifier, *, live_oid: int, stored: Composable
) -> Iterator[Statement]:
    """Create `child` with the stub's columns, in their order. The stub has the columns, defaults and CHECKs wanted."""
    named = {"oid": live_oid, "stub": stub.as_string(connection)}
    declared = [SQL(found["declared"]) for found in rows(connection, query("inheritance.child_columns"), named)]
    born = SQL("CREATE TABLE {} ({}) INHERITS ({}) {}").format(child, SQL(", ").join(declared), stub, stored)
    yield Statement(sql=born)
    for own in rows(connection, query("inheritance.child_constraints"), named):
        name = Identifier(own["name"])
        if own["definition"] is None:
            # With ONLY, what the child had from the stub becomes its own.
            yield Statement(sql=SQL("ALTER TABLE ONLY {} DROP CONSTRAINT {}").format(stub, name))
        else:
            added = SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
            yield Statement(sql=added.format(child, name, SQL(own["definition"])))
    named = {"oid": live_oid, "child": child.as_string(connection)}
    for found in rows(connection, query("inheritance.child_attributes"), named):
        yield Statement(sql=SQL(found["statement"]))
