# %% [markdown]
# # 11. Keras, PyTorch y JAX
#
# Los apuntes escriben cada método dos veces, en Keras y en PyTorch. Los nombres coinciden; los
# números, no siempre. Esta lección pone los fragmentos al lado de los nuestros y exige **los
# mismos números**, no curvas parecidas: doce cifras en cada paso.
#
# Donde `torch` y `keras` están instalados, se ejecutan aquí mismo. Donde no, hablan por ellos los
# archivos de `tests/golden/`: trayectorias que hicieron los propios Keras y PyTorch, guardadas
# paso a paso. Para instalarlos: `pip install -e '.[parity]'`.

# %%
import contextlib
import inspect
import io
import json
import math
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show

os.environ.setdefault("KERAS_BACKEND", "jax")
try:
    import torch
except ImportError:
    torch = None
try:
    import keras
except ImportError:
    keras = None

joc.use_cpu_cores()
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
for name, module in (("PyTorch", torch), ("Keras", keras)):
    print(name, "no está instalado" if module is None else f"{module.__version__}, en vivo")

# %% [markdown]
# ## Una regresión, tres veces
#
# El primer ejemplo de 001: cinco puntos sobre $y = x$, una neurona lineal, error cuadrático medio
# y descenso de gradiente con tasa 0,01. En Keras el bucle está dentro de `fit`:
#
# ```python
# model = keras.Sequential([keras.layers.Dense(1)])
# model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mean_squared_error")
# model.fit(x, y, epochs=100, batch_size=len(x))
# ```
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
X = np.arange(1.0, 6.0)[:, None]  # (5, 1), and so are the targets: see erratum E22
ETA, EPOCHS = 0.01, 100


def loss(params, x):
    return jnp.mean((x @ params["kernel"] + params["bias"] - x) ** 2)


def with_ours(tx, x=X):
    """Weight and bias after each epoch."""
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
    """Whether all numbers agree, relative to the largest."""
    return np.abs(np.subtract(a, b)).max() <= tolerance * max(1.0, np.abs(b).max())


by_hand = [descend(np.zeros(2), ETA)]
for _ in range(EPOCHS - 1):
    by_hand.append(descend(by_hand[-1], ETA))
with jax.enable_x64(True):
    ours = with_ours(joc.sgd(ETA))
assert equal(ours, by_hand)
print(f"tras {EPOCHS} épocas: w = {ours[-1, 0]:.6f}, b = {ours[-1, 1]:.6f}")


# %%
def with_torch():
    x = torch.tensor(X)  # float64, as NumPy's
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


@contextlib.contextmanager
def keras_in_float64():
    before = keras.config.floatx()
    with jax.enable_x64(True):
        keras.config.set_floatx("float64")
        try:
            yield
        finally:
            keras.config.set_floatx(before)


def with_keras(x=X):
    with keras_in_float64():
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
    print(f"PyTorch: la mayor diferencia en {EPOCHS} épocas es {np.abs(theirs - ours).max():.0e}")
    assert equal(theirs, ours)

# %% [markdown]
# Keras guarda una sorpresa: aunque se le pida doble precisión, divide la pérdida entre el número
# de ejemplos en precisión simple. Un quinto no es exacto en binario, y la diferencia asoma hacia
# la novena cifra. Con cuatro puntos, un cuarto sí lo es, y vuelven a coincidir todas.

# %%
if keras is not None:
    with jax.enable_x64(True):
        ours_of_four = with_ours(joc.sgd(ETA), X[:4])
    for x, path, tolerance in ((X, ours, 1e-7), (X[:4], ours_of_four, 1e-12)):
        off = np.abs(with_keras(x) - path).max()
        print(f"Keras, {len(x)} puntos: la mayor diferencia en {EPOCHS} épocas es {off:.0e}")
        assert off <= tolerance

# %% [markdown]
# Lo que en Keras es `fit` aquí también lo es, con los datos y la red juntos en una tarea. `line`
# es justamente esta regresión:

