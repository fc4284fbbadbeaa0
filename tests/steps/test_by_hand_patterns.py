"""Indexes for LIKE over ids, by psql: the same database as by a run, and back to where it began."""

from pathlib import Path

import pytest

from replank.errors import NeedsOperator
from steps.dumps import dump, psql
from steps.hand_shop import PARTS, UUIDS, compile_by_hand, execute, name_of, plan_of, run_to_its_end, written
from steps.test_by_hand import _numberless

pytestmark = pytest.mark.catalogue

PATTERNS = """
CREATE INDEX person_like ON person (id text_pattern_ops);
CREATE INDEX orders_like ON orders (person_id text_pattern_ops) WHERE total > 0;
CREATE INDEX parent_like ON orders (parent_id text_pattern_ops)
"""


@pytest.mark.parametrize("parts", [[UUIDS], [UUIDS, PARTS]], ids=["uuids", "partitions"])
def test_by_hand_and_by_a_run(parts: list[dict[str, object]], shops: tuple[str, str], tmp_path: Path) -> None:
    hand, other = shops
    for url in shops:
        execute(url, PATTERNS)
    before = dump(hand)
    plans = [plan_of(name_of(url), *parts, consent=["pattern_indexes"]) for url in shops]
    files = written(compile_by_hand(hand, plans[0]), tmp_path)
    assert "index for LIKE person_like: left out of the new table" in files[0].read_text()

    for file in files[:3]:
        psql(hand, file)
    run_to_its_end(other, plans[1]).close()
    after = _numberless(hand)
    assert after == _numberless(other)
    assert [name for name in ("person_like", "orders_like", "parent_like") if name in after] == ["parent_like"]

    for file in files[3:]:
        psql(hand, file)
    assert dump(hand) == before


def test_without_consent_nothing_is_compiled(shop: str) -> None:
    execute(shop, PATTERNS)
    with pytest.raises(NeedsOperator, match=r'(?s)3 indexes for LIKE .*consent = \["pattern_indexes"\]'):
        compile_by_hand(shop, plan_of(name_of(shop), UUIDS))
