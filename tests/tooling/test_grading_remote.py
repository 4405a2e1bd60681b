"""A checker meets objects in a worker as it meets them in a notebook: the same values, the same words, the same marks."""

import os
import re
import stat
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from utils.checking.border import Border
from utils.checking.cells import make_cell
from utils.checking.complaints import Complaint, complain
from utils.checking.handles import handle
from utils.checking.run import Submission
from utils.checking.side import HERE
from utils.checking.stand_ins import CourseSAE, TaskPrompts
from utils.grading import sandbox
from utils.grading.grader import Grader
from utils.grading.mirror import Mirror
from utils.grading.remote import Remote, RemoteSubmission
from utils.grading.sandbox import Zygote
from utils.grading.state import Snapshot
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.random_models import random_bridge
from utils.refusal import CannotDo

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a learner's code")

LEARNERS = textwrap.dedent('''
    from dataclasses import dataclass, replace

    import torch
    from torch import nn
    from transformer_lens import FactoredMatrix

    def scaled(x, factor=2.0):
        print("scaling")
        return x * factor

    def broken(x):
        raise ValueError("not today")

    def in_place(x):
        x[0] = 7.0
        return x.sum()

    class Scale(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.w = nn.Parameter(torch.arange(1.0, width + 1))
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x * self.w

    class Store:
        def __init__(self, first):
            self.items = [first]

        def add(self, item):
            self.items.append(item)
            return self

        def __len__(self):
            return len(self.items)

        @property
        def last(self):
            return self.items[-1]

    class Five(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, upstream):
            return 5 * upstream

    def drawn(generator):
        return torch.rand(3, generator=generator)

    def drawn_from_nowhere():
        return torch.rand(3)

    def train(model, optimizer, batches):
        losses = []
        for x in batches():
            loss = model(x)[0].square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    def slope_of(metric, x):
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(metric(x), x)
        return slope

    def careful(metric, x):
        try:
            return metric(x)
        except Exception as error:
            return type(error).__name__

    def hooked(model, tokens):
        model.blocks[0].hook_resid_pre.add_hook(lambda value, hook: value)
        return model(tokens)

    def activations(model, tokens, cache):
        cache["blocks.0.hook_resid_pre"][0, 0] = 0.0
        return model.run_with_cache(tokens)[1]["blocks.0.hook_resid_pre"]

    def longer(prompts):
        return replace(prompts, texts=[text + "!" for text in prompts.texts])

    @dataclass
    class Found:
        name: str
        scores: torch.Tensor

    def found(name):
        return Found(name, torch.ones(2))

    def name_of(thing):
        return thing.name

    def product(a, b):
        return FactoredMatrix(a, b)

    def reading():
        return open("mine.txt").read()

    def kinds():
        return {(0, 1): [True, None, 1.5], "set": frozenset({1}), "type": torch.float16, "shape": torch.Size([2, 3])}
''')  # fmt: skip


@pytest.fixture(scope="module")
def grader():
    with Grader(timeout=30) as grader:
        yield grader


@pytest.fixture(params=["in this process", "in a worker"])
def border(request, grader):
    """The same submission here and in a worker: every test below holds for both, but for what it says itself."""
    if request.param == "in this process":
        submission = Submission("here", cells=[make_cell(LEARNERS, "learners.py")])
        made = Border(torch.device("cpu"))
    else:
        side = Remote(grader.zygote.worker, LEARNERS.encode(), "learners.py", {}, 30.0)
        submission = RemoteSubmission("there", side)
        made = Border(torch.device("cpu"), side)
        request.addfinalizer(side.close)
    torch.manual_seed(0)
    made.side.begin("test", ())
    made.of = lambda name, returns="": handle(name, submission.get(name), made, returns)
    yield made
    made.side.end()


def test_a_function_is_called_and_what_it_prints_is_kept(border):
    assert border.of("scaled")(torch.tensor([1.0, 2.0]), factor=3.0).tolist() == [3.0, 6.0]
    assert border.printed == "scaling\n"
    assert border.transcript.entries[0][0] == "scaled"


