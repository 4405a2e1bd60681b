"""The arrows of features end at the columns of W, and the figure says what it shows.

To stand in tests/tooling/test_plots.py, with `feature_arrows` among its figures.
"""

import json

import pytest
import torch

from utils.plots.feature_arrows import feature_arrows
from utils.plots.renderer import mime_bundle


def some_weights(instances: int = 8, d_hidden: int = 2, features: int = 5) -> torch.Tensor:
    return torch.randn(instances, d_hidden, features, generator=torch.Generator().manual_seed(2))


def test_every_feature_of_every_instance_has_an_arrow_that_ends_at_its_column():
    W = some_weights(instances=3)
    figure = feature_arrows(W, title="Arrows", titles=["a", "b", "c"])
    assert len(figure.data) == 3 * 5
    ends = torch.tensor([[trace.x[1], trace.y[1]] for trace in figure.data], dtype=torch.float)
    torch.testing.assert_close(ends, W.mT.flatten(0, 1), atol=1e-3, rtol=1e-3)
    assert all((trace.x[0], trace.y[0]) == (0, 0) for trace in figure.data)
    assert [note.text for note in figure.layout.annotations] == ["a", "b", "c"]


def test_a_feature_has_one_colour_in_all_panels_and_its_name_where_one_points_at_it():
    figure = feature_arrows(some_weights(instances=2), title="Arrows", names=["p", "q", "r", "s", "<t>"])
    colours = [trace.line.color for trace in figure.data]
    assert colours[:5] == colours[5:] and len(set(colours[:5])) == 5
    assert figure.data[4].hovertemplate.startswith("&lt;t&gt;, length ")


def test_the_legend_names_every_feature_once_and_stands_above_the_titles_of_the_panels():
    figure = feature_arrows(some_weights(), title="Arrows", titles=list("abcdefgh"), names=["p", "q", "r", "s", "t"])
    assert [trace.name for trace in figure.data if trace.showlegend] == ["p", "q", "r", "s", "t"]
    assert figure.layout.showlegend and figure.layout.legend.y > 1
    assert not feature_arrows(some_weights(), title="Arrows").layout.showlegend


def test_a_column_of_nan_is_left_out_and_one_near_0_is_a_dot():
    W = torch.tensor([[[1.0, torch.nan, 0.01], [0.0, torch.nan, 0.0]]])
    figure = feature_arrows(W, title="Arrows")
    assert [trace.marker.symbol for trace in figure.data] == ["arrow", None]
    assert figure.layout.xaxis.range[1] < 2


def test_the_arrows_have_a_title_named_axes_and_few_bytes():
    figure = feature_arrows(some_weights(), title="Arrows")
    assert figure.layout.title.text == "Arrows"
    assert figure.layout.xaxis5.title.text == "hidden dimension 0"
    assert figure.layout.yaxis.title.text == "hidden dimension 1"
    assert len(json.dumps(mime_bundle(figure))) < 30_000


def test_arrows_longer_than_1_fit_and_both_axes_have_one_scale():
    figure = feature_arrows(3 * torch.ones(1, 2, 2), title="Arrows")
    assert figure.layout.xaxis.range[1] > 3 and figure.layout.yaxis.scaleanchor == "x"


def test_weights_that_cannot_be_drawn_as_arrows_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="2 hidden dimensions, but d_hidden is 3"):
        feature_arrows(some_weights(d_hidden=3), title="Arrows")
    with pytest.raises(ValueError, match="there are 8, but 2 titles"):
        feature_arrows(some_weights(), title="Arrows", titles=["a", "b"])