# %%
trained = joc.fit("line", joc.sgd(ETA), epochs=EPOCHS, batch_size=len(X))
weights = trained.state.params["layers"][0]
print(f"w = {weights['kernel'][0, 0]:.4f}, b = {weights['bias'][0]:.4f}  (desde pesos al azar)")
assert trained.metrics["valid_loss"] < float(trained.curves["valid_loss"][0])

# %% [markdown]
# ## Cada llamada de los apuntes
#
# Ahora todas. El terreno es un cuenco con algo de cuarto grado, en seis dimensiones y con
# curvaturas muy distintas; cada optimizador da treinta pasos desde el mismo sitio. `like="keras"`
# y `like="torch"` toman la regla **y** los valores por defecto de esa biblioteca.

# %%
GOLDEN = Path(joc.__file__).parents[1] / "tests" / "golden"
PATHS = np.load(GOLDEN / "trajectories.npz")["float64"]  # run x rate x loop x step x coordinate
RUNS = list(json.loads((GOLDEN / "trajectories.json").read_text())["rates"])
CONSTANT, FALLING, CLOSED = 0, 1, 1
START, STEPS = np.array([0.5, -1.0, 2.0, 1.5, -2.0, 1.0]), 30
A, C = np.linspace(0.1, 3.0, 6), np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0])


def slope(w):
    return A * (w - C) + 0.05 * w**3


def golden(run, rate=CONSTANT):
    """Keras's or PyTorch's own path, from the file."""
    return PATHS[RUNS.index(run), rate, CLOSED]


def walk(tx, steps=STEPS, slope=slope, start=START):
    """Our path, in float64."""

    def step(carry, _):
        w, state = carry
        u, state = tx.update(slope(w), state, w)
        w = joc.apply_updates(w, u)
        return (w, state), w

    def path(w):
        return jax.lax.scan(step, (w, tx.init(w)), length=steps)[1]

    with jax.enable_x64(True):
        return np.asarray(jax.jit(path)(start))


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
    with keras_in_float64():
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
# Una fila por llamada: dónde está, cómo se llama allí, cómo se llama aquí, y qué trayectoria
# guardada la atestigua. Tres de PyTorch no están guardadas con los números de los apuntes; su
# archivo usa otros, que se escriben en la última columna.

# %%
PLAIN, HEAVY = {"learning_rate": 0.01}, {"learning_rate": 0.01, "momentum": 0.9}
AHEAD, ALPHA = {**HEAVY, "nesterov": True}, {"learning_rate": 0.001, "decay": 0.9}
FILE_1, FILE_2 = {"learning_rate": 0.02}, {"learning_rate": 0.02, "momentum": 0.7}
FILE_3 = {"learning_rate": 0.02, "decay": 0.8, "eps": 1e-3}
TORCH_1, TORCH_2 = {"lr": 0.01}, {"lr": 0.01, "momentum": 0.9}
TORCH_3, TORCH_4 = {"lr": 0.001}, {"lr": 0.001, "alpha": 0.9}
CALLS = [  # place, library, class, its arguments; our recipe, arguments; file, arguments there
    ("000:8", "keras", "SGD", PLAIN, "sgd", {}, "sgd.defaults", {}),
    ("001:453", "keras", "SGD", HEAVY, "sgd", HEAVY, "momentum.defaults", {}),
    ("000:44", "keras", "SGD", AHEAD, "sgd", AHEAD, "nesterov.defaults", {}),
    ("000:54", "keras", "RMSprop", {}, "rmsprop", {}, "rmsprop.defaults", {}),
    ("000:81", "keras", "Adam", {}, "adam", {}, "adam.defaults", {}),
    ("000:113", "keras", "AdamW", {}, "adamw", {}, "adamw.defaults", {}),
    ("000:118", "keras", "Adagrad", {}, "adagrad", {}, "adagrad.defaults", {}),
    ("000:123", "keras", "Adadelta", {}, "adadelta", {}, "adadelta.defaults", {}),
    ("000:128", "keras", "Adamax", {}, "adamax", {}, "adamax.defaults", {}),
    ("001:91", "torch", "SGD", TORCH_1, "sgd", PLAIN, "sgd.given", FILE_1),
    ("001:509", "torch", "SGD", TORCH_2, "sgd", HEAVY, "momentum.given", FILE_2),
    ("001:665", "torch", "Adam", TORCH_3, "adam", {}, "adam.defaults", {}),
    ("001:832", "torch", "RMSprop", TORCH_4, "rmsprop", ALPHA, "rmsprop.given", FILE_3),
]


