"""This file knows how to make text from untrusted places safe to keep: every control character and half character shown."""

from __future__ import annotations

import re
import unicodedata

# What XML 1.0 does not allow, what turns the direction of writing around, and halves of surrogate pairs
UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


def plain(text: object, limit: int = 2_000) -> str:
    """The text with � for everything that a page, a table or an XML file could not show, and no longer than ``limit``."""
    shown = UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", str(text).replace("\r\n", "\n").replace("\r", "\n"))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def one_line(text: object, limit: int = 200) -> str:
    """The same on one line, composed as most keyboards write it: for names of people and files."""
    return unicodedata.normalize("NFC", " ".join(plain(text, 2 * limit).split()))[:limit]
