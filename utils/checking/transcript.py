"""This file knows how to write down what a learner's object gave back, and whether two such records are the same."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

OPAQUE = re.compile(r"<[\w ]+>|raised \w+")  # how an object without values, and an exception, are written down
COMMON_DTYPES = (
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128,
    torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool,
)  # fmt: skip


@dataclass
class Transcript:
    """Everything that came back across the border between a checker and one submission during one test."""

    entries: list[tuple[str, Any]] = field(default_factory=list)

    def note(self, label: str, value: Any) -> None:
        self.entries.append((label, frozen(value)))

    @property
    def tells_something(self) -> bool:
        """False if nothing but exceptions and objects without values came back."""
        return any(_has_values(value) for _, value in self.entries)

    def equals(self, other: Transcript) -> bool:
        """True if both hold the same calls with the same values, up to rounding."""
        return len(self.entries) == len(other.entries) and all(
            mine[0] == theirs[0] and alike(mine[1], theirs[1]) for mine, theirs in zip(self.entries, other.entries)
        )


def frozen(value: Any) -> Any:
    """A copy of plain data that later in-place changes do not reach; anything else is kept by the name of its type."""
    if isinstance(value, Tensor):
        kind = odd_kind(value)
        return f"<{kind} tensor>" if kind else value.detach().clone()
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [frozen(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if is_record(value):
        return frozen(fields_of(value))
    if type(value).__name__ == "FactoredMatrix":  # TransformerLens', which is slow to import
        return frozen(value.AB)
    return f"<{type(value).__name__}>"


def odd_kind(tensor: Tensor) -> str:
    """What keeps a tensor from being compared number by number, such as `sparse`; nothing for an ordinary one."""
    if tensor.is_nested:
        return "nested"
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_meta:
        return "meta"
    return "" if tensor.dtype in COMMON_DTYPES else str(tensor.dtype).removeprefix("torch.")


def is_record(value: Any) -> bool:
    """Whether this is an instance of a dataclass, such as the prompts of chapter 4: data with names."""
    return is_dataclass(value) and not isinstance(value, type)


def fields_of(record: Any) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record) if hasattr(record, each.name)}


def _has_values(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_values(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_values(item) for item in value)
    return isinstance(value, (Tensor, bool, int, float)) or isinstance(value, str) and not OPAQUE.match(value)


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape:
            return False
        if a.is_floating_point() or a.is_complex() or b.is_floating_point() or b.is_complex():
            wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
            return torch.allclose(a.to(wide), b.to(a.device, wide), atol=1e-5, rtol=1e-3, equal_nan=True)
        return torch.equal(a, b.to(a.device))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-5) or (a != a and b != b)
    return type(a) is type(b) and a == b
