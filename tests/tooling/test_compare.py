"""Every kind of difference has its own sentence, and nothing is broadcast."""

import pytest
import torch

from utils.checking import expect_close, expect_equal
from utils.checking.complaints import Complaint


def seen(actual, expected, **options) -> str:
    with pytest.raises(Complaint) as caught:
        expect_close(actual, expected, **options)
    return caught.value.seen


RULE = torch.tensor([[1.0, 2.0, 3.0], [5.0, 7.0, 11.0], [13.0, 17.0, 19.0]])


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (None, "is None"),
        ("text", "is a str, not a tensor"),
        (RULE[:2], "has shape [2, 3], [3, 3] [row column] is right"),
        (RULE[0], "1 axis in place of 2"),
        (RULE.long(), "has dtype int64, a floating-point dtype is right"),
        (RULE * float("nan"), "is NaN in 9 of 9 places at row 0, column 0"),
        (RULE / 0, "is inf at row 0, column 0, 1 is right (9 of 9 places differ)"),
        (RULE * 2, "yours is 2 times the right answer everywhere"),
        (-RULE, "the sign turned round"),
        (RULE.T, "its last two axes swapped"),
        (RULE + 1, "plus 1 everywhere"),
        (RULE * 0, "yours is 0 everywhere"),
        (RULE + torch.tensor([[0.0], [0.0], [1.0]]), "only the last row differs"),
        (RULE + torch.eye(3), "the result is 2 at row 0, column 0, 1 is right (3 of 9 places differ)"),
    ],
)
def test_a_difference_is_said_in_words(actual, words):
    assert words in seen(actual, RULE, axes="row column")


def test_axes_in_another_order_are_recognised():
    assert "the same axes in another order" in seen(torch.ones(3, 2), torch.ones(2, 3))


def test_a_result_that_would_broadcast_is_refused():
    assert "has shape [1, 3]" in seen(torch.ones(1, 3), torch.ones(2, 3))


def test_masked_places_are_compared_as_infinities():
    masked = torch.tensor([0.0, -torch.inf])
    expect_close(masked.clone(), masked)
    assert "is -1000 at [1], -inf is right" in seen(torch.tensor([0.0, -1000.0]), masked)


def test_any_floating_dtype_is_welcome_unless_one_is_named():
    expect_close(RULE.double(), RULE)
    assert "has dtype float64, float32 is right" in seen(RULE.double(), RULE, dtype=torch.float32)


def test_two_numbers_that_differ_late_are_shown_with_more_digits():
    words = seen(torch.tensor([1.0812345, 3.0]), torch.tensor([1.0812445, 3.0]), rtol=0, atol=1e-7)
    assert "is 1.08123 at [0], 1.08124 is right" in words and "times" not in words


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("the keys", "the keys are 1"),
        ("the squared norms of the row", "the squared norms of the row are 1"),
        ("the new rows, with all gates at 0,", "the new rows, with all gates at 0, are 1"),
        ("the loss of all steps", "the loss of all steps is 1"),
        ("the bias", "the bias is 1"),
    ],
)
def test_the_verb_agrees_with_what_is_compared(what, words):
    assert seen(torch.tensor(1.0), torch.tensor(2.0), what=what).startswith(words)


def test_a_result_on_another_device_is_named():
    words = seen(torch.ones(2, device="meta"), torch.ones(2))
    assert words == "the result is on meta, the inputs are on cpu"


def test_a_plain_number_may_stand_for_a_scalar():
    expect_close(2.0, torch.tensor(2.0))
    assert "the result is 3, 2 is right" in seen(3.0, torch.tensor(2.0))


def test_the_picture_shows_the_first_wrong_matrix_and_stays_small():
    rule = torch.zeros(2, 3, 40, 5)
    wrong = rule.clone()
    wrong[1, 2, 4, 3] = 1
    with pytest.raises(Complaint) as caught:
        expect_close(wrong, rule, axes="batch head query key")
    picture = caught.value.picture
    assert picture.caption.startswith("batch 1, head 2")
    assert picture.yours.shape == (24, 5) and picture.axes == ("query", "key")


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        ([1, 2], [1, 3], "entry 1 of the result is 2, 3 is right"),
        ([1, 2], [1], "has 2 entries, 1 are right"),
        ("a", "b", "is 'a', 'b' is right"),
        (None, 3, "nothing was returned"),
        (torch.tensor([1, 2]), torch.tensor([1, 3]), "is 2 at [1] where 3 is right (1 of 2 differ)"),
    ],
)
def test_exact_things_are_compared_exactly(actual, expected, words):
    with pytest.raises(Complaint) as caught:
        expect_equal(actual, expected)
    assert words in caught.value.seen


def test_exact_things_that_are_equal_pass():
    expect_equal([1, (2, 3)], [1, (2, 3)])
    expect_equal(torch.tensor(3), 3)
    expect_equal({"a": [1]}, {"a": [1]})
