"""This file knows how to name what a figure shows: heads, tokens, titles."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

SPECIAL = {"<|endoftext|>": "BOS", "": "∅"}


def head_label(layer: int, head: int) -> str:
    """A head as the field writes it, such as `L5H1`."""
    return f"L{layer}H{head}"


def token_label(token: object) -> str:
    """A token as it reads on an axis: no leading space, line ends visible, the start token as BOS."""
    text = str(token)
    if text in SPECIAL:
        return SPECIAL[text]
    if text.isspace():
        return text.replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣")
    return text.strip(" ").replace("\n", "↵").replace("\t", "⇥")


def token_labels(tokens: Sequence[object]) -> list[str]:
    """Every token as it reads on an axis, in order."""
    return [token_label(token) for token in tokens]


def escape(text: str) -> str:
    """The text as plotly prints it letter by letter: plotly reads `<…>` as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis_labels(names: Sequence[object] | None, length: int) -> list[str]:
    """One label for each of `length` rows or columns; their numbers where no names are given."""
    if names is None:
        return [str(i) for i in range(length)]
    if len(names) != length:
        raise ValueError(f"one label for each row or column: there are {length}, but {len(names)} labels")
    return [escape(label) for label in token_labels(names)]


def wrapped(title: str, width: int = 92) -> str:
    """The title as plotly prints it, broken into lines that fit above a figure."""
    return "<br>".join(escape(line) for line in textwrap.wrap(title, width))
