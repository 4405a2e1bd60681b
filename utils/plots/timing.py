"""This file knows how to show how long two ways of doing the same take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .labels import escape
from .lines import add_reference
from .numbers import as_list
from .theme import BLUE, COLOURS, finish


def timings(lengths: Any, seconds: Mapping[str, Any], *, title: str, x_name: str = "tokens written") -> go.Figure:
    """Left the seconds of each way over the length; right how many times faster the last way is than the first."""
    if len(seconds) < 2:
        raise ValueError(f"a comparison needs at least two ways, but got {list(seconds)}")
    x = as_list(lengths)
    ways = {name: as_list(values) for name, values in seconds.items()}
    first, last = list(ways)[0], list(ways)[-1]
    figure = make_subplots(cols=2, horizontal_spacing=0.14)
    for colour, (name, values) in zip(
        COLOURS[::-1] if len(ways) > len(COLOURS) else COLOURS[1::-1] + COLOURS[2:], ways.items()
    ):
        figure.add_trace(
            go.Scatter(
                x=x,
                y=values,
                name=escape(name),
                mode="lines+markers",
                line=dict(color=colour, width=2),
                hovertemplate="%{x:.4g}: %{y:.3g} s",
            ),
            row=1,
            col=1,
        )
    ratio = [float(f"{slow / fast:.4g}") if fast else None for slow, fast in zip(ways[first], ways[last])]
    figure.add_trace(
        go.Scatter(
            x=x,
            y=ratio,
            mode="lines+markers",
            line=dict(color=BLUE, width=2),
            showlegend=False,
            hovertemplate="%{x:.4g}: %{y:.3g} times",
        ),
        row=1,
        col=2,
    )
    add_reference(figure, "the same", 1.0, row=1, col=2)
    figure.update_xaxes(title_text=escape(x_name))
    figure.update_yaxes(title_text="seconds", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text=f"{escape(first)} / {escape(last)}", rangemode="tozero", row=1, col=2)
    return finish(figure, title, height=300, legend=True)