def call(name, arguments):
    """As in code; the learning rate of ours and of Keras's comes first, without its name."""
    parts = [str(v) if k == "learning_rate" else f"{k}={v}" for k, v in arguments.items()]
    return f"{name}({', '.join(parts)})"


rows = []
for where, like, kind, theirs, recipe, arguments, file, stored in CALLS:
    make = getattr(joc, recipe)
    tx = make(**arguments, like=like)
    path = walk(tx)
    live = np.abs(path - LIVE[like](kind, theirs)).max() if LIVE[like] else np.nan
    kept = path if not stored else walk(make(**stored, like=like))
    rows.append(
        {
            "apunte": where,
            "allí": call(f"{like} {kind}", theirs),
            "aquí": call(f"joc.{recipe}", {**arguments, "like": f'"{like}"'}),
            "|Δθ| archivo": np.abs(kept - golden(f"{like}.{file}")).max(),
            "|Δθ| en vivo": live,
            "archivo": call(file, stored) if stored else file,
        }
    )
calls = pd.DataFrame(rows)
assert (calls["|Δθ| archivo"] <= 1e-12).all()
assert (calls["|Δθ| en vivo"].dropna() <= 1e-12).all()
print(calls.to_string(index=False, float_format="{:.0e}".format))

# %% [markdown]
# Diferencias del orden de $10^{-16}$: el último bit. No son aproximaciones, son las mismas reglas.
#
# ## ¿En qué se distinguen?
#
# `joc.explain` compara dos bibliotecas: los valores por defecto, la regla en una línea, y cuánto
# se separan sus trayectorias en cien pasos. RMSProp es el caso más completo: cambian la tasa, el
# olvido, el $\varepsilon$ y hasta el lugar del $\varepsilon$.

# %%
explained = {"rmsprop": joc.explain("keras", "torch", optimizer="rmsprop")}
# %% [markdown]
# La misma pregunta para los demás. Tres columnas de distancia: cada biblioteca con sus propios
# valores; PyTorch con los números de Keras; y lo mismo, con una tasa que decae. Un cero (o el
# último bit) en la segunda quiere decir que la regla es la misma y que todo el problema era de
# números.

# %%
METHODS = ["sgd", "momentum", "nesterov", "adagrad", "adadelta", "adam", "adamax"]
for recipe in ["momentum", "adam"] if quick() else METHODS:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints, and it returns the same
        explained[recipe] = joc.explain("keras", "torch", optimizer=recipe)


def is_number(x):
    return isinstance(x, int | float) and not isinstance(x, bool)


rows = []
for recipe, found in explained.items():
    unlike = {k: v for k, v in found.arguments.items() if v[0] != v[1] and all(map(is_number, v))}
    rows.append(
        {
            "método": recipe,
            "valores distintos (Keras, PyTorch)": "; ".join(
                f"{k}: {a:g}, {b:g}" for k, (a, b) in unlike.items()
            ),
            "cada uno los suyos": found.own_defaults,
            "iguales números": found.equal_numbers,
            "y tasa que decae": found.scheduled,
        }
    )
differences = pd.DataFrame(rows).set_index("método")
print(differences.to_string(float_format="{:.1e}".format))
assert differences.loc["momentum", "iguales números"] <= 1e-12
assert differences.loc["momentum", "y tasa que decae"] > 1e-3
assert differences.loc["adam", "iguales números"] > 1e-12  # where ε stands

# %% [markdown]
# ## Lo que cuesta olvidarlo
#
# Se entrena la misma red con los mismos pesos iniciales y los mismos lotes, tres veces por método:
# con los valores por defecto de Keras, con los de PyTorch, y con la regla de PyTorch y los números
# de Keras. Es un solo barrido: la biblioteca imitada es una columna más de la tabla. En Keras o en
# PyTorch serían otros tantos programas.

