"""This file knows how to make pytest a checker of learners' code: options, fixtures, selection and results.

A test argument that is no known fixture but the name of an exercise object becomes the learner's object, behind a
handle. Tests are parametrised by submission, so that one session can check many.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from utils import course
from utils.checking.border import Border
from utils.checking.complaints import Complaint
from utils.checking.draw import Draw
from utils.checking.exceptions import learner_frames
from utils.checking.handles import handle
from utils.checking.mistakes import returned_kinds, solution_cells
from utils.checking.run import Plan, Submission, TestResult, undisturbed
from utils.checking.side import HERE
from utils.models.device import choose_device

BORDER = pytest.StashKey[Border]()
RESULT = pytest.StashKey[TestResult]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("circuits", "checking learners' code")
    group.addoption(
        "--submission",
        action="append",
        default=[],
        metavar="PATH",
        help="a notebook or Python file to check; the solutions if not given",
    )
    group.addoption("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    group.addoption("--input-seed", type=int, default=0, help="seed of the drawn test inputs")


def pytest_configure(config: pytest.Config) -> None:
    returns = {name: text for chapter in _plan(config).chapters for name, text in returned_kinds(chapter).items()}
    fixtures = {f"object_{name}": _object_fixture(name, returns.get(name, "")) for name in _plan(config).place}
    config.pluginmanager.register(
        type("ObjectFixtures", (), fixtures)(), "circuits-objects"
    )  # one for every exercise object


def _object_fixture(name: str, returns: str) -> Any:
    def learners_object(_, submission: Submission, border: Border) -> Any:
        return handle(name, submission.get(name), border, returns)

    return pytest.fixture(name=name)(learners_object)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """Where the check runs."""
    return choose_device(_plan(request.config).device)


@pytest.fixture
def draw(request: pytest.FixtureRequest, device: torch.device) -> Draw:
    """Fixed random inputs, others for every test."""
    return Draw(device, seed=_plan(request.config).seed, name=request.node.originalname)


@pytest.fixture
def border(request: pytest.FixtureRequest, device: torch.device) -> Iterator[Border]:
    """What this test and this submission share."""
    submission = _submission_of(request.node)
    side = submission.side if submission else HERE
    made = request.node.stash[BORDER] = Border(device, side)
    side.begin(request.node.originalname, _objects_among(request.node._fixtureinfo.argnames, _plan(request.config)))
    yield made
    side.end()
    for model in made.models:
        _clean(model)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: Any) -> list | None:
    """Leave out, before it costs anything, a test that none of the submissions is to run."""
    plan = _plan(collector.config)
    if not plan.submissions or not name.startswith("test_") or not inspect.isfunction(obj):
        return None
    objects = _objects_among(inspect.signature(obj).parameters, plan)
    return [] if objects and not _wanting(plan, name, objects) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "submission" not in metafunc.fixturenames:
        return
    plan = _plan(metafunc.config)
    name, objects = metafunc.function.__name__, _objects_among(metafunc.fixturenames, plan)
    submissions = _wanting(plan, name, objects) if plan.submissions else [_solution(metafunc)]
    metafunc.parametrize("submission", submissions, ids=[submission.label for submission in submissions])


def _wanting(plan: Plan, test: str, objects: Iterable[str]) -> list[Submission]:
    return [submission for submission in plan.submissions if plan.wants(test, objects, submission)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    if _submission_of(item) is None:
        return (yield)
    with undisturbed():
        torch.manual_seed(
            0
        )  # so that a learner's own random numbers are the same every time, and the same as a mistake's
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> pytest.TestReport | None:
    """A report in the complaint's words: never a page of traceback, which would also take far longer to make than the test."""
    submission = _submission_of(item)
    if submission is None:
        return None
    objects = _objects_among(item._fixtureinfo.argnames, _plan(item.config))
    result = item.stash.setdefault(RESULT, TestResult(item.originalname, submission.label, objects))
    result.seconds += call.duration
    outcome, longrepr = "passed", None
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, pytest.skip.Exception):
        result.skipped = str(error)
        outcome, longrepr = "skipped", (str(item.path), item.location[1] or 0, f"Skipped: {error}")
    elif error is not None:
        result.complaint = result.complaint or _as_complaint(error, objects)
        outcome, longrepr = "failed", str(result.complaint)
        _remember_stub(submission, result.complaint, item.stash.get(BORDER, None))
    if call.when == "teardown":
        border = item.stash.get(BORDER, None)
        if border is not None:
            result.transcript, result.printed = border.transcript, border.printed
        result.passed = result.complaint is None and not result.skipped
        _plan(item.config).results.append(result)
    keywords = {name: 1 for name in item.keywords}
    return pytest.TestReport(
        item.nodeid, item.location, keywords, outcome, longrepr, call.when, [], call.duration, call.start, call.stop
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """After plain pytest: which named mistakes the failures are."""
    from utils.checking.naming import name_mistake

    plan = _plan(config)
    for submission in plan.submissions:
        own = [result for result in plan.results if result.submission == submission.label]
        for name in dict.fromkeys(name for result in own if result.complaint for name in result.objects):
            chapter = next(
                chapter for chapter in plan.chapters if any(name in exercise.objects for exercise in chapter.exercises)
            )
            of_name = [result for result in own if name in result.objects]
            mistake = name_mistake(chapter, name, of_name, device=plan.device, seed=plan.seed)
            if mistake:
                terminalreporter.write_line(f"{submission.label}: {name}: {mistake.name}: {mistake.sentence}")


def _plan(config: pytest.Config) -> Plan:
    for plugin in config.pluginmanager.get_plugins():
        if isinstance(plugin, Plan):
            return plugin
    plan = Plan(course.chapters(), device=config.getoption("--device"), seed=config.getoption("--input-seed"))
    config.pluginmanager.register(plan, "circuits-plan")
    try:
        choose_device(plan.device)
        plan.submissions = [Submission.from_file(Path(path)) for path in config.getoption("--submission")]
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    return plan


def _solution(metafunc: pytest.Metafunc) -> Submission:
    """What is checked when nothing else is named: the chapter's own solutions."""
    plan = _plan(metafunc.config)
    checker = Path(metafunc.module.__file__).name
    chapter = next((chapter for chapter in plan.chapters if chapter.checker.name == checker), None)
    if chapter is None:
        raise pytest.UsageError(f"{checker} belongs to no chapter in chapters/: run `circuits build` first")
    return plan.solutions.setdefault(chapter.name, Submission("solution", cells=solution_cells(chapter)))


def _submission_of(item: pytest.Item) -> Submission | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("submission") if callspec else None


def _objects_among(arguments: Iterable[str], plan: Plan) -> tuple[str, ...]:
    """The exercise objects among a test's arguments, in the order they are written."""
    return tuple(name for name in arguments if name in plan.place)


def _as_complaint(error: BaseException, objects: tuple[str, ...]) -> Complaint:
    if isinstance(error, Complaint):
        return error
    who = " and ".join(objects) or "the object"
    text = " ".join(str(error).split())[:300]
    return Complaint(
        f"the checker could not work with what {who} gave: {type(error).__name__}: {text}",
        rule="the result has the kind and shape that the signature says",
        look_at="what your code returns",
        kind="checker",
        frames=tuple(learner_frames(error)),
    )


def _remember_stub(submission: Submission, complaint: Complaint, border: Border | None) -> None:
    """What has said that it is not written stays so: the next tests need not build anything to hear it again."""
    if complaint.kind == "unwritten" and border is not None and border.transcript.entries:
        called, _ = border.transcript.entries[-1]
        if complaint.seen.split(": ")[0].split(" ")[-1] == called:  # and not a method of it, as others may be written
            submission.refuse(called, complaint)


def _clean(model: torch.nn.Module) -> None:
    """Take off what a learner's function left on a course model."""
    if hasattr(model, "reset_hooks"):
        model.reset_hooks()
    for module in model.modules():
        if not hasattr(model, "reset_hooks"):
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
    for parameter in model.parameters():
        parameter.grad = None
