# %% [markdown]
# # 11.3. Cambiar de biblioteca
#
# «Usé Adam con los valores por defecto» no dice qué se usó: falta decir de quién. Esta lección
# pregunta primero en qué se distinguen Keras y PyTorch, mide después lo que cuesta olvidarlo, y
# enseña por último a mudarse a mitad de un entrenamiento sin perder nada.
#
# Las reglas `like="keras"` y `like="torch"` repiten hasta la duodécima cifra las de esas
# bibliotecas ([lección 11.1](11_1_las_mismas_reglas.py)). Ni siquiera el optimizador es el mismo si
# no se nombra: `compile` de Keras usa entonces RMSProp, como dicen los apuntes 000; en PyTorch y
# aquí hay que nombrarlo siempre.
#
# **Al terminar sabrás** preguntar en qué se distinguen dos bibliotecas; por qué «los valores por
# defecto» no es una respuesta; seguir en una un entrenamiento que empezó en otra.
#
# **Hace falta** la [lección 11.1](11_1_las_mismas_reglas.py).

# %%
import contextlib
import io
import json

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import spanish
from jaxopt_course.course.lessons import measured

try:
    import torch
except ImportError:
    torch = None

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"

# %% [markdown]
# ## ¿En qué se distinguen?
#
# `joc.explain` compara dos bibliotecas: los valores por defecto, la regla en una línea, y cuánto
# se separan sus trayectorias en cien pasos. RMSProp es el caso más completo: cambian la tasa, el
# olvido, el $\varepsilon$ y hasta el lugar del $\varepsilon$.

# %%
explained = {"rmsprop": joc.explain("keras", "torch", optimizer="rmsprop", lang="es")}
# %% [markdown]
# La misma pregunta para los demás. Tres columnas de distancia: cada biblioteca con sus propios
# valores; PyTorch con los números de Keras; y lo mismo, con una tasa que decae. Un cero (o el
# último bit) en la segunda quiere decir que la regla es la misma y que todo el problema era de
# números.

# %%
METHODS = ["sgd", "momentum", "nesterov", "adagrad", "adadelta", "adam", "adamax"]
for recipe in ["momentum", "adam"] if quick() else METHODS:
    with contextlib.redirect_stdout(io.StringIO()):  # imprime, y devuelve lo mismo
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
                spanish(f"{k}: {a:g} y {b:g}") for k, (a, b) in unlike.items()
            ),
            "cada uno los suyos": found.own_defaults,
            "iguales números": found.equal_numbers,
            "y tasa que decae": found.scheduled,
        }
    )
differences = pd.DataFrame(rows).set_index("método")
show_table(differences, 2)
assert differences.loc["momentum", "iguales números"] <= 1e-12
assert differences.loc["momentum", "y tasa que decae"] > 1e-3
assert differences.loc["adam", "iguales números"] > 1e-12  # dónde está ε

# %% [markdown]
# ## Lo que cuesta olvidarlo
#
# Se entrena la misma red con los mismos pesos iniciales y los mismos lotes, tres veces por método:
# con los valores por defecto de Keras, con los de PyTorch, y con la regla de PyTorch y los números
# de Keras. Es un solo barrido: la biblioteca imitada es una columna más de la tabla. En Keras o en
# PyTorch serían otros tantos programas.

