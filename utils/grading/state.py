"""This file knows what of a tensor or a module both ends of the pipe keep equal: values, gradients and hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

HOOKS = ("_forward_pre_hooks", "_forward_hooks")


@dataclass
class Snapshot:
    """What a tensor was when both ends last agreed about it."""

    value: Tensor
    needs_gradient: bool
    gradient: Tensor | None
    gradient_on_graph: bool = False

    @classmethod
    def of(cls, tensor: Tensor) -> Snapshot:
        gradient = tensor.grad if tensor.is_leaf else None
        copied = None if gradient is None else gradient.detach().clone()
        on_graph = gradient is not None and gradient.requires_grad
        return cls(tensor.detach().clone(), tensor.requires_grad and tensor.is_leaf, copied, on_graph)

    @classmethod
    def read(cls, content: Any) -> Snapshot:
        """From what `sent` made of one; ValueError if it is something else."""
        if type(content) is not tuple or len(content) != 4:
            raise ValueError(
                "a tensor's state has other parts than value, needs a gradient, gradient, is that on a graph"
            )
        value, needs_gradient, gradient, on_graph = content
        fitting = (
            gradient is None
            or isinstance(gradient, Tensor)
            and isinstance(value, Tensor)
            and gradient.shape == value.shape
        )
        if not isinstance(value, Tensor) or not fitting or {type(needs_gradient), type(on_graph)} != {bool}:
            raise ValueError("a tensor's state is not made of a tensor, truth values and a gradient of the same shape")
        continuous = value.is_floating_point() or value.is_complex()
        return cls(value, needs_gradient and continuous, gradient, on_graph and continuous)

    @property
    def sent(self) -> tuple:
        return self.value, self.needs_gradient, self.gradient, self.gradient_on_graph

    def still_holds(self, tensor: Tensor) -> bool:
        gradient = tensor.grad if tensor.is_leaf else None
        return (
            (tensor.requires_grad and tensor.is_leaf) == self.needs_gradient
            and _equal(tensor, self.value)
            and (gradient is None) == (self.gradient is None)
            and (gradient is None or _equal(gradient, self.gradient))
            and (gradient is not None and gradient.requires_grad) == self.gradient_on_graph
        )

    def put_into(self, tensor: Tensor) -> None:
        """Make a tensor what this says, in place where that is possible."""
        with torch.no_grad():
            if tensor.shape == self.value.shape and tensor.dtype == self.value.dtype:
                tensor.detach().copy_(self.value)
            else:
                tensor.data = self.value.detach().clone().to(tensor.device)
        if tensor.is_leaf:
            tensor.requires_grad_(self.needs_gradient)
            tensor.grad = None if self.gradient is None else self.gradient.detach().clone().to(tensor)
            if self.gradient_on_graph and tensor.grad is not None:
                tensor.grad.requires_grad_()


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def tensors_of(module: nn.Module) -> list[Tensor]:
    """Every parameter and buffer once, in an order that two modules of the same make share."""
    return [*module.parameters(), *module.buffers()]


def hooks_of(module: nn.Module) -> dict[tuple[str, int], Callable]:
    """The hooks on a module, each with the dictionary it is in and its key; not those that TransformerLens itself wires."""
    return {
        (kind, key): hook
        for kind in HOOKS
        for key, hook in vars(module)[kind].items()
        if not str(getattr(hook, "__module__", "")).startswith("transformer_lens")
    }


def hook_counts(module: nn.Module) -> tuple[int, int]:
    """How many hooks there are that run forward and backward, on a hook point or on any other module."""
    if hasattr(module, "fwd_hooks"):
        return len(module.fwd_hooks), len(module.bwd_hooks)
    return len(hooks_of(module)), 0
