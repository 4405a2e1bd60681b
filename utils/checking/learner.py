"""This file knows how to call a learner's object safely and say what went wrong in the learner's own words.

A checker never holds the object itself but a handle. What crosses the border is data: tensors, numbers, strings,
configurations, handles and course models. So the same checker works when the object lives behind a pipe.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import linecache
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn

from utils.checking.complaints import Complaint, Frame
from utils.checking.torch_errors import meaning
from utils.checking.transcript import Transcript, frozen
from utils.paths import REPO

PRINTED_LIMIT = 2_000  # characters of the learner's prints that a card shows
STUB = re.compile(r"\d+\.\d+[a-z]? \w+: ")  # what a stub raises; PyTorch raises NotImplementedError for other reasons
KINDS = {
    "dict": (dict,),
    "list": (list,),
    "tuple": (tuple,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
}
WATCHED_PARAMETERS = 5_000_000  # a model larger than this is not copied to see whether a call changed it


class Border:
    """What one test and one submission share: the device, the record of what came back, what was printed."""

    def __init__(self, device: torch.device):
        self.device = device
        self.transcript = Transcript()
        self.printed = ""
        self.models: list[nn.Module] = []

    def call(self, label: str, target: Callable, args: tuple, kwargs: dict) -> Any:
        """Call the learner's code with copies of the tensors; complain in words if it raises or changes its arguments."""
        check_signature(label, target, args, kwargs)
        given = [unwrap(arg) for arg in args], {key: unwrap(arg) for key, arg in kwargs.items()}
        copies = copied(given[0]), copied(given[1])
        models = [model for model in _models(given) if _parameters(model) <= WATCHED_PARAMETERS]
        self.models += _models(given)
        before = [_state(model) for model in models]
        prints = io.StringIO()
        try:
            with contextlib.redirect_stdout(prints), torch.enable_grad():
                result = target(*copies[0], **copies[1])
        except Complaint:
            raise
        except (Exception, SystemExit) as error:
            self.transcript.note(label, f"raised {type(error).__name__}")
            if isinstance(error, NotImplementedError) and STUB.match(str(error)):
                raise Complaint(str(error), kind="unwritten") from None
            raise explain_exception(label, error, target) from None
        finally:
            self.printed = (self.printed + prints.getvalue())[:PRINTED_LIMIT]
        self.transcript.note(label, result)
        _complain_if_nan(label, result, given)
        for model, old in zip(models, before):
            changed = {name: value for name, value in _state(model).items() if not torch.equal(value, old[name])}
            if changed:
                self.transcript.note(f"{label} changed the model", changed)
        _complain_if_changed(label, target, given, copies)
        return result


class FunctionHandle:
    """A learner's function, as a checker sees it."""

    def __init__(self, name: str, function: Callable, border: Border, returns: str = ""):
        self.name = name
        self._function = function
        self._border = border
        self._returns = returns

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; tensors that come back are plain data (detached)."""
        result = detached(self._border.call(self.name, self._function, args, kwargs))
        complain_about_kind(self.name, result, self._returns)
        return result

    def gradients(self, *args: Any, upstream: Tensor | None = None, **kwargs: Any) -> list[Tensor]:
        """Gradients of the (scalar or ``upstream``-weighted) result with respect to each floating tensor argument, in order."""
        leaves = [arg.detach().clone().requires_grad_() if _is_float(arg) else arg for arg in args]
        result = self._border.call(self.name, self._function, tuple(leaves), kwargs)
        inputs = {f"argument {place}": leaf for place, leaf in enumerate(leaves) if _is_float(leaf)}
        return list(_gradients(self.name, result, upstream, inputs, self._border).values())


class ClassHandle:
    """A learner's class, as a checker sees it: calling it builds an instance on the border's device."""

    def __init__(self, name: str, cls: type, border: Border, returns: str = ""):
        self.name = name
        self._cls = cls
        self._border = border
        self._returns = returns

    def __call__(self, *args: Any, **kwargs: Any) -> ModuleHandle | ObjectHandle:
        instance = self._border.call(self.name, self._cls, args, kwargs)
        if isinstance(instance, nn.Module):
            return ModuleHandle(self.name, instance.to(self._border.device), self._border, self._returns)
        return ObjectHandle(self.name, instance, self._border)


class ObjectHandle:
    """An instance of a learner's class that is no module: its methods are called through here, its attributes read with ``attr``."""

    def __init__(self, name: str, instance: Any, border: Border, returns: str = ""):
        self._name = name
        self._instance = instance
        self._border = border
        self._returns = returns

    def attr(self, attribute: str) -> Any:
        """The value of an attribute or property; a number or tensor is recorded and detached."""
        own = vars(self._instance) if hasattr(self._instance, "__dict__") else {}
        if attribute not in own and inspect.getattr_static(self._instance, attribute, None) is None:
            raise Complaint(f"{self._name} has no attribute `{attribute}`", kind="missing")
        value = self._border.call(f"{self._name}.{attribute}", lambda: getattr(self._instance, attribute), (), {})
        return detached(value)

    def __len__(self) -> int:
        return self._method("__len__")()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = detached(self._border.call(self._name, self._instance, args, kwargs))
        complain_about_kind(self._name, result, self._returns)
        return result

    def __getattr__(self, method: str) -> Callable:
        if method.startswith("_"):
            raise AttributeError(method)
        return self._method(method)

    def _method(self, method: str) -> Callable:
        bound = getattr(self._instance, method, None)
        label = f"{self._name}.{method}"
        if not callable(bound):
            raise Complaint(f"{self._name} has no method `{method}`", kind="missing")
        return lambda *args, **kwargs: detached(self._border.call(label, bound, args, kwargs))


