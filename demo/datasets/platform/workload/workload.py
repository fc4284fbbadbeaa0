"""The platform's clients, of the old style and of the new one: each group has rows of its own."""

from demo.clients.names import AS_WRITTEN
from demo.clients.styles.statements import Vocabulary
from demo.clients.styles.typed import Typed
from demo.clients.styles.untyped import Untyped
from demo.clients.workload import Group, Workload
from demo.datasets.platform.workload.actor import PlatformActor
from demo.datasets.platform.workload.adoption import adopt
from demo.datasets.platform.workload.names import MAPPED, is_ready, names_now
from demo.datasets.platform.workload.operations import NEW_KINDS, OLD_KINDS
from demo.datasets.platform.workload.statements import STATEMENTS
from demo.datasets.platform.workload.tables import KNOWN, PLATFORM

_OLD = Untyped(Vocabulary(tables=KNOWN, names=AS_WRITTEN, written_out=STATEMENTS))
_NEW = Typed(Vocabulary(tables=KNOWN, names=MAPPED, written_out=STATEMENTS))

WORKLOAD = Workload(
    name="platform",
    tables=PLATFORM,
    groups=(
        Group(name="old", style=_OLD, kinds=OLD_KINDS),
        Group(name="new", style=_NEW, kinds=NEW_KINDS, is_ready=is_ready),
    ),
    adopt=adopt,
    actor=PlatformActor,
    names_now=names_now,
)
