"""What stops a run until a person decides: exit code 1, and words that say what to do."""

from typing import LiteralString

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.schemas.small_shop import differences

from cli.evidence import document_of, id_types, look, refused, traces

pytestmark = pytest.mark.cli

BAD = "broken-42"
FAILURE = {"job", "step", "table", "range", "attempts", "class", "sqlstate", "message", "suggestion"}


def _change(site: Site, statement: LiteralString, *values: str) -> None:
    with psycopg.connect(site.database_url) as connection:
        connection.execute(statement, values or None)


def test_a_value_that_does_not_convert_is_named_corrected_and_tried_again(site: Site) -> None:
    # Given one value that is no uuid
    _change(site, "UPDATE orders SET id = %s WHERE number = 42", BAD)
    refused(site.call("check", str(site.plan)), "not_convertible", BAD, exit_code=1)

    # When the plan is run all the same
    stopped = site.run().wait()

    # Then it stops and names the value
    assert stopped.exit_code == 1, stopped.stderr
    assert "needs the operator" in stopped.stderr
    assert BAD in stopped.stderr
    assert "replank failures" in stopped.stderr
    assert "replank retry" in stopped.stderr
    told = document_of(stopped)
    assert isinstance(told, dict)
    assert (told["state"], told["jobs"]["failed"]) == ("needs_operator", 1)
    assert set(id_types(site.database_url).values()) == {"text"}

    # Then `failures` says where, what and what next, to programs and to people
    found = document_of(site.call("failures", "--json"))
    assert isinstance(found, list)
    (failure,) = found
    assert failure.keys() >= FAILURE
    assert (failure["table"], failure["class"], failure["sqlstate"]) == (
        "public.orders",
        "value does not convert",
        "22P02",
    )
    assert BAD in failure["message"]
    assert failure["range"]
    assert "correct or delete the row" in failure["suggestion"]
    words = " ".join(site.call("failures").stderr.split())
    for part in ("public.orders", BAD, "correct or delete the row", "replank retry"):
        assert part in words

    # Then without `retry` the same command still says so
    again = site.run().wait()
    assert again.exit_code == 1
    assert "needs the operator" in again.stderr

    # When the value is corrected and the failed job tried again
    _change(site, "UPDATE orders SET id = gen_random_uuid() WHERE id = %s", BAD)
    retried = site.call("retry")
    assert retried.exit_code == 0, retried.stderr
    assert "1 job waits again" in retried.stderr

    # Then the same command ends well
    finished = site.run().wait()
    assert finished.exit_code == 0, finished.stderr
    assert set(id_types(site.database_url).values()) == {"uuid"}
    assert differences(site.database_url) == []
    assert document_of(site.call("failures", "--json")) == []


def test_a_table_dropped_while_the_cutover_is_held_needs_a_person(site: Site, ledger: LedgerView) -> None:
    # Given a run that waits for its cutover
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})

    # When a table is dropped and the cutover released
    _change(site, "DROP TABLE orders")
    assert site.call("cutover").exit_code == 0

    # Then the run ends and says what was found and what to do
    stopped = run.wait()
    assert stopped.exit_code == 1, stopped.stderr
    words = " ".join(stopped.stderr.split())
    for part in ("public.orders", "dropped", "Nothing was swapped", "replank rollback"):
        assert part in words
    assert "Traceback" not in words
    assert id_types(site.database_url) == {"customers.id": "text"}

    # And that can be done
    done = site.call("rollback", "--yes", "--forget")
    assert done.exit_code == 0, done.stderr
    assert traces(site.database_url) == []
    assert id_types(site.database_url) == {"customers.id": "text"}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TYPE recent AS (n int, whole orders)", ("public.orders", "row type", "recent")),
        ("ALTER TABLE orders DROP CONSTRAINT orders_pkey, DROP CONSTRAINT orders_number_key", ("public.orders", "key")),
    ],
    ids=["row type", "no key"],
)
def test_run_refuses_what_it_cannot_carry_over(site: Site, statement: LiteralString, words: tuple[str, ...]) -> None:
    _change(site, statement)
    before = look(site.database_url)
    refused(site.run(workers=1).wait(), "nothing was changed", *words, exit_code=1)
    assert look(site.database_url) == before
    assert traces(site.database_url) == []


def test_rows_that_become_one_uuid_are_corrected_and_go_on(site: Site) -> None:
    # Given a row whose key is another one's in capitals
    _change(
        site,
        "INSERT INTO orders (id, customer_id, number) SELECT upper(id), customer_id, 900001 FROM orders"
        " WHERE id ~ '[a-f]' ORDER BY number LIMIT 1",
    )
    stopped = site.run().wait()
    assert stopped.exit_code == 1
    assert "values collide" in site.call("failures").stderr

    # When one of them is gone, as the words say
    _change(site, "DELETE FROM orders WHERE number = 900001")
    assert site.call("retry").exit_code == 0

    # Then the same command ends well: what was corrected came in before the index
    finished = site.run().wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
