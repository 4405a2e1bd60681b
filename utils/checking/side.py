"""This file knows what a checker's process does with a learner's objects when they live in it, as in a notebook.

A grader has these objects behind a pipe; `utils/grading/remote.py` offers the same operations there. All judgement stays
with the checker: an operation only does what it is asked to and hands out what came of it.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn

from utils.checking.complaints import Complaint
from utils.checking.exceptions import explain_exception, unwritten


class Raised(Exception):
    """The learner's code raised something of this name; the complaint says what in words."""

    def __init__(self, name: str, complaint: Complaint):
        super().__init__(name)
        self.name = name
        self.complaint = complaint


class Here:
    """The learner's side in this process: what is held are the objects themselves."""

    def begin(self, test: str, objects: tuple[str, ...]) -> None:
        """A test starts that uses these objects."""

    def end(self) -> None:
        """The test is over."""

    # functions and classes

    def describe(self, held: Any) -> tuple[str, str]:
        """Its kind (``autograd function``, ``class``, ``function`` or ``value``), and the name of its type."""
        if inspect.isclass(held):
            return "autograd function" if issubclass(held, torch.autograd.Function) else "class", "type"
        return "function" if callable(held) else "value", type(held).__name__

    def signature(self, target: Callable) -> inspect.Signature | None:
        """What it can be called with; None if Python does not know."""
        try:
            return inspect.signature(target.forward if isinstance(target, nn.Module) else target)
        except (TypeError, ValueError):
            return None

    def apply(self, held: Any) -> Callable:
        """How an autograd function is called."""
        return held.apply

    def call(
        self, label: str, target: Callable, args: list, kwargs: dict, prints: StringIO, gradients: bool = True
    ) -> tuple[Any, bool]:
        """Call it, with gradients on or off; what it gives, and whether gradients are on when it returns.

        ``Raised`` if it raises. What it changes in place, it changes in ``args``.
        """
        try:
            with contextlib.redirect_stdout(prints), torch.set_grad_enabled(gradients):
                return target(*args, **kwargs), torch.is_grad_enabled()
        except Complaint:
            raise  # a checker's own function, called from there
        except (Exception, SystemExit) as error:
            complaint = unwritten(error) or explain_exception(label, error, target)
            raise Raised(type(error).__name__, complaint) from None

    def gradients(
        self, result: Tensor | tuple[Tensor, ...], upstream: Tensor | tuple[Tensor, ...] | None, leaves: list[Tensor]
    ) -> list[Tensor | None]:
        """Gradients of what the last call gave with respect to arguments of that call, or parameters, of any module."""
        if isinstance(upstream, tuple):  # several results as one vector, and what is sent back to them as another
            result = torch.cat([each.flatten() for each in result])
            upstream = torch.cat([each.flatten() for each in upstream])
        return list(torch.autograd.grad(result, leaves, grad_outputs=upstream, allow_unused=True))

    # instances of a learner's class

    def has_attribute(self, held: Any, name: str) -> bool:
        own = vars(held) if hasattr(held, "__dict__") else {}
        return name in own or inspect.getattr_static(held, name, None) is not None

    def getter(self, held: Any, name: str) -> Callable:
        """What gives the value of an attribute when it is called."""
        return lambda: getattr(held, name)

    def method(self, held: Any, name: str) -> Callable | None:
        bound = getattr(held, name, None)
        return bound if callable(bound) else None

    # modules

    def is_module(self, held: Any) -> bool:
        return isinstance(held, nn.Module)

    def move(self, held: nn.Module, device: torch.device) -> None:
        held.to(device)

    def double(self, held: nn.Module) -> None:
        held.double()

    def parameters(self, held: nn.Module) -> dict[str, Tensor]:
        return dict(held.named_parameters())

    def buffers(self, held: nn.Module) -> dict[str, Tensor]:
        return dict(held.named_buffers())

    def load(self, held: nn.Module, weights: dict[str, Tensor]) -> None:
        """Copy these values into the parameters and buffers of these names."""
        own = self.parameters(held) | self.buffers(held)
        with torch.no_grad():
            for name, value in weights.items():
                own[name].copy_(value)

    def zero_grad(self, held: nn.Module) -> None:
        held.zero_grad()

    def set_gradients(self, held: nn.Module, gradients: dict[str, Tensor]) -> None:
        own = self.parameters(held)
        for name, value in gradients.items():
            own[name].grad = value


HERE = Here()
