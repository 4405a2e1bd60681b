"""This file knows how to write short stories for children, of a few plots, each with a beginning and an end."""

from __future__ import annotations

from utils.data.choosing import Chooser
from utils.data.world import WEATHER, people, pronouns

TRAITS = "little young kind clever quiet brave funny gentle cheerful curious".split()
TREASURES = "ball kite hat ring book drum doll whistle necklace blanket basket key toy coin".split()
COLOURS = "red blue green yellow white black golden silver".split()
WHERE = "park garden river forest beach farm market lake hill village".split()
ANIMALS = "dog cat bird rabbit duck horse lamb kitten puppy mouse".split()
SIZES = "small little tiny brown white grey hungry".split()
FAMILY = "mother father grandmother grandfather sister brother aunt uncle".split()
FOODS = "cake pie pear cookie sandwich melon pancake".split()
SPOTS = [
    "under the bed",
    "behind the door",
    "in the tall grass",
    "under the old tree",
    "in the kitchen",
    "on the table",
    "behind the house",
    "near the water",
    "between the flowers",
    "under the bridge",
    "in the garden",
    "next to the wall",
]
# where one may eat, or meet an animal
OUTSIDE = ["in the tall grass", "under the old tree", "near the water", "under the bridge", "next to the wall"]
MADE = "kite boat house castle tower cart chair basket".split()
FEARS = [
    "was afraid of the dark",
    "was afraid of deep water",
    "was afraid of the big dog",
    "did not dare to climb the hill",
    "did not dare to speak to anyone",
    "was too shy to sing",
]

OPENINGS = [
    "Once there was a {trait} {girl} named {child}.",
    "Once upon a time there was a {trait} {girl} called {child}.",
    "There was once a {trait} {girl} named {child}, who lived near the {where}.",
    "{child} was a {trait} {girl} who lived near the {where}.",
    "In a house by the {where} lived a {trait} {girl} named {child}.",
]

