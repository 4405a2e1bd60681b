# passes: total weigh
# says: cannot be sent


def double(x):
    return 1 << 100_000


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
