# %% [markdown]
# # 11.1. Las mismas reglas en Keras, PyTorch y JAX
#
# Los apuntes escriben cada método dos veces, en Keras y en PyTorch. Los nombres coinciden; los
# números, no siempre. Esta lección pone los fragmentos al lado de los nuestros y exige **los mismos
# números**, no curvas parecidas: doce cifras en cada paso. La lección 11.2 hace lo mismo con las
# redes enteras, y la 11.3 mide lo que cuesta cambiar de biblioteca sin mirar.
#
# Donde `torch` y `keras` están instalados, se ejecutan aquí mismo. Donde no, hablan por ellos los
# archivos de `tests/golden/`: trayectorias que hicieron los propios Keras y PyTorch, guardadas
# paso a paso. Para instalarlos: `pip install -e '.[parity]'`.
#
# **Al terminar sabrás** escribir el mismo entrenamiento en las tres bibliotecas; exigir igualdad
# paso a paso en vez de curvas parecidas; decir cuándo se separan el momentum de Keras y el de
# PyTorch.
#
# **Hace falta** las lecciones [3](03_momentum.py) y [5](05_adam.py).

# %%
import json

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import show, show_table
from jaxopt_course.course.claims import spanish
from jaxopt_course.course.frameworks import frameworks, in_float64
from jaxopt_course.course.lessons import measured
from jaxopt_course.course.places import named
from jaxopt_course.course.walks import walk

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
torch, keras = frameworks()

# %% [markdown]
# ## Una regresión, tres veces
#
# El primer ejemplo de los apuntes 001: cinco puntos sobre $y = x$, una neurona lineal, error
# cuadrático medio y descenso de gradiente con tasa 0,01. En Keras el bucle está dentro de `fit`:
#
# ```python
# model = keras.Sequential([keras.layers.Dense(1)])
# model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mean_squared_error")
# model.fit(x, y, epochs=100, batch_size=len(x))
# ```
#
# Sin `optimizer=`, `compile` toma `"rmsprop"`: lo dicen los apuntes 000, y así sigue en Keras 3.
#
# En PyTorch se escribe a mano, y el gradiente vive en los parámetros (`zero_grad`, `backward`):
#
# ```python
# for epoch in range(100):
#     loss = criterion(model(x), y)
#     optimizer.zero_grad()
#     loss.backward()
#     optimizer.step()
# ```
#
# En JAX el gradiente es el valor de una función, y el optimizador también es una función: recibe
# gradiente y estado, y devuelve actualización y estado. Nada se modifica en su sitio.

# %%
X = np.arange(1.0, 6.0)[:, None]  # (5, 1), como los objetivos: véase la errata E22
ETA, EPOCHS = 0.01, 100


def loss(params, x):
    return jnp.mean((x @ params["kernel"] + params["bias"] - x) ** 2)


def with_ours(tx, x=X):
    """Peso y sesgo tras cada época."""
    params = {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros((1, 1))}
    state, path = tx.init(params), []

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.grad(loss)(params, x), state, params)
        return joc.apply_updates(params, updates), state

    for _ in range(EPOCHS):
        params, state = step(params, state)
        path.append([params["kernel"][0, 0], params["bias"][0, 0]])
    return np.array(path)


# %% [markdown]
# La regla, $\theta \leftarrow \theta - \eta\,\nabla_\theta J(\theta)$, se deja escribir en NumPy
# en dos líneas, y sirve de árbitro.


# %%
def descend(theta, eta):
    error = X[:, 0] * theta[0] + theta[1] - X[:, 0]
    return theta - eta * 2 * np.array([np.mean(error * X[:, 0]), np.mean(error)])


def equal(a, b, tolerance=1e-12):
    """Si todos los números coinciden, en relación con el mayor."""
    return np.abs(np.subtract(a, b)).max() <= tolerance * max(1.0, np.abs(b).max())


by_hand = [descend(np.zeros(2), ETA)]
for _ in range(EPOCHS - 1):
    by_hand.append(descend(by_hand[-1], ETA))
with jax.enable_x64(True):
    ours = with_ours(joc.sgd(ETA))
assert equal(ours, by_hand)
print(spanish(f"tras {EPOCHS} épocas: w = {ours[-1, 0]:.6f}, b = {ours[-1, 1]:.6f}"))


# %%
def with_torch():
    x = torch.tensor(X)  # float64, como los de NumPy
    model = torch.nn.Linear(1, 1, dtype=torch.float64)
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    criterion, optimizer = torch.nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=ETA)
    path = []
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        criterion(model(x), x).backward()
        optimizer.step()
        path.append([model.weight.item(), model.bias.item()])
    return np.array(path)