class ModuleHandle(ObjectHandle):
    """An instance of a learner's ``nn.Module``: load weights into it, run it, read its parameters and gradients."""

    def load(self, weights: dict[str, Tensor], *, strict: bool = True) -> ModuleHandle:
        """Put copies of ``weights`` into the parameters of these names; complain about missing, mis-shaped and left-over ones."""
        own = dict(self._instance.named_parameters()) | dict(self._instance.named_buffers())
        for name, value in weights.items():
            if name not in own:
                listed = ", ".join(own) or "no parameters at all (nn.Parameter registers one)"
                raise Complaint(
                    f"{self._name} has no parameter `{name}`; it has {listed}",
                    rule="parameters have the course's names, so that weights can be loaded",
                    look_at="__init__",
                    kind="missing",
                )
            if own[name].shape != value.shape:
                raise Complaint(
                    f"{self._name}.{name} has shape {list(own[name].shape)}, {list(value.shape)} is right",
                    look_at="__init__",
                    kind="type",
                )
        extra = [name for name in dict(self._instance.named_parameters()) if name not in weights]
        if strict and extra:
            raise Complaint(
                f"{self._name} has parameters that the course's does not have: {', '.join(extra)}",
                look_at="__init__",
                kind="type",
            )
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(value)
        return self

    def parameters(self) -> dict[str, Tensor]:
        """Copies of the parameters by name."""
        copies = {name: value.detach().clone() for name, value in self._instance.named_parameters()}
        self._border.transcript.note(f"{self._name}.parameters", copies)
        return copies

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {name: tuple(value.shape) for name, value in self._instance.named_parameters()}
        self._border.transcript.note(f"{self._name}.parameter_shapes", shapes)
        return shapes

    def double(self) -> ModuleHandle:
        """The same module in float64."""
        self._instance.double()
        return self

    def backward(self, *args: Any, upstream: Tensor) -> Tensor | None:
        """Run forward, send ``upstream`` back, return the gradient of the first floating argument (None if there is none)."""
        self._instance.zero_grad()
        leaves = [arg.detach().clone().requires_grad_() if _is_float(arg) else arg for arg in args]
        result = self._border.call(self._name, self._instance, tuple(leaves), {})
        inputs = {f"argument {place}": leaf for place, leaf in enumerate(leaves) if _is_float(leaf)}
        parameters = {name: p for name, p in self._instance.named_parameters() if p.requires_grad}
        grads = _gradients(self._name, result, upstream, inputs | parameters, self._border)
        for name, parameter in parameters.items():
            parameter.grad = grads[name]
        return next((grads[name] for name in inputs), None)

    def grads(self) -> dict[str, Tensor]:
        """The parameters' gradients after ``backward``."""
        return {name: value.grad.clone() for name, value in self._instance.named_parameters() if value.grad is not None}


def handle(name: str, value: Any, border: Border, returns: str = "") -> Any:
    """The handle through which a checker meets ``value``, the learner's object called ``name``.

    ``returns`` is the annotation of what the course's own function, or module, of that name returns.
    """
    if inspect.isclass(value):
        return ClassHandle(name, value, border, returns)
    if callable(value):
        return FunctionHandle(name, value, border, returns)
    raise Complaint(f"{name} is {_article(value)}, not a function or a class", kind="type")


def unwrap(value: Any) -> Any:
    """The learner's own object behind a handle; other values as they are."""
    if isinstance(value, ObjectHandle):
        return value._instance
    if isinstance(value, FunctionHandle):
        return value._function
    if isinstance(value, ClassHandle):
        return value._cls
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    return value


