# passes: total weigh
# says:


class Silent(Exception):
    def __str__(self):
        while True:
            pass


def double(x):
    raise Silent


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
