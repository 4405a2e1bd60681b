"""This file knows how to show a matrix as colours, alone or beside another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .labels import axis_labels, escape
from .numbers import as_array
from .theme import DIVERGING, RULE, SEQUENTIAL, finish

MOST_LABELS = 40  # more on one axis cannot be read


# with the labels of more cells, a saved notebook would become large
LABELLED_CELLS = 2500


def colour_range(values: np.ndarray, signed: bool) -> dict:
    """The colours for these values: from 0 (or below) up, or from minus to plus the largest when signed."""
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    if signed:
        return dict(colorscale=DIVERGING, zmid=0.0, zmin=-(largest or 1.0), zmax=largest or 1.0)
    low = min(0.0, float(finite.min())) if finite.size else 0.0
    high = float(finite.max()) if finite.size else 1.0
    return dict(colorscale=SEQUENTIAL, zmin=low, zmax=high if high > low else low + 1.0)


def trace(
    values: np.ndarray,
    x: list[str],
    y: list[str],
    *,
    x_name: str,
    y_name: str,
    value_name: str,
    colours: dict,
    size: int | None = None,
    **more: Any,
) -> go.Heatmap:
    """One matrix as a plotly trace; its rows and columns are counted, so that a label may occur twice.

    `size` is the number of cells in the whole figure: every cell carries its labels only where these are few.
    """
    names = [
        f"{escape(axis) + ' ' if axis else ''}%{{{key}}}"
        for axis, key in ((y_name or "row", "customdata[0]"), (x_name or "column", "customdata[1]"))
    ]
    hover = f"{names[0]}<br>{names[1]}<br>{escape(value_name) or 'value'} %{{z:.3g}}<extra></extra>"
    if (size or values.size) <= LABELLED_CELLS:
        more["customdata"] = [[[row, column] for column in x] for row in y]
        more["hovertemplate"] = hover
    else:
        more["hovertemplate"] = "row %{y}<br>column %{x}<br>%{z:.3g}<extra></extra>"
    return go.Heatmap(
        z=values, xgap=0.5 if values.shape[1] <= 60 else 0, ygap=0.5 if values.shape[0] <= 60 else 0, **colours, **more
    )


def label_axes(figure: go.Figure, x: list[str], y: list[str], *, x_name: str, y_name: str, **where: Any) -> None:
    """Puts the labels on both axes, the first row on top, as a matrix is written."""
    for update, labels, name in ((figure.update_xaxes, x, x_name), (figure.update_yaxes, y, y_name)):
        every = -(-len(labels) // MOST_LABELS)
        shown = list(range(0, len(labels), every))
        update(
            tickmode="array",
            tickvals=shown,
            ticktext=[labels[i] for i in shown],
            title_text=escape(name),
            showgrid=False,
            **where,
        )
    figure.update_xaxes(showline=True, mirror=True, linecolor=RULE, **where)
    figure.update_yaxes(showline=True, mirror=True, linecolor=RULE, **where)
    figure.update_xaxes(range=[-0.5, len(x) - 0.5], tickangle=0 if longest(x) <= 3 else -45, **where)
    figure.update_yaxes(range=[len(y) - 0.5, -0.5], **where)


def longest(labels: Sequence[str]) -> int:
    return max((len(label) for label in labels), default=0)


def heatmap_height(rows: int, columns: int, *, width: int = 640) -> int:
    """A height at which the cells are about square, within what a page can hold."""
    return int(np.clip(rows * min(width / max(columns, 1), 34), 130, 560)) + 70


def heatmap(
    matrix: Any,
    *,
    title: str,
    x: Sequence[object] | None = None,
    y: Sequence[object] | None = None,
    x_name: str = "",
    y_name: str = "",
    signed: bool = False,
    value_name: str = "",
) -> go.Figure:
    """A matrix [row column] as colours: light to dark from 0, or orange to blue around 0 when `signed`."""
    values = as_array(matrix, ndim=2)
    rows, columns = axis_labels(y, values.shape[0]), axis_labels(x, values.shape[1])
    colours = colour_range(values, signed)
    figure = go.Figure(
        trace(
            values,
            columns,
            rows,
            x_name=x_name,
            y_name=y_name,
            value_name=value_name,
            colours=colours,
            colorbar=dict(title=dict(text=escape(value_name), side="right"), thickness=12, outlinewidth=0),
        )
    )
    label_axes(figure, columns, rows, x_name=x_name, y_name=y_name)
    return finish(figure, title, height=heatmap_height(*values.shape))


def compare(
    left: Any,
    right: Any,
    *,
    title: str = "",
    titles: tuple[str, str] = ("yours", "the rule"),
    x: Sequence[object] | None = None,
    y: Sequence[object] | None = None,
    x_name: str = "key",
    y_name: str = "query",
    signed: bool = False,
) -> go.Figure:
    """Two matrices [row column] side by side on one scale of colours."""
    pair = as_array(left, ndim=2), as_array(right, ndim=2)
    colours = colour_range(np.concatenate([values.ravel() for values in pair]), signed)
    figure = make_subplots(cols=2, subplot_titles=[escape(name) for name in titles], horizontal_spacing=0.12)
    for column, values in enumerate(pair, start=1):
        rows, columns = axis_labels(y, values.shape[0]), axis_labels(x, values.shape[1])
        figure.add_trace(
            trace(
                values,
                columns,
                rows,
                x_name=x_name,
                y_name=y_name,
                value_name="",
                colours=colours,
                showscale=column == 2,
                colorbar=dict(thickness=12, outlinewidth=0),
            ),
            row=1,
            col=column,
        )
        label_axes(figure, columns, rows, x_name=x_name, y_name=y_name, row=1, col=column)
    figure = finish(
        figure, title or f"{titles[0]} beside {titles[1]}", height=heatmap_height(*pair[0].shape, width=300) + 20
    )
    return figure.update_layout(margin_t=figure.layout.margin.t + 20, height=figure.layout.height + 20)
