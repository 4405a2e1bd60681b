"""The wire format and the loading of notebooks meet anything: what was sent comes back, and the rest is refused in one line."""

import io
import json
import string

import pytest
import torch

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from utils.checking.cells import Cell, UnreadableSubmission, cells_in  # noqa: E402
from utils.checking.complaints import Complaint  # noqa: E402
from utils.checking.side import Raised  # noqa: E402
from utils.checking.transcript import alike  # noqa: E402
from utils.grading import wire  # noqa: E402
from utils.grading.channel import Gone  # noqa: E402
from utils.grading.remote import Elsewhere, Remote  # noqa: E402

quick = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

numbers = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False)
plain = st.none() | st.booleans() | numbers | st.text(max_size=20)
tensors = st.builds(
    lambda name, shape, seed: torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)).to(
        wire.DTYPES[name]
    ),
    st.sampled_from(sorted(wire.DTYPES)),
    st.lists(st.integers(0, 4), max_size=4),
    st.integers(0, 100),
)
values = st.recursive(
    plain | tensors,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(plain, inner, max_size=4)
        | st.frozensets(plain, max_size=4)
    ),
    max_leaves=12,
)
json_values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["v", "t", "l", "u", "d", "set", "slice", "dtype", "x", "object", "record"]), inner
        )
    ),
    max_leaves=20,
)


def sent(value) -> bytes:
    writer = wire.Writer()
    return b"".join(bytes(piece) for piece in writer.message(writer.tree(value)))


def received(data: bytes):
    header, payload = wire.sizes(data[: wire.PREFIX.size])
    start = wire.PREFIX.size
    return wire.Reader(data[start : start + header], bytearray(data[start + header : start + header + payload])).value()


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@quick
@given(values)
def test_what_is_sent_comes_back_as_it_was(value):
    assert same(value, received(sent(value)))


@quick
@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_are_refused(noise):
    with pytest.raises(wire.BadMessage):
        received(noise.ljust(wire.PREFIX.size, b"\xff"))


@quick
@given(values, st.data())
def test_a_damaged_message_is_read_or_refused_but_nothing_else_happens(value, data):
    message = bytearray(sent(value))
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(message) - 1))
        message[where] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(wire.PREFIX.size, len(message)))
    for damaged in (message, message[:cut]):
        try:
            received(bytes(damaged))
        except wire.BadMessage as error:
            assert "\n" not in str(error)


@quick
@given(json_values, st.binary(max_size=64))
def test_any_json_is_read_or_refused(value, payload):
    for root in (value, {"v": value, "t": []}, {"v": value, "t": value}):
        try:
            wire.Reader(json.dumps(root).encode(), bytearray(payload)).value()
        except wire.BadMessage:
            pass


def test_a_boolean_that_is_neither_true_nor_false_cannot_be_sent():
    header = b'{"v":{"t":0},"t":[["bool",[3],"cpu",false]]}'
    value = wire.Reader(header, bytearray([0, 7, 1] + [0] * 13)).value()
    assert value.view(torch.uint8).tolist() == [0, 1, 1]


def test_half_a_character_is_received_as_a_question_mark():
    assert wire.Reader(b'{"v":"\\ud800","t":[]}', bytearray()).value() == "?"


@pytest.mark.parametrize(
    "value",
    [1 << 5000, object(), "x" * (wire.MAX_TEXT + 1), [0] * (wire.MAX_NODES + 1), torch.zeros(1).expand(1 << 40),
     torch.zeros(2, 2).to_sparse(), torch.zeros(2, device="meta"), torch.zeros(2).to(torch.float8_e5m2)],
    ids=["number", "object", "text", "list", "expanded", "sparse", "meta", "float8"],
)  # fmt: skip
def test_what_is_no_data_or_too_much_of_it_cannot_be_sent(value):
    with pytest.raises(wire.CannotBeSent):
        sent(value)