# %%
KERAS = {  # the numbers of Keras, in the words of our recipes
    "sgd": {"learning_rate": 0.01},
    "momentum": {"learning_rate": 0.01},
    "adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "eps": 1e-7},
    "rmsprop": {"learning_rate": 0.001, "decay": 0.9, "eps": 1e-7},
    "adadelta": {"learning_rate": 0.001, "rho": 0.95, "eps": 1e-7},
    "adam": {"learning_rate": 0.001, "eps": 1e-7},
}
tested = ["sgd", "adadelta", "adam"] if quick() else list(KERAS)
SEEDS = range(3 if quick() else 8)
own = joc.grid(optimizer=[f"{b}.{m}" for m in tested for b in ("keras", "torch")], seed=SEEDS)
copied = [joc.grid(optimizer=f"torch.{m}", seed=SEEDS, **KERAS[m]) for m in tested]
trials = pd.concat(
    [own.assign(who=own["optimizer"].str[:5]), *(c.assign(who="both") for c in copied)]
)
study = joc.sweep(
    "digits", trials.drop(columns="who"), epochs=6 if quick() else 20, batch_size=64, progress=False
)
result = study.trials.assign(who=trials["who"].to_numpy())
result["method"] = result["optimizer"].str.partition(".")[2]
accuracy = result.groupby(["method", "who"])["valid_accuracy"].agg(["mean", "min", "max"])
print(accuracy.round(3).to_string())

# %%
mean = accuracy["mean"].unstack().loc[tested]
assert mean.loc["adadelta", "torch"] > mean.loc["adadelta", "keras"] + 0.3
assert mean.loc["sgd", "keras"] > mean.loc["sgd", "torch"] + 0.1
alike = mean.loc[mean.index.isin(["adam", "rmsprop"])]
assert (alike["keras"] - alike["torch"]).abs().max() < 0.02
assert (mean["both"] - mean["keras"]).abs().max() < 0.02  # with equal numbers, equal results

looks = {
    "keras": ("Keras", BLUE, "o", 9),
    "torch": ("PyTorch", ORANGE, "s", 13),
    "both": ("PyTorch, números de Keras", "black", "x", 8),
}
fig, ax = plt.subplots(figsize=(7, 1.2 + 0.55 * len(tested)), layout="constrained")
rows = np.arange(len(tested))
ax.hlines(rows, mean.min(axis=1), mean.max(axis=1), color="#CCCCCC", lw=3, zorder=0)
for who, (label, color, marker, size) in looks.items():
    fill = "none" if marker == "s" else color
    ax.plot(mean[who], rows, marker, color=color, mfc=fill, mew=2, ms=size, label=label)
ax.set(xlabel="exactitud de validación (media de las semillas)", ylim=(len(tested) - 0.5, -0.5))
ax.set_yticks(rows, tested)
ax.set_title("La misma red con los valores por defecto de cada biblioteca", fontsize=11)
ax.legend(loc="lower left", fontsize=9)
show(fig, "por_defecto")

# %% [markdown]
# Mira la longitud de las barras grises. Adam y RMSProp apenas la tienen: en Adam las dos
# bibliotecas eligieron casi los mismos números, y en RMSProp los eligieron distintos, pero
# cualquiera de los dos juegos basta aquí. En SGD el olvido cuesta un factor diez de tasa, y en
# Adadelta, mil: con los valores de Keras la red no aprende, y no es culpa del método. La cruz
# negra cae siempre sobre el círculo azul: con los mismos números, los mismos resultados.
#
# ## La tasa que decae y el momentum
#
# Con tasa constante, el momentum de Keras y el de PyTorch son el mismo. Keras guarda la tasa
# **dentro** de la velocidad; PyTorch la aplica **fuera**, al final:
#
# $$\text{Keras: } v \leftarrow \mu v - \eta_s g, \quad \theta \leftarrow \theta + v
# \qquad\qquad \text{PyTorch: } b \leftarrow \mu b + g, \quad \theta \leftarrow \theta - \eta_s b$$
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


DROP, LONG = 10, 80


