"""This file knows how to show how one quantity goes with another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .labels import escape
from .numbers import as_list
from .theme import COLOURS, SOFT_INK, finish

DASHES = ("dash", "dot", "dashdot", "longdash")


def add_reference(figure: go.Figure, name: str, y: float, index: int = 0, *, end: str = "right", **where: Any) -> None:
    """A dashed horizontal line with its name and value at one end."""
    figure.add_hline(
        y=float(f"{float(y):.4g}"),
        line=dict(color=SOFT_INK, width=1.5, dash=DASHES[index % len(DASHES)]),
        annotation=dict(
            text=f"{escape(name)} {float(y):.2f}", font=dict(color=SOFT_INK, size=12), xanchor=end, yanchor="bottom"
        ),
        annotation_position=f"top {end}",
        **where,
    )


def lines(
    x: Any,
    series: Mapping[str, Any],
    *,
    title: str,
    x_name: str,
    y_name: str,
    log_x: bool = False,
    log_y: bool = False,
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """One line for each series over x, with dashed lines at the references."""
    steps = as_list(x)
    figure = go.Figure()
    for colour, (name, values) in zip(COLOURS * len(series), series.items()):
        figure.add_trace(
            go.Scatter(
                x=steps,
                y=as_list(values),
                name=escape(name),
                mode="lines+markers" if len(steps) <= 30 else "lines",
                line=dict(color=colour, width=2),
                hovertemplate="%{x:.4g}: %{y:.4g}",
            )
        )
    for index, (name, y) in enumerate((references or {}).items()):
        add_reference(figure, name, y, index)
    figure.update_xaxes(title_text=escape(x_name), type="log" if log_x else "linear")
    if not log_x and all(float(step).is_integer() for step in steps) and max(steps) - min(steps) <= 12:
        figure.update_xaxes(dtick=1)  # layers and the like have no halves
    figure.update_yaxes(title_text=escape(y_name), type="log" if log_y else "linear")
    return finish(figure, title, height=320, legend=len(series) > 1)
