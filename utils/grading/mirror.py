"""This file knows how a grader shows the checker's objects to a worker, and lets what the worker did to them happen here.

A module, an optimizer, a generator, a cache or a function of the checker gets a number, under which the worker keeps a
twin. With every message goes what has changed since the last; all of it is put back when the test is over.
"""

from __future__ import annotations

import inspect
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from utils.checking.transcript import fields_of, is_record
from utils.grading.state import Snapshot, hooks_of, tensors_of
from utils.grading.wire import BadMessage, Writer


class Mirror:
    """The objects that one test has shown to a worker."""

    def __init__(self) -> None:
        self.count = 0
        self.begin()

    def begin(self) -> None:
        """A new test: nothing has been shown yet."""
        self.by_number: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.agreed: dict[int, Any] = {}
        self.news: list[tuple] = []
        self.functions: set[int] = set()  # the numbers that a worker may call
        self.bridges: dict[tuple[bytes, bool], int] = {}  # how many models of each configuration were shown
        self.chance: Tensor | None = None  # the global random state that both ends know
        self.tampered: set[str] = (
            set()
        )  # with what kinds of things the worker meddled, as seen when a call had returned
        self._undo: list[Callable[[], None]] = []
        self._before: dict[int, Snapshot] = {}
        self._replaced = False
        self._left: dict[int, list[list]] = {}

    def end(self) -> None:
        """Take back everything that the worker's messages did to the checker's objects."""
        for undo in reversed(self._undo):
            undo()
        self.begin()

    # showing

    def number(self, value: Any) -> int | None:
        """The number of an object of a kind that is shown, not sent; new ones are written down. None for other kinds."""
        known = self.numbers.get(id(value))
        if known is not None:
            return known
        if isinstance(value, nn.Module):
            return self._show_module(value)
        if isinstance(value, Tensor):
            return self._show_tensor(value) if value.requires_grad or isinstance(value, nn.Parameter) else None
        if isinstance(value, torch.Generator):
            return self._add(value, "generator", value.get_state(), value.device, agreed=value.get_state())
        if isinstance(value, torch.optim.Optimizer):
            pickled = self._pickled(value)
            return self._add(value, "optimizer", pickled, agreed=_groups(value))
        if type(value).__name__ == "ActivationCache":
            return self._show_cache(value)
        if callable(value) and not isinstance(value, type):
            number = self._add(value, "function", getattr(value, "__name__", type(value).__name__))
            self.functions.add(number)
            return number
        return None

    def _add(self, value: Any, kind: str, *facts: Any, agreed: Any = None, number: int | None = None) -> int:
        number = self._keep(value, agreed, number)
        self.news.append((kind, number, *facts))
        return number

    def _keep(self, value: Any, agreed: Any = None, number: int | None = None) -> int:
        if number is None:
            self.count += 1
            number = self.count
        self.by_number[number], self.numbers[id(value)] = value, number
        if agreed is not None:
            self.agreed[number] = agreed
        return number

    def _show_tensor(self, tensor: Tensor) -> int:
        snapshot = Snapshot.of(tensor)
        return self._add(tensor, "tensor", isinstance(tensor, nn.Parameter), snapshot.sent, agreed=snapshot)

    def _show_module(self, module: nn.Module) -> int:
        native = type(getattr(module, "original_model", None)).__name__ == "NativeModel"
        modules = list(module.modules())
        if native:
            key = pickle.dumps(module.cfg), bool(module.compatibility_mode)
            self.bridges[key] = self.bridges.get(key, 0) + 1
            tensors = tensors_of(module)
            snapshots = [Snapshot.of(tensor) for tensor in tensors]
            numbers = [self._keep(tensor, snapshot) for tensor, snapshot in zip(tensors, snapshots)]
            facts = (_as_tensor(key[0]), key[1])
            more = (numbers, [snapshot.sent for snapshot in snapshots])
        else:
            for tensor in tensors_of(module):
                if id(tensor) not in self.numbers:
                    self._show_tensor(tensor)
            facts, more = (self._pickled(module),), ()
        members = [self._keep(each, [set() if native else set(hooks_of(each)), each.training]) for each in modules]
        self.news.append(("bridge" if native else "module", members[0], *facts, members, *more))
        if native:
            self.agreed[members[0]].append(None)  # a tokenizer is told as a change
        return members[0]

    def _show_cache(self, cache: Any) -> int:
        model = self.number(cache.model) if isinstance(cache.model, nn.Module) else None
        entries = {}
        for name, tensor in cache.cache_dict.items():
            entries[name] = self.numbers.get(id(tensor)) or self._show_tensor(tensor)
        return self._add(cache, "cache", entries, model, bool(cache.has_batch_dim))

    def _pickled(self, value: Any) -> Tensor:
        """A pickle in which all that is shown is a number. Only the worker unpickles it."""
        stream = io.BytesIO()
        _Pickler(stream, lambda part: self._number_inside(value, part)).dump(value)
        return _as_tensor(stream.getvalue())

    def _number_inside(self, whole: Any, part: Any) -> int | None:
        if part is whole or isinstance(whole, nn.Module) and isinstance(part, nn.Module):
            return None
        if isinstance(part, Tensor):
            return self.numbers.get(id(part)) or self._show_tensor(part)
        if isinstance(part, (nn.Module, torch.Generator)) or inspect.isfunction(part) and not _importable(part):
            return self.number(part)
        return None

    def special(self, value: Any) -> dict | None:
        """How a `Writer` writes what is no plain data."""
        number = self.number(value)
        if number is not None:
            return {"x": number}
        if is_record(value):
            kind = type(value)
            return {"record": [kind.__module__, kind.__qualname__, *self._fields(value)]}
        if type(value).__name__ == "FactoredMatrix":
            return {"factored": [self.writer.tree(value.A), self.writer.tree(value.B)]}
        if isinstance(value, Iterator):
            return {"iterator": self.writer.tree(list(value))}
        if isinstance(value, (Tensor, list, tuple, dict, set, frozenset, torch.dtype, torch.device, slice)):
            return None
        return {"pickle": self.writer.tree(self._pickled(value))}

    def _fields(self, record: Any) -> list:
        return [[name, self.writer.tree(item)] for name, item in fields_of(record).items()]

    def writing(self) -> Writer:
        """A writer for the next message."""
        self.writer = Writer(self.special)
        return self.writer

    # telling what the checker has done

    def changes(self) -> list[tuple]:
        """What the checker has done to its objects, and to the global random state, since both ends last agreed."""
        found: list[tuple] = []
        chance = torch.get_rng_state()
        if self.chance is None or not torch.equal(chance, self.chance):
            self.chance = chance
            found.append(("chance", 0, chance))
        new = {facts[1] for facts in self.news}
        for number, agreed in list(self.agreed.items()):
            thing = self.by_number[number]
            if isinstance(thing, Tensor):
                if not agreed.still_holds(thing):
                    self.agreed[number] = Snapshot.of(thing)
                    found.append(("tensor", number, self.agreed[number].sent))
            elif isinstance(thing, torch.Generator):
                state = thing.get_state()
                if not torch.equal(state, agreed):
                    self.agreed[number] = state
                    found.append(("generator", number, state))
            elif isinstance(thing, torch.optim.Optimizer):
                if _groups(thing) != agreed and number not in new:
                    self.agreed[number] = _groups(thing)
                    found.append(("groups", number, self.agreed[number]))
            else:
                found += self._changes_of_module(number, thing, agreed)
        return found

    def _changes_of_module(self, number: int, module: nn.Module, agreed: list) -> list[tuple]:
        found: list[tuple] = []
        if module.training != agreed[1]:
            agreed[1] = module.training
            found.append(("training", number, module.training))
        if len(agreed) > 2 and module.tokenizer is not agreed[2]:
            agreed[2] = module.tokenizer
            found.append(("tokenizer", number, self._pickled(module.tokenizer)))
        hooks = {} if hasattr(module, "fwd_hooks") else hooks_of(module)
        if hooks.keys() != agreed[0]:
            found += [("hook", number, *key, self.number(hook)) for key, hook in hooks.items() if key not in agreed[0]]
            found += [("hook", number, *key, None) for key in agreed[0] - hooks.keys()]
            agreed[0] = set(hooks)
        return found

    # letting happen what the worker did

    def apply(self, changes: Any) -> None:
        """Do to the checker's objects what a message says; BadMessage if it says what cannot be."""
        if type(changes) is not list:
            raise BadMessage("the changes are no list")
        for change in changes:
            if type(change) is not tuple or len(change) < 3 or type(change[0]) is not str or type(change[1]) is not int:
                raise BadMessage("a change is not (kind, number, facts)")
            kind, number, *facts = change
            thing = self.by_number.get(number)
            try:
                if kind == "tensor" and isinstance(thing, Tensor):
                    self._apply_tensor(number, thing, *facts)
                elif kind == "generator" and isinstance(thing, torch.Generator):
                    thing.set_state(facts[0])
                    self.agreed[number] = thing.get_state()
                elif kind == "hooks" and isinstance(thing, nn.Module):
                    self._apply_hooks(number, thing, *facts)
                elif kind == "parameter" and isinstance(thing, nn.Module):
                    self._apply_parameter(thing, *facts)
                else:
                    raise ValueError(f"there is no {kind[:20]!r} of number {number}")
            except (ValueError, TypeError, RuntimeError, LookupError, AttributeError, OverflowError) as error:
                raise BadMessage(f"a change cannot be made: {' '.join(str(error).split())[:200]}") from None

    def _apply_tensor(self, number: int, tensor: Tensor, state: Any) -> None:
        snapshot = Snapshot.read(state)
        if number not in self._before:
            before = self._before[number] = Snapshot.of(tensor)
            self._undo.append(lambda: before.put_into(tensor))
        snapshot.put_into(tensor)
        self.agreed[number] = Snapshot.of(tensor)

    def _apply_hooks(self, number: int, module: nn.Module, forward: Any, backward: Any) -> None:
        """A hook that was left there is only counted here: it does nothing when the checker runs its module."""
        left = self._left.setdefault(number, [[], []])
        if not left[0] and not left[1]:
            self._undo.append(lambda: [each.remove() for each in left[0] + left[1]])
        now = _counts(module)
        for handles, wanted, have, direction in zip(left, (forward, backward), now, ("forward", "backward")):
            if type(wanted) is not int or not 0 <= wanted <= 10_000:
                raise ValueError("a number of hooks is no number")
            handles += [_idle_hook(module, direction) for _ in range(wanted - have)]
            for _ in range(min(have - wanted, len(handles))):
                handles.pop().remove()
        self.agreed[number][0] = set() if hasattr(module, "fwd_hooks") else set(hooks_of(module))

    def look(self) -> None:
        """A call has returned: write down which of the checker's objects are no longer what they were."""
        torch.rand(())  # the global random numbers have gone on there; so a seed that is set again is seen to be set
        self.chance = torch.get_rng_state()
        for number, before in self._before.items():
            thing = self.by_number[number]
            if thing.shape != before.value.shape or not torch.equal(thing, before.value.to(thing)):
                self.tampered.add("weights" if isinstance(thing, nn.Parameter) else "activations")
        if self._replaced:
            self.tampered.add("weights")
        if any(forward or backward for forward, backward in self._left.values()):
            self.tampered.add("hooks")

    def _apply_parameter(self, module: nn.Module, name: Any, number: Any, state: Any) -> None:
        self._replaced = True
        before = dict(module.named_parameters(recurse=False))
        if type(name) is not str or not name.isidentifier() or hasattr(module, name) and name not in before:
            raise ValueError("a parameter has a name that none can have")
        if name in before:
            self._undo.append(lambda: setattr(module, name, before[name]))
        else:
            self._undo.append(lambda: module._parameters.pop(name, None))
        if state is None:
            module._parameters[name] = None
            return
        if type(number) is not int or number >= 0 or number in self.by_number:
            raise ValueError("a new parameter has a number that none can have")
        snapshot = Snapshot.read(state)
        made = nn.Parameter(snapshot.value.detach().clone(), requires_grad=snapshot.needs_gradient)
        snapshot.put_into(made)
        module._parameters[name] = made
        self._keep(made, snapshot, number)


