# passes: total weigh
# says: SystemExit


def double(x):
    raise SystemExit(0)


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
