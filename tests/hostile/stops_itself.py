# passes: total weigh
# says:

import os
import signal


def double(x):
    os.kill(os.getpid(), signal.SIGSTOP)
    return 2 * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
