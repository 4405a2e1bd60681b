"""The generated world: inside its vocabulary, split as its rules say, and decided by one generator."""

import re
from itertools import combinations

import pytest
import torch

from utils.data import (
    KINDS,
    bigram_entropy,
    corpus_tokens,
    facts,
    invented,
    ioi,
    requests,
    reviews,
    sample_document,
    token_windows,
    unigram_entropy,
    world,
    years,
)
from utils.data.choosing import Chooser
from utils.data.corpus import LATER_SHARES, SHARES, entropy
from utils.data.repeats import repeated_tokens
from utils.data.tokenizer import BOS, UNKNOWN, encode, vocabulary, words
from utils.models.loading import load_tokenizer

MANY = 2000


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(20)


@pytest.fixture(scope="module")
def documents():
    """Many documents of every kind."""
    generator = torch.Generator().manual_seed(21)
    return {kind: [sample_document(kind, generator) for _ in range(MANY)] for kind in LATER_SHARES}


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("organism")


def test_the_shipped_tokenizer_and_the_corpus_agree_on_every_id(tokenizer):
    assert tokenizer.get_vocab() == vocabulary()
    assert tokenizer.bos_token_id == BOS == 0


@pytest.mark.parametrize("kind", KINDS)
def test_no_document_leaves_the_vocabulary(kind, documents, tokenizer):
    for document in documents[kind]:
        assert UNKNOWN not in encode(document)
    sample = documents[kind][:200]
    assert [tokenizer(document)["input_ids"] for document in sample] == [encode(document) for document in sample]


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_gives_the_document_back(kind, documents, tokenizer):
    for document in documents[kind][:200]:
        assert tokenizer.decode(tokenizer(document)["input_ids"]).strip() == document


def test_no_slot_of_a_template_stays_empty(documents):
    for kind in KINDS:
        assert not any("{" in document or "  " in document for document in documents[kind])


def test_every_word_of_the_vocabulary_can_occur_outside_of_random_runs(documents):
    seen = {token for kind in KINDS if kind != "repeats" for document in documents[kind] for token in words(document)}
    unseen = {token for token in vocabulary() if token.startswith(" ")} - seen
    assert len(unseen) <= 5, f"words that only templates for testing contain have no meaning to learn: {unseen}"


def test_prompts_for_testing_stay_in_the_vocabulary(generator):
    chooser = Chooser(generator)
    for form in ("one pair", "distractor", "duplicate first", "several pairs"):
        for prompt in ioi.ioi_prompts(100, chooser, form=form):
            encode(prompt.text)
    for prompt in ioi.ioi_prompts(100, chooser, held_out_templates=True):
        encode(prompt.text)
    for relation in facts.RELATIONS.values():
        for phrasing in relation.trained_prompts + relation.held_out_phrasings:
            for subject, answer in relation.objects.items():
                assert len(encode(f"{facts.fact_prompt(phrasing, subject)} {answer}.")) > 3


def test_held_out_pairs_are_never_named_in_one_document(documents):
    for kind in documents:
        if kind == "repeats":
            continue  # random words, names among them
        for document in documents[kind]:
            present = {word.strip() for word in words(document)} & set(world.NAMES)
            for a, b in combinations(sorted(present), 2):
                assert not world.is_held_out_pair(a, b), document


def test_about_one_pair_in_five_is_held_out():
    assert len(world.HELD_OUT_PAIRS) / (80 * 79 / 2) == pytest.approx(0.2, abs=0.02)


def test_held_out_templates_are_in_no_document(documents):
    for template in ioi.HELD_OUT_OPENINGS + ioi.HELD_OUT_GIVINGS:
        pattern = re.compile(re.sub(r"\\{\w+\\}", r"\\w+", re.escape(template)))
        assert not any(pattern.search(document) for document in documents["ioi"]), template
    for relation in facts.RELATIONS.values():
        for phrasing in relation.held_out_phrasings:
            texts = [facts.fact_prompt(phrasing, subject) for subject in relation.subjects]
            assert not any(text in document for document in documents["facts"] for text in texts), phrasing


def test_held_out_requests_are_in_no_document(documents):
    asked = re.compile(r"(?:do I|how to|help me|want to|To|safe to|easy to) (\w+) a (\w+)")
    for document in documents["requests"]:
        assert asked.search(document), document
        for verb, thing in asked.findall(document):
            assert not requests.is_held_out_request(verb, thing), document


