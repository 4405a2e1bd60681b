"""The grader judges every chapter as its notebook does: solutions pass, stubs do not, mistakes are told in their own sentence.

Of the mistakes this tries a few of each chapter; `python -m utils.grading.prove 1` tries all of one.
"""

import sys

import pytest

from utils import course
from utils.checking.mistakes import load_mistakes
from utils.grading import prove
from utils.grading.grader import Grader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine a learner's code")

CHAPTERS = pytest.mark.parametrize("chapter", course.chapters(), ids=lambda chapter: chapter.name)
SAMPLE = 5  # mistakes of each chapter


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
