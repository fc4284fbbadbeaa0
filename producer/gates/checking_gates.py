"""Checks every gate of a plan: each with what was found, and with what would let it pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from monitoring.status.gates import window_at
from producer.gates.ages import in_words
from producer.gates.alerts import check_monitoring
from producer.gates.attesting import check_attestation
from producer.gates.backups import Backup, newest_backup
from producer.gates.rehearsed import check_rehearsal, check_rollback_scripts
from producer.gates.verifying_backups import verify
from replank.errors import NeedsOperator, WrongUse
from replank.plan.operation.gates_plan import GatesPlan, Looked, age_of
from replank.plan.plan import Plan
from replank.values.states import GateRecordKind
from sql.catalogue.backup_contents import read_place
from sql.ledger.runs import gate_records, gates, runs
from sql.ledger.runs.events import add_event
from sql.ledger.runs.gate_records import Word
from sql.ledger.runs.gates import Gate
from sql.session.connection import Connection

AHEAD = timedelta(minutes=5)
"""How far another machine's clock may be ahead before a backup counts as one from the future."""

MAKE_ONE = "`replank gates PLAN backup --out DIR`"


def check_gates(connection: Connection, plan: Plan) -> list[Gate]:
    """How every gate of the plan stands now; written to the ledger, which must be there. None without `[gates]`.

    A gate that was overridden is not checked: its reason stands in the place of what would be found.
    """
    if plan.gates is None:
        return []
    checks = _GateChecks(
        connection=connection,
        plan=plan,
        asked=plan.gates,
        said=gate_records.attestations(connection, plan.digest()),
    )
    found = [checks.check(name) for name in plan.gates.names]
    gates.keep_gates(connection, plan.digest(), found)
    return found


@dataclass(frozen=True, kw_only=True)
class _GateChecks:
    """One pass over the gates. `said` is what people have attested that still counts."""

    connection: Connection
    plan: Plan
    asked: GatesPlan
    said: Mapping[tuple[str, GateRecordKind], Word]

    def check(self, name: str) -> Gate:
        overridden = self.said.get((name, "overridden"))
        if overridden is not None:
            return Gate(name=name, state="overridden", by=overridden.by, at=overridden.at, reason=overridden.words)
        checks: Mapping[Looked, Callable[[], Gate]] = {
            "backup": self._backup,
            "rehearsed": lambda: check_rehearsal(self.connection, self.plan, self.asked.rehearsal),
            "rollback_scripts": lambda: check_rollback_scripts(self.connection, self.plan),
            "monitoring": lambda: check_monitoring(self.asked.monitoring),
            "window": self._window,
        }
        for checked, how in checks.items():
            if checked == name:
                return how()
        attestation = next(each for each in self.asked.attestations if each.name == name)
        return check_attestation(self.connection, self.plan, attestation, self.said.get((name, "attested")))

    def _window(self) -> Gate:
        if not self.asked.windows:
            remedy = "add one in [[gates.windows]], or list the gate in not_asked"
            return Gate(name="window", state="open", reason="the plan has no cutover window", remedy=remedy)
        found = window_at(self.asked, gates.server_now(self.connection))
        if found.opens is None or found.closes is None:
            return Gate(name="window", state="open", reason=found.reason, remedy="correct [[gates.windows]]")
        words = f"{found.opens.isoformat()} to {found.closes.isoformat()}"
        reason = f"open now, until {found.closes.isoformat()}" if not found.reason else f"the next is {words}"
        return Gate(name="window", state="passed", by="replank", reason=reason, evidence=found.to_json())

    def _backup(self) -> Gate:
        try:
            return self._good_backup()
        except NeedsOperator as error:
            return Gate(name="backup", state="open", reason=str(error).rstrip("."), remedy=MAKE_ONE)

    def _good_backup(self) -> Gate:
        """Raises NeedsOperator, saying what is wrong."""
        place = read_place(self.connection)
        made = gate_records.newest_record(self.connection, "backup", plan_digest=None)
        path = self.asked.backup.path
        if path is None and made is None:
            raise NeedsOperator("the plan has no backup, and none was made by `replank gates PLAN backup`")
        # A path of the plan's is where backups lie; without one, that of the tool's own last.
        backup = newest_backup(path if path is not None else _path_of(made), place)
        age = gates.server_now(self.connection) - backup.taken_at
        if age > age_of(self.asked.backup.max_age):
            raise NeedsOperator(f"{backup.path} is {in_words(age)} old; the plan allows {self.asked.backup.max_age}")
        if age < -AHEAD:
            raise NeedsOperator(f"{backup.path} has the time {backup.taken_at.isoformat()}, which is in the future")
        how = self._remembered(backup) or self._verified(backup, verify(backup, place))
        return Gate(
            name="backup",
            state="passed",
            by="replank",
            at=backup.taken_at,
            reason=f"{backup.path}, {in_words(age)} old; {how}",
            evidence={"path": str(backup.path), "kind": backup.kind, "age_s": age.total_seconds(), "verified": how},
        )

    def _remembered(self, backup: Backup) -> str:
        """How these same files were verified lately; empty where they were not."""
        word = gate_records.newest_record(self.connection, "verified", plan_digest=None)
        if word is None or word.age > age_of(self.asked.backup.verified_for):
            return ""
        known = (word.evidence.get("path"), word.evidence.get("fingerprint"))
        return str(word.evidence["how"]) if known == (str(backup.path), backup.fingerprint) else ""

    def _verified(self, backup: Backup, how: str) -> str:
        evidence = {"path": str(backup.path), "fingerprint": backup.fingerprint, "how": how}
        gate_records.add_record(
            self.connection, self.plan.digest(), "backup", "verified", by="replank", evidence=evidence
        )
        return how


def _path_of(made: Word | None) -> Path:
    assert made is not None
    return Path(str(made.evidence["path"]))


def attest(connection: Connection, plan: Plan, name: str, *, by: str, note: str) -> None:
    """Record a person's attestation. Raises WrongUse for a gate that is measured, or is none."""
    asked = _asked(plan, name)
    if name not in {each.name for each in asked.attestations}:
        raise WrongUse(f"Gate {name} is measured and cannot be attested. `override` passes it, with a reason.")
    _record(connection, plan, name, "attested", by=by, words=note)


def override(connection: Connection, plan: Plan, name: str, *, by: str, reason: str) -> None:
    """A person goes past a gate. Raises WrongUse where there is no such gate, or no reason."""
    _asked(plan, name)
    if not reason.strip():
        raise WrongUse("An override needs a reason: --reason TEXT. `replank status` shows it.")
    _record(connection, plan, name, "overridden", by=by, words=reason)


def _asked(plan: Plan, name: str) -> GatesPlan:
    if plan.gates is None:
        raise WrongUse("This plan has no [gates]. Add the section first.")
    if name not in plan.gates.names:
        raise WrongUse(f"The plan has no gate {name}. Its gates are: {', '.join(plan.gates.names)}.")
    return plan.gates


def _record(connection: Connection, plan: Plan, name: str, kind: GateRecordKind, *, by: str, words: str) -> None:
    if not by.strip():
        raise WrongUse("Give the name of the person who answers for it: --by WHO.")
    with connection.transaction():
        gate_records.add_record(connection, plan.digest(), name, kind, by=by.strip(), words=words.strip())
        run = runs.open_run(connection)
        if run is not None and run.plan_digest == plan.digest():
            message = f"{kind} by {by.strip()}: {words.strip()}"
            add_event(connection, run.run_id, actor="operator", kind="gate", subject=name, message=message)
