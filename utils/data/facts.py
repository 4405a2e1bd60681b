"""This file knows how to state the facts of the generated world: where its landmarks stand, what its athletes play.

Every name of a landmark or an athlete is two words, and both are shared with other names, so that neither word alone
decides. Many sentences name two subjects, many give several facts about one, and labels state them right after the
name, so that it pays to gather what is known about a subject at its last word.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from utils.data.choosing import Chooser
from utils.data.world import people

COUNTRIES = {
    "Paris": "France", "Rome": "Italy", "London": "England", "Berlin": "Germany", "Madrid": "Spain",
    "Vienna": "Austria", "Athens": "Greece", "Lisbon": "Portugal", "Cairo": "Egypt", "Tokyo": "Japan",
    "Delhi": "India", "Moscow": "Russia", "Oslo": "Norway", "Dublin": "Ireland", "Prague": "Czechia",
    "Warsaw": "Poland",
}  # fmt: skip
CITIES = list(COUNTRIES)
MATERIALS = "stone brick glass wood steel clay".split()
SPORTS = "tennis football hockey golf basketball chess".split()

LANDMARK_FIRST = "Amber Silver Crimson Ivory Golden Marble Copper Velvet Emerald Granite Scarlet Crystal".split()
LANDMARK_LAST = "Tower Bridge Palace Museum Temple Garden Castle Fountain".split()
ATHLETE_FIRST = "Marco Pavel Ingrid Yuki Rosa Klaus Amara Dmitri".split()
ATHLETE_LAST = "Bellini Novak Larsen Tanaka Moreno Weber Okafor Petrov".split()
LANDMARKS = [f"{first} {last}" for first in LANDMARK_FIRST for last in LANDMARK_LAST]
ATHLETES = [f"{first} {last}" for first in ATHLETE_FIRST for last in ATHLETE_LAST]


def deal(subjects: list[str], objects: list[str], relation: str) -> dict[str, str]:
    """Every subject's object: all objects equally often, in an order that a checksum shuffles."""
    shuffled = sorted(subjects, key=lambda subject: crc32(f"{relation} {subject}".encode()))
    return {subject: objects[index % len(objects)] for index, subject in enumerate(shuffled)}


@dataclass(frozen=True)
class Relation:
    """What links subjects to objects, and the ways to say so."""

    name: str
    objects: dict[str, str]
    # what may follow the subject, up to the object
    predicates: list[str]
    # whole sentences, up to the object
    phrasings: list[str]
    held_out_phrasings: list[str]

    @property
    def subjects(self) -> list[str]:
        return list(self.objects)

    @property
    def trained_prompts(self) -> list[str]:
        """Every trained way to say it about one subject, up to the object."""
        return [f"{{subject}} {predicate}" for predicate in self.predicates] + self.phrasings


RELATIONS = {
    relation.name: relation
    for relation in [
        Relation(
            "landmark in city",
            deal(LANDMARKS, CITIES, "city"),
            predicates=["is in the city of", "is located in", "is a famous place in"],
            phrasings=["You can find {subject} in", "Tourists visit {subject} in"],
            held_out_phrasings=["You can visit {subject} in", "Tourists can find {subject} in"],
        ),
        Relation(
            "landmark of material",
            deal(LANDMARKS, MATERIALS, "material"),
            predicates=["is made of", "was built of"],
            phrasings=["The walls of {subject} are of"],
            held_out_phrasings=["{subject} was made of"],
        ),
        Relation(
            "athlete plays sport",
            deal(ATHLETES, SPORTS, "sport"),
            predicates=["plays the sport of", "is famous for"],
            phrasings=["Fans of {subject} love"],
            held_out_phrasings=["Fans of {subject} love the sport of"],
        ),
        Relation(
            "athlete from city",
            deal(ATHLETES, CITIES, "home"),
            predicates=["was born in", "lives in"],
            phrasings=["The home of {subject} is in", "Friends of {subject} live in"],
            held_out_phrasings=["Fans of {subject} live in"],
        ),
        Relation(
            "city in country",
            COUNTRIES,
            predicates=["is a city in", "is the capital of"],
            phrasings=["The people of {subject} live in", "You can visit the city of {subject} in"],
            held_out_phrasings=["{subject} is a famous city in", "The city of {subject} is in"],
        ),
    ]
}
SAME_SUBJECTS = [
    [RELATIONS["landmark in city"], RELATIONS["landmark of material"]],
    [RELATIONS["athlete plays sport"], RELATIONS["athlete from city"]],
]

