"""The grader judges every chapter as its notebook does.

Solutions and right answers of other kinds pass, stubs do not, mistakes are told in their own sentence. Of right answers
and mistakes this tries a few of each chapter; `python -m utils.grading.prove 1` tries all of one.
"""

import sys

import pytest

from utils import cli, course
from utils.checking.mistakes import changed_cells, load_mistakes, load_right_answers
from utils.grading import prove
from utils.grading.grader import Grader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a learner's code")

CHAPTERS = pytest.mark.parametrize("chapter", course.chapters(), ids=lambda chapter: chapter.name)
SAMPLE = 5  # mistakes of each chapter, and right answers


@pytest.fixture(scope="module")
def grader():
    with Grader(timeout=60) as grader:  # other tests may be running beside this one
        yield grader


@CHAPTERS
def test_solutions_get_full_marks(grader, chapter):
    assert list(prove.wrong_solutions(grader, chapter)) == []


@CHAPTERS
def test_stubs_get_none(grader, chapter):
    assert list(prove.wrong_stubs(grader, chapter)) == []


@CHAPTERS
def test_named_mistakes_are_refused_in_their_own_sentence(grader, chapter):
    every = max(1, len(load_mistakes(chapter)) // SAMPLE)
    assert list(prove.wrong_mistakes(grader, chapter, every, offset=chapter.number % every)) == []


@CHAPTERS
def test_right_answers_of_other_kinds_pass(grader, chapter):
    every = max(1, len(load_right_answers(chapter)) // SAMPLE)
    assert list(prove.wrong_right_answers(grader, chapter, every, offset=chapter.number % every)) == []


@CHAPTERS
def test_right_answers_of_other_kinds_pass_at_the_command_line(chapter, tmp_path, capsys):
    every = max(1, len(load_right_answers(chapter)) // SAMPLE)
    for number, answer in enumerate(load_right_answers(chapter)[2 * chapter.number % every :: every]):
        path = tmp_path / f"{number}.ipynb"
        path.write_bytes(prove.notebook(changed_cells(chapter, answer)))
        exercise = prove.exercise_of(chapter, answer.object)
        assert cli.main(["check", exercise.number, "--submission", str(path)]) == 0, capsys.readouterr().out