def detached(value: Any) -> Any:
    """The same data without a graph behind it."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: detached(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[detached(item) for item in value])
    if isinstance(value, (list, tuple)):
        return type(value)(detached(item) for item in value)
    return value


def copied(value: Any) -> Any:
    """A copy of the tensors in ``value``; one that needs a gradient, and anything that is no plain data, stays itself."""
    if type(value) is Tensor and not value.requires_grad:
        return value.clone()
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(copied(item) for item in value)
    return value


def check_signature(label: str, target: Callable, args: tuple, kwargs: dict) -> None:
    """Complain if ``target`` cannot be called with these arguments."""
    try:
        signature = inspect.signature(target.forward if isinstance(target, nn.Module) else target)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        call = ", ".join([_brief(arg) for arg in args] + [f"{key}={_brief(arg)}" for key, arg in kwargs.items()])
        raise Complaint(
            f"{label}{_plain_signature(signature)} cannot be called as {label}({call}): {error}",
            rule="names and order of the arguments stay as the exercise gives them",
            look_at=f"the line that begins with `def` or `class {label}`",
            kind="signature",
        ) from None


def complain_about_kind(label: str, result: Any, returns: str) -> None:
    """Complain if ``result`` is not of the outermost kind that the annotation ``returns`` names."""
    kinds: tuple[type, ...]
    if re.match(r"(\w+\[)?Tensor\b", returns):
        kinds = (Tensor,)
    else:
        kinds = KINDS.get(returns.split("[")[0], ())
    number = kinds and kinds[0] in (int, float) and isinstance(result, Tensor) and result.ndim == 0
    if not kinds or isinstance(result, kinds) or number:
        return
    seen = f"{label} returned nothing (None)" if result is None else f"{label} returned {_article(result)}"
    raise Complaint(
        seen,
        rule=f"it returns {_in_words(returns)}",
        look_at="the `return` line" if result is not None else "is there a `return`?",
        kind="type",
    )


def _in_words(returns: str) -> str:
    """An annotation as a learner would say it."""
    axes = re.match(r"\w+\[Tensor, '(.*)'\]$", returns)
    if axes is None:
        return returns
    return f"a tensor [{axes[1]}]" if axes[1] else "a tensor that holds one number (no .item() or float())"


def explain_exception(label: str, error: BaseException, target: Any = None) -> Complaint:
    """The exception in one line, with the learner's own frames only; pointed at is the last one inside ``target``."""
    entries = [
        entry for entry in traceback.walk_tb(error.__traceback__) if is_learners_file(entry[0].f_code.co_filename)
    ]
    own = set(_codes_of(target))
    pointed_at = [entry for entry in entries if entry[0].f_code in own] or entries
    text = " ".join(str(error).split())[:300]
    look_at = ""
    if pointed_at:
        frame, number = pointed_at[-1]
        line = _source_line(frame, number)
        look_at = f"line {number} of {_place(frame.f_code.co_filename)}: `{line}`" + _forgotten_self(frame, line)
    return Complaint(
        f"{label} raised {type(error).__name__}: {text}" if text else f"{label} raised {type(error).__name__}",
        rule=meaning(text),
        look_at=look_at,
        kind="raised",
        frames=tuple(_frame(*entry) for entry in entries) if len(entries) > 1 else (),
    )


def learner_frames(error: BaseException) -> Iterator[Frame]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_learners_file(frame.f_code.co_filename):
            yield _frame(frame, line)


def _frame(frame: FrameType, line: int) -> Frame:
    return Frame(_place(frame.f_code.co_filename), line, frame.f_code.co_name, _source_line(frame, line))


def _source_line(frame: FrameType, line: int) -> str:
    return linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()


def _codes_of(target: Any) -> Iterator[CodeType]:
    """The code of a function, or of all methods of a class or an instance's class, with the functions inside."""
    if target is None:
        return
    if not inspect.isfunction(target) and not inspect.isclass(target):
        target = getattr(target, "__func__", type(target))
    members = vars(target).values() if inspect.isclass(target) else [target]
    waiting = [member.__code__ for member in map(inspect.unwrap, filter(inspect.isfunction, members))]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _forgotten_self(frame: FrameType, line: str) -> str:
    """Notebook variables that this line of a method reads though the object has its own of that name: a forgotten ``self.``."""
    instance = frame.f_locals.get("self")
    words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", line)) - set(frame.f_locals)
    names = sorted(
        word for word in words if word in frame.f_globals and instance is not None and hasattr(instance, word)
    )
    return "".join(f"; `{name}` is a variable of the notebook: did you mean `self.{name}`?" for name in names)


