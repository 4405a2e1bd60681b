"""How dataclasses cross the border between a checker and a learner's object: field by field, as other data do."""

from dataclasses import dataclass, replace

import pytest
import torch

from utils.checking.border import Border
from utils.checking.complaints import Complaint
from utils.checking.handles import handle
from utils.checking.transcript import alike, frozen


@dataclass(frozen=True)
class Texts:
    words: list
    tokens: torch.Tensor
    places: dict


def some_texts() -> Texts:
    return Texts(["a", "b"], torch.arange(6).reshape(2, 3), {"END": torch.tensor([1, 2])})


def seen_through(function):
    return handle("twins", function, Border(torch.device("cpu")))


def test_a_dataclass_that_comes_back_is_written_down_field_by_field():
    border = Border(torch.device("cpu"))
    handle("twins", lambda texts: replace(texts, words=["c", "d"]), border)(some_texts())
    ((_, entry),) = border.transcript.entries
    assert entry["words"] == ["c", "d"]
    assert border.transcript.tells_something
    assert alike(entry, frozen(replace(some_texts(), words=["c", "d"])))
    assert not alike(entry, frozen(some_texts()))
    other_place = replace(some_texts(), words=["c", "d"], places={"END": torch.tensor([1, 1])})
    assert not alike(entry, frozen(other_place))


@pytest.mark.parametrize("change", ["tokens", "places", "words"])
def test_a_change_inside_a_dataclass_is_noticed_and_does_not_reach_the_checkers_own(change):
    def twins(texts):
        if change == "tokens":
            texts.tokens[0, 1] = 9
        elif change == "places":
            texts.places["END"] += 1
        else:
            texts.words.append("c")
        return texts

    texts = some_texts()
    with pytest.raises(Complaint) as caught:
        seen_through(twins)(texts)
    assert caught.value.kind == "in_place"
    assert alike(frozen(texts), frozen(some_texts()))


def test_a_class_and_a_dataclass_that_stays_as_it_was_are_no_complaint():
    assert alike(frozen(seen_through(lambda texts: texts)(some_texts())), frozen(some_texts()))
    assert frozen(Texts) == "<type>"
