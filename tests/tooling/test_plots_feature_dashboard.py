"""The page of a feature says what it shows, stays small, and refuses contexts that do not fit together."""

import json

import pytest
import torch

from utils.plots.feature_dashboard import BINS, feature_dashboard
from utils.plots.renderer import mime_bundle

CONTEXTS = [
    (["", " Mary", " and", " <b>"], [0.0, 0.1, 0.0, 2.5]),
    ([" a", " b", ".", "<|endoftext|>"], [0.0, 0.0, 0.0, 1.2345678]),
]


def a_dashboard(contexts=CONTEXTS, activations=None):
    if activations is None:
        activations = torch.rand(4000, generator=torch.Generator().manual_seed(0)).sub(0.9).relu()
    promoted = [(f" up{i}", 2.0 - i / 10) for i in range(12)]
    suppressed = [(f" down{i}", i / 10 - 2.0) for i in range(12)]
    return feature_dashboard(contexts, activations, promoted, suppressed, title="Feature 7: after <b>")


def test_a_dashboard_has_a_title_and_names_its_axes():
    layout = a_dashboard().layout
    assert layout.title.text == "Feature 7: after &lt;b&gt;"
    names = [layout[axis].title.text for axis in ("xaxis", "yaxis", "xaxis2", "yaxis2", "xaxis3")]
    assert all(names) and "10.00% of tokens" in names[2]


def test_a_dashboard_is_small():
    longer = [([f" word{i}" for i in range(14)], torch.rand(14)) for _ in range(10)]
    assert len(json.dumps(mime_bundle(a_dashboard(longer)))) < 30_000


def test_each_token_has_its_activation_and_places_outside_the_text_are_empty():
    cells = a_dashboard().data[0]
    assert [list(row) for row in cells.text] == [["", "Mary", "and", "&lt;b&gt;"], ["a", "b", ".", "BOS"]]
    assert cells.z[0][3] == 2.5 and cells.z[1][3] == 1.235
    assert (cells.zmin, cells.zmax) == (0, 2.5)


def test_the_histogram_counts_active_tokens_only():
    activations = torch.tensor([0.0] * 90 + [1.0] * 7 + [3.0] * 3)
    bars = a_dashboard(activations=activations).data[1]
    assert len(bars.y) == BINS and sum(bars.y) == 10 and bars.y[0] == 7 and bars.y[-1] == 3


def test_promoted_tokens_stand_above_suppressed_ones_the_strongest_at_both_ends():
    figure = a_dashboard()
    names = list(figure.layout.yaxis3.ticktext)
    assert names[0] == "up0" and names[9] == "up9" and names[10] == "down9" and names[-1] == "down0"
    assert figure.data[2].x[0] == 2.0 and figure.data[2].x[-1] == -2.0


def test_a_feature_that_is_never_active_can_be_shown():
    assert sum(a_dashboard([([" a", " b"], [0.0, 0.0])], torch.zeros(50)).data[1].y) == 0


def test_contexts_of_different_lengths_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"all contexts have one length, but these have \[2, 4\]"):
        a_dashboard([*CONTEXTS, ([" a", " b"], [0.0, 1.0])])
