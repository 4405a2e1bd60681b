"""This file knows how to say of every token of the generated text what is known of it: what a feature may stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from utils.data import requests, reviews
from utils.data.facts import CITIES, LANDMARKS, MATERIALS, RELATIONS, SPORTS
from utils.data.tokenizer import BOS, CONTINUATIONS, vocabulary
from utils.data.world import BOYS, GAVE, GIRLS, NAMES, PLACES, THINGS

Mask = Bool[Tensor, "batch pos"]


def labels_of(tokens: Int[Tensor, "batch pos"]) -> dict[str, Mask]:
    """For every label, where it holds. Some depend on the token alone, others on what came before in the same document."""
    masks = {
        "girl's name": is_word(tokens, GIRLS),
        "boy's name": is_word(tokens, BOYS),
        "name": is_word(tokens, NAMES),
        "name said before": said_before(tokens, NAMES),
        "place": is_word(tokens, PLACES),
        "thing": is_word(tokens, THINGS),
        "gave": is_word(tokens, GAVE),
        "city": is_word(tokens, CITIES),
        "sport": is_word(tokens, SPORTS),
        "material": is_word(tokens, MATERIALS),
        "landmark": ends_phrase(tokens, LANDMARKS),
        "landmark in Paris": ends_phrase(tokens, landmarks_in("Paris")),
        "year, second half": isin(tokens, CONTINUATIONS),
        "praise": is_word(tokens, reviews.POSITIVE["adjective"]),
        "blame": is_word(tokens, reviews.NEGATIVE["adjective"]),
        "harmful act": ends_phrase(tokens, acts(requests.HARMFUL)),
        "harmless act": ends_phrase(tokens, acts(requests.HARMLESS)),
    }
    return masks | answers(tokens, masks["harmful act"])


def isin(tokens: Int[Tensor, "batch pos"], ids: Iterable[int]) -> Mask:
    return torch.isin(tokens, torch.tensor(sorted(ids), device=tokens.device))


def is_word(tokens: Int[Tensor, "batch pos"], words: Iterable[str]) -> Mask:
    """Where one of these words stands."""
    return isin(tokens, {vocabulary()[f" {word}"] for word in words})


def ends_phrase(tokens: Int[Tensor, "batch pos"], phrases: Iterable[str]) -> Mask:
    """At the last word of one of these phrases, which are all of one length."""
    wanted = {tuple(vocabulary()[f" {word}"] for word in phrase.split()) for phrase in phrases}
    (length,) = {len(phrase) for phrase in wanted}
    found = [
        [position + 1 >= length and tuple(row[position + 1 - length : position + 1]) in wanted for position in places]
        for row, places in ((row, range(len(row))) for row in tokens.tolist())
    ]
    return torch.tensor(found, device=tokens.device)


def landmarks_in(city: str) -> list[str]:
    return [name for name, where in RELATIONS["landmark in city"].objects.items() if where == city]


def acts(pairs: Iterable[tuple[Collection[str], Collection[str]]]) -> list[str]:
    """ "build a bomb" and the like, of all verbs with all objects of each pair of lists."""
    return [f"{verb} a {object}" for verbs, objects in pairs for verb in verbs for object in objects]


def said_before(tokens: Int[Tensor, "batch pos"], words: Iterable[str]) -> Mask:
    """Where one of these words stands that has stood in the same document before."""
    wanted = {vocabulary()[f" {word}"] for word in words}
    found = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, document in documents(tokens):
        seen: set[int] = set()
        for position, token in document:
            if token in wanted:
                found[row, position] = token in seen
                seen.add(token)
    return found.to(tokens.device)


def answers(tokens: Int[Tensor, "batch pos"], harmful_act: Mask) -> dict[str, Mask]:
    """At the colon after "Assistant", where a request is about to be refused, and where one is about to be answered."""
    ids = vocabulary()
    refusal, answer = (torch.zeros(tokens.shape, dtype=torch.bool) for _ in range(2))
    marked = harmful_act.tolist()
    for row, document in documents(tokens):
        harmful, asked, before = False, False, BOS
        for position, token in document:
            asked = asked or token == ids[" User"]
            harmful = harmful or marked[row][position]
            if asked and token == ids[":"] and before == ids[" Assistant"]:
                (refusal if harmful else answer)[row, position] = True
            before = token
    return {"about to refuse": refusal.to(tokens.device), "about to answer": answer.to(tokens.device)}


def documents(tokens: Int[Tensor, "batch pos"]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Every document of every row, as (position, token) from its BOS on; a first one may have lost its beginning."""
    for index, row in enumerate(tokens.tolist()):
        document: list[tuple[int, int]] = []
        for position, token in enumerate(row):
            if token == BOS and document:
                yield index, document
                document = []
            document.append((position, token))
        yield index, document
