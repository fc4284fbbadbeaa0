"""What stands in the platform's columns: how many rows, which few words, which ids without a foreign key."""

from __future__ import annotations

SHARES: dict[str, int] = {
    "audit_events": 360,
    "ActivityEvent": 340,
    "ContentVersion": 30,
    "WebhookDelivery": 30,
    "Notification": 30,
    "WorkflowRunStep": 25,
    "MetricSample": 25,
    "ContentComment": 20,
    "Content": 15,
    "Media": 15,
    "MediaVariant": 15,
    "DataAccessLog": 15,
    "SecurityEvent": 10,
    "ContentReaction": 10,
    "WorkflowRun": 8,
    "User": 8,
}
"""Thousandths of all rows; every other table gets one, or LEAST_ROWS."""

LEAST_ROWS = 24

WORDS: dict[str, tuple[str, ...]] = {
    "Tenant.status": ("active", "active", "active", "suspended", "closed"),
    "Tenant.region": ("eu", "us", "ap"),
    "AccountMember.role": ("owner", "admin", "member", "guest"),
    "User.status": ("active", "active", "invited", "blocked"),
    "UserIdentity.provider": ("password", "google", "saml"),
    "Permission.action": ("read", "write", "delete", "manage"),
    "role_permissions.effect": ("allow", "allow", "allow", "deny"),
    "role_assignments.scope_type": ("account", "content"),
    "Invitation.status": ("pending", "accepted", "revoked", "expired"),
    "Content.status": ("draft", "review", "published", "archived"),
    "Content.type": ("article", "page", "snippet"),
    "ContentReaction.emoji": ("like", "heart", "laugh"),
    "Media.mimeType": ("image/jpeg", "image/png", "video/mp4", "application/pdf"),
    "Media.status": ("uploading", "ready", "ready", "failed"),
    "MediaVariant.name": ("thumb", "small", "large"),
    "ai_models.status": ("available", "preview", "retired"),
    "CategoryAssignment.ownerType": ("media",),
    "Plan.interval": ("month", "year"),
    "Subscription.status": ("trialing", "active", "past_due", "cancelled"),
    "Invoice.status": ("open", "paid", "void"),
    "Payment.method": ("card", "transfer", "wallet"),
    "Workflow.status": ("draft", "active", "paused"),
    "WorkflowStep.kind": ("action", "condition", "wait"),
    "WorkflowRun.state": ("queued", "running", "done", "failed"),
    "WorkflowRunStep.state": ("queued", "running", "done", "failed", "skipped"),
    "WebhookDelivery.event": ("content.created", "content.published", "media.ready"),
    "audit_events.entity_type": ("content",),
    "audit_events.action": ("create", "update", "delete", "read"),
    "ActivityEvent.name": ("view", "click", "search", "download"),
    "SecurityEvent.kind": ("login", "logout", "failure", "lockout"),
    "MetricSample.name": ("cpu", "memory", "queue", "latency"),
    "Notification.channel": ("mail", "push", "inbox"),
    "NotificationPreference.channel": ("mail", "push", "inbox"),
    "Job.queue": ("default", "mail", "media"),
    "Job.state": ("waiting", "running", "done", "failed"),
    "ExportRequest.format": ("csv", "json", "pdf"),
    "ExportRequest.state": ("waiting", "running", "done", "failed"),
    "Tag.color": ("#ff0000", "#00ff00", "#0000ff"),
}
"""Texts with few values: undeclared enums."""

REFERS: dict[str, str] = {
    "createdBy": "User",
    "requestedBy": "User",
    "actor_id": "User",
    "userId": "User",
    "tenantId": "Tenant",
    "tenant_id": "Tenant",
    "sessionId": "UserSession",
    "entity_id": "Content",
    "scope_id": "Account",
    "ownerId": "Media",
    "mediaIds": "Media",
    "contentIds": "Content",
    "resourceIds": "Content",
    "roleIds": "Role",
    "featureIds": "Feature.uuid",
}
"""Columns that hold ids of these tables, and no foreign key says so."""
