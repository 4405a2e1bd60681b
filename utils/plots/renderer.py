"""This file knows how to show a figure where it is: live in JupyterLab with no network, or with a picture in a saved notebook.

GitHub shows no plotly figures. So a notebook that is built to be read there is executed with CIRCUITS_STATIC_FIGURES=1,
and every figure then also carries a PNG, drawn by kaleido with an installed Chrome or Chromium.
"""

from __future__ import annotations

import atexit
import base64
import functools
import io
import json
import logging
import os
import re
import shutil
import sys

import plotly.graph_objects as go
import plotly.io as pio
from plotly.io.base_renderers import MimetypeRenderer

from .theme import WIDTH, use_theme

PLOTLY = "application/vnd.plotly.v1+json"
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "brave-browser",
)
MACOS_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
PICTURE_SCALE = 1.5


def static_figures() -> bool:
    """Whether figures are drawn for a saved notebook (CIRCUITS_STATIC_FIGURES=1)."""
    return os.environ.get("CIRCUITS_STATIC_FIGURES", "") not in ("", "0")


def find_browser() -> str | None:
    """The path of an installed Chrome or Chromium: $BROWSER_PATH, or the first one on PATH."""
    named = os.environ.get("BROWSER_PATH")
    if named and shutil.which(named):
        return named
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return found or (MACOS_CHROME if os.access(MACOS_CHROME, os.X_OK) else None)


@functools.cache
def _drawing_server() -> None:
    """Starts one browser for all pictures of this process: starting one for each takes two seconds a figure."""
    browser = find_browser()
    if browser is None:
        raise RuntimeError(
            "figures in a saved notebook need a picture, and no Chrome or Chromium was found on PATH to draw it: "
            "install one (Debian: apt-get install chromium) or unset CIRCUITS_STATIC_FIGURES"
        )
    import kaleido

    for name in ("kaleido", "choreographer"):
        logging.getLogger(name).setLevel(logging.ERROR)
    kaleido.start_sync_server(silence_warnings=True, path=browser, mathjax=False)
    atexit.register(kaleido.stop_sync_server, silence_warnings=True)


def picture(figure: go.Figure | dict, *, width: int = WIDTH, scale: float = PICTURE_SCALE) -> bytes:
    """The figure as a PNG."""
    _drawing_server()
    import kaleido

    figure = go.Figure(figure).to_dict()
    height = figure["layout"].get("height") or 450
    width = figure["layout"].get("width") or width
    return smaller(kaleido.calc_fig_sync(figure, opts=dict(format="png", width=width, height=height, scale=scale)))


def smaller(png: bytes) -> bytes:
    """The same picture in 128 colours: a figure has few, and a quarter of the bytes is enough for them."""
    try:
        from PIL import Image
    except ImportError:
        raise RuntimeError("figures in a saved notebook are made small with pillow: pip install pillow") from None

    reduced = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        # MEDIANCUT would spend them on the edges of letters: none would be left for a few points, or the ends of a scale
        image.convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            reduced, "png", optimize=True
        )
    return reduced.getvalue()


def description(figure: dict) -> str:
    """What the figure says it shows, for readers that show no pictures."""
    title = figure.get("layout", {}).get("title", {}).get("text") or "untitled"
    text = re.sub(r"<[^>]*>", " ", title)
    return f"Figure: {text}".replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def mime_bundle(figure: go.Figure | dict) -> dict:
    """Everything a notebook keeps of a figure: the live one, a description, and a picture when building."""
    figure = go.Figure(figure)
    live = json.loads(pio.to_json(figure, validate=False, remove_uids=True))
    live["config"] = {"displaylogo": False, "responsive": True}
    bundle = {PLOTLY: live, "text/plain": description(live)}
    if static_figures():
        bundle["image/png"] = base64.b64encode(picture(figure)).decode("ascii")
    return bundle


class CourseRenderer(MimetypeRenderer):
    """Renders to the mime type that JupyterLab draws from its own files, with no network."""

    def to_mimebundle(self, fig_dict):
        return mime_bundle(fig_dict)


def use_renderer() -> None:
    """Makes figures show live and offline, in the course's look. Called once, when utils.plots is imported."""
    use_theme()
    if "google.colab" in sys.modules:  # Colab draws plotly through its own page, and knows no mime renderer
        return
    pio.renderers["circuits"] = CourseRenderer()
    pio.renderers.default = "circuits"


def replace(shown, figure: go.Figure) -> None:
    """Puts another figure in the place of a displayed one; `shown` is its display handle."""
    # JupyterLab's plotly renderer keeps its first figure through every update, so another renderer comes between.
    shown.update({"text/html": "", "text/plain": ""}, raw=True)
    shown.update(mime_bundle(figure), raw=True)


def show(figure) -> None:
    """Displays a figure now, for a cell that shows more than one."""
    from IPython.display import display

    display(figure)
