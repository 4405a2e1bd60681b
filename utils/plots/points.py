"""This file knows how to show single measurements as points, beside the values that are expected of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from .labels import escape
from .lines import add_reference
from .numbers import as_series
from .theme import COLOURS, SOFT_INK, finish


def points(
    series: Mapping[str, tuple[Any, Any]],
    *,
    title: str,
    x_name: str,
    y_name: str,
    log_x: bool = False,
    log_y: bool = False,
    references: Mapping[str, float] | None = None,
    diagonal: bool = False,
    names: Sequence[object] | None = None,
) -> go.Figure:
    """A cloud of points (x, y) for each series; dashed lines at the references, or along x = y with `diagonal`.

    `names` says what the points of every series are, for the pointer.
    """
    figure = go.Figure()
    seen: list[float] = []
    for colour, (name, (x, y)) in zip(COLOURS * len(series), series.items()):
        across, up = as_series(x), as_series(y)
        seen += [float(value) for value in (*across, *up) if value > 0]
        figure.add_trace(
            go.Scatter(
                x=across,
                y=up,
                name=escape(name),
                mode="markers",
                marker=dict(color=colour, size=5, opacity=0.55),
                text=[escape(str(label)) for label in names] if names is not None else None,
                hovertemplate=("%{text}<br>" if names is not None else "") + "%{x:.4g}, %{y:.4g}",
            )
        )
    if diagonal and seen:
        ends = [min(seen) if log_x else 0.0, max(seen)]
        figure.add_trace(
            go.Scatter(
                x=ends,
                y=ends,
                mode="lines",
                line=dict(color=SOFT_INK, width=1.5, dash="dash"),
                showlegend=False,
                hoverinfo="skip",
            )
        )
    for index, (name, y) in enumerate((references or {}).items()):
        add_reference(figure, name, y, index)
    # "0.0001", as the values beside it are written, and not "100µ"
    figure.update_xaxes(title_text=escape(x_name), type="log" if log_x else "linear", exponentformat="none")
    figure.update_yaxes(title_text=escape(y_name), type="log" if log_y else "linear", exponentformat="none")
    return finish(figure, title, height=380, legend=len(series) > 1)