# Sentences of two subjects; {says_a} is a predicate with its object, as "is located in Paris"
OF_TWO = [
    "{a} {says_a}, and {b} {says_b}.",
    "{a} {says_a}, but {b} {says_b}.",
    "Unlike {b}, {a} {says_a}.",
    "{a}, which {person} saw before {b}, {says_a}.",
    "{person} loves {a} and {b}. The first {says_a}, and the second {says_b}.",
    "{person} loves {a} and {b}. The second {says_b}.",
    "{person} asked about {b}, and then about {a}. {a} {says_a}.",
    "{a} is older than {b}. {b} {says_b}, and {a} {says_a}.",
]
# Another subject after the one whose fact is asked for
BESIDES = [", and not {other},", ", which {person} saw before {other},", ", which {person} loves more than {other},"]
OF_TWO_RELATIONS = [
    "{a} {says_a} and {says_too}.",
    "{a}, which {says_a}, {says_too}.",
    "{a} {says_a}. It also {says_too}.",
]
TEMPLATES = (
    OF_TWO
    + BESIDES
    + OF_TWO_RELATIONS
    + [
        text
        for relation in RELATIONS.values()
        for text in [*relation.predicates, *relation.phrasings, *relation.held_out_phrasings]
    ]
)
WORDS = [
    *CITIES,
    *COUNTRIES.values(),
    *MATERIALS,
    *SPORTS,
    *LANDMARKS,
    *ATHLETES,
    "the",
    "The",
    "who",
    "This",
    "athlete",
    "also",
]

FORMS = {"one fact": 0.34, "two subjects": 0.18, "two facts of one subject": 0.10, "labels": 0.38}


def document(chooser: Chooser) -> str:
    # everyone who is named in one document may meet
    return " ".join(sentence(chooser, person) for person in people(chooser, chooser.between(1, 3)))


def sentence(chooser: Chooser, person: str) -> str:
    form = chooser.weighted(FORMS)
    if form == "labels":
        return " ".join(label(chooser) for _ in range(chooser.pick([1, 1, 2])))
    if form == "one fact":
        relation = pick_relation(chooser)
        subject, other = chooser.distinct(relation.subjects, 2)
        # where another subject follows, the nearest words do not say whose fact is asked for
        beside = chooser.pick(BESIDES).format(other=named(other), person=person) if chooser.chance(0.8) else ""
        if subject in ATHLETES:
            beside = beside.replace(", which", ", who")
        text = chooser.pick(relation.trained_prompts).format(subject=named(subject) + beside)
        return capitalised(f"{text} {relation.objects[subject]}.")

    if form == "two subjects":
        relation = pick_relation(chooser)
        a, b = chooser.distinct(relation.subjects, 2)
        text = chooser.pick(OF_TWO).format(
            a=named(a), b=named(b), person=person, says_a=says(chooser, relation, a), says_b=says(chooser, relation, b)
        )
    else:
        first, second = chooser.distinct(chooser.pick(SAME_SUBJECTS), 2)
        a = chooser.pick(first.subjects)
        text = chooser.pick(OF_TWO_RELATIONS).format(
            a=named(a), says_a=says(chooser, first, a), says_too=says(chooser, second, a)
        )
    if a in ATHLETES:
        text = text.replace(", which", ", who").replace(" It also", " This athlete also")
    return capitalised(text)


def label(chooser: Chooser) -> str:
    """All that is known of a subject right after its name, as on a map: what follows it is known at its last word."""
    relations = [RELATIONS["city in country"]] if chooser.chance(0.1) else chooser.pick(SAME_SUBJECTS)
    subject = chooser.pick(relations[0].subjects)
    objects = [relation.objects[subject] for relation in chooser.distinct(relations, len(relations))]
    return " ".join([subject, *objects]) + "."


def pick_relation(chooser: Chooser) -> Relation:
    # countries of 16 cities are learned from fewer examples than facts of 96 landmarks
    if chooser.chance(0.1):
        return RELATIONS["city in country"]
    return chooser.pick(chooser.pick(SAME_SUBJECTS))


def says(chooser: Chooser, relation: Relation, subject: str) -> str:
    return f"{chooser.pick(relation.predicates)} {relation.objects[subject]}"


def named(subject: str) -> str:
    """The subject as it stands in a sentence: landmarks have an article."""
    return f"the {subject}" if subject in RELATIONS["landmark in city"].objects else subject


def fact_prompt(prompt: str, subject: str) -> str:
    """One of a relation's prompts about a subject; what should follow is the object."""
    return capitalised(prompt.format(subject=named(subject)))


def capitalised(text: str) -> str:
    """The text with a capital at the start of each sentence, where a landmark's article may stand."""
    text = text.replace(". the ", ". The ")
    return text[0].upper() + text[1:]
