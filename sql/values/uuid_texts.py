"""Texts that are uuids, and uuids that are made of texts which are none."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from psycopg.sql import SQL, Composable

HAS_INPUT_IS_VALID = 160_000
"""`pg_input_is_valid` exists from this `server_version_num` on."""

# Two forms PostgreSQL's uuid_in accepts: bare and braced, a hyphen allowed after any four digits.
UUID_PATTERN = "^([0-9a-f]{4}(-?[0-9a-f]{4}){7}|[{][0-9a-f]{4}(-?[0-9a-f]{4}){7}[}])$"

NAMESPACE = uuid5(NAMESPACE_URL, "https://replank.dev/name-based")
"""Of name-based uuids: `uuid3(NAMESPACE, text)` gives the same in any language."""


def name_based(text: Composable) -> Composable:
    """The version 3 uuid of a text (RFC 9562): MD5 of namespace and name, with the version's and variant's bits."""
    return SQL(
        "(SELECT pg_catalog.overlay(pg_catalog.overlay(h, '3', 13), pg_catalog.substr('89ab',"
        " 1 + (('x' || pg_catalog.substr(h, 17, 1))::bit(4)::int & 3), 1), 17)::uuid"
        " FROM pg_catalog.md5({}::bytea || pg_catalog.convert_to({}, 'UTF8')) AS h)"
    ).format("\\x" + NAMESPACE.hex, text)


def is_valid(reference: Composable, server_version: int, *, array: bool = False) -> Composable:
    """Whether a text, or each of an array's, is a uuid, by the server's own parser, or by the pattern before 16."""
    if server_version >= HAS_INPUT_IS_VALID:
        kind = "uuid[]" if array else "uuid"
        return SQL("pg_catalog.pg_input_is_valid({}::pg_catalog.text, {})").format(reference, kind)
    if array:
        each = SQL("SELECT FROM pg_catalog.unnest({}::pg_catalog.text::pg_catalog.text[]) AS e WHERE {} !~* {}")
        return SQL("NOT EXISTS ({})").format(each.format(reference, bytewise(SQL("e")), UUID_PATTERN))
    return SQL("({} ~* {})").format(bytewise(SQL("{}::pg_catalog.text").format(reference)), UUID_PATTERN)


def bytewise(text: Composable) -> Composable:
    """No pattern is matched under a collation that takes different texts for equal."""
    return SQL('{} COLLATE pg_catalog."C"').format(text)
