-- The rows of torture.sql.
INSERT INTO shop.account (tenant, "fullName", email, home, homes, during, balance, token, doc)
  SELECT g % 4 + 1, 'Name ' || g, 'n' || g || '@example.org', ROW('street ' || g, lpad(g::text, 5, '0')::char(5), date '2020-01-01')::shop.address,
         ARRAY[ROW('a', '1', NULL)::shop.address], CASE WHEN g < 5 THEN tstzrange('2025-01-01', '2025-01-02') ELSE 'empty' END, g, 't' || g,
         jsonb_build_object('n', g) FROM generate_series(1, 300) AS g;
INSERT INTO shop.account (id, tenant) VALUES (upper(gen_random_uuid()::text), 13), ('{' || gen_random_uuid() || '}', 2);
UPDATE shop.account a SET manager_id = b.id FROM shop.account b WHERE b.serial_no = a.serial_no / 2 AND a.serial_no > 1;
INSERT INTO shop.orders (tenant, account_id, backup_id, at, region, total, note)
  SELECT a.tenant, a.id, CASE WHEN g % 3 = 0 THEN a.id END, timestamptz '2024-12-01Z' + g * interval '3 hours', 'r' || g % 5, g, 'note ' || g
    FROM generate_series(18, 900) AS g JOIN shop.account a ON a.serial_no = g % 300 + 1;
INSERT INTO shop."orderLine" SELECT id, k, k * 2, tenant, CASE WHEN n % 2 = 0 THEN account_id END FROM shop.orders, generate_series(1, 2) AS k WHERE n % 2 = 0;
INSERT INTO "Side %".tag SELECT gen_random_uuid()::text, 'tag ' || g FROM generate_series(1, 20) AS g;
INSERT INTO "Side %"."_OrderToTag" SELECT t.id, o.id FROM "Side %".tag t JOIN shop.orders o ON o.n % 20 = substr(t.name, 5)::int;
INSERT INTO shop.event SELECT gen_random_uuid()::text, timestamptz '2024-12-25Z' + a.serial_no * interval '7 hours', a.id, 'k' || a.serial_no % 5
  FROM shop.account a;
INSERT INTO shop.reading SELECT gen_random_uuid()::text, date '2024-08-01' + a.serial_no, a.id, a.serial_no FROM shop.account a;
INSERT INTO shop.spread SELECT gen_random_uuid()::text, g, 'w' || g FROM generate_series(1, 200) AS g;
INSERT INTO public.a23456789_123456789_123456789_123456789_123456789_123456789_123 SELECT gen_random_uuid()::text FROM generate_series(1, 50);
UPDATE public.a23456789_123456789_123456789_123456789_123456789_123456789_123 AS t
   SET up = t."Id23456789_123456789_123456789_123456789_123456789_123456789_12";
INSERT INTO shop.being (n) SELECT generate_series(1, 30);
INSERT INTO shop.beast (n, legs, account_id) SELECT serial_no, 4, id FROM shop.account WHERE serial_no BETWEEN 100 AND 150;
INSERT INTO shop.hound (n, name, account_id) SELECT serial_no, 'h ' || serial_no, id FROM shop.account WHERE serial_no BETWEEN 200 AND 250;
INSERT INTO shop.marked (mark) SELECT 'm ' || g FROM generate_series(1, 10) AS g;
INSERT INTO public.named SELECT gen_random_uuid()::text, serial_no, id FROM shop.account;
INSERT INTO public.whole SELECT gen_random_uuid()::text, g, 'w', ARRAY[gen_random_uuid()::text, NULL] FROM generate_series(1, 90) AS g;
INSERT INTO public.setting SELECT 'key ' || g, 'w', CASE WHEN g > 3 THEN '2025-05-05Z'::timestamptz END FROM generate_series(1, 60) AS g;
INSERT INTO public.summary (account_id, many) SELECT account_id, count(*) FROM shop.orders GROUP BY 1;
INSERT INTO tools.entry SELECT id, 'actor ' || n, at FROM shop.orders WHERE n % 3 = 0;
SELECT nextval('shop.lone'), nextval('shop.lone'), nextval('shop."odd Sequence"');
