"""What the platform's clients do, kind by kind: each operation is one transaction's content."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from demo.clients.kind import Kind
from demo.clients.tables import Row
from demo.clients.transaction import Surprise, Transaction
from demo.datasets.platform.workload.actor import PlatformActor
from demo.datasets.platform.workload.reading import ask_permissions, read
from demo.datasets.platform.workload.refusals import refused

Operation = Callable[[Transaction, PlatformActor], None]


def write_content(tx: Transaction, actor: PlatformActor) -> None:
    """A content with comments, one of which answers another, and a tag."""
    content = actor.new_content(tx)
    first = actor.comment(tx, content)
    actor.comment(tx, content, parent=first)
    link_tag(tx, actor, content[0])
    tx.insert("audit_events", actor.audit_event(tx.model.rows["Content"][content]))


def link_tag(tx: Transaction, actor: PlatformActor, content: str) -> None:
    """A row of the implicit many-to-many table; sometimes it is moved to another tag."""
    link = tx.insert("_ContentToTag", {"A": content, "B": actor.rng.choice(actor.shared.tags)})
    if actor.rng.random() < 0.3:
        tag = tx.model.rows["Tag"][tx.model.pick("Tag") or actor.new_tag(tx)]
        tx.update("_ContentToTag", link, B=tag["id"])


def edit_content(tx: Transaction, actor: PlatformActor) -> None:
    """Text, a status of few words, JSON, an array of ids: of old rows and of new ones."""
    content = actor.own_content(tx)
    if actor.rng.random() < 0.5:
        status = actor.rng.choice(["draft", "review", "published", "archived"])
        tx.update("Content", content, title=actor.label("title"), status=status, metadata='{"tags": ["ä", null]}')
    else:
        tx.update("Content", content, mediaIds=actor.media_list(), editorId=actor.rng.choice(actor.shared.users))
    tx.insert("audit_events", actor.audit_event(tx.model.rows["Content"][content]))


def comment(tx: Transaction, actor: PlatformActor) -> None:
    """A comment, and a change of another; now and then all of a content's at once."""
    content = actor.whole_content(tx)
    actor.comment(tx, content)
    if key := tx.model.pick("ContentComment"):
        tx.update("ContentComment", key, text=actor.label("edited"))
    if actor.rng.random() < 0.3:
        comments = tx.model.children_in("ContentComment", "Content", content)
        tx.run("hide comments", content, rows=len(comments))
        for one in comments:
            tx.model.update("ContentComment", one, isHidden="true")


def log_activity(tx: Transaction, actor: PlatformActor) -> None:
    """Rows of the two tables that get partitions; some are changed, too."""
    for _ in range(actor.rng.randint(1, 3)):
        tx.insert("ActivityEvent", actor.activity())
    if actor.rng.random() < 0.3 and (key := tx.model.pick("ActivityEvent")):
        tx.update("ActivityEvent", key, properties='{"seen": true}')
    if actor.rng.random() < 0.3 and (key := tx.model.pick("audit_events")):
        tx.update("audit_events", key, after=None)


def member(tx: Transaction, actor: PlatformActor) -> None:
    """A user with membership and role; another one changes."""
    actor.new_user(tx)
    user = actor.own_user(tx)
    tx.update("User", user, name=actor.label("name"), status=actor.rng.choice(["active", "blocked"]))
    if key := tx.model.pick("AccountMember"):
        tx.update("AccountMember", key, role=actor.rng.choice(["owner", "member"]))
    tx.insert("role_assignments", actor.assignment(user[0]))


def prefer(tx: Transaction, actor: PlatformActor) -> None:
    """INSERT … ON CONFLICT on a composite key, now inserting, now updating."""
    row: Row = {
        "userId": actor.own_user(tx)[0],
        "channel": actor.rng.choice(["mail", "push"]),
        "isEnabled": actor.rng.choice(["true", "false"]),
    }
    tx.run("upsert NotificationPreference", list(row.values()), rows=1)
    tx.model.put("NotificationPreference", row)


def bill(tx: Transaction, actor: PlatformActor) -> None:
    """An invoice with lines and a payment; another one changes."""
    row: Row = {
        "id": actor.new_id(),
        "accountId": actor.rng.choice(actor.shared.accounts),
        "subscriptionId": actor.rng.choice([None, actor.rng.choice(actor.shared.subscriptions)]),
        "number": actor.label("INV"),
        "status": "open",
        "total": actor.money(),
        "currency": "EUR",
        "dueOn": "2026-12-24",
    }
    (invoice,) = key = tx.insert("Invoice", row)
    for text in ("licence", "support"):
        tx.insert("InvoiceLine", {"invoiceId": invoice, "text": text, "amount": actor.money()})
    tx.insert("Payment", {"id": actor.new_id(), "invoiceId": invoice, "method": "card", "amount": actor.money()})
    tx.update("Invoice", key, status="paid", total=actor.money())
    if payment := tx.model.pick("Payment"):
        tx.update("Payment", payment, amount=actor.money())


