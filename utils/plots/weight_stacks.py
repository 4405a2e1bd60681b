"""This file knows how to show what each neuron of a small network is used for: its weights, stacked feature on feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .labels import escape
from .numbers import as_array
from .theme import BLUE, ORANGE, PAPER, finish


def features_of(weights: Any, counted: float) -> list[list[int]]:
    """For each neuron of [neuron feature] the features whose weight is at least `counted` of its largest, in size."""
    array = abs(as_array(weights, ndim=2))
    return [[i for i, weight in enumerate(row) if row.max() > 0 and weight >= counted * row.max()] for row in array]


def weight_stacks(
    networks: Mapping[str, Any], *, title: str, counted: float = 0.3, y_name: str = "weights, stacked"
) -> go.Figure:
    """A panel for each matrix [neuron feature], a bar for each neuron: blue if it serves one feature, else orange.

    Positive weights are stacked above 0 and negative ones below; the numbers in the bars are the features'.
    """
    arrays = {name: as_array(weights, ndim=2) for name, weights in networks.items()}
    figure = make_subplots(
        cols=len(arrays), shared_yaxes=True, subplot_titles=[escape(name) for name in arrays], horizontal_spacing=0.04
    )
    for column, array in enumerate(arrays.values(), start=1):
        served = features_of(array, counted)
        colours = [BLUE if len(features) <= 1 else ORANGE for features in served]
        for feature in range(array.shape[1]):
            figure.add_trace(
                go.Bar(
                    x=list(range(len(array))),
                    y=[float(f"{weight:.3g}") for weight in array[:, feature]],
                    marker=dict(color=colours, line=dict(color=PAPER, width=1)),
                    text=[str(feature) if feature in features else "" for features in served],
                    textposition="inside",
                    insidetextanchor="middle",
                    textangle=0,
                    showlegend=False,
                    hovertemplate=f"neuron %{{x}}, feature {feature}: %{{y:.2f}}<extra></extra>",
                ),
                row=1,
                col=column,
            )
        figure.update_xaxes(title_text="neuron", dtick=1, showgrid=False, row=1, col=column)
    figure.update_yaxes(title_text=escape(y_name), row=1, col=1)
    for name, colour in (("one feature", BLUE), ("several features", ORANGE)):
        figure.add_trace(
            go.Scatter(
                x=[None], y=[None], mode="markers", name=name, marker=dict(color=colour, size=12, symbol="square")
            )
        )
    figure = finish(figure, title, height=320, legend=True)
    return figure.update_layout(barmode="relative", margin_t=figure.layout.margin.t + 24, legend_y=1.1)
