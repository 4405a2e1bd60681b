"""This file knows how to make random choices that are quick and that one `torch.Generator` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")


class Chooser:
    """Draws from `generator` in blocks, since one call of torch per choice would take most of the time.

    A block may be left unfinished: a second `Chooser` on the same generator begins with fresh numbers.
    """

    def __init__(self, generator: torch.Generator, block: int = 512):
        self._generator = generator
        self._block = block
        self._numbers: list[float] = []

    def number(self) -> float:
        """A number from 0 up to, and not including, 1."""
        if not self._numbers:
            self._numbers = torch.rand(self._block, generator=self._generator, dtype=torch.float64).tolist()
        return self._numbers.pop()

    def chance(self, probability: float) -> bool:
        return self.number() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.number() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.number() * len(options))]

    def distinct(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options, in random order."""
        if count > len(options):
            raise ValueError(f"cannot pick {count} different options out of {len(options)}")
        taken: dict[int, None] = {}
        while len(taken) < count:
            taken[int(self.number() * len(options))] = None
        return [options[index] for index in taken]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One key, as often as its weight says."""
        rest = self.number() * sum(weights.values())
        for option, weight in weights.items():
            rest -= weight
            if rest < 0:
                return option
        return option