class _Pickler(pickle.Pickler):
    """Writes a number in place of what has one; a method, since a pickler of Python 3.13 takes no attribute for it."""

    def __init__(self, stream: io.BytesIO, number_of: Callable[[Any], int | None]):
        super().__init__(stream, protocol=pickle.HIGHEST_PROTOCOL)
        self.number_of = number_of

    def persistent_id(self, part: Any) -> int | None:
        return self.number_of(part)


class _Idle:
    """A hook on a module that is no hook point."""

    def __init__(self, handle: Any):
        self.remove = handle.remove


def _idle_hook(module: nn.Module, direction: str) -> Any:
    if not hasattr(module, "fwd_hooks"):
        return _Idle(module.register_forward_hook(_do_nothing))
    listed = module.fwd_hooks if direction == "forward" else module.bwd_hooks
    module.add_hook(_do_nothing_at_a_point, dir="fwd" if direction == "forward" else "bwd")
    made = listed[-1]

    class Handle:
        @staticmethod
        def remove() -> None:
            made.hook.remove()
            if made in listed:
                listed.remove(made)

    return Handle


def _do_nothing(module: nn.Module, given: Any, result: Any) -> None:
    return None


def _do_nothing_at_a_point(value: Any, hook: Any) -> None:
    return None


def _counts(module: nn.Module) -> tuple[int, int]:
    from utils.grading.state import hook_counts

    return hook_counts(module)


def _groups(optimizer: torch.optim.Optimizer) -> list[dict]:
    return [{name: fact for name, fact in group.items() if name != "params"} for group in optimizer.param_groups]


def _importable(function: Callable) -> bool:
    return "<" not in function.__qualname__ and function.__module__.split(".")[0] in (
        "torch",
        "transformer_lens",
        "utils",
    )


def _as_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
