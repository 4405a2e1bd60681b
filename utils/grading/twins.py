"""This file knows how a worker keeps twins of the checker's objects: it builds them, and tells what became of them.

A twin has the number of the object that it stands for. What comes from the grader is trusted, so it may hold pickles.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from utils.grading.state import Snapshot, hook_counts, tensors_of
from utils.models.random_models import Restorable


class Bridges:
    """Models of TransformerLens' own architecture, built once for each configuration and lent again as they were."""

    def __init__(self) -> None:
        self.free: dict[bytes, list[Restorable]] = {}
        self.lent: list[tuple[bytes, Restorable, Any]] = []

    def prepare(self, configuration: bytes, compatibility: bool, count: int) -> None:
        """Have this many ready."""
        ready = self.free.setdefault(_key(configuration, compatibility), [])
        while len(ready) < count:
            ready.append(_built(configuration, compatibility))

    def lend(self, configuration: bytes, compatibility: bool) -> nn.Module:
        key = _key(configuration, compatibility)
        ready = self.free.setdefault(key, [])
        kept = ready.pop() if ready else None
        if kept is None or not kept.put_back():
            kept = _built(configuration, compatibility)
        self.lent.append((key, kept, kept.model.tokenizer))
        return kept.model

    def take_back(self) -> None:
        for key, kept, tokenizer in self.lent:
            kept.model.tokenizer = tokenizer
            self.free[key].append(kept)
        self.lent.clear()


