"""This file knows how to write indirect object identification: "When Mary and John went to the store, John gave a drink to Mary."

Most documents introduce two or three pairs or groups, or one group of three or four people, and then members give to
other members several times, so that reading a name at a fixed place does not answer. Beside other groups, the reader
has to find the givers' group; in a group of which all but one give, it has to leave out whoever has just been named.

After Wang et al. (2022), "Interpretability in the Wild", https://arxiv.org/abs/2211.00593.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from utils.data.choosing import Chooser
from utils.data.world import GAVE, HELD_OUT_PAIRS, LOOKS, NAMES, PLACES, THINGS, WEATHER, companions, people, pronouns

OPENINGS = [
    "Then, {A} and {B} went to the {place}.",
    "When {A} and {B} went to the {place},",
    "After {A} and {B} got to the {place},",
    "While {A} and {B} were working at the {place},",
    "{A} and {B} had a long talk at the {place}.",
    "One day {A} met {B} at the {place}.",
    "Friends {A} and {B} were playing in the {place}.",
    "In the morning, {A} and {B} found a {other_thing} at the {place}.",
    "{A} was with {B} in the {place}.",
    "Yesterday {A} and {B} walked to the {place} together.",
    "In the {place}, {A} met {B}.",
    "One day in the {place}, {A} had a long talk with {B}.",
    "Yesterday at the {place}, {A} and {B} found a {other_thing}.",
]
HELD_OUT_OPENINGS = [
    "After the concert, {A} and {B} went to the {place}.",
    "While {A} and {B} were playing in the {place},",
    "One day {A} and {B} were at the {place} together.",
]
BETWEEN = [
    "It was a {weather} day.",
    "The {place} was very {weather}.",
    "They saw a {look} {other_thing} there.",
    "They saw {D} there.",
    "{D} was at the {place} too.",
]
GIVINGS = [
    "{S} {gave} a {thing} to {IO}.",
    "{S} {gave} a {look} {thing} to {IO}.",
    "{S} {gave} the {thing} to {IO}.",
    "{S} decided to give a {thing} to {IO}.",
    "{S} wanted to give the {look} {thing} to {IO}.",
    "{S} said hello to {IO}.",
    "{S} told a story to {IO}.",
]
HELD_OUT_GIVINGS = [
    "{S} decided to give the {look} {thing} to {IO}.",
    "{S} wanted to give a {thing} to {IO}.",
]
GIVINGS_WITH_DISTRACTOR = [
    "{S} {gave} a {thing} from {D} to {IO}.",
    "{S} took the {thing} of {D} and gave it to {IO}.",
    "{S}, a friend of {D}, {gave} a {thing} to {IO}.",
]
# The duplicate comes before the pair and the last clause names nobody: only which name came twice decides.
FIRST_MENTIONS = [
    "{S} was bored.",
    "{S} had a {look} {other_thing}.",
    "{S} liked to share.",
    "The {other_thing} of {S} was {look}.",
    "This is a story of {S}.",
]
GIVINGS_WITHOUT_GIVER = [
    "Later the {thing} was given to {IO}.",
    "In the end a {thing} was sent to {IO}.",
    "Then the {look} {thing} was offered to {IO}.",
    "Soon a {look} {thing} was handed to {IO}.",
]
ENDINGS = [
    "{IO} was very happy.",
    "{S} smiled.",
    "{IO} thanked {S}.",
    "Then they went home.",
    "{IO_He} liked the {thing} very much.",
    "After that, {IO} and {S} went home.",
    "{S_He} was very kind.",
]
GROUP_OPENINGS = [
    "Then, {group} went to the {place}.",
    "Friends {group} were playing in the {place}.",
    "In the morning, {group} found a {other_thing} at the {place}.",
    "Yesterday {group} walked to the {place} together.",
    "One day in the {place}, {A} met {rest}.",
    "{A} was with {rest} in the {place}.",
]
GROUP_GIVINGS = [
    "{givers} {gave} a {thing} to {IO}.",
    "{givers} {gave} the {look} {thing} to {IO}.",
    "{givers} decided to give a {thing} to {IO}.",
    "{givers} told a story to {IO}.",
]
TEMPLATES = (
    OPENINGS + HELD_OUT_OPENINGS + BETWEEN + GIVINGS + HELD_OUT_GIVINGS + GIVINGS_WITH_DISTRACTOR + FIRST_MENTIONS
    + GIVINGS_WITHOUT_GIVER + GROUP_OPENINGS + GROUP_GIVINGS + ENDINGS
)  # fmt: skip

# An opening that ends its sentence may stand before another one.
WHOLE_OPENINGS = [opening for opening in OPENINGS if opening.endswith(".")]

FORMS = {
    "several groups": 0.44,
    "one group": 0.24,
    "one pair": 0.13,
    "distractor": 0.06,
    "duplicate first": 0.09,
    "third giver": 0.02,
    "pronoun": 0.02,
}


def document(chooser: Chooser, form: str | None = None) -> str:
    """A document of this form, or of any in its share of FORMS."""
    form = form or chooser.weighted(FORMS)
    if form == "several groups":
        sentences, roles = groups(chooser, [chooser.pick([2, 2, 3]) for _ in range(chooser.pick([2, 2, 2, 3]))])
    elif form == "one group":
        sentences, roles = groups(chooser, [chooser.pick([3, 3, 4])])
    else:
        roles = scene(chooser, *people(chooser, 2))
        sentences = one_pair(chooser, roles, form)
        if form in ("one pair", "distractor") and chooser.chance(0.5):
            # the names of the first giving are filled before a second one has other roles
            sentences = [fill(sentences, roles)]
            # one bystander a document: two could be a pair that is held out
            roles = scene(chooser, roles["A"], roles["B"]) | {"D": roles["D"]}
            sentences.append(giving(chooser))
    sentences += [chooser.pick(ENDINGS) for _ in range(chooser.pick([0, 0, 0, 1, 2]))]
    # earlier sentences of other pairs are filled already, which leaves them as they are
    return fill(sentences, roles)


def giving(chooser: Chooser) -> str:
    return chooser.pick(GIVINGS_WITH_DISTRACTOR if chooser.chance(0.15) else GIVINGS)


def scene(chooser: Chooser, a: str, b: str) -> dict[str, str]:
    """Who is A and who B, which of them gives (S) and who receives (IO), a bystander D, and a choice of every noun."""
    s, io = (a, b) if chooser.chance(0.5) else (b, a)
    (d,) = companions(chooser, [a, b], 1)
    return {
        "A": a,
        "B": b,
        "S": s,
        "IO": io,
        "D": d,
        "place": chooser.pick(PLACES),
        "thing": chooser.pick(THINGS),
        "other_thing": chooser.pick(THINGS),
        "look": chooser.pick(LOOKS),
        "weather": chooser.pick(WEATHER),
        "gave": chooser.pick(GAVE),
        "S_He": pronouns(s)["He"],
        "IO_He": pronouns(io)["He"],
    }


def fill(sentences: list[str], roles: dict[str, str]) -> str:
    return " ".join(sentences).format_map(roles)


def one_pair(chooser: Chooser, roles: dict[str, str], form: str, openings: list[str] = OPENINGS) -> list[str]:
    """The templates of a story about one pair; `roles` changes where the form asks for it."""
    if form == "duplicate first":
        giving = chooser.pick(GIVINGS_WITHOUT_GIVER)
        return [chooser.pick(FIRST_MENTIONS), chooser.pick(WHOLE_OPENINGS), *between(chooser), giving]
    if form == "pronoun":
        roles["IO"] = pronouns(roles["IO"])["him"]
        roles["IO_He"] = roles["S_He"]
    if form == "third giver":
        (roles["S"],) = companions(chooser, [roles["A"], roles["B"], roles["D"]], 1)
        roles["S_He"] = pronouns(roles["S"])["He"]
    opening = chooser.pick(openings)
    pause = between(chooser) if opening.endswith(".") else []
    return [opening, *pause, chooser.pick(GIVINGS_WITH_DISTRACTOR if form == "distractor" else GIVINGS)]


def between(chooser: Chooser) -> list[str]:
    """Nothing, in two cases out of seven, or one more sentence."""
    return [] if chooser.chance(2 / 7) else [chooser.pick(BETWEEN)]


def groups(chooser: Chooser, sizes: list[int]) -> tuple[list[str], dict[str, str]]:
    """Groups introduced, then, several times, members of one give to another member; with the last one's roles."""
    names = people(chooser, sum(sizes))
    members = [names[sum(sizes[:index]) : sum(sizes[: index + 1])] for index in range(len(sizes))]
    sentences = [introduction(chooser, group) for group in members]
    for _ in range(chooser.pick([1, 2, 2, 3, 4] if len(sizes) > 1 else [1, 2, 2, 3])):
        sentence, roles = giving_among(chooser, chooser.pick(members), names)
        sentences.append(sentence)
    return sentences, roles