def with_keras(x=X):
    with in_float64(keras):
        layer = keras.layers.Dense(1, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((1,)), layer])
        model.compile(optimizer=keras.optimizers.SGD(ETA), loss="mean_squared_error")
        path = []
        record = lambda epoch, logs: path.append([w.item() for w in layer.get_weights()])
        callback = keras.callbacks.LambdaCallback(on_epoch_end=record)
        model.fit(x, x, epochs=EPOCHS, batch_size=len(x), verbose=0, callbacks=[callback])
    return np.array(path)


if torch is not None:
    theirs = with_torch()
    off = np.abs(theirs - ours).max()
    print(spanish(f"PyTorch: la mayor diferencia en {EPOCHS} épocas es {off:.0e}"))
    assert equal(theirs, ours)

# %% [markdown]
# Keras guarda una sorpresa: aunque se le pida doble precisión, divide el error cuadrático entre el
# número de ejemplos en precisión simple. Un quinto no es exacto en binario, y la diferencia asoma
# hacia la novena cifra. Con cuatro puntos, un cuarto sí lo es, y vuelven a coincidir todas.

# %%
if keras is not None:
    with jax.enable_x64(True):
        ours_of_four = with_ours(joc.sgd(ETA), X[:4])
    for x, path, tolerance in ((X, ours, 1e-7), (X[:4], ours_of_four, 1e-12)):
        off = np.abs(with_keras(x) - path).max()
        print(spanish(f"Keras, {len(x)} puntos: la mayor diferencia es {off:.0e}"))
        assert off <= tolerance

# %% [markdown]
# Lo que en Keras es `fit` aquí también lo es, con los datos y la red juntos en una tarea. `line`
# es justamente esta regresión:

# %%
trained = joc.fit("line", joc.sgd(ETA), epochs=EPOCHS, batch_size=len(X))
weights = trained.state.params["layers"][0]
w, b = weights["kernel"][0, 0], weights["bias"][0]
print(spanish(f"w = {w:.4f}, b = {b:.4f}  (desde pesos al azar)"))
assert trained.metrics["valid_loss"] < float(trained.curves["valid_loss"][0])

# %% [markdown]
# ## Cada llamada de los apuntes
#
# Ahora todas. El terreno es un tazón con algo de cuarto grado, en seis dimensiones y con curvaturas
# muy distintas; cada optimizador da treinta pasos desde el mismo sitio. `like="keras"` y
# `like="torch"` toman la regla **y** los valores por defecto de esa biblioteca.

# %%
PATHS = np.load(measured("trajectories.npz"))["float64"]  # recorrido, tasa, bucle, paso, coordenada
RUNS = list(json.loads(measured("trajectories.json").read_text())["rates"])
OTHERS = json.loads(measured("snippets.json").read_text())["paths"]  # lo que no está en RUNS
CONSTANT, FALLING, CLOSED = 0, 1, 1
START, STEPS = np.array([0.5, -1.0, 2.0, 1.5, -2.0, 1.0]), 30
A, C = np.linspace(0.1, 3.0, 6), np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0])


def slope(w, t=None):
    return A * (w - C) + 0.05 * w**3


def golden(run, rate=CONSTANT):
    """El camino del propio Keras o PyTorch, de los archivos."""
    if run in RUNS:
        return PATHS[RUNS.index(run), rate, CLOSED]
    return np.array(OTHERS[run])


# %% [markdown]
# Y así se les hace andar a ellos, donde están: se les da el gradiente y se les pide un paso.


# %%
def torch_walk(kind, arguments):
    w, path = torch.tensor(START, requires_grad=True), []
    optimizer = getattr(torch.optim, kind)([w], **arguments)
    for _ in range(STEPS):
        w.grad = torch.tensor(slope(w.detach().numpy()))
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


def keras_walk(kind, arguments):
    with in_float64(keras):
        w, path = keras.Variable(START, dtype="float64"), []
        optimizer = getattr(keras.optimizers, kind)(**arguments)
        optimizer.build([w])
        for _ in range(STEPS):
            at = keras.ops.convert_to_numpy(w)
            optimizer.apply([keras.ops.convert_to_tensor(slope(at), dtype="float64")], [w])
            path.append(keras.ops.convert_to_numpy(w))
    return np.array(path)


LIVE = {"keras": keras and keras_walk, "torch": torch and torch_walk}