def fallen(s):
    """A tenth of the rate from step DROP on; NumPy or JAX."""
    return 0.02 * (1 - 0.9 * (s >= DROP))


def roll(rule, rate, start=START, slope=slope):
    w, memory, path = start, 0 * start, []
    for s in range(LONG):
        w, memory = rule(w, memory, slope(w), rate(s))
        path.append(w)
    return np.array(path)


rolled = {"keras": roll(keras_momentum, fallen), "torch": roll(torch_momentum, fallen)}
for like, path in rolled.items():
    assert equal(path, walk(joc.sgd(fallen, momentum=0.9, like=like), LONG))
constant = lambda s: 0.02
assert equal(roll(keras_momentum, constant), roll(torch_momentum, constant))
apart = np.abs(rolled["keras"] - rolled["torch"]).max()
print(f"la misma tasa que baja: se separan hasta {apart:.3f}")
assert apart > 0.05

# %% [markdown]
# Y lo dicen ellos mismos: en sus trayectorias con tasa decreciente, nuestro `like="keras"` calca
# la de Keras, y el momentum «normal», con la tasa fuera, no.

# %%
falling = joc.inverse_time_decay(0.01, 0.5)
theirs = golden("keras.momentum.defaults", FALLING)
right, wrong = (
    np.abs(walk(tx) - theirs).max()
    for tx in (joc.sgd(falling, momentum=0.9, like="keras"), joc.sgd(falling, momentum=0.9))
)
print(f"frente a Keras, η = 0.01/(1+s/2): like='keras' {right:.0e}, sin decirlo {wrong:.2f}")
assert right <= 1e-12 < 0.05 < wrong

# %%
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
bowl, start = lambda w: w, np.array([1.0])
for like, rule, color in (("Keras", keras_momentum, BLUE), ("PyTorch", torch_momentum, ORANGE)):
    path = np.concatenate([start, roll(rule, fallen, start, bowl)[:, 0]])
    ax.plot(path, color=color, lw=2.5, label=like, ls="-" if like == "Keras" else "--")
ax.axvline(DROP, color=GREY, lw=1)
ax.annotate("la tasa baja a un décimo", (DROP, 1), xytext=(6, -4), textcoords="offset points")
ax.axhline(0, color=GREY, lw=1)
ax.set(xlabel="paso", ylabel="posición $w$ en ½$w$² (el óptimo es 0)")
ax.legend()
show(fig, "tasa_que_cae")

# %% [markdown]
# ## Relevo a mitad de carrera
#
# Un entrenamiento que empezó en PyTorch o en Keras puede seguir aquí sin perder nada:
# `joc.from_torch` y `joc.from_keras` leen los hiperparámetros **y** las memorias (los promedios de
# Adam, la velocidad del momentum, la cuenta de pasos). Los archivos guardan el estado tras veinte
# pasos, y por dónde siguió la biblioteca original con gradientes ruidosos.

# %%
PORTS = json.loads((GOLDEN / "ports.json").read_text())
LATER = np.array([1, 2, 50, 100, 200])  # steps after the relay, at which the files look
NOISE = np.random.default_rng(1).normal(size=(220, 6))[20:]


def split(w):
    return {"w": w[:4].reshape(2, 2), "b": w[4:]}


def go_on(tx, state, params):
    """The 200 steps after the relay."""

    def step(carry, noise):
        params, state = carry
        g = slope(jnp.concatenate([params["w"].ravel(), params["b"]])) + noise
        updates, state = tx.update(split(g), state, params)
        params = joc.apply_updates(params, updates)
        return (params, state), jnp.concatenate([params["w"].ravel(), params["b"]])

    return np.asarray(jax.jit(lambda p, s: jax.lax.scan(step, (p, s), NOISE)[1])(params, state))


