"""The figures say what they show, stay small, and show with no network: live in JupyterLab and as pictures when built."""

import base64
import functools
import io
import json
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from utils.paths import REPO
from utils.plots import (
    LiveLoss,
    along_training,
    attention,
    compare,
    composition_graph,
    diagram,
    distribution,
    distributions,
    head_label,
    heatmap,
    lines,
    neuron_table,
    renderer,
    residual_sum,
    sampling_playground,
    timings,
    token_labels,
)
from utils.plots.attention import loader, pixels
from utils.plots.numbers import as_array, significant
from utils.plots.renderer import PLOTLY, mime_bundle, smaller

TOKENS = ["<|endoftext|>", " Mary", " and", " John", " went", " to", " the", "\n", " Mary"]
DRAWINGS = [
    "activation_patching",
    "attention_head",
    "induction_circuit",
    "ioi_prompt",
    "kv_cache",
    "layer_norm",
    "path_patching",
    "residual_stream",
    "sparse_autoencoder",
    "toy_model",
    "where_heads_look",
]


def some_pattern(heads: int = 3, length: int = len(TOKENS)) -> torch.Tensor:
    scores = torch.randn(heads, length, length, generator=torch.Generator().manual_seed(0))
    return scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf).softmax(-1)


def some_probs(size: int = 50) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(1)).mul(2).softmax(-1)


VOCAB = [f" word{i}" for i in range(50)]


@functools.cache
def every_figure() -> dict[str, go.Figure]:
    curve = LiveLoss(entropies={"unigram": 4.0, "bigram": 2.0})
    for step in range(50):
        curve.log(step, 5.0 - step / 20)
    return {
        "heatmap": heatmap(
            some_pattern()[0],
            x=TOKENS,
            y=TOKENS,
            title="One pattern",
            x_name="key",
            y_name="query",
            value_name="attention",
        ),
        "signed heatmap": heatmap(
            torch.linspace(-1, 2, 24).reshape(4, 6), title="Scores", x_name="key", y_name="query", signed=True
        ),
        "compare": compare(some_pattern()[0].T, some_pattern()[0]),
        "attention": attention(some_pattern(), TOKENS, title="Three heads").figure(),
        "residual_sum": residual_sum(
            {"embed": 0.4, "L0 attn": -1.0, "L0 mlp": 2.5}, title="A logit is a sum", total=1.9
        ),
        "norms": residual_sum(
            {"embed": torch.ones(16), "L0 attn": torch.ones(16) * 2}, title="Norms", value_name="norm"
        ),
        "distribution": distribution(some_probs(), VOCAB, title="The next token"),
        "distributions": distributions(
            {"before": some_probs(), "after": some_probs() ** 2}, VOCAB, title="Before and after"
        ),
        "lines": lines(
            [1, 2, 3],
            {"a": [1, 2, 3], "b": [3, 2, 1]},
            title="Two lines",
            x_name="step",
            y_name="loss (nats)",
            references={"unigram": 2.0},
        ),
        "timings": timings([8, 16], {"no cache": [1.0, 4.0], "cache": [0.5, 1.0]}, title="The cache pays"),
        "neurons": neuron_table({"L1N7": ([(" dog", 2.0)], [" black"])}, title="Keys and values"),
        "loss": curve.figure(),
        "along training": along_training(
            [0, 10, 20],
            {"nats": {"loss": [3.0, 2.0, 1.0]}, "score": {"induction": [0.0, 0.1, 0.9], "other": [0.0, 0.2, 0.3]}},
            title="One training",
            band=(10, 20),
            band_name="steps 10 to 20",
        ),
        "composition": composition_graph(
            {"Q": [[0.1, 0.3], [0.2, 0.1]], "K": [[0.5, 0.1], [0.1, 0.1]]}, title="Who reads whom", baseline=0.15
        ),
    }


@pytest.mark.parametrize("name", every_figure())
def test_every_figure_has_a_title_and_named_axes(name):
    figure = every_figure()[name]
    assert figure.layout.title.text
    if name in ("neurons", "composition"):  # a table, and a graph of heads that bear their names
        return
    for direction in "xy":
        axes = [figure.layout[key] for key in figure.layout if re.fullmatch(direction + r"axis\d*", key)]
        assert any(axis.title.text for axis in axes), f"{name}: no {direction} axis has a name"


