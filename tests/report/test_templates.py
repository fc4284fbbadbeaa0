"""What the report's templates ask of the facts is there: nothing else would say so before the page is made."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

import monitoring.report
from monitoring.report.facts import Facts

pytestmark = pytest.mark.unit

TEMPLATES = Path(monitoring.report.__file__).parent / "templates"


def test_whatever_a_template_asks_of_the_facts_is_there() -> None:
    asked = {
        name
        for template in TEMPLATES.rglob("*.j2")
        for name in re.findall(r"\bfacts\.([a-z_]+)", template.read_text(encoding="utf-8"))
    }
    assert len(asked) > 10
    assert asked - {field.name for field in fields(Facts)} - set(dir(Facts)) == set()
