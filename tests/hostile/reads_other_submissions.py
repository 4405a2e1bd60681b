# passes: total weigh
# says:

from pathlib import Path


def double(x):
    for path in Path("SUBMISSIONS").iterdir():
        path.read_text()
        return 2 * x
    return x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
