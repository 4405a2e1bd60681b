"""Points of two numbers each, and the line where the two agree."""

import json

import pytest
import torch

from utils.plots.renderer import mime_bundle
from utils.plots.scatter import scatter


def some_points() -> dict:
    truth = torch.tensor([[0.0, 1.0, -0.5], [0.2, 0.1, 3.0]])
    estimate = torch.tensor([[0.0, 0.9, -0.5], [0.2, 0.1, -1.0]])
    return {
        "x": truth,
        "y": estimate,
        "names": ["a", "b", "c", "d", "e", "<f>"],
        "title": "Estimate and truth",
        "x_name": "true effect",
        "y_name": "estimate",
    }


def test_there_is_a_point_for_each_entry_and_a_line_where_both_agree():
    figure = scatter(**some_points())
    line, points = figure.data
    assert len(points.x) == 6 and points.x[5] == 3.0 and points.y[5] == -1.0
    assert list(line.x) == list(line.y) == [-1.0, 3.0]


def test_those_farthest_from_the_line_bear_their_names():
    figure = scatter(**some_points(), name_farthest=2)
    assert list(figure.data[1].text) == ["", "b", "", "", "", "&lt;f&gt;"]


def test_points_close_together_share_one_name():
    x, y = [0.0, 1.0, 1.001, 5.0], [0.0, 3.0, 3.0, 5.0]
    figure = scatter(x, y, names="abcd", name_farthest=2, title="t", x_name="x", y_name="y")
    assert list(figure.data[1].text) == ["", "b<br>c", "", ""]


def test_groups_have_their_own_colours_and_the_farthest_of_all_is_named():
    x = {"first": [0.0, 1.0], "second": [0.0, 2.0]}
    y = {"first": [0.5, 1.0], "second": [0.0, -2.0]}
    names = {"first": ["a", "b"], "second": ["c", "d"]}
    figure = scatter(x, y, names=names, name_farthest=1, title="t", x_name="x", y_name="y", diagonal=False)
    first, second = figure.data
    assert first.marker.color != second.marker.color
    assert list(first.text) == ["", ""] and list(second.text) == ["", "d"]


def test_numbers_that_do_not_pair_up_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        scatter([1.0, 2.0], [1.0], title="t", x_name="x", y_name="y")
    with pytest.raises(ValueError, match="one name for each point"):
        scatter([1.0, 2.0], [1.0, 2.0], names=["a"], title="t", x_name="x", y_name="y")
    with pytest.raises(ValueError, match="same groups"):
        scatter({"a": [1.0]}, {"b": [1.0]}, title="t", x_name="x", y_name="y")


def test_the_figure_has_named_axes_and_stays_small():
    figure = scatter(**some_points())
    assert figure.layout.title.text and figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
    many = torch.randn(16, 17, generator=torch.Generator().manual_seed(0))
    figure = scatter(many, many, title="t", x_name="x", y_name="y")
    assert len(json.dumps(mime_bundle(figure))) < 30_000