def test_a_subclass_of_tensor_is_received_as_a_plain_tensor():
    class Liar(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            return True

    value = received(sent(torch.arange(3.0).as_subclass(Liar)))
    assert type(value) is torch.Tensor and alike(value, torch.arange(3.0))


# a worker that answers anything


class AnyAnswer:
    """The pipe to a worker that answers every question with the same JSON."""

    def __init__(self, answer, payload):
        self.answer, self.payload, self.end = json.dumps(answer).encode(), payload, self

    def send(self, writer, tree):
        writer.message(tree)

    def receive(self, **reading):
        if self.answer is None:
            raise Gone
        answer, self.answer = self.answer, None
        return wire.Reader(answer, bytearray(self.payload), **reading)

    def stop(self):
        pass

    def cause_of_death(self):
        return "went away"


KINDS = ["done", "call back", "send back", "checker", "complaint", "stumbled", "unsendable", "x"]
CHANGES = ["tensor", "generator", "hooks", "parameter", "x"]
anything = st.recursive(
    plain | st.sampled_from([{"t": 0}, {"x": 1}, {"x": 2}, {"x": 9}, {"u": []}, {"l": []}, "name", "w"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(lambda items: {"u": items})
        | st.lists(inner, max_size=4).map(lambda items: {"l": items})
        | st.lists(st.tuples(st.sampled_from(["result", "printed", "raised", "complaint", "seen", "kind"]), inner)).map(
            lambda items: {"d": [list(item) for item in items]}
        )
        | st.tuples(
            st.sampled_from(["object", "record", "named tuple", "factored", "x"]), st.lists(inner, max_size=3)
        ).map(lambda item: {item[0]: item[1]})
    ),
    max_leaves=12,
)
changes = st.lists(
    st.tuples(st.sampled_from(CHANGES), st.integers(0, 12), st.lists(anything, max_size=3)).map(
        lambda change: {"u": [change[0], change[1], *change[2]]}
    ),
    max_size=3,
).map(lambda items: {"l": items})
answers = st.tuples(st.sampled_from(KINDS), changes | anything, anything).map(
    lambda parts: {"v": {"l": list(parts)}, "t": [["float32", [2], "cpu", False]]}
)
QUESTIONS = {
    "get": lambda side, held: side.get("f"),
    "names": lambda side, held: side.names_used("f"),
    "call": lambda side, held: side.call("f", held, [torch.ones(2)], {}, io.StringIO()),
    "signature": lambda side, held: side.signature(side.getter(held, "f")) or side.signature(held),
    "method": lambda side, held: side.method(held, "f"),
    "parameters": lambda side, held: side.parameters(held),
    "gradients": lambda side, held: side.gradients(torch.ones(2), None, [torch.ones(2)]),
}


@pytest.mark.parametrize("question", QUESTIONS)
@quick
@given(answers | anything)
def test_whatever_a_worker_answers_is_taken_or_complained_about(question, answer):
    side = Remote(None, b"", "s.py", {}, 5.0)
    side.begin("test", ())
    side.worker = side.channel = AnyAnswer(answer, torch.ones(2).numpy().tobytes() + bytes(8))
    side.begun = True
    model = torch.nn.Linear(2, 1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for thing in (model, torch.Generator(), torch.ones(2, requires_grad=True), len):
        side.mirror.number(thing)
    try:
        QUESTIONS[question](side, Elsewhere(1, True))
    except (Complaint, Raised):
        pass
    finally:
        side.end()
    assert all(map(torch.equal, model.parameters(), before)) and not model._forward_hooks


# notebooks


sources = st.text(string.printable, max_size=80) | st.lists(st.text(string.printable, max_size=20), max_size=3)
notebook_cells = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown", "raw", 3, None])},
    optional={"source": sources | json_values, "input": sources, "metadata": json_values, "outputs": json_values},
)
notebooks = st.fixed_dictionaries({"cells": st.lists(notebook_cells | json_values, max_size=4)}) | json_values


def read_or_refused(data: bytes, name: str) -> None:
    try:
        cells = cells_in(data, name)
    except UnreadableSubmission as error:
        assert str(error).startswith(name) and "\n" not in str(error)
    else:
        assert all(isinstance(cell, Cell) and (cell.tree is not None) != bool(cell.error) for cell in cells)


@quick
@given(notebooks)
def test_any_notebook_is_read_or_refused_in_one_line(notebook):
    read_or_refused(json.dumps(notebook).encode(), "any.ipynb")


@quick
@given(notebooks, st.data())
def test_a_truncated_or_mutated_notebook_is_read_or_refused_in_one_line(notebook, data):
    text = bytearray(json.dumps(notebook).encode())
    where = data.draw(st.integers(0, len(text) - 1))
    read_or_refused(bytes(text[:where]), "truncated.ipynb")
    text[where] = data.draw(st.integers(0, 255))
    read_or_refused(bytes(text), "mutated.ipynb")


@quick
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_read_or_refused_in_one_line(data):
    for name in ("any.ipynb", "any.py", "any.txt"):
        read_or_refused(data, name)
