"""This file knows how a checker meets a learner's objects that live in a sandboxed worker: `Here`, at the end of a pipe."""

from __future__ import annotations

import inspect
import keyword
import signal
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import make_dataclass
from functools import lru_cache
from io import StringIO
from typing import Any

import torch
from torch import Tensor

from utils.checking.complaints import Complaint, Frame
from utils.checking.run import Submission
from utils.checking.side import Here, Raised
from utils.grading.channel import Channel, Gone, TooLate
from utils.grading.mirror import Mirror
from utils.grading.wire import BadMessage, pairs

LONGEST_CHECK = 60  # seconds for what a checker does itself in a test
LONGEST_TEXT = 2_000  # characters of a text that a learner reads
MOST_FRAMES = 20
MOST_BYTES = 64 << 20  # of what may be sent in one test
MOST_BYTES_IN_ALL = 512 << 20  # and for one submission, all of which is kept until its mistakes are named
KINDS = ("raised", "unwritten", "missing", "memory", "type", "wrong")  # of complaints that a worker may make
ENDED = (
    "deadline",
    "memory",
    "died",
    "unsendable",
    "forged",
)  # kinds of complaints after which there is nothing to compare


class Elsewhere:
    """An object of the learner's that stayed in the worker, under a number."""

    def __init__(self, number: int, is_module: bool):
        self.__dict__.update(_number=number, _is_module=is_module)


class Target:
    """Something in the worker that can be called: an object, a method or an attribute of one."""

    def __init__(self, how: str, number: int, *name: str):
        self.path = (how, number, *name)


class Definition(Elsewhere):
    """A function, class or other object that the submission defines."""

    def __init__(self, number: int, kind: str, type_name: str, signature: inspect.Signature | None):
        super().__init__(number, False)
        self.__dict__.update(_kind=kind, _type_name=type_name, _signature=signature)


