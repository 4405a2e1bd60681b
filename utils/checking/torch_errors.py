"""This file knows what PyTorch's and einops' commonest errors mean, in plain words."""

from __future__ import annotations

import re

# ruff: noqa: E501
MEANINGS = [
    (r"index out of range in self", "something is looked up beyond the end of its table: a token id from d_vocab on, or a position from n_ctx on"),
    (r"index \d+ is out of bounds", "an axis is shorter than that: print the shape; is it the axis that you mean? Else a token id from d_vocab on, or a position from n_ctx on"),
    (r"Expected target size", "F.cross_entropy wants logits [n d_vocab] and answers [n]: flatten batch and pos together first"),
    (r"Expected input batch_size", "F.cross_entropy wants as many answers as rows of logits: both lose one position, at opposite ends"),
    (r"probability tensor contains either", "torch.multinomial wants probabilities, and these are not: softmax first"),
    (r"selected index k out of range", "k is larger than the axis it chooses from: take the smaller of the two"),
    (r"The size of tensor a \(\d+\) must match", "two shapes do not fit: print both; keepdim=True keeps the axis that a sum or mean removes"),
    (r"mat1 and mat2 shapes|size mismatch, got|Expected size for first two dimensions", "in A @ B the last axis of A must be as long as the last but one of B"),
    (r"on the same device|Expected all tensors", "tensors are on different devices: make new ones with device=x.device"),
    (r"Boolean value of Tensor", "a tensor of several numbers is used as one true or false: compare with .any() or .all(), or use torch.where"),
    (r"(Only|only) one element tensors|a Tensor with \d+ elements cannot be converted", "a tensor of several numbers is used as one: index it, or take its sum or mean"),
    (r"expected scalar type|must have the same dtype|should be the same", "two dtypes meet: make new tensors with dtype=x.dtype"),
    (r"missing the required .forward. function", "an nn.ModuleList cannot be called: loop over the modules in it"),
    (r"does not require grad", "there is no graph behind this number: detach(), .item() or torch.no_grad() cut it off"),
    (r"Trying to backward through the graph a second time", "something from an earlier step is still part of this one: detach it, or compute it anew"),
    (r"a leaf Variable that requires grad", "a parameter is changed in place: use torch.no_grad() around it, or write x = x + ..."),
]  # fmt: skip


def meaning(text: str) -> str:
    """What an error's text means; empty if it is not one of the common ones."""
    return next((words for pattern, words in MEANINGS if re.search(pattern, text)), "")
