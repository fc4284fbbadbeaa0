"""The shop's clients, all of one group."""

from demo.clients.names import AS_WRITTEN
from demo.clients.styles.statements import Vocabulary
from demo.clients.styles.untyped import Untyped
from demo.clients.workload import Group, Workload
from demo.datasets.shop.workload.actor import ShopActor
from demo.datasets.shop.workload.adoption import adopt
from demo.datasets.shop.workload.operations import KINDS
from demo.datasets.shop.workload.statements import STATEMENTS
from demo.datasets.shop.workload.tables import SHOP

_STYLE = Untyped(Vocabulary(tables=SHOP.by_name, names=AS_WRITTEN, written_out=STATEMENTS))

WORKLOAD = Workload(
    name="shop",
    tables=SHOP,
    groups=(Group(name="shop", style=_STYLE, kinds=KINDS),),
    adopt=adopt,
    actor=ShopActor,
)
