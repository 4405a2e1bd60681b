"""This file knows how to show several quantities along one training, one panel below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .labels import escape
from .numbers import as_list
from .theme import COLOURS, RULE, SOFT_INK, finish

PANEL_HEIGHT = 150


def along_training(
    steps: Sequence[int],
    panels: Mapping[str, Mapping[str, Any]],
    *,
    title: str,
    band: tuple[float, float] | None = None,
    band_name: str = "",
) -> go.Figure:
    """A panel for each quantity (the name of its axis), with its lines by name; `band` shades some steps in all of them."""
    places = as_list(steps)
    figure = make_subplots(rows=len(panels), shared_xaxes=True, vertical_spacing=0.12 / len(panels))
    for row, (axis, series) in enumerate(panels.items(), start=1):
        for colour, (name, values) in zip(COLOURS * len(series), series.items()):
            heights = as_list(values)
            figure.add_trace(
                go.Scatter(
                    x=places,
                    y=heights,
                    name=escape(name),
                    mode="lines+markers",
                    marker=dict(size=5),
                    line=dict(color=colour, width=2),
                    showlegend=False,
                    hovertemplate=f"{escape(name)}, step %{{x}}: %{{y:.3g}}<extra></extra>",
                ),
                row=row,
                col=1,
            )
            if len(series) > 1:  # a line is named at its end; one alone is named by its axis
                figure.add_annotation(
                    text=escape(name),
                    x=1.005,
                    xref="paper",
                    xanchor="left",
                    y=heights[-1],
                    yref="y" if row == 1 else f"y{row}",
                    showarrow=False,
                    font=dict(color=colour, size=12),
                )
        figure.update_yaxes(title_text=escape(axis), row=row, col=1)
    if band is not None:
        figure.add_vrect(x0=band[0], x1=band[1], fillcolor=RULE, opacity=0.7, line_width=0, layer="below")
        figure.add_annotation(
            text=escape(band_name),
            x=band[1],
            xanchor="left",
            xshift=4,
            y=1,
            yref="paper",
            yanchor="top",
            showarrow=False,
            font=dict(color=SOFT_INK, size=12),
        )
    figure.update_xaxes(title_text="training step", row=len(panels), col=1)
    figure = finish(figure, title, height=PANEL_HEIGHT * len(panels) + 110)
    return figure.update_layout(margin_r=120)
