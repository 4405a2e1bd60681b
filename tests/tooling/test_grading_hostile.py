"""Notebooks that mean harm, and notebooks that came to harm: marks are true, nothing is reached, and grading goes on.

Each file in tests/hostile/ is a submission of a chapter with three exercises, and says at its top which of them it has
earned and what its report says about the one that it has not. What an attack gains by reaching something is full marks.
"""

import json
import os
import re
import socket
from pathlib import Path

import pytest

from utils import course
from utils.authoring.notebooks import serialise, student_notebook
from utils.authoring.source import read_source
from utils.grading.grader import Grader
from utils.paths import REPO

HOSTILE = sorted((REPO / "tests" / "hostile").glob("*.py"))
PLACES = ("OUTSIDE", "REPO", "CHAPTER", "SUBMISSIONS", "PORT")

EXERCISE = """
# %%
# [exercise]
# number = "{number}"
# title = "{name}"
# difficulty = 1
# importance = 1
# minutes = 1
# points = 1
# why = "Because the grader is tried on it."
# hints = ["A nudge.", "The idea."]
# [/exercise]
def {name}({arguments}):
    # BEGIN SOLUTION: one line
    return {solution}
    # END SOLUTION
"""
SOURCE = "# %% [markdown]\n# # 1. A chapter to attack\n\n# %%\nimport torch\n" + "".join(
    EXERCISE.format(number=number, name=name, arguments=arguments, solution=solution)
    for number, name, arguments, solution in (
        ("1.1", "double", "x", "x + x"),
        ("1.2", "total", "x", "x.sum()"),
        ("1.3", "weigh", "model, x", "model(x)"),
    )
)
CHECKER = """
import torch

from utils.checking import expect_close


def test_twice_the_number(double, draw):
    x = draw.normal(3, 5)
    given = x.clone()
    expected = rule = given * 2
    expect_close(double(x), rule, rule="every number twice")


def test_all_numbers_together(total, draw):
    x = draw.normal(3, 5, mean=1)
    expect_close(total(x), torch.stack([row.sum() for row in x]).sum(), rule="the sum")


def test_the_models_own_output(weigh, draw):
    model, x = torch.nn.Linear(3, 2), draw.normal(5, 3)
    result = weigh(model, x)
    with torch.no_grad():
        expect_close(result, model(x), rule="the model's output")
"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chapter")
    for name in ("solutions", "tests", "chapters"):
        (folder / name).mkdir()
    (folder / "solutions" / "01_attacked.py").write_text(SOURCE)
    (folder / "tests" / "test_01_attacked.py").write_text(CHECKER)
    notebook = serialise(student_notebook(read_source(folder / "solutions" / "01_attacked.py")))
    (folder / "chapters" / "01_attacked.ipynb").write_text(notebook)
    return course.chapter("01_attacked", root=folder)


@pytest.fixture(scope="module")
def grader():
    os.environ["SECRET_OF_THE_GRADER"] = "SECRET_OF_THE_GRADER"
    with Grader(timeout=3, memory=0.75) as grader:
        yield grader
    del os.environ["SECRET_OF_THE_GRADER"]


@pytest.fixture
def server():
    """Somebody who listens on loopback; nobody may call."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


def graded(grader, chapter, path):
    return {report.exercise.objects[0]: report for report in grader.grade(path, chapter, chapter.exercises)}


def wants_bubblewrap(grader, name):
    """Without namespaces of its own a worker sees files and the network, which the level says."""
    reaching = ("reads_", "network", "kills_", "writes_")
    if not grader.zygote.sandboxed and name.startswith(reaching):
        pytest.skip(f"this machine has no sandbox that could keep this out: {grader.level}")


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_a_hostile_submission_gets_its_true_marks_and_reaches_nothing(path, grader, chapter, server, tmp_path):
    wants_bubblewrap(grader, path.stem)
    outside, submissions = tmp_path / "outside", tmp_path / "submissions"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    submissions.mkdir()
    (submissions / "other.py").write_text("def double(x):\n    return 2 * x\n")
    values = (outside, REPO, chapter.root, submissions, server.getsockname()[1])
    text = path.read_text()
    passes, says = (re.search(rf"^# {word}: ?(.*)$", text, re.MULTILINE)[1] for word in ("passes", "says"))
    for place, value in zip(PLACES, values):
        text = re.sub(rf"\b{place}\b", str(value), text)
    mine = submissions / path.name
    mine.write_text(text)

    reports = graded(grader, chapter, mine)

    assert {name for name, report in reports.items() if report.passed} == set(passes.split())
    told = " ".join(str(report.complaint) for report in reports.values() if not report.passed)
    assert says in told
    assert len(told) < 10_000
    assert list(outside.iterdir()) == []
    with pytest.raises(BlockingIOError):
        server.accept()
    assert not list(REPO.glob("written")) + list((REPO / "utils").glob("written"))


