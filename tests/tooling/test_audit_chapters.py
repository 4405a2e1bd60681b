"""The checkers of every chapter refuse what the audit says they refuse, and the figures in the README are those.

Verdicts that still hold are taken from tests/verdicts_*.json; a fixed sample of them is tried again.
"""

import os

import pytest

from utils import course
from utils.audit import command
from utils.audit.verdicts import verdicts_file

CHAPTERS = [chapter for chapter in course.chapters() if verdicts_file(chapter).exists()]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_the_checkers_refuse_wrong_variants_of_every_solution(chapter, capsys):
    status = command.audit(chapter, check=True, jobs=os.cpu_count() or 1)
    assert status == 0, capsys.readouterr().out
