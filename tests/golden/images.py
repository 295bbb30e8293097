"""The notes' networks for images as Keras and PyTorch build them, on given weights.

Weights are a formula of their index, so that both sides make the same ones and none are stored.
"""

import math
import os

import numpy as np

NAMES = {  # as in the notes: image, convolutions, dense layers
    "mnist_dense": ((28, 28, 1), (), (128, 10)),
    "mnist_cnn": ((28, 28, 1), (32, 64), (64, 10)),
    "cifar10_cnn": ((32, 32, 3), (32, 64, 64), (64, 10)),
    "mnist_dense-torch": ((28, 28, 1), (), (128, 10)),
    "mnist_cnn-torch": ((28, 28, 1), (32, 64), (128, 10)),
    "cifar10_cnn-torch": ((32, 32, 3), (32, 64), (128, 10)),
}
BATCH = 4


def shapes(image, convolutions, dense):
    """Kernels and biases, layer after layer, channels last."""
    height, width, channels = image
    made = []
    for i, features in enumerate(convolutions):
        made += [(3, 3, channels, features), (features,)]
        height, width, channels = height - 2, width - 2, features
        if i < 2:
            height, width = height // 2, width // 2
    before = height * width * channels
    for after in dense:
        made += [(before, after), (after,)]
        before = after
    return made


def weights(name):
    """For each shape numbers of the usual size, biases too; float32."""
    return [
        np.float32(np.sin(1 + i + 1.7 * np.arange(math.prod(shape))) / math.sqrt(fan_in(shape)))
        .reshape(shape)
        for i, shape in enumerate(shapes(*NAMES[name]))
    ]  # fmt: skip


def fan_in(shape):
    """Of a kernel; a bias counts its own length."""
    return math.prod(shape[:-1]) if len(shape) > 1 else shape[0]


def pixels(name):
    """Images (BATCH, height, width, channels), uint8, and their labels."""
    image = NAMES[name][0]
    x = np.arange(BATCH * math.prod(image)).reshape(BATCH, *image)
    return np.uint8(x * 37 % 251), np.arange(BATCH) * 3 % 10


def run(name):
    """Parameters, logits, loss, and of PyTorch the gradient's norm for each kernel and bias."""
    return in_torch(name) if name.endswith("-torch") else in_keras(name)


def in_keras(name):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    image, convolutions, dense = NAMES[name]
    layers = [keras.layers.Input(image)]
    for i, features in enumerate(convolutions):
        layers.append(keras.layers.Conv2D(features, (3, 3), activation="relu"))
        if i < 2:
            layers.append(keras.layers.MaxPooling2D((2, 2)))
    layers.append(keras.layers.Flatten())
    layers += [keras.layers.Dense(features, activation="relu") for features in dense[:-1]]
    layers.append(keras.layers.Dense(dense[-1]))
    model = keras.Sequential(layers)
    counted = model.count_params()
    model.set_weights(weights(name))
    x, y = pixels(name)
    logits = model(x.astype(np.float32) / 255.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, logits)
    to_numpy = keras.ops.convert_to_numpy
    return record(counted, to_numpy(logits), to_numpy(loss))


def in_torch(name):
    import torch
    from torch import nn

    image, convolutions, dense = NAMES[name]
    layers, channels = [], image[2]
    for features in convolutions:
        layers += [nn.Conv2d(channels, features, 3, 1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = features
    layers.append(nn.Flatten())
    before = shapes(image, convolutions, dense)[2 * len(convolutions)][0]
    for features in dense:
        layers += [nn.Linear(before, features), nn.ReLU()]
        before = features
    net = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for i, (value, given) in enumerate(zip(net.parameters(), weights(name), strict=True)):
            value.copy_(torch.tensor(as_torch(given, i, image, convolutions)))
    x, y = pixels(name)
    x = (torch.tensor(x).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5  # ToTensor, Normalize
    logits = net(x)
    loss = nn.CrossEntropyLoss()(logits, torch.as_tensor(y))
    loss.backward()
    norms = [value.grad.norm().item() for value in net.parameters()]
    counted = sum(value.numel() for value in net.parameters())
    both = (tensor.detach().numpy() for tensor in (logits, loss))
    return record(counted, *both) | {"gradient_norms": norms}


def as_torch(given, i, image, convolutions):
    """One of ``weights`` as PyTorch has it: outputs first, images flattened channel by channel."""
    if given.ndim == 4:
        return np.ascontiguousarray(given.transpose(3, 2, 0, 1))
    if given.ndim == 2 and i == 2 * len(convolutions):
        channels = convolutions[-1] if convolutions else image[2]
        side = math.isqrt(len(given) // channels)
        given = given.reshape(side, side, channels, -1).transpose(2, 0, 1, 3)
        given = given.reshape(-1, given.shape[-1])
    return np.ascontiguousarray(given.T)


def record(parameters, logits, loss):
    return {"parameters": parameters, "logits": logits.tolist(), "loss": float(loss)}
