"""Python's clients, and node-postgres, through a run and a rollback; docs/clients.md says what they met."""

from __future__ import annotations

import pytest

from clients import alchemy, django_clients, drivers
from clients.conftest import Measure
from clients.other_languages import NODE_POSTGRES
from clients.page import committed

# Dozens of sessions of their own begin and work, one after the other.
pytestmark = pytest.mark.timeout(900)


def test_what_clients_meet_is_what_the_page_says(measured: Measure) -> None:
    found = measured([*drivers.CLIENTS, *alchemy.CLIENTS, *django_clients.CLIENTS, *NODE_POSTGRES])
    page = committed()
    assert {name: page.get(name) for name in found} == found
