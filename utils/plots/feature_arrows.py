"""This file knows how to show which direction each feature has in two hidden dimensions, model beside model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .labels import escape
from .numbers import as_array
from .theme import COLOURS, INK, RULE, WIDTH, finish


def feature_arrows(
    W: Any,
    *,
    title: str,
    titles: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    colours: Sequence[int] | None = None,
    columns: int = 4,
) -> go.Figure:
    """One panel for each instance of `W` [instance d_hidden feature], with an arrow from the origin for each feature.

    `d_hidden` must be 2: an arrow ends at the feature's column; a column of NaN is left out. The dotted circle has
    radius 1. A feature has the same colour in all panels, its own or the one of the number in `colours`, and with
    `names` there is a legend.
    """
    arrays = as_array(W, ndim=3)
    n_instances, d_hidden, n_features = arrays.shape
    if d_hidden != 2:
        raise ValueError(f"arrows are drawn in 2 hidden dimensions, but d_hidden is {d_hidden}")
    lists = ("title", titles, n_instances), ("name", names, n_features), ("colour", colours, n_features)
    for what, given, count in lists:
        if given is not None and len(given) != count:
            raise ValueError(f"one {what} for each: there are {count}, but {len(given)} {what}s")
    legend = names is not None
    names = list(names) if names is not None else [f"feature {i}" for i in range(n_features)]
    numbers = list(colours) if colours is not None else list(range(n_features))
    columns = min(columns, n_instances)
    rows = -(-n_instances // columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[escape(name) for name in titles] if titles is not None else None,
        horizontal_spacing=0.03,
        vertical_spacing=0.16 / rows if titles is not None else 0.05,
    )
    edge = 1.15 * max(1.0, float(np.nanmax(np.abs(arrays), initial=0.0)))
    for place, directions in enumerate(arrays):
        where = dict(row=place // columns + 1, col=place % columns + 1)
        figure.add_shape(type="circle", x0=-1, x1=1, y0=-1, y1=1, line=dict(color=RULE, dash="dot"), **where)
        for feature, (x, y) in enumerate(directions.T.tolist()):
            if not np.isnan([x, y]).any():
                colour = COLOURS[numbers[feature] % len(COLOURS)]
                figure.add_trace(arrow(x, y, colour, names[feature], in_legend=legend and not place), **where)
        figure.update_yaxes(scaleanchor=f"x{place + 1 if place else ''}", **where)
    panel = dict(range=[-edge, edge], showgrid=False, zeroline=True, zerolinecolor=RULE, showticklabels=False)
    figure.update_xaxes(**panel, constrain="domain")
    figure.update_yaxes(**panel, constrain="domain")
    figure.update_xaxes(title=dict(text="hidden dimension 0", font_size=11), row=rows)
    figure.update_yaxes(title=dict(text="hidden dimension 1", font_size=11), col=1)
    figure.update_annotations(font=dict(size=12, color=INK))
    side = min((WIDTH - 100) / columns, 320)
    extra = 22 if titles is not None else 0
    plot = int(rows * (side + extra)) + 60
    figure = finish(figure, title, height=plot, legend=legend)
    figure.update_layout(margin_t=figure.layout.margin.t + extra, height=figure.layout.height + extra)
    # the legend stands above the titles of the panels, and a second row of it takes room of its own
    more = 20 * (sum(46 + 7 * len(name) for name in names) // (WIDTH - 90)) if legend else 0
    figure.update_layout(margin_t=figure.layout.margin.t + more, height=figure.layout.height + more)
    return figure.update_layout(legend=dict(y=1 + extra / (plot - 56), itemclick=False, itemdoubleclick=False))


def arrow(x: float, y: float, colour: str, name: str, *, in_legend: bool = False) -> go.Scatter:
    """A line from the origin to (x, y) with a head at its end, or a dot where there is hardly a line."""
    length = float(np.hypot(x, y))
    head = dict(symbol="arrow", angleref="previous", size=[0, 10]) if length > 0.08 else dict(size=[0, 5])
    return go.Scatter(
        x=[0, float(f"{x:.4g}")],
        y=[0, float(f"{y:.4g}")],
        mode="lines+markers",
        line=dict(color=colour, width=2),
        marker=dict(color=colour, opacity=1, line_width=0, **head),
        name=escape(name),
        hovertemplate=f"{escape(name)}, length {length:.2f}<extra></extra>",
        showlegend=in_legend,
    )
