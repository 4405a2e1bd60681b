"""This file knows how to check chapter 4: indirect object identification and activation patching."""

import copy
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from unittest.mock import patch as replaced

import einops
import pytest
import torch
import torch.nn.functional as F
from transformer_lens import ActivationCache, patching

from utils.checking import complain, expect_close, expect_equal, expect_shape
from utils.checking.complaints import Complaint
from utils.checking.stand_ins import TaskPrompts, WordsByNumber
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.config import TransformerConfig
from utils.models.random_models import borrow_bridge, random_bridge

# no two axes of the same size, none of size 1
SMALL = AttentionOnlyConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4)
WITH_MLPS = TransformerConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4, d_mlp=19)


@pytest.fixture(autouse=True)
def gradients_are_off_as_in_the_notebook(border):
    """The notebook's first cell turns gradients off, so what is checked here runs as it does there."""
    border.gradients = False


def tiny_model(draw, cfg=WITH_MLPS):
    """A model under TransformerLens' names with random weights and biases, none at its default; in compatibility mode."""
    return random_bridge(cfg, draw.generator(), draw.device)


def copy_of_cache(cache):
    """The same activations for a learner to work with: what is remembered stays as it is."""
    twin = copy.copy(cache)
    twin.cache_dict = {name: activation.clone() for name, activation in cache.cache_dict.items()}
    return twin


def random_tokens(draw, *, batch=2, pos=7, d_vocab=SMALL.d_vocab):
    """BOS, then random tokens."""
    tokens = draw.integers(1, d_vocab, (batch, pos))
    tokens[:, 0] = 0
    return tokens


REMEMBERED = {}


def remembered(make, *key):
    """What `make` gives, worked out once for each key: a wrong answer is compared with every mistake on the same inputs."""
    if key not in REMEMBERED:
        if len(REMEMBERED) > 2000:
            REMEMBERED.clear()
        REMEMBERED[key] = make()
    return REMEMBERED[key]


def key_of(model, *tensors):
    """What says which model this is, with its weights as they are now, and which inputs these are."""
    digest = hashlib.blake2b()
    for each in (*model.parameters(), *tensors):
        digest.update(each.detach().cpu().numpy().tobytes())
    return str(model.W_E.device), digest.hexdigest()


# what the notebook keeps of a run
KEPT = tuple(
    f"hook_{name}"
    for name in "embed pos_embed resid_pre resid_mid resid_post q k v z pattern attn_out mlp_out scale".split()
)


def kept_cache(model, tokens):
    """The cache of a run on these tokens with what the notebook's own caches have; its tensors are the borrower's."""
    with torch.no_grad():
        kept = remembered(
            lambda: dict(model.run_with_cache(tokens, names_filter=lambda name: name.endswith(KEPT))[1].items()),
            "cache",
            *key_of(model, tokens),
        )
    return ActivationCache({name: value.clone() for name, value in kept.items()}, model)


def hooks_on(model):
    """How many hook functions are on the model."""
    return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in model.hook_dict.values())


def expect_no_hooks(model, *, look_at="how you add the hook"):
    if hooks_on(model):
        complain(
            f"{hooks_on(model)} hooks are still on the model",
            rule="what is run later must not meet these hooks: they are gone when the function returns",
            look_at=look_at,
        )


ROLES = ["IO", "S1", "S1+1", "S2", "END"]


# A model with words of its own: BOS is not token 0, and " Zaphod" is two tokens

TASK_NAMES = ["Ann", "Anna", "Bob", "Carl", "Dora", "Eve", "Finn", "Gus", "Hal", "Ida"]
TASK_PLACES, TASK_THINGS = ["park", "zoo", "barn", "lake", "inn"], ["book", "ring", "lamp", "hat", "cup"]
TASK_WORDS = ["Then", "At", "the", "and", "met", "saw", "gave", "a", "to", "quiet", "old", "Za"]
TASK_TOKEN = r" Za|phod| ?[A-Za-z]+|[.,]"
TASK_TEMPLATES = [
    "Then, {A} and {B} saw the old {place}. {S} gave a {thing} to",
    "At the {place}, {A} met {B}, {S} gave the {thing} to",
    "{A} saw {B} and the quiet old {place}. Then {S} gave a old {thing} to",
]


@lru_cache
def task_vocabulary():
    words = [f" {word}" for word in [*TASK_WORDS, *TASK_PLACES, *TASK_THINGS, *TASK_NAMES]]
    words[4:4] = ["<unk>"]
    words[9:9] = ["<bos>"]
    return {word: index for index, word in enumerate([*words, "phod", ",", "."])}


def task_ids(text):
    """BOS and the ids of the text, without the model's help."""
    ids = task_vocabulary()
    return [ids["<bos>"], *(ids.get(word, ids["<unk>"]) for word in re.findall(TASK_TOKEN, f" {text}"))]


@lru_cache
def task_model(device, spaced=True):
    """A model that knows the words above; nobody runs it. If not `spaced`, as in GPT-2, no space is put before a text."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformer_lens import TransformerBridge
    from transformer_lens.config import TransformerBridgeConfig
    from transformers import PreTrainedTokenizerFast

    from utils.models.loading import quietly

    tokenizer = Tokenizer(models.WordLevel(task_vocabulary(), unk_token="<unk>"))
    if spaced:
        tokenizer.normalizer = normalizers.Replace(Regex(r"^ *(?=[A-Za-z])"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(TASK_TOKEN), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<bos>", pad_token="<bos>", unk_token="<unk>"
    )
    sizes = TransformerBridgeConfig(
        d_model=6, d_head=2, n_heads=3, n_layers=2, n_ctx=30, d_vocab=len(task_vocabulary()), attn_only=True,
        normalization_type=None, positional_embedding_type="standard",
    )  # fmt: skip
    with quietly(), torch.random.fork_rng(devices=[]):
        model = TransformerBridge.boot_native(sizes, device="cpu").to(device).eval()
    model.tokenizer, model.cfg.tokenizer_prepends_bos = fast, False
    return model


def task_prompts(device, cases=None):
    """Prompts of several lengths with their positions, made without anything of the learner's."""
    cases = cases or [
        (0, "Ann", "Bob", True), (0, "Dora", "Anna", False), (1, "Carl", "Eve", True), (1, "Gus", "Finn", False),
        (2, "Eve", "Ann", True), (2, "Bob", "Hal", False), (0, "Hal", "Carl", True), (1, "Anna", "Dora", False),
    ]  # fmt: skip
    texts, rows, positions = [], [], {role: [] for role in ROLES}
    for number, io, s, first in cases:
        a, b = (io, s) if first else (s, io)
        noun = {"place": TASK_PLACES[len(texts) % 5], "thing": TASK_THINGS[len(texts) % 4]}
        texts.append(TASK_TEMPLATES[number].format(A=a, B=b, S=s, **noun))
        rows.append(task_ids(texts[-1]))
        at_io, (s1, s2) = rows[-1].index(token_of(io)), [p for p, t in enumerate(rows[-1]) if t == token_of(s)]
        for role, place in zip(ROLES, (at_io, s1, s1 + 1, s2, len(rows[-1]) - 1)):
            positions[role].append(place)
    width = max(map(len, rows))
    bos = task_vocabulary()["<bos>"]
    return TaskPrompts(
        texts,
        torch.tensor([row + [bos] * (width - len(row)) for row in rows], device=device),
        torch.tensor([token_of(io) for _, io, _, _ in cases], device=device),
        torch.tensor([token_of(s) for _, _, s, _ in cases], device=device),
        {role: torch.tensor(places, device=device) for role, places in positions.items()},
        [number for number, *_ in cases],
    )


def token_of(name):
    return task_vocabulary()[f" {name}"]


def word_of(token):
    return list(task_vocabulary())[int(token)]


def expect_prompts(result):
    """Complain unless this has the fields of Prompts."""
    missing = [name for name in TaskPrompts.__dataclass_fields__ if not hasattr(result, name)]
    if missing:
        raise Complaint(
            f"a {type(result).__name__} came back, which has no {', '.join(missing)}",
            rule="a Prompts comes back",
            look_at="the `return` line",
            kind="type",
        )
    return result


def expect_refused(call, *, names, rule, look_at):
    """Complain unless the call raises a ValueError whose text holds all of these."""
    try:
        call()
    except Complaint as complaint:
        if complaint.kind != "raised" or "ValueError" not in complaint.seen:
            raise
        text = complaint.seen.partition("ValueError")[2]
        missing = [name for name in names if name not in text]
        if missing:
            complain(f"{complaint.seen}: not a word of {missing[0]!r}", rule=rule, look_at=look_at)
        return
    complain("no ValueError was raised", rule=rule, look_at=look_at)


def expect_same_fields(result, prompts, fields, *, rule, look_at):
    for name in fields:
        yours, right = getattr(result, name), getattr(prompts, name)
        if isinstance(right, dict):
            for role in ROLES:
                expect_equal(yours[role], right[role], rule=rule, look_at=look_at, what=f'positions["{role}"]')
        else:
            expect_equal(yours, right, rule=rule, look_at=look_at, what=f"the field {name}")


def expect_texts_of_tokens(result, *, look_at):
    for row, text in enumerate(result.texts):
        expect_equal(
            task_ids(text),
            result.tokens[row, : int(result.positions["END"][row]) + 1].tolist(),
            rule="texts and tokens say the same: a text, cut into tokens again, gives its row",
            look_at=look_at,
            what=f"the list of tokens of text {row}, {text!r},",
        )


# 4.1 name_positions

POSITIONS_RULE = (
    "BOS is number 0, the first word number 1; S1 and S2 are the two places of S, and END is the last token"
)
AT_POSITIONS = "what you count from, and that IO may stand before S1, between S1 and S2, or after S2"


def words_with(io_at, s_at, io, s, pos):
    """Tokens of `pos` positions, with the two names where one wants them."""
    tokens = ["<bos>", *(f" w{place}" for place in range(1, pos))]
    for places, name in ((io_at, io), (s_at, s)):
        for place in places:
            tokens[place] = f" {name}"
    return tokens


def expect_five_roles(found):
    expect_equal(sorted(found), sorted(ROLES), rule="five roles come back", look_at="the dictionary", what="its keys")


def expect_positions(name_positions, tokens, io, s, expected):
    found = name_positions(tokens, io, s)
    for role, place in zip(ROLES, expected):
        if role not in found:
            complain(f"there is no {role!r} among {list(found)}", rule=POSITIONS_RULE, look_at="the names of the roles")
        expect_equal(found[role], place, rule=POSITIONS_RULE, look_at=AT_POSITIONS, what=f"{role} of {tokens}")
    expect_five_roles(found)


def positions_of(name_positions, *, io_at, s_at, pos):
    found = name_positions(words_with([io_at], s_at, "Zoe", "Max", pos), "Zoe", "Max")
    expect_five_roles(found)
    return found


def test_five_roles_come_back(name_positions):
    positions_of(name_positions, io_at=2, s_at=[4, 7], pos=10)


def test_end_is_the_last_of_all_tokens(name_positions):
    for pos in (9, 12):
        expect_equal(
            positions_of(name_positions, io_at=6, s_at=[2, 5], pos=pos)["END"],
            pos - 1,
            rule=f"of {pos} tokens, counted from 0, the last one is number {pos - 1}",
            look_at="the number of tokens, and what is taken off",
            what="END",
        )


def test_s1_plus_1_is_the_place_right_after_s1(name_positions):
    for s_at in ([3, 7], [2, 8]):
        found = positions_of(name_positions, io_at=5, s_at=s_at, pos=11)
        expect_equal(
            found["S1+1"],
            found["S1"] + 1,
            rule="S1+1 is one after S1, whatever word stands there",
            look_at="what you add, and to which of the two mentions of S",
            what=f"S1+1, with S1 at {found['S1']},",
        )


def test_positions_in_a_text_that_names_io_first(name_positions):
    text = "Then, Mary and John went to the store. John gave a drink to"
    tokens = ["<bos>", *re.findall(r" ?\w+|[.,]", " " + text)]
    expect_positions(name_positions, tokens, "Mary", "John", (3, 5, 6, 11, 15))


def test_positions_in_a_text_that_names_s_first(name_positions):
    text = "After the concert, Tom met Emma at the park, Tom said hello to"
    tokens = ["<bos>", *re.findall(r" ?\w+|[.,]", " " + text)]
    expect_positions(name_positions, tokens, "Emma", "Tom", (7, 5, 6, 12, 15))


def test_positions_wherever_the_names_stand(name_positions, draw):
    for pos in (5, 9, 14):
        io_at, first, second = sorted((draw.permutation(pos - 1)[:3] + 1).tolist(), key=lambda place: place * 7 % 5)
        s1, s2 = sorted((first, second))
        expect_positions(
            name_positions,
            words_with([io_at], [s1, s2], "Ann", "Bob", pos),
            "Ann",
            "Bob",
            (io_at, s1, s1 + 1, s2, pos - 1),
        )


def test_a_name_inside_a_longer_word_is_not_that_name(name_positions):
    tokens = words_with([4], [2, 7], "Ann", "Sam", 10)
    tokens[1], tokens[3] = " Anna", " Samuel"
    try:
        expect_positions(name_positions, tokens, "Ann", "Sam", (4, 2, 3, 7, 9))
    except Complaint as complaint:
        if complaint.kind != "raised" or "ValueError" not in complaint.seen:
            raise
        complain(
            f"{complaint.seen}, though the tokens are {tokens}",
            rule='" Anna" is another word than " Ann": a token is the name if it is a space and the name, and nothing else',
            look_at="how a token is compared with a name",
        )


def expect_refused_by_the_name(name_positions, cases):
    for case, io_at, s_at, name in cases:
        tokens = words_with(io_at, s_at, "Zoe", "Max", 10)
        expect_refused(
            lambda tokens=tokens: name_positions(tokens, "Zoe", "Max"),
            names=[name],
            rule=f"IO stands in a text exactly once and S exactly twice; here {case}, so a ValueError names {name}",
            look_at="how you count the places of a name, and what happens when their number is wrong",
        )


def test_io_that_is_missing_or_there_too_often_is_refused_by_name(name_positions):
    cases = [("IO is not there", [], [2, 6], "Zoe"), ("IO stands twice", [3, 8], [2, 6], "Zoe")]
    expect_refused_by_the_name(name_positions, cases)


def test_s_that_does_not_stand_twice_is_refused_by_name(name_positions):
    cases = [
        ("S stands once", [3], [6], "Max"),
        ("S stands three times", [3], [2, 6, 8], "Max"),
        ("S is not there", [3], [], "Max"),
    ]
    expect_refused_by_the_name(name_positions, cases)


def test_a_name_in_pieces_is_not_there(name_positions):
    tokens = words_with([3], [2, 6], "Zoe", "Max", 10)
    tokens[2:3] = [" Ma", "x"]
    expect_refused(
        lambda: name_positions(tokens, "Zoe", "Max"),
        names=["Max"],
        rule='a name is there where one token is exactly a space and the name; " Ma", "x" is not',
        look_at="how a token is compared with a name",
    )
    tokens = words_with([3], [2, 6], "Zoella", "Max", 10)
    expect_refused(
        lambda: name_positions(tokens, "Zoe", "Max"),
        names=["Zoe"],
        rule='" Zoella" is another word than " Zoe", which is not there',
        look_at="how a token is compared with a name",
    )
    tokens = ["<bos>", "Zoe", *words_with([], [1, 5], "Zoe", "Max", 9)[1:]]
    expect_refused(
        lambda: name_positions(tokens, "Zoe", "Max"),
        names=["Zoe"],
        rule='"Zoe" without a space before it is another token than " Zoe", and not the one that the model will predict',
        look_at="how a token is compared with a name",
    )


# 4.2 ioi_prompts

TASK_PAIRS = [("Ann", "Bob"), ("Dora", "Anna"), ("Anna", "Dora")]
ONE_NOUN = {"place": ["park"], "thing": ["hat"]}
ALL_NOUNS = {"place": TASK_PLACES, "thing": TASK_THINGS}
ROWS_RULE = (
    "template by template, in each pair by pair, and of each pair the text with IO first, then the one with S first"
)


def texts_by_hand(templates, pairs, **nouns):
    return [
        template.format(A=a, B=b, S=s, **nouns)
        for template in templates
        for io, s in pairs
        for a, b in ((io, s), (s, io))
    ]


def made_prompts(ioi_prompts, draw, *, templates=TASK_TEMPLATES, pairs=TASK_PAIRS, nouns=ONE_NOUN, generator=None):
    return expect_prompts(ioi_prompts(task_model(draw.device), templates, pairs, nouns, generator or draw.generator()))


def test_every_template_comes_with_every_pair_in_both_orders(ioi_prompts, draw):
    made = made_prompts(ioi_prompts, draw)
    expect_equal(
        list(made.texts),
        texts_by_hand(TASK_TEMPLATES, TASK_PAIRS, place="park", thing="hat"),
        rule=ROWS_RULE,
        look_at="the order of your loops; {A} is the first name of the text, {B} the second, {S} always the giver",
        what="the list of texts",
    )
    expect_equal(
        list(made.templates),
        [number for number in range(len(TASK_TEMPLATES)) for _ in range(2 * len(TASK_PAIRS))],
        rule="the number of each text's template among `templates`",
        look_at="what you keep beside each text",
        what="the field `templates`",
    )


def test_the_rows_of_tokens_are_the_texts_after_bos_and_filled_up_with_it(ioi_prompts, draw):
    made = made_prompts(ioi_prompts, draw)
    rows = [task_ids(text) for text in texts_by_hand(TASK_TEMPLATES, TASK_PAIRS, place="park", thing="hat")]
    width = max(map(len, rows))
    bos = task_vocabulary()["<bos>"]
    expect_equal(
        made.tokens,
        torch.tensor([row + [bos] * (width - len(row)) for row in rows], device=draw.device),
        rule=f"BOS (here token {bos}), the tokens of the text, and BOS on the right until all rows are as long as the longest",
        look_at="on which side you fill up, and with which token: model.tokenizer.bos_token_id",
        what="the tokens",
    )
    tensors = {"the tokens": made.tokens, "the field io": made.io, "the field s": made.s}
    for what, tensor in (tensors | {f'positions["{role}"]': made.positions.get(role) for role in ROLES}).items():
        if isinstance(tensor, torch.Tensor) and tensor.device.type != draw.device.type:
            complain(
                f"{what} {'are' if what.endswith('s') else 'is'} on {tensor.device}, the model is on {draw.device}",
                rule="prompts live where their model lives, all of their tensors",
                look_at="tensors that you make yourself",
            )


def test_the_answer_is_the_name_that_stands_once(ioi_prompts, draw):
    made = made_prompts(ioi_prompts, draw)
    for field, place, what in (("io", 0, "stands once"), ("s", 1, "stands twice, and gives")):
        ids = [token_of(pair[place]) for _ in TASK_TEMPLATES for pair in TASK_PAIRS for _ in range(2)]
        expect_equal(
            getattr(made, field),
            torch.tensor(ids, device=draw.device),
            rule=f"{field} is the token of the name that {what}; the same in both orders of a pair",
            look_at="which of the two names you keep as io and which as s",
            what=f"the field {field}",
        )


def test_the_answer_is_the_token_with_the_space_before_it(ioi_prompts, draw):
    templates = TASK_TEMPLATES[:2]  # the third begins with a name, which has no space before it in this tokenizer
    model = task_model(draw.device, spaced=False)
    made = expect_prompts(ioi_prompts(model, templates, TASK_PAIRS, ONE_NOUN, draw.generator()))
    for field, place in (("io", 0), ("s", 1)):
        expect_equal(
            getattr(made, field),
            torch.tensor(
                [token_of(pair[place]) for _ in templates for pair in TASK_PAIRS for _ in range(2)], device=draw.device
            ),
            rule='" Ann" is what is to be predicted; to some tokenizers, as to that of GPT-2, "Ann" is another token',
            look_at="name_token(model, name), which puts the space before the name",
            what=f"the field {field}, with a tokenizer that puts no space before a text,",
        )


def test_every_row_has_its_own_positions(ioi_prompts, draw):
    made = made_prompts(ioi_prompts, draw)
    cases = [
        (number, io, s, first)
        for number in range(len(TASK_TEMPLATES))
        for io, s in TASK_PAIRS
        for first in (True, False)
    ]
    expected = task_prompts(draw.device, cases).positions
    for role in ROLES:
        if role not in made.positions:
            complain(
                f"there is no {role!r} among the positions", rule="the roles of name_positions", look_at="positions"
            )
        expect_equal(
            made.positions[role],
            expected[role],
            rule="for each role one tensor, with the place in each row; END is the last token of that row's own text",
            look_at="what the positions are counted in: the tokens of each text with BOS, before it is filled up",
            what=f'positions["{role}"]',
        )


def nouns_of(text):
    words = re.findall(r"\w+", text)
    return tuple(next(word for word in words if word in nouns) for nouns in (TASK_PLACES, TASK_THINGS))


