"""What the guard around a learner's object notices, and what it says."""

import random

import numpy
import pytest
import torch
from torch import nn

from utils.checking.border import Border
from utils.checking.cells import make_cell
from utils.checking.complaints import Complaint
from utils.checking.handles import handle
from utils.checking.run import Submission, run
from utils.checking.slicing import namespace_of


def complaint_of(function, *args, returns="") -> Complaint:
    with pytest.raises(Complaint) as caught:
        handle("attention", function, Border(torch.device("cpu")), returns)(*args)
    return caught.value


def test_an_exception_becomes_one_line_with_the_learners_frame():
    complaint = complaint_of(lambda x: x @ torch.ones(7), torch.ones(3))
    assert complaint.kind == "raised"
    assert complaint.seen.startswith("attention raised RuntimeError: ")
    assert "\n" not in complaint.seen


LEARNERS = """
import torch
from torch import nn

class Norm(nn.Module):
    def forward(self, x):
        return x @ torch.ones(7)

attn = nn.Linear(9, 9)

class Block(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.attn, self.norm = kind, nn.Linear(3, 3), Norm()
        self.blocks = nn.ModuleList([Norm()])

    def forward(self, x):
        if self.kind == "global":
            return attn(x)
        if self.kind == "list":
            return self.blocks(x)
        if self.kind == "nothing":
            return None
        return self.norm(x)
"""


def complaint_of_block(kind) -> Complaint:
    cells = [make_cell(LEARNERS, "a.ipynb, cell 3")]
    build = handle(
        "Block", namespace_of(cells, ["Block"])["Block"], Border(torch.device("cpu")), "Float[Tensor, '...']"
    )
    with pytest.raises(Complaint) as caught:
        build(kind)(torch.ones(3))
    return caught.value


def test_pointed_at_is_the_line_in_what_is_checked_not_the_deepest():
    complaint = complaint_of_block("inside")
    assert complaint.look_at == "line 24 of a.ipynb, cell 3: `return self.norm(x)`"
    assert [frame.source for frame in complaint.frames] == ["return self.norm(x)", "return x @ torch.ones(7)"]


def test_a_forgotten_self_is_suspected_where_the_notebook_has_a_variable_of_that_name():
    assert "`attn` is a variable of the notebook: did you mean `self.attn`?" in complaint_of_block("global").look_at


def test_pytorchs_own_not_implemented_error_is_no_stub():
    complaint = complaint_of_block("list")
    assert complaint.kind == "raised" and "ModuleList" in complaint.seen


def test_a_module_that_returns_nothing_is_told_so():
    assert complaint_of_block("nothing").seen == "Block returned nothing (None)"


def test_an_early_exit_is_an_exception_like_any_other():
    assert complaint_of(lambda x: exit(), torch.ones(3)).seen.startswith("attention raised SystemExit")


def test_a_stub_says_its_own_line():
    def stub(x):
        raise NotImplementedError("1.4 attention: write it")

    complaint = complaint_of(stub, torch.ones(3))
    assert (complaint.kind, complaint.seen) == ("unwritten", "1.4 attention: write it")


def test_a_wrong_signature_shows_both_calls():
    complaint = complaint_of(lambda q: q, torch.ones(3), torch.ones(2, 4))
    assert complaint.kind == "signature"
    assert "attention(q) cannot be called as attention(tensor[3], tensor[2, 4])" in complaint.seen


@pytest.mark.parametrize(
    ("value", "returns", "seen"),
    [
        (None, "Float[Tensor, 'a']", "attention returned nothing (None)"),
        (numpy.ones(3), "Float[Tensor, 'a']", "attention returned a ndarray"),
        ([1], "dict[str, Tensor]", "attention returned a list"),
        (torch.ones(2), "float", "attention returned a Tensor"),
    ],
)
def test_the_wrong_kind_of_result_is_named(value, returns, seen):
    assert complaint_of(lambda: value, returns=returns).seen == seen


@pytest.mark.parametrize(
    ("value", "returns"), [(torch.tensor(1.0), "float"), (3, "float"), (nn.Parameter(torch.ones(2)), "Tensor")]
)
def test_results_of_the_right_kind_are_accepted(value, returns):
    handle("f", lambda: value, Border(torch.device("cpu")), returns)()


def test_nan_is_named_unless_it_was_put_in():
    assert "gave NaN in 3 of 3 places" in complaint_of(lambda x: x.log(), -torch.ones(3)).seen
    border = Border(torch.device("cpu"))
    handle("f", lambda x: x, border)(torch.tensor([float("nan")]))


@pytest.mark.parametrize("change", [lambda x: x.mul_(2), lambda x: x.__setitem__(0, 9.0) or x])
def test_a_changed_argument_is_named(change):
    complaint = complaint_of(change, torch.ones(3))
    assert complaint.seen == "attention changed its argument `x` in place"