def is_learners_file(filename: str) -> bool:
    """True for notebook cells and sliced submissions, false for libraries and for this repository's own checkers."""
    if filename.startswith("<submission"):
        return True
    if filename.startswith("<") and "ipython-input" not in filename:
        return False
    path = Path(filename)
    if "ipython-input" in filename or "ipykernel_" in filename:
        return True
    return (
        path.suffix == ".py"
        and not any(part in ("site-packages", "lib", "lib64") for part in path.parts)
        and (REPO / "utils" not in path.parents and REPO / "tests" not in path.parents)
    )


def _place(filename: str) -> str:
    if filename.startswith("<submission"):
        return filename.removeprefix("<submission ").rpartition("#")[0]
    return "the cell" if "ipykernel_" in filename or "ipython-input" in filename else Path(filename).name


def _complain_if_changed(label: str, target: Callable, given: Any, copies: Any) -> None:
    try:
        names = list(inspect.signature(target.forward if isinstance(target, nn.Module) else target).parameters)
    except (TypeError, ValueError):
        names = []
    named = [
        (names[i] if i < len(names) else f"argument {i}", a, b) for i, (a, b) in enumerate(zip(given[0], copies[0]))
    ]
    named += [(key, given[1][key], copies[1][key]) for key in given[1]]
    for name, before, after in named:
        if _changed(before, after):
            raise Complaint(
                f"{label} changed its argument `{name}` in place",
                rule="a function leaves its arguments as they were and returns something new",
                look_at="calls that end in _ (such as masked_fill_), +=, *=, /= and assignments into slices",
                kind="in_place",
            )


def _complain_if_nan(label: str, result: Any, given: Any) -> None:
    """No function of the course makes NaN out of numbers."""
    if isinstance(result, Tensor) and result.is_floating_point() and result.isnan().any() and not _any_nan(given):
        where = result.isnan().nonzero()[0].tolist()
        place = f", the first at {where}" if where else ""
        raise Complaint(
            f"{label} gave NaN in {int(result.isnan().sum())} of {result.numel()} places{place}",
            rule="numbers in, numbers out",
            look_at="0/0, inf - inf, the log or root of a negative number, or a softmax over a row that is -inf everywhere",
            kind="nan",
        )


def _any_nan(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point() and bool(value.isnan().any())
    if isinstance(value, dict):
        return any(_any_nan(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_any_nan(item) for item in value)


def _changed(before: Any, after: Any) -> bool:
    if type(before) is Tensor:
        return before is not after and not _equal(before, after)
    if type(before) is dict:
        return before.keys() != after.keys() or any(_changed(before[key], after[key]) for key in before)
    if type(before) in (list, tuple):
        return len(before) != len(after) or any(_changed(x, y) for x, y in zip(before, after))
    return False


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _gradients(
    name: str, result: Any, upstream: Tensor | None, leaves: dict[str, Tensor], border: Border
) -> dict[str, Tensor]:
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise Complaint(
            f"no gradient flows through {name}",
            rule="training needs a gradient from the result back to the inputs and parameters",
            look_at="detach(), .data, .item(), torch.no_grad() or a new tensor made from numbers",
        )
    if upstream is not None and upstream.shape != result.shape:
        raise Complaint(f"{name} gave shape {list(result.shape)}, {list(upstream.shape)} is right", kind="type")
    try:
        grads = torch.autograd.grad(result, list(leaves.values()), grad_outputs=upstream, allow_unused=True)
    except RuntimeError as error:
        raise explain_exception(f"the backward pass of {name}", error) from None
    named = {key: torch.zeros_like(leaves[key]) if grad is None else grad for key, grad in zip(leaves, grads)}
    border.transcript.note(f"gradients of {name}", named)
    return named


def _models(given: Any) -> list[nn.Module]:
    return [value for value in [*given[0], *given[1].values()] if isinstance(value, nn.Module)]


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _state(model: nn.Module) -> dict[str, Tensor]:
    return frozen(dict(model.named_parameters()))


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _brief(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"tensor{list(value.shape)}"
    if isinstance(value, (bool, int, float, str)) or value is None:
        return repr(value)[:30]
    return type(value).__name__ if not isinstance(value, (ObjectHandle, FunctionHandle, ClassHandle)) else "yours"


def _plain_signature(signature: inspect.Signature) -> str:
    return "(" + ", ".join(signature.parameters) + ")"


def _article(value: Any) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
