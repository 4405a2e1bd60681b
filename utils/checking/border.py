"""This file knows how to call a learner's code with data of its own, and notices what must not happen in such a call."""

from __future__ import annotations

import copy
import inspect
import io
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from utils.checking.complaints import Complaint
from utils.checking.side import HERE, Here, Raised
from utils.checking.transcript import Transcript, fields_of, frozen, is_record, odd_kind

PRINTED_LIMIT = 2_000  # characters of the learner's prints that a card shows
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


class Handle:
    """Stands for a learner's object called ``name``, which stays behind it. ``returns`` annotates what a call gives."""

    def __init__(self, name: str, held: Any, border: Border, returns: str = ""):
        self._name = name
        self._held = held
        self._border = border
        self._returns = returns


def unwrap(value: Any) -> Any:
    """The learner's own object behind a handle; other values as they are."""
    if isinstance(value, Handle):
        return value._held
    return [unwrap(item) for item in value] if isinstance(value, list) else value


class Border:
    """What one test and one submission share: the device, the record of what came back, what was printed.

    ``side`` is where the learner's objects live: in this process, or behind a pipe. ``gradients`` says whether PyTorch
    records them when the learner's code is called; a chapter whose notebook turns them off sets it to False.
    """

    def __init__(self, device: torch.device, side: Here = HERE):
        self.device = device
        self.side = side
        self.gradients = True
        self.transcript = Transcript()
        self.printed = ""
        self.models: list[nn.Module] = []

    def call(self, label: str, target: Callable, args: tuple, kwargs: dict) -> Any:
        """Call the learner's code with copies of the tensors; complain in words if it raises or changes its arguments."""
        signature = self.side.signature(target)
        check_signature(label, signature, args, kwargs)
        given = [unwrap(arg) for arg in args], {key: unwrap(arg) for key, arg in kwargs.items()}
        copies = copied(given[0]), copied(given[1])
        models = [model for model in _models(given) if _parameters(model) <= WATCHED_PARAMETERS]
        self.models += _models(given)
        before = [_state(model) for model in models]
        prints = io.StringIO()
        try:
            result, gradients = self.side.call(label, target, *copies, prints, self.gradients)
        except Raised as raised:
            self.transcript.note(label, f"raised {raised.name}")
            raise raised.complaint from None
        finally:
            self.printed = (self.printed + prints.getvalue())[:PRINTED_LIMIT]
        self.transcript.note(label, result)
        _complain_if_odd(label, result)
        _complain_if_nan(label, result, given)
        for model, old in zip(models, before):
            changed = {name: value for name, value in _state(model).items() if not torch.equal(value, old[name])}
            if changed:
                self.transcript.note(f"{label} changed the model", changed)
        _complain_if_changed(label, signature, given, copies)
        _complain_if_switched(label, self.gradients, gradients)
        return result


def copied(value: Any) -> Any:
    """A copy of the tensors in ``value``; one that needs a gradient, and anything that is no plain data, stays itself."""
    if type(value) is Tensor and not value.requires_grad:
        return value.clone()
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(copied(item) for item in value)
    if is_record(value):
        twin = copy.copy(value)
        for name, item in fields_of(value).items():
            object.__setattr__(twin, name, copied(item))  # a frozen dataclass refuses any other way
        return twin
    return value


def check_signature(label: str, signature: inspect.Signature | None, args: tuple, kwargs: dict) -> None:
    """Complain if what has this signature cannot be called with these arguments."""
    if signature is None:
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
    seen = f"{label} returned nothing (None)" if result is None else f"{label} returned {article(result)}"
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


