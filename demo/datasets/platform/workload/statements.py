"""The platform's statements that are written out (`demo.clients.styles.statements` says how)."""

from collections.abc import Mapping

STATEMENTS: Mapping[str, str] = {
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
