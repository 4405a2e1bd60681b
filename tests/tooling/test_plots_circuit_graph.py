"""A circuit as a graph: who is shown where, and how strong its lines are."""

import json

from utils.plots.circuit_graph import circuit_graph
from utils.plots.renderer import mime_bundle

EDGES = {
    ("embed", (0, 1, "q")): 0.2,
    ((0, 1), (2, 3, "k")): -0.5,
    ((0, 1), (2, 3, "v")): 0.1,
    ((2, 3), "logits"): 1.0,
}


def line_of(figure, sender: str, receiver: str):
    return next(line for line in figure.data if line.hovertemplate.startswith(f"{sender} → {receiver}<"))


def test_there_is_a_line_for_each_edge_and_a_box_for_each_head():
    figure = circuit_graph(EDGES, title="t")
    assert len(figure.data) == 4
    texts = [box.text for box in figure.layout.annotations]
    assert len(texts) == 4 and all(any(word in text for text in texts) for word in ("embed", "L0H1", "L2H3", "logits"))


def test_a_stronger_edge_is_thicker_and_one_against_the_answer_is_dashed():
    figure = circuit_graph(EDGES, title="t")
    strong, against, weak = (
        line_of(figure, *ends) for ends in (("L2H3", "logits"), ("L0H1", "L2H3.k"), ("L0H1", "L2H3.v"))
    )
    assert strong.line.width > against.line.width > weak.line.width
    assert (strong.line.dash, against.line.dash) == ("solid", "dash")
    assert against.line.color != weak.line.color


def test_senders_stand_below_their_receivers():
    figure = circuit_graph(EDGES, title="t")
    assert all(line.y[0] < line.y[-1] for line in figure.data)


def test_weak_edges_can_be_left_out_and_heads_with_a_role_stay():
    figure = circuit_graph(EDGES, title="t", at_least=0.3, roles={(0, 1): "finds <it>", (1, 0): "alone"})
    assert len(figure.data) == 2
    texts = " ".join(box.text for box in figure.layout.annotations)
    assert "embed" not in texts and "L1H0" in texts and "finds &lt;it&gt;" in texts


def test_a_line_past_a_layer_goes_around_the_heads_that_stand_there():
    straight_behind = {((0, 0), (2, 0, "v")): 0.5, ((0, 0), (2, 0, "k")): 0.5, ((1, 0), (2, 0, "q")): 0.5}
    figure = circuit_graph(straight_behind, title="t")
    for line in (line_of(figure, "L0H0", f"L2H0.{letter}") for letter in "kv"):
        half_way = line.y.index(1.0)
        assert abs(line.x[half_way]) > 0.05, "the line runs behind the box of L1H0"
        left, right = figure.layout.xaxis.range
        assert left <= min(line.x) and max(line.x) <= right


def test_a_circuit_without_edges_is_shown_too():
    assert not circuit_graph({}, title="t").data


def test_a_figure_of_many_edges_stays_small():
    many = {((0, a), (1, b, letter)): 0.1 for a in range(8) for b in range(8) for letter in "qkv"}
    assert len(json.dumps(mime_bundle(circuit_graph(many, title="t")))) < 150_000
