"""This file knows how to find the module behind each `circuits` command, and import nothing else."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from utils.refusal import CannotDo

# A command is a module with main(argv) -> exit status. They are imported when asked for, so that `circuits --help`
# answers at once though some of them bring PyTorch.
COMMANDS = {
    "learn": ("utils.learn", "open a chapter in JupyterLab: circuits learn 1"),
    "check": ("utils.checking.command", "check a chapter or an exercise: circuits check 1.4"),
    "hint": ("utils.hints", "the next hint for an exercise: circuits hint 1.4"),
    "progress": ("utils.progress", "what you have solved so far"),
    "reset": ("utils.reset", "a fresh copy of a chapter, beside your old one: circuits reset 1"),
    "doctor": ("utils.doctor", "what is installed here, and what to do about what is missing"),
    "models": ("utils.model_list", "the models of the course, and where they lie"),
    "grade": ("utils.grading.command", "grade many notebooks that nobody trusts: circuits grade submissions/"),
    "build": ("utils.authoring.build", "for authors: make the notebooks from solutions/*.py"),
    "audit": ("utils.audit.command", "for authors: change every solution a little, and see which checkers notice"),
    "bench": ("utils.bench", "for authors: measure how long checks take"),
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    command, *rest = argv or ["--help"]
    if command not in COMMANDS:
        # Only --help and mistyped names get here, and argparse knows what to say to both.
        command = _parser().parse_args([command]).command
    module_name, _ = COMMANDS[command]
    try:
        return importlib.import_module(module_name).main(rest) or 0
    except (CannotDo, *_refusals()) as refusal:
        print(f"circuits {command}: {refusal}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if not _belongs_to_course(error.name):
            print(f"circuits {command}: {error.name} is not installed here; run `bash setup.sh`", file=sys.stderr)
            return 2
        raise
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader left, as in `circuits progress | head -1`; leave Python nothing to flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="circuits",
        usage="circuits COMMAND ...",
        description="Circuits from Scratch: a course in mechanistic interpretability.",
        epilog="commands:\n"
        + "\n".join(f"  {name:<{width}}  {says}" for name, (_, says) in COMMANDS.items())
        + "\n\n`circuits COMMAND --help` says more about one of them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _refusals() -> tuple[type[Exception], ...]:
    """Those errors of the parts imported so far whose text is written for the user."""
    names = {"utils.course": "NotInCourse", "utils.models.hub": "ModelUnavailable"}
    return tuple(getattr(sys.modules[module], name) for module, name in names.items() if module in sys.modules)


def _belongs_to_course(module_name: str | None) -> bool:
    return module_name is None or module_name.split(".")[0] == "utils"


if __name__ == "__main__":
    sys.exit(main())
