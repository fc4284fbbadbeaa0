"""A sort of transaction, of whatever actor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from demo.clients.actor import Actor
from demo.clients.transaction import Transaction

A = TypeVar("A", bound=Actor[Any])


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[A]):
    """What is done in the transaction, and around it.

    weight: how often, against the others; pause_s: seconds to think before COMMIT; rollback: whether
    the application changes its mind at the end.
    """

    run: Callable[[Transaction, A], None]
    weight: float
    pause_s: float = 0.0
    rollback: bool = False
