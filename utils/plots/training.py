"""This file knows how to show a loss curve while a model is being trained, and to leave one figure when it is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import plotly.graph_objects as go

from .labels import escape
from .lines import add_reference
from .renderer import mime_bundle, static_figures
from .theme import BLUE, finish

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
        below = " and then the ".join(f"{name} entropy" for name in sorted(self.entropies, key=self.entropies.get, reverse=True))
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
        every = -(-max(len(self.steps), 1) // MOST_POINTS)
        # Means of neighbours rather than every n-th point, so that a thinned curve is no noisier than its batches.
        x = [self.steps[min(i + every, len(self.steps)) - 1] for i in range(0, len(self.steps), every)]
        y = [sum(part := self.losses[i : i + every]) / len(part) for i in range(0, len(self.losses), every)]
        figure = go.Figure(
            go.Scatter(x=x, y=[float(f"{value:.4g}") for value in y], mode="lines", line=dict(color=BLUE, width=2),
                       hovertemplate="step %{x}: %{y:.3f} " + escape(self.unit) + "<extra></extra>")
        )
        for index, (name, entropy) in enumerate(self.entropies.items()):
            add_reference(figure, f"{name} entropy", entropy, index)
        seen = f", {self.tokens:,} tokens" if self.tokens else ""
        now = f"step {self.steps[-1]:,}{seen}: loss {y[-1]:.2f}" if self.steps else "no step yet"
        figure.update_xaxes(title_text=f"training step ({now})", range=[0, self.total_steps] if self.total_steps else None)
        highest = max([*y, *self.entropies.values()], default=1.0)
        figure.update_yaxes(title_text=f"loss ({escape(self.unit)})", range=[0, highest * 1.08])
        return finish(figure, self.title, height=330)

    def _draw(self) -> None:
        from IPython.display import display

        bundle = mime_bundle(self.figure())
        if self._shown is None:
            self._shown = display(bundle, raw=True, display_id=True)
        else:
            self._shown.update(bundle, raw=True)
        self._last_draw = time.monotonic()

    def _cell_ended(self, _result: object = None) -> None:
        shell, self._waiting = self._waiting, None
        shell.events.unregister("post_run_cell", self._cell_ended)
        self._draw()
        self._shown = None  # a later cell that goes on logging draws its own figure

    def _print_now_and_then(self) -> None:
        now = time.monotonic()
        last = self.total_steps is not None and self.steps[-1] >= self.total_steps - 1
        if now - self._last_draw >= PRINT_EVERY or last:
            print(f"step {self.steps[-1]}: loss {self.losses[-1]:.3f} {self.unit}, {now - self._started:.0f} s", flush=True)
            self._last_draw = now


def _notebook():
    """The running notebook's shell, or None in a plain Python process."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if shell is not None and hasattr(shell, "kernel") else None
