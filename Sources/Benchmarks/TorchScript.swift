/// The same networks and steps in PyTorch, as text for a Python that has it.
public enum TorchScript {
  /// Called with a network's name, batch, threads, one of `Variant`'s names and seconds; prints one JSON object with
  /// `images_per_second` of the median step, `peak_memory_bytes` of its process and `version` of PyTorch. It leaves when
  /// its standard input ends.
  public static let text = #"""
    import json, os, resource, sys, threading, time

    # Whoever wants the result holds standard input open: at its end nobody waits any more.
    def leave_with_the_caller():
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=leave_with_the_caller, daemon=True).start()
    try:
        import torch
    except ImportError as problem:
        sys.exit(f"this Python has no PyTorch: {problem}")
    import torch.nn as nn
    import torch.nn.functional as F

    name, batch, threads, variant, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
    torch.manual_seed(0)
    torch.set_num_threads(threads)

    def lenet():
        return nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))

    class BasicBlock(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(outputs)
            self.stride, self.missing = stride, outputs - inputs

        def forward(self, x):
            y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
            if self.stride != 1:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.missing))
            return F.relu(x + y)

    def resnet20():
        layers, inputs = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
        for outputs, stride in ((16, 1), (32, 2), (64, 2)):
            for block in range(3):
                layers.append(BasicBlock(inputs, outputs, stride if block == 0 else 1))
                inputs = outputs
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def alexnet():
        return nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(True), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(True), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(True),
            nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Flatten(),
            nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True),
            nn.Linear(4096, 1000))

    def vgg16():
        layers, inputs = [], 3
        for outputs in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]:
            if outputs == 0:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU(True)]
                inputs = outputs
        return nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 4096),
            nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 1000))

    class Bottleneck(nn.Module):
        def __init__(self, inputs, width, stride):
            super().__init__()
            outputs = 4 * width
            self.main = nn.Sequential(
                nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
                nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
                nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
            self.shortcut = nn.Identity()
            if stride != 1 or inputs != outputs:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

        def forward(self, x):
            return F.relu(self.main(x) + self.shortcut(x))

    def resnet50():
        layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
        inputs = 64
        for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for block in range(blocks):
                layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
                inputs = 4 * width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))

    networks = {
        "lenet": (lenet, (1, 28, 28), 10), "resnet-20": (resnet20, (3, 32, 32), 10),
        "alexnet": (alexnet, (3, 224, 224), 1000), "vgg-16": (vgg16, (3, 224, 224), 1000),
        "resnet-50": (resnet50, (3, 224, 224), 1000)}
    make, shape, classes = networks[name]
    model = make()
    inputs = torch.randn(batch, *shape)
    labels = torch.randint(0, classes, (batch,))
    if "channels-last" in variant:
        model = model.to(memory_format=torch.channels_last)
        inputs = inputs.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=variant.startswith("bf16")):
            loss = F.cross_entropy(model(inputs).float(), labels)
        loss.backward()
        optimizer.step()

    for _ in range(2):
        step()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    times.sort()
    print(json.dumps({
        "images_per_second": batch / times[len(times) // 2],
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "version": torch.__version__}))
    """#

  /// How PyTorch computes.
  public enum Variant: String, CaseIterable, Sendable {
    /// fp32, channels before places.
    case fp32
    /// fp32, a place's channels next to each other.
    case fp32ChannelsLast = "fp32-channels-last"
    /// bf16 by autocast, a place's channels next to each other.
    case bf16ChannelsLast = "bf16-channels-last"
  }
}