def test_a_changed_argument_does_not_reach_the_checker():
    x = torch.ones(3)
    complaint_of(lambda x: x.mul_(2), x)
    assert x.tolist() == [1, 1, 1]


def test_work_in_place_on_own_buffers_is_fine():
    handle("f", lambda x: x.clone().mul_(2), Border(torch.device("cpu")))(torch.ones(3))


def test_a_common_error_is_said_in_plain_words():
    complaint = complaint_of(lambda x: torch.multinomial(x, 1), -torch.ones(3))
    assert complaint.rule == "torch.multinomial wants probabilities, and these are not: softmax first"
    assert complaint_of(lambda x: x.nothing, torch.ones(3)).rule == ""


def test_a_property_that_raises_is_not_a_missing_one():
    class Cache:
        keys = None

        @property
        def length(self):
            return self.keys.shape[0]

    cache = handle("Cache", Cache, Border(torch.device("cpu")))()
    with pytest.raises(
        Complaint, match="Cache.length raised AttributeError: 'NoneType' object has no attribute 'shape'"
    ):
        cache.attr("length")
    with pytest.raises(Complaint, match="Cache has no attribute `size`"):
        cache.attr("size")


def test_loading_names_missing_and_misshaped_parameters():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

    def load(**weights):
        with pytest.raises(Complaint) as caught:
            handle("Layer", Layer, Border(torch.device("cpu")))().load(weights)
        return caught.value.seen

    assert load(w=torch.ones(4)) == "Layer has no parameter `w`; it has weight"
    assert load(weight=torch.ones(3)) == "Layer.weight has shape [4], [3] is right"
    assert load() == "Layer has parameters that the course's does not have: weight"


def test_a_parameter_that_is_only_a_tensor_is_noticed():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.ones(4)

    with pytest.raises(Complaint, match="no parameters at all"):
        handle("Layer", Layer, Border(torch.device("cpu")))().load({"w": torch.ones(4)})


def test_backward_gives_gradients_and_notices_a_broken_graph():
    class Layer(nn.Module):
        def __init__(self, cut=False):
            super().__init__()
            self.w, self.cut = nn.Parameter(torch.tensor([2.0, 3.0])), cut

        def forward(self, x):
            return (x * self.w).detach() if self.cut else x * self.w

    build = handle("Layer", Layer, Border(torch.device("cpu")))
    x, upstream = torch.tensor([5.0, 7.0]), torch.tensor([1.0, -1.0])
    layer = build()
    assert layer.backward(x, upstream=upstream).tolist() == [2.0, -3.0]
    assert layer.grads()["w"].tolist() == [5.0, -7.0]
    with pytest.raises(Complaint, match="no gradient flows through Layer"):
        build(True).backward(x, upstream=upstream)


@pytest.mark.parametrize("on", [True, False])
def test_a_function_that_leaves_gradients_switched_is_refused_and_one_that_switches_for_a_moment_is_not(on):
    border = Border(torch.device("cpu"))
    border.gradients = not on

    def for_good(x):
        torch.set_grad_enabled(on)
        return x

    def for_a_moment(x):
        with torch.set_grad_enabled(on):
            return x * 2

    before = torch.is_grad_enabled()
    with pytest.raises(Complaint, match=f"turned gradients {'on' if on else 'off'}, and they are still"):
        handle("for_good", for_good, border)(torch.ones(2))
    assert torch.is_grad_enabled() == before
    handle("for_a_moment", for_a_moment, border)(torch.ones(2))


def test_a_check_leaves_random_states_grad_mode_and_dtype_alone(tiny):
    def centre(x):
        torch.manual_seed(1), random.seed(1), numpy.random.seed(1)
        torch.set_default_dtype(torch.float64)
        return x - x.mean(-1, keepdim=True)

    torch.manual_seed(77), random.seed(77), numpy.random.seed(77)
    expected = torch.rand(3).tolist(), random.random(), numpy.random.rand()
    torch.manual_seed(77), random.seed(77), numpy.random.seed(77)
    with torch.no_grad():
        results = run(tiny, [Submission("mine", {"centre": centre}, focus=["centre"])])
        assert not torch.is_grad_enabled()
    assert [result.passed for result in results] == [True, True]
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
    assert (torch.rand(3).tolist(), random.random(), numpy.random.rand()) == expected


def test_a_check_takes_its_hooks_and_gradients_off_a_course_model():
    model = nn.Linear(3, 3)
    border = Border(torch.device("cpu"))

    def greedy(model, x):
        model.register_forward_hook(lambda *_: None)
        model(x).sum().backward()
        return x

    handle("greedy", greedy, border)(model, torch.ones(2, 3))
    from utils.checking.plugin import _clean

    for used in border.models:
        _clean(used)
    assert model.weight.grad is None and not model._forward_hooks