def test_nouns_are_drawn_for_each_template_and_pair_and_shared_by_both_orders(ioi_prompts, draw):
    pairs = [(a, b) for a in TASK_NAMES[:5] for b in TASK_NAMES[5:]]
    nouns = {field: words[:3] for field, words in ALL_NOUNS.items()}
    made = made_prompts(ioi_prompts, draw, templates=TASK_TEMPLATES[1:2], pairs=pairs, nouns=nouns)
    expect_equal(len(made.texts), 50, rule=ROWS_RULE, look_at="your loops", what="the number of texts")
    drawn = [nouns_of(text) for text in made.texts]
    for row in range(0, len(drawn), 2):
        if drawn[row] != drawn[row + 1]:
            complain(
                f"the two orders of one pair are {made.texts[row]!r} and {made.texts[row + 1]!r}",
                rule="the two orders of a pair differ in the order of the names alone, not in the nouns",
                look_at="where in your loops a noun is drawn",
            )
    for place, (field, words) in enumerate(nouns.items()):
        missing = set(words) - {each[place] for each in drawn}
        # 25 draws of 3 words: one is missing by chance in one of 8,000 runs
        if missing:
            complain(
                f"{sorted(missing)[0]!r} of {field} occurs in none of {len(drawn)} texts",
                rule="for every template and pair each field's word is drawn anew, all words equally often",
                look_at="how you choose a word, and where in your loops",
            )
    together = sorted(set(drawn))
    if len(together) == 3:
        complain(
            f"only {', '.join(' with '.join(pair) for pair in together)} occur together in {len(drawn)} texts",
            rule="for each field a word is drawn by itself, so that every place may come with every thing",
            look_at="how many numbers you draw for a template and pair: one for each field",
        )


def test_the_nouns_come_from_the_generator_alone(ioi_prompts, draw):
    pairs = [(a, b) for a in TASK_NAMES[:2] for b in TASK_NAMES[5:9]]
    seed = int(draw.integers(0, 10_000))
    state = torch.random.get_rng_state()
    texts = []
    for each in (seed, seed, seed + 1):
        torch.manual_seed(each + len(texts))
        generator = torch.Generator().manual_seed(each)
        made = made_prompts(
            ioi_prompts, draw, templates=TASK_TEMPLATES[1:2], pairs=pairs, nouns=ALL_NOUNS, generator=generator
        )
        texts.append(list(made.texts))
    torch.random.set_rng_state(state)
    look_at = "which random numbers you draw: give `generator=generator` to torch.randint"
    if texts[0] != texts[1]:
        complain(
            "the same seed gave other nouns",
            rule="a generator with the same seed gives the same texts",
            look_at=look_at,
        )
    if texts[0] == texts[2]:
        complain("another seed gave the same nouns", rule="every word is drawn from the generator", look_at=look_at)


def test_a_name_of_several_tokens_is_refused_with_its_tokens(ioi_prompts, draw):
    model = task_model(draw.device)
    rule = "a name that is not a single token of this model gets a ValueError with the name and its tokens"
    look_at = (
        "model.to_str_tokens of a space and the name, with prepend_bos=False: its only entry must be that very text"
    )
    for pair in (("Ann", "Zaphod"), ("Zaphod", "Ann")):
        expect_refused(
            lambda pair=pair: ioi_prompts(model, TASK_TEMPLATES, [TASK_PAIRS[0], pair], ONE_NOUN, draw.generator()),
            names=["Zaphod", "phod"],
            rule=rule,
            look_at=look_at,
        )
    expect_refused(
        lambda: ioi_prompts(model, TASK_TEMPLATES, [("Ann", "Kim")], ONE_NOUN, draw.generator()),
        names=["Kim", "unk"],
        rule=f"{rule}; a model of whole words has one token for all words it does not know, <unk>, and that is not the name",
        look_at=look_at,
    )


# 4.3 and 4.4 abc_twins, s2_twins

NAME_ROLES = ("IO", "S1", "S2")


def expect_only_changed_at(result, prompts, roles):
    """Complain unless the tokens differ from the clean ones at these roles alone."""
    expect_shape(result.tokens, prompts.tokens.shape, axes="batch pos", look_at="what you do to prompts.tokens")
    changed = (result.tokens.to(prompts.tokens.device) != prompts.tokens).cpu()
    rows = torch.arange(len(changed))
    elsewhere = changed.clone()
    for role in roles:
        at = prompts.positions[role].cpu()
        if not changed[rows, at].all():
            row = int((~changed[rows, at]).nonzero()[0])
            complain(
                f"the token at {role} of text {row} is still{word_of(prompts.tokens[row, at[row]])}",
                rule=f"another name stands at {' and '.join(roles)} of every text",
                look_at="the index: a row number and that row's position go together",
            )
        elsewhere[rows, at] = False
    if elsewhere.any():
        row, pos = elsewhere.nonzero()[0].tolist()
        complain(
            f"at position {pos} of text {row} stands{word_of(result.tokens[row, pos])} where{word_of(prompts.tokens[row, pos])} stood",
            rule=f"only {' and '.join(roles)} change{'s' if len(roles) == 1 else ''}; all other words stay",
            look_at="at which positions you put names",
        )


def many_task_prompts(device, draw):
    """48 prompts: every name is IO or S somewhere."""
    cases = []
    for row in range(48):
        io, s = (draw.permutation(8)[:2]).tolist()
        cases.append((row % 3, TASK_NAMES[io], TASK_NAMES[s], row % 2 == 0))
    return task_prompts(device, cases)


SAME_FRAME = "a twin keeps io, s, positions and templates: it is asked the same question about the same two names"


def abc_of(abc_twins, draw, prompts, names=TASK_NAMES, generator=None):
    twins = expect_prompts(abc_twins(task_model(draw.device), prompts, names, generator or draw.generator()))
    expect_only_changed_at(twins, prompts, NAME_ROLES)
    return twins


def names_at(twins, prompts):
    rows = torch.arange(len(prompts.tokens), device=prompts.tokens.device)
    return torch.stack([twins.tokens[rows, prompts.positions[role]] for role in NAME_ROLES], dim=1).tolist()


def expect_another_name_at(role, abc_twins, draw):
    prompts = task_prompts(draw.device)
    twins = expect_prompts(abc_twins(task_model(draw.device), prompts, TASK_NAMES, draw.generator()))
    expect_shape(twins.tokens, prompts.tokens.shape, axes="batch pos", look_at="what you do to prompts.tokens")
    for row, place in enumerate(prompts.positions[role].tolist()):
        if twins.tokens[row, place] == prompts.tokens[row, place]:
            complain(
                f"the token at {role} of text {row} is still{word_of(prompts.tokens[row, place])}",
                rule="IO, S1 and S2, each of the three gets another name",
                look_at=f'what you put at positions["{role}"], and from which names it is drawn: none that the text holds',
            )


def test_another_name_stands_where_io_stood(abc_twins, draw):
    expect_another_name_at("IO", abc_twins, draw)


def test_another_name_stands_where_s1_stood(abc_twins, draw):
    expect_another_name_at("S1", abc_twins, draw)


def test_another_name_stands_where_s2_stood(abc_twins, draw):
    expect_another_name_at("S2", abc_twins, draw)


def test_three_different_names_stand_where_io_s1_and_s2_stood(abc_twins, draw):
    prompts = many_task_prompts(draw.device, draw)
    allowed = {token_of(name) for name in TASK_NAMES}
    found_in_rows = names_at(abc_of(abc_twins, draw, prompts), prompts)
    for row, found in enumerate(found_in_rows):
        said = ", ".join(word_of(token).strip() for token in found)
        if not allowed.issuperset(found):
            complain(f"text {row} has {said}", rule="the new names are some of `names`", look_at="what you draw from")
        if len(set(found)) < 3:
            complain(
                f"IO, S1 and S2 of text {row} have become {said}",
                rule="three different names: no name stands twice in a twin, so that nothing says who gives",
                look_at="how you draw three names: without putting back",
            )
    # 48 draws of three from the eight names that a row lacks: one is never drawn by chance in a billion runs
    never = sorted(word_of(token).strip() for token in allowed.difference(*found_in_rows))
    if never:
        complain(
            f"{never[0]} is one of the new names in none of {len(found_in_rows)} twins",
            rule="three names are drawn from all that the text lacks, each as likely as the others",
            look_at="from how many of the free names you draw",
        )


def test_nothing_of_the_answer_is_left_in_a_twin(abc_twins, draw):
    prompts = many_task_prompts(draw.device, draw)
    twins = abc_of(abc_twins, draw, prompts)
    for row in range(len(prompts.tokens)):
        for role, token in (("IO", prompts.io[row]), ("S", prompts.s[row])):
            if (twins.tokens[row] == token).any():
                complain(
                    f"{role} of text {row} is{word_of(token)}, which also stands in its twin {twins.texts[row]!r}",
                    rule="the names of a text do not occur in its twin, wherever they might stand",
                    look_at="which names you leave out before you draw for a row",
                )


def prompts_with_a_bystander(device):
    """Ida stands in all of these, in place of the first word."""
    prompts = task_prompts(device)
    tokens = prompts.tokens.clone()
    tokens[:, 1] = token_of("Ida")
    free = (prompts.positions["IO"] > 1) & (prompts.positions["S1"] > 1)
    rows = free.nonzero()[:, 0].tolist()
    return TaskPrompts(
        ["Ida " + " ".join(prompts.texts[row].split(" ")[1:]) for row in rows],
        tokens[free],
        prompts.io[free],
        prompts.s[free],
        {role: places[free] for role, places in prompts.positions.items()},
        [prompts.templates[row] for row in rows],
    )


AT_BYSTANDERS = "which names you leave out before you draw for a row: all in the row's tokens, not just io and s"


def test_a_bystander_is_not_drawn_into_the_pair(abc_twins, draw):
    prompts = prompts_with_a_bystander(draw.device)
    for _ in range(4):
        for row, found in enumerate(names_at(abc_of(abc_twins, draw, prompts), prompts)):
            if token_of("Ida") in found:
                complain(
                    f"Ida stands by in text {row}, and is one of the three new names as well",
                    rule="only names that do not occur in a text are drawn for it",
                    look_at=AT_BYSTANDERS,
                )


def test_a_twin_is_asked_the_same_question(abc_twins, draw):
    prompts = task_prompts(draw.device)
    twins = abc_of(abc_twins, draw, prompts)
    look_at = "the fields that you pass on unchanged"
    expect_same_fields(twins, prompts, ["io", "s", "positions", "templates"], rule=SAME_FRAME, look_at=look_at)
    expect_texts_of_tokens(
        twins, look_at="how the texts of the twins are made: from their tokens, up to END, without BOS"
    )


def test_each_text_gets_names_of_its_own_from_the_generator(abc_twins, draw):
    prompts = task_prompts(draw.device, [(0, "Ann", "Bob", True)] * 12)
    seed = int(draw.integers(0, 10_000))
    state, drawn = torch.random.get_rng_state(), []
    for each in (seed, seed, seed + 1):
        torch.manual_seed(each + len(drawn))
        drawn.append(names_at(abc_of(abc_twins, draw, prompts, generator=torch.Generator().manual_seed(each)), prompts))
    torch.random.set_rng_state(state)
    if len({tuple(row) for row in drawn[0]}) < 3:
        complain(
            "twelve texts got the same names",
            rule="three names are drawn for every text anew",
            look_at="whether you draw inside the loop over texts",
        )
    look_at = "which random numbers you draw: give `generator=generator` to torch.randperm"
    if drawn[0] != drawn[1]:
        complain(
            "the same seed gave other names",
            rule="a generator with the same seed gives the same twins",
            look_at=look_at,
        )
    if drawn[0] == drawn[2]:
        complain("another seed gave the same names", rule="the names are drawn from the generator", look_at=look_at)


def test_too_few_names_are_refused(abc_twins, draw):
    model = task_model(draw.device)
    # all texts of one pair; then of several, of which some leave enough names
    for prompts in (task_prompts(draw.device, [(0, "Ann", "Bob", True)] * 2), task_prompts(draw.device)):
        expect_refused(
            lambda prompts=prompts: abc_twins(model, prompts, ["Ann", "Bob", "Ida", "Gus"], draw.generator()),
            names=[],
            rule="a text of Ann and Bob leaves only Ida and Gus of four names, and three are needed: a ValueError says so",
            look_at="what happens when fewer than three names are left",
        )


def test_three_names_that_are_left_are_enough(abc_twins, draw):
    prompts = task_prompts(draw.device, [(0, "Ann", "Bob", True), (1, "Bob", "Ann", False)])
    left = ["Ida", "Gus", "Eve"]
    for row, found in enumerate(
        names_at(abc_of(abc_twins, draw, prompts, ["Ann", "Ida", "Bob", "Gus", "Eve"]), prompts)
    ):
        expect_equal(
            sorted(word_of(token).strip() for token in found),
            sorted(left),
            rule=f"a text of Ann and Bob leaves {', '.join(left)} of five names: three, and so all of them are used",
            look_at="with how many names left you refuse a text: fewer than three",
            what=f"the list of new names of text {row}",
        )


def s2_of(s2_twins, draw, prompts, *args):
    return expect_prompts(s2_twins(task_model(draw.device), prompts, *args))


def test_without_names_s2_becomes_io(s2_twins, draw):
    prompts = task_prompts(draw.device)
    twins = s2_of(s2_twins, draw, prompts)
    expect_only_changed_at(twins, prompts, ["S2"])
    rows = torch.arange(len(prompts.tokens), device=draw.device)
    expect_equal(
        twins.tokens[rows, prompts.positions["S2"]],
        prompts.io,
        rule="where S2 stood, the name of IO stands, so that the other one is the answer",
        look_at="which token you put at S2",
        what="the token at S2",
    )


def test_a_third_name_at_s2_is_in_the_text_nowhere_else(s2_twins, draw):
    prompts = many_task_prompts(draw.device, draw)
    names = TASK_NAMES[:7]
    twins = s2_of(s2_twins, draw, prompts, names, draw.generator())
    expect_only_changed_at(twins, prompts, ["S2"])
    for row, token in enumerate(twins.tokens[torch.arange(48), prompts.positions["S2"].cpu()].tolist()):
        if word_of(token).strip() not in names:
            complain(f"S2 of text {row} is{word_of(token)}", rule="one of `names`", look_at="what you draw from")
        if token in prompts.tokens[row]:
            complain(
                f"S2 of text {row} is{word_of(token)}, who is in the text already",
                rule="a third name: one that the text does not hold, so that no name stands twice",
                look_at="which names you leave out before you draw for a row",
            )


def test_a_bystander_does_not_become_s2(s2_twins, draw):
    prompts = prompts_with_a_bystander(draw.device)
    for _ in range(3):
        twins = s2_of(s2_twins, draw, prompts, TASK_NAMES[4:], draw.generator())
        expect_only_changed_at(twins, prompts, ["S2"])
        for row, place in enumerate(prompts.positions["S2"].tolist()):
            if twins.tokens[row, place] == token_of("Ida"):
                complain(
                    f"Ida stands by in text {row}, and has become S2 as well",
                    rule="a third name: one that the text does not hold, so that no name stands twice",
                    look_at=AT_BYSTANDERS,
                )


def test_where_no_name_is_left_there_is_no_twin(s2_twins, draw):
    model = task_model(draw.device)
    for prompts in (task_prompts(draw.device, [(0, "Ann", "Bob", True)] * 2), task_prompts(draw.device)):
        expect_refused(
            lambda prompts=prompts: s2_twins(model, prompts, ["Ann", "Bob"], draw.generator()),
            names=[],
            rule="a text of Ann and Bob leaves none of these two names for S2: a ValueError says so",
            look_at="what happens when no name is left",
        )


def test_a_third_name_is_drawn_for_each_text_from_the_generator(s2_twins, draw):
    prompts = task_prompts(draw.device, [(0, "Ann", "Bob", True)] * 24)
    seed = int(draw.integers(0, 10_000))
    state, drawn = torch.random.get_rng_state(), []
    for each in (seed, seed, seed + 1):
        torch.manual_seed(each + len(drawn))
        twins = s2_of(s2_twins, draw, prompts, TASK_NAMES, torch.Generator().manual_seed(each))
        expect_only_changed_at(twins, prompts, ["S2"])
        drawn.append(twins.tokens[torch.arange(24), prompts.positions["S2"].cpu()].tolist())
    torch.random.set_rng_state(state)
    if len(set(drawn[0])) < 3:
        complain(
            f"24 texts got {len(set(drawn[0]))} names at S2",
            rule="a name is drawn for every text anew, from all that are left",
            look_at="whether you draw inside the loop over texts",
        )
    # three names are left for each of 24 texts: one of them is never drawn by chance in one of 5,000 runs
    names = ["Ann", "Ida", "Bob", "Gus", "Hal"]
    twins = s2_of(s2_twins, draw, prompts, names, torch.Generator().manual_seed(seed + 2))
    found = {word_of(token).strip() for token in twins.tokens[torch.arange(24), prompts.positions["S2"].cpu()]}
    never = [name for name in names[1:] if name != "Bob" and name not in found]
    if never:
        complain(
            f"of {', '.join(names)}, {never[0]} has become S2 in none of 24 texts of Ann and Bob",
            rule="a name is drawn from all that are left, each as likely as the others",
            look_at="from how many of the free names you draw",
        )
    look_at = "which random numbers you draw: give `generator=generator` to torch.randint"
    if drawn[0] != drawn[1]:
        complain(
            "the same seed gave other names",
            rule="a generator with the same seed gives the same twins",
            look_at=look_at,
        )
    if drawn[0] == drawn[2]:
        complain("another seed gave the same names", rule="the names are drawn from the generator", look_at=look_at)


def test_a_twin_with_another_s2_is_asked_the_same_question(s2_twins, draw):
    prompts = task_prompts(draw.device)
    for args in ((), (TASK_NAMES, draw.generator())):
        twins = s2_of(s2_twins, draw, prompts, *args)
        look_at = "the fields that you pass on unchanged"
        expect_same_fields(twins, prompts, ["io", "s", "positions", "templates"], rule=SAME_FRAME, look_at=look_at)
        expect_texts_of_tokens(twins, look_at="how the texts are made: from the twins' tokens, up to END, without BOS")


# 4.5 logit_difference

DIFFERENCE_RULE = "for each text, at its own END: logit of IO less logit of S"


def prompts_of_random_tokens(draw, *, batch=3, pos=9, d_vocab=11):
    """Rows of random tokens that end at different places, with two different names each, as far as positions go."""
    tokens = random_tokens(draw, batch=batch, pos=pos, d_vocab=d_vocab)
    ends = (pos - 2 - draw.integers(0, pos - 4, (batch,))).clamp(min=2)
    ends[0], ends[-1] = pos - 1, pos - 3
    io = draw.integers(1, d_vocab, (batch,))
    s = (io + draw.integers(1, d_vocab - 1, (batch,)) - 1) % (d_vocab - 1) + 1
    for row, end in enumerate(ends.tolist()):
        tokens[row, end + 1 :] = 0
    positions = {role: (ends - back).clamp(min=0) for role, back in zip(ROLES, (4, 3, 2, 1, 0))}
    return TaskPrompts([f"text {row}" for row in range(batch)], tokens, io, s, positions, [0] * batch)


def test_the_difference_is_that_of_logits_written_by_hand(logit_difference, device):
    logits = torch.zeros(2, 4, 5, device=device)
    logits[0, 2] = torch.tensor([9.0, 1.0, 3.5, 7.0, 2.0], device=device)
    logits[1, 3] = torch.tensor([8.0, 4.0, 0.5, 1.0, 6.0], device=device)
    logits[0, 3], logits[1, 2] = 20.0, -20.0
    logits[0, 3, 2], logits[1, 2, 1] = 33.0, 44.0
    positions = {role: torch.tensor([1, 1], device=device) for role in ROLES}
    positions["END"] = torch.tensor([2, 3], device=device)
    io, s = torch.tensor([2, 1], device=device), torch.tensor([3, 4], device=device)
    prompts = TaskPrompts(["", ""], torch.zeros(2, 4, dtype=torch.long, device=device), io, s, positions, [0, 1])
    expect_close(
        logit_difference(logits, prompts),
        torch.tensor([3.5 - 7.0, 4.0 - 6.0], device=device),
        rule=DIFFERENCE_RULE,
        look_at='positions["END"], which differs by row, and which logit is subtracted from which',
        axes="batch",
        what="the difference where END is position 2 in text 0 and position 3 in text 1",
    )


def test_the_difference_is_one_number_for_each_text_at_its_own_end(logit_difference, draw):
    for batch, pos, d_vocab in ((4, 9, 13), (5, 7, 11)):
        prompts = prompts_of_random_tokens(draw, batch=batch, pos=pos, d_vocab=d_vocab)
        logits = draw.normal(batch, pos, d_vocab, std=3.0)
        expected = []
        for row in range(batch):
            at_end = logits[row, int(prompts.positions["END"][row])].tolist()
            expected.append(at_end[int(prompts.io[row])] - at_end[int(prompts.s[row])])
        expect_close(
            logit_difference(logits, prompts),
            torch.tensor(expected, device=draw.device),
            rule=DIFFERENCE_RULE,
            look_at="the index: row numbers, positions and tokens go together, three tensors of one length",
            axes="batch",
            what="the logit difference",
        )


