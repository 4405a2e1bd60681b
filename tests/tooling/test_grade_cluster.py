"""Grading on a Dask cluster of this machine, with a worker killed in the middle."""

import logging
import os
import signal
import time
from collections import Counter

import pytest
from test_grade_batch import solution, tasks_of, wrong

from utils.grading.batch import grade_on_cluster
from utils.refusal import CannotDo

distributed = pytest.importorskip("distributed", reason="Dask is not installed (requirements-cluster.txt)")


@pytest.fixture(scope="module")
def scheduler_file(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster") / "scheduler.json"


@pytest.fixture(scope="module")
def cluster(scheduler_file):
    """Two worker processes with a nanny each, which starts another where one dies."""
    quiet = {"silence_logs": logging.CRITICAL, "dashboard_address": None}
    written = {"scheduler_kwargs": {"scheduler_file": str(scheduler_file)}}  # as `dask scheduler` does when it starts
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", **quiet, **written
    ) as running:
        yield running


def pids(cluster):
    with distributed.Client(cluster.scheduler_address) as client:
        return list(client.run(os.getpid).values())


def test_a_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing(cluster, tiny_of_module):
    texts = [solution(tiny_of_module), wrong(tiny_of_module)]
    files = {f"learner{number:02}": texts[number % 2] for number in range(30)}
    outcomes, killed = [], None
    for outcome in grade_on_cluster(tasks_of(tiny_of_module, files), cluster.scheduler_address):
        outcomes.append(outcome)
        if len(outcomes) == 6:
            killed = pids(cluster)[0]
            os.kill(killed, signal.SIGKILL)
    assert killed is not None and killed not in pids(cluster)
    assert Counter(outcome.task.learner for outcome in outcomes) == Counter(list(files))
    assert not any(outcome.error for outcome in outcomes)
    for outcome in outcomes:
        states = {record.state for record in outcome.records}
        assert states == ({"passed"} if int(outcome.task.learner[-2:]) % 2 == 0 else {"failed"})


def test_a_cluster_is_found_by_its_scheduler_file(cluster, scheduler_file, tiny_of_module):
    (outcome,) = grade_on_cluster(tasks_of(tiny_of_module, {"ada": solution(tiny_of_module)}), str(scheduler_file))
    assert [record.state for record in outcome.records] == ["passed", "passed"]


def test_where_no_scheduler_answers_it_is_said_in_one_line(tiny_of_module, monkeypatch):
    from utils.grading import batch

    monkeypatch.setattr(batch, "CONNECT", 1)
    start = time.monotonic()
    with pytest.raises(CannotDo, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        list(grade_on_cluster(tasks_of(tiny_of_module, {"ada": ""}), "tcp://127.0.0.1:9"))
    assert time.monotonic() - start < 20
