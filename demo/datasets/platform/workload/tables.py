"""Fifteen of the platform's tables as its application knows them, by the names in schema.prisma's models."""

from demo.clients.tables import OnDelete, Table, Tables, reference, table

PLATFORM = Tables(
    (
        table(
            "User",
            "id",
            "tenantId email name status isAdmin createdBy",
            ids="id tenantId createdBy",
            stamped="updatedAt",
        ),
        table("AccountMember", "accountId userId", "role", ids="accountId userId"),
        table("role_assignments", "id", "role_id user_id scope_type scope_id", ids="id role_id user_id"),
        table("NotificationPreference", "userId channel", "isEnabled", ids="userId"),
        table("Category", "id", "tenantId parentId name position", ids="id tenantId parentId"),
        table(
            "Content",
            "id",
            "tenantId authorId editorId categoryId title body status type mediaIds metadata",
            ids="id tenantId authorId editorId categoryId",
            id_lists="mediaIds",
            stamped="updatedAt",
        ),
        table("ContentComment", "id", "contentId userId parentId text isHidden", ids="id contentId userId parentId"),
        # The other shape of key: the database counts, and the client makes the uuid by which it knows the row.
        table("Tag", "uuid", "id tenantId groupId name color", ids="uuid tenantId", made="id"),
        table("_ContentToTag", "A B", ids="A"),
        table(
            "ActivityEvent",
            "uuid",
            "id tenantId userId sessionId name properties",
            ids="uuid tenantId userId sessionId",
            made="id",
        ),
        table(
            "audit_events",
            "id",
            "tenant_id actor_id entity_type entity_id action before after",
            ids="id tenant_id actor_id",
        ),
        table(
            "Invoice",
            "id",
            "accountId subscriptionId number status total currency dueOn",
            ids="id accountId subscriptionId",
        ),
        table("InvoiceLine", "id", "invoiceId text amount", ids="invoiceId", made="id"),
        table("Payment", "id", "invoiceId method amount", ids="id invoiceId"),
        table("Job", "id", "queue state payload attempts", ids="id"),
    ),
    (
        reference("AccountMember", "userId", "User", OnDelete.CASCADE),
        reference("role_assignments", "user_id", "User", OnDelete.CASCADE),
        reference("NotificationPreference", "userId", "User", OnDelete.CASCADE),
        reference("Category", "parentId", "Category", OnDelete.SET_NULL),
        reference("Content", "authorId", "User", OnDelete.RESTRICT),
        reference("Content", "editorId", "User", OnDelete.SET_NULL),
        reference("Content", "categoryId", "Category", OnDelete.SET_NULL),
        reference("ContentComment", "contentId", "Content", OnDelete.CASCADE),
        reference("ContentComment", "userId", "User", OnDelete.RESTRICT),
        reference("ContentComment", "parentId", "ContentComment", OnDelete.SET_NULL),
        reference("_ContentToTag", "A", "Content", OnDelete.CASCADE),
        reference("_ContentToTag", "B", "Tag", OnDelete.CASCADE),
        reference("InvoiceLine", "invoiceId", "Invoice", OnDelete.CASCADE),
        reference("Payment", "invoiceId", "Invoice", OnDelete.RESTRICT),
    ),
)

REFERRED = {
    name: table(name, "id", columns, ids="id tenantId roleId")
    for name, columns in (
        ("Tenant", ""),
        ("Account", ""),
        ("Role", "tenantId"),
        ("Media", ""),
        ("UserSession", ""),
        ("Subscription", ""),
        ("role_permissions", "roleId"),
    )
}
"""Tables that the application only refers to."""

KNOWN: dict[str, Table] = {**PLATFORM.by_name, **REFERRED}
