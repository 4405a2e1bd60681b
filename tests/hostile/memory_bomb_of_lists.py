# passes: total weigh
# says:


def double(x):
    kept = [x]
    while True:
        kept += kept


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
