# passes: total weigh
# says: in place
import torch


def double(x):
    x.zero_()
    return x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
