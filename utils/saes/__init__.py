"""Sparse autoencoders of the organism: three that ship, how they were trained, and what was measured of them."""

from utils.saes.loading import load_sae, sae_names
from utils.saes.random_saes import random_sae
from utils.saes.topk import TopKSAE

__all__ = ["TopKSAE", "load_sae", "random_sae", "sae_names"]