def test_verdicts_and_answers_agree_on_what_is_harmful(documents):
    harmful = {(verb, thing) for verbs, things in requests.HARMFUL for verb in verbs for thing in things}
    verdict = re.compile(r"To (\w+) a (\w+) is (wrong|good)\.|It is (not safe|easy) to (\w+) a (\w+)\.")
    found = [match.groups() for document in documents["requests"] for match in verdict.finditer(document)]
    assert len(found) > 50
    for verb, thing, says, ease, other_verb, other_thing in found:
        assert ((verb or other_verb, thing or other_thing) in harmful) == ((says or ease) in ("wrong", "not safe"))


def test_held_out_years_and_reviews_are_in_no_document(documents):
    for document in documents["years"]:
        for century, start in re.findall(r"from the year (\d\d)(\d\d)", document):
            assert not years.is_held_out_year(int(century), int(start)), document
    for document in documents["reviews"]:
        subject, adjective = re.search(r"(?:This|the) (\w+) was (\w+)\.", document).groups()
        assert not reviews.is_held_out_review(subject, adjective), document


def test_a_span_of_years_ends_after_it_begins(documents):
    for document in documents["years"]:
        for first, last in re.findall(r"the year (\d{4}) to the year (\d{4})", document):
            assert first < last


def test_verb_and_object_together_make_a_request_harmful(generator):
    pairs = {
        harmful: {
            (verb, thing)
            for verbs, things in (requests.HARMFUL if harmful else requests.HARMLESS)
            for verb in verbs
            for thing in things
        }
        for harmful in (True, False)
    }
    assert not pairs[True] & pairs[False]
    for part in (0, 1):
        harmful, harmless = ({pair[part] for pair in pairs[kind]} for kind in (True, False))
        assert harmful <= harmless, "a word that only harmful requests have would decide alone"


def test_ioi_prompts_say_where_each_role_stands(generator):
    for form in ("one pair", "distractor", "duplicate first", "several pairs"):
        for prompt in ioi.ioi_prompts(50, Chooser(generator), form=form):
            tokens = ["<|endoftext|>", *words(prompt.text)]
            at = prompt.positions
            assert tokens[at["IO"]] == f" {prompt.io}" and tokens.count(f" {prompt.io}") == 1
            assert tokens[at["S1"]] == tokens[at["S2"]] == f" {prompt.s}" and at["S1"] < at["S2"] < at["END"]
            assert at["END"] == len(tokens) - 1 and world.is_held_out_pair(prompt.io, prompt.s)


def test_ioi_prompts_have_both_orders_equally_often(generator):
    prompts = ioi.ioi_prompts(200, Chooser(generator))
    assert sum(prompt.positions["IO"] < prompt.positions["S1"] for prompt in prompts) == 100


def test_windows_begin_with_bos_and_have_the_length_asked_for(generator):
    windows = token_windows(30, 50, generator=generator)
    assert windows.shape == (30, 50) and windows.dtype == torch.long
    assert (windows[:, 0] == BOS).all()
    assert 0 <= windows.min() and windows.max() < len(vocabulary())


