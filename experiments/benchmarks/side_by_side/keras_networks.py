"""The networks as Keras models, and the names of their weights in Keras's order."""

import keras
from keras import layers

from experiments.benchmarks.side_by_side.workloads import BLOCKS, CONTEXT, HEADS, VOCABULARY, WIDTH


def mlp(workload):
    """Dense layers with ReLU."""
    *hidden, last = workload.sizes[1:]
    return [layers.Dense(size, "relu") for size in hidden] + [layers.Dense(last)]


def cnn(workload):
    """The notes' network."""
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, "relu"),
        layers.Dense(workload.outputs),
    ]


class Embedded(layers.Layer):
    """A character's embedding and that of its place."""

    def __init__(self):
        super().__init__()
        self.characters = layers.Embedding(VOCABULARY, WIDTH)
        self.places = layers.Embedding(CONTEXT, WIDTH)

    def build(self, shape):
        self.characters.build(shape)
        self.places.build((CONTEXT,))

    def call(self, x):
        return self.characters(x) + self.places(keras.ops.arange(CONTEXT))


def transformer():
    """Pre-norm blocks with Keras's own causal attention."""
    inputs = keras.Input((CONTEXT,), dtype="int32")
    x = Embedded()(inputs)
    norm = lambda x: layers.LayerNormalization(epsilon=1e-5)(x)
    for _ in range(BLOCKS):
        y = norm(x)
        x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y, use_causal_mask=True)
        x = x + layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, "relu")(norm(x)))
    return keras.Model(inputs, layers.Dense(VOCABULARY)(norm(x)))


def model_of(workload):
    """A model, and the paths of its weights."""
    if workload.network == "transformer":
        names = ["characters/embedding", "places/embedding"]
        for i in range(BLOCKS):
            parts = ["norm1", *(f"attention/{n}" for n in ("query", "key", "value", "out"))]
            names += [f"blocks/{i}/{part}" for part in (*parts, "norm2", "up", "down")]
        names += ["norm", "head"]
        return transformer(), [path for name in names for path in _leaves(name)]
    make = {"mlp": mlp, "cnn": cnn}[workload.network]
    shape = workload.sizes if workload.network == "cnn" else workload.sizes[:1]
    model = keras.Sequential([keras.Input(shape), *make(workload)])
    kinds = {"layers": len(workload.sizes) - 1}
    if workload.network == "cnn":
        kinds = {"convolutions": 3, "dense": 2}
    names = [f"{kind}/{i}" for kind, count in kinds.items() for i in range(count)]
    return model, [path for name in names for path in _leaves(name)]


def _leaves(name):
    if name.endswith("embedding"):
        return [name]
    first = "scale" if "norm" in name else "kernel"
    return [f"{name}/{first}", f"{name}/bias"]
