"""Who writes to the platform: one client with its own rows, and the rows it shares with others."""

from dataclasses import dataclass

from demo.clients.actor import Actor
from demo.clients.tables import Key, Row
from demo.clients.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Ids of rows that were there before and have no owner. `holders` are (user, tenant) with permissions."""

    tenants: tuple[str, ...]
    accounts: tuple[str, ...]
    roles: tuple[str, ...]
    users: tuple[str, ...]
    media: tuple[str, ...]
    sessions: tuple[str, ...]
    subscriptions: tuple[str, ...]
    tags: tuple[str, ...]
    jobs: tuple[str, ...]
    holders: tuple[tuple[str, str], ...]


class PlatformActor(Actor[Shared]):
    def own_user(self, tx: Transaction) -> Key:
        """One of the own users, or a new one with membership, role and preference."""
        return tx.model.pick("User") or self.new_user(tx)

    def new_user(self, tx: Transaction) -> Key:
        row: Row = {
            "id": self.new_id(),
            "tenantId": self.rng.choice(self.shared.tenants),
            "email": f"{self.label('user')}@example.com",
            "name": self.rng.choice([None, "Ada", "Łukasz", "O'Brien"]),
            "status": "invited",
            "isAdmin": "false",
            "createdBy": self.rng.choice(self.shared.users),
        }
        (user,) = key = tx.insert("User", row)
        tx.insert(
            "AccountMember", {"accountId": self.rng.choice(self.shared.accounts), "userId": user, "role": "guest"}
        )
        tx.insert("role_assignments", self.assignment(user))
        return key

    def assignment(self, user: str) -> Row:
        scoped = self.rng.random() < 0.5
        return {
            "id": self.new_id(),
            "role_id": self.rng.choice(self.shared.roles),
            "user_id": user,
            "scope_type": "account" if scoped else None,
            "scope_id": self.rng.choice(self.shared.accounts) if scoped else None,
        }

    def own_content(self, tx: Transaction) -> Key:
        return tx.model.pick("Content") or self.new_content(tx)

    def whole_content(self, tx: Transaction) -> Key:
        """A content that this client has made."""
        return self.pick_whole(tx, "Content") or self.new_content(tx)

    def new_content(self, tx: Transaction) -> Key:
        user = self.own_user(tx)
        row: Row = {
            "id": self.new_id(),
            "tenantId": tx.model.rows["User"][user]["tenantId"],
            "authorId": user[0],
            "editorId": self.rng.choice([None, self.rng.choice(self.shared.users)]),
            "categoryId": None,
            "title": self.label("title"),
            "body": self.rng.choice([None, 'He said "hello"\nand went\t.']),
            "status": "draft",
            "type": self.rng.choice(["article", "page"]),
            "mediaIds": self.media_list(),
            "metadata": f'{{"owner": "{user[0]}", "words": {self.rng.randint(1, 999)}}}',
        }
        return tx.insert("Content", row)

    def media_list(self) -> str:
        """An array of ids as the server prints it."""
        return "{" + ",".join(self.rng.sample(self.shared.media, k=self.rng.randint(0, 3))) + "}"

    def comment(self, tx: Transaction, content: Key, parent: Key | None = None) -> Key:
        row: Row = {
            "id": self.new_id(),
            "contentId": content[0],
            "userId": self.own_user(tx)[0],
            "parentId": parent[0] if parent else None,
            "text": self.label("comment"),
            "isHidden": "false",
        }
        return tx.insert("ContentComment", row)

    def new_tag(self, tx: Transaction) -> Key:
        row: Row = {
            "uuid": self.new_id(),
            "tenantId": self.rng.choice(self.shared.tenants),
            "groupId": None,
            "name": self.label("tag"),
            "color": self.rng.choice([None, "#0000ff"]),
        }
        return tx.insert("Tag", row)

    def activity(self) -> Row:
        return {
            "uuid": self.new_id(),
            "tenantId": self.rng.choice(self.shared.tenants),
            "userId": self.rng.choice([None, self.rng.choice(self.shared.users)]),
            "sessionId": self.rng.choice([None, self.rng.choice(self.shared.sessions)]),
            "name": self.rng.choice(["view", "click"]),
            "properties": f'{{"page": {self.rng.randint(1, 99)}}}',
        }

    def audit_event(self, content: Row) -> Row:
        return {
            "id": self.new_id(),
            "tenant_id": content["tenantId"],
            "actor_id": self.rng.choice(self.shared.users),
            "entity_type": "content",
            "entity_id": content["id"],
            "action": self.rng.choice(["create", "update"]),
            "before": None,
            "after": f'{{"title": "{content["title"]}"}}',
        }