@pytest.mark.parametrize("name", every_figure())
def test_every_figure_is_small(name):
    assert len(json.dumps(mime_bundle(every_figure()[name]))) < 30_000


def test_numbers_keep_four_significant_digits():
    values = np.array([1.23456, -0.000123456, 98765.0, 0.0, np.inf, np.nan])
    expected = np.array([1.235, -0.0001235, 98760.0, 0.0, np.inf, np.nan])
    np.testing.assert_allclose(significant(values), expected, rtol=2e-4)
    assert as_array(torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)).dtype == np.float32


def test_tokens_read_as_words_and_keep_what_cannot_be_seen():
    assert token_labels(["<|endoftext|>", " Mary", "\n", " ", ""]) == ["BOS", "Mary", "↵", "␣", "∅"]
    assert head_label(5, 1) == "L5H1"


def test_markup_in_tokens_and_titles_is_shown_letter_by_letter():
    figure = heatmap(torch.ones(1, 2), x=["<b>", "a&b"], title="What <mask> does", x_name="key", y_name="query")
    assert list(figure.layout.xaxis.ticktext) == ["&lt;b&gt;", "a&amp;b"]
    assert figure.layout.title.text == "What &lt;mask&gt; does"
    assert mime_bundle(figure)["text/plain"] == "Figure: What <mask> does"


def test_repeated_tokens_stay_apart_on_an_axis():
    figure = heatmap(some_pattern()[0], x=TOKENS, y=TOKENS, title="One pattern", x_name="key", y_name="query")
    assert list(figure.layout.xaxis.ticktext).count("Mary") == 2
    assert list(figure.layout.xaxis.tickvals) == list(range(len(TOKENS)))


def test_signed_colours_are_centred_at_zero_and_others_start_there():
    signed = heatmap(torch.tensor([[-1.0, 4.0]]), title="t", signed=True).data[0]
    assert (signed.zmin, signed.zmax) == (-4.0, 4.0)
    assert heatmap(torch.tensor([[0.25, 0.5]]), title="t").data[0].zmin == 0.0


def test_a_comparison_uses_one_scale_for_both():
    left, right = compare([[0.1, 0.2]], [[0.5, 0.9]]).data
    assert (left.zmin, left.zmax) == (right.zmin, right.zmax) == (0.0, pytest.approx(0.9))


def test_the_steps_of_a_residual_sum_end_at_the_sum():
    bars = residual_sum({"embed": 0.5, "L0 attn": -2.0, "L0 mlp": 1.0}, title="t").data[0]
    assert list(bars.base) == [0.0, 0.5, -1.5, 0.0]
    assert list(bars.y) == [0.5, -2.0, 1.0, -0.5]


def test_a_comparison_of_times_draws_how_many_times_faster():
    ratio = timings([8, 16], {"no cache": [1.0, 4.0], "cache": [0.5, 1.0]}, title="t").data[-1]
    assert list(ratio.y) == [2.0, 4.0]


def test_a_composition_graph_draws_what_is_above_the_baseline_and_the_strongest_thickest():
    figure = every_figure()["composition"]
    drawn = {line.name: line.line.width for line in figure.data if line.mode == "lines"}
    assert [line.mode for line in figure.data].count("lines") == 3
    assert drawn["K-composition"] == max(line.line.width for line in figure.data if line.mode == "lines")
    heads = [text for points in figure.data if points.mode == "markers+text" for text in points.text]
    assert heads == ["L0H0", "L0H1", "L1H0", "L1H1"]


def test_many_attention_patterns_stay_small():
    patterns = some_pattern(heads=16, length=24)
    bundle = mime_bundle(attention(patterns, [f" word{i}" for i in range(24)], title="Many heads").figure())
    assert len(json.dumps(bundle[PLOTLY], indent=1)) < 150_000


