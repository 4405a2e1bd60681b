# passes: total weigh
# says: in place


def double(x):
    x.zero_()
    return x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
