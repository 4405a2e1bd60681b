# passes: total weigh
# says: no answer

import os
import struct


class Pickled:
    def __reduce__(self):
        return os.system, ("touch OUTSIDE/pickled",)


def send(header):
    os.write(3, struct.pack("<IQ", len(header), 0) + header)


def double(x):
    send(('{"v":' + '{"l":[' * 60 + "]}" * 60 + ',"t":[]}').encode())
    return x


def total(x):
    return x.sum()


def weigh(model, x):
    return model(x)
