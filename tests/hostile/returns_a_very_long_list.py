# passes: total weigh
# says: cannot be sent


def double(x):
    return list(range(1 << 22))


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