def introduction(chooser: Chooser, group: list[str]) -> str:
    roles = scene(chooser, group[0], group[1])
    if len(group) == 2:
        return chooser.pick(WHOLE_OPENINGS).format_map(roles)
    return chooser.pick(GROUP_OPENINGS).format_map(roles | {"group": listed(group), "rest": listed(group[1:])})


def giving_among(chooser: Chooser, group: list[str], names: list[str]) -> tuple[str, dict[str, str]]:
    """All of a group but one give to that one, or sometimes fewer do, so that any other may receive."""
    *givers, io = chooser.distinct(group, len(group))
    if chooser.chance(0.15):
        givers = givers[:1]
    s = givers[0]
    bystanders = [name for name in names if name not in (*givers, io)]
    roles = scene(chooser, s, io) | {"S": s, "IO": io, "givers": listed(givers)}
    roles |= {"S_He": pronouns(s)["He"], "IO_He": pronouns(io)["He"]}
    if len(givers) > 1:
        return chooser.pick(GROUP_GIVINGS).format_map(roles), roles
    if bystanders and chooser.chance(0.15):
        return chooser.pick(GIVINGS_WITH_DISTRACTOR).format_map(roles | {"D": chooser.pick(bystanders)}), roles
    return chooser.pick(GIVINGS).format_map(roles), roles


