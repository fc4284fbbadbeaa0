"""What the plan of torture.py changes in the catalogue, written down once for each of two judges."""

# ruff: noqa: E501 (definitions stand as the server writes them)

import re

PARTS = re.compile(r"event_\d{4}|event_default|orders_p\d|spread_[01]")
"""Partitions that the plan makes or takes away, and what belongs to one of them."""

VIEW_COLUMNS = {
    '"Side %".reading_new.account_id',
    '"Side %".reading_new.id',
    "shop.few.id",
    "shop.people.id",
    "shop.reading_old.account_id",
    "shop.reading_old.id",
    "shop.totals.id",
    "tools.above.id",
    "tools.rich.id",
    "tools.rich.order_id",
    "tools.top.id",
    "tools.top.order_id",
}
"""Columns of partitions and views over converted ones."""

EXPLAINED: dict[str, tuple[str, ...]] = {
    "the plan makes it uuid[]": ("column public.whole ids",),
    "it follows a column that becomes uuid": (
        "column shop.few id",
        "column shop.people id",
        "column shop.totals id",
        "column tools.above id",
        "column tools.rich id",
        "column tools.rich order_id",
        "column tools.top id",
        "column tools.top order_id",
    ),
    "the plan adds it": (
        "column public.setting made_at",
        "column shop.account created_by",
        "column shop.account public_id",
        "column shop.orders created_by",
    ),
    "the plan asks for a column that is unique or not null": (
        "constraint public.setting setting_changed_at_not_null",
        "constraint public.setting setting_made_at_not_null",
        "constraint public.whole whole_of_it_not_null",
        "constraint shop.account account_created_by_not_null",
        "constraint shop.account account_public_id_key",
        "constraint shop.account account_public_id_not_null",
        "index shop.account account_public_id_key",
    ),
    "the plan asks for what every update puts there": ("trigger shop.account account_on_update",),
    "the plan fills it": (
        "column public.setting changed_at",
        "column shop.orders updated_at",
    ),
    "the plan makes it uuid": (
        'column "Side %"."_OrderToTag" A',
        'column "Side %"."_OrderToTag" B',
        'column "Side %".reading_new account_id',
        'column "Side %".reading_new id',
        'column "Side %".tag id',
        "column public.a23456789_123456789_123456789_123456789_123456789_123456789_123 Id23456789_123456789_123456789_123456789_123456789_123456789_12",
        "column public.a23456789_123456789_123456789_123456789_123456789_123456789_123 up",
        "column public.named account_id",
        "column public.named id",
        "column public.summary account_id",
        "column public.whole id",
        "column public.whole of_it",
        'column shop."orderLine" account_id',
        'column shop."orderLine" order_id',
        "column shop.account id",
        "column shop.account manager_id",
        "column shop.beast account_id",
        "column shop.beast id",
        "column shop.being id",
        "column shop.event account_id",
        "column shop.event id",
        "column shop.hound account_id",
        "column shop.hound id",
        "column shop.orders account_id",
        "column shop.orders backup_id",
        "column shop.orders id",
        "column shop.reading account_id",
        "column shop.reading id",
        "column shop.reading_old account_id",
        "column shop.reading_old id",
        "column shop.spread id",
    ),
    "the plan partitions the table": (
        "constraint shop.event event_pkey",
        "constraint shop.orders orders_updated_at_not_null",
        "index shop.event event_kind",
        "index shop.event event_once",
        "index shop.event event_pkey",
        "index shop.orders orders_account",
        "index shop.orders orders_at",
        "index shop.orders orders_pkey",
        "index shop.orders orders_words",
        "index shop.spread spread_pkey",
        "table shop.event",
        "table shop.orders",
        "table shop.spread",
    ),
}
"""`catalogue-diff`: each line by its reason; without the partitions of the plan."""

