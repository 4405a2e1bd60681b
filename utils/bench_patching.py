"""This file knows how to time chapter 4's sweeps, as its solutions have them, against TransformerLens' own and one run per head.

Both ways run in turn, in one process, on the same prompts and on one thread, and only their own seconds on the processor
count, so that the ratio hardly depends on the machine and on what else it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from utils import course
from utils.bench import in_turn

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

TEMPLATE = "Then, {A} and {B} went to the store. {S} gave a drink to"
PAIRS = [("Mary", "John"), ("Anna", "Tom"), ("Emma", "Paul"), ("Laura", "Mark")]
OTHERS = ["James", "Peter", "Alice"]
# what a sweep is of, its name in the chapter, TransformerLens' name, and the axes of the latter
SWEEPS = [
    ("heads by position", "head_position_sweep", "get_act_patch_attn_head_out_by_pos", (0, 2, 1)),
    ("heads", "head_sweep", "get_act_patch_attn_head_out_all_pos", (0, 1)),
    ("residual stream", "residual_sweep", "get_act_patch_resid_pre", (0, 1)),
]
# all before S2 is as in the clean text, or every name is another one
CORRUPTIONS = ("S2 is IO", "three other names")


def sweeps(rounds: int = 3) -> Iterator[str]:
    """One line for each kind of sweep; for the largest one, and for paths, also for other texts and more of them."""
    for kind in SWEEPS:
        yield sweep(*kind, CORRUPTIONS[0], 1, rounds)
    for corruption, count in ((CORRUPTIONS[1], 1), (CORRUPTIONS[0], 8), (CORRUPTIONS[1], 8)):
        yield sweep(*SWEEPS[0], corruption, count, rounds)
    for count in (1, 8):
        for corruption in CORRUPTIONS:
            yield paths(corruption, count, rounds)


def sweep(what: str, ours: str, theirs: str, axes: tuple[int, ...], corruption: str, count: int, rounds: int) -> str:
    """How much faster the chapter's sweep of the organism is than TransformerLens', and how much the values differ."""
    import torch
    from transformer_lens import patching

    model, clean, corrupted, metric = task(corruption, count)
    mine = solution(ours)
    with one_thread(), torch.no_grad(), mock.patch.object(patching, "tqdm", lambda cells: cells):
        _, source = model.run_with_cache(clean)
        return compared(
            what,
            clean,
            corruption,
            "TransformerLens",
            lambda: getattr(patching, theirs)(model, corrupted, source, lambda logits: metric(logits).mean()).permute(
                axes
            ),
            lambda: mine(model, corrupted, source, metric),
            rounds,
        )


def paths(corruption: str, count: int, rounds: int) -> str:
    """How much faster the chapter's sweep of the paths to the logits is than its single patches, one head after another."""
    import torch

    model, clean, corrupted, metric = task(corruption, count)
    single, at_once = solution("path_patch_to_logits"), solution("path_sweep_to_logits")
    heads = [(layer, head) for layer in range(model.cfg.n_layers) for head in range(model.cfg.n_heads)]
    with one_thread(), torch.no_grad():
        _, source = model.run_with_cache(clean)

        def one_by_one() -> Float[Tensor, "layer head"]:
            effects = [metric(single(model, corrupted, source, *head)).mean() for head in heads]
            return torch.stack(effects).reshape(model.cfg.n_layers, model.cfg.n_heads)

        return compared(
            "paths to the logits",
            clean,
            corruption,
            "one by one",
            one_by_one,
            lambda: at_once(model, corrupted, source, metric),
            rounds,
        )


def compared(
    what: str,
    clean: Int[Tensor, "batch pos"],
    corruption: str,
    slow_name: str,
    slow: Callable[[], Tensor],
    fast: Callable[[], Tensor],
    rounds: int,
) -> str:
    """The line that says how long two ways to the same values take, and by how much the values differ."""
    slow_seconds, fast_seconds = in_turn([slow, fast], rounds, clock=time.process_time)
    values = fast()
    largest = (slow() - values).abs().max().item()
    texts = "1 text" if len(clean) == 1 else f"{len(clean)} texts"
    return (
        f"{what}, {values.numel()} cells of {texts} of {clean.shape[1]} tokens, {corruption}: {slow_name} "
        f"{1000 * slow_seconds:.0f} ms, in few passes {1000 * fast_seconds:.0f} ms, {slow_seconds / fast_seconds:.1f} "
        f"times faster; largest difference {largest:.0e} logits (median of {rounds})"
    )


@contextmanager
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def task(corruption: str, count: int) -> tuple[Any, Tensor, Tensor, Callable]:
    """The organism, clean and corrupted tokens of texts of one template, and their logit difference."""
    import torch

    from utils.models.loading import load_model

    model = load_model("organism")
    pairs = [pair for each in PAIRS for pair in (each, each[::-1])][:count]
    names = [(io, s, *((io, s, io) if corruption == "S2 is IO" else OTHERS)) for io, s in pairs]
    clean = model.to_tokens([TEMPLATE.format(A=io, B=s, S=s) for io, s, *_ in names])
    corrupted = model.to_tokens([TEMPLATE.format(A=a, B=b, S=c) for *_, a, b, c in names])
    io, s = (torch.tensor([model.to_single_token(f" {each[place]}") for each in names]) for place in (0, 1))
    rows = torch.arange(count)

    def metric(logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, "batch"]:
        return logits[rows, -1, io] - logits[rows, -1, s]

    return model, clean, corrupted, metric


def solution(name: str) -> Callable:
    """A function of chapter 4 as its source has it."""
    from utils.checking.mistakes import solution_cells
    from utils.checking.slicing import namespace_of

    return namespace_of(solution_cells(course.chapter("4")), [name])[name]
