# passes: total weigh
# says: raised


def double(x):
    raise ValueError("passed " * 2_000_000)


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
