-- The sample market: tables and defaults only. Keys, indexes and foreign keys come after the rows
-- (constraints.sql), because building an index once is several times faster than growing it.

CREATE SCHEMA billing;

CREATE TYPE order_status AS ENUM ('draft', 'placed', 'paid', 'shipped', 'cancelled');
CREATE TYPE "UserRole" AS ENUM ('OWNER', 'ADMIN', 'MEMBER');

-- Ids that are words, not uuids: must be left alone.
CREATE TABLE plans (
    id            text NOT NULL,
    name          text NOT NULL,
    monthly_price numeric(10, 2) NOT NULL,
    features      jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE settings (
    key        text NOT NULL,
    value      jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenants (
    id         text NOT NULL DEFAULT (gen_random_uuid())::text,
    name       text NOT NULL,
    slug       text NOT NULL,
    plan_id    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- No default on the id: Prisma's @default(uuid()) makes it on the client's side.
CREATE TABLE "User" (
    id            text NOT NULL,
    "tenantId"    text NOT NULL,
    email         text NOT NULL,
    "displayName" text,
    role          "UserRole" NOT NULL DEFAULT 'MEMBER',
    "loginCount"  integer NOT NULL DEFAULT 0,
    preferences   jsonb NOT NULL DEFAULT '{}',
    "createdAt"   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE categories (
    id       text NOT NULL DEFAULT (gen_random_uuid())::text,
    parent   text,
    name     text NOT NULL,
    position integer NOT NULL DEFAULT 0
);

CREATE TABLE suppliers (
    id      char(36) NOT NULL DEFAULT (gen_random_uuid())::text,
    name    text NOT NULL,
    country char(2) NOT NULL,
    rating  numeric(3, 1)
);

CREATE TABLE products (
    id           varchar(36) NOT NULL DEFAULT (gen_random_uuid())::text,
    category_id  text,
    supplier_id  char(36),
    sku          text NOT NULL,
    name         text NOT NULL,
    price        numeric(12, 2) NOT NULL,
    stock        integer NOT NULL DEFAULT 0,
    sold         bigint NOT NULL DEFAULT 0,
    labels       text[] NOT NULL DEFAULT '{}',
    attributes   jsonb,
    discontinued boolean NOT NULL DEFAULT false,
    updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE "Order" (
    id         text NOT NULL,
    "tenantId" text NOT NULL,
    "userId"   text NOT NULL,
    status     order_status NOT NULL DEFAULT 'draft',
    total      numeric(12, 2) NOT NULL,
    note       text,
    metadata   jsonb NOT NULL DEFAULT '{}',
    "placedAt" timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE order_items (
    id         text NOT NULL DEFAULT (gen_random_uuid())::text,
    order_id   text NOT NULL,
    product_id varchar(36) NOT NULL,
    quantity   integer NOT NULL,
    unit_price numeric(12, 2) NOT NULL,
    note       text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE "Tag" (
    id    text NOT NULL,
    name  text NOT NULL,
    color text
);

-- Prisma's implicit many-to-many table: no model of its own.
CREATE TABLE "_OrderToTag" (
    "A" text NOT NULL,
    "B" text NOT NULL
);

CREATE TABLE price_rules (
    tenant_id  text NOT NULL,
    code       text NOT NULL,
    discount   numeric(5, 4) NOT NULL,
    conditions jsonb NOT NULL DEFAULT '{}',
    valid_from date NOT NULL DEFAULT CURRENT_DATE
);

CREATE TABLE redemptions (
    id        serial NOT NULL,
    order_id  text NOT NULL,
    tenant_id text NOT NULL,
    code      text NOT NULL,
    amount    numeric(12, 2) NOT NULL
);

CREATE TABLE events (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    public_id  text NOT NULL DEFAULT (gen_random_uuid())::text,
    user_id    text,
    kind       text NOT NULL,
    owner_type text,
    owner_id   text,
    payload    jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE billing.invoices (
    id           text NOT NULL DEFAULT (gen_random_uuid())::text,
    order_id     text NOT NULL,
    tenant_id    text NOT NULL,
    amount       numeric(12, 2) NOT NULL,
    line_amounts numeric(12, 2)[] NOT NULL DEFAULT '{}',
    issued_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE billing.payments (
    id         text NOT NULL DEFAULT (gen_random_uuid())::text,
    invoice_id text NOT NULL,
    method     text NOT NULL,
    amount     numeric(12, 2) NOT NULL,
    reference  text NOT NULL,
    paid_at    timestamptz
);

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

COMMENT ON TABLE "Order" IS 'One basket a customer sent.';
COMMENT ON COLUMN "Order"."userId" IS 'Who ordered; follows the user when its id changes.';
COMMENT ON COLUMN order_items.unit_price IS 'At the time of the order, before any price rule.';
COMMENT ON COLUMN events.owner_id IS 'A uuid, a plan''s id or a SKU: owner_type says which.';
COMMENT ON COLUMN products.id IS 'Shown to customers, so at most 36 characters.';
