"""The shop's clients, all of one group: SQLAlchemy's ORM."""

from demo.clients.styles.orm import Orm
from demo.clients.workload import Group, Workload
from demo.datasets.shop.project.shop.base import Base
from demo.datasets.shop.project.shop.ids import accept_both
from demo.datasets.shop.workload.actor import ShopActor
from demo.datasets.shop.workload.adoption import adopt
from demo.datasets.shop.workload.operations import KINDS
from demo.datasets.shop.workload.tables import SHOP
from demo.datasets.shop.workload.with_objects import OPERATIONS

_MODELS = tuple(mapper.class_ for mapper in Base.registry.mappers)


def workload_of(name: str, *, prepared: bool) -> Workload[ShopActor]:
    """prepared: the release for the cutover, to which ids are texts or uuids; otherwise the application as it was.

    The models are one for the whole process, so it can only be one of both.
    """
    if prepared:
        accept_both(Base.metadata)
    group = Group(name="orm", style=Orm(_MODELS, OPERATIONS), kinds=KINDS)
    return Workload(name=name, tables=SHOP, groups=(group,), adopt=adopt, actor=ShopActor)