def _complain_if_changed(label: str, signature: inspect.Signature | None, given: Any, copies: Any) -> None:
    names = list(signature.parameters) if signature else []
    named = [
        (names[i] if i < len(names) else f"argument {i}", a, b) for i, (a, b) in enumerate(zip(given[0], copies[0]))
    ]
    named += [(key, given[1][key], copies[1][key]) for key in given[1]]
    for name, before, after in named:
        if differs(before, after):
            raise Complaint(
                f"{label} changed its argument `{name}` in place",
                rule="a function leaves its arguments as they were and returns something new",
                look_at="calls that end in _ (such as masked_fill_), +=, *=, /= and assignments into slices",
                kind="in_place",
            )


def _complain_if_switched(label: str, before: bool, after: bool) -> None:
    if before != after:
        on, off = ("on", "off") if after else ("off", "on")
        raise Complaint(
            f"{label} turned gradients {on}, and they are still {on}",
            rule=f"gradients are {off} here, and whoever wants them {on} turns them {on} for a moment",
            look_at=f"torch.set_grad_enabled({after}); `with torch.{'enable' if after else 'no'}_grad():` undoes itself at its end",
        )


def _complain_if_odd(label: str, result: Any) -> None:
    """A right answer is made of ordinary tensors: dense ones that hold numbers, in a common dtype."""
    if isinstance(result, Tensor):
        kind = odd_kind(result)
        if kind:
            raise Complaint(
                f"{label} returned {with_article(f'{kind} tensor')}",
                rule="it returns ordinary tensors: every number stored, in a common dtype",
                look_at={"sparse": ".to_dense()", "nested": "torch.stack or torch.cat"}.get(kind, "dtype= and device="),
                kind="type",
            )
    elif isinstance(result, dict):
        for item in result.values():
            _complain_if_odd(label, item)
    elif isinstance(result, (list, tuple)):
        for item in result:
            _complain_if_odd(label, item)
    elif is_record(result):
        _complain_if_odd(label, fields_of(result))


def _complain_if_nan(label: str, result: Any, given: Any) -> None:
    """No function of the course makes NaN out of numbers."""
    if isinstance(result, Tensor) and result.is_floating_point() and result.isnan().any() and not _any_nan(given):
        where = result.isnan().nonzero()[0].tolist()
        place = f", the first at {where}" if where else ""
        raise Complaint(
            f"{label} gave NaN in {int(result.isnan().sum())} of {result.numel()} places{place}",
            rule="numbers in, numbers out",
            look_at="0/0, inf - inf, inf/inf (exp of a large number), the log or root of a negative number, or a softmax over only -inf",
            kind="nan",
        )


def _any_nan(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point() and bool(value.isnan().any())
    if isinstance(value, dict):
        return any(_any_nan(item) for item in value.values())
    if is_record(value):
        return _any_nan(fields_of(value))
    return isinstance(value, (list, tuple)) and any(_any_nan(item) for item in value)


def differs(before: Any, after: Any) -> bool:
    """Whether plain data, of the kinds that `copied` copies, is no longer what it was."""
    if type(before) is Tensor:
        return before is not after and not _equal(before, after)
    if type(before) is dict:
        return before.keys() != after.keys() or any(differs(before[key], after[key]) for key in before)
    if type(before) in (list, tuple):
        return len(before) != len(after) or any(differs(x, y) for x, y in zip(before, after))
    if is_record(before):
        return differs(fields_of(before), fields_of(after))
    return False


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _models(given: Any) -> list[nn.Module]:
    return [value for value in [*given[0], *given[1].values()] if isinstance(value, nn.Module)]


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _state(model: nn.Module) -> dict[str, Tensor]:
    return frozen(dict(model.named_parameters()))


def _brief(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"tensor{list(value.shape)}"
    if isinstance(value, (bool, int, float, str)) or value is None:
        return repr(value)[:30]
    return type(value).__name__ if not isinstance(value, Handle) else "yours"


def _plain_signature(signature: inspect.Signature) -> str:
    return "(" + ", ".join(signature.parameters) + ")"


def article(value: Any) -> str:
    return with_article(type(value).__name__)


def with_article(kind: str) -> str:
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
