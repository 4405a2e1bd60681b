# passes: total weigh
# says: did not come back


def double(x):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
