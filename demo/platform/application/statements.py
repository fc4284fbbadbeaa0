"""The statements of the platform's clients, in both styles.

They are written once: `[User]` is a table and `[User.email]` a column by the names of the style, `<User.id>` a
parameter that is sent as that column's type, `<>` one without a type. `[.email]` and `<.id>` are of the table that is
named first.
"""

import re

from psycopg.sql import SQL, Composable, Composed, Placeholder

from demo.application.names import AS_WRITTEN
from demo.application.statement import Sort, Statement, Style
from demo.platform.application.names import MAPPED
from demo.platform.application.tables import PLATFORM, REFERRED

_PLACE = re.compile(r"\[(\w*)(?:\.(\w+))?\]|<(\w*)(?:\.(\w+))?>")

_TABLES = {**PLATFORM.by_name, **REFERRED}

_WRITTEN_OUT: dict[str, str] = {
    "say who": "SELECT set_config('app.actor', <>, true), set_config('app.request_id', <>, true)",
    "upsert NotificationPreference": (
        "INSERT INTO [NotificationPreference] ([.userId], [.channel], [.isEnabled]) VALUES (<.userId>, <>, <>)"
        " ON CONFLICT ([.userId], [.channel]) DO UPDATE SET [.isEnabled] = EXCLUDED.[.isEnabled]"
    ),
    "attempt Job": "UPDATE [Job] SET [.attempts] = [.attempts] + 1 WHERE [.id] = <.id>",
    "hide comments": "UPDATE [ContentComment] SET [.isHidden] = true WHERE [.contentId] = <.contentId>",
    "comments of content": (
        "SELECT [.id]::text FROM [ContentComment] WHERE [.contentId] = <.contentId>"
        " ORDER BY [.createdAt], [.id] LIMIT 50"
    ),
    "content with author": (
        "SELECT c.[Content.title], u.[User.email] FROM [Content] AS c"
        " JOIN [User] AS u ON u.[User.id] = c.[Content.authorId]"
        " WHERE c.[Content.id] = <Content.id>"
    ),
    "content with media": "SELECT [.id]::text FROM [Content] WHERE [.id] = <.id> AND <.id> = ANY ([.mediaIds])",
    "tags of content": (
        "SELECT t.[Tag.uuid]::text FROM [_ContentToTag] AS l JOIN [Tag] AS t ON t.[Tag.id] = l.[_ContentToTag.B]"
        " WHERE l.[_ContentToTag.A] = <_ContentToTag.A>"
    ),
    "history of content": (
        "SELECT [.id]::text FROM [audit_events] WHERE [.entity_type] = 'content' AND [.entity_id] = <.entity_id>"
    ),
    "latest of tenant": (
        "SELECT [.createdAt] FROM [ActivityEvent] WHERE [.tenantId] = <.tenantId> ORDER BY [.createdAt] DESC LIMIT 20"
    ),
    "ask permissions": "SELECT permission.permissions_of(<>, <>)",
}

HOLDERS = (
    "SELECT DISTINCT a.[role_assignments.user_id]::text, r.[Role.tenantId]::text FROM [role_assignments] AS a"
    " JOIN [Role] AS r ON r.[Role.id] = a.[role_assignments.role_id]"
    " JOIN [role_permissions] AS p ON p.[role_permissions.roleId] = r.[Role.id]"
    " WHERE p.effect = 'allow' ORDER BY 1, 2 LIMIT 12"
)
"""Users with permissions, and the tenants in which they have them."""

TAGS = "SELECT [.id]::text FROM [Tag] ORDER BY [.id] LIMIT 40"

_UPDATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("User", ("name", "status")),
    ("AccountMember", ("role",)),
    ("Content", ("title", "status", "metadata")),
    ("Content", ("mediaIds", "editorId")),
    ("Content", ("categoryId",)),
    ("Content", ("id",)),
    ("ContentComment", ("text",)),
    ("Category", ("parentId",)),
    ("Tag", ("name", "color")),
    ("_ContentToTag", ("B",)),
    ("ActivityEvent", ("properties",)),
    ("audit_events", ("after",)),
    ("Invoice", ("status", "total")),
    ("Payment", ("amount",)),
    ("Job", ("state", "payload")),
)


def render(text: str, style: Style) -> Statement:
    """A statement of the style."""
    first = next((place[1] for place in _PLACE.finditer(text) if place[1]), "")
    sorts: list[Sort] = []
    parts: list[Composable] = []
    end = 0
    for place in _PLACE.finditer(text):
        parts.append(SQL(text[end : place.start()]))
        end = place.end()
        name, column, like, of = place.groups()
        if name is not None:
            table = _TABLES[name or first]
            parts.append(style.names.relation(table) if column is None else style.names.column(table, column))
        else:
            parts.append(Placeholder())
            sorts.append(style.sort(_TABLES[like or first], of) if of else Sort.UNTYPED)
    parts.append(SQL(text[end:]))
    return Statement(text=Composed(parts).as_bytes(None), sorts=tuple(sorts))


def _build(style: Style) -> dict[str, Statement]:
    built = {name: render(text, style) for name, text in _WRITTEN_OUT.items()}
    for table in PLATFORM.by_name.values():
        built.update(style.each(table))
    built.update(style.update(PLATFORM[name], columns) for name, columns in _UPDATES)
    return built


OLD_STYLE = _build(Style(names=AS_WRITTEN))
NEW_STYLE = _build(Style(names=MAPPED, typed=True))
