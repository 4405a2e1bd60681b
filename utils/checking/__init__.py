"""What a checker is made of: comparisons and complaints, named mistakes, further right answers.

Each is imported when it is first used: what only reads submissions and results does without PyTorch.
"""

from utils.on_demand import offer

_HOME = {
    "expect_close": "utils.checking.compare",
    "expect_equal": "utils.checking.compare",
    "expect_shape": "utils.checking.compare",
    "expect_tensor": "utils.checking.compare",
    "Picture": "utils.checking.complaints",
    "complain": "utils.checking.complaints",
    "Mistake": "utils.checking.mistakes",
    "RightAnswer": "utils.checking.mistakes",
}

__all__ = sorted(_HOME)
__getattr__, __dir__ = offer(__name__, _HOME)
