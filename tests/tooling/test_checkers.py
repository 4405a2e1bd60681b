"""The proof that the checkers work: stubs and every named mistake are refused in their own words, right answers are not.

That the solutions pass is what `pytest tests/test_NN_name.py` itself shows.
"""

from functools import lru_cache

import pytest
import torch

from utils import course
from utils.checking import plugin, prove
from utils.checking.border import Border
from utils.checking.cells import read_cells
from utils.checking.complaints import Complaint
from utils.checking.mistakes import load_mistakes, load_right_answers
from utils.checking.run import Submission, run

CHAPTERS = course.chapters()
NAMES = {chapter.name: [name for exercise in chapter.exercises for name in exercise.objects] for chapter in CHAPTERS}


@lru_cache
def verdicts(kind: str, chapter_name: str) -> dict[str, str]:
    """One pytest session for all mistakes, or all right answers, of a chapter."""
    chapter = course.chapter(chapter_name)
    prove_all = {"mistakes": prove.prove_mistakes, "right answers": prove.prove_right_answers}[kind]
    return prove_all(chapter, NAMES[chapter_name])


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_object_is_tested_and_its_solution_passes(chapter):
    assert prove.prove_solutions(chapter, NAMES[chapter.name]) == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_stub_is_refused_with_its_one_line(chapter):
    assert prove.prove_stubs(chapter, NAMES[chapter.name]) == []


@pytest.mark.parametrize(
    ("chapter", "label"),
    [pytest.param(c.name, m.label, id=f"{c.number}: {m.label}") for c in CHAPTERS for m in load_mistakes(c)],
)
def test_the_mistake_is_refused_by_its_own_sentence(chapter, label):
    assert verdicts("mistakes", chapter)[label] == ""


@pytest.mark.parametrize(
    ("chapter", "label"),
    [pytest.param(c.name, a.label, id=f"{c.number}: {a.label}") for c in CHAPTERS for a in load_right_answers(c)],
)
def test_the_right_answer_is_accepted(chapter, label):
    assert verdicts("right answers", chapter)[label] == ""


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_object_has_four_named_mistakes_and_three_further_right_answers(chapter):
    mistaken = [mistake.object for mistake in load_mistakes(chapter)]
    answered = [answer.object for answer in load_right_answers(chapter)]
    assert [name for name in NAMES[chapter.name] if mistaken.count(name) < 4] == []
    assert [name for name in NAMES[chapter.name] if answered.count(name) < 3] == []
    assert set(mistaken) | set(answered) <= set(NAMES[chapter.name])
    labels = [item.label for item in (*load_mistakes(chapter), *load_right_answers(chapter))]
    assert len(labels) == len(set(labels))
    sentences = [mistake.sentence for mistake in load_mistakes(chapter)]
    assert len({(mistake.object, mistake.sentence) for mistake in load_mistakes(chapter)}) == len(sentences)


def test_the_proof_notices_a_checker_that_lets_a_mistake_through(tiny):
    text = (
        tiny.checker.read_text()
        .replace("sums.abs().max() > 1e-5", "False")
        .replace("x.diff(dim=-1), x", "x.diff(dim=-1)[:0], x[:0]")
    )
    tiny.checker.write_text(text)
    assert prove.prove_mistakes(tiny, ["centre"])["centre: mean added"] == "passes all tests"


def test_the_proof_of_an_object_that_is_not_in_the_chapter_is_refused(capsys):
    with pytest.raises(SystemExit):
        prove.main(["1", "--objects", "LayerNorm,LayerNrom"])
    assert "no exercise of chapter 1 asks for LayerNrom; there are LayerNorm, Embed," in capsys.readouterr().err


def test_the_proof_notices_two_mistakes_that_cannot_be_told_apart(tiny):
    text = tiny.mistakes.read_text().replace("x.mean(0, keepdim=True)", "-x.mean(-1, keepdim=True)")
    tiny.mistakes.write_text(text)
    assert prove.prove_mistakes(tiny, ["centre"])["centre: mean added"] == "is taken for centre: wrong axis"


def test_the_proof_notices_a_refused_right_answer_and_a_stub_that_runs(tiny):
    tiny.right_answers.write_text(tiny.right_answers.read_text().replace("- sum(row)", "+ sum(row)"))
    assert "a row sums to" in prove.prove_right_answers(tiny, ["centre"])["centre: by loops"]
    notebook = tiny.student_notebook.read_text()
    tiny.student_notebook.write_text(notebook.replace('raise NotImplementedError(\\"1.1', 'print(\\"1.1'))
    assert len(prove.prove_stubs(tiny, ["centre"])) == 2


def test_a_stub_is_called_once_however_many_tests_it_has(tiny):
    stub = Submission("stub", cells=read_cells(tiny.student_notebook), focus=["centre"])
    results = run(tiny, [stub], device="cpu")
    assert len(results) > 1 and {result.complaint.kind for result in results} == {"unwritten"}
    assert sum(len(result.transcript.entries) for result in results) == 1


def test_a_method_that_is_not_written_leaves_the_others_to_be_tested():
    border, cache = Border(torch.device("cpu")), Submission("half written", objects={"Cache": object})
    unwritten = Complaint("1.2 Cache: not written yet", kind="unwritten")
    border.transcript.note("Cache.append", "raised NotImplementedError")
    plugin._remember_stub(cache, unwritten, border)
    assert cache.get("Cache") is object
    border.transcript.note("Cache", "raised NotImplementedError")
    plugin._remember_stub(cache, unwritten, border)
    with pytest.raises(Complaint):
        cache.get("Cache")
