"""What the platform's clients read, and what they must find."""

import uuid

from demo.clients.tables import Key, canonical_text
from demo.clients.transaction import Surprise, Transaction
from demo.datasets.platform.workload.actor import PlatformActor


def read(tx: Transaction, actor: PlatformActor) -> None:
    """Own rows as they were left; a join, lists, an element of an array."""
    for table in ("Content", "ContentComment", "AccountMember", "ActivityEvent", "audit_events", "Payment", "Tag"):
        if key := tx.model.pick(table):
            tx.read_back(table, key)
    _latest(tx, actor)
    content = actor.pick_whole(tx, "Content")
    if content is not None:
        _of_content(tx, content)


def _of_content(tx: Transaction, content: Key) -> None:
    """A content that this client has made: everything that hangs on it is its own."""
    row = tx.model.rows["Content"][content]
    author = tx.model.rows["User"][(row["authorId"] or "",)]
    if tx.fetch("content with author", content) != [(row["title"], author["email"])]:
        raise Surprise(f"content {content[0]} has another title or author")
    comments = tx.model.children_in("ContentComment", "Content", content)
    found = {canonical_text(str(one)) for (one,) in tx.fetch("comments of content", content)}
    # The list is cut off at 50.
    if found - {canonical_text(one) for (one,) in comments} or len(found) < min(len(comments), 50):
        raise Surprise(f"content {content[0]} has other comments than were written")
    tags = tx.model.children_in("_ContentToTag", "Content", content)
    if len(tx.fetch("tags of content", content)) != len(tags):
        raise Surprise(f"content {content[0]} has other tags than were given")
    media = (row["mediaIds"] or "{}").strip("{}").split(",")[0]
    # An array that was written as uuids comes back from a rollback in the canonical spelling: no foreign key says whose
    # ids these are. A search for another spelling in texts then finds nothing.
    if media and media == _canonical(media) and len(tx.fetch("content with media", [*content, media])) != 1:
        raise Surprise(f"content {content[0]} is not found by a medium of its array")
    history = {canonical_text(str(one)) for (one,) in tx.fetch("history of content", content)}
    known = {
        canonical_text(key[0])
        for key, event in tx.model.rows["audit_events"].items()
        if event["entity_id"] == content[0]
    }
    if known - history:
        raise Surprise(f"content {content[0]} lacks entries of its history")


def _latest(tx: Transaction, actor: PlatformActor) -> None:
    """A list with ORDER BY and LIMIT, over all partitions."""
    times = [str(at) for (at,) in tx.fetch("latest of tenant", [actor.rng.choice(actor.shared.tenants)])]
    if times != sorted(times, reverse=True) or len(times) > 20:
        raise Surprise("the latest events of a tenant are not in order")


def ask_permissions(tx: Transaction, actor: PlatformActor) -> None:
    """What some users may do, by way of the permission cache."""
    for user, tenant in actor.rng.choices(actor.shared.holders, k=4):
        # The function takes texts. Ids are uuids now, so their texts have one spelling.
        if tx.fetch("ask permissions", [_canonical(user), _canonical(tenant)]) in ([], [(None,)]):
            raise Surprise(f"user {user} has lost the permissions")


def _canonical(text: str) -> str:
    """A uuid as the server writes it."""
    return str(uuid.UUID(text))
