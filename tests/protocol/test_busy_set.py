"""A wide set under writers whose transactions last: it gets its locks, and nobody waits longer than the ceiling."""

import os
from collections.abc import Callable

import psycopg
import pytest

from .busy_set import Writers, create, swap_in_real_time
from .harness import Rebuild, Url

pytestmark = [pytest.mark.protocol]

Begin = Callable[..., Rebuild]

LOADS = {
    "written at once": {"statements": (1, 1)},
    "written bit by bit": {"statements": (2, 5)},
    "without a rest": {"statements": (1, 1), "rest_s": 0.0},
    "bit by bit without a rest": {"statements": (2, 5), "rest_s": 0.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADS)
def test_a_wide_set_is_swapped_within_a_minute(app: psycopg.Connection, begin: Begin, database: Url, load: str) -> None:
    number = int(os.environ.get("REPLANK_TABLES", "60"))
    rebuild = begin(*create(app, number))
    rebuild.ready()
    with Writers(database, number, **LOADS[load]) as writers:  # type: ignore[arg-type]
        seconds = swap_in_real_time(rebuild, within_s=float(os.environ.get("REPLANK_WITHIN_S", "60")))
    (swapped,) = rebuild.sets
    app_ms = writers.longest_s * 1000
    print(f"FIGURES {load}: {number} tables, {seconds:.1f} s, missed {swapped.attempts}, errors {writers.errors}")
    print(f"FIGURES wait {swapped.lock_wait_ms:.0f}, hold {swapped.lock_hold_ms:.0f}, application {app_ms:.0f} ms")
    assert writers.errors == []
    assert writers.lost(app) == []
