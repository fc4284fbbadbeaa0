"""What the filler puts into a column: which text columns hold uuids, and an SQL expression per type."""

import re
import zlib
from dataclasses import dataclass
from typing import Literal

from psycopg.sql import SQL, Composable
from psycopg.sql import Literal as SQLLiteral

Kind = Literal["uuid", "mixed", "other"]

# The platform's own names. Where its Prisma file says @default(uuid()) the column must stay uuid.
_PLATFORM = "LiteLLM_"
_EXPLICIT: dict[tuple[str, str], Kind] = {
    ("LiteLLM_CacheConfig", "id"): "other",
    ("LiteLLM_UISettings", "id"): "other",
    ("LiteLLM_SSOConfig", "id"): "other",
    ("LiteLLM_LensSignalConfig", "id"): "other",
    ("LiteLLM_CronJob", "cronjob_id"): "other",
    ("LiteLLM_ShadowEvalJob", "id"): "other",
    ("LiteLLM_ShadowEvalJob", "group_id"): "other",
    ("LiteLLM_ShadowEvalAttempt", "id"): "other",
    ("LiteLLM_ShadowEvalAttempt", "job_id"): "other",
    ("LiteLLM_ShadowEvalFunnel", "job_id"): "other",
    ("LiteLLM_ProxyModelTable", "model_id"): "uuid",
    ("LiteLLM_WorkflowRun", "session_id"): "uuid",
    ("LiteLLM_DailyGuardrailMetrics", "guardrail_id"): "mixed",
    ("LiteLLM_DailyGuardrailUsageUnits", "guardrail_id"): "mixed",
    ("LiteLLM_DailyGuardrailUsageUnits", "team_id"): "mixed",
    ("LiteLLM_DailyRequestErrors", "team_id"): "mixed",
}
_PLATFORM_OTHER = re.compile(
    r"(^|_)token(_id)?$|^unified_|^(model_object|vector_store|prompt|trace|execution|interaction|worker|pod)_id$"
)
_PLATFORM_MIXED = re.compile(r"user(_id)?$|_by$|^(session|entity|object|target|model)_id$")
_ID_NAME = re.compile(r"^(id|uuid|guid)$|_(id|ids|uuid|guid)$|[a-z](Id|Ids|Uuid|UUID)$")
_NON_UUID_SHARE = 10  # outside the platform, one table in ten has an ``id`` that is no uuid


