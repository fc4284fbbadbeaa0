"""Wrong use: exit code 2, words that name the mistake, and a database that was not touched."""

from collections.abc import Callable

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site

from cli.evidence import Evidence, look, refused
from demo.embedded import EmbeddedPostgres, EmbeddedValkey

pytestmark = pytest.mark.cli

WRONG = "wr0ng-secret"


@pytest.fixture
def before(site: Site) -> Evidence:
    return look(site.database_url)


def _filled(site: Site, command: tuple[str, ...]) -> list[str]:
    return [word.format(plan=site.plan) for word in command]


@pytest.mark.parametrize("command", [("run", "{plan}"), ("rollback",), ("status",)], ids=lambda c: c[0])
def test_the_wrong_database_or_password(
    site: Site, before: Evidence, postgres: EmbeddedPostgres, command: tuple[str, ...]
) -> None:
    words = _filled(site, command)
    for url, said in (
        (postgres.url("no_such_database"), 'database "no_such_database" does not exist'),
        (site.database_url.replace(postgres.password, WRONG), "password authentication failed"),
    ):
        ended = site.call(*words, REPLANK_DATABASE_URL=url)
        refused(ended, said, exit_code=2)
        assert WRONG not in ended.stderr
        assert postgres.password not in ended.stderr
    assert look(site.database_url) == before


def test_urls_that_lead_nowhere_keep_their_password(site: Site) -> None:
    for url, said, code in (
        (f"postgresql://pg:{WRONG}@127.0.0.1:1/shop", "Cannot connect to postgresql://pg:***@127.0.0.1:1/shop", 3),
        (f"host=127.0.0.1 port=1 password={WRONG}", "Cannot connect to (a connection string)", 3),
        (f"postgres {WRONG}", "is not a URL that PostgreSQL's client library understands", 2),
        ("", "No database is given", 2),
    ):
        ended = site.call("status", REPLANK_DATABASE_URL=url)
        refused(ended, said, exit_code=code)
        assert WRONG not in ended.stderr


def test_the_option_goes_before_the_environment(site: Site, postgres: EmbeddedPostgres) -> None:
    ended = site.call("status", "--database-url", postgres.url("no_such_database"))
    refused(ended, 'database "no_such_database" does not exist', exit_code=2)


@pytest.mark.parametrize("command", [("run", "{plan}"), ("worker",)], ids=lambda c: c[0])
def test_a_broker_that_is_not_named_or_is_none(
    site: Site, before: Evidence, broker: EmbeddedValkey, command: tuple[str, ...]
) -> None:
    words = _filled(site, command)
    refused(site.call(*words, REPLANK_BROKER_URL=""), "No broker is given", "REPLANK_BROKER_URL", exit_code=2)
    for url in (f"amqp://guest:{WRONG}@host/", f"guest:{WRONG}@host"):
        ended = site.call(*words, REPLANK_BROKER_URL=url)
        refused(ended, "is neither Redis nor Valkey", exit_code=2)
        assert WRONG not in ended.stderr
        assert broker.password not in ended.stderr
    assert look(site.database_url) == before


def _then(text: str) -> Callable[[str], str]:
    return lambda plan: plan + text


def _instead(old: str, new: str) -> Callable[[str], str]:
    return lambda plan: plan.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_instead("version = 1", "version = = 1"), ("plan.toml: not valid TOML", "line 1")),
        (_instead('name = "customers"', 'name = "nowhere"'), ("plan.toml:8: table public.nowhere does not exist",)),
        (_instead('name = "id"', 'name = "ident"'), ("plan.toml:11: table public.customers has no column ident",)),
        (_instead('axis = "heap"', 'axes = "heap"'), ("plan.toml:9: table customers, axes: unknown key",)),
        (
            _instead('to = "uuid"', 'to = "bigint"'),
            ("plan.toml:12: table customers, column id, to: it should be", "uuid"),
        ),
        (_instead('name = "cli_', 'name = "other_'), ("plan.toml:3: this plan is for database other_",)),
        (_instead("[options]", 'system_identifier = "1"\n[options]'), ("plan.toml:4: this plan was made on another",)),
        (_then('[[tables.columns]]\nname = "number"\nto = "uuid"\n'), ("public.orders.number is integer",)),
        (lambda _: "version = 1\n", ("plan.toml:1: database: this key is missing",)),
    ],
    ids=["toml", "table", "column", "key", "type", "database", "server", "not text", "missing key"],
)
def test_plans_that_do_not_fit_name_file_line_and_key(
    site: Site, before: Evidence, change: Callable[[str], str], said: tuple[str, ...]
) -> None:
    site.plan.write_text(change(site.plan.read_text(encoding="utf-8")), encoding="utf-8")
    refused(site.run(workers=1).wait(), *said, exit_code=2)
    assert look(site.database_url) == before


def test_a_plan_file_that_is_not_there(site: Site) -> None:
    missing = site.folder / "nowhere.toml"
    refused(site.call("run", str(missing)), f"{missing}: could not read the plan: No such file", exit_code=2)
    refused(site.call("run", str(site.folder)), "could not read the plan: Is a directory", exit_code=2)


@pytest.mark.parametrize("words", [("run",), ("run", "{plan}", "--workers", "-1"), ("nonsense",)], ids=" ".join)
def test_words_that_are_no_command_line(site: Site, words: tuple[str, ...]) -> None:
    ended = site.call(*_filled(site, words))
    refused(ended, "Usage:", exit_code=2)


def test_another_plan_while_a_run_is_open(site: Site, ledger: LedgerView) -> None:
    # Given a run that is open
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    # When the plan says something else now, then that is refused and the run stays as it is
    other = site.plan.with_name("other.toml")
    other.write_text(site.plan.read_text(encoding="utf-8").replace("chunk_mb = 1", "chunk_mb = 2"), encoding="utf-8")
    refused(site.call("run", str(other)), "Run 1 of plan plan is open", "`replank rollback` first", exit_code=2)
    assert ledger.run_state() == "running"