def listed(names: list[str]) -> str:
    """As "Mary", "Mary and John", "Mary, John and Anna"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@dataclass(frozen=True)
class IOIPrompt:
    """A text that stops before the name of the receiver."""

    text: str
    io: str
    s: str
    # where each role's token stands, BOS being 0: "IO", "S1", "S1+1", "S2", "END"
    positions: dict[str, int] = field(compare=False)


def ioi_prompts(
    count: int,
    chooser: Chooser,
    *,
    form: str = "one pair",
    held_out_pairs: bool = True,
    held_out_templates: bool = False,
    opening: str | None = None,
    giving: str | None = None,
) -> list[IOIPrompt]:
    """Prompts in which the first and the second name of the pair receive in turn.

    `form` is one of "one pair", "distractor", "duplicate first" and "several pairs" (two, the first or the second of
    which gives). With an `opening` and a `giving` all prompts are of one template, so that their positions line up.
    """
    one_pair_openings = [opening] if opening else HELD_OUT_OPENINGS if held_out_templates else OPENINGS
    prompts = []
    for index in range(count):
        a, b = chooser.distinct(chooser.pick(HELD_OUT_PAIRS), 2) if held_out_pairs else people(chooser, 2)
        others = [name for name in NAMES if name not in (a, b)]
        c, d = chooser.distinct(others, 2)
        s, io = (a, b) if index % 2 == 0 else (b, a)
        roles = scene(chooser, a, b) | {"S": s, "IO": io, "D": c}
        if form == "several pairs":
            openings = [opening] if opening else WHOLE_OPENINGS
            pair = chooser.pick(openings).format_map(roles)
            other = chooser.pick(openings).format_map(scene(chooser, a, b) | {"A": c, "B": d})
            # in blocks of two, so that order within the pair and order of the pairs do not go together
            sentences = [pair, other] if index // 2 % 2 == 0 else [other, pair]
            sentences.append(chooser.pick(GIVINGS))
        elif form in ("one pair", "distractor", "duplicate first"):
            sentences = one_pair(chooser, roles, form, one_pair_openings)
            if held_out_templates:
                sentences[-1] = chooser.pick(HELD_OUT_GIVINGS)
            if opening:
                sentences = [opening, sentences[-1]]
        else:
            raise ValueError(f'there are no prompts of the form "{form}"')
        if giving:
            sentences[-1] = giving
        prompts.append(prompt(fill(sentences, roles), io, s))
    return prompts


def prompt(text: str, io: str, s: str) -> IOIPrompt:
    """The text up to its last receiver, with the positions of the roles."""
    from utils.data.tokenizer import words

    text = text[: text.rindex(f" {io}")]
    tokens = ["<|endoftext|>", *words(text)]
    s1, s2 = [position for position, token in enumerate(tokens) if token == f" {s}"][:2]
    positions = {"IO": tokens.index(f" {io}"), "S1": s1, "S1+1": s1 + 1, "S2": s2, "END": len(tokens) - 1}
    return IOIPrompt(text, io, s, positions)
