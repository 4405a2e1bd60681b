"""The figures of the phase diagram show what they are given: points, kinds of cells, stacks of weights.

To stand in tests/tooling/test_plots.py, with `points`, `regions` and `weight_stacks` among its figures.
"""

import json

import pytest
import torch

from utils.plots.points import points
from utils.plots.regions import KIND_COLOURS, regions
from utils.plots.renderer import mime_bundle
from utils.plots.theme import BLUE, ORANGE
from utils.plots.weight_stacks import features_of, weight_stacks

KINDS = ["absent", "alone", "shared"]


def some_tables() -> dict[str, list]:
    return {"predicted": [[0, 1, 2], [2, 2, 0]], "trained": [[0, 1, 1], [2, 0, 0]]}


def some_regions(tables=None):
    tables = tables or some_tables()
    return regions(
        tables, KINDS, title="A map", x=["1", "2", "<3>"], y=["10", "0.1"], x_name="sparsity", y_name="importance"
    )


def test_points_stand_where_they_were_measured_and_carry_their_names():
    figure = points(
        {"a": ([1, 2], [3, 4]), "b": ([5, 6], [7, 8])},
        names=["<p>", "q"],
        title="Points",
        x_name="formula",
        y_name="measured",
        diagonal=True,
        references={"one": 1.0},
    )
    first, second, diagonal = figure.data
    assert (list(first.x), list(first.y), list(second.y)) == ([1, 2], [3, 4], [7, 8])
    assert list(first.text) == ["&lt;p&gt;", "q"]
    assert list(diagonal.x) == list(diagonal.y) == [0, 8]
    assert [shape.y0 for shape in figure.layout.shapes] == [1.0]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("formula", "measured")


def test_a_long_series_keeps_its_points_as_an_array_and_ends_its_diagonal_at_the_largest():
    x, y = torch.rand(2, 60, generator=torch.Generator().manual_seed(0)) + 0.01
    cloud, diagonal = points({"a": (x, y)}, title="t", x_name="x", y_name="y", log_x=True, diagonal=True).data
    torch.testing.assert_close(torch.tensor(cloud.x), x, atol=0, rtol=1e-3)
    torch.testing.assert_close(torch.tensor(cloud.y), y, atol=0, rtol=1e-3)
    assert diagonal.x == pytest.approx([min(x.min(), y.min()).item(), max(x.max(), y.max()).item()], rel=1e-3)


def test_a_diagonal_on_logarithmic_axes_begins_above_0():
    figure = points(
        {"a": ([0, 0.1], [0.2, 0.4])}, title="t", x_name="x", y_name="y", log_x=True, log_y=True, diagonal=True
    )
    assert list(figure.data[-1].x) == [0.1, 0.4]
    assert figure.layout.xaxis.exponentformat == figure.layout.yaxis.exponentformat == "none", "0.0001 reads as 100µ"


def test_every_cell_of_a_map_is_of_its_kind_and_the_legend_names_all_kinds():
    figure = some_regions()
    left, right, *legend = figure.data
    assert left.z.tolist() == some_tables()["predicted"] and right.z.tolist() == some_tables()["trained"]
    assert left.text[0][2] == "shared" and right.text[1][1] == "absent"
    assert [entry.name for entry in legend] == KINDS
    # a value in the middle of a colour's step has just that colour
    for kind in range(3):
        steps = [colour for end, colour in left.colorscale if kind / 3 - 1e-9 <= end <= (kind + 1) / 3 + 1e-9]
        assert KIND_COLOURS[kind] in steps
    assert list(figure.layout.xaxis2.ticktext) == ["1", "2", "&lt;3&gt;"]


def test_a_map_refuses_numbers_that_are_no_kind():
    with pytest.raises(ValueError, match="whole numbers from 0 to 2"):
        some_regions({"trained": [[0, 1, 3], [0, 0, 0]]})
    with pytest.raises(ValueError, match="at most 7 kinds"):
        regions({"t": [[0]]}, [str(i) for i in range(8)], title="t", x=["1"], y=["1"], x_name="x", y_name="y")


def test_a_neuron_is_blue_where_it_serves_one_feature_and_orange_where_several():
    W = torch.tensor([[1.0, 0.1, 0.0], [0.9, -0.8, 0.0], [0.0, 0.0, 0.0]])
    assert features_of(W, 0.3) == [[0], [0, 1], []]
    figure = weight_stacks({"one": W, "two": -W}, title="Weights")
    assert list(figure.data[0].marker.color) == [BLUE, ORANGE, BLUE]
    drawn = torch.tensor([list(figure.data[feature].y) for feature in range(3)])
    torch.testing.assert_close(drawn, W.T)
    assert list(figure.data[1].text) == ["", "1", ""]
    assert figure.layout.barmode == "relative"


def test_the_figures_of_the_phase_diagram_stay_small():
    generator = torch.Generator().manual_seed(0)
    many = torch.rand(2, 1000, generator=generator)
    figures = [
        points({"a": (many[0], many[1])}, title="t", x_name="x", y_name="y"),
        some_regions({name: torch.randint(3, (2, 3), generator=generator) for name in ("a", "b")}),
        weight_stacks({str(i): torch.randn(5, 8, generator=generator) for i in range(5)}, title="t"),
    ]
    for figure in figures:
        # with the indentation of a saved notebook
        assert len(json.dumps(mime_bundle(figure), indent=1)) < 35_000