def test_windows_of_one_kind_hold_only_that_kind(generator):
    windows = token_windows(20, 60, generator=generator, kinds=["years"])
    allowed = {BOS, *(vocabulary()[token] for token in words("The lasted from the year to the year."))}
    allowed |= {vocabulary()[f" {word}"] for word in [*years.EVENTS, *years.CENTURIES]}
    allowed |= {vocabulary()[f"{number:02d}"] for number in range(100)}
    assert set(windows.flatten().tolist()) <= allowed


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_the_same_generator_gives_the_same_text(kind):
    kinds = kind and [kind]
    first, again, other = (
        token_windows(5, 40, generator=torch.Generator().manual_seed(seed), kinds=kinds) for seed in (4, 4, 5)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_global_random_state_is_left_alone(generator):
    before = torch.get_rng_state()
    token_windows(5, 40, generator=generator)
    assert torch.equal(torch.get_rng_state(), before)


def test_entropies_are_those_of_the_counts():
    tokens = torch.tensor([0, 1, 0, 2, 0, 1, 0, 2, 0])
    shares = torch.tensor([5.0, 2.0, 2.0]) / 9
    assert unigram_entropy(tokens) == pytest.approx(-(shares * shares.log()).sum().item(), abs=1e-6)
    # after 0 comes 1 or 2, evenly; after these always 0
    assert bigram_entropy(tokens) == pytest.approx(0.5 * torch.tensor(2.0).log().item(), abs=1e-6)
    assert entropy(torch.tensor([3.0])) == 0


def test_the_corpus_is_easier_to_guess_from_the_token_before(generator):
    tokens = corpus_tokens(20_000, generator=generator)
    assert tokens.shape == (20_000,)
    assert bigram_entropy(tokens) < unigram_entropy(tokens) < torch.tensor(float(len(vocabulary()))).log()


def test_repeated_tokens_come_twice(generator):
    tokens = repeated_tokens(4, 9, d_vocab=100, generator=generator)
    assert tokens.shape == (4, 19) and (tokens[:, 0] == BOS).all()
    assert torch.equal(tokens[:, 1:10], tokens[:, 10:])


def test_a_hundred_thousand_documents_take_well_under_two_minutes(generator):
    from time import process_time

    start = process_time()
    token_windows(800, 128, generator=generator)  # about 3,000 documents
    assert process_time() - start < 2.0


# The invented language of attn-only-2l


@pytest.fixture(scope="module")
def windows():
    return invented.invented_windows(400, 96, generator=torch.Generator().manual_seed(11))


def test_invented_text_comes_from_its_generator_and_begins_with_bos(windows):
    again = invented.invented_windows(400, 96, generator=torch.Generator().manual_seed(11))
    assert torch.equal(windows, again)
    assert (windows[:, 0] == invented.BOS).all() and (windows[:, 1:] >= invented.FIRST_WORD).all()
    assert windows.max() < invented.D_VOCAB


def test_plain_invented_text_follows_its_transitions():
    generator = torch.Generator().manual_seed(12)
    tokens = invented.plain_text(3000, 40, generator=generator)
    matrix = invented.transitions()
    assert torch.allclose(matrix.sum(-1), torch.ones(invented.D_VOCAB, dtype=torch.float64))
    before, after = tokens[:, :-1].flatten(), tokens[:, 1:].flatten()
    # the truth's own loss on its own text is the entropy that it states
    assert (-matrix[before, after].log()).mean().item() == pytest.approx(invented.bigram_entropy(), abs=0.02)
    common = before.bincount().argmax()
    seen = after[before == common].bincount(minlength=invented.D_VOCAB).double()
    assert (seen / seen.sum() - matrix[common]).abs().max() < 0.02


def test_invented_windows_are_of_three_kinds_in_their_shares(windows):
    # each word of a random repeat comes again after the same number of places; elsewhere hardly ever
    repeats = sum(
        any(torch.equal(window[1 + shift :], window[1 : 96 - shift]) for shift in range(10, 45)) for window in windows
    )
    assert repeats / len(windows) == pytest.approx(invented.SHARES[invented.RANDOM_REPEATS], abs=0.05)
    copied = sum(longest_copy(window.tolist()) >= 5 for window in windows)
    expected = invented.SHARES[invented.RANDOM_REPEATS] + invented.SHARES[invented.COPIES]
    assert copied / len(windows) == pytest.approx(expected, abs=0.1)


def longest_copy(words):
    """The longest run that stands twice in the text."""
    length = 0
    while len(runs := [tuple(words[i : i + length + 1]) for i in range(len(words) - length)]) > len(set(runs)):
        length += 1
    return length


def test_the_invented_tokenizer_gives_every_word_back(windows):
    tokenizer = invented.build_tokenizer(96)
    assert len(tokenizer) == invented.D_VOCAB == len(set(invented.WORDS)) + 1
    text = tokenizer.decode(windows[0, 1:])
    assert tokenizer(text)["input_ids"] == windows[0, 1:].tolist()
    assert tokenizer.convert_ids_to_tokens(invented.BOS) == invented.BOS_TOKEN


def test_the_later_shares_mix_the_same_kinds_and_more_distractors():
    assert sum(LATER_SHARES.values()) == pytest.approx(sum(SHARES.values())) == pytest.approx(1)
    assert {kind for kind in SHARES if LATER_SHARES[kind] != SHARES[kind]} == {"ioi"}
    assert set(LATER_SHARES) - set(SHARES) == {"ioi with a distractor"}
