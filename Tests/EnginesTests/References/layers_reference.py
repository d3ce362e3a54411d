"""Writes layers_reference.bin: every layer and every loss on one batch as PyTorch computes them, in double precision.

Parameters, inputs, and gradients of outputs follow from a formula that both sides evaluate exactly, so they are not kept.
For each layer of CASES the file holds output, gradient of the input, and gradients of the parameters; for each of LOSSES,
which stand behind one fully connected layer, the loss and the gradients of that layer's weights and bias; then batch
normalisation's statistics and its evaluation. The Swift side (LayerReferenceTests) has the same lists in the same order.

    python3 layers_reference.py       (PyTorch 2.x)
"""
import pathlib

import numpy
import torch
import torch.nn.functional as f

SAMPLES = 3


def formula(stream, shape, scale=1.0):
    """Element i of a stream: a 24-bit hash of (stream, i) as a number in [-scale, scale), exact in fp32."""
    count = int(numpy.prod(shape))
    x = (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(stream << 20)) & numpy.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = ((x ^ (x >> numpy.uint64(shift))) * numpy.uint64(factor)) & numpy.uint64(0xFFFFFFFF)
    x = x ^ (x >> numpy.uint64(16))
    values = ((x >> numpy.uint64(8)).astype(numpy.float64) * 2.0**-23 - 1) * scale
    return torch.from_numpy(values).reshape(shape)


def changes(name):
    """Elements of a flat vector of parameters that are not the formula's, so that no decision is near: index to value."""
    pairs = numpy.fromfile(pathlib.Path(__file__).with_name(name + ".changes"), dtype=[("index", "<u4"), ("value", "<f4")])
    return dict(zip(pairs["index"].tolist(), pairs["value"].tolist()))


def change(values, offset, changed):
    """Makes the changes in a tensor that begins at this offset of the flat vector."""
    flat = values.view(-1)
    for index, value in changed.items():
        if offset <= index < offset + flat.numel():
            flat[index - offset] = value
    return values


