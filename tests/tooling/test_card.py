"""What a learner reads after a check."""

import pytest
import torch
from torch import nn

from utils import progress
from utils.checking.card import html, text
from utils.checking.report import Report, check_exercise
from utils.checking.run import Submission


@pytest.fixture
def kept(monkeypatch):
    """Progress that stays in memory."""
    entries: dict[str, dict] = {}

    def record(number, *, passed, tests_passed, tests_total, points):
        entries[number] = {"tests_passed": tests_passed, "tests_total": tests_total, "points": points}
        if passed:
            entries[number]["solved"] = "now"

    monkeypatch.setattr(progress, "record", record)
    monkeypatch.setattr(progress, "load", lambda: entries)
    return entries


def report_on(chapter, number, **objects):
    exercise = next(exercise for exercise in chapter.exercises if exercise.number == number)
    return check_exercise(chapter, exercise, Submission("mine", objects))


def scale_built_on(centre):
    """The class of exercise 1.2, using this function for 1.1."""

    class Scale(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.w = nn.Parameter(torch.ones(width))

        def forward(self, x):
            return centre(x) * self.w

    return Scale


def test_right_code_gets_a_tick_and_its_points(tiny, kept):
    report = report_on(tiny, "1.1", centre=lambda x: x - torch.stack([row.mean() for row in x])[:, None])
    assert text(report).splitlines()[0] == "✓ 1.1 centre: all 2 checks pass"
    assert 'data-state="passed"' in html(report, progress=(1, 2))
    assert kept["1.1"] == {"tests_passed": 2, "tests_total": 2, "points": 1, "solved": "now"}


def test_an_exercise_without_a_test_is_told_so(tiny):
    report = Report(tiny, tiny.exercises[0], ())
    assert text(report).splitlines()[0] == "✗ 1.1 centre: no test has an argument of this name"


def test_a_known_mistake_written_in_another_way_is_named(tiny, kept):
    report = report_on(tiny, "1.1", centre=lambda x: torch.stack([column - column.mean() for column in x.T]).T)
    assert report.mistake.name == "wrong axis"
    card = html(report)
    assert "A known mistake, <b>wrong axis</b>: the mean runs down the columns: take it over the last axis." in card
    assert "every row sums to 0" in card and "the axis of the mean" in card
    assert kept["1.1"]["points"] == 0


def test_an_unknown_mistake_is_not_given_a_name(tiny, kept):
    report = report_on(tiny, "1.1", centre=lambda x: x - 0.9 * x.mean(-1, keepdim=True))
    assert report.state == "failed" and report.mistake is None


def test_the_card_shows_two_pictures_with_values_to_point_at(tiny, kept):
    report = report_on(tiny, "1.1", centre=lambda x: x.cumsum(-1) - x.cumsum(-1).mean(-1, keepdim=True))
    card = html(report)
    assert card.count("<svg") == 2 and "yours" in card and "the rule" in card
    assert "row 0, column 1: " in card


def test_a_stub_is_called_unwritten_without_a_list_of_failures(tiny, kept):
    def centre(x):
        raise NotImplementedError("1.1 centre: take each row's mean away")

    report = report_on(tiny, "1.1", centre=centre)
    assert text(report).splitlines()[0] == "1.1 centre: not written yet"
    assert "<li" not in html(report)


def test_an_exception_shows_the_learners_lines_only(tiny, kept):
    def centre(x):
        return x - torch.ones(9)

    card = html(report_on(tiny, "1.1", centre=centre))
    assert "centre raised RuntimeError" in card and "Traceback" not in card and "site-packages" not in card


def test_what_the_learner_writes_cannot_break_the_card(tiny, kept):
    def centre(x):
        print("<script>alert(1)</script>")
        raise ValueError("<b>bold</b>")

    card = html(report_on(tiny, "1.1", centre=centre))
    assert "<script>" not in card and "<b>" not in card and "&lt;script&gt;" in card


def test_a_broken_part_underneath_is_blamed_and_no_mistake_named(tiny, kept):
    def centre(x):
        return x

    broken = report_on(tiny, "1.2", Scale=scale_built_on(centre), centre=centre)
    assert broken.state == "failed" and broken.mistake is None
    assert "this is built on your centre (1.1), which does not pass by itself: mend that first" in html(broken)
    whole = report_on(tiny, "1.2", Scale=scale_built_on(centre), centre=lambda x: x - x.mean(-1, keepdim=True))
    assert whole.state == "failed" and "this is built on" not in html(whole)


def test_a_missing_object_is_said(tiny, kept):
    assert report_on(tiny, "1.1").complaint.seen == "centre is not defined"


def test_a_test_that_needs_a_later_exercise_waits_for_it(tiny, kept):
    text = tiny.checker.read_text()
    tiny.checker.write_text(text + "\n\ndef test_both(centre, Scale, draw):\n    assert False\n")
    assert [result.test for result in report_on(tiny, "1.1", centre=lambda x: x).results] == [
        "test_every_row_sums_to_zero",
        "test_differences_within_a_row_stay",
    ]


def test_a_mistake_is_not_named_by_a_test_that_saw_no_values(tiny, kept):
    """An object that only ever raises gives every mistake's record: an empty one."""
    report = report_on(tiny, "1.1", centre=lambda x: 1 / 0)
    assert report.mistake is None


def test_the_stub_of_an_earlier_exercise_does_not_make_this_one_unwritten(tiny, kept):
    def centre(x):
        raise NotImplementedError("1.1 centre: take each row's mean away")

    report = report_on(tiny, "1.2", Scale=scale_built_on(centre), centre=centre)
    assert report.state == "failed" and report.broken_below == ("centre (1.1)",)


def test_a_mistake_that_passes_the_failed_test_is_not_named(tiny, kept):
    """An equal record is not enough: here the learner fails for another reason than any value."""
    text = tiny.checker.read_text()
    test = "\n\ndef test_the_name_is_kept(centre, draw):\n    centre(draw.normal(3, 5))\n"
    tiny.checker.write_text(text + test + "    assert centre._held.__name__ == 'centre'\n")
    right = "x - x.mean(-1, keepdim=True)"
    mistakes = tiny.mistakes.read_text().replace('"x - loss", "x + loss"', f'"x - loss", "{right}"')
    tiny.mistakes.write_text(mistakes)
    other = lambda x: x - x.mean(-1, keepdim=True)  # noqa: E731
    report = report_on(tiny, "1.1", centre=other)
    assert report.state == "failed" and report.mistake is None
