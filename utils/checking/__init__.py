"""What a checker is made of: comparisons and complaints, named mistakes, further right answers.

Each is imported when it is first used: what only reads submissions and results does without PyTorch.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "expect_close": "compare",
    "expect_equal": "compare",
    "expect_shape": "compare",
    "expect_tensor": "compare",
    "Picture": "complaints",
    "complain": "complaints",
    "Mistake": "mistakes",
    "RightAnswer": "mistakes",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'utils.checking' has no attribute {name!r}")
    return getattr(import_module(f"utils.checking.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
