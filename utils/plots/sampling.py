"""This file knows how to show a distribution over next tokens, and what each sampling knob does to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .labels import escape, token_label
from .numbers import as_array
from .renderer import mime_bundle, replace, static_figures
from .theme import BLUE, GREY, finish

# What each knob is when it is off, and settings worth seeing.
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "frequency_penalty": 0.0}
WORTH_SEEING = {"temperature": 0.5, "top_k": 3, "top_p": 0.8, "frequency_penalty": 1.5}
SLIDERS = {
    "temperature": dict(min=0.1, max=3.0, step=0.1),
    "top_k": dict(min=0, max=20, step=1),
    "top_p": dict(min=0.05, max=1.0, step=0.05),
    "frequency_penalty": dict(min=0.0, max=3.0, step=0.1),
}


def likeliest(probs: np.ndarray, k: int) -> np.ndarray:
    """The indices of the k largest, largest first; equal ones in the order of the vocabulary."""
    return np.argsort(-probs, kind="stable")[:k]


def bars(probs: np.ndarray, chosen: np.ndarray, labels: Sequence[str], colour: str = BLUE) -> go.Bar:
    """One horizontal bar for each chosen token, the first on top."""
    places = list(range(len(chosen)))
    names = [escape(token_label(labels[i])) for i in chosen]
    values = [float(f"{probs[i]:.4g}") for i in chosen]
    return go.Bar(
        x=values,
        y=places,
        orientation="h",
        marker_color=colour,
        customdata=names,
        text=[percent(value) for value in values],
        textposition="outside",
        textfont_size=11,
        cliponaxis=False,
        hovertemplate="%{customdata} %{x:.3g}<extra></extra>",
    )


def percent(p: float) -> str:
    """A probability as short as it can be said; nothing for exactly 0."""
    if p == 0:
        return ""
    return "<0.1%".replace("<", "&lt;") if p < 0.001 else f"{100 * p:.1f}%"


def distribution(probs: Any, labels: Sequence[str], *, title: str, k: int = 12) -> go.Figure:
    """The k likeliest tokens and their probabilities."""
    return distributions({"": probs}, labels, title=title, k=k)


def distributions(panels: Mapping[str, Any], labels: Sequence[str], *, title: str, k: int = 12) -> go.Figure:
    """One panel for each distribution [d_vocab], all over the k likeliest tokens of the first."""
    arrays = {name: as_array(probs, ndim=1) for name, probs in panels.items()}
    first = next(iter(arrays.values()))
    chosen = likeliest(first, k)
    columns = len(arrays) if len(arrays) <= 4 else 3 if len(arrays) <= 6 else 4
    rows = -(-len(arrays) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes=True,
        shared_xaxes="all",
        subplot_titles=[escape(name) for name in arrays],
        horizontal_spacing=0.05,
        vertical_spacing=0.28 / rows,
    )
    most = max(float(probs[chosen].max()) for probs in arrays.values())
    for index, probs in enumerate(arrays.values()):
        row, column = index // columns + 1, index % columns + 1
        figure.add_trace(
            bars(probs, chosen, labels, GREY if index == 0 and len(arrays) > 1 else BLUE), row=row, col=column
        )
        figure.update_xaxes(range=[0, most * 1.3], tickformat=".0%", nticks=4, row=row, col=column)
        if row == rows or index + columns >= len(arrays):
            figure.update_xaxes(title_text="probability", showticklabels=True, row=row, col=column)
    names = [escape(token_label(labels[i])) for i in chosen]
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(chosen))),
        ticktext=names,
        range=[len(chosen) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_yaxes(title_text="next token", col=1)
    titled = any(arrays)
    figure = finish(figure, title, height=rows * (60 + 21 * len(chosen)))
    if titled:
        figure.update_layout(margin_t=figure.layout.margin.t + 20, height=figure.layout.height + 20)
    return figure


def knob_panels(probs_fn: Callable[..., Any], knobs: Sequence[str]) -> dict[str, Any]:
    """The distribution with every knob off, and with each one turned alone."""
    off = {name: OFF[name] for name in knobs}
    panels = {"all off": probs_fn(**off)}
    for name in knobs:
        panels[f"{name} = {WORTH_SEEING[name]:g}"] = probs_fn(**{**off, name: WORTH_SEEING[name]})
    return panels


def sampling_playground(
    probs_fn: Callable[..., Any],
    labels: Sequence[str],
    *,
    title: str = "What each knob does to the next token's distribution",
    k: int = 12,
    knobs: Sequence[str] | None = None,
):
    """Sliders over a distribution; in a saved notebook, one panel for each knob.

    `probs_fn(*, temperature, top_k, top_p, frequency_penalty)` returns the probabilities [d_vocab]; it gets only the
    `knobs` named. A knob is off at temperature 1, top_k 0, top_p 1 and frequency_penalty 0.
    """
    knobs = list(OFF if knobs is None else knobs)
    unknown = [name for name in knobs if name not in OFF]
    if unknown:
        raise ValueError(f"the knobs are {', '.join(OFF)}, but got {', '.join(unknown)}")
    if static_figures():
        return distributions(knob_panels(probs_fn, knobs), labels, title=title, k=k)
    return Playground(probs_fn, labels, title=title, k=k, knobs=knobs)


class Playground:
    """Sliders above one figure; shows itself as the last expression of a cell."""

    def __init__(
        self, probs_fn: Callable[..., Any], labels: Sequence[str], *, title: str, k: int, knobs: Sequence[str]
    ):
        self.probs_fn, self.labels, self.title, self.k = probs_fn, labels, title, k
        self.settings = {name: OFF[name] for name in knobs}

    def figure(self, **settings: float) -> go.Figure:
        """The distribution with every knob off beside the one with these settings."""
        off = {name: OFF[name] for name in self.settings}
        now = {**off, **settings}
        turned = [f"{name} = {value:g}" for name, value in now.items() if value != OFF[name]]
        panels = {"all off": self.probs_fn(**off), ", ".join(turned) or "turn a knob": self.probs_fn(**now)}
        return distributions(panels, self.labels, title=self.title, k=self.k)

    def _ipython_display_(self) -> None:
        import ipywidgets
        from IPython.display import display

        sliders = {
            name: (ipywidgets.IntSlider if name == "top_k" else ipywidgets.FloatSlider)(
                value=value,
                description=name.replace("_", " "),
                continuous_update=False,
                readout_format="d" if name == "top_k" else ".2f",
                style=dict(description_width="11em"),
                layout=dict(width="30em"),
                **SLIDERS[name],
            )
            for name, value in self.settings.items()
        }
        display(ipywidgets.VBox(list(sliders.values())))
        shown = display(mime_bundle(self.figure()), raw=True, display_id=True)

        def redraw(_change: object) -> None:
            settings = {name: slider.value for name, slider in sliders.items()}
            replace(shown, self.figure(**settings))

        for slider in sliders.values():
            slider.observe(redraw, names="value")
