"""The market's clients, all of one group."""

from demo.clients.names import AS_WRITTEN
from demo.clients.styles.statements import Vocabulary
from demo.clients.styles.untyped import Untyped
from demo.clients.workload import Group, Workload
from demo.datasets.market.workload.actor import MarketActor
from demo.datasets.market.workload.adoption import adopt
from demo.datasets.market.workload.operations import KINDS
from demo.datasets.market.workload.statements import STATEMENTS
from demo.datasets.market.workload.tables import MARKET

_STYLE = Untyped(Vocabulary(tables=MARKET.by_name, names=AS_WRITTEN, written_out=STATEMENTS))

WORKLOAD = Workload(
    name="market",
    tables=MARKET,
    groups=(Group(name="market", style=_STYLE, kinds=KINDS),),
    adopt=adopt,
    actor=MarketActor,
)