# %%
KERAS = {  # los números de Keras, con las palabras de nuestras recetas
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
whose = {"keras": "Keras", "torch": "PyTorch", "both": "PyTorch, números de Keras"}
told = accuracy.rename(index=whose).rename_axis(["método", "valores"])
show_table(told.set_axis(["media", "menor", "mayor"], axis=1))

# %%
mean = accuracy["mean"].unstack().loc[tested]
assert mean.loc["adadelta", "torch"] > mean.loc["adadelta", "keras"] + 0.3
assert mean.loc["sgd", "keras"] > mean.loc["sgd", "torch"] + 0.1
alike = mean.loc[mean.index.isin(["adam", "rmsprop"])]
assert (alike["keras"] - alike["torch"]).abs().max() < 0.02
assert (mean["both"] - mean["keras"]).abs().max() < 0.02  # con números iguales, resultados iguales

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
ax.set_title("La misma red con los valores por defecto de cada biblioteca")
ax.legend(loc="lower left")
show(fig, "por_defecto", "La misma red con los valores por defecto de cada biblioteca")

# %% [markdown]
# Mira la longitud de las barras grises. Adam y RMSProp apenas la tienen: en Adam las dos
# bibliotecas eligieron casi los mismos números, y en RMSProp los eligieron distintos, pero
# cualquiera de los dos juegos basta aquí. En SGD el olvido cuesta un factor diez de tasa, y en
# Adadelta, mil: con los valores de Keras la red no aprende, y no es culpa del método. La cruz
# negra cae siempre sobre el círculo azul: con los mismos números, los mismos resultados.
#
# ## Relevo a mitad de carrera
#
# Un entrenamiento que empezó en PyTorch o en Keras puede seguir aquí sin perder nada:
# `joc.from_torch` y `joc.from_keras` leen los hiperparámetros **y** las memorias (los promedios de
# Adam, la velocidad del momentum, la cuenta de pasos). Los archivos guardan el estado tras veinte
# pasos, y por dónde siguió la biblioteca original con gradientes ruidosos.

# %%
START, STEPS = np.array([0.5, -1.0, 2.0, 1.5, -2.0, 1.0]), 30
A, C = np.linspace(0.1, 3.0, 6), np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0])


def slope(w):
    return A * (w - C) + 0.05 * w**3


PORTS = json.loads(measured("ports.json").read_text())
LATER = np.array([1, 2, 50, 100, 200])  # pasos tras el relevo, en los que miran los archivos
NOISE = np.random.default_rng(1).normal(size=(220, 6))[20:]


def split(w):
    return {"w": w[:4].reshape(2, 2), "b": w[4:]}


def go_on(tx, state, params):
    """Los 200 pasos tras el relevo."""

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
        apart = pd.DataFrame({"con el estado": off[0], "sin él": off[1]}, LATER)
        show_table(apart.rename_axis({"torch": "PyTorch", "keras": "Keras"}[like] + ", pasos"), 1)
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
ax.legend(loc="center right")
show(fig, "relevo", "Distancia a la biblioteca original después del relevo, con su estado y sin él")

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
    print(spanish(f"NAdam, de PyTorch a aquí en vivo: {off:.0e} en {STEPS} pasos"))
    assert off <= 1e-7  # torch guarda un número de NAdam en float32

# %% [markdown]
# ## En resumen
#
# - «Adam con los valores por defecto» no dice qué se usó: falta la biblioteca, y su versión.
# - Lo que más cuesta olvidar es la tasa: diez veces en SGD, mil en Adadelta.
# - Con los mismos números y la misma regla, los mismos resultados.
# - Al cambiar de biblioteca hay que llevarse las memorias, no solo los pesos.
#
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.2](15_2_soluciones.py).)
#
# 1. Predice qué método tiene la regla igual y los números distintos; compruébalo con `joc.explain`.
# 2. Pasa el estado de PyTorch con la cuenta de pasos puesta a cero. ¿Qué paso sale mal, y por
#    cuánto?
# 3. Haz el relevo en el paso 1000 con gradientes sin ruido. ¿Importa todavía el estado?
# 4. Demuestra que con $m=v=0$ y la cuenta en cero el primer paso de Adam mide casi $\eta$ en cada
#    coordenada.
#
# ## Para leer más
#
# - Schneider, Balles y Hennig (2019), «DeepOBS: A Deep Learning Optimizer Benchmark Suite».
# - Henderson y otros (2018), «Deep Reinforcement Learning that Matters».
# - Dahl y otros (2023), «Benchmarking Neural Network Training Algorithms».
