"""What a checker is made of: comparisons and complaints, named mistakes, further right answers."""

from utils.checking.compare import expect_close, expect_equal, expect_shape, expect_tensor
from utils.checking.complaints import Picture, complain
from utils.checking.mistakes import Mistake, RightAnswer

__all__ = [
    "Mistake",
    "Picture",
    "RightAnswer",
    "complain",
    "expect_close",
    "expect_equal",
    "expect_shape",
    "expect_tensor",
]
