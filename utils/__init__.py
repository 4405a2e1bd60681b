"""What a notebook imports. Everything heavy is imported when it is first used, so that ``import utils`` costs nothing."""

from importlib import import_module
from typing import Any

_HOME = {
    "check": "utils.checking.notebook",
    "hint": "utils.checking.notebook",
    "reveal": "utils.checking.notebook",
    "TransformerConfig": "utils.models.config",
    "checkpoint_steps": "utils.models.loading",
    "load_model": "utils.models.loading",
    "load_tokenizer": "utils.models.loading",
    "load_weights": "utils.models.loading",
    "device": "utils.models.device",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'utils' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
