# passes: total weigh
# says: did not come back
import torch


def double(x):
    while True:
        pass


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
