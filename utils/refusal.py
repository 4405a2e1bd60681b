"""This file knows how a command says that what was asked for cannot be done."""


class CannotDo(Exception):
    """Its text says why, and what to do, in one line; `circuits` prints it and ends with status 2."""