relays = {}
with jax.enable_x64(True):
    for like in ("torch", "keras"):
        port = PORTS[f"{like}.adam.given"]
        params = split(jnp.asarray(port["params"]))
        if like == "torch":  # optimizer.state_dict()
            tx, state = joc.from_torch(port["state"], params, names=["w", "b"])
        else:  # optimizer.get_config(), optimizer.variables
            tx, state = joc.from_keras(*port["state"], params, names=["w", "b"])
        relays[like] = go_on(tx, state, params), go_on(tx, tx.init(params), params)
        off = [np.abs(path[LATER - 1] - port["later"]).max(axis=1) for path in relays[like]]
        print(f"{like:5}  pasos después   {'  '.join(f'{n:7d}' for n in LATER)}")
        print(f"       con el estado   {'  '.join(f'{x:7.0e}' for x in off[0])}")
        print(f"       sin él          {'  '.join(f'{x:7.0e}' for x in off[1])}")
        assert off[0].max() <= 1e-10 and off[1].min() > 1e-3

# %%
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for like, name, color, size in (("keras", "Keras", BLUE, 11), ("torch", "PyTorch", ORANGE, 6)):
    for path, marker, with_or_without in zip(relays[like], "ox", ("con", "sin"), strict=True):
        off = np.abs(path[LATER - 1] - PORTS[f"{like}.adam.given"]["later"]).max(axis=1)
        label = f"{name}, {with_or_without} su estado"
        ax.plot(LATER, np.maximum(off, 1e-17), marker, color=color, ms=size, mew=2, label=label)
ax.set(xscale="log", yscale="log", ylim=(3e-18, 1), xlabel="pasos desde el relevo")
ax.set_ylabel("distancia a la biblioteca original, máx. |Δθ|")
ax.text(2.5, 1e-17, "iguales bit a bit", va="center", color=GREY)
ax.legend(loc="center right", fontsize=9)
show(fig, "relevo")

# %% [markdown]
# Copiar solo los pesos no basta. Sin las memorias, el primer paso de Adam vuelve a ser de casi
# $\eta$ en todas las coordenadas, y doscientos pasos después la trayectoria sigue siendo otra.

# %%
if torch is not None:
    w = torch.tensor(START, requires_grad=True)
    optimizer = torch.optim.NAdam([w], lr=0.05)

    def torch_step():
        w.grad = torch.tensor(slope(w.detach().numpy()))
        optimizer.step()
        return w.detach().numpy().copy()

    for _ in range(20):
        at = torch_step()
    with jax.enable_x64(True):
        tx, state = joc.from_torch(optimizer.state_dict(), {"w": jnp.asarray(at)})
        params, path = {"w": jnp.asarray(at)}, []
        for _ in range(STEPS):
            updates, state = tx.update({"w": slope(params["w"])}, state, params)
            params = joc.apply_updates(params, updates)
            path.append(np.asarray(params["w"]))
    off = np.abs(path - np.array([torch_step() for _ in range(STEPS)])).max()
    print(f"NAdam, de PyTorch a aquí en vivo: {off:.0e} en {STEPS} pasos")
    assert off <= 1e-7  # torch keeps one of NAdam's numbers in float32

# %% [markdown]
# ## Los fragmentos, tal cual
#
# Varios fragmentos de 001 y 003 no se ejecutan como están impresos con las versiones de hoy. Donde
# las bibliotecas están instaladas, esto es lo que responden. El último no falla: el lote que «se
# activa automáticamente» en Keras es de 32 ejemplos (errata E24).


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
    print("001:493 ", refusal(lambda: convolutions(torch.zeros(1, 1, 28, 28))))
    half = torch.full((4, 1), 0.5)
    print("003:124 ", refusal(lambda: torch.nn.BCELoss()(half, torch.ones(4))))
if keras is not None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mean_squared_error")
    print("001:69  ", refusal(lambda: model.fit([1, 2, 3], [1, 2, 3], verbose=0)))
    default = inspect.signature(model.fit).parameters["batch_size"].default
    batches = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: batches.append(i))
    model.fit(np.ones((100, 1)), np.ones((100, 1)), verbose=0, callbacks=[count])
    print(f"001:162  batch_size={default}: {len(batches)} pasos por época con 100 ejemplos")
    assert len(batches) == math.ceil(100 / 32)
if torch is None or keras is None:
    print("(no todas están instaladas: véanse N1, E24 y E30 en la lección 10)")
