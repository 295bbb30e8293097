# %% [markdown]
# # 11.2. Las mismas redes en Keras, PyTorch y JAX
#
# Los apuntes traen redes enteras escritas en Keras o en PyTorch. Aquí se entrenan cinco de ellas
# junto a la nuestra, con los mismos pesos iniciales y los mismos datos, y la pérdida tiene que ser
# **la misma en cada paso**. Lo difícil no es el optimizador, del que ya se ocupó la lección 11.1:
# es saber dónde guarda cada biblioteca sus pesos, y en qué orden. (Para evaluar, los apuntes usan
# `torch.no_grad()`: PyTorch apunta cada operación por si luego se deriva, y así no lo hace. En JAX
# no hay nada que apagar, porque solo se deriva la función que se pide.)
#
# Donde `torch` y `keras` están instalados, se ejecutan aquí mismo. Donde no, hablan por ellos las
# pérdidas que dejaron escritas en `tests/golden/`. Para instalarlos: `pip install -e '.[parity]'`.
#
# **Al terminar sabrás** pasar los pesos de una red de una biblioteca a otra, trasponiendo y
# reordenando lo que haga falta; comprobar que dos redes son la misma antes de compararlas.
#
# **Hace falta** la [lección 11.1](11_1_las_mismas_reglas.py) y la
# [lección 9](09_redes_para_imagenes.py).

# %%
import inspect
import json
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import show, show_table
from jaxopt_course.course.claims import spanish
from jaxopt_course.course.frameworks import frameworks, in_float64
from jaxopt_course.course.lessons import measured
from jaxopt_course.course.places import named
from jaxopt_course.problems.convolution import convolve, max_pool

BLUE, ORANGE = "#0072B2", "#D55E00"
torch, keras = frameworks()

# %% [markdown]
# ## Las redes enteras
#
# Tal como están impresas, con su pérdida y su optimizador:
#
# | En los apuntes | Red | Pérdida | Optimizador |
# | --- | --- | --- | --- |
# | 001, Adam, Keras | 784-128-10, ReLU y softmax | entropía cruzada | `Adam(0.001)` |
# | 001, RMSProp, PyTorch | 784-128-10, ReLU | `CrossEntropyLoss` | `RMSprop(lr=0.001, alpha=0.9)` |
# | 001, momentum, Keras | 2 convoluciones, 2 densas | entropía cruzada | `SGD(0.01, momentum=0.9)`
# | 001, mini-lotes, PyTorch | ídem, para CIFAR-10 | `CrossEntropyLoss` | `SGD(lr=0.01)` |
# | 003, el banco, PyTorch | 20-64-64-1, ReLU y sigmoide | `BCELoss` | `Adam(lr=0.001)` |
#
# Los datos son imágenes y etiquetas al azar: para comparar dos programas sirven igual que las
# verdaderas, y no hay que descargarlas. Como no hay nada que aprender, la pérdida no tiene por qué
# bajar. Los lotes son de ocho, que dividen exactamente en binario (véase el quinto de la lección
# 11.1).

# %%
DENSE = [("flatten",), ("dense", 784, 128), ("dense", 128, 10)]
MNIST = [("conv", 1, 32), ("pool",), ("conv", 32, 64), ("pool",), ("flatten",)]
CIFAR = [("conv", 3, 32), ("pool",), ("conv", 32, 64), ("pool",), ("flatten",)]
BANK = [("dense", 20, 64), ("dense", 64, 64), ("dense", 64, 1)]
NETS = {  # forma de una entrada, capas; optimizador nuestro
    "001:627": ((28, 28, 1), DENSE, joc.adam(0.001, like="keras")),
    "001:815": ((28, 28, 1), DENSE, joc.rmsprop(0.001, decay=0.9, like="torch")),
    "001:442": (
        (28, 28, 1),
        [*MNIST, ("dense", 1600, 64), ("dense", 64, 10)],
        joc.sgd(0.01, momentum=0.9, like="keras"),
    ),
    "001:317": (
        (32, 32, 3),
        [*CIFAR, ("dense", 2304, 128), ("dense", 128, 10)],
        joc.sgd(0.01, like="torch"),
    ),
    "003:88": ((20,), BANK, joc.adam(0.001, like="torch")),
}