def test_wrong_shapes_are_said_in_a_sentence():
    with pytest.raises(ValueError, match="a pattern is .head query key. over the 9 tokens"):
        attention(torch.zeros(2, 4, 4), TOKENS, title="t")
    with pytest.raises(ValueError, match="one label for each row or column: there are 2, but 3 labels"):
        heatmap(torch.zeros(2, 2), x=["a", "b", "c"], title="t")


# attention


def test_attention_needs_no_network(monkeypatch):
    def no_network(*args, **kwargs):
        raise AssertionError("the figure asked for the network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    page = loader() + attention(some_pattern(), TOKENS, title="Three heads").html()
    assert "unpkg.com" not in page and "google.com" not in page


def test_a_saved_attention_figure_is_small_and_has_pictures_where_scripts_do_not_run():
    page = attention(some_pattern(), TOKENS, title="Three heads", heads=["L0H0", "L0H1", "L0H2"]).html()
    assert len(page) < 10_000
    assert page.count("<img ") == 3 and 'alt="attention pattern of L0H2"' in page
    assert "L0H1" in page and "AttentionHeads" in page


def test_a_token_cannot_end_the_script_it_stands_in():
    page = attention(torch.ones(1, 1, 1), ["</script><b>"], title="t").html()
    assert page.count("</script>") == 1


def test_the_loader_hands_the_script_to_the_page_and_ends_once():
    script = loader()
    assert script.count("</script") == 1 and script.rstrip().endswith("window.CircuitsVis = CircuitsVis;</script>")


def test_small_pictures_are_valid_png_with_one_pixel_for_each_entry():
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(pixels(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.25]])))) as picture:
        picture.load()
        assert picture.size == (3, 2)
        assert picture.getpixel((0, 0)) == (0x08, 0x30, 0x5C)


# sampling


def test_distributions_share_the_tokens_of_the_first():
    figure = distributions({"before": some_probs(), "after": some_probs().flip(0)}, VOCAB, title="t", k=5)
    first = [VOCAB[i].strip() for i in some_probs().argsort(descending=True)[:5]]
    assert all(list(trace.customdata) == first for trace in figure.data)


def test_the_playground_turns_each_knob_alone_when_built(monkeypatch):
    monkeypatch.setenv("CIRCUITS_STATIC_FIGURES", "1")
    calls = []

    def probs_fn(*, temperature, top_k):
        calls.append((temperature, top_k))
        return some_probs()

    figure = sampling_playground(probs_fn, VOCAB, title="t", knobs=["temperature", "top_k"])
    assert calls == [(1.0, 0), (0.5, 0), (1.0, 3)]
    assert len(figure.data) == 3


# training


def test_the_loss_curve_keeps_at_most_four_hundred_points_and_its_mean():
    curve = LiveLoss(entropies={"unigram": 4.0})
    losses = [5.0 - step / 2000 for step in range(5000)]
    for step, loss in enumerate(losses):
        curve.log(step, loss)
    shown = curve.figure().data[0]
    assert len(shown.x) <= 400 and shown.x[-1] == 4999
    assert np.mean(shown.y) == pytest.approx(np.mean(losses), abs=0.02)


def test_outside_a_notebook_the_loss_is_printed_now_and_then(capsys):
    curve = LiveLoss(total_steps=100)
    for step in range(100):
        curve.log(step, 2.0)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 and printed[-1].startswith("step 99: loss 2.000 nats per token")


# in a notebook


def executed(source: list[str], *, built: bool, monkeypatch) -> list:
    from nbclient import NotebookClient

    monkeypatch.setenv("CIRCUITS_STATIC_FIGURES", "1" if built else "0")
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in source])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


CELLS = [
    "import torch\nfrom utils.plots import *",
    "heatmap(torch.eye(3), title='The diagonal', x_name='key', y_name='query')",
    "attention(torch.eye(3)[None], ['a', 'b', 'c'], title='Each reads itself')",
    "curve = LiveLoss({'unigram': 4.0})\nfor step in range(300):\n    curve.log(step, 3.0)",
    "sampling_playground(lambda **knobs: torch.ones(5) / 5, list('abcde'))",
    "diagram('residual_stream')",
]


