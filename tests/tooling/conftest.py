"""This file knows how to make a tiny chapter in a temporary folder, to try the machinery on."""

from pathlib import Path

import pytest

from utils import course
from utils.authoring.notebooks import serialise, student_notebook
from utils.authoring.source import read_source

EXERCISE = """
# %%
# [exercise]
# number = "{number}"
# title = "{title}"
# difficulty = 2
# importance = 3
# minutes = 5
# points = {points}
# why = "Because the machinery is tried on it."
# hints = ["A nudge.", "The idea."]
# [/exercise]
{code}
"""

SOURCE = (
    """# %% [markdown]
# # 1. A tiny chapter

# %%
import torch
from jaxtyping import Float
from torch import Tensor, nn

loss = 1 / 0  # a cell that must never run when only definitions are wanted
"""
    + EXERCISE.format(
        number="1.1",
        title="Centre",
        points=1,
        code='''def centre(x: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """Every row with its own mean taken away."""
    # BEGIN SOLUTION: take each row's mean away
    loss = x.mean(-1, keepdim=True)
    return x - loss
    # END SOLUTION''',
    )
    + EXERCISE.format(
        number="1.2",
        title="Scale",
        points=2,
        code='''class Scale(nn.Module):
    """Centres, then multiplies every column by its own weight."""

    def __init__(self, width: int):
        super().__init__()
        self.w = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        # BEGIN SOLUTION: centre the rows, then multiply by w
        return centre(x) * self.w
        # END SOLUTION''',
    )
)

CHECKER = """
import torch

from utils.checking import complain, expect_close


def test_every_row_sums_to_zero(centre, draw):
    sums = centre(draw.normal(3, 5, mean=2)).sum(-1)
    if sums.abs().max() > 1e-5:
        complain(f"a row sums to {sums[0]:.2f}", rule="every row sums to 0", look_at="the axis of the mean")


def test_differences_within_a_row_stay(centre, draw):
    x = draw.normal(3, 5, mean=2)
    expect_close(centre(x).diff(dim=-1), x.diff(dim=-1), rule="only the mean goes", axes="row column")


def test_columns_are_scaled(Scale, draw):
    x, w = draw.normal(3, 5, mean=2), draw.normal(5)
    rule = (x - x.sum(-1, keepdim=True) / 5) * w
    expect_close(Scale(5).load({"w": w})(x), rule, rule="centred rows times w", axes="row column")
"""

MISTAKES = '''
from utils.checking import Mistake

MISTAKES = [
    Mistake("centre", "wrong axis", "the mean runs down the columns: take it over the last axis",
            change=[("x.mean(-1, keepdim=True)", "x.mean(0, keepdim=True)")]),
    Mistake("centre", "mean added", "the mean is added: subtract it", change=[("x - loss", "x + loss")]),
    Mistake("Scale", "w added", "w is added: multiply by it", change=[("* self.w", "+ self.w")]),
    Mistake("Scale", "not centred", "the rows are scaled but not centred: call centre first", write="""
class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.w = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.w
"""),
]
'''

RIGHT_ANSWERS = '''
from utils.checking import RightAnswer

RIGHT_ANSWERS = [
    RightAnswer("centre", "by loops", """
def centre(x):
    rows = []
    for row in x:
        rows.append(row - sum(row) / len(row))
    return torch.stack(rows)
"""),
]
'''


@pytest.fixture
def tiny(tmp_path: Path) -> course.Chapter:
    """A chapter with two exercises, in a folder of its own."""
    return make_tiny(tmp_path)


@pytest.fixture(scope="module")
def tiny_of_module(tmp_path_factory: pytest.TempPathFactory) -> course.Chapter:
    """The same, made once for all tests of a file."""
    return make_tiny(tmp_path_factory.mktemp("tiny"))


def make_tiny(root: Path) -> course.Chapter:
    name = "01_tiny"
    for folder, file, text in (
        ("solutions", f"{name}.py", SOURCE),
        ("tests", f"test_{name}.py", CHECKER),
        ("tests", f"mistakes_{name}.py", MISTAKES),
        ("tests", f"right_answers_{name}.py", RIGHT_ANSWERS),
    ):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / file).write_text(text, encoding="utf-8")
    (root / "chapters").mkdir()
    notebook = serialise(student_notebook(read_source(root / "solutions" / f"{name}.py")))
    (root / "chapters" / f"{name}.ipynb").write_text(notebook, encoding="utf-8")
    return course.chapter(name, root=root)
