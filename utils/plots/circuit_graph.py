"""This file knows how to show a circuit: heads as boxes, layer above layer, and who tells whom as lines."""

from __future__ import annotations

import math
from collections.abc import Mapping

import plotly.graph_objects as go

from .labels import escape, head_label
from .theme import BLUE, GREEN, INK, ORANGE, PAPER, SOFT_INK, finish

THICKEST, THINNEST = 8, 0.8  # pixels
INPUTS = {"q": ("into queries", BLUE), "k": ("into keys", ORANGE), "v": ("into values", GREEN), "": ("to logits", INK)}

Head = tuple[int, int]


def circuit_graph(
    edges: Mapping[tuple[Head | str, tuple[int, int, str] | str], float],
    *,
    title: str,
    roles: Mapping[Head, str] | None = None,
    at_least: float = 0.0,
    value_name: str = "effect",
) -> go.Figure:
    """Each edge (sender, receiver) as a line, as thick as its effect is large, dashed where it is below 0.

    A sender is a head (layer, head), or a word such as "embed", which stands below all layers; a receiver is a head's
    input (layer, head, "q"), or a word such as "logits", which stands above them. Edges whose effect is not of the size
    `at_least` are left out. `roles` are written under their heads.
    """
    shown = {edge: float(effect) for edge, effect in edges.items() if abs(effect) >= at_least}
    heads = {end[:2] for edge in shown for end in edge if not isinstance(end, str)} | set(roles or {})
    layers = sorted({layer for layer, _ in heads})
    places = _places(heads, layers)
    below = [sender for sender in dict.fromkeys(sender for sender, _ in shown) if isinstance(sender, str)]
    above = [receiver for receiver in dict.fromkeys(receiver for _, receiver in shown) if isinstance(receiver, str)]
    places |= {
        ("from", word): (0.0 if len(below) == 1 else index - (len(below) - 1) / 2, -1.0)
        for index, word in enumerate(below)
    }
    places |= {("to", word): (index - (len(above) - 1) / 2, float(len(layers))) for index, word in enumerate(above)}

    largest = max((abs(effect) for effect in shown.values()), default=0.0) or 1.0
    figure = go.Figure()
    strongest = {}
    for (sender, receiver), effect in sorted(shown.items(), key=lambda item: abs(item[1])):  # the strongest on top
        start = places["from", sender] if isinstance(sender, str) else places[sender]
        end = places["to", receiver] if isinstance(receiver, str) else places[receiver[:2]]
        letter = "" if isinstance(receiver, str) else receiver[2]
        # lines into the three inputs of a head must not lie on each other, nor lines past a layer on its heads
        outwards = -1 if start[0] + end[0] < 0 else 1
        bend = 0.12 * {"q": -1, "k": 0, "v": 1, "": 0}[letter] + 0.16 * outwards * (end[1] - start[1] - 1)
        xs, ys = _bent(start, end, bend)
        legend, colour = INPUTS[letter]
        width = THINNEST + (THICKEST - THINNEST) * abs(effect) / largest
        figure.add_trace(
            go.Scatter(
                x=xs,
                y=ys,
                mode="lines",
                line=dict(color=colour, width=round(width, 2), dash="dash" if effect < 0 else "solid", shape="spline"),
                opacity=0.7,
                name=legend,
                legendgroup=legend,
                showlegend=False,
                hovertemplate=f"{_label(sender)} → {_label(receiver)}<br>{escape(value_name)} {effect:+.3g}<extra></extra>",
            )
        )
        strongest[legend] = figure.data[-1]
    for rank, (legend, _) in enumerate(INPUTS.values()):
        if legend in strongest:
            strongest[legend].update(showlegend=True, legendrank=rank)
    for place, (x, y) in places.items():
        word = place[1] if isinstance(place[0], str) else head_label(*place)
        role = (roles or {}).get(place, "")
        text = f"<b>{escape(word)}</b>" + (f'<br><span style="font-size:10px">{escape(role)}</span>' if role else "")
        figure.add_annotation(
            x=x, y=y, text=text, showarrow=False, bgcolor=PAPER, bordercolor=SOFT_INK, borderwidth=1, borderpad=4,
            font=dict(size=12, color=INK),
        )  # fmt: skip
    across = [x for x, _ in places.values()] or [0.0]
    figure.update_xaxes(visible=False, range=[min(across) - 0.7, max(across) + 0.7])
    figure.update_yaxes(visible=False, range=[-1.4, len(layers) + 0.4])
    return finish(figure, title, height=90 * (len(layers) + 2), legend=True)


def _places(heads: set[Head], layers: list[int]) -> dict[Head, tuple[float, float]]:
    """The heads of each layer side by side in the order of their numbers, around the middle."""
    places = {}
    for row, layer in enumerate(layers):
        in_layer = sorted(head for of, head in heads if of == layer)
        for index, head in enumerate(in_layer):
            places[layer, head] = (index - (len(in_layer) - 1) / 2, float(row))
    return places


def _bent(start: tuple[float, float], end: tuple[float, float], bend: float) -> tuple[list[float], list[float]]:
    """Five points from start to end, the middle one shifted to the side by `bend`."""
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    xs = [start[0] + share * (end[0] - start[0]) + bend * math.sin(math.pi * share) for share in shares]
    ys = [start[1] + share * (end[1] - start[1]) for share in shares]
    return [round(x, 3) for x in xs], [round(y, 3) for y in ys]


def _label(end: tuple | str) -> str:
    return escape(end) if isinstance(end, str) else head_label(*end[:2]) + "".join(f".{letter}" for letter in end[2:])