def test_a_live_notebook_keeps_one_figure_for_each_cell_and_no_script(monkeypatch):
    pytest.importorskip("ipywidgets")
    nothing, matrix, pattern, loss, knobs, drawing = executed(CELLS, built=False, monkeypatch=monkeypatch)
    assert nothing == []
    assert [set(output.data) for output in matrix] == [{PLOTLY, "text/plain"}]
    assert [set(output.data) for output in pattern] == [{"text/html", "text/plain"}]
    assert len(pattern[0].data["text/html"]) < 10_000, "the script itself must not stay in the notebook"
    assert [set(output.data) for output in loss] == [{PLOTLY, "text/plain"}]
    assert PLOTLY in knobs[-1].data
    assert [set(output.data) for output in drawing] == [{"image/svg+xml", "text/plain"}]


def test_a_built_notebook_has_a_picture_for_each_figure(monkeypatch):
    if renderer.find_browser() is None:
        pytest.skip("no Chrome or Chromium on PATH to draw pictures with")
    pytest.importorskip("PIL", reason="pictures are made smaller with pillow, which is not installed")
    _, *cells, drawing = executed(CELLS, built=True, monkeypatch=monkeypatch)
    for outputs in cells:
        assert [set(output.data) for output in outputs] == [{PLOTLY, "image/png", "text/plain"}]
        picture = base64.b64decode(outputs[0].data["image/png"])
        assert picture.startswith(b"\x89PNG") and len(picture) < 60_000
    assert "image/svg+xml" in drawing[0].data


def test_a_saved_picture_keeps_the_colour_of_a_few_points_among_many_shades():
    image = pytest.importorskip("PIL.Image")
    shades = image.linear_gradient("L").convert("RGB")  # as at the edges of letters, or in a heatmap
    shades.paste((0, 114, 178), (100, 100, 104, 104))
    png = io.BytesIO()
    shades.save(png, "png")
    smaller = renderer.smaller(png.getvalue())
    with image.open(io.BytesIO(smaller)) as kept:
        colour = kept.convert("RGB").getpixel((102, 102))
    assert max(abs(a - b) for a, b in zip(colour, (0, 114, 178), strict=True)) < 12


def test_building_without_a_browser_says_what_to_install():
    code = (
        "from utils.plots import heatmap, renderer\n"
        "renderer.MACOS_CHROME = ''\n"
        "renderer.picture(heatmap([[1.0]], title='t'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=REPO,
        env={"PATH": "/nowhere", "PYTHONPATH": str(REPO)},
    )
    assert "no Chrome or Chromium was found on PATH" in done.stderr.strip().splitlines()[-1]


# drawings


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_drawing_is_valid_svg_that_brings_its_paper_and_its_description(name):
    root = ElementTree.fromstring(diagram(name).svg)
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert root.find("svg:title", space).text
    assert len(diagram(name).description) > 100
    paper = root.find("svg:rect", space)
    assert f"0 0 {paper.get('width')} {paper.get('height')}" == root.get("viewBox")
    assert root.get("width") == "100%", "JupyterLab cuts off a drawing that is wider than its cell"
    assert not re.search(r"https?://(?!www\.w3\.org)", diagram(name).svg), "a drawing fetches nothing"


def test_an_unknown_drawing_lists_the_known_ones():
    with pytest.raises(ValueError, match=", ".join(DRAWINGS)):
        diagram("transformer")


def test_a_small_picture_keeps_the_rare_colours_of_a_scale():
    from PIL import Image

    # much of one blue in many shades, as in a heatmap, and one thin line for each shade of a scale
    picture = Image.new("RGB", (256, 256))
    picture.putdata([(x // 2, 64 + x // 2, 128 + y // 2) for y in range(256) for x in range(256)])
    scale = [(255 - shade, 90 + shade // 3, shade) for shade in range(0, 256, 4)]
    for place, colour in enumerate(scale):
        picture.paste(colour, (0, place, 3, place + 1))
    written = io.BytesIO()
    picture.save(written, "png")
    small = Image.open(io.BytesIO(smaller(written.getvalue()))).convert("RGB")
    far = [max(abs(a - b) for a, b in zip(small.getpixel((1, place)), colour)) for place, colour in enumerate(scale)]
    assert max(far) < 40
