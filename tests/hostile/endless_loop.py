# passes: total weigh
# says: did not come back


def double(x):
    while True:
        pass


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
