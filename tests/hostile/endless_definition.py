# passes: total weigh
# says: did not come back

import time

factor = time.sleep(1000)


def double(x):
    return factor * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