def test_the_difference_turns_round_when_the_names_do(logit_difference, draw):
    prompts = prompts_of_random_tokens(draw, batch=6)
    logits = draw.normal(6, 9, 11, std=3.0)
    turned = replace(prompts, io=prompts.s, s=prompts.io)
    expect_close(
        logit_difference(logits, turned),
        -logit_difference(logits, prompts),
        rule="IO less S is minus S less IO: a difference has a sign, and below 0 the model prefers the giver",
        look_at="abs(), or a comparison that forgets how far apart the logits are",
        axes="batch",
        what="the difference with IO and S exchanged",
    )


def test_the_difference_of_float64_logits_is_exact(logit_difference, draw):
    prompts = prompts_of_random_tokens(draw, batch=4)
    logits = draw.normal(4, 9, 11).double() / 3
    rows = torch.arange(4, device=draw.device)
    flat = logits.flatten(0, 1)[rows * 9 + prompts.positions["END"]]
    expect_close(
        logit_difference(logits, prompts),
        (flat.gather(1, prompts.io[:, None]) - flat.gather(1, prompts.s[:, None]))[:, 0],
        dtype=torch.float64,
        rule="the result has the dtype of the logits, and its precision",
        look_at="tensors that you make yourself, and calls such as .float()",
        axes="batch",
        atol=1e-9,
        rtol=1e-7,
    )


# 4.6 normalised_metric

METRIC_RULE = (
    "0 where the mean is that of the corrupted run, 1 where it is that of the clean one, and linear between and beyond"
)
AT_METRIC = "(mean - corrupted mean) / (clean mean - corrupted mean)"


def test_the_corrupted_run_counts_0(normalised_metric, draw):
    clean, corrupted = draw.normal(5, mean=4.0), draw.normal(5, mean=-1.0)
    expect_close(
        normalised_metric(corrupted, clean, corrupted),
        torch.tensor(0.0, device=draw.device),
        rule="a run whose mean is that of the corrupted run has come no part of the way: 0",
        look_at="what is above the line: mean - corrupted mean",
        what="the corrupted run, measured between itself and the clean one,",
        atol=1e-5,
    )


def test_the_clean_run_counts_1(normalised_metric, draw):
    clean, corrupted = draw.normal(5, mean=4.0), draw.normal(5, mean=-1.0)
    expect_close(
        normalised_metric(clean, clean, corrupted),
        torch.tensor(1.0, device=draw.device),
        rule=METRIC_RULE,
        look_at=AT_METRIC,
        what="the clean run, measured between itself and the corrupted one,",
    )


def test_the_measure_is_linear_between_and_beyond(normalised_metric, draw):
    for clean_mean, corrupted_mean in ((3.0, 0.5), (-2.0, 1.0), (0.5, -6.0)):
        clean, corrupted = draw.normal(7, mean=clean_mean), draw.normal(7, mean=corrupted_mean)
        for share in (-0.5, 0.25, 0.8, 1.75):
            noise = draw.normal(7)
            mean = corrupted.double().mean() + share * (clean.double().mean() - corrupted.double().mean())
            run = (noise - noise.mean() + mean).float()
            expect_close(
                normalised_metric(run, clean, corrupted),
                torch.tensor(share, device=draw.device),
                rule=METRIC_RULE,
                look_at=AT_METRIC,
                what=f"the measure of a run whose mean is {share} of the way from {corrupted_mean} to {clean_mean}",
                atol=1e-3,
            )


def test_means_are_taken_before_they_are_divided(normalised_metric, device):
    clean = torch.tensor([2.0, 8.0, 5.0], device=device)
    corrupted = torch.tensor([1.0, -2.0, 4.0], device=device)
    run = torch.tensor([3.0, 2.0, 4.0], device=device)
    expect_close(
        normalised_metric(run, clean, corrupted),
        torch.tensor((3.0 - 1.0) / (5.0 - 1.0), device=device),
        rule="of the means: a share for every text would be divided by differences near 0 in some of them",
        look_at="where you average: first, in all three",
        what="the measure of (3, 2, 4) between corrupted (1, -2, 4) and clean (2, 8, 5)",
    )


def test_runs_without_a_difference_are_refused(normalised_metric, device):
    same = torch.tensor([1.0, 2.0, 3.0, 6.0], device=device), torch.tensor([5.0, 1.0, 4.0, 2.0], device=device)
    expect_refused(
        lambda: normalised_metric(torch.tensor([1.0, 0.0, 2.0, 7.0], device=device), *same),
        names=[],
        rule="where clean and corrupted have the same mean (here 3), there is no way between them: a ValueError says so",
        look_at="what you divide by, and when that is 0",
    )


# 4.7 and 4.8 logit_difference_by_component, logit_difference_by_layer

PARTS = "component batch"
THREE_DEEP = AttentionOnlyConfig(d_model=10, d_vocab=11, n_ctx=17, n_layers=3, n_heads=2, d_head=5)
BARE = AttentionOnlyConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4, normalization_type=None)


def run_of(draw, cfg, *, batch=3, pos=9):
    """A random model in float64, prompts that end at different places, and what a run over them keeps."""
    model = borrow_bridge(cfg, draw.generator(), draw.device).double()
    prompts = prompts_of_random_tokens(draw, batch=batch, pos=pos, d_vocab=cfg.d_vocab)
    with torch.no_grad():
        logits, cache = remembered(lambda: model.run_with_cache(prompts.tokens), "run", *key_of(model, prompts.tokens))
    return model, copy_of_cache(cache), prompts, logits


def difference_of(logits, prompts):
    """IO less S at END, row by row."""
    ends = prompts.positions["END"].tolist()
    return torch.stack(
        [logits[row, end, prompts.io[row]] - logits[row, end, prompts.s[row]] for row, end in enumerate(ends)]
    )


def parts_of(logit_difference_by_component, run, cfg):
    model, cache, prompts, _ = run
    parts = logit_difference_by_component(model, cache, prompts)
    each = cfg.n_heads + 1 + hasattr(cfg, "d_mlp")
    expect_shape(
        parts,
        (3 + cfg.n_layers * each, len(prompts.texts)),
        axes=PARTS,
        rule=f"embed and pos_embed, then in each of {cfg.n_layers} layers {cfg.n_heads} heads, b_O"
        f"{' and the MLP' if hasattr(cfg, 'd_mlp') else ''}, last b_U; one number for each text",
        look_at="component_labels(model), and which axes the einsum leaves",
    )
    return parts


def frozen_difference(write, run):
    """What a write of every position makes of IO less S at END, through the final LayerNorm's scale, in plain loops."""
    model, cache, prompts, _ = run
    result = []
    with torch.no_grad():
        for row, end in enumerate(prompts.positions["END"].tolist()):
            scale = cache["ln_final.hook_scale"][row, end] if model.cfg.normalization_type else 1.0
            at_end = write[row, end] / scale
            result.append(at_end @ model.W_U[:, prompts.io[row]] - at_end @ model.W_U[:, prompts.s[row]])
    return torch.stack(result)


def places_among_parts(cfg, kind):
    each = cfg.n_heads + 1 + hasattr(cfg, "d_mlp")
    offsets = {"head": range(cfg.n_heads), "b_O": [cfg.n_heads], "mlp": [cfg.n_heads + 1]}[kind]
    return [2 + layer * each + offset for layer in range(cfg.n_layers) for offset in offsets]


def expect_part(parts, place, write, run, *, what, rule, look_at):
    expect_close(
        parts[place], frozen_difference(write, run), what=what, rule=rule, look_at=look_at, axes="batch", atol=1e-4
    )


def expect_parts_that_sum(logit_difference_by_component, draw, cfg, *, batch, kind):
    run = run_of(draw, cfg, batch=batch)
    expect_close(
        parts_of(logit_difference_by_component, run, cfg).sum(dim=0),
        difference_of(run[3], run[2]),
        rule="the logit difference at END is the sum over all components, each through the run's own final scale",
        look_at="that every write is in it once, the scale at END, W_U of IO less W_U of S, and b_U",
        axes="batch",
        what=f"the sum over components of a model {kind}",
        atol=1e-4,
    )


def test_the_parts_sum_to_the_logit_difference(logit_difference_by_component, draw):
    expect_parts_that_sum(logit_difference_by_component, draw, THREE_DEEP, batch=4, kind="with LayerNorm")


def test_with_mlps_the_parts_sum_to_it_too(logit_difference_by_component, draw):
    expect_parts_that_sum(logit_difference_by_component, draw, WITH_MLPS, batch=5, kind="with MLPs")


def test_without_layernorm_the_parts_sum_to_it_too(logit_difference_by_component, draw):
    expect_parts_that_sum(logit_difference_by_component, draw, BARE, batch=6, kind="without LayerNorm")


def test_both_embeddings_have_an_entry_of_their_own(logit_difference_by_component, draw):
    run = run_of(draw, SMALL)
    parts = parts_of(logit_difference_by_component, run, SMALL)
    model, _, prompts, _ = run
    with torch.no_grad():
        writes = {"embed": model.W_E[prompts.tokens], "pos_embed": model.W_pos[:9].expand(3, -1, -1)}
    for place, (name, write) in enumerate(writes.items()):
        expect_part(
            parts,
            place,
            write,
            run,
            what=f"the entry of {name}",
            rule="row 0 is the token's embedding and row 1 the position's, at END, over the scale of the final stream",
            look_at='cache["embed"] and cache["pos_embed"], at END of each row',
        )


def test_every_head_has_its_own_entry(logit_difference_by_component, draw):
    for cfg in (THREE_DEEP, WITH_MLPS):
        run = run_of(draw, cfg, batch=4)
        parts = parts_of(logit_difference_by_component, run, cfg)
        model, cache = run[:2]
        for index, place in enumerate(places_among_parts(cfg, "head")):
            layer, head = divmod(index, cfg.n_heads)
            with torch.no_grad():
                write = cache[f"blocks.{layer}.attn.hook_z"][:, :, head] @ model.W_O[layer, head]
            expect_part(
                parts,
                place,
                write,
                run,
                what=f"the entry of L{layer}H{head}",
                rule="a head writes its z times its own W_O, without a bias; layer by layer, in each layer head by head",
                look_at="which W_O meets which z, END and scale, and the order on the first axis",
            )


def test_biases_of_attention_and_mlps_stand_after_the_heads_of_their_layer(logit_difference_by_component, draw):
    run = run_of(draw, WITH_MLPS, batch=4)
    parts = parts_of(logit_difference_by_component, run, WITH_MLPS)
    model, cache, prompts, _ = run
    for layer in range(2):
        with torch.no_grad():
            writes = {
                "b_O": model.b_O[layer].expand(*prompts.tokens.shape, -1),
                "mlp": cache[f"blocks.{layer}.hook_mlp_out"],
            }
        for kind, write in writes.items():
            expect_part(
                parts,
                places_among_parts(WITH_MLPS, kind)[layer],
                write,
                run,
                what=f"the entry of {kind} in layer {layer}",
                rule="after the heads of a layer come its b_O, which belongs to no head, and what its MLP writes",
                look_at='model.b_O[layer] and cache["mlp_out", layer], and where they stand in your list',
            )


def test_the_last_entry_is_the_bias_of_the_unembedding(logit_difference_by_component, draw):
    run = run_of(draw, SMALL, batch=4)
    parts = parts_of(logit_difference_by_component, run, SMALL)
    model, _, prompts, _ = run
    with torch.no_grad():
        bias = torch.stack([model.b_U[io] - model.b_U[s] for io, s in zip(prompts.io, prompts.s)])
    expect_close(
        parts[-1],
        bias,
        rule="b_U of IO less b_U of S is added after LayerNorm, as it is",
        look_at="model.b_U, of which tokens, and that no scale divides it",
        axes="batch",
        what="the last entry",
    )


def test_the_cache_is_only_read(logit_difference_by_component, draw):
    model, cache, prompts, _ = run_of(draw, WITH_MLPS)
    read = [name for name in cache if name.endswith(("embed", "hook_z", "mlp_out", "hook_scale"))]
    before = {name: cache[name].clone() for name in read}
    logit_difference_by_component(model, cache, prompts)
    changed = [name for name in read if not torch.equal(cache[name], before[name])]
    if changed:
        complain(
            f"the cache's {changed[0]} was changed",
            rule="a cache is read, and left as it was",
            look_at="assignments into what you took from the cache, and calls such as div_ or /=",
        )


def test_layernorms_scale_is_frozen(logit_difference_by_component, draw):
    run = run_of(draw, WITH_MLPS)
    model, cache, prompts, logits = run
    parts = parts_of(logit_difference_by_component, run, WITH_MLPS)
    from transformer_lens import ActivationCache

    entries = dict(cache.items())
    entries["ln_final.hook_scale"] = 2 * entries["ln_final.hook_scale"]
    again = logit_difference_by_component(model, ActivationCache(entries, model), prompts)
    expect_close(
        again[:-1],
        parts[:-1] / 2,
        rule="with twice the scale in the cache, every write counts half: the scale is the run's, whatever the parts are",
        look_at='where your scale comes from: cache["ln_final.hook_scale"], at END of each row',
        axes=PARTS,
        what="what the components write",
        atol=1e-6,
    )


LAYER_ROWS = "layer+1 batch"


def layers_of(logit_difference_by_layer, run, cfg):
    model, cache, prompts, _ = run
    rows = logit_difference_by_layer(model, cache, prompts)
    expect_shape(
        rows,
        (cfg.n_layers + 1, len(prompts.texts)),
        axes=LAYER_ROWS,
        rule=f"a model with {cfg.n_layers} layers has {cfg.n_layers + 1} streams to read: before each layer, and at the end",
        look_at="the list of streams, and the axis on which they are stacked",
    )
    return rows


def expect_last_stream(logit_difference_by_layer, draw, cfg, *, batch):
    run = run_of(draw, cfg, batch=batch)
    expect_close(
        layers_of(logit_difference_by_layer, run, cfg)[-1],
        difference_of(run[3], run[2]),
        rule="at the end of the stream, the lens reads what the model says, at END of each text",
        look_at="the last stream, ln_final and unembed, and the position",
        axes="batch",
        what="the last row",
        atol=1e-4,
    )


def test_the_last_stream_gives_the_models_own_difference(logit_difference_by_layer, draw):
    expect_last_stream(logit_difference_by_layer, draw, THREE_DEEP, batch=5)


def test_with_mlps_or_without_layernorm_the_last_stream_does_so_too(logit_difference_by_layer, draw):
    for cfg, batch in ((WITH_MLPS, 4), (BARE, 6)):
        expect_last_stream(logit_difference_by_layer, draw, cfg, batch=batch)


def test_each_row_is_the_difference_when_later_layers_write_nothing(logit_difference_by_layer, draw):
    for cfg in (THREE_DEEP, WITH_MLPS, BARE):
        run = run_of(draw, cfg, batch=4)
        rows = layers_of(logit_difference_by_layer, run, cfg)
        model, _, prompts, _ = run
        for layer in range(cfg.n_layers):
            silent = [
                (f"blocks.{later}.hook_{part}", lambda value, hook: torch.zeros_like(value))
                for later in range(layer, cfg.n_layers)
                for part in (("attn_out", "mlp_out") if hasattr(cfg, "d_mlp") else ("attn_out",))
            ]
            with torch.no_grad():
                logits = model.run_with_hooks(prompts.tokens, fwd_hooks=silent)
            expect_close(
                rows[layer],
                difference_of(logits, prompts),
                rule=f"row {layer} reads the stream before layer {layer}: as if layers from {layer} on wrote nothing",
                look_at="which stream each row takes, and that each goes through ln_final with its own scale, then unembed",
                axes="batch",
                what=f"row {layer}",
                atol=1e-4,
            )


# 4.9 to 4.14: activation patching
#
# Every oracle computes a patched run without hooks on what is patched: by another text, by attention written out, or by
# calling the blocks one after the other.


WITHOUT_LAYER_NORM = AttentionOnlyConfig(
    d_model=10, d_vocab=13, n_ctx=19, n_layers=3, n_heads=2, d_head=5, normalization_type=None
)
FIVE_HEADS = AttentionOnlyConfig(d_model=9, d_vocab=11, n_ctx=17, n_layers=3, n_heads=5, d_head=6)
KINDS_OF_PATCH = ("z", "q", "k", "v", "pattern")


