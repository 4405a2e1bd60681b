"""What every chapter owes its learners, read off the student notebook."""

import ast
import json
import re

import pytest

from utils import course
from utils.paths import SOLUTIONS

# chapters whose results are of models that ship, and why
OF_ONE_MODEL = {"03_superposition_and_saes": "its sparse autoencoders and labels are of the organism and its text"}
CHAPTERS = pytest.mark.parametrize("chapter", course.chapters(), ids=lambda chapter: chapter.name)


def cells(chapter, kind):
    notebook = json.loads(chapter.student_notebook.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


@CHAPTERS
def test_what_the_cards_tell_learners_to_call_is_imported(chapter):
    trees = [ast.parse(source) for source in cells(chapter, "code")]
    imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {alias.asname or alias.name for node in imports if node.module == "utils" for alias in node.names}
    assert {"check", "hint", "reveal"} <= imported


@CHAPTERS
def test_every_object_is_checked_in_the_cell_after_its_exercise(chapter):
    code = cells(chapter, "code")
    for exercise in chapter.exercises:
        for name in exercise.objects:
            written = next(i for i, source in enumerate(code) if f'"{exercise.number} {name}: ' in source)
            assert f"check({name})" in code[written + 1]


@CHAPTERS
def test_the_executed_solutions_show_that_every_exercise_passes(chapter):
    notebook = json.loads((SOLUTIONS / chapter.student_notebook.name).read_text(encoding="utf-8"))
    shown = [
        "".join(output.get("data", {}).get("text/plain", ""))
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
    ]
    for exercise in chapter.exercises:
        for name in exercise.objects:
            assert any(re.match(rf"✓ {exercise.number} {name}: all \d+ checks pass", text) for text in shown), name


@CHAPTERS
def test_the_one_line_switch_of_models_is_there_or_would_do_nothing(chapter):
    lines = [line for source in cells(chapter, "code") for line in source.splitlines()]
    assert any(line.startswith('MODEL = "') for line in lines) == (chapter.name not in OF_ONE_MODEL)


@CHAPTERS
def test_the_chapter_says_what_one_can_do_at_its_end_and_what_to_read(chapter):
    prose = "\n".join(cells(chapter, "markdown"))
    assert "you will be able to" in prose and "reading" in prose.lower()
