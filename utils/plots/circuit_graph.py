"""This file knows how to show a circuit: heads as boxes, layer above layer, and who tells whom as lines."""

from __future__ import annotations

import math
from collections.abc import Mapping

import plotly.graph_objects as go

from .labels import escape, head_label
from .theme import BLUE, GREEN, INK, ORANGE, PAPER, SOFT_INK, finish

THICKEST, THINNEST = 8, 0.8  # pixels
# roughly half of a box with its role, and the figure in a notebook
PIXELS_ACROSS_BOX, PIXELS_ACROSS = 42, 712
INPUTS = {"q": ("into queries", BLUE), "k": ("into keys", ORANGE), "v": ("into values", GREEN), "": ("to logits", INK)}
# lines into the three inputs of a head must not lie on each other
ASIDE = {"q": -0.12, "k": 0.0, "v": 0.12, "": 0.0}

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

    across = [x for x, _ in places.values()] or [0.0]
    left, right = min(across) - 0.7, max(across) + 0.7
    # a box and what should be free around it, in units of the axes
    around = (PIXELS_ACROSS_BOX * (right - left) / PIXELS_ACROSS, 0.2)
    aside: dict[tuple, list[float]] = {}
    for sender, receiver in shown:
        aside.setdefault(_pair(sender, receiver), []).append(ASIDE[_letter(receiver)])
    largest = max((abs(effect) for effect in shown.values()), default=0.0) or 1.0
    figure = go.Figure()
    strongest = {}
    for (sender, receiver), effect in sorted(shown.items(), key=lambda item: abs(item[1])):  # the strongest on top
        start = places["from", sender] if isinstance(sender, str) else places[sender]
        end = places["to", receiver] if isinstance(receiver, str) else places[receiver[:2]]
        letter = _letter(receiver)
        past = _past_boxes(start, end, aside[_pair(sender, receiver)], list(places.values()), around)
        xs, ys = _bent(start, end, ASIDE[letter] + past)
        left, right = min(left, *xs), max(right, *xs)
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
    figure.update_xaxes(visible=False, range=[left, right])
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


def _letter(receiver: tuple | str) -> str:
    return "" if isinstance(receiver, str) else receiver[2]


def _pair(sender: Head | str, receiver: tuple | str) -> tuple:
    """Sender and receiver, whichever of its inputs it is."""
    return sender, receiver if isinstance(receiver, str) else receiver[:2]


def _past_boxes(
    start: tuple[float, float],
    end: tuple[float, float],
    aside: list[float],
    boxes: list[tuple[float, float]],
    around: tuple[float, float],
) -> float:
    """The smallest bend that, with each of `aside` added, leads past all boxes but those at the ends.

    Outwards where there is a choice; and where there is no way past all boxes, the one that meets the fewest.
    """
    others = [box for box in boxes if box not in (start, end)]
    outwards = -1 if start[0] + end[0] < 0 else 1
    bends = [sign * step / 20 for step in range(31) for sign in (outwards, -outwards)]

    def boxes_met(bend: float) -> int:
        points = [point for beside in aside for point in zip(*_bent(start, end, bend + beside, steps=24))]
        return sum(any(abs(x - of) < around[0] and abs(y - at) < around[1] for x, y in points) for of, at in others)

    return min(bends, key=boxes_met)


def _bent(
    start: tuple[float, float], end: tuple[float, float], bend: float, steps: int = 4
) -> tuple[list[float], list[float]]:
    """Points from start to end, the middle one shifted to the side by `bend`."""
    shares = [step / steps for step in range(steps + 1)]
    xs = [start[0] + share * (end[0] - start[0]) + bend * math.sin(math.pi * share) for share in shares]
    ys = [start[1] + share * (end[1] - start[1]) for share in shares]
    return [round(x, 3) for x in xs], [round(y, 3) for y in ys]


def _label(end: tuple | str) -> str:
    return escape(end) if isinstance(end, str) else head_label(*end[:2]) + "".join(f".{letter}" for letter in end[2:])
