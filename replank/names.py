"""Names of objects in PostgreSQL: how long they may be, and what is made of one that would be longer.

All names of ours that are made of others come from here. PostgreSQL would cut them too, but without a word and without
looking whether another object has the name that is left.
"""

from __future__ import annotations

import hashlib
import re

LONGEST_NAME_BYTES = 63
"""NAMEDATALEN - 1 (PostgreSQL's manual, 4.1.1). Bytes of UTF-8: sessions refuse databases in any other encoding."""

DIGEST_LETTERS = 8

WORKER_SESSION = "replank worker "
"""How the names of workers' sessions begin: `sql.session.connection`, and `replank.worker_session` in the ledger."""

_CUT = re.compile(rf"(.*)_[0-9a-f]{{{DIGEST_LETTERS}}}$", re.DOTALL)


def fits(name: str) -> bool:
    """Whether PostgreSQL keeps the whole name."""
    return len(name.encode()) <= LONGEST_NAME_BYTES


def cut(name: str, *, at_most_bytes: int = LONGEST_NAME_BYTES) -> str:
    """The beginning of a name, up to the last character that is whole within so many bytes."""
    return name.encode()[:at_most_bytes].decode(errors="ignore")


def joined_name(*parts: str, ending: str = "") -> str:
    """`orders_number_key` of `orders`, `number` and the ending `_key`.

    Where that is too long, what stands before the ending is cut and followed by a digest of the whole, so that names
    that differ only behind the cut stay two: the same parts always give the same name.
    """
    whole = "_".join(parts) + ending
    if fits(whole):
        return whole
    digest = "_" + hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_LETTERS]
    room = LONGEST_NAME_BYTES - len((digest + ending).encode())
    return cut("_".join(parts), at_most_bytes=room) + digest + ending


def worker_name(host: str, pid: int) -> str:
    """What a worker process is called in the ledger, such that its session is called `replank worker NAME` exactly.

    PostgreSQL cuts `application_name` as any name, and escapes what is not ASCII in it. Where either would happen, the
    host is shown as far as it goes, and a digest keeps two hosts apart.
    """
    ending = f":{pid}"
    room = LONGEST_NAME_BYTES - len(f"{WORKER_SESSION}{ending}")
    shown = "".join(each if " " <= each <= "~" else "?" for each in host)
    if shown != host or len(host) > room:
        digest = "-" + hashlib.sha256(host.encode(errors="replace")).hexdigest()[:DIGEST_LETTERS]
        shown = cut(shown, at_most_bytes=room - len(digest)) + digest
    return shown + ending


def beginning_of_cut(name: str, *, ending: str) -> str | None:
    """What `joined_name` has left of the parts before `ending`; None where it has cut nothing."""
    # Cutting at a character leaves up to three bytes free.
    if len(name.encode()) < LONGEST_NAME_BYTES - 3:
        return None
    found = _CUT.match(name.removesuffix(ending))
    return found.group(1) if found else None