# %% [markdown]
# Una fila por llamada: dónde está, cómo se llama allí, cómo se llama aquí, y hasta dónde se apartan
# las dos trayectorias en los treinta pasos.

# %%
PLAIN, HEAVY = {"learning_rate": 0.01}, {"learning_rate": 0.01, "momentum": 0.9}
AHEAD, ALPHA = {**HEAVY, "nesterov": True}, {"learning_rate": 0.001, "decay": 0.9}
TORCH_1, TORCH_2 = {"lr": 0.01}, {"lr": 0.01, "momentum": 0.9}
TORCH_3, TORCH_4 = {"lr": 0.001}, {"lr": 0.001, "alpha": 0.9}

# %%
CALLS = [  # sitio, biblioteca, clase, sus argumentos; receta nuestra, los suyos; en los archivos
    ("000:8", "keras", "SGD", PLAIN, "sgd", {}, "keras.sgd.defaults"),
    ("001:453", "keras", "SGD", HEAVY, "sgd", HEAVY, "keras.momentum.defaults"),
    ("000:44", "keras", "SGD", AHEAD, "sgd", AHEAD, "keras.nesterov.defaults"),
    ("000:54", "keras", "RMSprop", {}, "rmsprop", {}, "keras.rmsprop.defaults"),
    ("000:81", "keras", "Adam", {}, "adam", {}, "keras.adam.defaults"),
    ("000:113", "keras", "AdamW", {}, "adamw", {}, "keras.adamw.defaults"),
    ("000:118", "keras", "Adagrad", {}, "adagrad", {}, "keras.adagrad.defaults"),
    ("000:123", "keras", "Adadelta", {}, "adadelta", {}, "keras.adadelta.defaults"),
    ("000:128", "keras", "Adamax", {}, "adamax", {}, "keras.adamax.defaults"),
    ("001:91", "torch", "SGD", TORCH_1, "sgd", PLAIN, "001:91"),
    ("001:509", "torch", "SGD", TORCH_2, "sgd", HEAVY, "001:509"),
    ("001:665", "torch", "Adam", TORCH_3, "adam", {}, "torch.adam.defaults"),
    ("001:832", "torch", "RMSprop", TORCH_4, "rmsprop", ALPHA, "001:832"),
]


# %%
def call(name, arguments):
    """Como en código; la tasa, en la nuestra y en Keras, va delante y sin nombre."""
    parts = [str(v) if k == "learning_rate" else f"{k}={v}" for k, v in arguments.items()]
    return f"{name}({', '.join(parts)})"


live = {run: LIVE[like](kind, theirs) for _, like, kind, theirs, *_, run in CALLS if LIVE[like]}

# %%
rows = []
for where, like, kind, theirs, recipe, arguments, run in CALLS:
    path = walk(getattr(joc, recipe)(**arguments, like=like), slope, START, STEPS)
    row = {
        "apuntes": named(where),
        "allí": call(f"{like} {kind}", theirs),
        "aquí": call(f"joc.{recipe}", {**arguments, "like": f'"{like}"'}),
        "|Δθ| archivo": np.abs(path - golden(run)).max(),
    }
    if run in live:
        row["|Δθ| en vivo"] = np.abs(path - live[run]).max()
    rows.append(row)
calls = pd.DataFrame(rows)
worst = calls.filter(like="|Δθ|").max()
assert (worst <= 1e-12).all(), worst
show_table(calls, 1, index=False)

# %% [markdown]
# Diferencias del orden de $10^{-16}$: el último bit. No son aproximaciones, son las mismas reglas.
# Con la regla de la otra biblioteca no saldría: he aquí RMSProp a la manera de PyTorch, con los
# números de Keras, frente a la trayectoria de Keras.

# %%
crossed = walk(joc.rmsprop(0.001, decay=0.9, eps=1e-7, like="torch"), slope, START, STEPS)
off = np.abs(crossed - golden("keras.rmsprop.defaults")).max()
print(spanish(f"RMSProp con la regla de PyTorch y los números de Keras: {off:.0e}"))
assert off > 1e-10

# %% [markdown]
# ## La tasa que decae y el momentum
#
# Con tasa constante, el momentum de Keras y el de PyTorch son el mismo. Keras guarda la tasa
# **dentro** de la velocidad; PyTorch la aplica **fuera**, al final:
#
# $$\text{Keras: } v \leftarrow \mu v - \eta_s g, \qquad \theta \leftarrow \theta + v$$
#
# $$\text{PyTorch: } b \leftarrow \mu b + g, \qquad \theta \leftarrow \theta - \eta_s b$$
#
# Si $\eta_s$ cambia, dejan de coincidir: al bajar la tasa, la bola de PyTorch frena en el acto, y
# la de Keras conserva la velocidad que traía.