class TwoRuns:
    """A tiny model, two random batches of texts for it, and the caches of both runs.

    What the rule gives (`with_residual`, `with_head`, the maps) is asked for before the learner's function is called: the
    model is then as it was built. It is remembered for the next submission, which gets the same runs.
    """

    def __init__(self, draw, cfg=SMALL, *, batch=4, pos=6, shared=1, same_text=None):
        """The first `shared` positions hold the same tokens in both, as do all positions of the text `same_text`."""
        self.model = borrow_bridge(cfg, draw.generator(), draw.device)
        self.cfg, self.batch, self.pos = cfg, batch, pos
        self.tokens = random_tokens(draw, batch=batch, pos=pos, d_vocab=cfg.d_vocab)
        self.others = random_tokens(draw, batch=batch, pos=pos, d_vocab=cfg.d_vocab)
        # no token is what it is in the other run, except where they are shared
        same = self.others == self.tokens
        self.others = torch.where(same, self.tokens % (cfg.d_vocab - 1) + 1, self.others)
        self.others[:, :shared] = self.tokens[:, :shared]
        if same_text is not None:
            self.others[same_text] = self.tokens[same_text]
        # of each text, the position at which it is patched and measured: never the same in all
        self.places = (draw.integers(1, pos, (batch,)) + torch.arange(batch, device=draw.device)) % (pos - 1) + 1
        if (self.places == self.places[0]).all():
            self.places[-1] = (self.places[0] % (pos - 1)) + 1
        self.answers = draw.integers(0, cfg.d_vocab, (2, batch))

        self.key = key_of(self.model, self.tokens, self.others)
        self.logits, self.own = self.remembered("own", lambda: self.run_alone(self.tokens))
        _, self.source = self.remembered("source", lambda: self.run_alone(self.others))
        self.own, self.source = copy_of_cache(self.own), copy_of_cache(self.source)

    def remembered(self, what, compute):
        """What `compute` gives, now or when it was first asked for; not kept if the model is not as it was built."""
        if (what, *self.key) in REMEMBERED or self.is_as_built():
            return remembered(compute, what, *self.key)
        return compute()

    def is_as_built(self):
        return not hooks_on(self.model) and key_of(self.model, self.tokens, self.others) == self.key

    @torch.no_grad()
    def run_alone(self, tokens):
        return self.model.run_with_cache(tokens)

    def metric(self, logits):
        """A difference of two logits at a position of each text, and a little of its square, so that means do not commute."""
        if len(logits) != self.batch:
            complain(
                f"the metric was called on logits of {len(logits)} texts",
                rule=f"a metric is made for the {self.batch} texts of the batch: it gets the rows of one cell at a time",
                look_at="logits.unflatten(0, (cells, batch)), and what you call the metric on",
            )
        if logits.shape[1] != self.pos:
            complain(
                f"the metric was called on logits of {logits.shape[1]} positions",
                rule=f"the texts have {self.pos} positions: a metric may count them from the end",
                look_at="on which axis you repeat the tokens, or the stream: that of the texts alone",
            )
        rows = torch.arange(self.batch, device=logits.device)
        at_place = logits[rows, self.places]
        difference = at_place[rows, self.answers[0]] - at_place[rows, self.answers[1]]
        return difference + 0.1 * difference**2

    def effect(self, logits):
        return self.metric(logits).mean()

    @torch.no_grad()
    def continued(self, resid, layer):
        """The logits from this residual stream before a layer on, block by block."""
        for block in self.model.blocks[layer:]:
            written = block(resid)
            resid = written[0] if isinstance(written, tuple) else written
        return self.model.unembed(self.model.ln_final(resid))

    def with_residual(self, layer, places):
        """The logits when the stream before a layer is the source's at these positions, one for each text."""
        places = [int(place) for place in places]
        return self.remembered(("residual", layer, *places), lambda: self.residual_exchanged(layer, places))

    def residual_exchanged(self, layer, places):
        resid = self.own["resid_pre", layer].clone()
        for row, place in enumerate(places):
            resid[row, place] = self.source["resid_pre", layer][row, place]
        return self.continued(resid, layer)

    def with_head(self, layer, head, what, places=None):
        """The logits when one head's `what` is the source's, attention written out; at these positions, one for each text."""
        places = None if places is None else [int(place) for place in places]
        question = ("head", layer, head, what, *(places or ()))
        return self.remembered(question, lambda: self.head_exchanged(layer, head, what, places))

    @torch.no_grad()
    def head_exchanged(self, layer, head, what, places):
        q, k, v = (self.own[letter, layer].clone() for letter in "qkv")
        mine = {"q": q, "k": k, "v": v}
        # all rows and positions at once, or one position of each row after the other
        cells = [(slice(None), slice(None))] if places is None else list(enumerate(places))
        if what in mine:
            for row, place in cells:
                mine[what][row, place, head] = self.source[what, layer][row, place, head]
        scores = einops.einsum(q, k, "batch query head d, batch key head d -> batch head query key")
        future = torch.ones(self.pos, self.pos, dtype=torch.bool, device=q.device).triu(1)
        pattern = (scores / math.sqrt(self.cfg.d_head)).masked_fill(future, -torch.inf).softmax(-1)
        if what == "pattern":
            for row, place in cells:
                pattern[row, head, place] = self.source["pattern", layer][row, head, place]
        z = einops.einsum(pattern, v, "batch head query key, batch key head d -> batch query head d")
        if what == "z":
            for row, place in cells:
                z[row, place, head] = self.source["z", layer][row, place, head]
        return self.after_attention(z, layer)

    @torch.no_grad()
    def after_attention(self, z, layer):
        """The logits when the heads of a layer have this z; any number of runs with the batch's rows, one after the other."""
        attention = self.model.blocks[layer].attn
        written = einops.einsum(z, attention.W_O, "row pos head d, head d d_model -> row pos d_model") + attention.b_O
        resid = self.own["resid_pre", layer].repeat(len(z) // self.batch, 1, 1)
        with self.model.hooks(fwd_hooks=[(f"blocks.{layer}.hook_attn_out", lambda out, hook: written)]):
            return self.continued(resid, layer)


class RowsThrough:
    """While it is open, notes how many rows of `pos` positions go through a part of a model, call by call."""

    def __init__(self, part, pos):
        self.part, self.pos, self.rows = part, pos, []

    def __enter__(self):
        self.handle = self.part.register_forward_hook(self.note)
        return self.rows

    def __exit__(self, *_):
        self.handle.remove()

    def note(self, module, inputs, out):
        self.rows.append(math.ceil(out[..., 0].numel() / self.pos))


def expect_patched_logits(logits, expected, *, what, rule, look_at):
    expect_close(logits, expected, rule=rule, look_at=look_at, axes="batch pos d_vocab", what=what, atol=1e-4)


HOOKS_GO = "run_with_hooks, or `with model.hooks(...)`, which take away what they put on"


def expect_run_as_before(runs):
    """No hooks are left, and the model says what it said."""
    expect_no_hooks(runs.model, look_at=HOOKS_GO)
    with torch.no_grad():
        after = runs.model(runs.tokens)
    expect_close(
        after,
        runs.logits,
        rule="an experiment leaves the model as it was",
        look_at=HOOKS_GO,
        what="the logits of the next run, which nobody patches,",
        axes="batch pos d_vocab",
    )


def expect_source_as_before(runs, names):
    """The source's activations of these names are still those of its run."""
    _, source = runs.remembered("source", lambda: runs.run_alone(runs.others))
    for name in names:
        expect_close(
            runs.source[name],
            source[name],
            rule="the source only lends: its activations are read and never written",
            look_at="which of the two tensors stands left of the equals sign, and calls such as copy_ or mul_",
            what=f"{name} of the source, after the call,",
        )


# 4.9 patch_residual


def expect_stream_patched(patch_residual, runs, layer, pos, expected=None, *, rule, look_at):
    """`pos` is one position, or one for each text."""
    one = isinstance(pos, int)
    if expected is None:
        expected = runs.with_residual(layer, [pos] * runs.batch if one else pos)
    logits = patch_residual(runs.model, runs.tokens, runs.source, layer, pos)
    expect_no_hooks(runs.model, look_at=HOOKS_GO)
    at = f"position {pos}" if one else f"positions {pos.tolist()}"
    what = f"the logits with {at} patched before layer {layer}"
    expect_patched_logits(logits, expected, what=what, rule=rule, look_at=look_at)


def test_to_patch_before_layer_0_is_to_exchange_a_word(patch_residual, draw):
    for cfg in (SMALL, WITH_MLPS):
        runs = TwoRuns(draw, cfg)
        place = int(runs.places[0])
        swapped = runs.tokens.clone()
        swapped[:, place] = runs.others[:, place]
        with torch.no_grad():
            expected = runs.model(swapped)
        expect_stream_patched(
            patch_residual,
            runs,
            0,
            place,
            expected,
            rule="before layer 0 the stream is the embeddings, so the logits are those of the text with that one word exchanged",
            look_at="which stream is replaced, at which positions, and by which run's",
        )


def test_the_source_lends_its_stream_of_that_layer_at_one_position(patch_residual, draw):
    for cfg in (FIVE_HEADS, WITH_MLPS):
        runs = TwoRuns(draw, cfg, batch=3, pos=5)
        for layer in range(1, cfg.n_layers):
            expect_stream_patched(
                patch_residual,
                runs,
                layer,
                int(runs.places[layer]),
                rule="at that position the stream before the layer is the source's, everywhere else it is the run's own",
                look_at="the hook's name, what the hook changes, and what it returns",
            )


def test_each_text_is_patched_at_its_own_position(patch_residual, draw):
    runs = TwoRuns(draw, SMALL, batch=5, pos=7)
    for layer in range(runs.cfg.n_layers):
        expect_stream_patched(
            patch_residual,
            runs,
            layer,
            runs.places,
            rule="text i is patched at pos[i] and nowhere else",
            look_at="how rows and positions are paired: x[rows, pos] with rows = torch.arange(batch)",
        )


def test_a_dictionary_with_full_hook_names_will_do_as_source(patch_residual, draw):
    runs = TwoRuns(draw)
    expected = runs.with_residual(1, runs.places)
    try:
        logits = patch_residual(runs.model, runs.tokens, dict(runs.source.items()), 1, runs.places)
    except Complaint as complaint:
        if complaint.kind != "raised" or "KeyError" not in complaint.seen:
            raise
        complain(
            f"with a plain dictionary as source, {complaint.seen}",
            rule='a dictionary has full hook names as keys, such as "blocks.1.hook_resid_pre"; short ones are for caches alone',
            look_at=complaint.look_at,
        )
    expect_patched_logits(
        logits,
        expected,
        what="the logits with a dictionary as source",
        rule='source["blocks.1.hook_resid_pre"] is all that is taken from it',
        look_at="how you get at the source's stream: by its full name",
    )


def test_nothing_before_the_patched_position_changes(patch_residual, draw):
    runs = TwoRuns(draw, WITH_MLPS, batch=3, pos=7)
    logits = patch_residual(runs.model, runs.tokens, runs.source, 1, 4)
    expect_shape(logits, runs.logits.shape, axes="batch pos d_vocab", look_at="what you return")
    expect_close(
        logits[:, :4],
        runs.logits[:, :4],
        rule="attention looks back only, so positions before the patch say what they said",
        look_at="at which positions the stream is replaced",
        what="the logits at positions before the patch",
        axes="batch pos d_vocab",
        atol=1e-4,
    )


def test_model_and_source_are_as_before_after_a_patched_run(patch_residual, draw):
    runs = TwoRuns(draw)
    patch_residual(runs.model, runs.tokens, runs.source, 1, runs.places)
    expect_source_as_before(runs, ["blocks.1.hook_resid_pre"])
    expect_run_as_before(runs)


# 4.10 patch_head

PATCHED_HEAD = (
    "that head's activation is the source's, and all that follows from it is computed anew; all other heads keep theirs"
)


def expect_head_patched(patch_head, runs, what, pos=None, *, heads=None):
    places = [pos] * runs.batch if isinstance(pos, int) else pos
    at = "" if pos is None else f" at {pos if isinstance(pos, int) else pos.tolist()}"
    arguments = () if pos is None else (pos,)
    cells = [(layer, head) for layer in range(runs.cfg.n_layers) for head in heads or range(runs.cfg.n_heads)]
    expected = [runs.with_head(layer, head, what, places) for layer, head in cells]
    for (layer, head), right in zip(cells, expected):
        logits = patch_head(runs.model, runs.tokens, runs.source, layer, head, what, *arguments)
        expect_no_hooks(runs.model, look_at=HOOKS_GO)
        expect_patched_logits(
            logits,
            right,
            what=f"the logits with {what} of L{layer}H{head} patched{at}",
            rule=PATCHED_HEAD,
            look_at="the hook's name, and on which axis the heads lie, and the positions",
        )


def test_the_output_of_one_head_is_that_of_the_source(patch_head, draw):
    expect_head_patched(patch_head, TwoRuns(draw, SMALL), "z", heads=[0, 2])


def test_queries_keys_and_values_are_patched_each_by_itself(patch_head, draw):
    runs = TwoRuns(draw, WITH_MLPS, batch=4, pos=5)
    for head, what in enumerate("qkv"):
        expect_head_patched(patch_head, runs, what, heads=[head])


def test_the_pattern_has_its_heads_on_the_second_axis(patch_head, draw):
    expect_head_patched(patch_head, TwoRuns(draw, SMALL, batch=5, pos=7), "pattern", heads=[0, 2])


def test_z_is_patched_at_one_position_or_at_each_texts_own(patch_head, draw):
    runs = TwoRuns(draw, FIVE_HEADS, batch=3, pos=4, shared=0)
    for pos in (3, runs.places, 0):
        expect_head_patched(patch_head, runs, "z", pos, heads=[2])


def test_queries_keys_and_values_are_patched_at_each_texts_own_position(patch_head, draw):
    runs = TwoRuns(draw, FIVE_HEADS, batch=3, pos=4)
    for head, what in enumerate("qkv"):
        expect_head_patched(patch_head, runs, what, runs.places, heads=[head])


def test_for_the_pattern_the_position_is_the_query(patch_head, draw):
    runs = TwoRuns(draw, FIVE_HEADS, batch=3, pos=4)
    for pos in (3, runs.places):
        expect_head_patched(patch_head, runs, "pattern", pos, heads=[1])


def test_models_of_other_sizes_and_without_layer_norm_are_patched_as_well(patch_head, draw):
    runs = TwoRuns(draw, WITHOUT_LAYER_NORM, batch=3, pos=7)
    for what in ("z", "pattern"):
        expect_head_patched(patch_head, runs, what, heads=[1])


def test_without_what_and_pos_all_of_z_is_patched(patch_head, draw):
    runs = TwoRuns(draw)
    expected = runs.with_head(1, 2, "z")
    expect_patched_logits(
        patch_head(runs.model, runs.tokens, runs.source, 1, 2),
        expected,
        what="the logits with L1H2 patched",
        rule='what="z" and pos=None, all positions, are the defaults',
        look_at="the line that begins with `def`",
    )


def expect_refused_by_name(call, what):
    """Anything but the five activations raises ValueError and says what it was."""
    rule = 'anything but "z", "q", "k", "v" and "pattern" raises ValueError, whose text says what `what` was'
    look_at = "the first lines: what happens to a word that you do not know?"
    try:
        call()
    except Complaint as complaint:
        if complaint.kind != "raised" or "ValueError" not in complaint.seen:
            raise
        if what not in complaint.seen:
            complain(f'with what="{what}", {complaint.seen}', rule=rule, look_at=look_at)
        return
    complain(f'with what="{what}" something was returned', rule=rule, look_at=look_at)


def test_any_other_activation_is_refused_by_name(patch_head, draw):
    runs = TwoRuns(draw)
    expect_refused_by_name(lambda: patch_head(runs.model, runs.tokens, runs.source, 0, 1, "out"), "out")


def test_a_patched_head_leaves_model_and_source_as_they_were(patch_head, draw):
    for what in ("z", "pattern"):
        runs = TwoRuns(draw)
        patch_head(runs.model, runs.tokens, runs.source, 0, 2, what)
        expect_source_as_before(runs, [f"blocks.0.attn.hook_{what}"])
        expect_run_as_before(runs)


# 4.11 to 4.13: sweeps


def expect_sweep(
    values, expected, *, axes, rule, look_at="which rows belong to which cell, and what the hook changes in them"
):
    expect_close(values, expected, axes=axes, what="the map", rule=rule, look_at=look_at, atol=1e-4, rtol=1e-3)


def swept(sweep, runs, *arguments, source=None):
    """The map of this sweep, which must leave no hooks."""
    values = sweep(runs.model, runs.tokens, runs.source if source is None else source, runs.metric, *arguments)
    expect_no_hooks(runs.model, look_at=HOOKS_GO)
    return values


def expect_budget_kept(sweep, runs, n_cells, rows_at_once, *arguments):
    """No pass has more rows than it may, and there are few passes; a layer may begin a new one."""
    with RowsThrough(runs.model.unembed, runs.pos) as passes:
        values = swept(sweep, runs, *arguments, rows_at_once)
    most = max(rows_at_once, runs.batch)
    if max(passes, default=0) > most:
        complain(
            f"with rows_at_once={rows_at_once} and {runs.batch} texts, a forward pass had {max(passes)} rows",
            rule="as many whole cells at a time as fit into rows_at_once rows, and at least one",
            look_at="how many cells you take at a time: each has `batch` rows",
        )
    cells_at_once = max(1, rows_at_once // runs.batch)
    enough = math.ceil(n_cells / cells_at_once) + runs.cfg.n_layers + 1
    if len(passes) > enough:
        complain(
            f"with rows_at_once={rows_at_once}, {n_cells} cells of {runs.batch} texts took {len(passes)} forward passes",
            rule=f"{cells_at_once} cells fit into one pass: {math.ceil(n_cells / cells_at_once)} passes, and one more for each layer",
            look_at="how many cells you take at a time, and what becomes of those that are left over",
        )
    return values


def expect_budgets_kept(sweep, runs, expected, budgets, *arguments, axes, rule):
    """The map is right, and the budget kept, whatever the budget is."""
    for rows_at_once in budgets:
        values = expect_budget_kept(sweep, runs, expected.numel(), rows_at_once, *arguments)
        expect_sweep(values, expected, axes=axes, rule=rule, look_at="the cells that are left over")


def expect_sweep_unharmful(sweep, runs, names):
    swept(sweep, runs)
    expect_source_as_before(runs, names)
    expect_run_as_before(runs)


def residual_map(runs):
    return torch.stack(
        [
            torch.stack([runs.effect(runs.with_residual(layer, [pos] * runs.batch)) for pos in range(runs.pos)])
            for layer in range(runs.cfg.n_layers)
        ]
    )


RESIDUAL_CELL = (
    "each cell is the metric's mean over the texts when the stream before that layer is the source's at that position"
)


def expect_residual_map(residual_sweep, runs):
    expected = residual_map(runs)
    expect_sweep(swept(residual_sweep, runs), expected, axes="layer pos", rule=RESIDUAL_CELL)


def test_the_map_has_a_cell_for_each_layer_and_position(residual_sweep, draw):
    expect_residual_map(residual_sweep, TwoRuns(draw, SMALL, batch=4, pos=6))


def test_the_map_of_the_stream_in_a_model_with_mlps(residual_sweep, draw):
    expect_residual_map(residual_sweep, TwoRuns(draw, WITH_MLPS, batch=3, pos=5))


def test_the_map_of_the_stream_is_that_of_transformer_lens(residual_sweep, draw):
    runs = TwoRuns(draw, FIVE_HEADS, batch=3, pos=4)

    @torch.no_grad()
    def by_transformer_lens():
        with replaced.object(patching, "tqdm", lambda cells: cells):
            return patching.get_act_patch_resid_pre(runs.model, runs.tokens, runs.source, runs.effect)

    expected = runs.remembered("patching", by_transformer_lens)
    expect_sweep(swept(residual_sweep, runs), expected, axes="layer pos", rule=RESIDUAL_CELL)


def test_the_budget_of_rows_is_kept_and_used(residual_sweep, draw):
    runs = TwoRuns(draw, SMALL, batch=3, pos=7)
    # all 14 cells at once; four at a time, with two left over; one at a time, since a text more than the budget is no reason to stop
    expect_budgets_kept(residual_sweep, runs, residual_map(runs), (512, 13, 2), axes="layer pos", rule=RESIDUAL_CELL)


def test_with_a_single_text_the_budget_is_one_of_cells(residual_sweep, draw):
    expect_budget_kept(residual_sweep, TwoRuns(draw, SMALL, batch=1, pos=7), 14, 5)


def test_a_source_that_is_the_run_itself_changes_no_cell(residual_sweep, draw):
    runs = TwoRuns(draw, SMALL, batch=3, pos=5)
    expect_sweep(
        swept(residual_sweep, runs, source=runs.own),
        runs.effect(runs.logits).repeat(2, 5),
        axes="layer pos",
        rule="a patch by the run's own stream changes nothing, so each cell is the metric of the unpatched run",
        look_at="whether a cell's value is the metric, and not its change",
    )


def test_a_sweep_of_the_stream_leaves_model_and_source_as_they_were(residual_sweep, draw):
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(2)]
    expect_sweep_unharmful(residual_sweep, TwoRuns(draw, SMALL, batch=3, pos=5), names)


def head_map(runs, what):
    return torch.stack(
        [
            torch.stack([runs.effect(runs.with_head(layer, head, what)) for head in range(runs.cfg.n_heads)])
            for layer in range(runs.cfg.n_layers)
        ]
    )


HEAD_CELL = "each cell is the metric's mean over the texts when that head's activation is the source's at all positions"


def expect_head_map(head_sweep, runs):
    expected = head_map(runs, "z")
    expect_sweep(swept(head_sweep, runs), expected, axes="layer head", rule=HEAD_CELL)


def test_the_map_has_a_cell_for_each_layer_and_head(head_sweep, draw):
    expect_head_map(head_sweep, TwoRuns(draw, SMALL, batch=4))


def test_the_map_of_heads_in_a_model_with_mlps(head_sweep, draw):
    expect_head_map(head_sweep, TwoRuns(draw, WITH_MLPS, batch=5))


def test_queries_keys_values_and_patterns_have_maps_of_their_own(head_sweep, draw):
    runs = TwoRuns(draw, SMALL, batch=4, pos=5)
    expected = {what: head_map(runs, what) for what in KINDS_OF_PATCH[1:]}
    for what, each in expected.items():
        expect_sweep(
            swept(head_sweep, runs, what),
            each,
            axes="layer head",
            rule=HEAD_CELL,
            look_at="the hook's name, and on which axis the heads lie",
        )


def test_the_map_of_heads_is_that_of_transformer_lens(head_sweep, draw):
    runs = TwoRuns(draw, WITHOUT_LAYER_NORM, batch=4, pos=5)

    @torch.no_grad()
    def by_transformer_lens():
        arguments = runs.model, runs.tokens, runs.source, runs.effect
        with replaced.object(patching, "tqdm", lambda cells: cells):
            return {
                "z": patching.get_act_patch_attn_head_out_all_pos(*arguments),
                "pattern": patching.get_act_patch_attn_head_pattern_all_pos(*arguments),
            }

    for what, expected in runs.remembered("patching", by_transformer_lens).items():
        expect_sweep(swept(head_sweep, runs, what), expected, axes="layer head", rule=HEAD_CELL)


def test_heads_keep_the_budget_of_rows(head_sweep, draw):
    runs = TwoRuns(draw, FIVE_HEADS, batch=2, pos=7)
    expect_budgets_kept(head_sweep, runs, head_map(runs, "v"), (512, 9, 1), "v", axes="layer head", rule=HEAD_CELL)


def test_with_a_single_text_five_rows_are_five_heads(head_sweep, draw):
    expect_budget_kept(head_sweep, TwoRuns(draw, SMALL, batch=1, pos=7), 6, 5, "z")


def test_a_sweep_of_something_else_is_refused_by_name(head_sweep, draw):
    runs = TwoRuns(draw)
    expect_refused_by_name(lambda: head_sweep(runs.model, runs.tokens, runs.source, runs.metric, "out"), "out")


def test_a_sweep_of_heads_leaves_model_and_source_as_they_were(head_sweep, draw):
    expect_sweep_unharmful(head_sweep, TwoRuns(draw), [f"blocks.{layer}.attn.hook_z" for layer in range(2)])


def head_position_map(runs):
    return runs.remembered("heads by position", lambda: heads_by_position(runs))


def heads_by_position(runs):
    values = torch.zeros(runs.cfg.n_layers, runs.cfg.n_heads, runs.pos, device=runs.tokens.device)
    for layer in range(runs.cfg.n_layers):
        own, source = runs.own["z", layer], runs.source["z", layer]
        cells = [(head, pos) for head in range(runs.cfg.n_heads) for pos in range(runs.pos)]
        patched = [own.clone() for _ in cells]
        for z, (head, pos) in zip(patched, cells):
            z[:, pos, head] = source[:, pos, head]
        logits = runs.after_attention(torch.cat(patched), layer).split(runs.batch)
        for (head, pos), part in zip(cells, logits):
            values[layer, head, pos] = runs.effect(part)
    return values


HEAD_POSITION_CELL = (
    "each cell is the metric's mean over the texts when z of that head is the source's at that position"
)


def expect_head_position_map(head_position_sweep, runs):
    expected = head_position_map(runs)
    expect_sweep(swept(head_position_sweep, runs), expected, axes="layer head pos", rule=HEAD_POSITION_CELL)


def test_the_map_has_a_cell_for_each_layer_head_and_position(head_position_sweep, draw):
    expect_head_position_map(head_position_sweep, TwoRuns(draw, SMALL, batch=5, pos=4))


def test_the_map_of_heads_by_position_in_a_model_with_mlps(head_position_sweep, draw):
    expect_head_position_map(head_position_sweep, TwoRuns(draw, WITH_MLPS, batch=3, pos=5))


def test_the_map_of_heads_by_position_is_that_of_transformer_lens(head_position_sweep, draw):
    runs = TwoRuns(draw, WITHOUT_LAYER_NORM, batch=3, pos=4)

    @torch.no_grad()
    def by_transformer_lens():
        with replaced.object(patching, "tqdm", lambda cells: cells):
            return patching.get_act_patch_attn_head_out_by_pos(runs.model, runs.tokens, runs.source, runs.effect)

    expected = einops.rearrange(runs.remembered("patching", by_transformer_lens), "layer pos head -> layer head pos")
    expect_sweep(swept(head_position_sweep, runs), expected, axes="layer head pos", rule=HEAD_POSITION_CELL)


def expect_shared_cells(head_position_sweep, runs):
    """Some texts begin, and one is, the same in both runs."""
    expected = head_position_map(runs)
    expect_sweep(
        swept(head_position_sweep, runs),
        expected,
        axes="layer head pos",
        rule="a cell that changes nothing has the metric of the unpatched run; one that changes any text must be run",
        look_at="which cells you leave out, and what value they get",
    )


def test_where_both_runs_agree_a_cell_has_the_metric_of_the_unpatched_run(head_position_sweep, draw):
    expect_shared_cells(head_position_sweep, TwoRuns(draw, SMALL, batch=3, pos=5, shared=3, same_text=0))


def test_a_cell_that_changes_some_texts_only_is_run(head_position_sweep, draw):
    expect_shared_cells(head_position_sweep, TwoRuns(draw, SMALL, batch=4, pos=5, shared=2, same_text=-1))


def test_a_cell_of_which_one_number_differs_is_run(head_position_sweep, draw):
    runs = TwoRuns(draw, SMALL, batch=3, pos=4)
    for layer, text, pos, head, place in ((0, 1, 2, 1, 3), (1, 0, 3, 2, 0)):
        source = copy_of_cache(runs.own)
        source["z", layer][text, pos, head, place] += 3.0
        runs.source = source
        expect_sweep(
            swept(head_position_sweep, runs),
            heads_by_position(runs),
            axes="layer head pos",
            rule="a cell may be left out where all numbers of z agree in all texts; here one of one text differs",
            look_at="any or all: how you find out which cells change nothing",
        )


def test_heads_by_position_keep_the_budget_of_rows(head_position_sweep, draw):
    runs = TwoRuns(draw, SMALL, batch=2, pos=4)
    # all 24 cells at once, five at a time, one at a time
    expect_budgets_kept(
        head_position_sweep,
        runs,
        head_position_map(runs),
        (512, 11, 1),
        axes="layer head pos",
        rule=HEAD_POSITION_CELL,
    )


def test_with_a_single_text_five_rows_are_five_heads_at_a_position(head_position_sweep, draw):
    expect_budget_kept(head_position_sweep, TwoRuns(draw, SMALL, batch=1, pos=4), 24, 5)


def test_a_sweep_of_heads_by_position_leaves_model_and_source_as_they_were(head_position_sweep, draw):
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(2)]
    expect_sweep_unharmful(head_position_sweep, TwoRuns(draw, batch=3, pos=4), names)


