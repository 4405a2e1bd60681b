"""This file knows five plain PyTorch exercises, as a chapter of this course and as an assignment of nbgrader.

They are what the benchmark of grading is measured on: the same functions, the same tests on the same inputs.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from utils import course
from utils.authoring.notebooks import serialise, student_notebook
from utils.authoring.source import read_source

NAME = "01_plain_exercises"
IMPORTS = "import torch\nimport torch.nn.functional as F\n"
SOLUTIONS = {
    "softmax": """
        def softmax(x):
            shifted = (x - x.amax(-1, keepdim=True)).exp()
            return shifted / shifted.sum(-1, keepdim=True)
    """,
    "layer_norm": """
        def layer_norm(x, w, b):
            centred = x - x.mean(-1, keepdim=True)
            return centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * w + b
    """,
    "cross_entropy": """
        def cross_entropy(logits, answers):
            logs = logits.log_softmax(-1)
            return -logs[torch.arange(len(answers)), answers].mean()
    """,
    "causal_attention": """
        def causal_attention(q, k, v):
            scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            return scores.masked_fill(future, float("-inf")).softmax(-1) @ v
    """,
    "top_k": """
        def top_k(logits, k):
            lowest = logits.topk(k).values[..., -1:]
            return logits.masked_fill(logits < lowest, float("-inf"))
    """,
}
# What each is compared with, and the inputs that it is given
RULES = {
    "softmax": ("F.softmax(x, -1)", ["x = 5 * torch.randn(3, 7)"]),
    "layer_norm": (
        "F.layer_norm(x, (8,), w, b)",
        ["x = 3 + 2 * torch.randn(4, 5, 8)", "w = torch.randn(8)", "b = torch.randn(8)"],
    ),
    "cross_entropy": (
        "F.cross_entropy(logits, answers)",
        ["logits = torch.randn(6, 9)", "answers = torch.randint(0, 9, (6,))"],
    ),
    "causal_attention": (
        "F.scaled_dot_product_attention(q, k, v, is_causal=True)",
        ["q = torch.randn(2, 3, 6, 4)", "k = torch.randn(2, 3, 6, 4)", "v = torch.randn(2, 3, 6, 4)"],
    ),
    "top_k": (
        "torch.where(logits < logits.sort(-1).values[..., -k:][..., :1], float('-inf'), logits)",
        ["logits = torch.randn(4, 11)", "k = 3"],
    ),
}


def solution_of(name: str) -> str:
    return textwrap.dedent(SOLUTIONS[name]).strip() + "\n"


def make_chapter(root: Path) -> course.Chapter:
    """The exercises as a chapter below ``root``, with checkers."""
    for folder in ("solutions", "tests", "chapters"):
        (root / folder).mkdir(parents=True)
    (root / "solutions" / f"{NAME}.py").write_text(_source(), encoding="utf-8")
    (root / "tests" / f"test_{NAME}.py").write_text(_checker(), encoding="utf-8")
    source = read_source(root / "solutions" / f"{NAME}.py")
    (root / "chapters" / f"{NAME}.ipynb").write_text(serialise(student_notebook(source)), encoding="utf-8")
    return course.chapter(NAME, root=root)


def make_notebook(sources: list[str], metadata: list[dict[str, Any]] | None = None) -> str:
    """The text of a notebook with these code cells."""
    from nbformat.v4 import new_code_cell, new_notebook

    cells = [
        new_code_cell(source, metadata=facts, id=f"cell-{place}")
        for place, (source, facts) in enumerate(zip(sources, metadata or [{}] * len(sources)))
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return serialise(new_notebook(cells=cells, metadata=kernel))


def submission() -> str:
    """A notebook in which every exercise is right."""
    return make_notebook([IMPORTS, *(solution_of(name) for name in SOLUTIONS)])


def assignment() -> str:
    """The same for nbgrader: a cell for each solution, and after it a cell that tests it."""
    sources, metadata = [IMPORTS], [_facts("imports", locked=True)]
    for name in SOLUTIONS:
        sources += [solution_of(name), _asserts(name)]
        metadata += [_facts(name, solution=True), _facts(f"test_{name}", grade=True, points=1, locked=True)]
    return make_notebook(sources, metadata)


def _facts(name: str, **facts: Any) -> dict[str, Any]:
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return {"nbgrader": plain | facts}


def _source() -> str:
    cells = ["# %% [markdown]\n# # 1. Plain exercises\n", f"# %%\n{IMPORTS}"]
    for place, name in enumerate(SOLUTIONS, start=1):
        head, *body = solution_of(name).splitlines()
        lines = [
            "# %%",
            "# [exercise]",
            f'# number = "1.{place}"',
            f'# title = "{name}"',
            *("# difficulty = 1", "# importance = 1", "# minutes = 5", "# points = 1"),
            '# why = "The grader is measured on it."',
            '# hints = ["One.", "Two."]',
            "# [/exercise]",
            head,
            *("    # BEGIN SOLUTION: write it", *body, "    # END SOLUTION"),
        ]
        cells.append("\n".join(lines) + "\n")
    return "\n".join(cells)


def _checker() -> str:
    tests = ["import torch\nimport torch.nn.functional as F\n\nfrom utils.checking import expect_close\n"]
    for name, (rule, inputs) in RULES.items():
        arguments = ", ".join(line.split(" = ")[0] for line in inputs)
        lines = [
            f"def test_{name}_is_as_in_pytorch({name}):",
            "    torch.manual_seed(1)",
            *(f"    {x}" for x in inputs),
        ]
        lines.append(f'    expect_close({name}({arguments}), {rule}, rule="as in PyTorch")')
        tests.append("\n".join(lines) + "\n")
    return "\n\n".join(tests)


def _asserts(name: str) -> str:
    rule, inputs = RULES[name]
    arguments = ", ".join(line.split(" = ")[0] for line in inputs)
    return "\n".join(["torch.manual_seed(1)", *inputs, f"torch.testing.assert_close({name}({arguments}), {rule})"])