SAID: dict[str, tuple[str | None, str | None]] = {
    "column public.whole.id": (
        'shop.entity_id; not null; collation "default"; storage x; statistics -1; position 1',
        "uuid; not null; default gen_random_uuid(); storage p; statistics -1; position 1",
    ),
    "column public.whole.of_it": (
        'shop.entity_id; collation "default"; storage x; statistics -1; position 5',
        "uuid; not null; default gen_random_uuid(); storage p; statistics -1; position 5",
    ),
    "column public.whole.ids": (
        "text[]; not null; default '{}'::text[]; collation \"default\"; storage x; statistics -1; position 4",
        "uuid[]; not null; default '{}'::uuid[]; storage x; statistics -1; position 4",
    ),
    "constraint public.whole.whole_of_it_not_null": (None, "n; NOT NULL of_it"),
    "column public.setting.changed_at": (
        "timestamp with time zone; storage p; statistics -1; position 3",
        "timestamp with time zone; not null; default now(); storage p; statistics -1; position 3",
    ),
    "column public.setting.made_at": (
        None,
        "timestamp with time zone; not null; default now(); storage p; statistics -1; position 4",
    ),
    "column shop.account.created_by": (
        None,
        'text; not null; default CURRENT_USER; collation "default"; storage x; statistics -1; position 20',
    ),
    "column shop.account.public_id": (
        None,
        "uuid; not null; default gen_random_uuid(); storage p; statistics -1; position 21",
    ),
    "column shop.orders.created_by": (None, 'text; collation "default"; storage x; statistics -1; position 12'),
    "column shop.orders.updated_at": (
        "timestamp with time zone; storage p; statistics -1; position 11",
        "timestamp with time zone; not null; default now(); storage p; statistics -1; position 11",
    ),
    "constraint public.setting.setting_changed_at_not_null": (None, "n; NOT NULL changed_at"),
    "constraint public.setting.setting_made_at_not_null": (None, "n; NOT NULL made_at"),
    "constraint shop.account.account_created_by_not_null": (None, "n; NOT NULL created_by"),
    "constraint shop.account.account_public_id_key": (None, "u; UNIQUE (public_id)"),
    "constraint shop.account.account_public_id_not_null": (None, "n; NOT NULL public_id"),
    "constraint shop.event.event_pkey": ("p; PRIMARY KEY (id)", "p; PRIMARY KEY (id, at)"),
    "constraint shop.orders.orders_updated_at_not_null": (None, "n; NOT NULL updated_at"),
    "function shop.account_on_update()": (
        None,
        'CREATE OR REPLACE FUNCTION shop.account_on_update()\n RETURNS trigger\n LANGUAGE plpgsql\n SET search_path TO \'pg_catalog\', \'pg_temp\'\nAS $function$#variable_conflict use_column\nBEGIN IF NEW."updated_at" IS NOT DISTINCT FROM OLD."updated_at" THEN NEW."updated_at" := (now()); END IF; RETURN NEW; END$function$\n; owner postgres',
    ),
    "grant EXECUTE on function shop.account_on_update() to PUBLIC": (None, "by postgres"),
    "grant EXECUTE on function shop.account_on_update() to postgres": (None, "by postgres"),
    "index shop.account_public_id_key": (
        None,
        "CREATE UNIQUE INDEX account_public_id_key ON shop.account USING btree (public_id); owner postgres",
    ),
    "index shop.event_pkey": (
        "CREATE UNIQUE INDEX event_pkey ON shop.event USING btree (id); owner postgres; primary",
        "CREATE UNIQUE INDEX event_pkey ON ONLY shop.event USING btree (id, at); owner postgres; primary",
    ),
    "index shop.spread_pkey": (
        "CREATE UNIQUE INDEX spread_pkey ON ONLY shop.spread USING btree (id); owner postgres; primary",
        "CREATE UNIQUE INDEX spread_pkey ON shop.spread USING btree (id); owner postgres; primary",
    ),
    "table shop.event": (
        "owner postgres; kind r; persistence p; access heap; options ; replica identity d",
        "owner postgres; kind p; persistence p; options ; replica identity d; partitioned by RANGE (at)",
    ),
    "table shop.orders": (
        "owner postgres; kind r; persistence p; access heap; options fillfactor=80; replica identity d; row security",
        "owner postgres; kind p; persistence p; options ; replica identity d; row security; partitioned by HASH (id)",
    ),
    "table shop.spread": (
        "owner postgres; kind p; persistence p; options ; replica identity d; partitioned by HASH (id)",
        "owner postgres; kind r; persistence p; access heap; options ; replica identity d",
    ),
    "trigger shop.account.account_on_update": (
        None,
        "CREATE TRIGGER account_on_update BEFORE UPDATE ON shop.account FOR EACH ROW EXECUTE FUNCTION shop.account_on_update(); enabled O",
    ),
}
"""The independent difference, without columns that only become uuid and indexes that only become a parent."""