# 4.14 attribution_sweep


def estimate_from_leaves(runs):
    """The estimate with the gradient of one layer at a time: z of that layer as a leaf, from which the run goes on."""
    return runs.remembered("estimate", lambda: layer_by_layer_estimate(runs))


def layer_by_layer_estimate(runs):
    estimates = []
    for layer in range(runs.cfg.n_layers):
        leaf = runs.own["z", layer].clone().requires_grad_()
        hook = (f"blocks.{layer}.attn.hook_z", lambda z, hook, leaf=leaf: leaf * 1)
        with torch.enable_grad(), runs.model.hooks(fwd_hooks=[hook]):
            total = runs.metric(runs.model(runs.tokens)).sum()
            (gradient,) = torch.autograd.grad(total, leaf)
        difference = runs.source["z", layer] - leaf.detach()
        estimates.append((difference * gradient).sum(-1).mean(0).T)
    return torch.stack(estimates)


ESTIMATE = (
    "the mean over texts of (source z - own z) · gradient of the metric with respect to z, at the run's own activations"
)


def expect_estimate(
    values,
    expected,
    *,
    rule=ESTIMATE,
    look_at="in which run the gradient is taken, the difference, and over which axes you sum and average",
):
    expect_close(
        values, expected, axes="layer head pos", what="the estimate", rule=rule, look_at=look_at, atol=2e-4, rtol=1e-3
    )


def estimated(attribution_sweep, runs, metric=None, source=None):
    """The estimate, which must leave no hooks."""
    source = runs.source if source is None else source
    values = attribution_sweep(runs.model, runs.tokens, source, metric or runs.metric)
    expect_no_hooks(runs.model, look_at=HOOKS_GO)
    return values


def test_the_estimate_is_the_difference_times_the_gradient(attribution_sweep, draw):
    for cfg, batch, pos in ((SMALL, 5, 4), (WITH_MLPS, 3, 7)):
        runs = TwoRuns(draw, cfg, batch=batch, pos=pos)
        expected = estimate_from_leaves(runs)
        expect_estimate(estimated(attribution_sweep, runs), expected)


def test_the_estimate_holds_in_deeper_models_and_without_layer_norm(attribution_sweep, draw):
    for cfg in (FIVE_HEADS, WITHOUT_LAYER_NORM):
        runs = TwoRuns(draw, cfg, batch=4, pos=6)
        expected = estimate_from_leaves(runs)
        expect_estimate(estimated(attribution_sweep, runs), expected)


def test_where_all_that_follows_is_linear_the_estimate_is_exact(attribution_sweep, draw):
    cfg = WITHOUT_LAYER_NORM
    runs = TwoRuns(draw, cfg, batch=4, pos=3)
    last = cfg.n_layers - 1

    def linear(logits):
        rows = torch.arange(runs.batch, device=logits.device)
        return logits[rows, runs.places, runs.answers[0]] - logits[rows, runs.places, runs.answers[1]]

    true = torch.zeros(cfg.n_heads, runs.pos, device=runs.tokens.device)
    for head in range(cfg.n_heads):
        for pos in range(runs.pos):
            patched = runs.with_head(last, head, "z", [pos] * runs.batch)
            true[head, pos] = (linear(patched) - linear(runs.logits)).mean()
    estimate = estimated(attribution_sweep, runs, linear)
    expect_shape(estimate, (cfg.n_layers, *true.shape), axes="layer head pos", look_at="the order of the axes")
    expect_estimate(
        estimate[last][None],
        true[None],
        rule="without LayerNorm, logits are linear in the last layer's z: there the estimate is what the patch does",
        look_at="the sign and the size of the difference, and what the gradient is multiplied by",
    )


def test_a_source_that_is_the_run_itself_gives_an_estimate_of_0(attribution_sweep, draw):
    runs = TwoRuns(draw, SMALL, batch=3, pos=5)
    expect_estimate(
        estimated(attribution_sweep, runs, source=runs.own),
        torch.zeros(2, 3, 5, device=runs.tokens.device),
        rule="a patch that exchanges an activation for itself changes nothing",
        look_at="what the gradient is multiplied by",
    )


def test_one_forward_pass_is_enough_for_the_whole_estimate(attribution_sweep, draw):
    runs = TwoRuns(draw, SMALL, batch=3, pos=5)
    with RowsThrough(runs.model.unembed, runs.pos) as passes:
        attribution_sweep(runs.model, runs.tokens, runs.source, runs.metric)
    if sum(passes) > 2 * runs.batch:
        complain(
            f"{len(passes)} forward passes with {sum(passes)} rows in all were run for 3 texts",
            rule="one forward pass on the texts and one backward pass give all gradients (a second forward pass is no harm)",
            look_at="what you run again and again",
        )


def test_no_gradients_are_left_on_the_weights(attribution_sweep, draw):
    runs = TwoRuns(draw)
    attribution_sweep(runs.model, runs.tokens, runs.source, runs.metric)
    left = [name for name, weight in runs.model.named_parameters() if weight.grad is not None]
    if left:
        complain(
            f"{len(left)} weights of the model have a .grad now",
            rule="an experiment leaves the model as it was, its gradients too",
            look_at="torch.autograd.grad(total, zeros), which gives gradients back; total.backward() stores them in every weight",
        )


def test_an_estimate_leaves_model_and_source_as_they_were(attribution_sweep, draw):
    runs = TwoRuns(draw)
    attribution_sweep(runs.model, runs.tokens, runs.source, runs.metric)
    expect_source_as_before(runs, [f"blocks.{layer}.attn.hook_z" for layer in range(2)])
    expect_run_as_before(runs)


# 4.15 to 4.19: path patching


THREE_LAYERS_MLPS = TransformerConfig(d_model=14, d_vocab=13, n_ctx=19, n_layers=3, n_heads=2, d_head=5, d_mlp=17)
THREE_LAYERS_BARE = AttentionOnlyConfig(
    d_model=15, d_vocab=13, n_ctx=19, n_layers=3, n_heads=2, d_head=4, normalization_type=None
)
FOUR_LAYERS = AttentionOnlyConfig(d_model=10, d_vocab=12, n_ctx=18, n_layers=4, n_heads=3, d_head=2)


def path_norm(model, stream):
    """LayerNorm whose weights are folded into what follows, written out; nothing in models without it."""
    if model.cfg.normalization_type is None:
        return stream
    centred = stream - stream.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + model.cfg.eps).sqrt()


@torch.no_grad()
def path_forward(model, tokens, *, z=None, mlp_out=None, inputs: Mapping = {}):
    """A forward pass in plain PyTorch, without a hook: what each part gave, with some of it set.

    `z` and `mlp_out` have an entry for each layer, `inputs` one for each (letter, layer, head) whose q, k or v is set.
    """
    pos, cfg = tokens.shape[1], model.cfg
    future = torch.ones(pos, pos, dtype=torch.bool, device=tokens.device).triu(1)
    kept = {letter: [] for letter in ("q", "k", "v", "z", "mlp_out")}
    weights = {
        letter: (getattr(model, f"W_{letter.upper()}"), getattr(model, f"b_{letter.upper()}")) for letter in "qkv"
    }
    W_O, b_O = model.W_O, model.b_O
    stream = model.W_E[tokens] + model.W_pos[:pos]
    for layer in range(cfg.n_layers):
        read = path_norm(model, stream)
        for letter, (W, b) in weights.items():
            by_head = torch.einsum("bpm,hmd->hbpd", read, W[layer]) + b[layer][:, None, None]
            by_head = [inputs.get((letter, layer, head), by_head[head]) for head in range(cfg.n_heads)]
            kept[letter].append(torch.stack(by_head, dim=2))
        scores = torch.einsum("bqhd,bkhd->bhqk", kept["q"][-1], kept["k"][-1]) / cfg.d_head**0.5
        shares = scores.masked_fill(future, -torch.inf).softmax(-1)
        mixed = torch.einsum("bhqk,bkhd->bqhd", shares, kept["v"][-1])
        kept["z"].append(mixed if z is None else z[layer])
        stream = stream + torch.einsum("bqhd,hdm->bqm", kept["z"][-1], W_O[layer]) + b_O[layer]
        if not cfg.attn_only:
            before = path_norm(model, stream) @ model.W_in[layer] + model.b_in[layer]
            out = F.gelu(before, approximate="tanh") @ model.W_out[layer] + model.b_out[layer]
            kept["mlp_out"].append(out if mlp_out is None else mlp_out[layer])
            stream = stream + kept["mlp_out"][-1]
    return kept | {"logits": path_norm(model, stream) @ model.W_U + model.b_U}


class PathCase:
    """A model, tokens, the cache of a run on other tokens as source, and what patched paths give, in plain PyTorch."""

    def __init__(self, draw, cfg, *, batch=5, pos=7, change=None):
        self.model = borrow_bridge(cfg, draw.generator(), draw.device)
        self.tokens, others = (random_tokens(draw, batch=batch, pos=pos, d_vocab=cfg.d_vocab) for _ in range(2))
        if change is not None:
            others = change(self.tokens)
        self.source, self.others = kept_cache(self.model, others), others
        self.own = self._remembered("own", lambda: path_forward(self.model, self.tokens))  # everything of this run

    def _remembered(self, name, make):
        return remembered(make, name, *key_of(self.model, self.tokens, self.others))

    def patched(self, sender, receivers=(), what="", freeze_mlps=False):
        """The logits after three runs: own, frozen but for the sender, and with what arrived at the receivers."""
        name = ("patched", sender, tuple(receivers), what, freeze_mlps)
        return self._remembered(name, lambda: self._patched(sender, receivers, what, freeze_mlps))

    def _patched(self, sender, receivers, what, freeze_mlps):
        own, (layer, head) = self.own, sender
        new = self._remembered("source", lambda: path_forward(self.model, self.others))["z"]
        z = [each.clone() for each in own["z"]]
        z[layer][:, :, head] = new[layer][:, :, head]
        through = path_forward(self.model, self.tokens, z=z, mlp_out=own["mlp_out"] if freeze_mlps else None)
        if not receivers:
            return through["logits"]
        arrived = {(what, layer, head): through[what][layer][:, :, head] for layer, head in receivers}
        return path_forward(self.model, self.tokens, inputs=arrived)["logits"]

    def sweep(self, metric, receivers=(), what=""):
        """The mean metric, sender by sender; that of the run on `tokens` where a sender has no path."""
        sizes = self.model.cfg.n_layers, self.model.cfg.n_heads
        expected = metric(self.own["logits"]).mean().repeat(*sizes)
        for layer in range(max((layer for layer, _ in receivers), default=sizes[0])):
            for head in range(sizes[1]):
                expected[layer, head] = metric(self.patched((layer, head), receivers, what)).mean()
        return expected


def path_metric(draw, tokens, d_vocab):
    """A difference of two logits at an END of its own in every text, and a function that gives it for logits of all texts."""
    batch, pos = tokens.shape
    ends = pos - 1 - torch.arange(batch, device=tokens.device) % 3
    answers = torch.stack([draw.permutation(d_vocab)[:2] for _ in range(batch)])

    def metric(logits):
        if len(logits) != batch:
            complain(
                f"the metric was given the logits of {len(logits)} rows, where {batch} texts are right",
                rule="the metric gets the logits of all texts for one sender, in the order of `tokens`",
                look_at="how the rows of a run are taken apart again, sender by sender",
            )
        if logits.shape[1] != pos:
            complain(
                f"the metric was given logits of {logits.shape[1]} positions, where the texts have {pos}",
                rule="the metric gets the logits of whole texts: it may count positions from the end",
                look_at="on which axis you repeat the tokens: that of the texts alone",
            )
        rows = torch.arange(batch, device=logits.device)
        right, wrong = logits[rows, ends].gather(-1, answers).unbind(-1)
        return right - wrong

    return metric


def expect_path_hooks_gone(model):
    expect_no_hooks(model, look_at="run_with_hooks, or `with model.hooks(...)`, which take away what they put on")


def expect_path_model_unharmed(case):
    expect_path_hooks_gone(case.model)
    with torch.no_grad():
        expect_close(
            case.model(case.tokens),
            case.own["logits"],
            rule="the model computes what it computed before: patching is for one run",
            look_at="whether weights were changed",
            axes="batch pos d_vocab",
            what="the logits of the model afterwards",
            atol=1e-4,
            rtol=1e-3,
        )


def expect_path_source_unharmed(case):
    before = kept_cache(case.model, case.others)
    for name, value in before.items():
        if not name.endswith("attn.hook_z"):
            continue
        expect_close(
            case.source[name],
            value,
            rule="what is handed over stays as it is: the next call needs the same source",
            look_at="assignments into source[name]: clone before you write",
            what=f"source[{name!r}] afterwards",
        )


# 4.15 path_patch_to_logits

TO_LOGITS_RULE = "the sender's z is the source's, every other head's z is that of the run on `tokens`"


def expect_path_to_logits(path_patch_to_logits, draw, cfg, senders, *, freeze_mlps=None, look_at, batch=5, pos=7):
    case = PathCase(draw, cfg, batch=batch, pos=pos)
    asked = {} if freeze_mlps is None else {"freeze_mlps": freeze_mlps}
    for layer, head in senders:
        logits = path_patch_to_logits(case.model, case.tokens, case.source, layer, head, **asked)
        expect_path_hooks_gone(case.model)
        expect_close(
            logits,
            case.patched((layer, head), freeze_mlps=bool(freeze_mlps)),
            rule=TO_LOGITS_RULE,
            look_at=look_at,
            axes="batch pos d_vocab",
            what=f"the logits with the path of L{layer}H{head} patched",
            atol=1e-4,
            rtol=1e-3,
        )


def test_the_sender_has_its_z_of_the_source_and_all_others_their_own(path_patch_to_logits, draw):
    expect_path_to_logits(
        path_patch_to_logits,
        draw,
        SMALL,
        [(0, 1)],
        look_at="which heads are set in run 2, to the values of which run",
        batch=3,
        pos=5,
    )


def test_no_other_head_hears_of_what_the_sender_changes(path_patch_to_logits, draw):
    expect_path_to_logits(
        path_patch_to_logits,
        draw,
        FOUR_LAYERS,
        [(0, 1), (2, 2), (3, 0)],
        look_at="which heads are set in run 2, to the values of which run",
        batch=4,
        pos=6,
    )


def test_mlps_hear_of_what_the_sender_changes(path_patch_to_logits, draw):
    expect_path_to_logits(
        path_patch_to_logits,
        draw,
        THREE_LAYERS_MLPS,
        [(0, 1), (1, 0)],
        look_at="which activations are frozen when freeze_mlps is not asked for: z, and nothing else",
        batch=4,
    )


def test_with_freeze_mlps_the_straight_path_is_left(path_patch_to_logits, draw):
    expect_path_to_logits(
        path_patch_to_logits,
        draw,
        WITH_MLPS,
        [(0, 2), (1, 1)],
        freeze_mlps=True,
        look_at='what freeze_mlps adds: f"blocks.{each}.hook_mlp_out" of every layer, of the run on `tokens`',
        pos=6,
    )


def test_freeze_mlps_changes_nothing_where_there_are_none(path_patch_to_logits, draw):
    expect_path_to_logits(
        path_patch_to_logits,
        draw,
        SMALL,
        [(0, 2)],
        freeze_mlps=True,
        look_at="model.cfg.attn_only: such a model has no MLPs to freeze",
        batch=4,
    )


def test_without_layer_norm_the_path_adds_what_the_head_writes(path_patch_to_logits, draw):
    case = PathCase(draw, THREE_LAYERS_BARE, batch=4, pos=6)
    model, own = case.model, case.own
    for layer, head in ((1, 1), (0, 0)):
        change = (case.source[f"blocks.{layer}.attn.hook_z"] - own["z"][layer])[:, :, head]
        with torch.no_grad():
            expected = own["logits"] + change @ model.W_O[layer, head] @ model.W_U
        expect_close(
            path_patch_to_logits(model, case.tokens, case.source, layer, head),
            expected,
            rule="without LayerNorm and MLPs the logits change by (z' - z) W_O W_U of the sender, and by nothing else",
            look_at="which heads are set, and to what",
            axes="batch pos d_vocab",
            what=f"the logits with the path of L{layer}H{head} patched",
            atol=1e-4,
            rtol=1e-3,
        )


def test_a_change_at_one_position_reaches_no_other(path_patch_to_logits, draw):
    case = PathCase(draw, WITH_MLPS, batch=4, pos=6)
    source = dict(kept_cache(case.model, case.tokens).items())
    source["blocks.0.attn.hook_z"][:, 2, 1] += draw.normal(4, 4)
    before = case.own["logits"]
    after = path_patch_to_logits(case.model, case.tokens, source, 0, 1)
    expect_shape(after, before.shape, axes="batch pos d_vocab", look_at="what is returned: the logits of run 2")
    changed = (after - before).abs().amax(dim=(0, 2)) > 1e-4
    if changed.nonzero().flatten().tolist() != [2]:
        complain(
            f"z of the source differs at position 2 alone, and the logits change at positions {changed.nonzero().flatten().tolist()}",
            rule="only heads move something between positions, and all heads are frozen",
            look_at="whether every head but the sender is set to its z of the run on `tokens`",
        )


