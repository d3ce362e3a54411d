"""Writes networks_reference.bin: ResNet-20, a network of a GoogLeNet-like block and AlexNet without its dropout on four
samples as PyTorch computes them, in double precision.

Parameters and inputs follow from a formula that both sides evaluate exactly, so they are not kept; a few parameters are
others, which ReferenceChangesTests wrote to NETWORK.changes: with them rounding changes no decision. For each network the
file holds the loss, the batch statistics of its batch normalisations, and of each parameter's gradient the norm and the
first elements. The Swift side is NetworkReferenceTests.

    python3 networks_reference.py       (PyTorch 2.x)
"""
import pathlib

import torch
import torch.nn.functional as f

from layers_reference import change, changes, formula
import numpy

SAMPLES = 4
ELEMENTS = 16


class Parameters:
    """Parameters in the order of the flat vector: tensor i follows stream first + 1 + i."""

    def __init__(self, first, scale, changed):
        self.first = first
        self.changed = changed
        self.count = 0
        self.scale = scale
        self.values = []
        self.statistics = []

    def make(self, shape, scale, offset=0.0):
        value = formula(self.first + 1 + len(self.values), shape, scale) + offset
        change(value, self.count, self.changed)
        self.count += value.numel()
        self.values.append(value.requires_grad_())
        return value

    def convolution(self, x, channels, kernel, stride=1, padding=0, bias=True):
        weight = self.make((channels, x.shape[1], kernel, kernel), self.scale)
        return f.conv2d(x, weight, self.make((channels,), self.scale) if bias else None, stride, padding)

    def norm(self, x):
        channels = x.shape[1]
        mean, variance = torch.zeros(channels, dtype=torch.float64), torch.ones(channels, dtype=torch.float64)
        weight, bias = self.make((channels,), 0.25, 1.0), self.make((channels,), 0.25)
        y = f.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0)
        self.statistics += [mean, variance]
        return y

    def linear(self, x, outputs):
        x = x.flatten(1)
        return f.linear(x, self.make((outputs, x.shape[1]), self.scale), self.make((outputs,), self.scale))


def resnet20(p, x):
    x = f.relu(p.norm(p.convolution(x, 16, 3, padding=1, bias=False)))
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(3):
            stride = 2 if stage > 0 and block == 0 else 1
            y = f.relu(p.norm(p.convolution(x, channels, 3, stride, 1, bias=False)))
            y = p.norm(p.convolution(y, channels, 3, padding=1, bias=False))
            if stride == 2:
                x = f.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, channels // 2))
            x = f.relu(y + x)
    return f.cross_entropy(p.linear(f.adaptive_avg_pool2d(x, 1), 10), labels(), reduction="sum")


def inception(p, x):
    x = f.relu(p.convolution(x, 8, 3, padding=1))
    x = f.local_response_norm(f.max_pool2d(x, 3, 2, ceil_mode=True), 5, 1e-1, 0.75, 1.0)
    one = f.relu(p.convolution(x, 4, 1))
    three = f.relu(p.convolution(f.relu(p.convolution(x, 3, 1)), 6, 3, padding=1))
    five = f.relu(p.convolution(f.relu(p.convolution(x, 2, 1)), 4, 5, padding=2))
    pool = f.relu(p.convolution(f.max_pool2d(x, 3, 1, 1), 4, 1))
    x = torch.cat([one, three, five, pool], 1)
    early = f.relu(p.convolution(f.avg_pool2d(x, 3, 2), 4, 1))
    early = f.cross_entropy(p.linear(early, 10), labels(), reduction="sum")
    return 0.3 * early + f.cross_entropy(p.linear(f.adaptive_avg_pool2d(x, 1), 10), labels(), reduction="sum")


def alexnet(p, x):
    x = f.max_pool2d(f.relu(p.convolution(x, 64, 11, 4, 2)), 3, 2)
    x = f.max_pool2d(f.relu(p.convolution(x, 192, 5, padding=2)), 3, 2)
    for channels in (384, 256, 256):
        x = f.relu(p.convolution(x, channels, 3, padding=1))
    x = f.relu(p.linear(f.max_pool2d(x, 3, 2), 4096))
    return f.cross_entropy(p.linear(f.relu(p.linear(x, 4096)), 1000), labels(), reduction="sum")


def labels():
    return torch.tensor([3 * sample % 10 for sample in range(SAMPLES)])


def main():
    numbers = []
    for first, network, shape, scale in (
        (2000, resnet20, (3, 32, 32), 0.125),
        (2200, inception, (3, 15, 15), 0.125),
        (2400, alexnet, (3, 224, 224), 0.03125),
    ):
        parameters = Parameters(first, scale, changes(network.__name__))
        loss = network(parameters, formula(first, (SAMPLES, *shape)))
        loss.backward()
        numbers += [loss.detach().reshape(1)] + parameters.statistics
        for value in parameters.values:
            numbers += [value.grad.norm().reshape(1), value.grad.flatten()[:ELEMENTS]]
    data = numpy.concatenate([part.numpy().astype("<f4").ravel() for part in numbers])
    pathlib.Path(__file__).with_suffix(".bin").write_bytes(data.tobytes())
    print(len(numbers), len(data))


if __name__ == "__main__":
    main()
