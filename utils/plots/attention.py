"""This file knows how to show attention patterns: circuitsvis' interactive view live, heatmaps where scripts do not run.

circuitsvis itself asks google.com whether there is a network and, without one, writes 1.3 MB of JavaScript into every
figure. Here the script comes from the installed package in a first message, which the page runs and the next message
replaces. So nothing is fetched, and the saved notebook keeps a few kilobytes: the numbers, and small pictures.
"""

from __future__ import annotations

import base64
import html
import json
import struct
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .heatmap import label_axes, trace
from .labels import axis_labels, escape, token_label
from .numbers import as_array
from .renderer import mime_bundle, static_figures
from .theme import FONT, INK, PAPER, SEQUENTIAL, SOFT_INK, finish

COLUMNS = 4


def attention(
    pattern: Any, tokens: Sequence[str], *, title: str, heads: Sequence[str] | None = None
) -> AttentionFigure:
    """The pattern [head query key] of every head over these tokens; `heads` are their labels, such as L0H1."""
    values = as_array(pattern)
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or values.shape[1:] != (len(tokens), len(tokens)):
        raise ValueError(
            f"a pattern is [head query key] over the {len(tokens)} tokens, but got the shape {tuple(values.shape)}"
        )
    if heads is not None and len(heads) != len(values):
        raise ValueError(f"one label for each head: there are {len(values)} heads, but {len(heads)} labels")
    return AttentionFigure(
        values, list(tokens), title, list(heads) if heads else [f"head {i}" for i in range(len(values))]
    )


