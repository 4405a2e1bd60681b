# passes: double total weigh
# says:


def double(x):
    return 2 * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
