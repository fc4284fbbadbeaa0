-- The sample market's rows, set-based. Each block is one statement with named parameters: how many rows
-- the tables get. A row's id is a hash of its table and number, so children know their parents' ids
-- without a join, and the order on disk has nothing to do with the order of the keys.

-- name: define_sample_id
-- A version-4-shaped uuid as text, always the same for the same kind and number.
CREATE FUNCTION pg_temp.sample_id(kind text, n bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT overlay(overlay(md5(kind || n::text) PLACING '4' FROM 13) PLACING 'a' FROM 17)::uuid::text
$$;

-- name: define_pick
-- A number from 1 to `among`, scattered, always the same for the same n and salt.
CREATE FUNCTION pg_temp.pick(n bigint, salt bigint, among bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS $$
    SELECT 1 + mod(hashint8extended(n, salt) & 9223372036854775807, among)
$$;

-- name: fill_plans
INSERT INTO plans (id, name, monthly_price, features) VALUES
    ('free', 'Free', 0, '{"seats": 1}'),
    ('pro', 'Pro', 29.00, '{"seats": 10}'),
    ('enterprise', 'Enterprise', 499.00, '{"seats": 1000}');

-- name: fill_settings
INSERT INTO settings (key, value) VALUES
    ('currency', '"EUR"'), ('maintenance', 'false'), ('max_items', '200'),
    ('mail.sender', '"shop@example.org"'), ('theme', '{"dark": true}');

-- name: fill_tenants
INSERT INTO tenants (id, name, slug, plan_id, created_at)
SELECT pg_temp.sample_id('tenant', n), 'Tenant ' || n, 'tenant-' || n,
       (ARRAY['free', 'pro', 'enterprise'])[pg_temp.pick(n, 1, 3)],
       timestamptz '2023-01-01 00:00+00' + n * interval '1 hour'
FROM generate_series(1, %(tenants)s::bigint) AS n;

-- name: fill_users
INSERT INTO "User" (id, "tenantId", email, "displayName", role, "loginCount", preferences, "createdAt")
SELECT pg_temp.sample_id('user', n), pg_temp.sample_id('tenant', pg_temp.pick(n, 2, %(tenants)s)),
       'Person.' || n || '@example.org', nullif('Person ' || n, 'Person 13'),
       (ARRAY['OWNER', 'ADMIN', 'MEMBER', 'MEMBER'])[pg_temp.pick(n, 3, 4)]::"UserRole",
       pg_temp.pick(n, 4, 50), jsonb_build_object('newsletter', mod(n, 3) = 0),
       timestamptz '2023-02-01 00:00+00' + n * interval '1 minute'
FROM generate_series(1, %(users)s::bigint) AS n;

-- name: fill_categories
INSERT INTO categories (id, parent, name, position)
SELECT pg_temp.sample_id('category', n),
       CASE WHEN n > 5 THEN pg_temp.sample_id('category', pg_temp.pick(n, 5, n - 1)) END,
       'Category ' || n, mod(n, 10)
FROM generate_series(1, %(categories)s::bigint) AS n;

-- name: fill_suppliers
INSERT INTO suppliers (id, name, country, rating)
SELECT pg_temp.sample_id('supplier', n), 'Supplier ' || n,
       (ARRAY['DE', 'FR', 'IT', 'PL'])[pg_temp.pick(n, 6, 4)],
       CASE WHEN mod(n, 7) > 0 THEN pg_temp.pick(n, 7, 100) / 10.0 END
FROM generate_series(1, %(suppliers)s::bigint) AS n;

-- name: fill_products
INSERT INTO products (id, category_id, supplier_id, sku, name, price, stock, labels, attributes, discontinued)
SELECT pg_temp.sample_id('product', n),
       CASE WHEN mod(n, 11) > 0 THEN pg_temp.sample_id('category', pg_temp.pick(n, 8, %(categories)s)) END,
       CASE WHEN mod(n, 5) > 0 THEN pg_temp.sample_id('supplier', pg_temp.pick(n, 9, %(suppliers)s)) END,
       'SKU-' || lpad(n::text, 8, '0'), 'Product number ' || n, pg_temp.pick(n, 10, 99999) / 100.0,
       1000000, (ARRAY['{}', '{new}', '{sale,red}', '{"two words"}'])[pg_temp.pick(n, 11, 4)]::text[],
       CASE WHEN mod(n, 4) > 0 THEN jsonb_build_object('weight', pg_temp.pick(n, 12, 500)) END,
       mod(n, 13) = 0
FROM generate_series(1, %(products)s::bigint) AS n;

-- name: fill_orders
INSERT INTO "Order" (id, "tenantId", "userId", status, total, note, metadata, "placedAt")
SELECT pg_temp.sample_id('order', n),
       pg_temp.sample_id('tenant', pg_temp.pick(u, 2, %(tenants)s)), pg_temp.sample_id('user', u),
       (ARRAY['draft', 'placed', 'paid', 'shipped', 'cancelled'])[pg_temp.pick(n, 13, 5)]::order_status,
       pg_temp.pick(n, 14, 999999) / 100.0, CASE WHEN mod(n, 6) > 0 THEN 'Leave at door ' || n END,
       jsonb_build_object('channel', (ARRAY['web', 'app', 'shop'])[pg_temp.pick(n, 15, 3)]),
       timestamptz '2024-01-01 00:00+00' + n * interval '20 seconds'
FROM generate_series(1, %(orders)s::bigint) AS n, pg_temp.pick(n, 16, %(users)s) AS u;

-- name: fill_order_items
INSERT INTO order_items (id, order_id, product_id, quantity, unit_price, note, created_at)
SELECT pg_temp.sample_id('item', n), pg_temp.sample_id('order', pg_temp.pick(n, 17, %(orders)s)),
       pg_temp.sample_id('product', pg_temp.pick(n, 18, %(products)s)), pg_temp.pick(n, 19, 9),
       pg_temp.pick(n, 20, 99999) / 100.0, CASE WHEN mod(n, 8) > 0 THEN 'Packed in box number ' || n END,
       timestamptz '2024-01-01 00:00+00' + n * interval '8 seconds'
FROM generate_series(1, %(order_items)s::bigint) AS n;

-- name: fill_tags
INSERT INTO "Tag" (id, name, color)
SELECT pg_temp.sample_id('tag', n), 'tag-' || n, (ARRAY['red', 'green', NULL])[pg_temp.pick(n, 21, 3)]
FROM generate_series(1, %(tags)s::bigint) AS n;

-- name: fill_order_tags
-- Two different tags for each of the first orders.
INSERT INTO "_OrderToTag" ("A", "B")
SELECT pg_temp.sample_id('order', o),
       pg_temp.sample_id('tag', 1 + mod(pg_temp.pick(o, 22, %(tags)s) + mod(n, 2), %(tags)s))
FROM generate_series(1, %(order_tags)s::bigint) AS n, LATERAL (SELECT (n + 1) / 2) AS pair (o);

-- name: fill_price_rules
INSERT INTO price_rules (tenant_id, code, discount, conditions, valid_from)
SELECT pg_temp.sample_id('tenant', 1 + mod(n, %(tenants)s)), 'SAVE' || n,
       pg_temp.pick(n, 23, 5000) / 10000.0, jsonb_build_object('minimum', pg_temp.pick(n, 24, 100)),
       date '2024-01-01' + pg_temp.pick(n, 25, 365)::integer
FROM generate_series(1, %(price_rules)s::bigint) AS n;

-- name: fill_redemptions
INSERT INTO redemptions (order_id, tenant_id, code, amount)
SELECT pg_temp.sample_id('order', n), pg_temp.sample_id('tenant', 1 + mod(r, %(tenants)s)), 'SAVE' || r,
       pg_temp.pick(n, 26, 9999) / 100.0
FROM generate_series(1, %(redemptions)s::bigint) AS n, pg_temp.pick(n, 27, %(price_rules)s) AS r;

-- name: fill_events
-- The owner is an order (a uuid), a plan or a product's SKU (no uuids), or nobody.
INSERT INTO events (public_id, user_id, kind, owner_type, owner_id, payload, created_at)
SELECT pg_temp.sample_id('event', n),
       CASE WHEN mod(n, 9) > 0 THEN pg_temp.sample_id('user', pg_temp.pick(n, 28, %(users)s)) END,
       (ARRAY['order.viewed', 'order.paid', 'login', 'stock.low'])[pg_temp.pick(n, 29, 4)],
       (ARRAY['order', 'order', 'plan', 'product', NULL])[o],
       CASE WHEN o <= 2 THEN pg_temp.sample_id('order', pg_temp.pick(n, 30, %(orders)s))
            WHEN o = 3 THEN 'pro'
            WHEN o = 4 THEN 'SKU-' || lpad(pg_temp.pick(n, 31, %(products)s)::text, 8, '0') END,
       jsonb_build_object('ip', '192.0.2.' || pg_temp.pick(n, 32, 254)),
       timestamptz '2024-01-01 00:00+00' + n * interval '15 seconds'
FROM generate_series(1, %(events)s::bigint) AS n, pg_temp.pick(n, 33, 5) AS o;

-- name: fill_invoices
INSERT INTO billing.invoices (id, order_id, tenant_id, amount, line_amounts, issued_at)
SELECT pg_temp.sample_id('invoice', n), pg_temp.sample_id('order', o),
       pg_temp.sample_id('tenant', pg_temp.pick(pg_temp.pick(o, 16, %(users)s), 2, %(tenants)s)),
       pg_temp.pick(n, 34, 99999) / 100.0, ARRAY[pg_temp.pick(n, 35, 999) / 100.0, 4.90],
       timestamptz '2024-01-02 00:00+00' + n * interval '1 minute'
FROM generate_series(1, %(invoices)s::bigint) AS n, pg_temp.pick(n, 36, %(orders)s) AS o;

-- name: fill_payments
INSERT INTO billing.payments (id, invoice_id, method, amount, reference, paid_at)
SELECT pg_temp.sample_id('payment', n), pg_temp.sample_id('invoice', pg_temp.pick(n, 37, %(invoices)s)),
       (ARRAY['card', 'transfer', 'cash'])[pg_temp.pick(n, 38, 3)], pg_temp.pick(n, 39, 99999) / 100.0,
       'RF' || lpad(n::text, 10, '0'),
       CASE WHEN mod(n, 10) > 0 THEN timestamptz '2024-01-03 00:00+00' + n * interval '1 minute' END
FROM generate_series(1, %(payments)s::bigint) AS n;
