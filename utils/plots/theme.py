"""This file knows how every figure of the course looks."""

from __future__ import annotations

import plotly.graph_objects as go
import plotly.io as pio

from .labels import wrapped

# A figure brings its own paper, so that it reads the same in a light and in a dark JupyterLab and on GitHub.
PAPER = "#fcfcfa"
INK = "#2b2f36"
SOFT_INK = "#6a717c"
RULE = "#e3e4e0"
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

# Okabe and Ito (2008), told apart with every common kind of colour blindness.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B5F66"]
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, GREY = COLOURS

# Light to dark in even steps of lightness: for probabilities and other amounts that start at 0.
SEQUENTIAL = [
    [0.0, "#fbfbf8"],
    [0.2, "#cfe0f0"],
    [0.4, "#93bcdf"],
    [0.6, "#5590c6"],
    [0.8, "#24629f"],
    [1.0, "#08305c"],
]
# Orange below 0, blue above: for signed values, always centred at 0.
DIVERGING = [[0.0, "#a34400"], [0.25, "#ec9a5a"], [0.5, "#fbfbf8"], [0.75, "#6aa6d3"], [1.0, "#08457e"]]

WIDTH = 800  # of a saved picture, in pixels; live, a figure is as wide as its cell

_axis = dict(
    showgrid=True,
    gridcolor=RULE,
    zeroline=False,
    linecolor=SOFT_INK,
    ticks="",
    ticklabelstandoff=4,
    automargin=True,
    title=dict(standoff=10, font=dict(size=13)),
)

TEMPLATE = go.layout.Template(
    layout=dict(
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font=dict(family=FONT, size=13, color=INK),
        title=dict(
            x=0.0,
            xref="container",
            xanchor="left",
            yref="container",
            y=1.0,
            yanchor="top",
            font=dict(size=15),
            pad=dict(t=14, l=16),
        ),
        colorway=COLOURS,
        margin=dict(l=64, r=24, t=64, b=56),
        xaxis=_axis,
        yaxis=_axis,
        legend=dict(orientation="h", x=0, y=1.0, yanchor="bottom", xanchor="left"),
        hoverlabel=dict(font=dict(family=FONT)),
        bargap=0.25,
        annotationdefaults=dict(font=dict(size=14)),
    )
)


def use_theme() -> None:
    """Makes this look the default of every plotly figure."""
    pio.templates["circuits"] = TEMPLATE
    pio.templates.default = "circuits"


def finish(figure: go.Figure, title: str, *, height: int, legend: bool = False) -> go.Figure:
    """The figure with its title wrapped to lines, and room above for them."""
    text = wrapped(title)
    lines = text.count("<br>") + 1
    top = 26 + 20 * lines + (24 if legend else 0)
    # plotly anchors a title by its first line's middle and lets further lines grow both ways
    figure.update_layout(
        title_text=text, title_pad_t=14 + 8 * (lines - 1), margin_t=top, height=height + top, showlegend=legend
    )
    return figure
