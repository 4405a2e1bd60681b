"""This file knows how to run a learner's code for a grader at the other end of a pipe.

It runs in a sandboxed process of its own, which nobody believes anything: all that it sends is data, and is judged as such.
What it is sent comes from the grader and is trusted.
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import importlib
import inspect
import io
import os
import random
import socket
from collections.abc import Callable
from typing import Any

import numpy
import torch
from torch import Tensor, nn

import utils.models.device
from utils.checking.border import PRINTED_LIMIT, copied, differs
from utils.checking.cells import Cell, UnreadableSubmission, cells_in
from utils.checking.complaints import Complaint
from utils.checking.exceptions import explain_exception, unwritten
from utils.checking.side import HERE
from utils.checking.slicing import bound_names, namespace_of, used_names
from utils.checking.transcript import fields_of, is_record
from utils.grading.channel import Channel, Gone
from utils.grading.twins import Bridges, Twins
from utils.grading.wire import CannotBeSent, Writer

OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "out of memory")


def serve(end: socket.socket, bridges: Bridges, device: str = "cpu") -> None:
    """Do what the grader asks until it closes the pipe."""
    utils.models.device.device = torch.device(device)  # a zygote that had asked for CUDA could not fork
    with contextlib.suppress(Gone):
        Worker(Channel(end), bridges, torch.device(device)).answer_until(None)


class OfTheChecker(AssertionError):
    """A function of the checker, called from the learner's code, complained. It goes back under its number."""

    def __init__(self, number: int):
        super().__init__("the checker complained")
        self.number = number


class Prints(io.StringIO):
    """Keeps the beginning of what is printed."""

    def write(self, text: str) -> int:
        if self.tell() < PRINTED_LIMIT:
            super().write(text[: PRINTED_LIMIT - self.tell()])
        return len(text)