def test_what_it_raises_is_told_in_the_same_words(border):
    with pytest.raises(Complaint, match="broken raised ValueError: not today") as caught:
        border.of("broken")(torch.ones(2))
    assert caught.value.look_at == 'line 13 of learners.py: `raise ValueError("not today")`'
    assert border.transcript.entries == [("broken", "raised ValueError")]


def test_what_is_only_in_the_notebook_is_told_to_be_only_there(border):
    with pytest.raises(Complaint, match="reading raised FileNotFoundError") as caught:
        border.of("reading")()
    graded = border.side is not HERE
    assert caught.value.rule == graded * "where your code is graded there are no files of yours and no network"


def test_an_argument_that_was_changed_is_noticed_and_the_checkers_own_stays(border):
    x = torch.ones(3)
    with pytest.raises(Complaint, match="in_place changed its argument `x` in place"):
        border.of("in_place")(x)
    assert x.tolist() == [1, 1, 1]


def test_arguments_that_do_not_fit_and_names_that_are_missing_are_told(border):
    with pytest.raises(Complaint, match=r"scaled\(x, factor\) cannot be called as scaled\(\)"):
        border.of("scaled")()
    with pytest.raises(Complaint, match="nothing is not defined at the top level"):
        border.of("nothing")


def test_a_module_is_built_loaded_run_and_differentiated(border):
    module = border.of("Scale")(2)
    assert module.parameter_shapes() == {"w": (2,)}
    module.load({"w": torch.tensor([3.0, 5.0])})
    assert module(torch.tensor([1.0, 2.0])).tolist() == [3.0, 10.0]
    assert module.backward(torch.tensor([1.0, 2.0]), upstream=torch.tensor([1.0, 10.0])).tolist() == [3.0, 50.0]
    assert module.grads()["w"].tolist() == [1.0, 20.0]
    assert module.attr("calls") == 2
    assert module.double().parameters()["w"].dtype == torch.float64


def test_a_weight_that_is_not_there_is_told(border):
    with pytest.raises(Complaint, match="Scale has no parameter `v`; it has w"):
        border.of("Scale")(2).load({"v": torch.ones(2)})


def test_an_object_has_methods_attributes_and_a_length(border):
    store = border.of("Store")(torch.ones(2))
    store.add(5)
    assert len(store) == 2 and store.attr("last") == 5
    with pytest.raises(Complaint, match="Store has no method `remove`"):
        store.remove(1)
    with pytest.raises(Complaint, match="Store has no attribute `first`"):
        store.attr("first")


def test_gradients_flow_to_arguments_and_through_functions_with_their_own(border):
    assert border.of("Five").gradients(torch.ones(2), upstream=torch.tensor([1.0, 2.0]))[0].tolist() == [5.0, 10.0]
    with pytest.raises(Complaint, match="no gradient flows through kinds"):
        border.of("kinds").gradients()


def test_a_generator_advances_and_the_global_seed_is_the_checkers(border):
    generator, twin = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    drawn = border.of("drawn")
    assert drawn(generator).tolist() == torch.rand(3, generator=twin).tolist()
    assert drawn(generator).tolist() == torch.rand(3, generator=twin).tolist()
    assert torch.equal(generator.get_state(), twin.get_state())
    torch.manual_seed(11)
    expected = torch.rand(3).tolist()
    for _ in range(2):
        torch.manual_seed(11)
        assert border.of("drawn_from_nowhere")().tolist() == expected


def test_a_seed_that_is_set_before_the_first_call_of_a_test_counts(border):
    torch.manual_seed(5)
    expected = torch.rand(3).tolist()
    torch.manual_seed(5)
    assert border.of("drawn_from_nowhere")().tolist() == expected


