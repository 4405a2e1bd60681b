"""This file knows how to show which heads of one layer compose with which of the next, as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .labels import head_label
from .numbers import as_array
from .theme import COLOURS, INK, PAPER, SOFT_INK, finish

THICKEST = 9  # pixels


def composition_graph(
    scores: Mapping[str, Any], *, title: str, baseline: float, most: int = 16, earlier: int = 0, later: int = 1
) -> go.Figure:
    """The `most` largest scores [earlier later] of all kinds as lines, as thick as the score is above `baseline`.

    `scores` has one matrix for each kind, such as "K"; `earlier` and `later` are the numbers of the two layers.
    """
    arrays = {kind: as_array(matrix, ndim=2) for kind, matrix in scores.items()}
    edges = sorted(
        (
            (float(score), kind, i, j)
            for kind, array in arrays.items()
            for i, row in enumerate(array)
            for j, score in enumerate(row)
            if score > baseline
        ),
        reverse=True,
    )[:most]
    colours = dict(zip(arrays, COLOURS))
    widest = max((score - baseline for score, *_ in edges), default=1.0)
    figure = go.Figure()
    named: set[str] = set()
    for score, kind, i, j in reversed(edges):  # the strongest on top
        # two kinds between the same heads lie beside each other
        shift = 0.06 * (list(arrays).index(kind) - (len(arrays) - 1) / 2)
        figure.add_trace(
            go.Scatter(
                x=[i + shift, j + shift],
                y=[0, 1],
                mode="lines",
                line=dict(color=colours[kind], width=round(1 + THICKEST * (score - baseline) / widest, 2)),
                opacity=0.75,
                name=f"{kind}-composition",
                legendgroup=kind,
                showlegend=kind not in named,
                hoverinfo="skip",
            )
        )
        # a line can only be pointed at where it has a point
        figure.add_trace(
            go.Scatter(
                x=[(i + j) / 2 + shift],
                y=[0.5],
                mode="markers",
                marker=dict(color=colours[kind], size=7),
                showlegend=False,
                hovertemplate=f"{head_label(earlier, i)} to {head_label(later, j)}, {kind}: {score:.3f}<extra></extra>",
            )
        )
        named.add(kind)
    for row, (layer, axis) in enumerate(((earlier, 0), (later, 1))):
        count = next(iter(arrays.values())).shape[axis] if arrays else 0
        figure.add_trace(
            go.Scatter(
                x=list(range(count)),
                y=[row] * count,
                mode="markers+text",
                marker=dict(color=PAPER, size=40, line=dict(color=SOFT_INK, width=1.5)),
                text=[head_label(layer, head) for head in range(count)],
                textfont=dict(color=INK, size=12),
                showlegend=False,
                hoverinfo="skip",
            )
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, range=[-0.25, 1.25])
    return finish(figure, title, height=380, legend=True)