# A plot is a list of moments; each moment is told in one of several ways.
PLOTS: dict[str, list[list[str]]] = {
    "lost and found alone": [
        OPENINGS,
        [
            "{He} had a {colour} {treasure} and loved it very much.",
            "{His} {relative} gave {him} a {colour} {treasure}, and {child} took it everywhere.",
            "What {child} loved most of all was {his} {colour} {treasure}.",
        ],
        [
            "One {weather} day {he} went to the {place}, and when {he} came home the {treasure} was gone.",
            "One {weather} morning {child} played at the {place}, and then the {treasure} was gone.",
            "But one {weather} day {he} lost the {treasure} on the way to the {place}.",
        ],
        ["{child} was very sad.", "{He} sat down and cried.", "{He} wanted to find it before dark."],
        [
            "First {he} looked {spot}, but it was not there.",
            "{He} looked {spot} and {other_spot}, but the {treasure} was not there.",
            "{He} asked {his} {relative}, but nobody had seen it.",
        ],
        [
            "At last {he} looked {last_spot}, and there was the {treasure}.",
            "Then {child} looked {last_spot} and saw something {colour}. It was the {treasure}.",
            "Then {he} remembered. {He} ran back to the {place}, looked {last_spot} and found the {treasure}.",
        ],
        [
            "{child} was so happy that {he} danced all the way home.",
            "From that day on {he} never lost the {treasure} again.",
            "{He} held the {treasure} tight and smiled.",
        ],
    ],
    "lost and found with a friend": [
        OPENINGS,
        [
            "{He} had a {colour} {treasure} and loved it very much.",
            "Every day {he} played with {his} {colour} {treasure}.",
            "{His} {relative} gave {him} a {colour} {treasure}.",
        ],
        [
            "One {weather} day {child} could not find the {treasure}.",
            "One {weather} morning the {treasure} was gone.",
            "But one {weather} day {he} lost the {treasure} at the {place}.",
        ],
        [
            "{He} looked {spot}, but it was not there.",
            "{He} looked {spot} and then {other_spot}, but {he} found nothing.",
            "{He} looked all day and began to cry.",
        ],
        [
            "Then {his} friend {friend} came by and asked what was wrong.",
            "{child} told {his} friend {friend} about it.",
            "{His} friend {friend} saw that {child} was sad and wanted to help.",
        ],
        [
            "Together they looked {last_spot}, and there was the {treasure}.",
            "{friend} looked {last_spot} and found the {treasure}.",
            "They walked to the {place}, and {friend} saw the {treasure} {last_spot}.",
        ],
        [
            "{child} thanked {friend}, and they played until dark.",
            "{child} laughed and said that {friend} was the best friend of all.",
            "After that, {child} and {friend} always played together.",
        ],
    ],
    "an animal in need": [
        OPENINGS,
        [
            "One {weather} day {he} heard a soft noise {outside}.",
            "One {weather} morning {child} walked to the {place} and heard a noise.",
            "On the way home from the {place} {he} saw something move {outside}.",
        ],
        [
            "It was a {size} {animal} that could not find its home.",
            "A {size} {animal} was there, cold and alone.",
            "It was a {size} {animal}, and it had hurt its leg.",
        ],
        [
            "{child} gave the {animal} some water and a piece of {food}.",
            "{He} put {his} coat around the {animal} and took it home.",
            "{He} sat with the {animal} and spoke to it softly.",
        ],
        [
            "{His} {relative} said that the {animal} could stay for the night.",
            "{His} {relative} helped {him} to make a warm bed for it.",
            "{His} {relative} knew how to help.",
        ],
        [
            "The next day the {animal} was strong again.",
            "After a week the {animal} could run and play.",
            "Soon the {animal} was not afraid any more.",
        ],
        [
            "It stayed with {child}, and they were friends for a long time.",
            "It went back to the {place}, but it came to see {child} every day.",
            "{child} was proud and happy.",
        ],
    ],
    "something to share": [
        OPENINGS,
        [
            "{His} {relative} made a {food} for {him}.",
            "One {weather} day {he} took a {food} to the {place}.",
            "{He} had a {food} and wanted to eat it at the {place}.",
        ],
        [
            "There {he} met {friend}, who had nothing to eat.",
            "On the way {he} saw {friend}, who was hungry and sad.",
            "Then {his} friend {friend} came by and looked at the {food}.",
        ],
        [
            "First {child} wanted to keep it all.",
            "{child} thought about it for a while.",
            "{child} was hungry too.",
        ],
        [
            "But then {he} gave half of the {food} to {friend}.",
            "Then {he} sat down and shared the {food} with {friend}.",
            "But {he} cut the {food} in two and gave one half to {friend}.",
        ],
        [
            "They ate it together {outside}.",
            "{friend} smiled and said that it was the best {food} of all.",
            "{friend} ate it and felt much better.",
        ],
        [
            "The next day {friend} brought a {colour} {treasure} for {child}.",
            "From that day on they were good friends.",
            "{child} learned that it is good to share.",
        ],
    ],
    "try again": [
        OPENINGS,
        [
            "{He} wanted to build a {made}.",
            "One {weather} day {he} began to build a {made}.",
            "{He} had seen a {colour} {made} at the {place} and wanted to make one too.",
        ],
        [
            "{He} worked all day, but the {made} fell down.",
            "But the wood was old, and the {made} broke.",
            "The first {made} was not strong, and the wind broke it.",
        ],
        [
            "{child} was angry and wanted to stop.",
            "{child} was tired and sad.",
            "{He} threw the wood away and sat down {outside}.",
        ],
        [
            "Then {his} {relative} told {him} to try again.",
            "Then {friend} came by and showed {him} what to do.",
            "But {his} friend {friend} said that they could do it together.",
        ],
        [
            "This time {he} worked slowly, and the {made} was strong.",
            "The next day {he} tried again, and the {made} was even better.",
            "{He} began again, and in the end there was a fine {colour} {made}.",
        ],
        [
            "{child} was very proud of it.",
            "Everyone at the {place} came to see it.",
            "{child} laughed and showed it to everyone.",
        ],
    ],
    "brave at last": [
        OPENINGS,
        ["But {he} {fear}.", "{He} had many friends, but {he} {fear}.", "Everyone liked {child}, but {he} {fear}."],
        [
            "One {weather} day {his} friend {friend} was lost near the {place}.",
            "One {weather} day a {size} {animal} fell into the river by the {place}.",
            "One night {his} {relative} was ill and needed help.",
        ],
        [
            "There was nobody else to help.",
            "{child} was all alone and did not know what to do.",
            "{child} wanted to run away.",
        ],
        [
            "But {he} took a deep breath and went to help.",
            "Then {child} forgot {his} fear and ran as fast as {he} could.",
            "But {child} was brave and did not run away.",
        ],
        ["Soon all was well again.", "In the end nobody was hurt.", "And it was not so hard after all."],
        [
            "{His} {relative} said that {he} was very brave.",
            "From that day on {child} was not afraid any more.",
            "{child} went home and slept well.",
        ],
    ],
}
LAST_WORDS = ["The end."]
PLOT_NAMES = list(PLOTS)
TEMPLATES = LAST_WORDS + SPOTS + FEARS + [way for plot in PLOTS.values() for moment in plot for way in moment]
WORDS = [*TRAITS, *TREASURES, *COLOURS, *WHERE, *ANIMALS, *SIZES, *FAMILY, *FOODS, *MADE]


def document(chooser: Chooser) -> str:
    child, friend = people(chooser, 2)
    spot, other_spot, last_spot = chooser.distinct(SPOTS, 3)
    where, place = chooser.distinct(WHERE, 2)
    roles = {
        "child": child,
        "friend": friend,
        "spot": spot,
        "other_spot": other_spot,
        "last_spot": last_spot,
        "outside": chooser.pick(OUTSIDE),
        "where": where,
        "place": place,
        "trait": chooser.pick(TRAITS),
        "treasure": chooser.pick(TREASURES),
        "colour": chooser.pick(COLOURS),
        "weather": chooser.pick(WEATHER),
        "relative": chooser.pick(FAMILY),
        "size": chooser.pick(SIZES),
        "animal": chooser.pick(ANIMALS),
        "food": chooser.pick(FOODS),
        "made": chooser.pick(MADE),
        "fear": chooser.pick(FEARS),
        **pronouns(child),
    }
    moments = [chooser.pick(moment) for moment in PLOTS[chooser.pick(PLOT_NAMES)]]
    if chooser.chance(0.5):
        moments += LAST_WORDS
    return " ".join(moments).format_map(roles)