# %%
UPDATES, BATCH = 10, 8


# %%
def drawn(shape, layers):
    """Lotes, etiquetas y pesos iniciales, los mismos para cada biblioteca."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(UPDATES, BATCH, *shape))
    y = rng.integers(10 if len(shape) > 1 else 2, size=(UPDATES, BATCH))
    params = []
    for kind, *sizes in layers:
        if sizes:
            kernel = (3, 3, *sizes) if kind == "conv" else tuple(sizes)
            spread = 1 / math.sqrt(math.prod(kernel[:-1]))
            params.append((rng.normal(size=kernel) * spread, np.zeros(kernel[-1])))
    return x, y, params


# %% [markdown]
# La nuestra es una función de los pesos y los datos. La última capa no lleva activación: softmax y
# sigmoide van dentro de la pérdida, donde se pueden calcular sin desbordarse.


# %%
def outputs(layers, params, x):
    rest = iter(params)
    last = max(i for i, (kind, *_) in enumerate(layers) if kind == "dense")
    for i, (kind, *_) in enumerate(layers):
        if kind == "pool":
            x = max_pool(x, (2, 2), (2, 2))
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
        else:
            kernel, bias = next(rest)
            z = convolve(x, kernel, (1, 1), "VALID") if kind == "conv" else x @ kernel
            z = z + jnp.broadcast_to(bias, z.shape)
            x = z if i == last else jax.nn.relu(z)
    return x


def loss_of(layers, params, x, y):
    z = outputs(layers, params, x)
    if z.shape[1] == 1:
        return optax.sigmoid_binary_cross_entropy(z[:, 0], y).mean()
    return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()


def with_jax(name):
    """La pérdida de cada paso, antes de actualizar."""
    shape, layers, tx = NETS[name]
    x, y, params = drawn(shape, layers)

    def step(carry, batch):
        params, state = carry
        value, g = jax.value_and_grad(lambda p: loss_of(layers, p, *batch))(params)
        updates, state = tx.update(g, state, params)
        return (joc.apply_updates(params, updates), state), value

    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, params)
        run = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), (x, y))[1])
        return np.asarray(run(params))


# %% [markdown]
# En Keras los pesos se guardan como los nuestros: las densas, (entradas, salidas); las
# convoluciones, (alto, ancho, entradas, salidas); las imágenes, con los canales al final.


# %%
def with_keras(name):
    shape, layers, _ = NETS[name]
    x, y, params = drawn(shape, layers)
    sizes = [kernel.shape[-1] for kernel, _ in params]
    with in_float64(keras):
        of = keras.layers
        net = [of.Flatten(), of.Dense(sizes[-2], "relu"), of.Dense(sizes[-1], "softmax")]
        optimizer = keras.optimizers.Adam(0.001)
        if len(sizes) == 4:  # la convolucional
            for n in reversed(sizes[:2]):
                net = [of.Conv2D(n, 3, activation="relu"), of.MaxPooling2D(2), *net]
            optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        model = keras.Sequential([keras.Input(shape), *net])
        model.set_weights([w for pair in params for w in pair])
        criterion = keras.losses.SparseCategoricalCrossentropy()
        model.compile(optimizer=optimizer, loss=criterion)
        losses = []
        for images, labels in zip(x, y, strict=True):
            losses.append(float(criterion(labels, model(images))))
            model.train_on_batch(images, labels)
    return np.array(losses)


# %% [markdown]
# En PyTorch, no: las densas son (salidas, entradas), las convoluciones (salidas, entradas, alto,
# ancho), y las imágenes llevan los canales delante. Lo fácil de olvidar es lo que se sigue de ahí:
# al aplanar una imagen, PyTorch pone los canales primero y Keras al final, así que a la densa que
# viene después de una convolución hay que **reordenarle las filas**. Quien copia los pesos sin
# hacerlo obtiene otra red, con las mismas formas y sin ningún aviso.


# %%
def as_torch(kernel, image=None):
    """Un núcleo como lo guarda PyTorch; ``image`` es lo que se aplanó: alto, ancho, canales."""
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    if image is None:
        return kernel.T
    return kernel.reshape(*image, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)


def torch_net(layers):
    """La red impresa, sin su última activación."""
    of, parts = torch.nn, []
    for kind, *sizes in layers:
        if kind == "pool":
            parts.append(of.MaxPool2d(2))
        elif kind == "flatten":
            parts.append(of.Flatten())
        else:
            layer = of.Conv2d(*sizes, 3) if kind == "conv" else of.Linear(*sizes)
            parts += [layer.double(), of.ReLU()]
    return of.Sequential(*parts[:-1])


def with_torch(name, reorder=True):
    shape, layers, _ = NETS[name]
    x, y, params = drawn(shape, layers)
    if len(shape) == 3:
        x = x.transpose(0, 1, 4, 2, 3)
    net = torch_net(layers)
    own = list(net.parameters())
    convs = sum(kernel.ndim == 4 for kernel, _ in params)
    for i, (kernel, bias) in enumerate(params):
        flattened = (6, 6, 64) if reorder and 0 < i == convs else None
        own[2 * i].data = torch.tensor(as_torch(kernel, flattened))
        own[2 * i + 1].data = torch.tensor(bias)
    if name == "003:88":
        net = torch.nn.Sequential(net, torch.nn.Sigmoid(), torch.nn.Flatten(0))
        y = y.astype(float)
    criterion = torch.nn.BCELoss() if name == "003:88" else torch.nn.CrossEntropyLoss()
    optimizer = {
        "001:815": lambda p: torch.optim.RMSprop(p, lr=0.001, alpha=0.9),
        "001:317": lambda p: torch.optim.SGD(p, lr=0.01),
        "003:88": lambda p: torch.optim.Adam(p, lr=0.001),
    }[name](net.parameters())
    losses = []
    for inputs, labels in zip(torch.tensor(x), torch.tensor(y), strict=True):
        value = criterion(net(inputs), labels)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return np.array(losses)


# %% [markdown]
# Y ahora las cinco, paso a paso.

# %%
KERAS = ("001:627", "001:442")
live = {}
for name in NETS:
    library, run = (keras, with_keras) if name in KERAS else (torch, with_torch)
    if library is not None:
        live[name] = run(name)
if torch is not None:
    live["001:317, sin reordenar"] = with_torch("001:317", reorder=False)

# %%
STORED = json.loads(measured("snippets.json").read_text())["losses"]
rows, found = [], {name: with_jax(name) for name in NETS}
for name, ours in found.items():
    row = {
        "red": named(name),
        "biblioteca": "Keras" if name in KERAS else "PyTorch",
        "primera pérdida": ours[0],
        "última": ours[-1],
        "|Δ| archivo": np.abs(ours - STORED[name]).max(),
    }
    if name in live:
        row["|Δ| en vivo"] = np.abs(ours - live[name]).max()
    rows.append(row)
nets = pd.DataFrame(rows)
off = nets.filter(like="|Δ|")
show_table(nets, 4, index=False)
assert (off.max() <= 1e-12).all()

# %% [markdown]
# La comprobación puede fallar: con las filas de esa densa sin reordenar, la red de CIFAR-10 empieza
# en otra pérdida y sigue otro camino.

# %%
shuffled = np.array(STORED["001:317, sin reordenar"])
if torch is not None:
    assert np.abs(live["001:317, sin reordenar"] - shuffled).max() <= 1e-12
ours = found["001:317"]
print(spanish(f"primera pérdida: {ours[0]:.4f} con las filas en su orden, "), end="")
print(spanish(f"{shuffled[0]:.4f} sin reordenar"))
assert np.abs(shuffled - ours).min() > 1e-6 and np.abs(shuffled - ours).max() > 1e-2

fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
steps = np.arange(1, UPDATES + 1)
ax.plot(steps, ours, color=BLUE, lw=2.5, label="JAX")
ax.plot(steps, STORED["001:317"], "o", color="black", mfc="none", ms=9, label="PyTorch")
ax.plot(steps, shuffled, "s--", color=ORANGE, label="PyTorch, sin reordenar las filas")
ax.set(xlabel="paso", ylabel="pérdida del lote", title="La red de CIFAR-10 de los apuntes 001")
ax.legend()
show(fig, "cifar", "La pérdida de la red de CIFAR-10, con las filas de la densa en orden y sin él")

# %% [markdown]
# Las dos redes tienen las mismas formas y los mismos números, y son otras. Ninguna biblioteca
# avisa.
#
# ## Los fragmentos, tal cual
#
# Varios fragmentos de los apuntes 001 y 003 no se ejecutan como están impresos: unos por erratas,
# otro porque Keras 3 ya no admite listas. Donde las bibliotecas están instaladas, esto es lo que
# responden. El último no falla: el lote que «se activa automáticamente» en Keras es de 32 ejemplos
# (E24).


# %%
def refusal(action):
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:90]}"
    raise AssertionError("it ran")


if torch is not None:
    convolutions = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3), torch.nn.MaxPool2d(2), torch.nn.Conv2d(32, 64, 3),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(9216, 128),
    )  # fmt: skip
    print("Linear(9216, 128): ", refusal(lambda: convolutions(torch.zeros(1, 1, 28, 28))))
    half = torch.full((4, 1), 0.5)
    print("BCELoss: ", refusal(lambda: torch.nn.BCELoss()(half, torch.ones(4))))
if keras is not None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mean_squared_error")
    print("fit con listas: ", refusal(lambda: model.fit([1, 2, 3], [1, 2, 3], verbose=0)))
    default = inspect.signature(model.fit).parameters["batch_size"].default
    batches = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: batches.append(i))
    model.fit(np.ones((100, 1)), np.ones((100, 1)), verbose=0, callbacks=[count])
    print(
        f"fit sin batch_size: lotes de {default}, {len(batches)} pasos por época con 100 ejemplos"
    )
    assert len(batches) == math.ceil(100 / 32)
if torch is None or keras is None:
    print("(no todas están instaladas: véanse N1 y E30 en la lección 10.4, y E24 en la 10.5)")

# %% [markdown]
# ## En resumen
#
# - Keras guarda las densas como (entradas, salidas) y los canales al final; PyTorch, al revés.
# - Después de aplanar una imagen hay que reordenar las filas de la densa: las formas no avisan.
# - Dos redes son la misma si su pérdida coincide en cada paso, no si las curvas se parecen.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice si la primera pérdida cambia al no reordenar cuando todas las entradas de una imagen
#    son iguales.
# 2. Donde Keras esté instalado, pon lotes de diez en vez de ocho. ¿Se separa de las nuestras, como
#    con los cinco puntos de la 11.1? (Lo guardado en archivos es de lotes de ocho.)
# 3. Escribe `as_torch` para una convolución de una dimensión.
# 4. Demuestra que permutar las filas de la densa con la permutación de las entradas deja la salida
#    igual.
#
# ## Para leer más
#
# - LeCun y otros (1998), «Gradient-Based Learning Applied to Document Recognition».
# - Chollet (2021), *Deep Learning with Python*.
# - Paszke y otros (2019), «PyTorch: An Imperative Style, High-Performance Deep Learning Library».
