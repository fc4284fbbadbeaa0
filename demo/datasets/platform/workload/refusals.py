"""What the platform's database must refuse at every moment."""

from psycopg.errors import ForeignKeyViolation, NotNullViolation, UniqueViolation

from demo.clients.tables import Row
from demo.clients.transaction import Transaction
from demo.datasets.platform.workload.actor import PlatformActor


def refused(tx: Transaction, actor: PlatformActor) -> None:
    """Break one constraint; nothing of it may remain."""
    content = tx.model.rows["Content"][actor.own_content(tx)]
    orphan: Row = {
        "id": actor.new_id(),
        "contentId": actor.new_id(),
        "userId": content["authorId"],
        "parentId": None,
        "text": "text",
        "isHidden": "false",
    }
    match actor.rng.randrange(5):
        case 0:
            tx.refused("ContentComment", orphan, ForeignKeyViolation)
        case 1:
            tx.refused("ContentComment", {**orphan, "contentId": content["id"], "text": None}, NotNullViolation)
        case 2:
            user = tx.model.rows["User"][actor.own_user(tx)]
            tx.refused("User", {**user, "id": actor.new_id()}, UniqueViolation)
        case 3:
            tx.refused("Content", {**content, "title": "the same id"}, UniqueViolation)
        case _:
            tx.refused("_ContentToTag", {"A": actor.new_id(), "B": actor.shared.tags[0]}, ForeignKeyViolation)
