"""Writes optimizer_reference.bin: parameters after each of ten updates, as torch.optim computes them.

Parameters and gradients follow from a formula that both sides evaluate exactly, so they are not kept. The learning rate
of update t (from 1) is the base rate / t. The order of the settings is that of the tests.

    python3 optimizer_reference.py       (PyTorch 2.x)
"""
import pathlib

import numpy
import torch

COUNT = 37
UPDATES = 10
SETTINGS = [
    (torch.optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)),
    (torch.optim.Adagrad, dict(lr=0.05)),
    (torch.optim.Adagrad, dict(lr=0.05, eps=1e-3, initial_accumulator_value=0.1, weight_decay=0.01)),
    (torch.optim.Adadelta, dict(lr=1.0)),
    (torch.optim.Adadelta, dict(lr=1.0, rho=0.8, eps=1e-4, weight_decay=0.01)),
    (torch.optim.RMSprop, dict(lr=0.01)),
    (torch.optim.RMSprop, dict(lr=0.01, alpha=0.9, eps=1e-3, momentum=0.5, weight_decay=0.01)),
    (torch.optim.Adam, dict(lr=0.01)),
    (torch.optim.Adam, dict(lr=0.01, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1)),
    (torch.optim.AdamW, dict(lr=0.01)),
    (torch.optim.AdamW, dict(lr=0.01, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1)),
]


def formula(stream, count, scale):
    """Element i of a stream: a 24-bit hash of (stream, i) as a number in [-scale, scale), exact in fp32."""
    x = (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(stream << 20)) & numpy.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> numpy.uint64(shift))) * numpy.uint64(factor)) & numpy.uint64(0xFFFFFFFF)
    x = x ^ (x >> numpy.uint64(16))
    return (((x >> numpy.uint64(8)).astype(numpy.float64) * 2.0**-23 - 1) * scale).astype(numpy.float32)


def main():
    kept = []
    for optimizer, settings in SETTINGS:
        parameters = torch.nn.Parameter(torch.from_numpy(formula(0, COUNT, 1.0)))
        updater = optimizer([parameters], foreach=False, **settings)
        for update in range(1, UPDATES + 1):
            updater.param_groups[0]["lr"] = float(numpy.float32(settings["lr"]) / numpy.float32(update))
            parameters.grad = torch.from_numpy(formula(update, COUNT, 0.25))
            updater.step()
            kept.append(parameters.detach().numpy().astype("<f4").copy())
    data = numpy.concatenate(kept)
    pathlib.Path(__file__).with_suffix(".bin").write_bytes(data.tobytes())
    print(len(data), data[:3])


if __name__ == "__main__":
    main()
