"""Monitoring: the metrics endpoint answers with metrics, and the alert rules load."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from producer.notifications.web import ask, place_of
from replank.plan.operation.gates_plan import MonitoringGatePlan
from sql.ledger.runs.gates import Gate

NAME = "monitoring"
PROMTOOL_DEADLINE_S = 60.0
CLOSES = {")": "(", "]": "[", "}": "{"}

# Quotes may hold anything but themselves.
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SAMPLE = re.compile(rf"^([A-Za-z_:][A-Za-z0-9_:]*)(\{{(?:[^\"}}]|{_QUOTED})*\}})?\s+(NaN|[+-]?Inf|[+-]?[0-9.eE+-]+)")
_STRINGS = re.compile(rf"{_QUOTED}|'(?:[^'\\]|\\.)*'|`[^`]*`")


def check_monitoring(asked: MonitoringGatePlan) -> Gate:
    """Both have to be named in the plan, and both to be in order."""
    problems: list[str] = []
    evidence: dict[str, Any] = {}
    if asked.metrics_url is None:
        problems.append("the plan has no metrics_url")
    else:
        problems += _metrics_problems(asked.metrics_url, asked.metrics, evidence)
    if asked.rules is None:
        problems.append("the plan has no file of alert rules")
    else:
        problems += _rules_problems(asked.rules, evidence)
    if problems:
        remedy = "correct this, or [gates.monitoring] of the plan"
        return Gate(name=NAME, state="open", reason="; ".join(problems), remedy=remedy, evidence=evidence)
    words = f"{evidence['samples']} samples, {evidence['alerts']} alerts"
    return Gate(name=NAME, state="passed", by="replank", reason=words, evidence=evidence)


def _metrics_problems(url: str, wanted: tuple[str, ...], evidence: dict[str, Any]) -> Iterator[str]:
    answer = ask(url)
    place = place_of(url)
    evidence |= {"metrics": place, "status": answer.status}
    if not answer.good:
        yield f"{place} answers {answer.status or 'nothing'}: {answer.text[:120]}"
        return
    lines = [line.strip() for line in answer.text.splitlines()]
    found = [_SAMPLE.match(line) for line in lines if line and not line.startswith("#")]
    names = {each.group(1) for each in found if each}
    evidence["samples"] = sum(each is not None for each in found)
    if not found or None in found:
        yield f"the answer of {place} is not in Prometheus' text format"
    missing = sorted(set(wanted) - names)
    if missing:
        yield f"{place} has no {', '.join(missing)}"


def _rules_problems(path: Path, evidence: dict[str, Any]) -> Iterator[str]:
    evidence["rules"] = str(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        yield f"{path}: {error.strerror}"
        return
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        yield f"{path} is not YAML: {' '.join(str(error).split())}"
        return
    rules = list(_rules(document))
    problems = [words for words, _ in rules if words]
    evidence["alerts"] = sum(rule.get("alert") is not None for words, rule in rules if not words)
    if not problems and not evidence["alerts"]:
        problems.append("it has no alert")
    yield from (f"{path}: {problem}" for problem in problems)
    yield from _promtool_problems(path, evidence)


def _rules(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each rule, or what is wrong with it, as Prometheus reads its files."""
    groups = document.get("groups") if isinstance(document, dict) else None
    if not isinstance(groups, list) or not groups:
        yield "it has no groups", {}
        return
    for number, group in enumerate(groups, start=1):
        if not isinstance(group, dict) or not isinstance(group.get("name"), str):
            yield f"group {number} has no name", {}
        elif not isinstance(group.get("rules"), list) or not group["rules"]:
            yield f"group {group['name']} has no rules", {}
        else:
            yield from ((_rule_problem(group["name"], rule), rule) for rule in group["rules"])


def _rule_problem(group: str, rule: Any) -> str:
    if not isinstance(rule, dict) or ("alert" in rule) == ("record" in rule):
        return f"a rule of group {group} is neither an alert nor a record"
    name = rule.get("alert", rule.get("record"))
    if not isinstance(name, str) or not name:
        return f"a rule of group {group} has no name"
    expression = rule.get("expr")
    if not str(expression if expression is not None else "").strip():
        return f"rule {name} of group {group} has no expr"
    return "" if _balanced(str(expression)) else f"the expr of rule {name} has unbalanced brackets"


def _balanced(expression: str) -> bool:
    opened: list[str] = []
    for sign in _STRINGS.sub("", expression):
        if sign in CLOSES.values():
            opened.append(sign)
        elif sign in CLOSES and (not opened or opened.pop() != CLOSES[sign]):
            return False
    return not opened


def _promtool_problems(path: Path, evidence: dict[str, Any]) -> Iterator[str]:
    """Prometheus' own tool reads the expressions too, where it is installed."""
    tool = shutil.which("promtool")
    evidence["promtool"] = tool is not None
    if tool is None:
        return
    try:
        done = subprocess.run(
            [tool, "check", "rules", str(path)],
            capture_output=True,
            text=True,
            timeout=PROMTOOL_DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield f"promtool could not be started: {error}"
        return
    if done.returncode != 0:
        yield f"promtool reports: {' '.join((done.stderr or done.stdout).split())[:300]}"