def test_after_a_path_to_the_logits_the_model_is_as_before(path_patch_to_logits, draw):
    case = PathCase(draw, WITH_MLPS, batch=4)
    path_patch_to_logits(case.model, case.tokens, case.source, 0, 1)
    expect_path_model_unharmed(case)


def test_after_a_path_to_the_logits_the_source_is_as_before(path_patch_to_logits, draw):
    case = PathCase(draw, WITH_MLPS, batch=4)
    path_patch_to_logits(case.model, case.tokens, case.source, 0, 1)
    expect_path_source_unharmed(case)


# 4.16 path_patch_to_heads

TO_HEADS_RULE = (
    "the receivers' input is what the sender alone makes of it; in run 3 nothing else is set, not even the sender"
)


def expect_path_to_heads(path_patch_to_heads, draw, cfg, cases, *, freeze_mlps=None, look_at, batch=5, pos=7):
    case = PathCase(draw, cfg, batch=batch, pos=pos)
    asked = {} if freeze_mlps is None else {"freeze_mlps": freeze_mlps}
    for sender, receivers, what in cases:
        names = ", ".join(f"L{layer}H{head}" for layer, head in receivers)
        logits = path_patch_to_heads(case.model, case.tokens, case.source, sender, receivers, what, **asked)
        expect_path_hooks_gone(case.model)
        expect_close(
            logits,
            case.patched(sender, receivers, what, bool(freeze_mlps)),
            rule=TO_HEADS_RULE,
            look_at=look_at,
            axes="batch pos d_vocab",
            what=f"the logits with the path from L{sender[0]}H{sender[1]} to {what} of {names} patched",
            atol=1e-4,
            rtol=1e-3,
        )


def test_a_receiver_two_layers_later_gets_what_the_sender_sends(path_patch_to_heads, draw):
    expect_path_to_heads(
        path_patch_to_heads,
        draw,
        THREE_LAYERS_BARE,
        [((0, 1), [(2, 1)], "k")],
        look_at="what is frozen in run 2, what is kept of it, and what is set in run 3",
        batch=2,
        pos=5,
    )


def test_one_receiver_gets_what_the_sender_sends_into_its_q_k_or_v(path_patch_to_heads, draw):
    expect_path_to_heads(
        path_patch_to_heads,
        draw,
        FOUR_LAYERS,
        [((0, 1), [(2, 0)], "q"), ((0, 2), [(2, 1)], "k"), ((1, 0), [(2, 2)], "v")],
        look_at="what is frozen in run 2, what is kept of it, and what is set in run 3",
        batch=4,
        pos=6,
    )


def test_several_receivers_in_several_layers_get_theirs(path_patch_to_heads, draw):
    expect_path_to_heads(
        path_patch_to_heads,
        draw,
        FOUR_LAYERS,
        [((0, 0), [(1, 2), (2, 0), (2, 2)], "v"), ((1, 1), [(3, 0), (2, 1)], "q")],
        look_at="which heads of which layers are set: each receiver (layer, head), no other head with its number",
        batch=2,
    )


def test_on_the_way_to_a_head_mlps_are_computed_anew(path_patch_to_heads, draw):
    expect_path_to_heads(
        path_patch_to_heads,
        draw,
        THREE_LAYERS_MLPS,
        [((0, 1), [(2, 0)], "k"), ((0, 0), [(2, 1), (1, 1)], "v")],
        look_at="freeze_mlps in run 2; and that nothing but the receivers' input is set in run 3",
        batch=4,
    )


def test_on_the_way_to_a_head_mlps_are_frozen_if_asked(path_patch_to_heads, draw):
    expect_path_to_heads(
        path_patch_to_heads,
        draw,
        THREE_LAYERS_MLPS,
        [((0, 1), [(2, 0)], "v"), ((1, 0), [(2, 1)], "q")],
        freeze_mlps=True,
        look_at="that freeze_mlps reaches run 2; in run 3 MLPs are never frozen",
        batch=4,
    )


def test_a_sender_that_is_not_before_the_receiver_changes_nothing(path_patch_to_heads, draw):
    case = PathCase(draw, SMALL, batch=4, pos=6)
    for sender, receiver in (((1, 0), (1, 2)), ((1, 1), (0, 1))):
        expect_close(
            path_patch_to_heads(case.model, case.tokens, case.source, sender, [receiver], "k"),
            case.own["logits"],
            rule="there is no path from a head to one of its own or an earlier layer",
            look_at="whether the sender is still patched in run 3",
            axes="batch pos d_vocab",
            what="the logits",
            atol=1e-4,
            rtol=1e-3,
        )


def test_any_other_input_is_refused_by_name(path_patch_to_heads, draw):
    case = PathCase(draw, SMALL, batch=4)
    rule = 'anything but "q", "k" and "v" raises ValueError, whose text says what `what` was'
    look_at = "the first lines: what happens to a word that you do not know?"
    try:
        path_patch_to_heads(case.model, case.tokens, case.source, (0, 1), [(1, 2)], "z")
    except Complaint as complaint:
        if complaint.kind != "raised":
            raise
        if "ValueError" not in complaint.seen or "z" not in complaint.seen.replace("path_patch_to_heads", ""):
            complain(f'with what="z", {complaint.seen}', rule=rule, look_at=look_at)
        return
    complain('with what="z", path_patch_to_heads returned logits', rule=rule, look_at=look_at)


def test_after_a_path_to_heads_the_model_is_as_before(path_patch_to_heads, draw):
    case = PathCase(draw, SMALL, batch=4)
    path_patch_to_heads(case.model, case.tokens, case.source, (0, 1), [(1, 2), (1, 0)], "q")
    expect_path_model_unharmed(case)


def test_after_a_path_to_heads_the_source_is_as_before(path_patch_to_heads, draw):
    case = PathCase(draw, SMALL, batch=4)
    path_patch_to_heads(case.model, case.tokens, case.source, (0, 1), [(1, 2), (1, 0)], "q")
    expect_path_source_unharmed(case)


# 4.17 path_sweep_to_logits


def expect_path_sweep_to_logits(path_sweep_to_logits, draw, cfg, *, batch, pos, look_at, **rows):
    case = PathCase(draw, cfg, batch=batch, pos=pos)
    metric = path_metric(draw, case.tokens, cfg.d_vocab)
    result = path_sweep_to_logits(case.model, case.tokens, case.source, metric, **rows)
    expect_path_hooks_gone(case.model)
    expect_close(
        result,
        case.sweep(metric),
        rule="for each head, the metric's mean over texts when that head's path to the logits is patched and no other",
        look_at=look_at,
        axes="layer head",
        what="the sweep",
        atol=1e-4,
        rtol=1e-3,
    )


def test_a_sweep_has_the_mean_metric_of_each_of_six_heads(path_sweep_to_logits, draw):
    expect_path_sweep_to_logits(
        path_sweep_to_logits,
        draw,
        WITH_MLPS,
        batch=3,
        pos=5,
        rows_at_once=18,  # the six senders fill one chunk, so that nothing is left over
        look_at="the rows of each sender: which tokens, which frozen z, whose z of the source",
    )


def test_each_entry_is_the_mean_metric_with_that_heads_path_patched(path_sweep_to_logits, draw):
    expect_path_sweep_to_logits(
        path_sweep_to_logits,
        draw,
        FOUR_LAYERS,
        batch=4,
        pos=6,
        look_at="the rows of each sender: which tokens, which frozen z, whose z of the source",
    )


def test_in_a_sweep_to_the_logits_mlps_are_computed_anew(path_sweep_to_logits, draw):
    expect_path_sweep_to_logits(
        path_sweep_to_logits,
        draw,
        THREE_LAYERS_MLPS,
        batch=4,
        pos=6,
        look_at="what is frozen: z of every head, and nothing else",
    )


def test_texts_that_differ_at_late_positions_only(path_sweep_to_logits, draw):
    def change_late(tokens):
        others, texts = tokens.clone(), torch.arange(5, device=tokens.device)
        late = 6 - texts % 2
        others[texts, late] = 1 + tokens[texts, late] % 10
        return others

    case = PathCase(draw, WITH_MLPS, batch=5, pos=7, change=change_late)
    metric = path_metric(draw, case.tokens, 11)
    expect_close(
        path_sweep_to_logits(case.model, case.tokens, case.source, metric),
        case.sweep(metric),
        rule="a text counts, whether its END stands where the source differs or before: there its logits are unpatched",
        look_at="what you leave out because source and own run agree there: in all texts, and with which logits?",
        axes="layer head",
        what="the sweep",
        atol=1e-4,
        rtol=1e-3,
    )


def test_a_sweep_in_chunks_is_complete(path_sweep_to_logits, draw):
    # 6 senders: of 4 texts each, 4 fit into 17 rows, then 2 are left
    expect_path_sweep_to_logits(
        path_sweep_to_logits,
        draw,
        WITH_MLPS,
        batch=4,
        pos=7,
        rows_at_once=17,
        look_at="the last chunk, which may be shorter than the others",
    )


def test_where_not_even_one_sender_fits_one_goes_at_a_time(path_sweep_to_logits, draw):
    expect_path_sweep_to_logits(
        path_sweep_to_logits,
        draw,
        SMALL,
        batch=5,
        pos=6,
        rows_at_once=3,
        look_at="the number of senders in a run: at least one",
    )


def test_many_senders_go_through_an_mlp_side_by_side(path_sweep_to_logits, draw):
    case = PathCase(draw, ROLE_FOUR, batch=2, pos=5)
    # the last layer's: also who runs no whole model comes there
    with RowsThrough(case.model.blocks[2].mlp, 5) as rows:
        path_sweep_to_logits(case.model, case.tokens, case.source, path_metric(draw, case.tokens, 17))
    if len(rows) > 5:  # each layer may begin a new run, and the own run may be done twice
        complain(
            f"the last MLP was run {len(rows)} times, for 12 senders of 2 texts each, which are 24 rows",
            rule="with room for 512 rows, all senders go into one run, beside each other",
            look_at="how many senders you take at a time: rows_at_once // batch",
        )


def test_no_more_rows_than_allowed_go_through_an_mlp(path_sweep_to_logits, draw):
    for batch, rows_at_once in ((4, 9), (5, 3)):
        case = PathCase(draw, WITH_MLPS, batch=batch, pos=5)
        metric = path_metric(draw, case.tokens, 11)
        with RowsThrough(case.model.blocks[1].mlp, 5) as rows:
            path_sweep_to_logits(case.model, case.tokens, case.source, metric, rows_at_once=rows_at_once)
        most = max(rows_at_once, batch)
        if max(rows, default=0) > most:
            complain(
                f"with rows_at_once={rows_at_once} and {batch} texts, {max(rows)} rows went through the last MLP at a time",
                rule="as many senders at a time as have room in rows_at_once rows, and at least one: memory is limited",
                look_at="how many senders go into a run: rows_at_once // batch, and at least 1",
            )


def test_a_sender_counts_whatever_differs_of_its_z(path_sweep_to_logits, draw):
    case = PathCase(draw, WITH_MLPS, batch=3, pos=5)
    metric = path_metric(draw, case.tokens, 11)
    # of a run of the model itself, with which the rest agrees to the last digit
    own = list(kept_cache(case.model, case.tokens).stack_activation("z"))
    for layer, text, pos, head, place in ((0, 1, 3, 2, 1), (1, 2, 2, 0, 3)):  # each at the END of its text
        one_number = [each.clone() for each in own]
        one_number[layer][text, pos, head, place] += 3.0
        expect_sweep_of_source(path_sweep_to_logits, case.model, case.tokens, metric, own, one_number)


def test_a_sender_counts_if_all_of_its_z_differs_by_1(path_sweep_to_logits, draw):
    case = PathCase(draw, WITH_MLPS, batch=3, pos=5)
    metric = path_metric(draw, case.tokens, 11)
    with torch.no_grad():
        for name, weight in case.model.named_parameters():
            if ".attn." in name and ".v." in name:
                weight.zero_()  # so that all own z are 0
    own = path_forward(case.model, case.tokens)["z"]
    for step in (1.0, -1.0):
        source = [each + step for each in own]
        expect_sweep_of_source(path_sweep_to_logits, case.model, case.tokens, metric, own, source)


def expect_sweep_of_source(path_sweep_to_logits, model, tokens, metric, own, source):
    """The sweep is right if `source` is the z of every layer there."""
    expected = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)
    for layer, head in [(layer, head) for layer in range(len(own)) for head in range(model.cfg.n_heads)]:
        z = [each.clone() for each in own]
        z[layer][:, :, head] = source[layer][:, :, head]
        expected[layer, head] = metric(path_forward(model, tokens, z=z)["logits"]).mean()
    lent = {f"blocks.{layer}.attn.hook_z": each for layer, each in enumerate(source)}
    result = path_sweep_to_logits(model, tokens, ActivationCache(lent, model), metric)
    expect_path_hooks_gone(model)
    expect_close(
        result,
        expected,
        rule="a position may be left out where all numbers of all heads' z agree, in every layer and text",
        look_at="how you find out where source and own run differ",
        axes="layer head",
        what="the sweep",
        atol=1e-4,
        rtol=1e-3,
    )


def test_after_a_sweep_to_the_logits_the_model_is_as_before(path_sweep_to_logits, draw):
    case = PathCase(draw, WITH_MLPS, batch=4)
    path_sweep_to_logits(case.model, case.tokens, case.source, path_metric(draw, case.tokens, 11))
    expect_path_model_unharmed(case)


def test_after_a_sweep_to_the_logits_the_source_is_as_before(path_sweep_to_logits, draw):
    case = PathCase(draw, WITH_MLPS, batch=4)
    path_sweep_to_logits(case.model, case.tokens, case.source, path_metric(draw, case.tokens, 11))
    expect_path_source_unharmed(case)


# 4.18 path_sweep_to_heads


def expect_path_sweep_to_heads(path_sweep_to_heads, draw, cfg, receivers, what, *, batch, pos, look_at, **rows):
    case = PathCase(draw, cfg, batch=batch, pos=pos)
    metric = path_metric(draw, case.tokens, cfg.d_vocab)
    result = path_sweep_to_heads(case.model, case.tokens, case.source, metric, receivers, what, **rows)
    expect_path_hooks_gone(case.model)
    expect_close(
        result,
        case.sweep(metric, receivers, what),
        rule="for each head, the metric's mean over texts when its path to the receivers is patched; as without patching where it has none",
        look_at=look_at,
        axes="layer head",
        what=f"the sweep into {what}",
        atol=1e-4,
        rtol=1e-3,
    )


def test_a_sweep_has_the_mean_metric_of_each_path_to_one_value(path_sweep_to_heads, draw):
    expect_path_sweep_to_heads(
        path_sweep_to_heads,
        draw,
        THREE_LAYERS_BARE,
        [(2, 1)],
        "v",
        batch=4,
        pos=5,
        rows_at_once=16,  # the four senders fill one chunk, so that nothing is left over
        look_at="the rows of each sender in both runs, and which heads have no path to the receiver",
    )


def test_each_entry_is_the_mean_metric_with_the_path_to_one_receiver_patched(path_sweep_to_heads, draw):
    for receiver, what in (((2, 1), "q"), ((3, 0), "k")):
        expect_path_sweep_to_heads(
            path_sweep_to_heads,
            draw,
            FOUR_LAYERS,
            [receiver],
            what,
            batch=4,
            pos=6,
            look_at="the rows of each sender in both runs, and which heads have no path to the receiver",
        )


def test_a_sender_counts_if_it_is_before_any_of_the_receivers(path_sweep_to_heads, draw):
    expect_path_sweep_to_heads(
        path_sweep_to_heads,
        draw,
        THREE_LAYERS_BARE,
        [(1, 1), (2, 0), (2, 1)],
        "k",
        batch=2,
        pos=6,
        look_at="the layers of the receivers: the last one decides who has a path; and each of them gets its input",
    )


def test_in_a_sweep_to_heads_mlps_are_computed_anew(path_sweep_to_heads, draw):
    expect_path_sweep_to_heads(
        path_sweep_to_heads,
        draw,
        THREE_LAYERS_MLPS,
        [(2, 0)],
        "v",
        batch=4,
        pos=6,
        look_at="what is frozen: z of every head, in the first of the two runs, and nothing else",
    )


def test_a_sweep_to_heads_in_chunks_is_complete(path_sweep_to_heads, draw):
    # 6 senders before the receivers: of 4 texts each, 4 fit into 17 rows, then 2 are left
    expect_path_sweep_to_heads(
        path_sweep_to_heads,
        draw,
        FOUR_LAYERS,
        [(2, 1), (2, 2)],
        "v",
        batch=4,
        pos=7,
        rows_at_once=17,
        look_at="the last chunk, which may be shorter than the others",
    )


def test_where_not_even_one_sender_to_heads_fits_one_goes_at_a_time(path_sweep_to_heads, draw):
    expect_path_sweep_to_heads(
        path_sweep_to_heads,
        draw,
        SMALL,
        [(1, 1)],
        "k",
        batch=5,
        pos=6,
        rows_at_once=3,
        look_at="the number of senders in a run: at least one",
    )


def test_a_sweep_to_heads_takes_three_runs_if_all_senders_fit(path_sweep_to_heads, draw):
    case = PathCase(draw, SMALL, batch=2, pos=5)
    with RowsThrough(case.model.embed, 5) as rows:
        path_sweep_to_heads(case.model, case.tokens, case.source, path_metric(draw, case.tokens, 11), [(1, 1)], "q")
    if len(rows) > 6:  # each layer may begin new runs, and the own run may be done twice
        complain(
            f"the model ran {len(rows)} times, for 3 senders of 2 texts each, which are 6 rows",
            rule="with room for 512 rows, one run says what is frozen, one what arrives from each sender, and one what follows",
            look_at="the loop: over chunks of senders, and not over senders",
        )


def test_no_run_of_the_sweep_to_heads_has_more_rows_than_allowed(path_sweep_to_heads, draw):
    for cfg, receiver, rows_at_once in ((FOUR_LAYERS, (2, 0), 9), (SMALL, (1, 1), 3)):
        case = PathCase(draw, cfg, batch=4, pos=5)
        metric = path_metric(draw, case.tokens, cfg.d_vocab)
        with RowsThrough(case.model.embed, 5) as rows:
            path_sweep_to_heads(
                case.model, case.tokens, case.source, metric, [receiver], "v", rows_at_once=rows_at_once
            )
        expect_path_hooks_gone(case.model)
        if max(rows, default=0) > max(rows_at_once, 4):
            complain(
                f"with rows_at_once={rows_at_once} and 4 texts, a run had {max(rows)} rows",
                rule="no run has more than rows_at_once rows (unless one sender's texts are more): memory is limited",
                look_at="how many senders go into a run: rows_at_once // batch, and at least 1",
            )


def test_after_a_sweep_to_heads_the_model_is_as_before(path_sweep_to_heads, draw):
    case = PathCase(draw, SMALL, batch=4)
    path_sweep_to_heads(case.model, case.tokens, case.source, path_metric(draw, case.tokens, 11), [(1, 2)], "q")
    expect_path_model_unharmed(case)


def test_after_a_sweep_to_heads_the_source_is_as_before(path_sweep_to_heads, draw):
    case = PathCase(draw, SMALL, batch=4)
    path_sweep_to_heads(case.model, case.tokens, case.source, path_metric(draw, case.tokens, 11), [(1, 2)], "q")
    expect_path_source_unharmed(case)


# 4.19 trace_circuit


class Wiring:
    """The effects of all senders on all receivers, and a note of who was asked about."""

    def __init__(self, effects):
        self.effects, self.asked = effects, []

    def __call__(self, receiver):
        kinds = [type(part) for part in receiver] if isinstance(receiver, tuple) else []
        if receiver != "logits" and (kinds != [int, int, str] or receiver[2] not in ("q", "k", "v")):
            complain(
                f"effects_on was asked about {receiver!r:.60}",
                rule='a receiver is "logits" or the input of a head, such as (2, 0, "q"); "embed" and other strings have none',
                look_at="what you put on the list of receivers: (*sender, what), and only where the sender is a head",
            )
        self.asked.append(receiver)
        return dict(self.effects.get(receiver, {}))


def random_wiring(draw, *, n_layers=4, n_heads=3, share=0.5):
    """Effects of both signs between all heads, and from the embedding; about half of them of a size below 1."""
    heads = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    receivers = ["logits"] + [(*head, letter) for head in heads for letter in "qkv"]
    effects = {}
    for receiver in receivers:
        before = n_layers if receiver == "logits" else receiver[0]
        senders = ["embed"] + [head for head in heads if head[0] < before]
        sizes = draw.normal(len(senders), std=share).tolist()
        effects[receiver] = dict(zip(senders, sizes, strict=True))
    return Wiring(effects)


