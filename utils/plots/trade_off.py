"""This file knows how to show two aims that pull against each other: a line for each kind, a point for each of its settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import plotly.graph_objects as go

from .labels import escape
from .theme import COLOURS, finish

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


def trade_off(
    kinds: Mapping[str, Mapping[object, Sequence[float]]],
    *,
    title: str,
    x_name: str,
    y_name: str,
    log_x: bool = False,
    log_y: bool = False,
) -> go.Figure:
    """For each kind the points (x, y) of its settings, joined in the order of x; the pointer tells the setting."""
    figure = go.Figure()
    for index, (kind, settings) in enumerate(kinds.items()):
        inside = sorted((float(x), float(y), str(setting)) for setting, (x, y) in settings.items())
        figure.add_trace(
            go.Scatter(
                x=[float(f"{x:.4g}") for x, _, _ in inside],
                y=[float(f"{y:.4g}") for _, y, _ in inside],
                text=[escape(setting) for _, _, setting in inside],
                name=escape(kind),
                mode="lines+markers",
                line=dict(color=COLOURS[index % len(COLOURS)], width=2),
                marker=dict(symbol=SYMBOLS[index % len(SYMBOLS)], size=9),
                hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}",
            )
        )
    for update, name, log, place in ((figure.update_xaxes, x_name, log_x, 0), (figure.update_yaxes, y_name, log_y, 1)):
        update(title_text=escape(name), type="log" if log else "linear")
        if log:
            update(tickvals=round_numbers(point[place] for settings in kinds.values() for point in settings.values()))
    return finish(figure, title, height=380, legend=len(kinds) > 1)


def round_numbers(values: Iterable[float]) -> list[float]:
    """1, 2 and 5 times powers of ten, as far as the values reach: the ticks of an axis that multiplies."""
    found = [float(value) for value in values if value > 0]
    if not found:
        return []
    powers = range(math.floor(math.log10(min(found))), math.ceil(math.log10(max(found))) + 1)
    ticks = [float(f"{first}e{power}") for power in powers for first in (1, 2, 5)]
    return [tick for tick in ticks if min(found) / 2 <= tick <= max(found) * 2]
