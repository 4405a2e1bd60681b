"""This file knows how a checker meets a learner's object: through a handle, never by holding the object itself.

What crosses the border is data: tensors, numbers, strings, configurations, handles and course models. So the same
checker works when the object lives behind a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from utils.checking.border import Border, Handle, complain_about_kind, with_article
from utils.checking.complaints import Complaint
from utils.checking.exceptions import explain_exception

# what a backward pass that a learner wrote may raise, beside PyTorch's RuntimeError
OF_LEARNERS = (ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)


class FunctionHandle(Handle):
    """A learner's function, as a checker sees it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; tensors that come back are plain data (detached)."""
        result = detached(self._border.call(self._name, self._held, args, kwargs))
        complain_about_kind(self._name, result, self._returns)
        return result

    def gradients(self, *args: Any, upstream: Tensor | None = None, **kwargs: Any) -> list[Tensor]:
        """Gradients of the (scalar or ``upstream``-weighted) result with respect to each floating tensor argument, in order."""
        leaves = [arg.detach().clone().requires_grad_() if _is_float(arg) else arg for arg in args]
        result = self._border.call(self._name, self._held, tuple(leaves), kwargs)
        inputs = {f"argument {place}": leaf for place, leaf in enumerate(leaves) if _is_float(leaf)}
        return list(_gradients(self._name, result, upstream, inputs, self._border).values())

    def parameter_gradients(self, model: nn.Module, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Gradients of the (scalar) result with respect to each parameter of ``model``, the first argument, by name."""
        result = self._border.call(self._name, self._held, (model, *args), kwargs)
        return _gradients(self._name, result, None, dict(model.named_parameters()), self._border)


class ClassHandle(Handle):
    """A learner's class, as a checker sees it: calling it builds an instance on the border's device."""

    def __call__(self, *args: Any, **kwargs: Any) -> ModuleHandle | ObjectHandle:
        instance = self._border.call(self._name, self._held, args, kwargs)
        if self._border.side.is_module(instance):
            self._border.side.move(instance, self._border.device)
            return ModuleHandle(self._name, instance, self._border, self._returns)
        return ObjectHandle(self._name, instance, self._border)


class ObjectHandle(Handle):
    """An instance of a learner's class that is no module: its methods are called through here, its attributes read with ``attr``."""

    def attr(self, attribute: str) -> Any:
        """The value of an attribute or property; a number or tensor is recorded and detached."""
        side = self._border.side
        if not side.has_attribute(self._held, attribute):
            raise Complaint(f"{self._name} has no attribute `{attribute}`", kind="missing")
        return detached(self._border.call(f"{self._name}.{attribute}", side.getter(self._held, attribute), (), {}))

    def __len__(self) -> int:
        return self._method("__len__")()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = detached(self._border.call(self._name, self._held, args, kwargs))
        complain_about_kind(self._name, result, self._returns)
        return result

    def __getattr__(self, method: str) -> Callable:
        if method.startswith("_"):
            raise AttributeError(method)
        return self._method(method)

    def _method(self, method: str) -> Callable:
        bound = self._border.side.method(self._held, method)
        label = f"{self._name}.{method}"
        if bound is None:
            raise Complaint(f"{self._name} has no method `{method}`", kind="missing")
        return lambda *args, **kwargs: detached(self._border.call(label, bound, args, kwargs))


class ModuleHandle(ObjectHandle):
    """An instance of a learner's ``nn.Module``: load weights into it, run it, read its parameters and gradients."""

    def load(self, weights: dict[str, Tensor], *, strict: bool = True) -> ModuleHandle:
        """Put copies of ``weights`` into the parameters of these names; complain about missing, mis-shaped and left-over ones."""
        side = self._border.side
        parameters = side.parameters(self._held)
        own = parameters | side.buffers(self._held)
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
        extra = [name for name in parameters if name not in weights]
        if strict and extra:
            raise Complaint(
                f"{self._name} has parameters that the course's does not have: {', '.join(extra)}",
                look_at="__init__",
                kind="type",
            )
        side.load(self._held, weights)
        return self

    def parameters(self) -> dict[str, Tensor]:
        """Copies of the parameters by name."""
        copies = {name: value.detach().clone() for name, value in self._parameters().items()}
        self._border.transcript.note(f"{self._name}.parameters", copies)
        return copies

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {name: tuple(value.shape) for name, value in self._parameters().items()}
        self._border.transcript.note(f"{self._name}.parameter_shapes", shapes)
        return shapes

    def double(self) -> ModuleHandle:
        """The same module in float64."""
        self._border.side.double(self._held)
        return self

    def backward(self, *args: Any, upstream: Tensor | tuple[Tensor, ...]) -> Tensor | None:
        """Run forward, send ``upstream`` back, return the gradient of the first floating argument (None if there is none).

        Where forward returns a tuple, ``upstream`` is one too.
        """
        side = self._border.side
        side.zero_grad(self._held)
        leaves = [arg.detach().clone().requires_grad_() if _is_float(arg) else arg for arg in args]
        result = self._border.call(self._name, self._held, tuple(leaves), {})
        inputs = {f"argument {place}": leaf for place, leaf in enumerate(leaves) if _is_float(leaf)}
        parameters = {name: value for name, value in self._parameters().items() if value.requires_grad}
        grads = _gradients(self._name, result, upstream, inputs | parameters, self._border)
        side.set_gradients(self._held, {name: grads[name] for name in parameters})
        return next((grads[name] for name in inputs), None)

    def grads(self) -> dict[str, Tensor]:
        """The parameters' gradients after ``backward``."""
        return {name: value.grad.clone() for name, value in self._parameters().items() if value.grad is not None}

    def _parameters(self) -> dict[str, Tensor]:
        return self._border.side.parameters(self._held)


def handle(name: str, value: Any, border: Border, returns: str = "") -> Any:
    """The handle through which a checker meets ``value``, the learner's object called ``name``.

    ``returns`` is the annotation of what the course's own function, or module, of that name returns.
    """
    kind, type_name = border.side.describe(value)
    if kind == "autograd function":
        return FunctionHandle(f"{name}.apply", border.side.apply(value), border, returns)
    if kind == "class":
        return ClassHandle(name, value, border, returns)
    if kind == "function":
        return FunctionHandle(name, value, border, returns)
    raise Complaint(f"{name} is {with_article(type_name)}, not a function or a class", kind="type")


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


def _gradients(
    name: str, result: Any, upstream: Tensor | tuple[Tensor, ...] | None, leaves: dict[str, Tensor], border: Border
) -> dict[str, Tensor]:
    several = isinstance(upstream, tuple)
    if several:
        _expect_shapes(name, result, upstream)
    given = result if several else (result,)
    if not any(isinstance(each, Tensor) and each.requires_grad for each in given):
        raise Complaint(
            f"no gradient flows through {name}",
            rule="training needs a gradient from the result back to the inputs and parameters",
            look_at="detach(), .data, .item(), torch.no_grad() or a new tensor made from numbers",
        )
    if not several and upstream is not None and upstream.shape != result.shape:
        raise Complaint(f"{name} gave shape {list(result.shape)}, {list(upstream.shape)} is right", kind="type")
    try:
        grads = border.side.gradients(result, upstream, list(leaves.values()))
    except OF_LEARNERS as error:
        raise explain_exception(f"the backward pass of {name}", error) from None
    named = {key: torch.zeros_like(leaves[key]) if grad is None else grad for key, grad in zip(leaves, grads)}
    border.transcript.note(f"gradients of {name}", named)
    return named


def _expect_shapes(name: str, results: Any, upstream: tuple[Tensor, ...]) -> None:
    kinds = isinstance(results, tuple) and len(results) == len(upstream)
    if not kinds or any(not isinstance(r, Tensor) or r.shape != up.shape for r, up in zip(results, upstream)):
        shapes = ", ".join(str(list(up.shape)) for up in upstream)
        raise Complaint(f"{name} did not give a tuple of tensors {shapes}", kind="type")


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
