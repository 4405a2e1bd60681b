"""This file knows how to draw test inputs that are the same on every device."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Draw:
    """Numbers from one fixed generator: drawn on the CPU, then moved, so that CPU and GPU see the same values."""

    def __init__(self, device: torch.device, *, seed: int = 0, name: str = ""):
        self.device = device
        digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
        self._generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def normal(self, *shape: int, mean: float = 0.0, std: float = 1.0) -> Float[Tensor, "..."]:
        return (torch.randn(*shape, generator=self._generator) * std + mean).to(self.device)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "..."]:
        return (torch.rand(*shape, generator=self._generator) * (high - low) + low).to(self.device)

    def integers(self, low: int, high: int, shape: tuple[int, ...] | int = ()) -> Int[Tensor, "..."]:
        """Whole numbers from ``low`` up to, but not including, ``high``."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        return torch.randint(low, high, shape, generator=self._generator).to(self.device)

    def permutation(self, n: int) -> Int[Tensor, "n"]:
        return torch.randperm(n, generator=self._generator).to(self.device)

    def generator(self) -> torch.Generator:
        """A fresh CPU generator, for functions that take one."""
        seed = int(torch.randint(0, 2**31, (), generator=self._generator))
        return torch.Generator().manual_seed(seed)