# %%
def keras_momentum(w, v, g, eta, mu=0.9):
    v = mu * v - eta * g
    return w + v, v


def torch_momentum(w, b, g, eta, mu=0.9):
    b = mu * b + g
    return w - eta * b, b


# %%
DROP, LONG = 10, 80


def fallen(s):
    """Un décimo de la tasa desde el paso DROP; NumPy o JAX."""
    return 0.02 * (1 - 0.9 * (s >= DROP))


def roll(rule, rate, start=START, slope=slope):
    """El camino de una regla cuya tasa depende del paso, contado desde 0."""
    return walk(lambda w, v, slope, t: rule(w, v, slope(w, t), rate(t - 1)), slope, start, LONG)


# %%
rolled = {"keras": roll(keras_momentum, fallen), "torch": roll(torch_momentum, fallen)}
for like, path in rolled.items():
    tx = joc.sgd(fallen, momentum=0.9, like=like)
    assert equal(path, walk(tx, slope, START, LONG))
constant = lambda s: 0.02
assert equal(roll(keras_momentum, constant), roll(torch_momentum, constant))
apart = np.abs(rolled["keras"] - rolled["torch"]).max()
print(spanish(f"la misma tasa que baja: se separan hasta {apart:.3f}"))
assert apart > 0.05

# %% [markdown]
# Y lo dicen ellos mismos: en sus trayectorias con tasa decreciente, nuestro `like="keras"` calca
# la de Keras, y el momentum «normal», con la tasa fuera, no.

# %%
falling = joc.inverse_time_decay(0.01, 0.5)
theirs = golden("keras.momentum.defaults", FALLING)
right, wrong = (
    np.abs(walk(tx, slope, START, STEPS) - theirs).max()
    for tx in (joc.sgd(falling, momentum=0.9, like="keras"), joc.sgd(falling, momentum=0.9))
)
print(spanish(f"frente a Keras, con η = 0.01/(1+s/2): con like='keras', {right:.0e};"), end=" ")
print(spanish(f"sin decirlo, {wrong:.2f}"))
assert right <= 1e-12 < 0.05 < wrong

# %%
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
bowl, start = lambda w, t: w, np.array([1.0])
for like, rule, color in (("Keras", keras_momentum, BLUE), ("PyTorch", torch_momentum, ORANGE)):
    path = np.concatenate([start, roll(rule, fallen, start, bowl)[:, 0]])
    ax.plot(path, color=color, lw=2.5, label=like, ls="-" if like == "Keras" else "--")
ax.axvline(DROP, color=GREY, lw=1)
ax.annotate("la tasa baja a un décimo", (DROP, 1), xytext=(6, -4), textcoords="offset points")
ax.axhline(0, color=GREY, lw=1)
ax.set(xlabel="paso", ylabel="posición $w$ en ½$w$² (el óptimo es 0)")
ax.legend()
show(fig, "tasa_que_cae", "El momentum de Keras y el de PyTorch cuando la tasa baja a un décimo")

# %% [markdown]
# La bola de PyTorch frena en cuanto baja la tasa; la de Keras sigue con la velocidad que traía y
# tarda en notar el cambio.
#
# ## En resumen
#
# - Con los mismos números y la misma regla, las tres bibliotecas dan la misma trayectoria hasta el
#   último bit.
# - Lo que se llama igual puede no serlo: hay que mirar la regla y los valores por defecto.
# - El momentum de Keras lleva la tasa dentro de la velocidad; con tasa constante no se nota.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice qué pasa si la tasa **sube** diez veces en el paso 10. ¿Cuál de las dos bolas se entera
#    antes?
# 2. Cambia la fila de Adam de `CALLS` para que use la regla de PyTorch. ¿En qué cifra se aparta?
# 3. Escribe el bucle de PyTorch de la regresión con `joc.adam` en lugar de su optimizador.
# 4. Demuestra que con tasa constante $v=-\eta b$, y que por eso las dos reglas son la misma.
#
# ## Para leer más
#
# - Paszke y otros (2019), «PyTorch: An Imperative Style, High-Performance Deep Learning Library».
# - Chollet y otros (2015), *Keras*, documentación de `keras.optimizers`.
# - Sutskever y otros (2013), «On the importance of initialization and momentum in deep learning».
