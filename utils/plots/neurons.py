"""This file knows how to show which tokens a neuron answers to and which it promotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from .labels import escape, token_label
from .theme import INK, PAPER, RULE, finish


def listed(tokens: Any, most: int = 10) -> str:
    """Tokens, with their values where given, as one line of text."""
    if isinstance(tokens, Mapping):
        tokens = list(tokens.items())
    parts = []
    for item in list(tokens)[:most]:
        token, value = item if isinstance(item, (tuple, list)) else (item, None)
        text = escape(token_label(token))
        parts.append(text if value is None else f"{text} {float(value):+.1f}")
    return ", ".join(parts)


def neuron_table(neurons: Mapping[str, Sequence[Any]], *, title: str) -> go.Figure:
    """One row for each neuron: (what it promotes, what it answers to), each a list of tokens or of (token, value)."""
    rows = [(escape(name), listed(inputs), listed(promoted)) for name, (promoted, inputs) in neurons.items()]
    columns = [list(column) for column in zip(*rows)] if rows else [[], [], []]
    figure = go.Figure(
        go.Table(
            columnwidth=[1, 5, 5],
            header=dict(
                values=[
                    "<b>neuron</b>",
                    "<b>answers to</b> (key: reads from the stream)",
                    "<b>promotes</b> (value: writes to the logits)",
                ],
                align="left",
                fill_color=RULE,
                line_color=RULE,
                font=dict(color=INK, size=12),
                height=28,
            ),
            cells=dict(
                values=columns,
                align="left",
                fill_color=PAPER,
                line_color=RULE,
                font=dict(color=INK, size=12),
                height=24,
            ),
        )
    )
    lines = sum(max(1, -(-max(len(row[1]), len(row[2])) // 48)) for row in rows)
    figure = finish(figure, title, height=44 + 18 * lines + 8 * len(rows))
    return figure.update_layout(margin=dict(l=16, r=16, b=12))
