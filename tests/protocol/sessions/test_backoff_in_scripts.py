"""Scripts for psql wait as Python does: between the same bounds, and for any number of attempts."""

import psycopg
import pytest

from replank.backoff import SHORT_LOCK, SWAP_MOMENT, Backoff

pytestmark = pytest.mark.protocol


@pytest.mark.parametrize("backoff", [SHORT_LOCK, SWAP_MOMENT])
@pytest.mark.parametrize("attempt", [1, 2, 9, 40, 2_000_000_000])
def test_the_server_computes_the_same_waits(app: psycopg.Connection, backoff: Backoff, attempt: int) -> None:
    app.execute(
        f"CREATE FUNCTION wait_s(n int) RETURNS float8 LANGUAGE sql RETURN {backoff.sql('n')}".encode(),
    )
    waits = [found for (found,) in app.execute("SELECT wait_s(%s) FROM generate_series(1, 200)", [attempt])]
    longest = backoff.longest_s(attempt)
    assert longest / 2 <= min(waits) + 1e-9
    assert max(waits) <= longest + 1e-9
    assert len(set(waits)) > 150
