"""The course's figures in the real JupyterLab, with nothing from the network: they show, they move, and they are saved small."""

import nbformat
import pytest

CELLS = {
    "import": "import time, torch\nfrom utils.plots import *\npattern = torch.ones(4, 6, 6).tril().log().softmax(-1)",
    "heatmap": "heatmap(pattern[0], title='One pattern', x_name='key', y_name='query')",
    "attention": "attention(pattern, list('abcdef'), title='Four heads', heads=[head_label(0, h) for h in range(4)])",
    "loss": (
        "curve = LiveLoss({'unigram': 4.0, 'bigram': 2.0}, total_steps=200)\n"
        "for step in range(200):\n    curve.log(step, 5 - step / 50)\n    time.sleep(0.02)"
    ),
    "knobs": (
        "sampling_playground(lambda temperature: (torch.arange(8.) / temperature).softmax(-1), list('abcdefgh'), "
        "knobs=['temperature'])"
    ),
    "drawing": "diagram('residual_stream')",
}
PLACE = {name: place for place, name in enumerate(CELLS)}
PLOT = ".js-plotly-plot .main-svg"


@pytest.fixture
def figures(lab, open_notebook):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.work / "figures.ipynb")
    figures = open_notebook("figures.ipynb")
    figures.run(PLACE["import"])
    return figures


def test_figures_show_and_move_offline_and_are_saved_small(figures, lab, page, screenshot, asked):
    heatmap = figures.run(PLACE["heatmap"])
    heatmap.locator(PLOT).first.wait_for()
    screenshot("figure_heatmap", heatmap)

    attention = figures.run(PLACE["attention"])
    attention.get_by_text("L0H0 Zoomed").wait_for()
    assert attention.locator("canvas").count() >= 4, "circuitsvis draws each head"
    screenshot("figure_attention", attention)

    loss = figures.start(PLACE["loss"])
    loss.locator("svg polyline").wait_for()
    first = loss.locator("svg polyline").get_attribute("points")
    page.wait_for_function(
        "([selector, first]) => { const line = document.querySelector(selector); return line && line.getAttribute('points') !== first; }",
        arg=[f"[data-place='{PLACE['loss']}'] svg polyline", first],
    )
    screenshot("figure_loss_live", loss)
    figures.wait(PLACE["loss"])
    loss.locator(PLOT).first.wait_for()
    assert loss.locator(".jp-OutputArea-child").count() == 1, "one figure stays"
    assert "step 199: loss 1.02" in loss.inner_text()
    screenshot("figure_loss", loss)

    knobs = figures.run(PLACE["knobs"])
    knobs.locator(PLOT).first.wait_for()
    knobs.locator(".noUi-handle").press("ArrowRight")
    knobs.get_by_text("temperature = 1.1").wait_for()
    knobs.locator(PLOT).first.wait_for()
    screenshot("figure_knobs", knobs)

    drawing = figures.run(PLACE["drawing"])
    drawing.locator(".jp-OutputArea-output img, .jp-OutputArea-output svg").first.wait_for()
    screenshot("figure_drawing", drawing)

    figures.save()
    saved = (lab.work / "figures.ipynb").read_text(encoding="utf-8")
    assert len(saved) < 500_000, "circuitsvis' script (1.3 MB) must not stay in the notebook"
    assert asked == [], "the page needs nothing from the network"


def test_a_reopened_notebook_shows_small_pictures_of_attention_until_it_is_run(figures, page, screenshot):
    figures.run(PLACE["attention"])
    figures.save()
    page.reload()
    figures.wait_until_open()
    attention = figures.show(PLACE["attention"])
    attention.locator("figure img").first.wait_for()
    assert attention.locator("figure").count() == 4
    screenshot("figure_attention_reopened", attention)


def test_figures_can_be_read_in_a_dark_jupyterlab(figures, page, screenshot):
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.locator("body[data-jp-theme-light=false]").wait_for(state="attached")
    for name in ("heatmap", "attention", "drawing"):
        cell = figures.run(PLACE[name])
        cell.locator(f"{PLOT}, canvas, .jp-OutputArea-output img, .jp-OutputArea-output svg").first.wait_for()
        screenshot(f"dark_{name}", cell)
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")
    page.locator("body[data-jp-theme-light=true]").wait_for(state="attached")
