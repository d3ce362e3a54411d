"""Writes lenet_reference.bin: LeNet's loss and gradients on eight samples as PyTorch computes them, in double precision.

Parameters and inputs follow from a formula that both sides evaluate exactly, so they are not kept; a few parameters are
others, which ReferenceChangesTests wrote to lenet.changes: with them rounding changes no decision. The gradient of
fc1.weight is kept as its two factors (the gradient of fc1's output and fc1's input): their product is checked here to be
what autograd gives.

    python3 lenet_reference.py       (PyTorch 2.x)
"""
import pathlib

import numpy
import torch

from layers_reference import change, changes, formula

BATCH = 8
TENSORS = [
    ("conv1.weight", (20, 1, 5, 5), 2.0**-3),
    ("conv1.bias", (20,), 2.0**-3),
    ("conv2.weight", (50, 20, 5, 5), 2.0**-4),
    ("conv2.bias", (50,), 2.0**-4),
    ("fc1.weight", (500, 800), 2.0**-4),
    ("fc1.bias", (500,), 2.0**-4),
    ("fc2.weight", (10, 500), 2.0**-3),
    ("fc2.bias", (10,), 2.0**-3),
]


def main():
    values, offset, changed = {}, 0, changes("lenet")
    for index, (name, shape, scale) in enumerate(TENSORS):
        values[name] = change(formula(index + 1, shape, scale), offset, changed).requires_grad_()
        offset += values[name].numel()
    x = formula(0, (BATCH, 1, 28, 28))
    labels = torch.tensor([3 * sample % 10 for sample in range(BATCH)])
    f = torch.nn.functional
    x = f.max_pool2d(f.conv2d(x, values["conv1.weight"], values["conv1.bias"]), 2)
    x = f.max_pool2d(f.conv2d(x, values["conv2.weight"], values["conv2.bias"]), 2)
    features = x.flatten(1)
    hidden = f.linear(features, values["fc1.weight"], values["fc1.bias"])
    hidden.retain_grad()
    logits = f.linear(f.relu(hidden), values["fc2.weight"], values["fc2.bias"])
    loss = f.cross_entropy(logits, labels, reduction="sum")
    loss.backward()
    product = hidden.grad.double().T @ features.detach().double()
    exact = values["fc1.weight"].grad.double()
    assert ((product - exact).norm() / exact.norm()).item() < 1e-12
    parts = [loss.detach().reshape(1)]
    for name, _, _ in TENSORS:
        parts += [hidden.grad, features.detach()] if name == "fc1.weight" else [values[name].grad]
    data = numpy.concatenate([part.numpy().astype("<f4").ravel() for part in parts])
    pathlib.Path(__file__).with_suffix(".bin").write_bytes(data.tobytes())
    print(loss.item(), len(data))


if __name__ == "__main__":
    main()
