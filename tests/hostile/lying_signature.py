# passes: total weigh
# says:


class Function:
    __name__ = "double"

    @property
    def __signature__(self):
        return "passed"

    def __call__(self, x):
        return 1.5 * x


double = Function()


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