def test_a_worker_leaves_no_process_behind(grader, chapter, tmp_path):
    """Whatever hostile submissions started before this: only the zygote, and bubblewrap around it, are left."""
    graded(grader, chapter, REPO / "tests" / "hostile" / "right.py")
    listed = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            facts = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            listed[int(facts["Pid"])] = int(facts["PPid"])
        except OSError:
            continue
    below, waiting = set(), [grader.zygote.process.pid]
    while waiting:
        parent = waiting.pop()
        children = [pid for pid, its_parent in listed.items() if its_parent == parent]
        below |= set(children)
        waiting += children
    assert len(below) <= 2


ACCIDENTS = {
    "a syntax error in one cell": (["def double(x:\n    return x", "def total(x):\n    return x.sum()"], "total"),
    "magics and shell lines": (["%matplotlib inline\n!pip install torch\ndef double(x):\n    return 2 * x\n%timeit 1"], "double"),
    "a cell of another language": (["%%bash\nrm -rf /", "def double(x):\n    return 2 * x"], "double"),
    "nothing but text": ([], ""),
    "a definition that fails": (["limit = 1 / 0\ndef double(x):\n    return limit", "def total(x):\n    return x.sum()"], "total"),
    "a loop that would train for ever": (["while True:\n    pass", "def double(x):\n    return 2 * x"], "double"),
    "a name that is no function": (["double = 2"], ""),
    "a function with other arguments": (["def double():\n    return 2"], ""),
    "null bytes": (["def double(x):\n    return 2 * x\n\0", "def total(x):\n    return x.sum()"], "total"),
    "very deep brackets": (["double = " + "(" * 5000 + ")" * 5000, "def total(x):\n    return x.sum()"], "total"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCIDENTS)
def test_what_is_right_in_a_damaged_notebook_counts(name, grader, chapter, tmp_path):
    cells, passes = ACCIDENTS[name]
    listed = [{"cell_type": "code", "source": source, "outputs": [{"text": "x" * 100_000}]} for source in cells]
    path = tmp_path / "damaged.ipynb"
    path.write_text(json.dumps({"cells": listed, "metadata": {"kernelspec": {"name": "julia"}}}))
    reports = graded(grader, chapter, path)
    assert {name for name, report in reports.items() if report.passed} == set(passes.split())
    assert all("\n" not in report.complaint.seen for report in reports.values() if not report.passed)


UNREADABLE = {
    "empty": (b"", "is not a Jupyter notebook"),
    "truncated": (b'{"cells": [{"cell_type": "code", "sour', "is not a Jupyter notebook"),
    "another kind of file": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not UTF-8 text"),
    "another encoding": ("{'cells': 'ä'}".encode("utf-16"), "is not UTF-8 text"),
    "JSON, but no notebook": (b'{"cells": 3}', "is not a Jupyter notebook"),
    "nested without end": (b'{"cells": ' + b"[" * 200_000, "is not a Jupyter notebook"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_fails_with_one_clear_line(name, grader, chapter, tmp_path):
    data, says = UNREADABLE[name]
    path = tmp_path / "broken.ipynb"
    path.write_bytes(data)
    for report in graded(grader, chapter, path).values():
        assert report.complaint.kind == "unreadable"
        assert says in report.complaint.seen
        assert "\n" not in report.complaint.seen


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing", "dangling link"])
def test_what_is_no_file_is_not_waited_for(kind, grader, chapter, tmp_path):
    path = tmp_path / "submission.ipynb"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "nothing")
    for report in graded(grader, chapter, path).values():
        assert report.complaint.kind == "unreadable"
