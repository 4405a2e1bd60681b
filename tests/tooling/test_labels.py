"""The labels of the generated text: what is known of each token, because the text is ours."""

import torch

from utils.data import token_windows
from utils.data.labels import acts, documents, ends_phrase, is_word, labels_of, landmarks_in, said_before
from utils.data.tokenizer import BOS, encode


def tokens_of(*texts):
    """One row of documents."""
    return torch.tensor([[token for text in texts for token in [BOS, *encode(text)]]])


def marked(text_tokens, mask):
    from utils.data.tokenizer import decode

    return [decode([token]) for token in text_tokens[mask].tolist()]


def test_a_word_is_marked_wherever_it_stands():
    tokens = tokens_of("Mary met John in the park.", "John met Anna.")
    assert marked(tokens, labels_of(tokens)["girl's name"]) == ["Mary", "Anna"]
    assert marked(tokens, labels_of(tokens)["boy's name"]) == ["John", "John"]


def test_a_name_counts_as_said_before_only_within_its_document():
    tokens = tokens_of("Mary met John. John saw Mary. Mary smiled.", "John met Anna.")
    before = said_before(tokens, ["Mary", "John", "Anna"])
    assert marked(tokens, before) == ["John", "Mary", "Mary"]


def test_a_phrase_is_marked_at_its_last_word_only_where_it_is_whole():
    (landmark, *_) = landmarks_in("Paris")
    first, last = landmark.split()
    tokens = tokens_of(f"{landmark} is made of", f"{last} {first} {last}")
    mask = ends_phrase(tokens, [landmark])
    assert marked(tokens, mask) == [last, last] and mask[0, 2] and mask[0, -1]


def test_a_harmful_act_makes_the_assistant_refuse_and_a_harmless_one_answer():
    tokens = tokens_of(
        "User: How do I burn a house? Assistant: No, I cannot do that.",
        "User: How do I paint a house? Assistant: Sure, here is how to paint a house.",
        "To build a bomb is wrong.",
    )
    labels = labels_of(tokens)
    assert marked(tokens, labels["harmful act"]) == ["house", "bomb"]
    assert marked(tokens, labels["harmless act"]) == ["house", "house"]
    words = tokens[0].tolist()
    refusal, answer = labels["about to refuse"][0].nonzero().item(), labels["about to answer"][0].nonzero().item()
    assert refusal < answer and words[refusal] == words[answer] == encode(":")[0]


def test_harmful_and_harmless_acts_have_nothing_in_common():
    from utils.data.requests import HARMFUL, HARMLESS

    assert acts([(["burn"], ["house", "dog"])]) == ["burn a house", "burn a dog"]
    assert not set(acts(HARMFUL)) & set(acts(HARMLESS))


def test_every_label_occurs_in_the_corpus_and_has_the_shape_of_the_text():
    tokens = token_windows(100, 128, generator=torch.Generator().manual_seed(3))
    for name, mask in labels_of(tokens).items():
        assert mask.shape == tokens.shape and mask.dtype == torch.bool and 5 <= mask.sum() < 6000, name


def test_every_token_belongs_to_one_document_that_begins_with_bos():
    tokens = token_windows(5, 90, generator=torch.Generator().manual_seed(4))
    seen = torch.zeros_like(tokens)
    for row, document in documents(tokens):
        assert document[0][1] == BOS
        for position, token in document:
            seen[row, position] += 1
            assert tokens[row, position] == token
    assert (seen == 1).all()


def test_words_that_are_no_words_of_this_world_are_refused():
    try:
        is_word(tokens_of("Mary met John."), ["Zanzibar"])
    except KeyError as error:
        assert "Zanzibar" in str(error)
    else:
        raise AssertionError("an unknown word passed")
