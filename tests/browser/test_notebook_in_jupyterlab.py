"""A learner's way through one exercise in the real JupyterLab: a wrong answer, its card, a hint, the right answer, the tick."""

import json
import textwrap

from utils import course
from utils.checking.mistakes import load_mistakes

EXERCISE = "attention_pattern"

WRONG = textwrap.dedent(
    """\
    def attention_pattern(q, k):
        scores = einops.einsum(q, k, "batch query head d_head, batch key head d_head -> batch head query key")
        scores = scores / q.shape[-1] ** 0.5
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril(diagonal=-1)
        return scores.masked_fill(hidden, -torch.inf).softmax(dim=-1)"""
)
RIGHT = WRONG.replace("tril(diagonal=-1)", "triu(diagonal=1)")


def sentence_of_the_transposed_mask(chapter):
    """What the course says about this mistake."""
    sentences = [m.sentence for m in load_mistakes(chapter) if m.object == EXERCISE and "transposed" in m.name]
    assert len(sentences) == 1, f"{EXERCISE} should name one transposed mask among its mistakes"
    return sentences[0].rstrip(".")


def test_a_wrong_mask_is_named_and_mending_it_brings_the_tick(lab, open_notebook, page, screenshot, asked):
    chapter = course.chapter(1)
    exercise = course.exercise_of(EXERCISE)
    notebook = open_notebook(f"{chapter.name}.ipynb")
    notebook.run(notebook.cell("from utils import"))
    answer, check = notebook.cell(f"def {EXERCISE}("), notebook.cell(f"check({EXERCISE})")

    notebook.run(answer)
    card = notebook.run(check).locator(".circuits-card[data-state=unwritten]")
    card.wait_for()
    screenshot("1_not_written_yet", card)

    notebook.write(answer, WRONG)
    screenshot("2_wrong_answer", notebook.run(answer))
    card = notebook.run(check).locator(".circuits-card[data-state=failed]")
    card.wait_for()
    assert sentence_of_the_transposed_mask(chapter) in card.locator(".circuits-mistake").inner_text()
    assert card.locator("li[data-state=failed]").count() >= 1
    assert card.locator(".circuits-seen").inner_text() and card.locator(".circuits-the").inner_text()
    assert card.locator(".circuits-picture").count() == 2, "a matrix is shown twice: yours and the rule's"
    assert "Traceback" not in card.inner_text()
    screenshot("3_card_of_the_wrong_answer", card)

    hint = notebook.run(notebook.insert_below(check, f"hint({EXERCISE})")).locator(".circuits-card")
    hint.wait_for()
    assert f"hint 1 of {len(exercise.hints)}" in hint.inner_text()
    assert exercise.hints[0].replace("`", "") in hint.inner_text()
    screenshot("4_hint", hint)

    notebook.write(answer, RIGHT)
    notebook.run(answer)
    card = notebook.run(check).locator(".circuits-card[data-state=passed]")
    card.wait_for()
    assert "✓" in card.locator("h4").inner_text()
    assert card.locator("li[data-state=passed]").count() == card.locator("li").count() >= 1
    assert f"chapter 1: 1 of {len(chapter.exercises)} exercises solved" in card.inner_text()
    screenshot("5_tick_and_progress", card)
    screenshot("6_page", page)

    kept = json.loads((lab.work / "progress.json").read_text(encoding="utf-8"))["exercises"][exercise.number]
    assert kept["hints"] == 1 and kept["solved"]
    assert asked == [], "the page needs nothing from the network"