class Worker:
    def __init__(self, channel: Channel, bridges: Bridges, device: torch.device):
        self.channel, self.device = channel, device
        self.twins = Twins(bridges, self.call_back)
        self.cells: list[Cell] = []
        self.definitions: list[Any] = []  # the objects that the submission defines, as far as they were asked for
        self.held: dict[int, Any] = {}  # and those made of them in the running test
        self.label = ""
        self.result: Any = None  # of the last call, with its graph

    # messages

    def answer_until(self, awaited: str | None) -> Any:
        """Do what is asked, until a message of the awaited kind comes; its content."""
        while True:
            reader = self.channel.receive(special=self._read, device=self.device)
            operation, news, changes, content = (reader.root["l"][place] for place in range(4))
            self.twins.learn(reader.read(news), reader.read(changes))
            if operation == awaited:
                return reader.read(content)
            kind, body = self._done(operation, reader.read(content))
            try:
                self._send(kind, body)
            except CannotBeSent as error:
                self._send("unsendable", (str(error), body.get("printed", "") if type(body) is dict else ""))

    def _done(self, operation: str, content: Any) -> tuple[str, Any]:
        try:
            return "done", getattr(self, f"do_{operation}")(*content)
        except OfTheChecker as error:
            return "checker", error.number
        except Complaint as complaint:
            return "complaint", _facts(complaint)
        except BaseException as error:
            return "stumbled", _facts(_told(f"what was done with {self.label or 'it'}", error, None))

    def _send(self, kind: str, body: Any) -> None:
        writer = Writer()
        writer.special = lambda value: self._write(writer, value)
        content = writer.tree(body)
        self.channel.send(writer, {"l": [kind, writer.tree(self.twins.changes()), content]})

    def _write(self, writer: Writer, value: Any) -> dict | None:
        number = self.twins.number_of(value)
        if number is not None and not isinstance(value, Tensor):
            return {"x": number}
        if isinstance(value, Complaint):
            return writer.tree(_facts(value))
        if type(value).__name__ == "FactoredMatrix":
            return {"factored": [writer.tree(value.A), writer.tree(value.B)]}
        if is_record(value):
            fields = [[name, writer.tree(item)] for name, item in fields_of(value).items()]
            return {"record": [self._hold(value), type(value).__name__, fields]}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            fields = [[name, writer.tree(item)] for name, item in zip(value._fields, tuple(value))]
            return {"named tuple": [type(value).__name__, fields]}
        if isinstance(value, (Tensor, list, tuple, dict, set, frozenset, torch.dtype, torch.device, slice)):
            return None
        return {"object": [self._hold(value), type(value).__name__, isinstance(value, nn.Module)]}

    def _hold(self, value: Any) -> int:
        number = len(self.held) + 1
        self.held[number] = value
        return number

    def _read(self, tag: str, content: Any, read: Callable) -> Any:
        if tag == "x":
            return self.twins.by_number[content]
        if tag == "o":
            return self._object(content)
        if tag == "own record":
            made = copy.copy(self.held[content[0]])
            return _with_fields(made, {name: read(item) for name, item in content[1]})
        if tag == "record":
            module, name, *fields = content
            kind = importlib.import_module(module)
            for part in name.split("."):
                kind = getattr(kind, part)
            return _with_fields(object.__new__(kind), {name: read(item) for name, item in fields})
        if tag == "factored":
            from transformer_lens import FactoredMatrix

            return FactoredMatrix(*map(read, content))
        if tag == "iterator":
            return iter(read(content))
        if tag == "pickle":
            return self.twins._unpickled(read(content))
        raise ValueError(f"there is no tag {tag}")

    def _object(self, number: int) -> Any:
        return self.definitions[-number - 1] if number < 0 else self.held[number]

    # functions of the checker

    def call_back(self, number: int, args: tuple, kwargs: dict) -> Any:
        """Have the grader call a function of the checker; gradients flow through it."""
        value, graph = self._ask("call back", (number, args, kwargs))
        if graph < 0:
            return value
        leaves = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor) and each.requires_grad]
        return _ThroughTheChecker.apply(self, graph, value, *leaves)

    def _ask(self, kind: str, body: Any) -> Any:
        if not torch.is_grad_enabled():
            body = _detached(body)
        self._send(kind, body)
        answer = self.answer_until("answer")
        if answer[0] == "complaint":
            raise OfTheChecker(answer[1])
        if answer[0] == "error":
            kind = getattr(builtins, answer[1], RuntimeError)
            raise kind(answer[2]) if issubclass(kind, Exception) else RuntimeError(answer[2])
        return answer[1]

    # what a grader may ask for

    def do_open(self, data: Tensor, name: str) -> str:
        """Take in the submission; a line that says why it cannot be read, or nothing."""
        try:
            self.cells = cells_in(data.numpy().tobytes(), name)
        except UnreadableSubmission as error:
            return str(error)
        return ""

    def do_begin(self) -> None:
        """A test begins, with nothing left of the test before; PyTorch's random state comes from the grader."""
        self.twins.forget()
        self.held.clear()
        self.result, self.label = None, ""
        random.seed(0)
        numpy.random.seed(0)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        torch.set_num_threads(1)

    def do_get(self, name: str) -> tuple:
        """Define an object of the submission; its number, kind, type and signature."""
        try:
            with contextlib.redirect_stdout(Prints()):
                value = namespace_of(self.cells, [name])[name]
        except Complaint:
            raise
        except BaseException as error:
            raise _not_found(explain_exception(f"the definition of {name}", error), error) from None
        self.definitions.append(value)
        kind, type_name = HERE.describe(value)
        if kind == "autograd function":
            value = value.apply
            self.definitions[-1] = value
        return -len(self.definitions), kind, type_name, _signature(value)

    def do_names_used(self, name: str) -> list[str]:
        """What the definitions of an object read."""
        statements = [statement for cell in self.cells if cell.tree for statement in cell.tree.body]
        return sorted({used for each in statements if name in bound_names(each) for used in used_names(each)})

    def do_signature(self, target: tuple) -> list | None:
        return _signature(self._target(target))

    def do_call(self, label: str, target: tuple, args: list, kwargs: dict, gradients: bool) -> dict:
        """Call it with copies of the arguments; what came of it, what it printed, and the arguments that it changed."""
        self.label, self.result = label, None
        copies, named = copied(args), copied(kwargs)
        prints = Prints()
        try:
            with contextlib.redirect_stdout(prints), torch.set_grad_enabled(gradients):
                self.result = self._target(target)(*copies, **named)
                gradients = torch.is_grad_enabled()
        except OfTheChecker:
            raise
        except BaseException as error:
            complaint = _told(label, error, self._target(target))
            return {"raised": type(error).__name__, "complaint": complaint, "printed": prints.getvalue()}
        return {
            "result": self.result,
            "gradients": gradients,
            "printed": prints.getvalue(),
            "changed": [(place, after) for place, after in enumerate(copies) if differs(args[place], after)],
            "changed by name": [(name, after) for name, after in named.items() if differs(kwargs[name], after)],
        }

    def do_gradients(self, upstream: Any, leaves: list) -> list:
        tensors = [self._parameter(*leaf) if type(leaf) is tuple else leaf for leaf in leaves]
        try:
            return HERE.gradients(self.result, upstream, tensors)
        except OfTheChecker:
            raise
        except BaseException as error:
            raise _told(f"the backward pass of {self.label}", error, None) from None

    def do_has_attribute(self, number: Any, name: str) -> bool:
        return bool(HERE.has_attribute(self._object(number), name))

    def do_has_method(self, number: Any, name: str) -> bool:
        return HERE.method(self._object(number), name) is not None

    def do_parameters(self, number: Any) -> tuple:
        """Parameters, those that need a gradient, gradients, and buffers, all by name."""
        module = self._object(number)
        parameters = HERE.parameters(module)
        gradients = {name: value.grad for name, value in parameters.items() if value.grad is not None}
        return parameters, gradients, HERE.buffers(module)

    def do_load(self, number: Any, weights: dict) -> None:
        HERE.load(self._object(number), weights)

    def do_move(self, number: Any, device: torch.device) -> None:
        HERE.move(self._object(number), device)

    def do_double(self, number: Any) -> None:
        HERE.double(self._object(number))

    def do_zero_grad(self, number: Any) -> None:
        HERE.zero_grad(self._object(number))

    def do_set_gradients(self, number: Any, gradients: dict) -> None:
        HERE.set_gradients(self._object(number), gradients)

    def _target(self, target: tuple) -> Any:
        how, number, *name = target
        value = self._object(number)
        if how == "getter":
            return HERE.getter(value, *name)
        return HERE.method(value, *name) if how == "method" else value

    def _parameter(self, number: Any, name: str) -> Tensor:
        return HERE.parameters(self._object(number))[name]


