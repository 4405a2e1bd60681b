"""This file knows how to show two numbers of each of many things as points, and where the two agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .labels import escape
from .numbers import as_array, as_list
from .theme import COLOURS, SOFT_INK, finish


def scatter(
    x: Mapping[str, Any] | Any,
    y: Mapping[str, Any] | Any,
    *,
    title: str,
    x_name: str,
    y_name: str,
    names: Mapping[str, Sequence[object]] | Sequence[object] | None = None,
    name_farthest: int = 0,
    diagonal: bool = True,
) -> go.Figure:
    """One point for each pair of numbers, with a dashed line where the two are equal.

    Tensors of any one shape are taken entry by entry. With mappings, each key is a group of its own colour. `names`, one
    for each point, are shown on pointing; the `name_farthest` points of all groups that lie farthest from the line bear
    theirs in the figure.
    """
    grouped = isinstance(x, Mapping)
    xs, ys = (x, y) if grouped else ({"": x}, {"": y})
    labels = (names if grouped else {"": names}) if names is not None else {}
    if list(xs) != list(ys):
        raise ValueError(f"x and y must have the same groups, but these are {list(xs)} and {list(ys)}")
    groups = {}
    for group in xs:
        across, up = as_array(xs[group]), as_array(ys[group])
        if across.shape != up.shape:
            raise ValueError(f"x and y must have the same shape, but these are {across.shape} and {up.shape}")
        called = [escape(str(name)) for name in labels.get(group) or range(across.size)]
        if len(called) != across.size:
            raise ValueError(f"one name for each point: there are {across.size}, but {len(called)} names")
        groups[group] = (across.ravel(), up.ravel(), called)

    across, up = (np.concatenate([group[axis] for group in groups.values()]) for axis in (0, 1))
    called = [name for group in groups.values() for name in group[2]]
    shown = _names_shown(across, up, called, name_farthest)
    middle = (across.min() + across.max()) / 2 if across.size else 0.0
    figure = go.Figure()
    if diagonal:
        values = np.concatenate([across, up])
        values = values[np.isfinite(values)]
        ends = [float(values.min()), float(values.max())] if values.size else [0.0, 1.0]
        figure.add_trace(
            go.Scatter(
                x=ends,
                y=ends,
                mode="lines",
                line=dict(color=SOFT_INK, width=1.5, dash="dash"),
                hoverinfo="skip",
                name="equal",
            )
        )
    first = 0
    for colour, (group, (across, up, called)) in zip(COLOURS * len(groups), groups.items()):
        figure.add_trace(
            go.Scatter(
                x=as_list(across),
                y=as_list(up),
                mode="markers+text",
                marker=dict(color=colour, size=7, opacity=0.7),
                text=[shown.get(first + i, "") for i in range(len(called))],
                # towards the middle, where there is room
                textposition=["top left" if place > middle else "top right" for place in across],
                textfont=dict(size=11),
                cliponaxis=False,
                customdata=called,
                hovertemplate="%{customdata}: %{x:.3g}, %{y:.3g}<extra></extra>",
                name=escape(group),
                showlegend=grouped,
            )
        )
        first += len(called)
    figure.update_xaxes(title_text=escape(x_name), zeroline=True, zerolinecolor=SOFT_INK, zerolinewidth=1)
    figure.update_yaxes(title_text=escape(y_name), zeroline=True, zerolinecolor=SOFT_INK, zerolinewidth=1)
    return finish(figure, title, height=400, legend=grouped or diagonal)


def _names_shown(across: np.ndarray, up: np.ndarray, called: Sequence[str], count: int) -> dict[int, str]:
    """The names of the points farthest from the line, by the number of the point; those of points close together as one."""
    width, height = (np.ptp(values) or 1.0 if values.size else 1.0 for values in (across, up))
    shown: dict[int, list[str]] = {}
    for point in np.argsort(-np.abs(up - across), kind="stable")[:count].tolist():
        close = (
            other
            for other in shown
            if abs(across[point] - across[other]) < 0.05 * width and abs(up[point] - up[other]) < 0.06 * height
        )
        shown.setdefault(next(close, point), []).append(called[point])
    return {point: "<br>".join(names) for point, names in shown.items()}
