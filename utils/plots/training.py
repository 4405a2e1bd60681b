"""This file knows how to show a loss curve while a model is being trained, and to leave one figure when it is done."""

from __future__ import annotations

import html
import math
import sys
import time
from collections.abc import Mapping

import plotly.graph_objects as go

from .labels import escape
from .lines import add_reference
from .renderer import mime_bundle, static_figures
from .theme import BLUE, FONT, INK, PAPER, RULE, SOFT_INK, finish

DRAW_EVERY = 0.35  # seconds: faster than this the page redraws without showing more
PRINT_EVERY = 10.0  # seconds, outside a notebook
MOST_POINTS = 400  # more cannot be told apart in a figure 800 pixels wide


class LiveLoss:
    """A loss curve that grows under its cell, with a dashed line at each entropy that the loss should fall below.

        curve = LiveLoss(entropies={"unigram": 4.1, "bigram": 2.3})
        for step, batch in enumerate(batches):
            ...
            curve.log(step, loss)

    Nothing needs to be closed: when the cell ends, its last state stays as one figure.
    """

    def __init__(
        self,
        entropies: Mapping[str, float] | None = None,
        *,
        title: str | None = None,
        unit: str = "nats per token",
        total_steps: int | None = None,
    ):
        self.entropies = {name: float(value) for name, value in (entropies or {}).items()}
        below = " and then the ".join(
            f"{name} entropy" for name in sorted(self.entropies, key=self.entropies.get, reverse=True)
        )
        self.title = title or (f"The loss falls below the {below}" if below else "The loss as training goes on")
        self.unit, self.total_steps = unit, total_steps
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.tokens: int | None = None
        self._shown = None
        self._last_draw = float("-inf")
        self._waiting = None  # the shell whose cell's end draws the last state
        self._started = time.monotonic()

    def log(self, step: int, loss: float, tokens: int | None = None) -> None:
        """Adds one point; `tokens` is how many tokens were seen so far."""
        self.steps.append(int(step))
        self.losses.append(float(loss))
        self.tokens = tokens if tokens is None else int(tokens)
        shell = _notebook()
        if shell is None:
            self._print_now_and_then()
            return
        if self._waiting is None:
            self._waiting = shell
            shell.events.register("post_run_cell", self._cell_ended)
        if not static_figures() and time.monotonic() - self._last_draw >= DRAW_EVERY:
            self._draw()

    def figure(self) -> go.Figure:
        """The curve so far as a figure."""
        x, y = self._points()
        figure = go.Figure(
            go.Scatter(
                x=x,
                y=[float(f"{value:.4g}") for value in y],
                mode="lines",
                line=dict(color=BLUE, width=2),
                hovertemplate="step %{x}: %{y:.3f} " + escape(self.unit) + "<extra></extra>",
            )
        )
        for index, (name, entropy) in enumerate(self.entropies.items()):
            add_reference(figure, f"{name} entropy", entropy, index)
        figure.update_xaxes(
            title_text=f"training step ({self._now()})", range=[0, self.total_steps] if self.total_steps else None
        )
        figure.update_yaxes(title_text=f"loss ({escape(self.unit)})", range=[0, self._top(y)])
        return finish(figure, self.title, height=330)

    def _points(self) -> tuple[list[int], list[float]]:
        """The curve with at most MOST_POINTS points: means of neighbours, so that a thinned curve is no noisier than its batches."""
        every = -(-max(len(self.steps), 1) // MOST_POINTS)
        parts = [slice(i, i + every) for i in range(0, len(self.steps), every)]
        return [self.steps[part][-1] for part in parts], [
            sum(self.losses[part]) / len(self.losses[part]) for part in parts
        ]

    def _top(self, y: list[float]) -> float:
        return 1.08 * max([value for value in (*y, *self.entropies.values()) if math.isfinite(value)], default=1.0)

    def _now(self) -> str:
        if not self.steps:
            return "no step yet"
        seen = f", {self.tokens:,} tokens" if self.tokens else ""
        return f"step {self.steps[-1]:,}{seen}: loss {self.losses[-1]:.2f}"

    def _sketch(self) -> str:
        """The curve as plain SVG, which a page can redraw many times a second without a flicker."""
        x, y = self._points()
        left, right, top, bottom = 66, 776, 46, 320
        last = max(self.total_steps or x[-1], 1)
        highest = self._top(y)

        def height(value: float) -> float:
            return round(bottom - (bottom - top) * value / highest, 1)

        curve = " ".join(
            f"{left + (right - left) * step / last:.1f},{height(loss)}"
            for step, loss in zip(x, y)
            if math.isfinite(loss)
        )
        marks = "".join(
            f'<path d="M{left} {height(entropy)}H{right}" stroke="{SOFT_INK}" stroke-dasharray="7 5"/>'
            f'<text x="{right}" y="{height(entropy) - 4}" text-anchor="end" fill="{SOFT_INK}" font-size="12">'
            f"{html.escape(name)} entropy {entropy:.2f}</text>"
            for name, entropy in self.entropies.items()
        )
        ticks = "".join(
            f'<text x="{left - 8}" y="{height(value) + 4}" text-anchor="end" font-size="12">{value}</text>'
            f'<path d="M{left} {height(value)}H{right}" stroke="{RULE}"/>'
            for value in range(0, int(highest) + 1, max(1, int(highest) // 5))
        )
        return (
            f'<svg viewBox="0 0 800 370" style="max-width:900px;background:{PAPER}" fill="{INK}" role="img" '
            f'font-family="{html.escape(FONT)}" font-size="13">'
            f'<text x="16" y="25" font-size="15">{html.escape(self.title)}</text>{ticks}{marks}'
            f'<polyline points="{curve}" fill="none" stroke="{BLUE}" stroke-width="2"/>'
            f'<text x="{(left + right) / 2}" y="352" text-anchor="middle">training step ({self._now()})</text>'
            f'<text transform="translate(20 {(top + bottom) / 2}) rotate(-90)" text-anchor="middle">'
            f"loss ({html.escape(self.unit)})</text></svg>"
        )

    def _draw(self) -> None:
        self._put({"text/html": self._sketch(), "text/plain": self._now()})
        self._last_draw = time.monotonic()

    def _put(self, bundle: dict) -> None:
        from IPython.display import display

        if self._shown is None:
            self._shown = display(bundle, raw=True, display_id=True)
        else:
            self._shown.update(bundle, raw=True)

    def _cell_ended(self, _result: object = None) -> None:
        shell, self._waiting = self._waiting, None
        shell.events.unregister("post_run_cell", self._cell_ended)
        self._put(mime_bundle(self.figure()))
        self._shown = None  # a later cell that goes on logging draws its own figure

    def _print_now_and_then(self) -> None:
        now = time.monotonic()
        last = self.total_steps is not None and self.steps[-1] >= self.total_steps - 1
        if now - self._last_draw >= PRINT_EVERY or last:
            print(
                f"step {self.steps[-1]}: loss {self.losses[-1]:.3f} {self.unit}, {now - self._started:.0f} s",
                flush=True,
            )
            self._last_draw = now


def _notebook():
    """The running notebook's shell, or None in a plain Python process."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if shell is not None and hasattr(shell, "kernel") else None
