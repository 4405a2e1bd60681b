# passes: total weigh
# says:

import atexit


def double(x):
    atexit.register(lambda: open("OUTSIDE/atexit", "w").write("x"))
    return x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
