# passes: total weigh
# says: KeyboardInterrupt


def double(x):
    raise KeyboardInterrupt


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
