# passes: total weigh
# says: cannot be sent
import torch


def double(x):
    return torch.zeros(1).expand(1 << 40)


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
