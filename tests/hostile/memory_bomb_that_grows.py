# passes: total weigh
# says:
import torch


def double(x):
    kept = []
    while True:
        kept.append(torch.ones(1 << 26))


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
