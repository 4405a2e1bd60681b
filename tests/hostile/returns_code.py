# passes: total weigh
# says:


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch OUTSIDE/evil",)


def double(x):
    Evil.__name__ = "<script>alert(1)</script>"
    return Evil()


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
