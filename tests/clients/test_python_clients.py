"""Python's clients through a run and a rollback; docs/clients.md says what they met."""

from __future__ import annotations

import pytest

from clients import alchemy, django_clients, drivers
from clients.conftest import Measure
from clients.page import committed

pytestmark = pytest.mark.protocol


def test_what_python_clients_meet_is_what_the_page_says(measured: Measure) -> None:
    found = measured([*drivers.CLIENTS, *alchemy.CLIENTS, *django_clients.CLIENTS])
    page = committed()
    assert {name: page.get(name) for name in found} == found
