"""Clients of other languages through a run and a rollback; docs/clients.md says what they met."""

from __future__ import annotations

import pytest

from clients.conftest import Measure
from clients.other_languages import OTHERS
from clients.page import committed

# The first time its packages are installed.
pytestmark = [pytest.mark.toolchains, pytest.mark.timeout(1_800)]


def test_what_clients_of_other_languages_meet_is_what_the_page_says(measured: Measure) -> None:
    found = measured(OTHERS)
    page = committed()
    assert {name: page.get(name) for name in found} == found
