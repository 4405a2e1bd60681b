"""The measuring of checks, tried on a tiny chapter."""

import json
import re
from dataclasses import replace

import pytest
import torch

from utils import bench, bench_grading, cli, course
from utils.checking.report import check_exercise
from utils.checking.run import Submission
from utils.models.ablation import ablate_every_head, ablate_heads_one_by_one
from utils.models.attention_only import AttentionOnlyConfig
from utils.models.random_models import random_bridge
from utils.models.toy_models import some_batches, some_models, train_one_by_one, train_together

SMALL = AttentionOnlyConfig(d_model=12, d_vocab=11, n_ctx=17, n_layers=2, n_heads=3, d_head=4)


def test_every_exercise_is_timed_on_its_solution_and_on_a_mistake(tiny):
    times = dict(bench.warm_checks(tiny, repeats=2))
    numbers = {exercise.number for exercise in tiny.exercises}
    assert {label.split()[0] for label in times} == numbers
    assert {f"{number} solution" for number in numbers} < set(times)
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in times.values())


def test_the_figures_say_what_they_were_measured_on(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(course, "chapters", lambda *, root=None: [tiny])
    monkeypatch.setattr(bench, "first_check_seconds", lambda chapter: 1.5)
    assert cli.main(["bench", "1", "--repeats", "1", "--json", str(tmp_path / "figures.json")]) == 0
    said = capsys.readouterr().out
    assert "cores of" in said and "PyTorch" in said
    assert "first check of a session, imports included: 1.5 s" in said
    assert "later checks: median" in said
    assert set(json.loads((tmp_path / "figures.json").read_text())) == {
        "machine",
        "first_check_seconds",
        "check_seconds",
    }


def test_the_ablation_of_every_head_is_timed_as_a_ratio():
    assert re.search(
        r"16 heads .* one by one \d+ ms, in one batch \d+ ms, [\d.]+ times faster", bench.ablation(rounds=1)
    )


@pytest.mark.parametrize("cfg", [SMALL, replace(SMALL, n_layers=3, n_heads=2, d_head=6)])
def test_heads_ablated_in_one_batch_are_as_those_ablated_one_by_one(cfg):
    model = random_bridge(cfg, torch.Generator().manual_seed(3))
    tokens = torch.randint(0, cfg.d_vocab, (2, 7), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        logits = model(tokens)
        together = ablate_every_head(model, tokens)
        assert together.shape == (cfg.n_layers, cfg.n_heads, *logits.shape)
        torch.testing.assert_close(together, ablate_heads_one_by_one(model, tokens), atol=1e-5, rtol=1e-5)
        # every head matters, in every text
        assert ((together - logits).abs().amax((-1, -2)) > 1e-3).all()
        torch.testing.assert_close(model(tokens), logits, atol=0, rtol=0)


def test_the_training_of_many_toy_models_is_timed_as_a_ratio():
    assert re.search(
        r"4 toy models .* one after another \d+ ms, in one run \d+ ms, [\d.]+ times faster",
        bench.toy_models(n_instances=4, steps=3, batch=8, rounds=1),
    )


def test_toy_models_trained_in_one_run_are_those_trained_one_after_another():
    generator = torch.Generator().manual_seed(5)
    W = some_models(3, generator)
    batches = some_batches(20, 16, torch.tensor([0.2, 0.6, 1.0]), generator)
    together = train_together(W, batches, learning_rate=0.1)
    torch.testing.assert_close(together, train_one_by_one(W, batches, learning_rate=0.1), atol=1e-5, rtol=1e-4)
    # every instance has learned something, and none the same as another
    assert ((together - W).abs().amax((1, 2)) > 1e-3).all()
    present = (batches > 0).double().mean((0, 1, 3))
    assert (present - torch.tensor([0.2, 0.6, 1.0])).abs().max() < 0.06


def test_a_class_is_part_of_the_way_through_a_chapter(tiny, tmp_path):
    expected = bench_grading.hand_in(tmp_path, tiny, learners=40, solved=1)
    names = [f"learner{number:04}" for number in range(40)]
    first, second = (exercise.number for exercise in tiny.exercises)
    assert (expected[names[0], first], expected[names[0], second]) == (False, False)
    assert (expected[names[1], first], expected[names[1], second]) == (True, False)
    half = Submission.from_file(tmp_path / f"{names[1]}_{tiny.name}.ipynb")
    by_exercise = {one.number: check_exercise(tiny, one, half, device="cpu", keep=False) for one in tiny.exercises}
    assert by_exercise[first].passed and not by_exercise[second].passed
    hostile = [name for name in names if (tmp_path / f"{name}_{tiny.name}.py").exists()]
    assert len(hostile) == 10 and not any(expected[name, first] for name in hostile)