def sae():
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_enc": (3, 4), "b_enc": (4,), "W_dec": (4, 3), "b_dec": (3,)}
    return CourseSAE({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()})


def test_a_training_trains_the_checkers_module_with_its_optimizer_on_its_batches(border):
    model, twin = sae(), sae()
    batches = [torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    optimizer, own = (torch.optim.Adam(each.parameters(), lr=0.1) for each in (model, twin))
    weight = model.W_dec
    losses = border.of("train")(model, optimizer, lambda: batches)
    for x in batches:
        loss = twin(x)[0].square().mean()
        own.zero_grad()
        loss.backward()
        own.step()
    assert torch.equal(model.W_dec, twin.W_dec) and model.W_dec is weight
    assert torch.equal(model.W_enc.grad, twin.W_enc.grad)
    assert losses[-1] == loss.item()
    assert border.transcript.entries[1][0] == "train changed the model"


def test_gradients_flow_through_a_function_of_the_checker(border):
    def metric(x):
        assert x.requires_grad
        return (x**3).sum()

    assert border.of("slope_of")(metric, torch.tensor([1.0, 2.0])).tolist() == [3.0, 12.0]


def test_a_function_of_the_checker_may_complain_or_fail(border):
    with pytest.raises(Complaint, match="not these logits") as caught:
        border.of("slope_of")(lambda x: complain("not these logits"), torch.ones(2))
    assert caught.value.kind == "wrong"
    assert border.of("careful")(lambda x: {}["missing"], torch.ones(2)) == "KeyError"


CFG = AttentionOnlyConfig(d_model=6, d_vocab=7, n_ctx=8, n_layers=1, n_heads=2, d_head=3)


def test_a_model_crosses_with_its_weights_its_watchers_and_its_caches(border):
    model = random_bridge(CFG, torch.Generator().manual_seed(0))
    tokens = torch.tensor([[0, 3, 2]])
    with torch.no_grad():
        model.W_E[3] += 1.0
        cache = model.run_with_cache(tokens)[1]
    rows = []
    watch = model.unembed.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    right = cache["blocks.0.hook_resid_pre"].clone()
    result = border.of("activations")(model, tokens, cache)
    watch.remove()
    assert torch.equal(result, right) and rows == [1]
    assert cache["blocks.0.hook_resid_pre"][0, 0].tolist() == [0.0] * 6


def test_a_hook_that_is_left_on_a_model_is_there_to_be_counted(border):
    model = random_bridge(CFG, torch.Generator().manual_seed(0))
    border.of("hooked")(model, torch.tensor([[0, 3, 2]]))
    assert sum(len(point.fwd_hooks) for point in set(model.hook_dict.values())) == 1


def test_records_cross_field_by_field_and_back(border):
    prompts = TaskPrompts(["a"], torch.zeros(1, 2), torch.ones(1), torch.ones(1), {}, [0])
    longer = border.of("longer")(prompts)
    assert longer.texts == ["a!"] and longer.tokens.shape == (1, 2) and type(longer).__name__ == "TaskPrompts"
    found = border.of("found")("L0H1")
    assert (found.name, found.scores.tolist(), type(found).__name__) == ("L0H1", [1.0, 1.0], "Found")
    assert border.of("name_of")(found) == "L0H1"


def test_matrices_in_factors_and_all_plain_kinds_cross(border):
    product = border.of("product")(torch.ones(2, 3), torch.ones(3, 4))
    assert product.AB.tolist() == torch.full((2, 4), 3.0).tolist()
    kinds = border.of("kinds")()
    assert kinds == {(0, 1): [True, None, 1.5], "set": frozenset({1}), "type": torch.float16, "shape": (2, 3)}


def test_the_checkers_objects_are_as_before_when_the_test_is_over(grader):
    side = Remote(grader.zygote.worker, LEARNERS.encode(), "learners.py", {}, 30.0)
    border = Border(torch.device("cpu"), side)
    side.begin("test", ())
    model = sae()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    train = handle("train", RemoteSubmission("there", side).get("train"), border)
    train(model, torch.optim.SGD(model.parameters(), lr=1.0), lambda: [torch.ones(2, 3)])
    assert not torch.equal(model.W_dec, before["W_dec"])
    side.end()
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
    assert all(value.grad is None for value in model.parameters())
    assert side.tampered == {"test": ["weights"]}
    side.close()


def test_each_exercise_has_its_own_time_and_a_dead_worker_is_replaced(grader):
    source = (
        "import os, time\ndef slow():\n    time.sleep(60)\ndef gone():\n    os._exit(3)\ndef quick():\n    return 1\n"
    )
    side = Remote(grader.zygote.worker, source.encode(), "s.py", {"slow": "1.1", "quick": "1.2", "gone": "1.3"}, 2.0)
    submission, border = RemoteSubmission("s", side), Border(torch.device("cpu"), side)

    def call(name):
        side.begin(f"test_{name}", (name,))
        try:
            return handle(name, submission.get(name), border)()
        except Complaint as complaint:
            return complaint.kind, complaint.seen
        finally:
            side.end()

    assert call("quick") == 1
    assert call("slow") == ("deadline", "slow did not come back: the tests of an exercise may take 2 s in all")
    assert call("slow")[1] == "this test was not run: the exercise had used up its 2 s"
    assert call("quick") == 1
    assert call("gone") == ("died", "gone left its process (exit status 3)")
    assert call("quick") == 1
    assert side.incarnation == 3
    side.close()


def test_a_module_that_a_worker_cannot_be_shown_is_the_checkers_fault():
    class Unknown(nn.Module):
        pass

    with pytest.raises(Exception, match="Unknown"):
        Mirror().number(Unknown())


@pytest.mark.parametrize("on_graph", [True, False])
def test_whether_a_gradient_hangs_on_a_graph_crosses(on_graph):
    weight = torch.nn.Parameter(torch.ones(2, 3))
    weight.grad = torch.full((2, 3), 0.5, requires_grad=on_graph)
    twin = torch.nn.Parameter(torch.zeros(2, 3))
    snapshot = Snapshot.read(Snapshot.of(weight).sent)
    snapshot.put_into(twin)
    assert twin.grad.requires_grad == on_graph and twin.grad.tolist() == weight.grad.tolist()
    assert snapshot.still_holds(twin)
    twin.grad.requires_grad_(not on_graph)
    assert not snapshot.still_holds(twin)


def test_the_parent_of_the_workers_runs_one_thread(grader):
    """A process that is forked while another thread holds a lock may wait for it for ever."""
    side = Remote(grader.zygote.worker, b"def one():\n    return 1\n", "one.py", {}, 30.0)
    assert side.open() == ""
    pid = grader.zygote.process.pid
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    zygote = next(each for each in (str(pid), *below) if Path(f"/proc/{each}/comm").read_text() != "bwrap\n")
    assert len(list(Path(f"/proc/{zygote}/task").iterdir())) == 1
    side.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root's workers become somebody else, who may read less")
def test_a_course_that_workers_may_not_read_is_refused_in_one_line(tmp_path, monkeypatch):
    """As in a container: root, no bubblewrap, and the course in root's own folder."""
    hidden = tmp_path / "of_root"
    hidden.mkdir(mode=0o700)
    (hidden / "only_for_root.py").write_text("")
    monkeypatch.syspath_prepend(hidden)
    monkeypatch.setattr(sandbox, "no_bubblewrap", lambda: "it is not asked for")
    kept = Zygote(memory=1, seconds=5, device="cpu", modules=["only_for_root"])
    with pytest.raises(CannotDo, match="nobody, who may not read ") as refused:
        kept.worker()
    closed = Path(re.search(r"may not read (.*?): let others in", str(refused.value))[1])
    assert not closed.stat().st_mode & (stat.S_IXOTH | stat.S_IROTH) and kept.process is None
