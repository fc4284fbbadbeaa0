"""A sample application's database, made by its own history, rebuilt by one plan: told once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from support.runs.harness import Rebuild
from support.runs.programs import Replank, Said

from demo.datasets.shop.columns import UUID_COLUMNS
from demo.datasets.shop.project import MODELS, alembic, copy_project
from producer.planning.resolution import PlanFile, read_plan_file
from producer.starting.begin import begin_or_resume
from sql.session.connection import connect

ROWS = """
INSERT INTO tenants (id, name) SELECT gen_random_uuid(), 'tenant ' || n FROM generate_series(1, 5) AS n;
INSERT INTO users (id, tenant_id, email) SELECT gen_random_uuid(), id, name || '@example.org' FROM tenants;
INSERT INTO api_keys (code, user_id) SELECT 'key ' || row_number() OVER (), id FROM users;
INSERT INTO addresses (id, street, city) SELECT gen_random_uuid(), 'street', 'city' FROM tenants;
INSERT INTO customers (id, tenant_id, name) SELECT gen_random_uuid(), id, 'customer' FROM tenants;
INSERT INTO warehouses (id, name) SELECT gen_random_uuid(), 'warehouse ' || n FROM generate_series(1, 2) AS n;
INSERT INTO shelves (id, warehouse_id, shelf_number) SELECT gen_random_uuid(), id, 1 FROM warehouses;
INSERT INTO products (id, sku, name) SELECT gen_random_uuid(), 'sku ' || n, 'product' FROM generate_series(1, 9) AS n;
INSERT INTO tags (id, name) SELECT gen_random_uuid(), 'tag ' || n FROM generate_series(1, 3) AS n;
INSERT INTO product_tags SELECT p.id, t.id FROM products AS p, tags AS t;
INSERT INTO carriers SELECT gen_random_uuid(), 'carrier';
INSERT INTO orders (id, customer_id, created_at)
  SELECT gen_random_uuid(), id, timestamptz '2025-06-01 UTC' + n * interval '200 days'
    FROM customers, generate_series(0, 2) AS n;
INSERT INTO order_lines (id, order_id, product_id, quantity)
  SELECT row_number() OVER (), o.id, p.id, 1 FROM orders AS o, products AS p;
INSERT INTO shipments (id, order_id, carrier_id) SELECT gen_random_uuid(), o.id, c.id FROM orders AS o, carriers AS c;
INSERT INTO events SELECT row_number() OVER (), id, 'ordered' FROM orders;
"""

PLAN = """
version = 1
[database]
name = "{name}"

[steps.indexes]
foreign_keys = true

[steps.audit_log]
tables = ["users"]

[steps.permission_cache]
query = '''SELECT u.id AS user_id, u.tenant_id AS tenant_id, '["read"]'::jsonb AS permissions, '[]'::jsonb AS roles
  FROM public.users AS u'''
sources = [{{ table = "users", user = "id" }}]

