# passes: total weigh
# says: 0.75


def double(x):
    return 1.5 * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
