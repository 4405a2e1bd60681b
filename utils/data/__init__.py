"""The generated world: what the organism reads. One file per kind of text, and `corpus` mixes them."""

from utils.data.corpus import (
    KINDS,
    bigram_entropy,
    corpus_tokens,
    sample_document,
    token_windows,
    unigram_entropy,
)

__all__ = ["KINDS", "bigram_entropy", "corpus_tokens", "sample_document", "token_windows", "unigram_entropy"]
