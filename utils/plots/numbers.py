"""This file knows how to turn tensors, arrays and lists into small arrays that a figure can carry."""

from __future__ import annotations

from typing import Any

import numpy as np


def significant(values: np.ndarray, digits: int = 4) -> np.ndarray:
    """The values to `digits` significant digits as float32: more would only make saved notebooks larger."""
    values = np.asarray(values, dtype=np.float64)
    size = np.abs(values)
    measurable = np.isfinite(values) & (size > 0)
    exponent = np.zeros_like(values)
    exponent[measurable] = np.floor(np.log10(size[measurable]))
    step = 10.0 ** (digits - 1 - exponent)
    rounded = np.where(measurable & np.isfinite(step), np.round(values * step) / step, values)
    return rounded.astype(np.float32)


def as_array(values: Any, ndim: int | None = None) -> np.ndarray:
    """The values as a float32 array to 4 significant digits, whatever device, dtype or graph they come from."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    elif isinstance(values, (list, tuple)):
        values = [item.detach().float().cpu().numpy() if hasattr(item, "detach") else item for item in values]
    array = significant(np.asarray(values))
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"this figure shows an array with {ndim} axes, but got the shape {tuple(array.shape)}")
    return array


def as_list(values: Any) -> list[float]:
    """A short series as Python floats, which plotly stores as readable text."""
    return [float(f"{float(value):.4g}") for value in as_array(values, ndim=1)]


def as_series(values: Any, longest: int = 50) -> list[float] | np.ndarray:
    """A short series as Python floats; a longer one as an array, which takes a quarter of the room in a saved notebook."""
    return as_list(values) if len(values) <= longest else as_array(values, ndim=1)
