"""The figure of a trade-off shows every kind and every setting, and joins them in the order of x."""

import pytest

from utils.plots.trade_off import round_numbers, trade_off

KINDS = {
    "penalised": {"λ = 0.4": (2.19, 0.143), "λ = 0.1": (8.78, 0.064), "λ = 0.2": (3.54, 0.088)},
    "k < d": {"k = 2": (1.63, 0.109), "k = 3": (2.22, 0.059)},
}


def test_every_kind_has_a_line_of_its_settings_in_the_order_of_x():
    figure = trade_off(KINDS, title="Fewer features, more error", x_name="L0", y_name="unexplained")
    penalised, top_k = figure.data
    assert list(penalised.x) == [2.19, 3.54, 8.78]
    assert list(penalised.y) == [0.143, 0.088, 0.064]
    assert list(penalised.text) == ["λ = 0.4", "λ = 0.2", "λ = 0.1"]
    assert top_k.name == "k &lt; d"
    assert penalised.line.color != top_k.line.color
    assert penalised.marker.symbol != top_k.marker.symbol


@pytest.mark.parametrize("log", [True, False])
def test_the_axes_have_their_names_and_scales(log):
    figure = trade_off(KINDS, title="t", x_name="L0", y_name="share <1", log_x=log, log_y=not log)
    assert figure.layout.xaxis.title.text == "L0"
    assert figure.layout.yaxis.title.text == "share &lt;1"
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == (("log", "linear") if log else ("linear", "log"))


def test_one_kind_alone_needs_no_legend():
    figure = trade_off({"k": {1: (1, 2)}}, title="t", x_name="x", y_name="y")
    assert figure.layout.showlegend is False
    assert figure.layout.title.text == "t"


def test_an_axis_that_multiplies_has_ticks_at_round_numbers():
    assert round_numbers([0.059, 0.143]) == [0.05, 0.1, 0.2]
    assert round_numbers([1.6, 8.8, 0.0]) == [1.0, 2.0, 5.0, 10.0]
    assert round_numbers([]) == []
