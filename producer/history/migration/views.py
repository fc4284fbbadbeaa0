"""Views over converted tables in the migration script: they go before, and come back as the live ones are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier, Literal

from producer.history.changes.changes import Table
from producer.history.migration.partitioning import Named
from sql.catalogue import prisma
from sql.catalogue.prisma import LiveView
from sql.scripts.compatibility_views import compatibility_views
from sql.session.connection import Connection
from sql.session.table_names import server_text

IF_NOTED = """\
DO $view$
BEGIN
  IF current_setting('replank.view_{}') = 'true' THEN
    EXECUTE {};
  END IF;
END
$view$"""


@dataclass(frozen=True, kw_only=True)
class Views:
    """Views over converted tables, those that others read first.

    `own` is one that the script makes itself, between `below` and those `above`, which read it.
    """

    below: tuple[LiveView, ...]
    own: Table | None
    above: tuple[LiveView, ...]

    def dropped(self, named: Named) -> Iterator[Composable]:
        """Those that others read last."""
        if self._may_miss(named):
            for number, view in enumerate((*self.below, *self.above)):
                yield _noted(number, named(view.schema, view.name))
        for view in reversed(self.above):
            yield _dropped(view, named)
        if self.own is not None:
            yield SQL("DROP VIEW IF EXISTS {}").format(named(*self.own))
        for view in reversed(self.below):
            yield _dropped(view, named)

    def made(self, named: Named, *, own: Composable | None) -> Iterator[Composable]:
        conditional = self._may_miss(named)
        for number, view in enumerate((*self.below, *self.above)):
            if number == len(self.below) and own is not None:
                yield own
            made = _made(view, named)
            yield _if_noted(number, made) if conditional else made
        if not self.above and own is not None:
            yield own

    def _may_miss(self, named: Named) -> bool:
        """Whether some lie in schemas that Prisma may know nothing of: what is made of its migrations lacks them."""
        return any(view.schema != named.default_schema for view in (*self.below, *self.above))


def views_over(connection: Connection, oids: Sequence[int], *, own: Table | None) -> Views:
    """Of the live database. Views under old names are for its clients, so they are left out."""
    left_out = {(view.schema, view.name) for view in compatibility_views(connection)}
    found = [view for view in prisma.read_views_over(connection, oids) if (view.schema, view.name) not in left_out]
    oid = None if own is None else prisma.view_oid(connection, *own)
    readers = [] if oid is None else prisma.read_views_over(connection, [oid])
    others = [view for view in found if (view.schema, view.name) != own]
    return Views(
        below=tuple(view for view in others if view not in readers),
        own=own,
        above=tuple(view for view in others if view in readers),
    )


def _kind(view: LiveView) -> SQL:
    return SQL("MATERIALIZED VIEW" if view.materialized else "VIEW")


def _dropped(view: LiveView, named: Named) -> Composable:
    return SQL("DROP {} IF EXISTS {}").format(_kind(view), named(view.schema, view.name))


def _made(view: LiveView, named: Named) -> Composable:
    body = server_text(view.definition.strip().rstrip(";"))
    return SQL("CREATE {} {} AS\n{}").format(_kind(view), named(view.schema, view.name), body)


def _noted(number: int, name: Identifier) -> Composable:
    words = "SELECT set_config('replank.view_{}', (to_regclass({}) IS NOT NULL)::text, false)"
    return SQL(words).format(SQL(str(number)), Literal(name.as_string(None)))


def _if_noted(number: int, made: Composable) -> Composable:
    return SQL(IF_NOTED).format(SQL(str(number)), Literal(made.as_string(None)))