class Remote(Here):
    """The learner's side in a worker. ``start`` gives a fresh worker, ``timeout`` are the seconds for one exercise.

    A worker that dies, takes too long or sends nonsense is given up. The running test fails with the reason, and the next
    one gets a new worker.
    """

    def __init__(self, start: Callable[[], Any], data: bytes, name: str, exercises: dict[str, str], timeout: float):
        self.start, self.data, self.name, self.exercises, self.timeout = start, data, name, exercises, timeout
        self.worker: Any = None
        self.channel: Channel | None = None
        self.mirror = Mirror()
        self.spent: dict[str, float] = {}  # seconds of each exercise
        self.exercise = ""
        self.received_in_all = 0
        self.incarnation = 0  # how many workers there have been
        self.broken: Complaint | None = None
        self.device = torch.device("cpu")
        self.tampered: dict[str, list[str]] = {}  # what the worker changed in each test

    # tests

    def begin(self, test: str, objects: tuple[str, ...]) -> None:
        self.test, self.exercise = test, self.exercises.get(objects[-1], "") if objects else ""
        self.exercise = max((self.exercises.get(name, "") for name in objects), key=_order, default="")
        self.broken, self.begun, self.received = None, False, 0
        self.leaves: dict[int, tuple[Tensor, tuple]] = {}
        self.graphs: list[tuple[Any, list[Tensor]]] = []
        self.complaints: list[Complaint] = []
        self.targets: dict[tuple, inspect.Signature | None] = {}
        self.alarm = _alarm(self.timeout + LONGEST_CHECK)

    def end(self) -> None:
        self.alarm()
        if self.mirror.tampered:
            self.tampered[self.test] = sorted(self.mirror.tampered)
        if self.mirror.bridges and self.worker is not None:
            self.worker.was_shown(self.mirror.bridges)
        self.mirror.end()
        self.leaves, self.graphs = {}, []

    def close(self) -> None:
        """The submission is graded."""
        self._give_up()

    def open(self) -> str:
        """A line that says why the submission cannot be read, or nothing."""
        self.begin("", ())
        try:
            return self._text(self._ask("open and nothing else"))
        finally:
            self.end()

    # messages

    def _ask(self, operation: str, *content: Any, label: str = "it") -> Any:
        """What the worker answers; a Complaint if that is one, or if no answer comes."""
        if self.broken is not None:
            raise self.broken
        if self.worker is None:
            self.worker = self.start()
        left = self.timeout - self.spent.get(self.exercise, 0.0)
        started = time.monotonic()
        try:
            if left <= 0:
                raise TooLate
            if self.channel is None:
                self._open(started + left)
            self.channel.deadline = started + left
            if operation == "open and nothing else":
                return self.unreadable
            if not self.begun:
                self.begun = True
                self._exchange("begin")
            return self._exchange(operation, *content)
        except TooLate:
            raise self._gave_up("deadline", self._too_late(label, left)) from None
        except Gone:
            raise self._gave_up("died", f"{label} {self.worker.cause_of_death() if self.worker else 'ended'}") from None
        except BadMessage as error:
            raise self._gave_up("forged", f"{label} sent back what is no answer: {error}") from None
        finally:
            self.spent[self.exercise] = self.spent.get(self.exercise, 0.0) + time.monotonic() - started

    def _open(self, deadline: float) -> None:
        """Hand the submission to a new worker."""
        self.incarnation += 1
        self.channel = Channel(self.worker.end)
        self.channel.deadline = deadline
        self.mirror = Mirror()
        data = (
            torch.frombuffer(bytearray(self.data), dtype=torch.uint8)
            if self.data
            else torch.empty(0, dtype=torch.uint8)
        )
        self.unreadable = self._exchange("open", data, self.name)

    def _too_late(self, label: str, left: float) -> str:
        if left <= 0:
            return f"this test was not run: the exercise had used up its {self.timeout:g} s"
        return f"{label} did not come back: the tests of an exercise may take {self.timeout:g} s in all"

    def _gave_up(self, kind: str, seen: str) -> Complaint:
        self._give_up()
        rules = {
            "deadline": "code that is graded comes to an end in time",
            "died": "code that is graded returns, or raises an exception",
            "forged": "what comes back is data: tensors, numbers, texts, and lists and dictionaries of these",
        }
        look_at = "loops that never end, and work that is done again and again" if kind == "deadline" else ""
        self.broken = Complaint(seen, rule=rules[kind], look_at=look_at, kind=kind)
        return self.broken

    def _give_up(self) -> None:
        if self.worker is not None:
            self.worker.stop()
        self.worker = self.channel = None

    def _exchange(self, operation: str, *content: Any) -> Any:
        """Send a message and receive messages until it is answered."""
        self._send(operation, list(content))
        while True:
            reader = self.channel.receive(special=self._read, device=self.device)
            size = sum(tensor.nbytes for tensor in reader.tensors)
            self.received, self.received_in_all = self.received + size, self.received_in_all + size
            if self.received > MOST_BYTES or self.received_in_all > MOST_BYTES_IN_ALL:
                raise BadMessage(
                    f"more than {MOST_BYTES >> 20} MiB in one test, or {MOST_BYTES_IN_ALL >> 20} MiB in all"
                )
            kind, changes, body = _three(reader)
            try:
                self.mirror.apply(reader.read(changes))
                value = reader.read(body)
            except (RuntimeError, OverflowError, MemoryError) as error:
                raise BadMessage(" ".join(str(error).split())[:200]) from None
            if kind not in ("call back", "send back"):
                self.mirror.look()
            if kind == "done":
                return value
            if kind == "call back":
                self._send("answer", self._called_back(value))
            elif kind == "send back":
                self._send("answer", self._sent_back(value))
            elif kind == "checker":
                raise self._own_complaint(value)
            elif kind == "complaint":
                raise self._complaint(value)
            elif (
                kind == "stumbled"
            ):  # the worker itself: its libraries may have been meddled with, so the next test gets another
                self.broken = self._complaint(value)
                self._give_up()
                raise self.broken
            elif kind == "unsendable":
                raise Complaint(
                    f"what came back cannot be sent to the grader: {self._text(value[0] if value else '')}",
                    rule="what comes back is data: tensors, numbers, texts, and lists and dictionaries of these",
                    kind="unsendable",
                )
            else:
                raise BadMessage(f"there is no answer {kind[:20]!r}")

    def _send(self, operation: str, content: Any) -> None:
        mirror = self.mirror
        writer = mirror.writing()
        writer.special = self._write
        body = writer.tree(content)
        changes = mirror.changes()
        news, mirror.news = mirror.news, []
        self.channel.send(writer, {"l": [operation, writer.tree(news), writer.tree(changes), body]})

    def _write(self, value: Any) -> dict | None:
        if isinstance(value, Elsewhere):
            return {"o": value._number}
        if isinstance(value, Target):
            return {"u": list(value.path)}
        number = getattr(value, "_number_in_worker", None) if hasattr(value, "__dataclass_fields__") else None
        if number is not None:
            return {"own record": [number, self.mirror._fields(value)]}
        return self.mirror.special(value)

    def _read(self, tag: str, content: Any, read: Callable) -> Any:
        if type(content) is int and tag == "x":
            thing = self.mirror.by_number.get(content)
            if thing is None or isinstance(thing, Tensor):
                raise BadMessage("a number points at nothing")
            return thing
        if type(content) is not list:
            raise BadMessage(f"the content of {tag[:20]!r} is no list")
        if tag == "factored" and len(content) == 2:
            return _factored(*map(read, content))
        if tag == "object" and len(content) == 3 and type(content[0]) is int and type(content[2]) is bool:
            return _opaque_type(_name(content[1]))(content[0], content[2])
        if tag == "record" and len(content) == 3 and type(content[0]) is int and type(content[2]) is list:
            fields = {_name(name): read(item) for name, item in pairs(content[2])}
            made = _record_type(_name(content[1]), tuple(fields))(**fields)
            made._number_in_worker = content[0]
            return made
        if tag == "named tuple" and len(content) == 2 and type(content[1]) is list:
            fields = {_name(name): read(item) for name, item in pairs(content[1])}
            return _tuple_type(_name(content[0]), tuple(fields))(**fields)
        raise BadMessage(f"there is no tag {tag[:20]!r}")

    # functions of the checker that are called from there

    def _called_back(self, value: Any) -> tuple:
        if type(value) is not tuple or len(value) != 3 or type(value[1]) is not tuple or type(value[2]) is not dict:
            raise BadMessage("a call of the checker's function is not (number, arguments, named arguments)")
        number, args, kwargs = value
        function = self.mirror.by_number.get(number) if type(number) is int else None
        if function is None or not callable(function) or any(type(name) is not str for name in kwargs):
            raise BadMessage("there is no such function of the checker")
        leaves = [each for each in (*args, *kwargs.values()) if isinstance(each, Tensor) and each.requires_grad]
        try:
            with torch.set_grad_enabled(bool(leaves)):
                result = function(*args, **kwargs)
        except Complaint as complaint:
            self.complaints.append(complaint)
            return "complaint", len(self.complaints) - 1
        except Exception as error:
            return "error", type(error).__name__, " ".join(str(error).split())[:300]
        if not leaves or not isinstance(result, Tensor):
            return "value", (result, -1)
        self.graphs.append((result, leaves))
        return "value", (result.detach(), len(self.graphs) - 1)

    def _sent_back(self, value: Any) -> tuple:
        if (
            type(value) is not tuple
            or len(value) != 2
            or type(value[0]) is not int
            or not 0 <= value[0] < len(self.graphs)
        ):
            raise BadMessage("a gradient for a call that was not made")
        result, leaves = self.graphs[value[0]]
        if not isinstance(value[1], Tensor) or value[1].shape != result.shape:
            raise BadMessage("a gradient of another shape than the result")
        if not result.requires_grad:
            return "value", [torch.zeros_like(leaf) for leaf in leaves]
        grads = torch.autograd.grad(result, leaves, value[1].detach().to(result), retain_graph=True, allow_unused=True)
        return "value", [torch.zeros_like(leaf) if each is None else each for leaf, each in zip(leaves, grads)]

    def _own_complaint(self, number: Any) -> Complaint:
        if type(number) is not int or not 0 <= number < len(self.complaints):
            raise BadMessage("a complaint of the checker that it did not make")
        return self.complaints[number]

    # texts

    def _text(self, value: Any) -> str:
        if type(value) is not str:
            raise BadMessage("a text is none")
        return value[:LONGEST_TEXT]

    def _complaint(self, facts: Any) -> Complaint:
        if type(facts) is not dict or facts.keys() != {"seen", "rule", "look_at", "kind", "frames"}:
            raise BadMessage("a complaint has other parts than a complaint has")
        seen, rule, look_at, kind = (self._text(facts[name]) for name in ("seen", "rule", "look_at", "kind"))
        if kind not in KINDS or type(facts["frames"]) is not list or len(facts["frames"]) > MOST_FRAMES:
            raise BadMessage("a complaint is of a kind that there is not")
        frames = []
        for frame in facts["frames"]:
            if type(frame) is not tuple or len(frame) != 4 or type(frame[1]) is not int:
                raise BadMessage("a frame is not (place, line, function, source)")
            frames.append(Frame(self._text(frame[0]), frame[1], self._text(frame[2]), self._text(frame[3])))
        return Complaint(seen, rule=rule, look_at=look_at, kind=kind, frames=tuple(frames))

    # the operations of `Here`

    def get(self, name: str) -> Definition:
        """The object of this name; a Complaint if it is not there or its definition fails."""
        answer = self._ask("get", name, label=f"the definition of {name}")
        try:
            number, kind, type_name, signature = answer
            return Definition(int(number), self._text(kind), _name(type_name), _signature(signature))
        except (TypeError, ValueError):
            raise self._gave_up("forged", f"the definition of {name} sent back what is no answer") from None

    def names_used(self, name: str) -> set[str]:
        answer = self._ask("names_used", name)
        return {each for each in answer if type(each) is str} if type(answer) is list else set()

    def describe(self, held: Any) -> tuple[str, str]:
        return held._kind, held._type_name

    def apply(self, held: Any) -> Definition:
        return held

    def signature(self, target: Any) -> inspect.Signature | None:
        if isinstance(target, Definition):
            return target._signature
        path = _path(target)
        if path[0] == "getter":
            return None
        if path not in self.targets:
            try:
                self.targets[path] = _signature(self._ask("signature", Target(*path)))
            except BadMessage as error:
                raise self._gave_up("forged", f"it has a signature that is none: {error}") from None
        return self.targets[path]

    def call(
        self, label: str, target: Any, args: list, kwargs: dict, prints: StringIO, gradients: bool = True
    ) -> tuple[Any, bool]:
        answer = self._ask("call", label, Target(*_path(target)), args, kwargs, gradients, label=label)
        try:
            prints.write(self._text(answer["printed"]))
            if "raised" in answer:
                raise Raised(_name(answer["raised"]), self._complaint(answer["complaint"]))
            for place, after in answer["changed"]:
                args[range(len(args))[place]] = after
            for name, after in answer["changed by name"]:
                if name in kwargs:
                    kwargs[name] = after
            return answer["result"], bool(answer["gradients"])
        except (BadMessage, TypeError, KeyError, ValueError, IndexError):
            raise self._gave_up("forged", f"{label} sent back what is no answer") from None

    def gradients(self, result: Any, upstream: Any, leaves: list[Tensor]) -> list[Tensor | None]:
        known = [self.leaves[id(leaf)][1] if id(leaf) in self.leaves else leaf for leaf in leaves]
        answer = self._ask("gradients", upstream, known, label="the backward pass")
        fits = type(answer) is list and len(answer) == len(leaves)
        if not fits or any(
            g is not None and (not isinstance(g, Tensor) or g.shape != x.shape) for g, x in zip(answer, leaves)
        ):
            raise self._gave_up("forged", "the backward pass sent back what are no gradients")
        return [None if each is None else each.detach() for each in answer]

    def has_attribute(self, held: Any, name: str) -> bool:
        return self._ask("has_attribute", _number(held), name) is True

    def getter(self, held: Any, name: str) -> Target:
        return Target("getter", _number(held), name)

    def method(self, held: Any, name: str) -> Target | None:
        if self._ask("has_method", _number(held), name) is not True:
            return None
        return Target("method", _number(held), name)

    def is_module(self, held: Any) -> bool:
        return isinstance(held, Elsewhere) and held._is_module

    def move(self, held: Any, device: torch.device) -> None:
        if device.type != "cpu":
            self._ask("move", _number(held), device)

    def double(self, held: Any) -> None:
        self._ask("double", _number(held))

    def parameters(self, held: Any) -> dict[str, Tensor]:
        return self._named_tensors(held)[0]

    def buffers(self, held: Any) -> dict[str, Tensor]:
        return self._named_tensors(held)[1]

    def _named_tensors(self, held: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        answer = self._ask("parameters", _number(held))
        try:
            parameters, gradients, buffers = answer
            for named in answer:
                if any(type(name) is not str or not isinstance(value, Tensor) for name, value in named.items()):
                    raise TypeError
            for name, value in parameters.items():
                self.leaves[id(value)] = value, (_number(held), name)
                value.grad = gradients.get(name)
            return parameters, buffers
        except (TypeError, ValueError, AttributeError, RuntimeError):
            raise self._gave_up("forged", "a module sent back what are no parameters") from None

    def load(self, held: Any, weights: dict[str, Tensor]) -> None:
        self._ask("load", _number(held), {name: value.detach() for name, value in weights.items()})

    def zero_grad(self, held: Any) -> None:
        self._ask("zero_grad", _number(held))

    def set_gradients(self, held: Any, gradients: dict[str, Tensor]) -> None:
        self._ask("set_gradients", _number(held), {name: value.detach() for name, value in gradients.items()})


class RemoteSubmission(Submission):
    """A submission whose objects live in a worker."""

    def __init__(self, label: str, side: Remote):
        super().__init__(label)
        self.side = side
        self._incarnation = 0

    def focused_on(self, names: Any) -> RemoteSubmission:
        same = RemoteSubmission(self.label, self.side)
        same.focus = set(names)
        return same

    def get(self, name: str) -> Definition:
        if self._incarnation != self.side.incarnation or self.side.channel is None:
            self._objects, self._complaints = {}, {}
        if name in self._complaints:
            raise self._complaints[name]
        if name not in self._objects:
            try:
                self._objects[name] = self.side.get(name)
            except Complaint as complaint:
                if complaint.kind not in ENDED:
                    self._complaints[name] = complaint
                    self._incarnation = self.side.incarnation
                raise
            self._incarnation = self.side.incarnation
        return self._objects[name]


def _alarm(seconds: float) -> Callable[[], None]:
    """After so many seconds the running test fails, wherever it is; what comes back calls that off.

    The time of the learner's code is limited elsewhere. This is for a checker that what came back keeps busy.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None

    def ring(*_: Any) -> None:
        raise Complaint("the checker did not come to an end with what came back", kind="checker")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)

    def call_off() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    return call_off


def _three(reader: Any) -> tuple[str, Any, Any]:
    root = reader.root
    parts = root.get("l") if type(root) is dict and len(root) == 1 else None
    if type(parts) is not list or len(parts) != 3 or type(parts[0]) is not str:
        raise BadMessage("an answer is not (kind, changes, content)")
    return parts[0], parts[1], parts[2]


def _name(value: Any) -> str:
    """A name that a class, a field or an exception may have."""
    if (
        type(value) is not str
        or not value.isidentifier()
        or len(value) > 80
        or value.startswith("__")
        or keyword.iskeyword(value)
    ):
        raise BadMessage("a name is none")
    return value


def _path(target: Any) -> tuple:
    return target.path if isinstance(target, Target) else ("object", _number(target))


def _number(held: Any) -> int:
    if isinstance(held, Elsewhere):
        return held._number
    number = getattr(held, "_number_in_worker", None)
    if number is None:
        raise Complaint(
            f"a {type(held).__name__} came back, which is no object with methods and attributes", kind="type"
        )
    return number


def _order(number: str) -> tuple:
    from utils.course import sort_key

    return sort_key(number) if number else (0, 0, "")


def _signature(content: Any) -> inspect.Signature | None:
    if content is None:
        return None
    if type(content) is not list or len(content) > 200:
        raise BadMessage("a signature is none")
    parameters = []
    try:
        for name, kind, has_default in content:
            default = None if has_default else inspect.Parameter.empty
            parameters.append(inspect.Parameter(name, inspect._ParameterKind(kind), default=default))
        return inspect.Signature(parameters)
    except (TypeError, ValueError):
        raise BadMessage("a signature is none") from None


def _factored(A: Any, B: Any) -> Any:
    from transformer_lens import FactoredMatrix

    try:
        return FactoredMatrix(A.detach(), B.detach())
    except Exception as error:
        raise BadMessage(f"a factored matrix is none ({type(error).__name__})") from None


@lru_cache(maxsize=256)
def _opaque_type(name: str) -> type:
    return type(name, (Elsewhere,), {})


@lru_cache(maxsize=64)
def _record_type(name: str, fields: tuple[str, ...]) -> type:
    try:
        return make_dataclass(name, fields)
    except (TypeError, ValueError):
        raise BadMessage("a record has fields that none can have") from None


@lru_cache(maxsize=64)
def _tuple_type(name: str, fields: tuple[str, ...]) -> type:
    try:
        return namedtuple(name, fields)  # noqa: PYI024
    except ValueError:
        raise BadMessage("a named tuple has fields that none can have") from None