def kind_of(table: str, column: str) -> Kind:
    """What a *text* (or text array) column is filled with, by its name alone.

    ``uuid``: canonical uuid text (and NULL where allowed); ``mixed``: uuids among user names, e-mail
    addresses, the empty string and 'default_user_id'; ``other``: never a uuid. A foreign-key column holds
    what it references whatever its name says: ``filler.kinds`` follows the keys, this function does not.
    Row 1 of a mixed column is never a uuid, so even a small table shows that the column is mixed.
    """
    explicit = _EXPLICIT.get((table, column))
    if explicit is not None:
        return explicit
    if table.startswith(_PLATFORM):
        if _PLATFORM_OTHER.search(column):
            return "other"
        if _PLATFORM_MIXED.search(column):
            return "mixed"
    elif column == "id" and zlib.crc32(table.encode()) % _NON_UUID_SHARE == 0:
        return "other"
    return "uuid" if _ID_NAME.search(column) else "other"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column as the catalogue shows it. ``type`` is the base type's name (``int4``), of the element for
    an array; ``limit`` the longest text in characters; ``precision``/``scale`` those of numeric."""

    table: str
    name: str
    type: str
    sql_type: str
    is_array: bool = False
    not_null: bool = False
    default: str | None = None
    is_automatic: bool = False  # identity, generated or nextval: the server makes the value
    limit: int | None = None
    precision: int | None = None
    scale: int = 0
    choices: tuple[str, ...] = ()  # labels of an enum, or the literals of a CHECK
    kind: Kind = "other"

    @property
    def is_text(self) -> bool:
        return self.type in {"text", "varchar", "bpchar", "citext", "name"}

    @property
    def is_id(self) -> bool:
        return self.is_text and (self.kind != "other" or bool(_ID_NAME.search(self.name)))


def domain_of(column: Column) -> str:
    """Columns of the same domain get the same value for the same number, so that ``team_id`` of one table
    finds its team in another without a foreign key."""
    name = re.sub(r"_?ids$", "_id", column.name) if column.is_array else column.name
    return f"{column.table}.{name}" if name == "id" else name


def uuid_text(domain: str, n: Composable) -> Composable:
    """The n-th uuid of a domain as canonical text, with the version and variant bits of a random one."""
    return SQL("overlay(overlay(md5({domain} || {n}) PLACING '4' FROM 13) PLACING 'a' FROM 17)::uuid::text").format(
        domain=SQLLiteral(domain + ":"), n=n
    )


def _id_text(column: Column, n: Composable) -> Composable:
    domain = domain_of(column)
    known = uuid_text(domain, n)
    if column.kind == "uuid":
        return known
    if column.kind == "mixed":
        # 'default_user_id' first: see the promise about row 1 in kind_of.
        first = SQLLiteral("" if column.default == "''::text" else "default_user_id")
        return SQL(
            "CASE WHEN {n} = 1 THEN {first} WHEN {n} % 5 = 3 THEN 'user-' || {n}"
            " WHEN {n} % 5 = 4 THEN 'user' || {n} || '@example.com' ELSE {known} END"
        ).format(n=n, known=known, first=first)
    if column.default is not None and column.default.endswith("'::text") and column.default != "''::text":
        return SQL("CASE WHEN {n} = 1 THEN {default} ELSE {prefix} || {n} END").format(
            n=n, default=SQL(column.default), prefix=SQLLiteral(column.name + "-")
        )
    prefix = re.sub(r"_?(id|Id)$", "", column.name) or "c"
    return SQL("{prefix} || substr(md5({domain} || {n}), 1, 24)").format(
        prefix=SQLLiteral(prefix + "_"), domain=SQLLiteral(domain), n=n
    )


_MODELS = "ARRAY['gpt-4o', 'claude-sonnet', 'mistral-large', 'gemini-pro', 'text-embedding-3']"


def _text(column: Column, n: Composable, *, unique: bool) -> Composable:
    name = column.name.lower()
    if column.is_id:
        return _id_text(column, n)
    if re.search(r"(^|_)(token|api_key|key_hash|token_hash)$", name):
        return SQL("'sk-' || md5('key' || {n}) || md5({n}::text)").format(n=n)
    if re.search(r"(^|_)date$", name):
        return SQL("to_char(date '2026-01-01' - ({n} % 700)::int, 'YYYY-MM-DD')").format(n=n)
    if "email" in name:
        return SQL("'user' || {n} || '@example.com'").format(n=n)
    if unique:
        return SQL("{name} || {n}").format(name=SQLLiteral(column.name + "-"), n=n)
    if name in {"model", "model_name", "model_group"}:
        return SQL("(" + _MODELS + ")[1 + {n} % 5]").format(n=n)
    # Quotes, a backslash, a tab, a line end, an empty text and letters of several bytes: whoever copies
    # through a text format must bring them over unharmed.
    return SQL(
        "CASE {n} % 16 WHEN 0 THEN '' WHEN 1 THEN E'Zoë''s \"日本\" \\\\ \\t tab\\nline ' || {n}"
        " WHEN 2 THEN repeat('long text ', ({n} % 30)::int) ELSE {name} || {n} % 100 END"
    ).format(name=SQLLiteral(column.name + " "), n=n)


# {n} is a whole number from 1 up. Small different numbers must give different values wherever the type has
# room for them: the filler relies on it for unique keys.
_PLAIN: dict[str, str] = {
    "int2": "{n} % 32000",
    "int4": "{n} % 2000000000",
    "int8": "{n} % 2000000000",
    "float4": "{n} / 8.0",
    "float8": "{n} / 1000.0 + 1e-7",
    "bool": "{n} % 2 = 0",
    "date": "date '2026-01-01' - ({n} % 700000)::int",
    "time": "time '00:00' + {n} * interval '77 milliseconds'",
    "timetz": "timetz '00:00+00' + {n} * interval '77 milliseconds'",
    "timestamp": "timestamp '2026-01-01' - {n} * interval '300.001234 seconds'",
    "timestamptz": "timestamptz '2026-01-01 00:00+00' - {n} * interval '300.001234 seconds'",
    "interval": "{n} * interval '61 seconds'",
    "bytea": "decode(md5({n}::text), 'hex')",
    "json": "json_build_object('n', {n}, 'b', null, 'a', json_build_array({n} % 7, 'é \"'), 'a', 1.50)",
    "jsonb": "jsonb_build_object('n', {n}, 'b', null, 'list', jsonb_build_array({n} % 7, 1.50, 'é \"'))",
    "inet": "inet '10.0.0.0' + {n} % 16000000",
    "cidr": "(inet '10.0.0.0' + {n} % 16000000)",
    "macaddr": "lpad(to_hex({n}), 12, '0')",
    "money": "({n}::numeric / 100)",
    "bit": "({n} % 1073741824)",
    "varbit": "({n} % 1073741824)::int::bit(31)",
    "xml": "'<n>' || {n} || '</n>'",
    "tsvector": "'word' || {n}",
    "tsquery": "'word' || {n}",
    "point": "point({n}, {n} / 4.0)",
    "oid": "{n} % 2000000000",
    "int4range": "int4range(({n} % 1000000)::int, ({n} % 1000000)::int + 1)",
    "int8range": "int8range({n}, {n} + 1)",
    "numrange": "numrange({n}, {n} + 0.5)",
    "daterange": "daterange(date '2026-01-01' - ({n} % 7000)::int, date '2026-01-02' - ({n} % 7000)::int)",
    "tstzrange": "tstzrange(timestamptz '2020-01-01 00:00+00' + {n} * interval '1 minute',"
    " timestamptz '2020-01-01 00:00+00' + ({n} + 1) * interval '1 minute')",
}
_VIA_TEXT = frozenset({"cidr", "macaddr", "xml", "tsvector", "tsquery"})


def _scalar(column: Column, n: Composable, *, unique: bool) -> Composable | None:
    if column.choices:
        labels = SQL(", ").join(SQLLiteral(choice) for choice in column.choices)
        count = SQLLiteral(len(column.choices))
        return SQL("(ARRAY[{}]::text[])[1 + {} % {}]").format(labels, n, count)
    if column.is_text:
        text = _text(column, n, unique=unique)
        if column.limit is None or (column.kind == "uuid" and column.limit >= 36):
            return text
        # A short text keeps the number itself, or cutting it would make unique values equal.
        short = SQL("to_hex({n})").format(n=n) if unique and column.limit < 48 else text
        return SQL("left({}, {})").format(short, SQLLiteral(column.limit))
    if column.type == "uuid":
        return uuid_text(domain_of(column), n)
    if column.type == "numeric":
        digits = min(column.precision or 15, 15)
        return SQL("({n} % {modulus})::numeric / {divisor}").format(
            n=n, modulus=SQLLiteral(10**digits), divisor=SQLLiteral(10 ** min(column.scale or 2, digits))
        )
    template = _PLAIN.get(column.type)
    if template is None:
        return None
    value = SQL(template).format(n=n)
    return SQL("({})::text").format(value) if column.type in _VIA_TEXT else value


def value_for(column: Column, n: Composable, *, unique: bool) -> Composable | None:
    """The SQL expression of the n-th value of ``column``, cast to its type; None for an unknown type.

    ``unique``: different n must give different values (as far as the type has room).
    """
    scalar = _scalar(column, n, unique=unique)
    if scalar is None:
        return None
    if column.is_array:
        second = _scalar(column, SQL("({n} + 1)").format(n=n), unique=unique)
        assert second is not None
        scalar = SQL("CASE WHEN {n} % 4 = 0 THEN ARRAY[]::text[] ELSE ARRAY[({one})::text, ({two})::text] END").format(
            n=n, one=scalar, two=second
        )
    return SQL("({})::{}").format(scalar, SQL(column.sql_type))