def tree(tx: Transaction, actor: PlatformActor) -> None:
    """A category goes: its child and its content stay, without it."""
    tenant = actor.rng.choice(actor.shared.tenants)
    parent, child = (
        tx.insert(
            "Category", {"id": actor.new_id(), "tenantId": tenant, "parentId": None, "name": "x", "position": "1"}
        )
        for _ in range(2)
    )
    tx.update("Category", child, parentId=parent[0])
    tx.update("Content", actor.whole_content(tx), categoryId=parent[0])
    if actor.rng.random() < 0.5:
        tx.delete("Category", parent)


def work(tx: Transaction, actor: PlatformActor) -> None:
    """Jobs of one's own, and counters in rows that all clients write to; sorted, so that clients do not deadlock."""
    row: Row = {"id": actor.new_id(), "queue": "mail", "state": "waiting", "payload": '{"n": 1}', "attempts": "0"}
    tx.insert("Job", row)
    if key := tx.model.pick("Job"):
        tx.update("Job", key, state="done", payload='{"n": 2}')
    for job in sorted(actor.rng.sample(actor.shared.jobs, k=min(2, len(actor.shared.jobs)))):
        tx.run("attempt Job", [job], rows=1)
        tx.model.count("Job", "attempts", job, 1)


def delete(tx: Transaction, actor: PlatformActor) -> None:
    """Single rows that nothing hangs on."""
    for table in ("ActivityEvent", "audit_events", "Payment", "Job", "_ContentToTag", "AccountMember"):
        if actor.rng.random() < 0.5 and (key := actor.pick_whole(tx, table)):
            tx.delete(table, key)
    if key := actor.pick_whole(tx, "ContentComment"):
        tx.delete("ContentComment", key)


def delete_parent(tx: Transaction, actor: PlatformActor) -> None:
    """A content or a user, with everything below."""
    content = actor.whole_content(tx)
    tx.delete("Content", content)
    user = actor.new_user(tx)
    if actor.rng.random() < 0.5:
        tx.delete("User", user)


def rekey(tx: Transaction, actor: PlatformActor) -> None:
    """A content gets another id; comments and tags follow by ON UPDATE CASCADE."""
    tx.update("Content", actor.whole_content(tx), id=actor.new_id())


def tag(tx: Transaction, actor: PlatformActor) -> None:
    """A row that the database numbers and the client knows by its uuid."""
    key = actor.new_tag(tx)
    tx.update("Tag", tx.model.pick("Tag") or key, name=actor.label("tag"), color="#00ff00")
    if actor.rng.random() < 0.3:
        tx.delete("Tag", key)


def several(tx: Transaction, actor: PlatformActor) -> None:
    """A bit of everything on own rows."""
    for operation in (write_content, edit_content, comment, log_activity, delete):
        operation(tx, actor)


def _signed(operation: Operation) -> Operation:
    """The transaction says first who works, and in which request: audit tables want to know."""

    def run(tx: Transaction, actor: PlatformActor) -> None:
        if tx.fetch("say who", [actor.name, actor.label("request")]) == []:
            raise Surprise("settings of the transaction could not be made")
        operation(tx, actor)

    return run


_OF_ALL: Mapping[str, Kind[PlatformActor]] = {
    "write_content": Kind(run=_signed(write_content), weight=12),
    "edit_content": Kind(run=_signed(edit_content), weight=16),
    "comment": Kind(run=_signed(comment), weight=8),
    "log_activity": Kind(run=_signed(log_activity), weight=14),
    "member": Kind(run=_signed(member), weight=4),
    "prefer": Kind(run=_signed(prefer), weight=6),
    "bill": Kind(run=_signed(bill), weight=5),
    "tree": Kind(run=_signed(tree), weight=2),
    "work": Kind(run=_signed(work), weight=8),
    "delete": Kind(run=_signed(delete), weight=8),
    "delete_parent": Kind(run=_signed(delete_parent), weight=3),
    "rekey": Kind(run=_signed(rekey), weight=1),
    "tag": Kind(run=_signed(tag), weight=4),
    "read": Kind(run=read, weight=12),
    "refused": Kind(run=_signed(refused), weight=2),
    "rolled_back": Kind(run=_signed(several), weight=2, rollback=True),
    "paused": Kind(run=_signed(several), weight=0.2, pause_s=0.5),
}

OLD_KINDS: Mapping[str, Kind[PlatformActor]] = MappingProxyType(dict(_OF_ALL))

NEW_KINDS: Mapping[str, Kind[PlatformActor]] = MappingProxyType(
    {**_OF_ALL, "ask_permissions": Kind(run=ask_permissions, weight=24)}
)
"""Clients of the new style ask the permission cache, which the migration has made."""
