"""This file knows how to lay figures out as rows, for the summary in a terminal and for the page of the card alike."""

from __future__ import annotations

from collections.abc import Mapping

from utils.models.figures.tables import highest
from utils.models.insides.name_movers import COPIES
from utils.models.insides.refusal import ADDITIONS, REMOVALS

# by name of the row, then of the column
Rows = dict[str, dict[str, object]]

# of what all heads add directly, or of what the corruption took: less is not shown
SHOWN_SHARE = 0.1


def tables(figures: Mapping) -> dict[str, Rows]:
    """Every table, under the name of what its rows are."""
    parts = figures["name movers"]
    return {
        **{f"head, {form}": head_rows(part, figures["copying score"]) for form, part in parts.items()},
        "circuit": joint_rows(parts),
        "steered": steering_rows(parts),
        "restored": tracing_rows(figures["fact tracing"]),
        "edits of layer": edit_rows(figures["rank-one edits"]),
        "direction of": refusal_rows(figures["refusal direction"]),
    }


def head_rows(part: Mapping, copying: Mapping[str, float]) -> Rows:
    """The heads that copy, that add much of the logit difference directly, or that bring back much of it."""
    attention, attribution = part["attention"], part["direct attribution"]
    all_heads_add = sum(map(abs, attribution["IO - S"].values()))
    shown = [
        head
        for head in copying
        if copying[head] >= COPIES
        or abs(attribution["IO - S"][head]) >= SHOWN_SHARE * all_heads_add
        or abs(part["patching"][head]) >= SHOWN_SHARE
    ]
    columns = {
        "copying": copying,
        **{role: attention["both orders"][role] for role in ("IO", "S1", "S2")},
        **{f"IO, {order}": attention[order]["IO"] for order in ("IO first", "S first")},
        "adds to IO - S": attribution["IO - S"],
        "adds to IO": attribution["IO - mean name"],
        "patched": part["patching"],
    }
    return {head: {name: values[head] for name, values in columns.items()} for head in shown}


def joint_rows(parts: Mapping) -> Rows:
    return {
        f"{form}, {order}": dict(joint)
        for form, part in parts.items()
        for order, joint in part["joint"].items()
        if order != "weights"
    }


def steering_rows(parts: Mapping) -> Rows:
    rows = {}
    for form, part in parts.items():
        ((mover, steered),) = part["steering"].items()
        for corruption, fall in steered.items():
            (most,) = highest(fall["fall, one head"], 1) or [""]
            rows[f"{form}: {mover}, {corruption}"] = {
                "preference": fall["preference"],
                "falls by": fall["fall, all earlier heads"],
                "by query alone": fall["fall, by query"],
                "most by one head": f"{most} {fall['fall, one head'][most]:.2f}" if most else "none",
            }
    return rows


def tracing_rows(tracing: Mapping) -> Rows:
    return {
        f"{kind}, {role} ({corruption})": shares
        for corruption, traced in tracing.items()
        for kind, roles in traced.items()
        if isinstance(roles, Mapping)
        for role, shares in roles.items()
    }


def edit_rows(edits: Mapping) -> Rows:
    return {"no edit": edits["before"], **edits["layers"]}


def refusal_rows(refusal: Mapping) -> Rows:
    """Shares refused, and answered in brackets, along the direction of each layer and along random ones of its norm."""
    directions = {}
    for layer, effects in refusal["layers"].items():
        directions |= {layer: effects, f"{layer}, random": refusal["random"][layer]}
    return {
        name: {way: f"{effects[way]['refused']:.2f} ({effects[way]['answered']:.2f})" for way in REMOVALS + ADDITIONS}
        for name, effects in directions.items()
    }


def without_minus_zero(value: object) -> object:
    return round(value, 2) + 0.0 if isinstance(value, float) else value