def wired_edges(wiring, threshold):
    """All edges above the threshold from whose receiver edges lead to the logits: found by going on until nothing is added."""
    strong = {
        (sender, receiver): effect
        for receiver, senders in wiring.effects.items()
        for sender, effect in senders.items()
        if abs(effect) > threshold
    }
    edges = {}
    for _ in range(len(wiring.effects)):
        sending = {sender for sender, _ in edges}
        edges = {
            (sender, receiver): effect
            for (sender, receiver), effect in strong.items()
            if receiver == "logits" or receiver[:2] in sending
        }
    return edges


def expect_edges(edges, expected, *, look_at):
    def name(end):
        return end if isinstance(end, str) else f"L{end[0]}H{end[1]}" + (f".{end[2]}" if len(end) > 2 else "")

    odd = [edge for edge in edges if not isinstance(edge, tuple) or len(edge) != 2]
    if odd:
        complain(f"{odd[0]!r} is no pair", rule="the keys are pairs (sender, receiver)", look_at="the key of each edge")
    for too, there, here in (("is missing", expected, edges), ("is no edge of this circuit", edges, expected)):
        for edge in there:
            if edge not in here:
                complain(
                    f"{name(edge[0])} → {name(edge[1])} {too}",
                    rule="an effect of a size above the threshold is an edge, and its sender is asked about in turn",
                    look_at=look_at,
                )
    for edge, effect in expected.items():
        expect_close(
            edges[edge],
            effect,
            rule="the weight of an edge is the effect, sign included",
            look_at="what is kept for an edge",
            what=f"the weight of {name(edge[0])} → {name(edge[1])}",
        )


CHAIN = {
    "logits": {(2, 0): 0.9, (2, 1): -0.4, (1, 1): 0.02, "embed": 0.05},
    (2, 0, "q"): {(1, 0): 0.5, (1, 1): 0.01, (0, 0): -0.05},
    (2, 0, "k"): {"embed": 0.3, (1, 1): -0.04},
    (2, 1, "v"): {(0, 1): -0.2, (1, 0): 0.06},
    (1, 0, "v"): {(0, 0): 0.25, "embed": -0.03},
    (1, 1, "q"): {(0, 1): 0.8},
    (0, 0, "k"): {"embed": 0.6},
    (0, 1, "q"): {"embed": 0.01},
}


def test_the_embedding_is_not_followed_back(trace_circuit):
    # who is asked about anything but a head's input, complains
    trace_circuit(Wiring({"logits": {"embed": 0.5, "a bias": -0.4, (1, 2): 0.1}}), 0.2)


def test_what_sends_to_the_logits_is_an_edge(trace_circuit):
    into_logits = {(1, 2): 0.5, (0, 1): -0.3, (1, 0): 0.1, (2, 2): 0.4, (0, 0): -0.15}
    expect_edges(
        trace_circuit(Wiring({"logits": into_logits}), 0.2),
        {((1, 2), "logits"): 0.5, ((0, 1), "logits"): -0.3, ((2, 2), "logits"): 0.4},
        look_at="where you begin, and which effects make an edge",
    )


def test_a_head_that_is_asked_about_is_asked_about_its_q_k_and_v(trace_circuit):
    wiring = Wiring({"logits": {(1, 2): 0.5, (0, 1): -0.3}})
    trace_circuit(wiring, 0.2)
    for layer, head in ((1, 2), (0, 1)):
        asked = [receiver[2] for receiver in wiring.asked if receiver[:2] == (layer, head)]
        missing = [letter for letter in "qkv" if letter not in asked]
        if asked and missing:
            complain(
                f"L{layer}H{head} sends to the logits; effects_on was asked about its {' and '.join(asked)}, never about its {missing[0]}",
                rule="a head that sends along an edge has three inputs, each of which is asked about: q, k and v",
                look_at="what you put on the list of receivers for a new head",
            )


def test_a_small_circuit_is_traced_to_its_end(trace_circuit, draw):
    wiring = Wiring(CHAIN)
    expected = {
        ((2, 0), "logits"): 0.9,
        ((2, 1), "logits"): -0.4,
        ((1, 0), (2, 0, "q")): 0.5,
        ("embed", (2, 0, "k")): 0.3,
        ((0, 1), (2, 1, "v")): -0.2,
        ((1, 0), (2, 1, "v")): 0.06,
        ((0, 0), (1, 0, "v")): 0.25,
        ("embed", (0, 0, "k")): 0.6,
    }
    expect_edges(
        trace_circuit(wiring, 0.05),
        expected,
        look_at="which effects make an edge, and which heads are asked about after that",
    )


def test_random_circuits_are_traced_whatever_the_threshold(trace_circuit, draw):
    for threshold in (0.3, 0.6, 0.9):
        wiring = random_wiring(draw)
        expect_edges(
            trace_circuit(wiring, threshold),
            wired_edges(wiring, threshold),
            look_at="which effects make an edge, and which heads are asked about after that",
        )


def test_no_receiver_is_asked_about_twice(trace_circuit, draw):
    wiring = random_wiring(draw, share=2.0)
    trace_circuit(wiring, 0.2)
    twice = [receiver for receiver in set(wiring.asked) if wiring.asked.count(receiver) > 1]
    if twice:
        complain(
            f"effects_on was called {len(wiring.asked)} times for {len(set(wiring.asked))} receivers",
            rule="each receiver is asked about once: a call is a sweep, and many ways lead to the same head",
            look_at="how you remember which heads have been put on the list",
        )


def test_heads_that_send_nothing_are_not_asked_about(trace_circuit, draw):
    wiring = Wiring(CHAIN)
    trace_circuit(wiring, 0.05)
    needless = [receiver for receiver in wiring.asked if receiver != "logits" and tuple(receiver[:2]) == (1, 1)]
    if needless:
        complain(
            "effects_on was asked about L1H1, none of whose effects is above the threshold",
            rule="only heads that send along an edge are followed back",
            look_at="where the sender is put on the list",
        )


def test_where_nothing_is_above_the_threshold_there_is_no_circuit(trace_circuit, draw):
    expect_equal(
        trace_circuit(Wiring({"logits": {(1, 0): 0.1, "embed": -0.05}}), 0.2),
        {},
        rule="without an edge into the logits nothing is left to ask about",
        look_at="what is returned when no effect is large enough",
        what="the dictionary of edges",
    )


# 4.20 to 4.25: what heads do, and nothing but the circuit

ROLE_BARE = AttentionOnlyConfig(
    d_model=13, d_vocab=23, n_ctx=17, n_layers=3, n_heads=2, d_head=4, normalization_type=None
)
ROLE_MLPS = TransformerConfig(d_model=14, d_vocab=19, n_ctx=17, n_layers=2, n_heads=3, d_head=5, d_mlp=21)
ROLE_FOUR = TransformerConfig(d_model=10, d_vocab=17, n_ctx=18, n_layers=3, n_heads=4, d_head=2, d_mlp=11)
IO_FIRST_ROWS = [True, False, False, True, False, False, True, True]
TEMPLATES_OF_ROWS = [6, 2, 2, 6, 2, 4, 6, 4]


def role_prompts(draw, *, batch=5, pos=10, d_vocab=19):
    """Random words with two names at their places; END, places and templates differ by row, orders are not half and half."""
    tokens = random_tokens(draw, batch=batch, pos=pos, d_vocab=d_vocab)
    names = torch.stack([draw.permutation(d_vocab - 1)[:2] + 1 for _ in range(batch)])
    positions = {role: [] for role in ROLES}
    for row in range(batch):
        end = pos - 1 - row % 3
        early, late, again = 1 + row % 2, 3 + row % 2, end - 2
        at_io, at_s1 = (early, late) if IO_FIRST_ROWS[row] else (late, early)
        for role, place in zip(ROLES, (at_io, at_s1, at_s1 + 1, again, end)):
            positions[role].append(place)
        tokens[row, at_io], tokens[row, at_s1], tokens[row, again] = names[row, 0], names[row, 1], names[row, 1]
        tokens[row, end + 1 :] = 0
    places = {role: torch.tensor(values, device=draw.device) for role, values in positions.items()}
    texts = [f"text {row}" for row in range(batch)]
    return TaskPrompts(texts, tokens, names[:, 0], names[:, 1], places, TEMPLATES_OF_ROWS[:batch])


def role_case(draw, cfg, **sizes):
    """A model, prompts in its tokens, and the cache of a run on them."""
    model = borrow_bridge(cfg, draw.generator(), draw.device)
    prompts = role_prompts(draw, d_vocab=cfg.d_vocab, **sizes)
    return model, prompts, kept_cache(model, prompts.tokens)


@torch.no_grad()
def role_mlp(model, layer, stream):
    before = path_norm(model, stream) @ model.W_in[layer] + model.b_in[layer]
    return F.gelu(before, approximate="tanh") @ model.W_out[layer] + model.b_out[layer]


@torch.no_grad()
def role_forward(model, tokens, change_z):
    """The logits in plain PyTorch, without a hook; `change_z(layer, z)` gives the z that goes on."""
    pos, cfg = tokens.shape[1], model.cfg
    future = torch.ones(pos, pos, dtype=torch.bool, device=tokens.device).triu(1)
    weights = [(getattr(model, f"W_{letter}"), getattr(model, f"b_{letter}")) for letter in "QKV"]
    W_O, b_O = model.W_O, model.b_O
    stream = model.W_E[tokens] + model.W_pos[:pos]
    for layer in range(cfg.n_layers):
        read = path_norm(model, stream)
        q, k, v = (torch.einsum("bpm,hmd->bphd", read, W[layer]) + b[layer] for W, b in weights)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / cfg.d_head**0.5
        z = torch.einsum("bhqk,bkhd->bqhd", scores.masked_fill(future, -torch.inf).softmax(-1), v)
        stream = stream + torch.einsum("bqhd,hdm->bqm", change_z(layer, z.clone()), W_O[layer]) + b_O[layer]
        if not cfg.attn_only:
            stream = stream + role_mlp(model, layer, stream)
    return path_norm(model, stream) @ model.W_U + model.b_U


def role_z(model, tokens):
    """z of every layer in a run without changes."""
    kept = []
    role_forward(model, tokens, lambda layer, z: kept.append(z) or z)
    return kept


# 4.20 name_copying_score

COPYING_RULE = "the share of names of which at most k tokens have a logit at least as high, through W_V, W_O and W_U"


@torch.no_grad()
def copying_in_loops(model, layer, head, names, k, sign=1):
    W_V, W_O, W_U = model.W_V[layer, head], model.W_O[layer, head], model.W_U
    hits = 0
    for name in names.tolist():
        x = model.W_E[name]
        if layer > 0 and not model.cfg.attn_only:
            x = x + role_mlp(model, 0, x)
        logits = (sign * (((x @ W_V) @ W_O) @ W_U)).tolist()
        hits += sum(logit >= logits[name] for logit in logits) <= k
    return hits / len(names)


def expect_copying(name_copying_score, draw, cfg, cases, look_at):
    model = borrow_bridge(cfg, draw.generator(), draw.device)
    names = draw.permutation(cfg.d_vocab)[: cfg.d_vocab - 3]
    key = key_of(model, names)
    expected = [
        remembered(
            partial(copying_in_loops, model, layer, head, names, k, -1 if negative else 1),
            *("copying", layer, head, k, negative),
            *key,
        )
        for layer, head, k, negative in cases
    ]
    # all scores first: a single one may agree with another mistake's by chance
    scores = [
        name_copying_score(model, layer, head, names, k=k, **({"negative": True} if negative else {}))
        for layer, head, k, negative in cases
    ]
    for score, right, (layer, head, k, negative) in zip(scores, expected, cases):
        expect_close(
            score,
            torch.tensor(right, dtype=torch.float64),
            rule=COPYING_RULE,
            look_at=look_at,
            what=f"the {'negative ' if negative else ''}score of L{layer}H{head} with k = {k}",
        )
    expect_no_hooks(model)


def test_a_head_copies_the_names_that_it_puts_among_the_k_highest(name_copying_score, draw):
    cases = [(0, 1, 3, False), (1, 0, 7, False), (2, 1, 5, False), (2, 0, 11, False), (1, 1, 14, False)]
    expect_copying(
        name_copying_score, draw, ROLE_BARE, cases, "which head's weights, in which order, and how k is used"
    )


def test_a_later_head_reads_what_the_first_mlp_makes_of_a_name(name_copying_score, draw):
    cases = [(1, 0, 4, False), (1, 2, 6, False), (1, 1, 9, False), (1, 0, 12, False)]
    expect_copying(
        name_copying_score,
        draw,
        ROLE_MLPS,
        cases,
        "the stream of a name: embedding plus block.mlp(block.ln2(…)) of block 0",
    )


def test_a_head_of_layer_0_reads_the_embedding_alone(name_copying_score, draw):
    cases = [(0, 0, 4, False), (0, 2, 8, False), (0, 1, 6, False), (0, 3, 5, False), (0, 0, 10, False)]
    expect_copying(
        name_copying_score, draw, ROLE_FOUR, cases, "which layers stand after the first MLP: those with layer > 0"
    )


def test_a_third_layer_reads_the_first_mlp_and_no_other(name_copying_score, draw):
    cases = [(2, 0, 4, False), (2, 3, 8, False), (2, 1, 6, False)]
    expect_copying(
        name_copying_score,
        draw,
        ROLE_FOUR,
        cases,
        "which MLPs are run: that of block 0, whatever the layer of the head",
    )


def test_the_negative_score_asks_for_the_lowest_logits(name_copying_score, draw):
    cases = [(0, 1, 3, True), (1, 0, 6, True), (2, 1, 9, True), (2, 0, 13, True)]
    expect_copying(
        name_copying_score, draw, ROLE_BARE, cases, "negative: the sign of the logits before they are compared"
    )
    expect_copying(
        name_copying_score, draw, ROLE_MLPS, [(1, 1, 7, True), (1, 2, 4, True)], "negative, and the name's stream"
    )


def test_without_k_the_five_highest_count(name_copying_score, draw):
    model = borrow_bridge(ROLE_BARE, draw.generator(), draw.device)
    names = torch.arange(ROLE_BARE.d_vocab, device=draw.device)
    for layer, head in ((0, 0), (1, 1), (2, 0)):
        expect_close(
            name_copying_score(model, layer, head, names),
            torch.tensor(copying_in_loops(model, layer, head, names, 5), dtype=torch.float64),
            rule="k is 5 unless said otherwise",
            look_at="the default of k",
            what=f"the score of L{layer}H{head} without a k",
        )


def test_a_head_that_writes_nothing_copies_nothing(name_copying_score, draw):
    model = borrow_bridge(ROLE_BARE, draw.generator(), draw.device)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and weight.shape[0] == ROLE_BARE.d_vocab or "embed" in name:
                weight.zero_()
    names = torch.arange(ROLE_BARE.d_vocab - 4, device=draw.device)
    for negative in (False, True):
        expect_close(
            name_copying_score(model, 1, 0, names, k=6, negative=negative),
            torch.tensor(0.0, dtype=torch.float64),
            rule="tokens with the same logit as the name count as before it, so that all logits 0 are no copying",
            look_at="`>=` where the name's logit is compared with all",
            what="the score where all logits are 0",
        )


# 4.21 attention_and_projection


@torch.no_grad()
def projection_in_loops(model, cache, prompts, layer, head):
    attention, projection = [[], []], [[], []]
    for row in range(len(prompts)):
        end = int(prompts.positions["END"][row])
        written = cache[f"blocks.{layer}.attn.hook_z"][row, end, head] @ model.W_O[layer, head]
        if model.cfg.normalization_type is not None:
            written = written / cache["ln_final.hook_scale"][row, end]
        for index, (role, token) in enumerate((("IO", prompts.io[row]), ("S1", prompts.s[row]))):
            place = int(prompts.positions[role][row])
            attention[index].append(cache[f"blocks.{layer}.attn.hook_pattern"][row, head, end, place])
            projection[index].append(written @ model.W_U[:, token])
    return tuple(torch.stack([torch.stack(values) for values in table]) for table in (attention, projection))


def expect_points(attention_and_projection, draw, cfg, heads, *, batch=5):
    model, prompts, cache = role_case(draw, cfg, batch=batch)
    for layer, head in heads:
        result = attention_and_projection(model, cache, prompts, layer, head)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            complain(
                f"a {type(result).__name__} came back, which is not two tensors",
                rule="two tensors come back: attention, and projection",
                look_at="the `return` line",
            )
        expected = projection_in_loops(model, cache, prompts, layer, head)
        expect_close(
            result[0],
            expected[0],
            rule="row 0: what END attends to IO in each text; row 1: to S1",
            look_at="the indices of the pattern: text, head, query (END of this text), key (the role's place)",
            axes="role batch",
            what=f"the attention of L{layer}H{head}",
        )
        expect_close(
            result[1],
            expected[1],
            rule="the head's output at END along W_U of the name (row 0: IO, row 1: S), over the final scale at END",
            look_at="z at END, W_O of this head, the columns of W_U, and `ln_final.hook_scale`",
            axes="role batch",
            what=f"the projection of L{layer}H{head}",
        )
    expect_no_hooks(model)


def test_each_text_has_two_points(attention_and_projection, draw):
    expect_points(attention_and_projection, draw, SMALL, [(1, 2)], batch=7)


def test_the_points_of_a_model_with_mlps(attention_and_projection, draw):
    expect_points(attention_and_projection, draw, ROLE_MLPS, [(0, 1), (1, 2)])


def test_without_layer_norm_the_projection_is_not_divided(attention_and_projection, draw):
    expect_points(attention_and_projection, draw, ROLE_BARE, [(2, 1), (0, 0)])


# 4.22 attention_by_role


def attention_in_loops(model, cache, prompts, query):
    cfg = model.cfg
    sums = torch.zeros(2, cfg.n_layers, cfg.n_heads, len(prompts.positions), device=prompts.tokens.device)
    for row in range(len(prompts)):
        order = 0 if prompts.positions["IO"][row] < prompts.positions["S1"][row] else 1
        for layer in range(cfg.n_layers):
            pattern = cache[f"blocks.{layer}.attn.hook_pattern"]
            for index, places in enumerate(prompts.positions.values()):
                sums[order, layer, :, index] += pattern[row, :, prompts.positions[query][row], places[row]]
    first = sum(IO_FIRST_ROWS[: len(prompts)])
    return sums / torch.tensor([first, len(prompts) - first], device=sums.device).view(2, 1, 1, 1)


def expect_attention(attention_by_role, draw, cfg, query, *, batch=5, by_default=False):
    model, prompts, cache = role_case(draw, cfg, batch=batch)
    asked = [] if by_default else [query]
    expect_close(
        attention_by_role(model, cache, prompts, *asked),
        attention_in_loops(model, cache, prompts, query),
        rule="the mean attention from the query's role to each role, over the texts of one order",
        look_at="query and key of each text, the mask of the two orders, and the order of the axes",
        axes="order layer head role",
        what=f"the attention from {query}",
    )


def test_each_order_has_the_mean_of_its_own_texts(attention_by_role, draw):
    expect_attention(attention_by_role, draw, ROLE_MLPS, "END", batch=8, by_default=True)


def test_attention_can_be_asked_from_another_role(attention_by_role, draw):
    expect_attention(attention_by_role, draw, ROLE_FOUR, "S2")


def test_attention_of_a_model_without_layer_norm(attention_by_role, draw):
    expect_attention(attention_by_role, draw, ROLE_BARE, "S1+1", batch=7)


# 4.23 token_and_position_signal


def signal_in_loops(model, prompts, heads):
    ends = prompts.positions["END"].tolist()
    result = torch.zeros(2, 2)
    for token in (0, 1):
        for position in (0, 1):
            other = prompts.tokens.clone()
            for row in range(len(prompts)):
                io, s = int(prompts.io[row]), int(prompts.s[row])
                twice, once = (io, s) if token == 1 else (s, io)
                at_io, at_s1, at_s2 = (int(prompts.positions[role][row]) for role in ("IO", "S1", "S2"))
                other[row, at_s1], other[row, at_io] = (once, twice) if position == 1 else (twice, once)
                other[row, at_s2] = twice
            source = role_z(model, other)

            def change(layer, z, source=source):
                for row, end in enumerate(ends):
                    for of, head in heads:
                        if of == layer:
                            z[row, end, head] = source[layer][row, end, head]
                return z

            logits = role_forward(model, prompts.tokens, change)
            values = [
                float(logits[row, end, prompts.io[row]] - logits[row, end, prompts.s[row]])
                for row, end in enumerate(ends)
            ]
            result[token, position] = sum(values) / len(values)
    return result.to(prompts.tokens.device)


def signals_of(token_and_position_signal, model, prompts, heads):
    """What comes back while the model has a tokenizer that knows its random words."""
    tokenizer, model.tokenizer = model.tokenizer, WordsByNumber()
    try:
        return token_and_position_signal(model, prompts, heads)
    finally:
        model.tokenizer = tokenizer


