"""This file knows how to show on one page what a feature answers to, how often, and what it says to the output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .labels import escape, token_label
from .numbers import as_array, as_list
from .theme import BLUE, ORANGE, RULE, SEQUENTIAL, SKY, finish

BINS = 24
MOST_TOKENS = 10  # promoted, and as many suppressed


def feature_dashboard(
    contexts: Sequence[tuple[Sequence[str], Any]],
    activations: Any,
    promoted: Sequence[tuple[str, float]],
    suppressed: Sequence[tuple[str, float]],
    *,
    title: str,
) -> go.Figure:
    """The strongest contexts, token by token; how strong the feature is where it is active; and its effect on the logits.

    A context is its tokens and the feature's activation at each of them, all contexts of one length; an empty token is
    a place outside the text. `activations` are those on all tokens, zeros included. `promoted` and `suppressed` are
    (token, effect), strongest first.
    """
    figure = make_subplots(
        rows=2,
        cols=2,
        specs=[[{"colspan": 2}, None], [{}, {}]],
        row_heights=[0.5, 0.5],
        vertical_spacing=0.13,
        horizontal_spacing=0.14,
    )
    figure.add_trace(context_cells(contexts), row=1, col=1)
    figure.add_trace(activation_bars(activations), row=2, col=1)
    tokens = [*promoted[:MOST_TOKENS], *reversed(suppressed[:MOST_TOKENS])]
    figure.add_trace(effect_bars(tokens), row=2, col=2)

    figure.update_xaxes(
        title_text="context, dark where the feature is active", showticklabels=False, showgrid=False, row=1, col=1
    )
    ranks = list(range(len(contexts)))
    figure.update_yaxes(
        title_text="text",
        tickvals=ranks,
        ticktext=[str(rank + 1) for rank in ranks],
        autorange="reversed",
        showgrid=False,
        row=1,
        col=1,
    )
    active = as_array(activations).ravel() > 0
    figure.update_xaxes(title_text=f"activation, on the {active.mean():.2%} of tokens where it is active", row=2, col=1)
    figure.update_yaxes(title_text="tokens", row=2, col=1)
    figure.update_xaxes(title_text="effect on the logit, per unit", zeroline=True, zerolinecolor=RULE, row=2, col=2)
    places = list(range(len(tokens)))
    figure.update_yaxes(
        tickvals=places,
        ticktext=[escape(token_label(token)) for token, _ in tokens],
        autorange="reversed",
        showgrid=False,
        row=2,
        col=2,
    )
    return finish(figure, title, height=150 + 26 * len(contexts) + max(180, 19 * len(tokens)))


def context_cells(contexts: Sequence[tuple[Sequence[str], Any]]) -> go.Heatmap:
    """One row of words for each context, coloured by activation."""
    lengths = {len(tokens) for tokens, _ in contexts}
    if len(lengths) > 1:
        raise ValueError(f"all contexts have one length, but these have {sorted(lengths)}: fill up with empty tokens")
    words = [[escape(token_label(token)) if token else "" for token in tokens] for tokens, _ in contexts]
    values = np.array([as_list(activations) for _, activations in contexts]).reshape(len(words), -1)
    return go.Heatmap(
        z=values,
        text=words,
        texttemplate="%{text}",
        textfont=dict(size=11),
        hovertemplate="%{text}<br>activation %{z:.3g}<extra></extra>",
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=max(float(values.max(initial=0)), 1e-6),
        showscale=False,
        xgap=1,
        ygap=2,
    )


def activation_bars(activations: Any) -> go.Bar:
    """A histogram of what is not 0."""
    values = as_array(activations).ravel()
    counts, edges = np.histogram(values[values > 0], bins=BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    return go.Bar(
        x=as_list(middles),
        y=counts.tolist(),
        width=float(edges[1] - edges[0]) * 0.9,
        marker_color=SKY,
        hovertemplate="%{x:.3g}: %{y} tokens<extra></extra>",
    )


def effect_bars(tokens: Sequence[tuple[str, float]]) -> go.Bar:
    effects = [float(f"{float(effect):.4g}") for _, effect in tokens]
    return go.Bar(
        x=effects,
        y=list(range(len(tokens))),
        orientation="h",
        marker_color=[BLUE if effect > 0 else ORANGE for effect in effects],
        hovertemplate="%{x:.3g}<extra></extra>",
    )
