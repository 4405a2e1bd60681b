"""This file knows what every grading process needs, and is imported once for all of them: they are forked after it."""

from __future__ import annotations

import gc

import torch._dynamo  # noqa: F401  which optimizers import when they are first used
from transformer_lens import ActivationCache, FactoredMatrix, TransformerBridge  # noqa: F401
from transformers import GPT2Config, GPT2LMHeadModel  # noqa: F401

import utils.checking.plugin
import utils.grading.grade_one
import utils.models.random_models
import utils.saes  # noqa: F401

# What is here now stays for good. Left out of every garbage collection, its pages stay shared between the processes.
gc.collect()
gc.freeze()
