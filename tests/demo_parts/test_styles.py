"""A statement is written once; each style says it by the names and with the types that it knows."""

import uuid

import pytest

from demo.clients.names import AS_WRITTEN, Names
from demo.clients.styles.statements import Sort, Statements, Vocabulary
from demo.clients.styles.typed import send_typed
from demo.clients.styles.untyped import send_untyped
from demo.clients.tables import table

pytestmark = pytest.mark.unit

USER = table("User", "id", "email mediaIds", ids="id", id_lists="mediaIds", stamped="updatedAt")
TAG = table("Tag", "uuid", "id", schema="shop", ids="uuid", made="id")
RENAMED = Names(
    tables={"User": "user"}, columns={("User", "mediaIds"): "media_ids", ("User", "updatedAt"): "updated_at"}
)
WRITTEN_OUT = {
    "tagged": "SELECT [.email] FROM [User] JOIN [Tag] ON [Tag.uuid] = <Tag.uuid> WHERE [.mediaIds] = <.mediaIds> AND <>"
}


def statements(names: Names) -> Statements:
    return Statements(Vocabulary(tables={"User": USER, "Tag": TAG}, names=names, written_out=WRITTEN_OUT))


def test_a_statement_has_the_names_that_the_clients_know() -> None:
    old, new = statements(AS_WRITTEN), statements(RENAMED)
    assert old.written_out("tagged").text == (
        b'SELECT "email" FROM "public"."User" JOIN "shop"."Tag" ON "uuid" = %s WHERE "mediaIds" = %s AND %s'
    )
    assert new.written_out("tagged").text == (
        b'SELECT "email" FROM "public"."user" JOIN "shop"."Tag" ON "uuid" = %s WHERE "media_ids" = %s AND %s'
    )
    assert new.update(USER, ["mediaIds"]).text == (
        b'UPDATE "public"."user" SET "media_ids" = %s, "updated_at" = now() WHERE "id" = %s'
    )
    assert new.insert(TAG).text == b'INSERT INTO "shop"."Tag" ("uuid") VALUES (%s) RETURNING "id"::text'


def test_ids_are_sent_as_each_style_sends_them() -> None:
    assert statements(RENAMED).written_out("tagged").sorts == (Sort.ID, Sort.IDS, Sort.PLAIN)
    one, other = uuid.uuid4(), uuid.uuid4()
    given = [(Sort.ID, str(one).upper()), (Sort.IDS, f"{{{one},{other}}}"), (Sort.IDS, "{}"), (Sort.PLAIN, str(one))]
    assert [send_typed(sort, value) for sort, value in given] == [one, [one, other], [], str(one)]
    assert [send_untyped(sort, value) for sort, value in given] == [value for _, value in given]
    assert send_typed(Sort.ID, None) is None
