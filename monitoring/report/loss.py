"""The second criterion: whether anything was lost, from counts and hashes, a comparison now, and a journal."""

from __future__ import annotations

from monitoring.report.facts import Facts
from monitoring.report.verdict import Criterion
from replank.wording import counted

HOW = (
    "Before the swap every table was counted and hashed on both sides at one snapshot (every row, every column, as it "
    "was and as it became); rows that changed later were compared in the transaction that brought them over, the last "
    "ones under the swap's lock. {now} Rows in quarantine are kept whole, so they are not lost, and are shown. Texts "
    "that became NULL because the plan says so are lost. {journal}"
)


def zero_data_loss(facts: Facts) -> Criterion:
    """Lost rows and values, of all that was checked. Undecided while a table is not swapped."""
    journal = facts.journal
    how = HOW.format(
        now="When this report was made, both sides were compared again, but for rows that were written since the swap."
        if any(one.mismatches is not None for one in facts.compared)
        else "They were not compared again for this report.",
        journal="The application's own journal of acknowledged writes was looked for in the new tables."
        if journal is not None and journal.checked
        else "No journal of the application was given (--journal).",
    )
    rebuilt = [table for table in facts.verified if table.rebuilt]
    waiting = [table.name for table in facts.verified if not table.done]
    unproved = [table.name for table in rebuilt if table.done and (table.sides is None or not table.sides.equal)]
    differing = {c.name: c.mismatches for c in facts.compared if c.mismatches}
    texts = {f"{lost.table}.{lost.column}": lost.values for lost in (facts.after.lost_texts if facts.after else ())}
    against = [f"{name}: the ledger has no verification with equal sums" for name in unproved]
    against += [
        f"{name}: {counted(count, 'key', 'differs')} from the past table now" for name, count in differing.items()
    ]
    against += [f"{name}: {_values(count)} became NULL" for name, count in texts.items() if count != 0]
    against += (
        []
        if journal is None
        else list(journal.sentences or ([counted(journal.count, "write")] if journal.count else []))
    )
    lost = sum(differing.values()) + sum(count or 0 for count in texts.values()) + (journal.count if journal else 0)
    # A journal in which nothing was looked for is a check that did not take place, not one that found nothing.
    empty = journal is not None and not journal.checked and not against
    decided = bool(facts.verified) and not waiting and not empty
    return Criterion(
        criterion="Zero data loss",
        measured=lost if decided else None,
        shown=_words(facts, waiting, against) if facts.verified else f"no table is planned: {facts.not_yet}",
        target=0,
        target_shown="0 rows, 0 values",
        met=(not against) if decided else None,
        how=how,
        names=tuple(against),
    )


def _values(count: int | None) -> str:
    return "texts (how many is not known)" if count is None else counted(count, "text")


def _rows(count: int) -> str:
    """As they are now: drains after the verification quarantine rows, and return them, too."""
    return counted(count, "row")


def _words(facts: Facts, waiting: list[str], against: list[str]) -> str:
    if waiting:
        return f"{counted(len(waiting), 'table', 'is')} not swapped: {facts.not_yet}"
    sides = [table.sides for table in facts.verified if table.rebuilt and table.sides is not None]
    in_place = [table for table in facts.verified if not table.rebuilt]
    words = [
        f"{counted(sum(s.rows_live for s in sides), 'row')} in {counted(len(sides), 'table')} verified, "
        f"{_rows(sum(facts.quarantined.values()))} quarantined"
    ]
    if in_place:
        words.append(f"{counted(len(in_place), 'table', 'was')} filled in place: none of their rows was moved")
    if facts.compared:
        again = [one for one in facts.compared if one.mismatches is not None]
        words.append(f"{len(again)} of {counted(len(facts.compared), 'table')} compared again now")
    if facts.journal is not None:
        words.append(
            "the journal's file says that 0 writes were checked, so nothing of it is known"
            if not facts.journal.checked
            else f"{counted(facts.journal.checked, 'write')} of the journal looked for, {facts.journal.count} not found"
        )
    return "; ".join(words) + (f". Against it: {'; '.join(against[:5])}" if against else "")
