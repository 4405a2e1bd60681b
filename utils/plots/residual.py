"""This file knows how to show the residual stream as a sum of what each component writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .labels import escape
from .lines import add_reference
from .numbers import as_array
from .theme import BLUE, GREY, ORANGE, SOFT_INK, finish


def residual_sum(
    contributions: Mapping[str, Any],
    *,
    title: str,
    value_name: str = "logit",
    total: float | None = None,
    waterfall: bool = True,
) -> go.Figure:
    """What each component adds, in the order given: as steps that end at their sum, or as plain bars.

    A number is drawn as it is (a component's direct write to one logit); a tensor is drawn as its norm, always as a bar.
    `total` is the model's own value: a dashed line that the steps should end on.
    """
    arrays = {name: as_array(value) for name, value in contributions.items()}
    if any(array.ndim > 0 and array.size > 1 for array in arrays.values()):
        values = [float((array.astype(float) ** 2).sum() ** 0.5) for array in arrays.values()]
        waterfall = False
    else:
        values = [float(array.reshape(())) for array in arrays.values()]
    values = [float(f"{value:.4g}") for value in values]
    names = [escape(name) for name in arrays]
    places = list(range(len(values)))

    if waterfall:
        places.append(len(values))
        names.append("sum")
        running = [sum(values[:i]) for i in range(len(values))] + [0.0]
        values = values + [float(f"{sum(values):.4g}")]
        base = [float(f"{start:.4g}") for start in running]
    else:
        base = None
    colours = [BLUE if value >= 0 else ORANGE for value in values]
    if waterfall:
        colours[-1] = GREY
    figure = go.Figure(
        go.Bar(
            x=places,
            y=values,
            base=base,
            marker_color=colours,
            text=[f"{value:+.2f}" if waterfall else f"{value:.2f}" for value in values],
            textposition="outside",
            textfont_size=11,
            cliponaxis=False,
            customdata=names,
            hovertemplate="%{customdata}: %{text} " + escape(value_name) + "<extra></extra>",
        )
    )
    if waterfall:
        ends = [start + value for start, value in zip(base, values)]
        for i, end in enumerate(ends[:-1]):
            figure.add_shape(type="line", x0=i + 0.38, x1=i + 0.62, y0=end, y1=end, line=dict(color=SOFT_INK, width=1))
    if total is not None:
        add_reference(figure, "the model", float(total), end="left")
    figure.add_hline(y=0, line=dict(color=SOFT_INK, width=1))
    figure.update_xaxes(
        tickmode="array",
        tickvals=places,
        ticktext=names,
        showgrid=False,
        title_text="component, in the order of the forward pass",
        tickangle=-45 if len(names) > 8 else 0,
    )
    figure.update_yaxes(title_text=escape(value_name))
    return finish(figure, title, height=380)