class AttentionFigure:
    """The attention patterns of some heads, which shows itself as the last expression of a cell."""

    def __init__(self, pattern: np.ndarray, tokens: list[str], title: str, heads: list[str]):
        self.pattern, self.tokens, self.title, self.heads = pattern, tokens, title, heads

    def figure(self) -> go.Figure:
        """The same patterns as plotly heatmaps, one for each head."""
        n_heads, n_tokens = len(self.heads), len(self.tokens)
        columns = min(COLUMNS, n_heads)
        rows = -(-n_heads // columns)
        figure = make_subplots(
            rows=rows,
            cols=columns,
            subplot_titles=[escape(head) for head in self.heads],
            shared_xaxes=True,
            shared_yaxes=True,
            horizontal_spacing=0.03,
            vertical_spacing=0.16 / rows,
        )
        labels = axis_labels(self.tokens, n_tokens)
        for index, values in enumerate(self.pattern):
            row, column = index // columns + 1, index % columns + 1
            cells = trace(
                values,
                labels,
                labels,
                x_name="key",
                y_name="query",
                value_name="attention",
                showscale=index == 0,
                colours=dict(colorscale=SEQUENTIAL, zmin=0, zmax=1),
                size=self.pattern.size,
                colorbar=dict(title=dict(text="attention", side="right"), thickness=12, outlinewidth=0),
            )
            figure.add_trace(cells, row=row, col=column)
            last = row == rows or index + columns >= n_heads
            label_axes(
                figure,
                labels,
                labels,
                x_name="key" if last else "",
                y_name="query" if column == 1 else "",
                row=row,
                col=column,
            )
        room = {1: 40, 2: 26, 3: 18, 4: 15}[columns]
        if columns > 1:
            every = max(1, -(-n_tokens // room))
            shown = list(range(0, n_tokens, every))
            figure.update_xaxes(tickvals=shown, ticktext=[labels[i] for i in shown], tickangle=-90, tickfont_size=10)
            figure.update_yaxes(tickvals=shown, ticktext=[labels[i] for i in shown], tickfont_size=10)
        side = {1: 420, 2: 300, 3: 200, 4: 160}[columns]
        figure = finish(figure, self.title, height=rows * (side + 24) + 70)
        return figure.update_layout(margin_t=figure.layout.margin.t + 20, height=figure.layout.height + 20)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if static_figures():
            display(mime_bundle(self.figure()), raw=True)
            return
        note = {"text/plain": self._description()}
        shown = display({"text/html": loader(), **note}, raw=True, display_id=True)
        shown.update({"text/html": self.html(), **note}, raw=True)

    def html(self) -> str:
        """The interactive view for a page that has loaded the script, with pictures for one that has not."""
        place = f"circuits-attention-{uuid.uuid4().hex[:12]}"
        props = {
            "tokens": [token_label(token) for token in self.tokens],
            "attention": [[[round(float(p), 3) for p in row] for row in head] for head in self.pattern],
            "attentionHeadNames": self.heads,
            "maskUpperTri": bool(np.triu(self.pattern, k=1).max(initial=0.0) == 0),
        }
        # "</" would end the script element inside a token
        data = (
            json.dumps(props, ensure_ascii=False, separators=(",", ":"))
            .replace("</", "<\\/")
            .replace("0.0,", "0,")
            .replace("0.0]", "0]")
        )
        width = min(max(26 * len(self.tokens) + 90, 420), 1000)  # circuitsvis fills it with one head's square
        return (
            f"<style>{look(place)}</style>"
            f'<div style="background:{PAPER};color:{INK};color-scheme:light;padding:12px 16px;font-family:{html.escape(FONT)};">'
            f'<div style="font-size:15px;margin-bottom:8px">{html.escape(self.title)}</div>'
            f'<div id="{place}" style="max-width:{width}px" role="img" aria-label="{html.escape(self._description())}">'
            f"{self._small_pictures()}</div></div>"
            f"<script>(() => {{ const place = document.getElementById({json.dumps(place)});"
            f"if (!place || !window.CircuitsVis) return; place.replaceChildren();"
            f"window.CircuitsVis.render(place.id, window.CircuitsVis.AttentionHeads, {data}); }})();</script>"
        )

    def _description(self) -> str:
        return f"Attention patterns of {', '.join(self.heads)} over {len(self.tokens)} tokens: {self.title}"

    def _small_pictures(self) -> str:
        figures = "".join(
            f'<figure style="display:inline-block;margin:0 12px 8px 0"><img alt="attention pattern of {html.escape(head)}" '
            f'style="width:130px;image-rendering:pixelated" src="data:image/png;base64,{base64.b64encode(pixels(values)).decode()}">'
            f'<figcaption style="font-size:12px">{html.escape(head)}</figcaption></figure>'
            for head, values in zip(self.heads, self.pattern)
        )
        note = "Rows are queries, columns keys. Run the cell again for the interactive view."
        return f'{figures}<div style="font-size:12px;color:{SOFT_INK}">{note}</div>'


def look(place: str) -> str:
    """CSS that keeps circuitsvis' headings small, and its pictures to choose a head from as large as a label needs."""
    return (
        f"#{place} h2, #{place} h3 {{ font-size: 14px; margin-top: 4px; }} #{place} h4 {{ font-size: 10px; }}"
        f"#{place} > div > div:first-of-type > div {{ flex-basis: 76px !important; width: 76px !important; max-width: 76px !important; }}"
    )


def loader() -> str:
    """circuitsvis' script from the installed package, for a page that does not have it yet."""
    import circuitsvis

    script = (Path(circuitsvis.__file__).parent / "dist" / "cdn" / "iife.js").read_text(encoding="utf-8")
    script = script.rpartition("//# sourceMappingURL")[0] or script
    script = script.replace("</script", "<\\/script")  # would end this element, where it stands in a string
    return f"<script>{script}\nwindow.CircuitsVis = CircuitsVis;</script>"


def pixels(values: np.ndarray) -> bytes:
    """A matrix of probabilities as a PNG with one pixel for each entry (PNG specification, sections 5 and 11)."""
    stops = np.array([position for position, _ in SEQUENTIAL])
    colours = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for _, colour in SEQUENTIAL], dtype=float)
    clipped = np.clip(np.nan_to_num(values), 0.0, 1.0)
    rgb = (
        np.stack([np.interp(clipped, stops, colours[:, channel]) for channel in range(3)], axis=-1)
        .round()
        .astype(np.uint8)
    )
    height, width, _ = rgb.shape
    rows = b"".join(b"\0" + rgb[y].tobytes() for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