{tables}
"""

COLUMNS = {table: columns for (_, table), columns in UUID_COLUMNS.items()}
MORE = {
    "orders": 'partition = {{ by = "range", column = "created_at", every = "year", timezone = "UTC",'
    ' consent = ["uniqueness", "foreign_keys"] }}',
    "tenants": 'add = [{{ name = "updated_at", type = "timestamptz", default = "now()", not_null = true }}]',
}


def plan_text(name: str, columns: dict[str, Sequence[str]] | dict[str, tuple[str, ...]] = COLUMNS) -> str:
    tables = ""
    for table, converted in columns.items():
        listed = ", ".join(f'{{{{ name = "{column}", to = "uuid" }}}}' for column in converted)
        tables += f'[[tables]]\nname = "{table}"\ncolumns = [{listed}]\n{MORE.get(table, "")}\n'
    return PLAN.format(name=name, tables=tables.format())


@dataclass(frozen=True, kw_only=True)
class Shop:
    """An application in its folder, and its database."""

    url: str
    folder: Path
    before: dict[str, Said]
    shown_was_written: bool
    applied: Said

    def replank(self, *arguments: str) -> Said:
        return replank_alembic(self.url, self.folder, *arguments)

    def alembic(self, *arguments: str, url: str | None = None) -> str:
        return alembic(url or self.url, *arguments, folder=self.folder)


def replank_alembic(url: str, folder: Path, *arguments: str) -> Said:
    """`replank alembic` for the shop in a folder."""
    given = ("--config", str(folder / "alembic.ini"), "--models", MODELS, "--json")
    variables = ("--env", f"PYTHONPATH={folder}")
    return Replank(database_url=url, broker_url="")(
        "alembic", str(folder / "plan.toml"), *given, *variables, *arguments
    )


def make_shop(url: str, folder: Path) -> Path:
    """The application's folder with a plan in it, and its database as its history makes it, with rows."""
    application = copy_project(folder / "application")
    alembic(url, "upgrade", "head", folder=application)
    with psycopg.connect(url) as app:
        app.execute(ROWS.encode())
        (application / "plan.toml").write_text(plan_text(app.info.dbname))
    return application


def run_plan(url: str, file: PlanFile) -> None:
    with connect(url, name="test") as connection:
        begin_or_resume(connection, file, hold_cutover=True)
    rebuild = Rebuild.attach(url)
    while rebuild.take_script():
        rebuild.refuse_stuck()
    rebuild.finish()
    rebuild.close()


def run_shop(url: str, folder: Path) -> Shop:
    application = make_shop(url, folder)
    before = {
        "apply": replank_alembic(url, application, "--apply"),
        "partitions": replank_alembic(url, application),
        "models": replank_alembic(url, application, "--models-only"),
    }
    run_plan(url, read_plan_file(application / "plan.toml"))
    shown = replank_alembic(url, application)
    written = Path(shown.document["revision"]["path"]).exists()
    applied = replank_alembic(url, application, "--apply")
    change_by_hand(application, applied.document["models"])
    return Shop(
        url=url, folder=application, before=before | {"shown": shown}, shown_was_written=written, applied=applied
    )


def change_by_hand(application: Path, changes: list[dict[str, Any]]) -> None:
    """What the command lists, done as a person would."""
    models, base = application / "shop" / "models.py", application / "shop" / "base.py"
    text = models.read_text()
    for change in (change for change in changes if not change["patched"]):
        table, column, old, new = (
            change["table"].removeprefix("public."),
            change["column"],
            change["old"],
            change["new"],
        )
        if new.startswith("Index("):
            text += f"\nBase.metadata.tables[{table!r}].append_constraint({new})"
        elif new.startswith("mapped_column("):
            before, found, after = text.partition(f'__tablename__ = "{table}"\n')
            assert found
            text = f"{before}{found}    {column}: Mapped[datetime] = {new}\n{after}"
        elif new.startswith("server_default="):
            assert old in text.replace('"', "'")
            text = text.replace(old.replace("'", '"'), new)
        elif change["file"].endswith("base.py") or table == "carriers":
            base.write_text(
                base.read_text()
                .replace(
                    "Key = Annotated[str, mapped_column(String(36))]", f"Key = Annotated[str, mapped_column({new})]"
                )
                .replace("import DateTime, String, text", "import DateTime, String, Uuid, text")
            )
        elif "no foreign key" in new:
            text = text.replace('(String(36), ForeignKey("orders.id"))', "(String(36))")
            text = text.replace('(Uuid(as_uuid=False), ForeignKey("orders.id"))', "(Uuid(as_uuid=False))")
            joined = "primaryjoin=lambda: foreign(Shipment.order_id) == Order.id, "
            for relation in ('back_populates="order", cascade', 'back_populates="shipments")\n    carrier'):
                text = text.replace(f"relationship({relation}", f"relationship({joined}{relation}")
    models.write_text(text.replace("BigInteger, Column,", "BigInteger, Column, DateTime,"))
