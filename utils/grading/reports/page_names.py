"""This file knows how to name learners' reports so that every file system takes them and no two are the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}


def page_names(learners: Iterable[str]) -> dict[str, str]:
    """For each learner the name in plain lower case, with a few digits of its hash where that says less than the name."""
    names: dict[str, str] = {}
    taken = set(RESERVED)
    for learner in sorted(learners):
        letters = unicodedata.normalize("NFKD", learner).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40]
        if name in taken or not re.fullmatch(r"[\w -]{1,40}", learner) or not name:
            name = f"{name or 'learner'}-{hashlib.sha256(learner.encode()).hexdigest()[:8]}"
        taken.add(name)
        names[learner] = name
    return names
