"""This file knows what every grading process needs, and is imported once for all of them: they are forked after it."""

from __future__ import annotations

import gc

import transformer_lens  # noqa: F401  the checkers' own imports, which take seconds

import utils.checking.plugin
import utils.grading.grade_one
import utils.models.random_models  # noqa: F401

# What is here now stays for good. Left out of every garbage collection, its pages stay shared between the processes.
gc.collect()
gc.freeze()
