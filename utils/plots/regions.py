"""This file knows how to show which of a few kinds each cell of a table is, for one table or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .heatmap import heatmap_height
from .labels import axis_labels, escape
from .numbers import as_array
from .theme import COLOURS, RULE, finish

MOST_TICKS = 6  # on an axis of one table
# light, dark, and one that stands out: the kinds are told apart in grey as well
KIND_COLOURS = ["#e9e7df", COLOURS[0], COLOURS[4], COLOURS[2], COLOURS[3], COLOURS[5], COLOURS[6]]


def regions(
    tables: Mapping[str, Any],
    kinds: Sequence[str],
    *,
    title: str,
    x: Sequence[object],
    y: Sequence[object],
    x_name: str,
    y_name: str,
) -> go.Figure:
    """Tables [row column] of whole numbers, a colour for each number; `kinds` says what 0, 1, 2 and so on mean."""
    if len(kinds) > len(KIND_COLOURS):
        raise ValueError(f"at most {len(KIND_COLOURS)} kinds can be told apart by colour, but there are {len(kinds)}")
    arrays = {name: as_array(table, ndim=2) for name, table in tables.items()}
    figure = make_subplots(cols=len(arrays), subplot_titles=[escape(name) for name in arrays], horizontal_spacing=0.12)
    steps = [(i / len(kinds), (i + 1) / len(kinds)) for i in range(len(kinds))]
    colours = [[end, KIND_COLOURS[i]] for i, ends in enumerate(steps) for end in ends]
    for column, values in enumerate(arrays.values(), start=1):
        rows, columns = axis_labels(y, values.shape[0]), axis_labels(x, values.shape[1])
        if not np.isin(values, range(len(kinds))).all():
            raise ValueError(f"a table holds whole numbers from 0 to {len(kinds) - 1}, one for each kind")
        figure.add_trace(
            go.Heatmap(
                z=values.astype(int),
                colorscale=colours,
                zmin=-0.5,
                zmax=len(kinds) - 0.5,
                showscale=False,
                xgap=0.5,
                ygap=0.5,
                customdata=[[f"{across}<br>{up}" for across in columns] for up in rows],
                text=[[escape(kinds[int(value)]) for value in row] for row in values],
                hovertemplate="%{customdata}<br>%{text}<extra></extra>",
            ),
            row=1,
            col=column,
        )
        for update, labels, name in ((figure.update_xaxes, columns, x_name), (figure.update_yaxes, rows, y_name)):
            shown = list(range(0, len(labels), -(-len(labels) // MOST_TICKS)))
            update(
                tickmode="array",
                tickvals=shown,
                ticktext=[labels[i] for i in shown],
                title_text=escape(name),
                showgrid=False,
                showline=True,
                mirror=True,
                linecolor=RULE,
                row=1,
                col=column,
            )
        figure.update_xaxes(range=[-0.5, len(columns) - 0.5], tickangle=0, row=1, col=column)
        figure.update_yaxes(range=[len(rows) - 0.5, -0.5], row=1, col=column)
    for kind, colour in zip(kinds, KIND_COLOURS):  # the legend: plotly makes none for a heatmap
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=escape(kind),
                marker=dict(color=colour, size=12, symbol="square", line=dict(color=RULE, width=1)),
            )
        )
    height = heatmap_height(*next(iter(arrays.values())).shape, width=640 // len(arrays) - 20)
    figure = finish(figure, title, height=height + 40, legend=True)
    return figure.update_layout(margin_t=figure.layout.margin.t + 24, legend_y=1.09)
