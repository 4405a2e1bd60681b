"""The page for authors shows an exercise as it really is."""

import re

from utils.paths import REPO

PAGE = (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_worked_example_is_in_the_files_that_it_names():
    shown = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [path.split("/")[0] for path, _ in shown] == ["solutions", "tests", "tests", "tests"]
    for path, code in shown:
        assert code in (REPO / path).read_text(encoding="utf-8"), f"{path} has it otherwise"


def test_every_file_and_command_that_the_page_names_exists():
    for name in re.findall(r"`(utils/[\w/]+\.py)`", PAGE):
        assert (REPO / name).is_file()
    from utils.cli import COMMANDS

    assert set(re.findall(r"circuits (\w+)", PAGE)) <= set(COMMANDS)
