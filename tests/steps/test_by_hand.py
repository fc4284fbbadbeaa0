"""Steps 08, 09 and 10 by psql: the same database as by a run, and back to where it began."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from protocol.harness import Rebuild

from demo.embedded import EmbeddedPostgres
from producer.resolution import PlanFile
from producer.setup import begin_or_resume
from replank.plan import Plan
from sql.connection import connect

from .dumps import dump, psql
from .hand_shop import AUDIT, BY_DATE, PARTS, SHOP, UUIDS, compile_by_hand, execute, plan_of, written

pytestmark = pytest.mark.catalogue

OURS = "replank*"


@pytest.fixture(scope="module", autouse=True)
def _shop(postgres: EmbeddedPostgres) -> Iterator[None]:
    """A filled shop that each test takes its databases from."""
    execute(postgres.create_database("hand_shop"), SHOP)
    yield
    postgres.drop_database("hand_shop")


@pytest.fixture
def shops(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Two databases of the same name's length and contents: one for psql, one for a run."""
    names = [f"hand_{abs(hash(request.node.name)) % 10**8}_{n}" for n in (1, 2)]
    urls = [postgres.create_database(name, template="hand_shop") for name in names]
    yield urls[0], urls[1]
    for name in names:
        postgres.drop_database(name)


def _name(url: str) -> str:
    with psycopg.connect(url) as session:
        return session.info.dbname


def _numberless(url: str) -> str:
    """The database without our own schemas. Functions of reverse capture bear the number of their run."""
    return re.sub(r"capture_back_\d+_", "capture_back_N_", dump(url, without=OURS))


def _run(url: str, plan: Plan) -> Rebuild:
    with connect(url, name="test") as connection:
        begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=False)
    rebuild = Rebuild.attach(url)
    rebuild.finish()
    return rebuild


@pytest.mark.parametrize(
    "parts", [[UUIDS], [AUDIT], [PARTS, BY_DATE], [UUIDS, AUDIT, PARTS]], ids=["uuids", "audit", "partitions", "all"]
)
def test_by_hand_and_by_a_run(parts: list[dict[str, Any]], shops: tuple[str, str], tmp_path: Path) -> None:
    hand, other = shops
    before = dump(hand)
    files = written(compile_by_hand(hand, plan_of(_name(hand), *parts)), tmp_path)
    assert dump(hand) == before, "to compile has left something"

    for file in files[:3]:
        psql(hand, file)
    _run(other, plan_of(_name(other), *parts)).close()
    assert _numberless(hand) == _numberless(other)

    for file in files[3:]:
        psql(hand, file)
    assert dump(hand) == before
