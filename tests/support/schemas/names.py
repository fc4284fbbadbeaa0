"""Names that generated statements and functions use for their own things, and names that need their quotes."""

KEYS = (
    "new", "old", "found", "tg_op", "tg_name", "tg_table_name", "tg_argv", "new_rows", "old_rows", "log", "truncated",
    "live", "next", "past", "k1", "k2", "c1", "hash", "key", "quarantined", "was", "given", "odd", "replank_lower",
)  # fmt: skip
"""Columns of a key: magic variables of PL/pgSQL, transition tables, aliases, columns of logs."""

OTHERS = (
    "user", "order", "end", "select", "row", "n", "l", "o1", "t", "q", "candidate", "parent", "everything", "v", "map",
    "spelling", "value", "place", "rank", "batch", "id", "column", "fresh", "doubtful", "who", "request", "s1",
    "Upper Case", 'quo"te', "per%cent", "per%(oid)s", "%s", "brace{}", "back\\slash", "a:b", ":'short'", "$by_hand$",
    "new\nline", "semi;colon", "comment--", "é" * 31, "x" * 63, "replank_found", "replank_count", "tableoid_", "it's",
)  # fmt: skip
"""Other columns: words of SQL, variables and aliases, and whatever a careless format would trip over."""


def longest(letter: str, ending: str = "") -> str:
    """A name of 63 bytes that ends with `ending`: as much of `letter` as fits, behind as many `x` as it then needs."""
    letters, rest = divmod(63 - len(ending.encode()), len(letter.encode()))
    return "x" * rest + letter * letters + ending
