"""What `check`, `hint` and `reveal` do when a learner calls them, and what `circuits check` does from outside."""

import json

import pytest
import torch

from utils import course, paths, progress
from utils.checking import command, notebook
from utils.refusal import CannotDo


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    """A learner with a work folder of their own and an empty namespace."""
    monkeypatch.setattr(paths, "WORK", tmp_path)
    names = {}
    monkeypatch.setattr(notebook, "_namespace", lambda: names)
    return names


def attention_pattern(q, k):
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(future, -torch.inf).softmax(-1)


def past_hidden(q, k):
    return attention_pattern(q.flip(1), k.flip(1)).flip(-1, -2)


past_hidden.__name__ = "attention_pattern"


def test_a_right_answer_is_ticked_and_kept(capsys):
    notebook.check(attention_pattern)
    assert capsys.readouterr().out.startswith("✓ 1.4 attention_pattern: all")
    assert "solved" in progress.load()["1.4"]


def test_a_mask_on_the_wrong_side_is_called_so_however_it_is_written(capsys):
    notebook.check(past_hidden)
    shown = capsys.readouterr().out
    assert shown.startswith("✗ 1.4 attention_pattern") and "a known mistake, " in shown
    assert "solved" not in progress.load()["1.4"]


def test_a_lambda_goes_by_the_name_the_notebook_gave_it(capsys, learner):
    learner["attention_pattern"] = lambda q, k: attention_pattern(q, k)
    notebook.check(learner["attention_pattern"])
    assert capsys.readouterr().out.startswith("✓ 1.4")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "give the function or class that you wrote"),
        ("Layernorm", "did you mean LayerNorm?"),
        (len, "no exercise asks for 'len'"),
        (type("LayerNorm", (), {})(), "give the class itself, as in check(LayerNorm)"),
    ],
)
def test_what_is_no_exercise_is_said_plainly(capsys, value, words):
    notebook.check(value)
    assert words in capsys.readouterr().out


def test_check_without_anything_says_how_to_use_it(capsys):
    notebook.check()
    assert "check(LayerNorm)" in capsys.readouterr().out


def test_hints_come_one_by_one_and_are_counted(capsys):
    hints = course.exercise("1.4").hints
    for count in range(1, len(hints) + 2):
        notebook.hint(attention_pattern)
        shown = capsys.readouterr().out
        assert all(hint in shown for hint in hints[:count])
        assert not any(hint in shown for hint in hints[count:])
    assert "reveal(attention_pattern)" in shown
    assert progress.load()["1.4"]["hints"] == len(hints)


def test_reveal_shows_the_solution_and_notes_it(capsys):
    notebook.reveal("attention_pattern")
    shown = capsys.readouterr().out
    assert "def attention_pattern(" in shown and "NotImplementedError" not in shown and "SOLUTION" not in shown
    assert "revealed" in progress.load()["1.4"]


def test_the_command_checks_a_notebook_and_a_file(tmp_path, capsys):
    body = "import torch\n\ndef attention_pattern(q, k):\n    return torch.zeros(2)\n"
    (tmp_path / "hers.py").write_text(body)
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": body}]
    (tmp_path / "hers.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    for file in ("hers.py", "hers.ipynb"):
        assert command.main(["1.4", "--submission", str(tmp_path / file)]) == 1
        assert "✗ 1.4 attention_pattern" in capsys.readouterr().out
    assert progress.load() == {}  # a file from elsewhere is nobody's progress


def test_the_command_says_what_it_cannot_check(tmp_path):
    with pytest.raises(CannotDo, match="you have no copy of chapter 1 yet"):
        command.main(["1"])
    with pytest.raises(CannotDo, match="there is no file"):
        command.main(["1", "--submission", str(tmp_path / "none.py")])
    with pytest.raises(CannotDo, match="device 'quantum' cannot be used here"):
        command.main(["1", "--device", "quantum"])
    with pytest.raises(course.NotInCourse, match="there is no exercise '1.99'"):
        command.main(["1.99"])


def test_the_learners_own_copy_counts_as_progress(tmp_path, capsys):
    source = course.chapter(1).source
    own = tmp_path / course.chapter(1).student_notebook.name
    code = source.read_text()
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
        for cell in code.split("# %%")[1:]
        if not cell.startswith(" [markdown]")
    ]
    own.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert command.main(["1.1"]) == 0
    assert "solved" in progress.load()["1.1"]
