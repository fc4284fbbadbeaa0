"""Names that are made of others: they fit, they stay apart, and they are the same each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.schemas.names import longest

from replank.addresses.addresses import shown
from replank.names import (
    LONGEST_NAME_BYTES,
    WORKER_SESSION,
    beginning_of_cut,
    cut,
    fits,
    joined_name,
    worker_name,
)
from replank.plan.tables.table_plan import ColumnPlan

pytestmark = pytest.mark.unit

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).map(cut).filter(bool)
ENDINGS = st.sampled_from(["", "_key", "_on_update", "_2025_01", "_replank_123_check"])


@given(st.lists(NAMES, min_size=1, max_size=3), ENDINGS)
def test_what_fits_is_left_alone_and_the_rest_is_cut_at_a_character(parts: list[str], ending: str) -> None:
    whole = "_".join(parts) + ending
    name = joined_name(*parts, ending=ending)
    assert fits(name)
    assert name.endswith(ending)
    assert (name == whole) == fits(whole)
    if fits(whole):
        return
    beginning = beginning_of_cut(name, ending=ending)
    assert beginning is not None
    assert whole.startswith(beginning)
    assert len(name.encode()) > LONGEST_NAME_BYTES - 4


@given(NAMES, NAMES, ENDINGS)
def test_names_of_different_parts_differ(one: str, other: str, ending: str) -> None:
    long = longest("ж")
    assert (joined_name(long, one, ending=ending) == joined_name(long, other, ending=ending)) == (one == other)


@given(st.text(max_size=80), st.text(max_size=80), st.integers(1, 4_194_304))
def test_a_workers_session_keeps_its_whole_name_and_hosts_stay_apart(one: str, other: str, pid: int) -> None:
    name = worker_name(one, pid)
    assert fits(WORKER_SESSION + name)
    assert name.isascii()
    assert name.isprintable()
    assert name.endswith(f":{pid}")
    assert (name == worker_name(other, pid)) == (one == other)


def test_a_workers_name_is_its_host_and_process() -> None:
    assert worker_name("db-1.example", 7) == "db-1.example:7"


@pytest.mark.parametrize("letter", ["x", "ж", "🙂"])
def test_a_plan_counts_a_name_in_bytes(letter: str) -> None:
    assert ColumnPlan(name=longest(letter, "1"), to="uuid").name
    with pytest.raises(ValidationError, match="at most 63 bytes, this one has 64"):
        ColumnPlan(name=longest(letter, "1") + "x", to="uuid")


def test_an_address_shows_a_long_name_that_is_written_in_percents() -> None:
    name = "%D0%B6" * 31
    assert shown(f"postgresql://{name}:secret@host/{name}") == f"postgresql://{name}:***@host/{name}"
    assert shown(f"postgresql://{name}:secret@host/{name}xx") == "postgresql://***"