class Twins:
    """The twins of one worker, by number."""

    def __init__(self, bridges: Bridges, call_back: Callable):
        self.bridges = bridges
        self.call_back = call_back
        self.by_number: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.agreed: dict[int, Any] = {}
        self.own_numbers = 0  # those of parameters that the learner's code made are negative

    def forget(self) -> None:
        """A new test begins."""
        self.by_number.clear()
        self.numbers.clear()
        self.agreed.clear()
        self.bridges.take_back()

    def number_of(self, value: Any) -> int | None:
        number = self.numbers.get(id(value))
        return number if number is not None and self.by_number[number] is value else None

    # what comes from the grader

    def learn(self, news: list, changes: list) -> None:
        """Build twins of new objects, and do what was done to known ones."""
        for kind, number, *facts in news:
            getattr(self, f"_new_{kind}")(number, *facts)
        for kind, number, *facts in changes:
            getattr(self, f"_set_{kind}")(number, *facts)

    def _add(self, number: int, twin: Any, agreed: Any = None) -> None:
        self.by_number[number], self.numbers[id(twin)] = twin, number
        if agreed is not None:
            self.agreed[number] = agreed

    def _new_tensor(self, number: int, is_parameter: bool, state: tuple) -> None:
        snapshot = Snapshot.read(state)
        twin = snapshot.value.detach().clone()
        twin = nn.Parameter(twin, requires_grad=False) if is_parameter else twin
        snapshot.put_into(twin)
        self._add(number, twin, snapshot)

    def _new_module(self, number: int, pickled: Tensor, modules: list[int]) -> None:
        self._add_modules(self._unpickled(pickled), modules)

    def _new_bridge(
        self,
        number: int,
        configuration: Tensor,
        compatibility: bool,
        modules: list[int],
        tensors: list[int],
        states: list,
    ) -> None:
        model = self.bridges.lend(_bytes(configuration), compatibility)
        if states[0][0].device.type != "cpu":
            model.to(states[0][0].device)
        for each, tensor, state in zip(tensors, tensors_of(model), states, strict=True):
            snapshot = Snapshot.read(state)
            snapshot.put_into(tensor)
            self._add(each, tensor, snapshot)
        self._add_modules(model, modules)

    def _add_modules(self, root: nn.Module, numbers: list[int]) -> None:
        for number, module in zip(numbers, root.modules(), strict=True):
            self._add(number, module, [hook_counts(module), dict(module.named_parameters(recurse=False))])

    def _new_optimizer(self, number: int, pickled: Tensor) -> None:
        self._add(number, self._unpickled(pickled))

    def _new_generator(self, number: int, state: Tensor, device: torch.device) -> None:
        self._add(number, torch.Generator(device))
        self._set_generator(number, state)

    def _new_cache(self, number: int, entries: dict[str, int], model: int | None, has_batch_axis: bool) -> None:
        from transformer_lens import ActivationCache

        tensors = {name: self.by_number[each] for name, each in entries.items()}
        self._add(number, ActivationCache(tensors, self.by_number.get(model), has_batch_dim=has_batch_axis))

    def _new_function(self, number: int, name: str) -> None:
        def of_the_checker(*args: Any, **kwargs: Any) -> Any:
            return self.call_back(number, args, kwargs)

        of_the_checker.__name__ = of_the_checker.__qualname__ = name
        self._add(number, of_the_checker)

    def _set_tensor(self, number: int, state: tuple) -> None:
        snapshot = Snapshot.read(state)
        snapshot.put_into(self.by_number[number])
        self.agreed[number] = snapshot

    def _set_generator(self, number: int, state: Tensor) -> None:
        self.by_number[number].set_state(state.clone())
        self.agreed[number] = state

    def _set_chance(self, number: int, state: Tensor) -> None:
        """The global random state."""
        torch.set_rng_state(state.clone())

    def _set_training(self, number: int, training: bool) -> None:
        self.by_number[number].training = training

    def _set_tokenizer(self, number: int, pickled: Tensor) -> None:
        self.by_number[number].tokenizer = self._unpickled(pickled)

    def _set_groups(self, number: int, groups: list[dict]) -> None:
        for group, facts in zip(self.by_number[number].param_groups, groups, strict=True):
            group.update(facts)

    def _set_hook(self, number: int, kind: str, key: int, function: int | None) -> None:
        module = self.by_number[number]
        hooks, key = vars(module)[kind], -key - 1  # no hook of the learner's has a negative key
        if function is None:
            hooks.pop(key, None)
        else:
            hooks[key] = self.by_number[function]
        self.agreed[number][0] = hook_counts(module)

    def _unpickled(self, pickled: Tensor) -> Any:
        return _Unpickler(io.BytesIO(_bytes(pickled)), self.by_number.__getitem__).load()

    # what goes back

    def changes(self) -> list[tuple]:
        """What the learner's code has done to the twins since both ends last agreed."""
        found = []
        for number, agreed in list(self.agreed.items()):
            twin = self.by_number[number]
            if isinstance(twin, Tensor):
                if not agreed.still_holds(twin):
                    self.agreed[number] = Snapshot.of(twin)
                    found.append(("tensor", number, self.agreed[number].sent))
            elif isinstance(twin, torch.Generator):
                state = twin.get_state()
                if not torch.equal(state, agreed):
                    self.agreed[number] = state
                    found.append(("generator", number, state))
            else:
                found += self._changes_of_module(number, twin, agreed)
        return found

    def _changes_of_module(self, number: int, module: nn.Module, agreed: list) -> list[tuple]:
        found = []
        counts, parameters = hook_counts(module), dict(module.named_parameters(recurse=False))
        if counts != agreed[0]:
            agreed[0] = counts
            found.append(("hooks", number, *counts))
        if parameters.keys() == agreed[1].keys() and all(
            value is agreed[1][name] for name, value in parameters.items()
        ):
            return found
        for name, value in parameters.items():
            if value is not agreed[1].get(name):
                self.own_numbers -= 1
                snapshot = Snapshot.of(value)
                self._add(self.own_numbers, value, snapshot)
                found.append(("parameter", number, name, self.own_numbers, snapshot.sent))
        found += [("parameter", number, name, 0, None) for name in agreed[1] if name not in parameters]
        agreed[1] = parameters
        return found


class _Unpickler(pickle.Unpickler):
    """Reads what the mirror's `_Pickler` wrote: in place of a number comes what has it."""

    def __init__(self, stream: io.BytesIO, numbered: Callable[[int], Any]):
        super().__init__(stream)
        self.numbered = numbered

    def persistent_load(self, number: int) -> Any:
        return self.numbered(number)


def _built(configuration: bytes, compatibility: bool) -> Restorable:
    from transformer_lens import TransformerBridge

    from utils.models.loading import quietly

    with quietly(), torch.random.fork_rng(devices=[]):
        model = TransformerBridge.boot_native(pickle.loads(configuration), device="cpu")
        if compatibility:
            model.enable_compatibility_mode(disable_warnings=True, no_processing=True)
        model.eval()
        return Restorable(model)


def _key(configuration: bytes, compatibility: bool) -> bytes:
    return configuration + bytes([compatibility])


def _bytes(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()
