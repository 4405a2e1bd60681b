"""This file knows which device the course computes on."""

import os

import torch


def choose_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``auto`` is CUDA where there is one, else the CPU (MPS only when asked for: it lacks float64).

    Raises ValueError, naming the device and the reason, where it cannot be used.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(name)
        torch.zeros((), device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return chosen


device = choose_device(os.environ.get("CIRCUITS_DEVICE", "auto"))
