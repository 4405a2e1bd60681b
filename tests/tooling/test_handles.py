"""Handles reach what chapter 3 checks: backward of functions with a gradient of their own, gradients of a course model."""

import pytest
import torch
from torch import nn

from utils.checking.border import Border
from utils.checking.complaints import Complaint
from utils.checking.handles import handle
from utils.checking.transcript import Transcript


class Double(torch.autograd.Function):
    """Twice its input; its backward says 5."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, upstream):
        return 5 * upstream


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, x):
        return x * self.w, x.sum()


def of(name, value):
    return handle(name, value, Border(torch.device("cpu")))


def test_a_function_with_its_own_gradient_is_called_through_apply():
    double = of("Double", Double)
    x = torch.tensor([1.0, -3.0])
    assert double(x).tolist() == [2.0, -6.0]
    assert double.gradients(x, upstream=torch.tensor([1.0, 2.0]))[0].tolist() == [5.0, 10.0]


def test_what_it_raises_is_told_under_its_own_name():
    class Broken(Double):
        @staticmethod
        def forward(ctx, x):
            raise ValueError("no")

    with pytest.raises(Complaint, match="Broken.apply raised ValueError: no"):
        of("Broken", Broken)(torch.ones(2))


def test_a_module_that_returns_a_pair_is_sent_a_pair():
    module = of("Pair", Pair)()
    x = torch.tensor([3.0, 5.0])
    got = module.backward(x, upstream=(torch.tensor([1.0, 10.0]), torch.tensor(100.0)))
    assert got.tolist() == [101.0, 120.0]
    assert module.grads()["w"].tolist() == [3.0, 50.0]


def test_a_pair_of_another_shape_is_complained_about():
    with pytest.raises(Complaint, match="did not give a tuple of tensors"):
        of("Pair", Pair)().backward(torch.ones(2), upstream=(torch.ones(3), torch.tensor(1.0)))


def test_gradients_of_a_course_model_come_by_name():
    model = Pair()
    loss = of("loss", lambda model, x: (model(x)[0] ** 2).sum())
    grads = loss.parameter_gradients(model, torch.tensor([3.0, 1.0]))
    assert grads["w"].tolist() == [18.0, 4.0]
    assert model.w.grad is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("sparse", lambda x: x.to_sparse()),
        ("sparse", lambda x: {"scores": [x, x.to_sparse_csr()]}),
        ("meta", lambda x: x.to("meta")),
        ("nested", lambda x: torch.nested.nested_tensor([x[0], x[0, :1]])),
        ("qint8", lambda x: (1.0, torch.quantize_per_tensor(x, 0.1, 0, torch.qint8))),
    ],
)
def test_a_tensor_that_does_not_store_every_number_is_refused_in_words(kind, make):
    with pytest.raises(Complaint, match=f"make returned a {kind} tensor"):
        of("make", make)(torch.ones(2, 3))


def test_complex_numbers_differ_where_only_their_imaginary_parts_do():
    real = torch.tensor([1.0, 2.0])
    first, second = Transcript([("f", real.to(torch.complex64))]), Transcript([("f", real + 1j)])
    assert first.equals(Transcript([("f", real)]))
    assert not first.equals(second)
