"""These tests say what the course map answers, and what it says to a name that it does not know."""

import json
import os
import time

import pytest

from utils import course
from utils.course import NotInCourse


def exercise_cell(number, *objects, points=2):
    facts = {
        "number": number,
        "title": f"About {objects[0]}",
        "objects": list(objects),
        "difficulty": 2,
        "importance": 4,
    }
    facts |= {"minutes": 10, "points": points, "hints": ["a", "b"], "why": "because"}
    return {"cell_type": "code", "metadata": {"exercise": facts}, "source": []}


def write(root, name, cells, **metadata):
    path = root / "chapters" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    prose = {"cell_type": "markdown", "metadata": {}, "source": []}
    path.write_text(json.dumps({"cells": [prose, *cells], "metadata": metadata}))
    return path


@pytest.fixture
def root(tmp_path):
    first = [
        exercise_cell("1.10", "sample"),
        exercise_cell("1.9", "Transformer"),
        exercise_cell("1.1", "LayerNorm", "Embed"),
    ]
    first += [exercise_cell("1.15b", "append", points=3), exercise_cell("1.15a", "KVCache")]
    write(tmp_path, "01_transformers_from_scratch", first, circuits={"title": "Transformers from scratch"})
    write(tmp_path, "02_induction_heads", [exercise_cell("2.1", "induction_score")])
    write(tmp_path, "scratch", [])
    return tmp_path


def test_of_very_many_names_an_error_lists_only_some():
    said = course._suggestion("zzz", [f"1.{number}" for number in range(200)], "exercises")
    assert "1.0, 1.1," in said and "…" in said and said.endswith("1.199") and len(said) < 300


def test_ten_comes_after_nine_and_parts_in_order(root):
    first, second = course.chapters(root=root)
    assert [exercise.number for exercise in first.exercises] == ["1.1", "1.9", "1.10", "1.15a", "1.15b"]
    assert first.total_points == 11
    assert (first.title, second.title) == ("Transformers from scratch", "Induction heads")


@pytest.mark.parametrize("name", [1, "1", "01", "01_transformers_from_scratch"])
def test_a_chapter_answers_to_its_number_and_its_name(root, name):
    chapter = course.chapter(name, root=root)
    assert chapter.number == 1
    assert [path.relative_to(root).as_posix() for path in (
        chapter.source, chapter.student_notebook, chapter.solution_notebook,
        chapter.checker, chapter.mistakes, chapter.right_answers,
    )] == [
        "solutions/01_transformers_from_scratch.py",
        "chapters/01_transformers_from_scratch.ipynb",
        "solutions/01_transformers_from_scratch.ipynb",
        "tests/test_01_transformers_from_scratch.py",
        "tests/mistakes_01_transformers_from_scratch.py",
        "tests/right_answers_01_transformers_from_scratch.py",
    ]  # fmt: skip


def test_an_exercise_is_found_by_number_and_by_object(root):
    assert course.exercise("1.15B", root=root).objects == ["append"]
    assert course.exercise_of("Embed", root=root).number == "1.1"
    assert course.exercise_of("Embed", root=root).chapter == 1


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda root: course.chapter("02_induction_head", root=root), "did you mean 02_induction_heads?"),
        (lambda root: course.chapter(7, root=root), "there is no chapter 7. The chapters there are: 01_tr"),
        (lambda root: course.exercise("1.15", root=root), "exercise 1.15 has parts: 1.15a, 1.15b; name one of them"),
        (
            lambda root: course.exercise("3.7x", root=root),
            "there is no exercise '3.7x'. The exercises there are: 1.1, 1.9",
        ),
        (
            lambda root: course.exercise_of("layernorm", root=root),
            "no exercise asks for 'layernorm'; did you mean LayerNorm?",
        ),
        (lambda root: course.exercise_of("f", root=root / "none"), "the course has no objects yet"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(root, ask, said):
    with pytest.raises(NotInCourse) as caught:
        ask(root)
    assert said in str(caught.value)


def test_an_object_of_two_exercises_is_not_guessed(root):
    write(root, "03_more", [exercise_cell("3.1", "Embed")])
    with pytest.raises(NotInCourse, match="Embed is written in more than one exercise: 1.1, 3.1"):
        course.exercise_of("Embed", root=root)


def test_a_changed_notebook_is_read_again(root):
    assert len(course.chapter(2, root=root).exercises) == 1
    path = write(root, "02_induction_heads", [exercise_cell("2.1", "a"), exercise_cell("2.2", "b")])
    os.utime(path, (time.time() + 5,) * 2)
    assert len(course.chapter(2, root=root).exercises) == 2


def test_dots_show_a_level_out_of_five():
    assert course.dots(2) == "●●○○○"
