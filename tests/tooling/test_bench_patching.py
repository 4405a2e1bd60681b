"""The timing of patching sweeps against TransformerLens' own, on the organism."""

import re

import pytest

from utils import bench_patching


@pytest.mark.parametrize("what, ours, theirs, axes", bench_patching.SWEEPS)
def test_each_sweep_is_timed_as_a_ratio_and_has_transformer_lens_values(what, ours, theirs, axes):
    line = bench_patching.sweep(what, ours, theirs, axes, "S2 is IO", 2, rounds=1)
    found = re.search(r"in few passes \d+ ms, ([\d.]+) times faster; largest difference (\S+) logits", line)
    assert found, line
    assert float(found[2]) < 1e-4
    # on a busy machine the ratio moves, but not by an order of magnitude
    assert float(found[1]) > (3 if what == "heads by position" else 1)


def test_paths_are_timed_against_one_run_per_head():
    line = bench_patching.paths("S2 is IO", 2, rounds=1)
    found = re.search(
        r"one by one \d+ ms, in few passes \d+ ms, ([\d.]+) times faster; largest difference (\S+) logits", line
    )
    assert found, line
    assert float(found[2]) < 1e-4
    assert float(found[1]) > 1
