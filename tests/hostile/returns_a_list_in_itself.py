# passes: total weigh
# says: cannot be sent


def double(x):
    result = []
    result.append(result)
    return result


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
