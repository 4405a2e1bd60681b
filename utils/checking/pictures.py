"""This file knows how to draw two small pictures side by side as SVG: the learner's matrix or vector, and the rule's."""

from __future__ import annotations

import math
from html import escape

import torch
from torch import Tensor

from utils.checking.complaints import Picture

SIDE = 220  # pixels of the larger side of one heatmap
BAR_HEIGHT = 110
SEQUENTIAL = ((247, 251, 255), (107, 174, 214), (8, 48, 107))  # light to dark blue
DIVERGING = ((178, 24, 43), (247, 247, 247), (33, 102, 172))  # red, white, blue: told apart by colour-blind readers too


def side_by_side(picture: Picture) -> str:
    """An HTML fragment with both pictures on one scale; every cell tells its value when pointed at. Empty if there is nothing to draw."""
    yours, rule = (
        torch.as_tensor(picture.yours).detach().float().cpu(),
        torch.as_tensor(picture.rule).detach().float().cpu(),
    )
    if yours.ndim not in (1, 2) or not yours.numel():
        return ""
    scale = _Scale(torch.cat([yours.flatten(), rule.flatten()]))
    draw = _heatmap if yours.ndim == 2 else _bars
    axes = picture.axes if len(picture.axes) == yours.ndim else ("",) * yours.ndim
    figures = "".join(
        f'<figure class="circuits-picture"><figcaption>{escape(title)}</figcaption>{draw(values, scale, axes)}</figure>'
        for title, values in (("yours", yours), ("the rule", rule))
    )
    caption = f'<p class="circuits-caption">{escape(picture.caption)}</p>' if picture.caption else ""
    return f'<div class="circuits-pictures">{figures}</div>{caption}'


class _Scale:
    """Colours for values: white to blue where none is negative, red over white to blue where some are."""

    def __init__(self, values: Tensor):
        finite = values[torch.isfinite(values)]
        self.signed = bool((finite < 0).any())
        self.largest = float(finite.abs().max()) if finite.numel() else 1.0
        self.largest = self.largest or 1.0

    def colour(self, value: float) -> str:
        if not math.isfinite(value):
            return "url(#circuits-not-finite)"
        share = value / self.largest
        share = max(0.0, min(1.0, (share + 1) / 2 if self.signed else share))
        low, middle, high = DIVERGING if self.signed else SEQUENTIAL
        start, end, part = (low, middle, share * 2) if share < 0.5 else (middle, high, share * 2 - 1)
        return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(start, end))


# NaN and infinity are hatched: no colour of the scale can be mistaken for them
HATCHING = (
    '<defs><pattern id="circuits-not-finite" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fff"/><rect width="3" height="6" fill="#e6a000"/></pattern></defs>'
)


def _heatmap(values: Tensor, scale: _Scale, axes: tuple[str, ...]) -> str:
    rows, columns = values.shape
    size = SIDE / max(rows, columns, 4)
    width, height = columns * size, rows * size
    cells = "".join(
        f'<rect x="{18 + column * size:.1f}" y="{row * size:.1f}" width="{size:.1f}" height="{size:.1f}" fill="{scale.colour(value)}">'
        f"<title>{escape(axes[0] or 'row')} {row}, {escape(axes[1] or 'column')} {column}: {value:.4g}</title></rect>"
        for row, line in enumerate(values.tolist())
        for column, value in enumerate(line)
    )
    frame = f'<rect x="18" y="0" width="{width:.1f}" height="{height:.1f}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
    labels = (
        f'<text x="{18 + width / 2:.0f}" y="{height + 14:.0f}" text-anchor="middle">{escape(axes[1])}</text>'
        f'<text x="12" y="{height / 2:.0f}" text-anchor="middle" transform="rotate(-90 12 {height / 2:.0f})">{escape(axes[0])}</text>'
    )
    return _svg(width + 20, height + 18, cells + frame + labels)


def _bars(values: Tensor, scale: _Scale, axes: tuple[str, ...]) -> str:
    width = SIDE / max(len(values), 4)
    zero = BAR_HEIGHT / 2 if scale.signed else BAR_HEIGHT
    room = zero - 2
    bars = []
    for index, value in enumerate(values.tolist()):
        height = abs(value) / scale.largest * room if math.isfinite(value) else room
        top = zero if math.isfinite(value) and value < 0 else zero - height
        colour = "#3182bd" if math.isfinite(value) else scale.colour(value)
        bars.append(
            f'<rect x="{18 + index * width:.1f}" y="{top:.1f}" width="{width * 0.85:.1f}" height="{height:.1f}" fill="{colour}">'
            f"<title>{escape(axes[0] or 'entry')} {index}: {value:.4g}</title></rect>"
        )
    line = f'<line x1="18" x2="{18 + len(values) * width:.1f}" y1="{zero}" y2="{zero}" stroke="currentColor" stroke-opacity="0.5"/>'
    label = f'<text x="{18 + len(values) * width / 2:.0f}" y="{BAR_HEIGHT + 14}" text-anchor="middle">{escape(axes[0])}</text>'
    return _svg(18 + len(values) * width, BAR_HEIGHT + 18, "".join(bars) + line + label)


def _svg(width: float, height: float, inside: str) -> str:
    return (
        f'<svg width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'font-size="11" fill="currentColor" font-family="sans-serif">{HATCHING}{inside}</svg>'
    )