def within(x, size, alpha, beta, k):
    """Caffe's response normalisation within a channel, whose window counts its padding."""
    return x / (k + alpha * f.avg_pool2d(x * x, size, stride=1, padding=size // 2)) ** beta


def norm(x, weight, bias):
    return f.batch_norm(x, None, None, weight, bias, training=True, eps=1e-5)


def joined(x, weight, bias):
    a = f.conv2d(x, weight, bias)
    total = a + x + a
    product = total * a
    return torch.cat([x, product, a, total], 1)


# Input's shape, its scale, parameters' shapes, function.
CASES = [
    ((4, 11), 1, [(6, 2, 3), (6,)], lambda x, w, b: f.conv1d(f.pad(x, (2, 1)), w, b, stride=2, groups=2)),
    ((4, 7, 9), 1, [(4, 1, 3, 2), (4,)],
     lambda x, w, b: f.conv2d(f.pad(x, (0, 1, 2, 0)), w, b, dilation=(2, 1), groups=4)),
    ((2, 4, 5, 6), 1, [(4, 2, 3, 2, 3), (4,)],
     lambda x, w, b: f.conv3d(f.pad(x, (2, 1, 0, 0, 1, 1)), w, b, stride=(2, 1, 2))),
    ((4, 7), 1, [(4, 3, 3), (3,)], lambda x, w, b: f.conv_transpose1d(x, w, b, 2, 1, 1)),
    ((4, 4, 5), 1, [(4, 3, 3, 2), (6,)],
     lambda x, w, b: f.conv_transpose2d(x, w, b, (2, 3), (1, 0), (1, 2), 2, (2, 1))),
    ((2, 2, 3, 3), 1, [(2, 3, 2, 3, 2), (3,)], lambda x, w, b: f.conv_transpose3d(x, w, b, (2, 1, 2), (0, 1, 0))),
    ((3, 9), 1, [], lambda x: f.max_pool1d(x, 3, 2, 1)),
    ((2, 5, 6, 7), 1, [], lambda x: f.max_pool3d(x, (2, 3, 2), (2, 2, 1), (0, 1, 1), ceil_mode=True)),
    ((3, 9), 1, [], lambda x: f.avg_pool1d(x, 3, 2, 1)),
    ((2, 5, 6, 7), 1, [], lambda x: f.avg_pool3d(x, (2, 3, 2), (2, 2, 1), (0, 1, 1), ceil_mode=True)),
    ((3, 5, 7), 1, [], lambda x: f.adaptive_avg_pool2d(x, (3, 2))),
    ((2, 5, 4, 7), 1, [], lambda x: f.adaptive_max_pool3d(x, (3, 2, 4))),
    ((3, 5, 7), 1, [], lambda x: f.adaptive_avg_pool2d(x, 1)),
    ((3, 5, 7), 1, [(3,), (3,)], norm),
    ((5,), 1, [(5,), (5,)], norm),
    ((2, 3, 2, 2), 1, [(2,), (2,)], norm),
    ((7, 3, 4), 4, [], lambda x: f.local_response_norm(x, 5, 0.5, 0.75, 2.0)),
    ((2, 5, 6), 4, [], lambda x: within(x, 3, 0.5, 0.75, 1.0)),
    ((3, 4, 5), 1, [(3,)], f.prelu),
    ((6,), 1, [(1,)], f.prelu),
    ((3, 4, 5), 9, [], f.relu6),
    ((3, 4, 5), 1, [], lambda x: f.leaky_relu(x, 0.2)),
    ((3, 4, 5), 3, [], lambda x: f.softmax(x, 1)),
    ((6,), 3, [], lambda x: f.softmax(x, 1)),
    ((3, 4, 5), 3, [], torch.tanh),
    ((3, 4, 5), 3, [], torch.sigmoid),
    ((3, 4, 5), 1, [(3, 3, 1, 1), (3,)], joined),
    ((3, 4, 5), 1, [], lambda x: f.pad(x, (1, 0, 0, 2, 2, 1), value=0.5)),
    ((3, 4, 5), 1, [], lambda x: x[:, 1:, :3, 1:4]),
    ((3, 4, 5), 1, [], lambda x: x[:, :, 1:3].reshape(SAMPLES, 5, 6)),
    ((3, 4), 1, [], lambda x: f.interpolate(x, scale_factor=3, mode="linear")),
    ((3, 4, 5), 1, [], lambda x: f.interpolate(x, scale_factor=(2, 3), mode="bilinear")),
    ((3, 4, 5), 1, [], lambda x: f.interpolate(x, scale_factor=(2, 3), mode="bilinear", align_corners=True)),
    ((2, 2, 3, 4), 1, [], lambda x: f.interpolate(x, scale_factor=2, mode="trilinear")),
]


def labels():
    return torch.tensor([3, 0, 5])


def place_labels():
    return torch.tensor([[(sample + 2 * place) % 4 for place in range(6)] for sample in range(SAMPLES)]).reshape(3, 2, 3)


def targets(count):
    return (formula(4000, (SAMPLES, count)) + 1) / 2


def contrastive(x):
    a, b = x[:, :3], x[:, 3:]
    d = (a - b).norm(dim=1)
    y = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    return (0.5 * y * d**2 + 0.5 * (1 - y) * f.relu(1.25 - d) ** 2).sum()


def per_place(x):
    weights = torch.tensor([1, 0.5, 2, 0.25], dtype=torch.float64)
    loss = f.cross_entropy(
        x.reshape(3, 4, 2, 3), place_labels(), weight=weights, ignore_index=2, label_smoothing=0.1, reduction="sum")
    return loss / 6


def weighted(x):
    return 0.3 * f.cross_entropy(x, labels(), reduction="sum") + 2 * 0.5 * ((x - targets(6)) ** 2).sum()


# Outputs of the fully connected layer, function.
LOSSES = [
    (6, lambda x: f.cross_entropy(x, labels(), reduction="sum")),
    (6, lambda x: f.cross_entropy(
        x, labels(), weight=torch.tensor([1, 0.5, 2, 0.25, 1, 3], dtype=torch.float64), label_smoothing=0.2,
        reduction="sum")),
    (6, lambda x: f.cross_entropy(x, labels(), ignore_index=5, reduction="sum")),
    (24, per_place),
    (6, lambda x: f.binary_cross_entropy_with_logits(x, targets(6), reduction="sum")),
    (6, lambda x: 0.5 * f.mse_loss(x, targets(6), reduction="sum")),
    (6, lambda x: f.l1_loss(x, targets(6), reduction="sum")),
    (6, lambda x: f.smooth_l1_loss(x, targets(6), reduction="sum", beta=0.5)),
    (6, lambda x: 6 * f.multi_margin_loss(x, labels(), margin=0.75, reduction="sum")),
    (6, contrastive),
    (6, weighted),
]


def layer_numbers(index, case):
    shape, scale, parameters, function = case
    stream = 16 * index
    x = formula(stream, (SAMPLES, *shape), scale).requires_grad_()
    values = [formula(stream + 1 + i, p).requires_grad_() for i, p in enumerate(parameters)]
    y = function(x, *values)
    dy = formula(stream + 15, tuple(y.shape))
    y.backward(dy)
    return [y.detach(), x.grad] + [value.grad for value in values]


def embedding_numbers(index):
    stream = 16 * index
    table = formula(stream + 1, (7, 4)).requires_grad_()
    entries = torch.tensor([[(3 * sample + 2 * place) % 7 for place in range(5)] for sample in range(SAMPLES)])
    y = f.embedding(entries, table).transpose(1, 2)
    y.backward(formula(stream + 15, tuple(y.shape)))
    return [y.detach(), table.grad]


def loss_numbers(index, case):
    outputs, function = case
    stream = 16 * index
    x = formula(stream, (SAMPLES, 5))
    weight = formula(stream + 1, (outputs, 5)).requires_grad_()
    bias = formula(stream + 2, (outputs,)).requires_grad_()
    loss = function(f.linear(x, weight, bias))
    loss.backward()
    return [loss.detach().reshape(1), weight.grad, bias.grad]


def statistics_numbers(index):
    """Batch statistics of two normalisations as a momentum of 1 leaves them, then an evaluation's loss with others."""
    stream = 16 * index
    x = formula(stream, (SAMPLES, 2, 3, 4))
    weight, bias = formula(stream + 1, (2,)), formula(stream + 2, (2,))
    fc_weight, fc_bias = formula(stream + 3, (6, 24)), formula(stream + 4, (6,))
    weight2, bias2 = formula(stream + 5, (6,)), formula(stream + 6, (6,))
    mean, variance = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    mean2, variance2 = torch.zeros(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    y = f.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0)
    y = f.linear(y.flatten(1), fc_weight, fc_bias)
    f.batch_norm(y, mean2, variance2, weight2, bias2, training=True, momentum=1.0)
    numbers = [mean, variance, mean2, variance2]
    buffers = [formula(stream + 7, (2,)), formula(stream + 8, (2,)) + 2, formula(stream + 9, (6,)),
               formula(stream + 10, (6,)) + 2]
    y = f.batch_norm(x, buffers[0], buffers[1], weight, bias)
    y = f.batch_norm(f.linear(y.flatten(1), fc_weight, fc_bias), buffers[2], buffers[3], weight2, bias2)
    return numbers + [f.cross_entropy(y, labels(), reduction="sum").reshape(1)]


def main():
    numbers = []
    for index, case in enumerate(CASES):
        numbers += layer_numbers(index, case)
    numbers += embedding_numbers(len(CASES))
    for index, case in enumerate(LOSSES):
        numbers += loss_numbers(100 + index, case)
    numbers += statistics_numbers(120)
    data = numpy.concatenate([part.numpy().astype("<f4").ravel() for part in numbers])
    pathlib.Path(__file__).with_suffix(".bin").write_bytes(data.tobytes())
    print(len(numbers), len(data))


if __name__ == "__main__":
    main()
