"""What the platform's database must refuse at every moment."""

from demo.application.transaction import Transaction
from demo.platform.application.actor import Actor

_NOT_NULL = "23502"
_FOREIGN_KEY = "23503"
_UNIQUE = "23505"


def refused(tx: Transaction, actor: Actor) -> None:
    """Break one constraint; nothing of it may remain."""
    content = tx.model.rows["Content"][actor.own_content(tx)]
    orphan = {"id": actor.new_id(), "contentId": actor.new_id(), "userId": content["authorId"], "parentId": None}
    match actor.rng.randrange(5):
        case 0:
            tx.refused("insert ContentComment", [*orphan.values(), "text", "false"], _FOREIGN_KEY)
        case 1:
            untold = {**orphan, "contentId": content["id"]}
            tx.refused("insert ContentComment", [*untold.values(), None, "false"], _NOT_NULL)
        case 2:
            user = dict(tx.model.rows["User"][actor.own_user(tx)])
            tx.refused("insert User", list({**user, "id": actor.new_id()}.values()), _UNIQUE)
        case 3:
            again = {**content, "title": "the same id"}
            tx.refused("insert Content", list(again.values()), _UNIQUE)
        case _:
            tx.refused("insert _ContentToTag", [actor.new_id(), actor.shared.tags[0]], _FOREIGN_KEY)