class _ThroughTheChecker(torch.autograd.Function):
    """A function of the checker in the middle of a learner's graph."""

    @staticmethod
    def forward(ctx: Any, worker: Worker, graph: int, value: Tensor, *leaves: Tensor) -> Tensor:
        ctx.worker, ctx.graph = worker, graph
        return value.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple:
        return None, None, None, *ctx.worker._ask("send back", (ctx.graph, upstream))


def _signature(value: Any) -> list | None:
    signature = HERE.signature(value)
    if signature is None:
        return None
    empty = inspect.Parameter.empty
    return [(each.name, int(each.kind), each.default is not empty) for each in signature.parameters.values()]


def _told(label: str, error: BaseException, target: Any) -> Complaint:
    """What was raised, as the notebook tells it."""
    complaint = (unwritten(error) if isinstance(error, Exception) else None) or explain_exception(label, error, target)
    if isinstance(error, MemoryError) or any(words in complaint.seen for words in OUT_OF_MEMORY):
        return Complaint(
            f"{label} needed more memory than grading gives it",
            rule=f"{os.environ.get('CIRCUITS_MEMORY', 'little')} GiB are enough for every exercise",
            look_at="the largest tensor that you make",
            kind="memory",
        )
    return _not_found(complaint, error)


def _not_found(complaint: Complaint, error: BaseException) -> Complaint:
    """Where a file or the network was asked for: what worked in the notebook does not here."""
    if isinstance(error, OSError) and not complaint.rule:
        complaint.rule = "where your code is graded there are no files of yours and no network"
    return complaint


def _facts(complaint: Complaint) -> dict:
    frames = [(frame.place, frame.line, frame.function, frame.source) for frame in complaint.frames]
    texts = {"seen": complaint.seen, "rule": complaint.rule, "look_at": complaint.look_at, "kind": complaint.kind}
    return {**texts, "frames": frames[-20:]}


def _with_fields(record: Any, fields: dict) -> Any:
    for name, value in fields.items():
        object.__setattr__(record, name, value)
    return record


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if type(value) is dict:
        return {key: _detached(item) for key, item in value.items()}
    return type(value)(map(_detached, value)) if type(value) in (list, tuple) else value
