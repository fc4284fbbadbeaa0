"""Fifteen of the platform's tables as its application knows them, by the names in schema.prisma's models."""

from demo.application.tables import OnDelete, Reference, Table, Tables


def _table(
    name: str, key: str, columns: str = "", *, ids: str = "", id_lists: str = "", made: str = "", stamped: str = ""
) -> Table:
    return Table(
        schema="public",
        name=name,
        key=tuple(key.split()),
        columns=(*key.split(), *columns.split()),
        ids=frozenset(ids.split()),
        id_lists=frozenset(id_lists.split()),
        made=tuple(made.split()),
        stamped=tuple(stamped.split()),
    )


_TABLES = {
    table.name: table
    for table in (
        _table(
            *("User", "id", "tenantId email name status isAdmin createdBy"),
            ids="id tenantId createdBy",
            stamped="updatedAt",
        ),
        _table("AccountMember", "accountId userId", "role", ids="accountId userId"),
        _table("role_assignments", "id", "role_id user_id scope_type scope_id", ids="id role_id user_id"),
        _table("NotificationPreference", "userId channel", "isEnabled", ids="userId"),
        _table("Category", "id", "tenantId parentId name position", ids="id tenantId parentId"),
        _table(
            *("Content", "id", "tenantId authorId editorId categoryId title body status type mediaIds metadata"),
            ids="id tenantId authorId editorId categoryId",
            id_lists="mediaIds",
            stamped="updatedAt",
        ),
        _table("ContentComment", "id", "contentId userId parentId text isHidden", ids="id contentId userId parentId"),
        # The other shape of key: the database counts, and the client makes the uuid by which it knows the row.
        _table("Tag", "uuid", "id tenantId groupId name color", ids="uuid tenantId", made="id"),
        _table("_ContentToTag", "A B", ids="A"),
        _table(
            *("ActivityEvent", "uuid", "id tenantId userId sessionId name properties"),
            ids="uuid tenantId userId sessionId",
            made="id",
        ),
        _table(
            *("audit_events", "id", "tenant_id actor_id entity_type entity_id action before after"),
            ids="id tenant_id actor_id",
        ),
        _table(
            *("Invoice", "id", "accountId subscriptionId number status total currency dueOn"),
            ids="id accountId subscriptionId",
        ),
        _table("InvoiceLine", "id", "invoiceId text amount", ids="invoiceId", made="id"),
        _table("Payment", "id", "invoiceId method amount", ids="id invoiceId"),
        _table("Job", "id", "queue state payload attempts", ids="id"),
    )
}


def _reference(child: str, column: str, parent: str, on_delete: OnDelete, parent_column: str = "id") -> Reference:
    return Reference(
        child=child, columns=(column,), parent=parent, parent_columns=(parent_column,), on_delete=on_delete
    )


PLATFORM = Tables(
    _TABLES.values(),
    (
        _reference("AccountMember", "userId", "User", OnDelete.CASCADE),
        _reference("role_assignments", "user_id", "User", OnDelete.CASCADE),
        _reference("NotificationPreference", "userId", "User", OnDelete.CASCADE),
        _reference("Category", "parentId", "Category", OnDelete.SET_NULL),
        _reference("Content", "authorId", "User", OnDelete.RESTRICT),
        _reference("Content", "editorId", "User", OnDelete.SET_NULL),
        _reference("Content", "categoryId", "Category", OnDelete.SET_NULL),
        _reference("ContentComment", "contentId", "Content", OnDelete.CASCADE),
        _reference("ContentComment", "userId", "User", OnDelete.RESTRICT),
        _reference("ContentComment", "parentId", "ContentComment", OnDelete.SET_NULL),
        _reference("_ContentToTag", "A", "Content", OnDelete.CASCADE),
        _reference("_ContentToTag", "B", "Tag", OnDelete.CASCADE),
        _reference("InvoiceLine", "invoiceId", "Invoice", OnDelete.CASCADE),
        _reference("Payment", "invoiceId", "Invoice", OnDelete.RESTRICT),
    ),
)

REFERRED = {
    name: _table(name, "id", columns, ids="id tenantId roleId")
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