def expect_signals(token_and_position_signal, draw, cfg, heads, *, batch=5):
    model, prompts, _ = role_case(draw, cfg, batch=batch)
    before, key = prompts.tokens.clone(), key_of(model, prompts.tokens)
    expected = remembered(lambda: signal_in_loops(model, prompts, heads), "signals", tuple(heads), *key)
    result = signals_of(token_and_position_signal, model, prompts, heads)
    expect_no_hooks(model, look_at="run_with_hooks, which takes its hooks away")
    expect_close(
        result,
        expected,
        rule="row 1: IO comes twice in the text of the message; column 1: whoever comes twice stands first at IO's place",
        look_at="the three names of each of the four texts, and what is taken from them: z of these heads at END",
        axes="token position",
        what=f"the logit differences with {len(heads)} heads replaced",
        atol=1e-4,
        rtol=1e-3,
    )
    expect_equal(
        prompts.tokens,
        before,
        rule="the prompts stay as they are",
        look_at="assignments into prompts.tokens: clone first",
        what="prompts.tokens afterwards",
    )


def test_the_first_entry_has_the_message_of_the_prompts_themselves(token_and_position_signal, draw):
    model, prompts, _ = role_case(draw, ROLE_FOUR, batch=4)
    result = signals_of(token_and_position_signal, model, prompts, [(1, 2), (0, 1)])
    expect_shape(result, (2, 2), axes="token position", look_at="what you collect the four means in")
    logits = path_forward(model, prompts.tokens)["logits"]
    expect_close(
        result[0, 0],
        difference_of(logits, prompts).mean(),
        rule="in row 0, column 0 S comes twice and stands first at S1: that text is the prompt, so the mean is that of the unpatched run",
        look_at="the names of that text at IO, S1 and S2",
        what="the entry in row 0, column 0",
        atol=1e-4,
        rtol=1e-3,
    )


def test_the_message_of_two_heads_of_two_layers_is_taken_from_four_texts(token_and_position_signal, draw):
    expect_signals(token_and_position_signal, draw, ROLE_MLPS, [(1, 2), (0, 1)])


def test_heads_that_are_not_asked_for_keep_their_message(token_and_position_signal, draw):
    expect_signals(token_and_position_signal, draw, SMALL, [(0, 0), (0, 2)], batch=4)


def test_the_message_in_a_model_without_layer_norm(token_and_position_signal, draw):
    expect_signals(token_and_position_signal, draw, ROLE_BARE, [(1, 0)], batch=7)


# 4.24 mean_by_template


def means_in_loops(model, prompts):
    z = role_z(model, prompts.tokens)
    means = {}
    for number in set(prompts.templates):
        rows = [row for row, of in enumerate(prompts.templates) if of == number]
        means[number] = torch.stack([sum(each[row] for row in rows) / len(rows) for each in z])
    return means


def expect_means(mean_by_template, draw, cfg, *, batch):
    model, prompts, _ = role_case(draw, cfg, batch=batch)
    means = mean_by_template(model, prompts)
    expect_no_hooks(model)
    expected = means_in_loops(model, prompts)
    if isinstance(means, dict) and any(isinstance(number, torch.Tensor) for number in means):
        complain(
            "the keys are tensors, and means[2] would not find its entry: a tensor is looked up by itself, not by its value",
            rule="the keys are the numbers in reference.templates",
            look_at="what the loop or comprehension goes over: set(reference.templates), or .tolist()",
        )
    expect_equal(
        sorted(means) if isinstance(means, dict) else means,
        sorted(expected),
        rule="a dictionary with one entry for each template number that occurs",
        look_at="the keys of what comes back",
        what="the list of keys",
    )
    for number, mean in expected.items():
        expect_close(
            means[number],
            mean,
            rule="for each layer, every position of reference.tokens and each head, the mean of z over this template's texts",
            look_at="which rows are averaged, over which axis, and which activation it is",
            axes="layer pos head d_head",
            atol=5e-5,
            what=f"the mean of template {number}",
        )


def test_each_template_has_the_mean_of_its_own_texts(mean_by_template, draw):
    expect_means(mean_by_template, draw, ROLE_MLPS, batch=8)


def test_templates_may_have_any_numbers_and_any_number_of_texts(mean_by_template, draw):
    expect_means(mean_by_template, draw, ROLE_BARE, batch=5)


def test_means_of_a_model_with_three_layers_of_four_heads(mean_by_template, draw):
    expect_means(mean_by_template, draw, ROLE_FOUR, batch=6)


# 4.25 ablate_all_but


def expect_ablated(ablate_all_but, draw, cfg, circuit, *, batch=5, hand_over=lambda circuit: circuit):
    model, prompts, _ = role_case(draw, cfg, batch=batch)
    shape = (cfg.n_layers, prompts.tokens.shape[1], cfg.n_heads, cfg.d_head)
    means = {number: draw.normal(*shape) for number in (6, 2, 4)}

    def change(layer, z):
        for row, number in enumerate(prompts.templates):
            for head in range(cfg.n_heads):
                if (layer, head) not in circuit:
                    z[row, :, head] = means[number][layer, :, head]
        return z

    key = key_of(model, prompts.tokens, means[6])
    expected = remembered(lambda: role_forward(model, prompts.tokens, change), "ablated", tuple(circuit), *key)
    result = ablate_all_but(model, prompts, hand_over(circuit), means)
    expect_no_hooks(model, look_at="run_with_hooks, which takes its hooks away")
    expect_close(
        result,
        expected,
        rule="every head outside the circuit has the mean of its text's template at every position; the others run freely",
        look_at="which heads are replaced, in which layer, and whose mean each row gets",
        axes="batch pos d_vocab",
        what=f"the logits with {len(circuit)} heads kept",
        atol=1e-4,
        rtol=1e-3,
    )


def test_heads_outside_the_circuit_get_the_mean_of_the_texts_template(ablate_all_but, draw):
    expect_ablated(ablate_all_but, draw, ROLE_MLPS, [(0, 2), (1, 0)])


def test_an_empty_circuit_keeps_no_head(ablate_all_but, draw):
    expect_ablated(ablate_all_but, draw, ROLE_BARE, [], batch=6)


def test_the_whole_model_is_a_circuit_too(ablate_all_but, draw):
    expect_ablated(ablate_all_but, draw, SMALL, [(layer, head) for layer in range(2) for head in range(3)], batch=4)


def test_a_circuit_may_be_anything_that_can_be_gone_through_once(ablate_all_but, draw):
    circuit = [(2, 1), (0, 3), (0, 0), (1, 2)]
    expect_ablated(ablate_all_but, draw, ROLE_FOUR, circuit, hand_over=lambda pairs: (pair for pair in pairs))


# 4.26 to 4.29: scores of sets of heads


class ToyScore:
    """A score of sets of heads with a weight for each, one for each pair, and one for none; asked for frozensets only."""

    def __init__(self, draw, *, layers=3, heads=2, pairs=1.0):
        self.everything = [(layer, head) for layer in range(layers) for head in range(heads)]
        self.weights = dict(zip(self.everything, draw.uniform(len(self.everything), low=0.5, high=2.0).tolist()))
        couples = [(a, b) for a in self.everything for b in self.everything if a < b]
        self.pairs = dict(zip(couples, draw.normal(len(couples), std=pairs).tolist()))
        self.nothing = draw.uniform(1, low=0.3, high=0.9).item()

    def __call__(self, keep):
        if not isinstance(keep, frozenset):
            complain(
                f"the score was asked about a {type(keep).__name__}",
                rule="a score remembers its answers, so it is asked about a frozenset of heads to keep",
                look_at="what you call `score` with: frozenset(…)",
            )
        strangers = [head for head in keep if head not in self.weights]
        if strangers:
            complain(
                f"the score was asked to keep {strangers[0]!r}, which is no head",
                rule="a score is asked about a frozenset of heads (layer, head)",
                look_at="what you put into the frozenset",
            )
        total = self.nothing + sum(self.weights[head] for head in keep)
        return total + sum(value for (a, b), value in self.pairs.items() if a in keep and b in keep)


def toy_case(draw, **sizes):
    """A score, a circuit of some of its heads, and a subset of that."""
    score = ToyScore(draw, **sizes)
    order = [score.everything[place] for place in draw.permutation(len(score.everything)).tolist()]
    return score, order[:4], order[1:3]


def expect_number(value, expected, *, rule, look_at, what):
    expect_close(value, torch.tensor(expected, dtype=torch.float64), rule=rule, look_at=look_at, what=what)


# 4.26 faithfulness


def numbers_of(faithfulness, score, circuit, everything):
    result = faithfulness(circuit, everything, score)
    if not isinstance(result, dict) or set(result) != {"gap", "ratio", "recovered"}:
        complain(
            f"what came back is {result!r:.60}",
            rule='a dictionary with the keys "gap", "ratio" and "recovered"',
            look_at="the `return` line",
        )
    return result


def expect_faithful(faithfulness, score, circuit, everything):
    result = numbers_of(faithfulness, score, circuit, everything)
    whole, part, nothing = (score(frozenset(heads)) for heads in (everything, circuit, []))
    for key, expected, rule, what in (
        ("gap", whole - part, "the gap is F(M) - F(C), with its sign", "the gap"),
        ("ratio", part / whole, "the ratio is F(C) / F(M)", "the ratio"),
        (
            "recovered",
            (part - nothing) / (whole - nothing),
            "recovered is (F(C) - F(∅)) / (F(M) - F(∅))",
            "the recovered part",
        ),
    ):
        expect_number(
            result[key],
            expected,
            rule=rule,
            look_at="the three sets that are scored (all heads, the circuit, no head), and what is divided by what",
            what=what,
        )


def test_three_numbers_come_back_by_their_names(faithfulness, draw):
    score, circuit, _ = toy_case(draw, layers=2, heads=5)
    numbers_of(faithfulness, score, circuit, score.everything)


def expect_one_of_the_numbers(result, key, expected, *, rule, look_at):
    if not isinstance(result, dict) or key not in result:
        complain(f"there is no {key!r} in {result!r:.60}", rule=rule, look_at="the keys of what comes back")
    expect_number(result[key], expected, rule=rule, look_at=look_at, what=f"{key!r}")


def test_the_gap_is_the_score_of_all_heads_less_that_of_the_circuit(faithfulness, draw):
    score, circuit, _ = toy_case(draw, layers=3, heads=3, pairs=0.1)
    expect_one_of_the_numbers(
        faithfulness(circuit, score.everything, score),
        "gap",
        score(frozenset(score.everything)) - score(frozenset(circuit)),
        rule="the gap is F(M) - F(C), with its sign",
        look_at="which two sets are scored for the gap",
    )


def test_the_ratio_is_the_score_of_the_circuit_over_that_of_all_heads(faithfulness, draw):
    score, circuit, _ = toy_case(draw, layers=4, heads=2, pairs=0.1)
    expect_one_of_the_numbers(
        faithfulness(circuit, score.everything, score),
        "ratio",
        score(frozenset(circuit)) / score(frozenset(score.everything)),
        rule="the ratio is F(C) / F(M)",
        look_at="what is divided by what",
    )


def test_with_all_heads_everything_is_recovered(faithfulness, draw):
    score = ToyScore(draw, layers=3, heads=4, pairs=0.1)
    expect_one_of_the_numbers(
        faithfulness(score.everything[::-1], score.everything, score),
        "recovered",
        1.0,
        rule="a circuit of all heads has come the whole way from F(∅) to F(M): 1",
        look_at="what is above the line, F(C) - F(∅), and what is below it, F(M) - F(∅)",
    )


def test_faithfulness_compares_the_circuit_with_all_heads_and_with_none(faithfulness, draw):
    score, circuit, _ = toy_case(draw, pairs=0.1)
    expect_faithful(faithfulness, score, circuit, score.everything)


def test_a_circuit_that_scores_higher_than_the_model_has_a_gap_below_0(faithfulness, draw):
    score, circuit, _ = toy_case(draw, layers=2, heads=4, pairs=0.1)
    score.weights |= {head: -1.5 for head in score.everything if head not in circuit}
    score.nothing = 4.0
    expect_faithful(faithfulness, score, circuit, score.everything)


def test_faithfulness_takes_generators_and_sets(faithfulness, draw):
    score, circuit, _ = toy_case(draw, layers=4, heads=3)
    whole, part = score(frozenset(score.everything)), score(frozenset(circuit))
    expect_number(
        faithfulness((pair for pair in circuit), set(score.everything), score)["gap"],
        whole - part,
        rule="circuit and everything are iterables of heads, which may be gone through once only",
        look_at="make a frozenset of each, once",
        what="the gap of a circuit that is a generator",
    )


# 4.27 completeness


def test_a_circuit_of_all_heads_is_complete(completeness, draw):
    score = ToyScore(draw, layers=2, heads=4)
    expect_number(
        completeness(score.everything[::-1], [], score.everything, score),
        0.0,
        rule="where circuit and model are the same heads, nothing is between them",
        look_at="which two scores are compared, and how",
        what="the incompleteness of all heads",
    )


def test_incompleteness_is_the_distance_of_circuit_and_model_without_the_same_heads(completeness, draw):
    score, circuit, subset = toy_case(draw)
    expect_number(
        completeness(circuit, subset, score.everything, score),
        abs(score(frozenset(circuit[:1] + circuit[3:])) - score(frozenset(set(score.everything) - set(subset)))),
        rule="|F(C∖K) - F(M∖K)|",
        look_at="which heads are missing from the circuit, and which from all heads",
        what="the incompleteness",
    )


def test_without_a_subset_incompleteness_is_the_size_of_the_gap(completeness, draw):
    score, circuit, _ = toy_case(draw, layers=4, heads=3)
    expect_number(
        completeness(circuit, [], score.everything, score),
        abs(score(frozenset(score.everything)) - score(frozenset(circuit))),
        rule="with K = ∅ it is |F(C) - F(M)|",
        look_at="what an empty subset leaves",
        what="the incompleteness without a subset",
    )


def test_incompleteness_has_no_sign(completeness, draw):
    for layers in (2, 3, 4):
        score, circuit, subset = toy_case(draw, layers=layers, heads=5, pairs=0.1)
        for sign in (1, -1):
            score.weights = {head: sign * abs(value) for head, value in score.weights.items()}
            left, model = frozenset(circuit) - frozenset(subset), frozenset(score.everything) - frozenset(subset)
            expect_number(
                completeness(circuit, (pair for pair in subset), score.everything, score),
                abs(score(left) - score(model)),
                rule="a distance: the size of the difference, whichever score is higher",
                look_at="abs, and a subset that may be gone through once only",
                what="the incompleteness",
            )


# 4.28 minimality


def expect_minimality(minimality, score, circuit, head, subset):
    rest = [pair for pair in circuit if pair not in subset]
    expect_number(
        minimality(circuit, head, subset, score),
        abs(score(frozenset(pair for pair in rest if pair != head)) - score(frozenset(rest))),
        rule="|F(C∖(K ∪ {v})) - F(C∖K)|",
        look_at="the two sets: both lack K, and one of them v as well",
        what=f"the minimality of {head}",
    )


def test_a_head_that_does_nothing_has_a_minimality_of_0(minimality, draw):
    score, circuit, subset = toy_case(draw, layers=2, heads=4, pairs=0.0)
    score.weights[circuit[3]] = 0.0
    expect_number(
        minimality(circuit, circuit[3], subset, score),
        0.0,
        rule="where a score is the same with a head and without it, nothing is between the two",
        look_at="which two scores are compared, and how",
        what="the minimality of a head that changes no score",
    )


def test_minimality_is_what_a_head_does_in_the_circuit_without_the_subset(minimality, draw):
    score, circuit, subset = toy_case(draw)
    for head in (circuit[0], circuit[3]):
        expect_minimality(minimality, score, circuit, head, subset)


def test_minimality_in_the_circuit_as_it_is(minimality, draw):
    score, circuit, _ = toy_case(draw, layers=4, heads=3)
    for head in circuit:
        expect_minimality(minimality, score, circuit, head, [])


def test_minimality_has_no_sign(minimality, draw):
    score, circuit, subset = toy_case(draw, layers=2, heads=5, pairs=0.1)
    for sign in (1, -1):
        score.weights = {head: sign * abs(value) for head, value in score.weights.items()}
        expect_minimality(minimality, score, circuit, circuit[0], subset)


def test_minimality_takes_generators(minimality, draw):
    score, circuit, subset = toy_case(draw, layers=3, heads=3)
    rest = frozenset(circuit) - frozenset(subset)
    expect_number(
        minimality((pair for pair in circuit), circuit[3], (pair for pair in subset), score),
        abs(score(rest - {circuit[3]}) - score(rest)),
        rule="circuit and subset are iterables of heads, which may be gone through once only",
        look_at="make a frozenset of each, once",
        what="the minimality, with generators for circuit and subset,",
    )


# 4.29 greedy_circuit


def pruned_step_by_step(everything, score, tolerance):
    whole, kept = score(frozenset(everything)), set(everything)
    while kept:
        ranked = sorted((abs(whole - score(frozenset(kept - {head}))), head) for head in kept)
        if ranked[0][0] > tolerance * abs(whole):
            return frozenset(kept)
        kept.remove(ranked[0][1])
    return frozenset()


def expect_pruned(greedy_circuit, score, everything, *tolerances, look_at, once=False):
    # all answers first: a single one may agree with another mistake's by chance
    results = [
        greedy_circuit((head for head in everything) if once else everything, score, tolerance)
        for tolerance in tolerances
    ]
    for tolerance, result in zip(tolerances, results):
        expected = sorted(pruned_step_by_step(everything, score, tolerance))
        if isinstance(result, list) and len(result) == len(expected) and sorted(result) == expected:
            expect_equal(
                result,
                expected,
                rule="the heads that are left come back by layer, and in a layer by number",
                look_at="sorted(…) around what is returned",
                what="the list of heads kept",
            )
        expect_equal(
            result,
            expected,
            rule="drop the head without which the score stays nearest to that of all heads, as long as it stays in the margin",
            look_at=look_at,
            what=f"the list of heads kept with a tolerance of {tolerance}",
        )


def test_within_an_endless_margin_everything_goes(greedy_circuit, draw):
    score = ToyScore(draw, layers=2, heads=3, pairs=0.1)
    expect_pruned(
        greedy_circuit,
        score,
        score.everything,
        5.0,
        look_at="when the search stops, and what happens when no head is left",
    )


def test_without_a_margin_heads_that_matter_stay(greedy_circuit, draw):
    score = ToyScore(draw, layers=2, heads=3, pairs=0.1)
    expect_pruned(greedy_circuit, score, score.everything, 0.0, look_at="when the search stops")


def test_heads_are_dropped_as_long_as_the_score_stays_near_that_of_all(greedy_circuit, draw):
    score = ToyScore(draw, layers=3, heads=3, pairs=0.3)
    expect_pruned(
        greedy_circuit,
        score,
        score.everything,
        *(0.02, 0.1, 0.3, 0.6),
        look_at="what is compared with what in each round",
    )


def test_of_two_doubles_one_stays(greedy_circuit):
    heads = [(0, 1), (0, 3), (1, 0), (2, 2)]

    def doubles(keep):
        return 10.0 * ((0, 1) in keep or (1, 0) in keep) + 5.0 * ((0, 3) in keep) + 0.01 * ((2, 2) in keep)

    expect_pruned(
        greedy_circuit, doubles, heads, 0.05, look_at="whether heads are judged anew once one of them is gone"
    )


def test_a_margin_is_around_the_score_of_all_heads(greedy_circuit):
    heads = [(0, head) for head in range(7)]

    def even(keep):
        return 2.0 + len(keep)

    def against(keep):
        return 20.0 - 0.9 * len(keep)

    for score in (even, against):
        expect_pruned(
            greedy_circuit, score, heads, 0.25, look_at="small steps add up: the distance is from F(M), on either side"
        )


def test_a_score_below_0_has_a_margin_too(greedy_circuit, draw):
    score = ToyScore(draw, layers=4, heads=2, pairs=0.2)
    score.weights = {head: -value for head, value in score.weights.items()}
    expect_pruned(greedy_circuit, score, score.everything, 0.15, 0.4, 0.9, look_at="tolerance times the size of F(M)")


def test_a_score_on_the_edge_of_the_margin_is_inside(greedy_circuit):
    heads = [(layer, head) for layer in range(2) for head in range(4)]

    def exact(keep):
        return 8.0 + sum(2.0 for _, head in keep if head < 2)

    # F(M) is 16 and the margin 4: two heads that are worth 2 may go, and all that are worth nothing
    expect_pruned(
        greedy_circuit,
        exact,
        heads,
        *(0.25, 0.0),
        look_at="`>` where the distance is compared: stop before the score would be farther away than the margin",
    )


def test_all_heads_may_be_gone_through_once_only(greedy_circuit, draw):
    score = ToyScore(draw, layers=3, heads=2, pairs=0.1)
    expect_pruned(
        greedy_circuit,
        score,
        score.everything,
        0.4,
        look_at="`everything` may be a generator, which is empty once it has been gone through: make a set of it, once",
        once=True,
    )
