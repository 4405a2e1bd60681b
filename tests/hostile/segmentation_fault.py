# passes: total weigh
# says: crashed its process

import ctypes


def double(x):
    ctypes.string_at(0)


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
