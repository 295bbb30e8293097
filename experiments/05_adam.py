# %% [markdown]
# # 5. Adam, AdamW y Adamax
#
# Adam junta las dos memorias que ya conocemos: una media móvil del gradiente, como el momentum
# (lección 3), y otra de su cuadrado, como RMSProp (lección 4). Y añade una corrección: ambas
# empiezan en cero, así que al principio se quedan cortas.
#
# $$m_t=\beta_1 m_{t-1}+(1-\beta_1)\,g_t \qquad v_t=\beta_2 v_{t-1}+(1-\beta_2)\,g_t^2$$
# $$\hat m_t=\frac{m_t}{1-\beta_1^t} \qquad \hat v_t=\frac{v_t}{1-\beta_2^t} \qquad
#   \theta_t=\theta_{t-1}-\eta\,\frac{\hat m_t}{\sqrt{\hat v_t}+\varepsilon}$$
#
# con $m_0=v_0=0$ y $t=1,2,\dots$ AdamW encoge además cada peso, aparte del gradiente, y Adamax
# cambia $\sqrt{\hat v}$ por el mayor gradiente reciente, que no necesita corrección:
#
# $$\text{AdamW:}\qquad \theta_t=\theta_{t-1}-\eta\,\frac{\hat m_t}{\sqrt{\hat v_t}+\varepsilon}
#   -\eta\lambda\,\theta_{t-1}$$
# $$\text{Adamax:}\qquad u_t=\max(\beta_2 u_{t-1},\,|g_t|+\varepsilon) \qquad
#   \theta_t=\theta_{t-1}-\eta\,\frac{\hat m_t}{u_t}$$
#
# Dos detalles son de las bibliotecas y no de los artículos: en el de AdamW el decaimiento no lleva
# la tasa, solo $\lambda$ por el horario, y aquí va como en PyTorch y en Keras, $\eta\lambda\theta$;
# y Adamax no tiene $\varepsilon$ en el suyo: dentro del máximo la pone PyTorch. Los apuntes 001
# escriben aparte las memorias de los pesos y de los sesgos ($v_{dw}$ y $v_{db}$, $s_{dw}$ y
# $s_{db}$): es la misma regla, que se aplica a cada hoja de los parámetros (una matriz de pesos, un
# vector de sesgos).
#
# **Al terminar sabrás** hacer a mano los primeros pasos de Adam, con su corrección; explicar en qué
# se distinguen AdamW y Adam con L2; comparar dos optimizadores sin darle a uno la tasa del otro.
#
# **Hace falta** las lecciones [3](03_momentum.py) y [4](04_adagrad_rmsprop_adadelta.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

import jaxopt_course as joc
from jaxopt_course.course import check, quick, show, show_table
from jaxopt_course.course.claims import claim, decided
from jaxopt_course.course.figures import proper
from jaxopt_course.course.verdicts import show_claims
from jaxopt_course.course.walks import follow

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"

# %% [markdown]
# ## Las tres reglas, una vez cada una
#
# En NumPy; las funciones devuelven el camino de $\theta$, que debe ser el de la biblioteca.


# %%
def adam(gradients, theta, eta, b1=0.9, b2=0.999, eps=1e-8, decay=0.0):
    """Adam; con decay > 0, AdamW."""
    m, v, path = 0.0, 0.0, [theta]
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        theta = theta - eta * m_hat / (np.sqrt(v_hat) + eps) - eta * decay * theta
        path.append(theta)
    return np.array(path)


# %%
def adamax(gradients, theta, eta, b1=0.9, b2=0.999, eps=1e-8):
    m, u, path = 0.0, 0.0, [theta]
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g) + eps)
        theta = theta - eta * (m / (1 - b1**t)) / u
        path.append(theta)
    return np.array(path)


# %%
def library(tx, gradients, theta):
    """El camino de un optimizador de la biblioteca con unos gradientes, en float64."""
    return follow(tx, lambda w, t: jnp.asarray(gradients)[t - 1], theta, len(gradients))


rng = np.random.default_rng(0)
gradients = rng.normal(size=(80, 4)) * [1, 1e-2, 1e-4, 1e2]
start = rng.normal(size=4)
pairs = {
    "adam": (adam(gradients, start, 0.01), joc.adam(0.01)),
    "adamw": (adam(gradients, start, 0.01, decay=0.1), joc.adamw(0.01, weight_decay=0.1)),
    "adamax": (adamax(gradients, start, 0.01), joc.adamax(0.01)),
}
for name, (ours, tx) in pairs.items():
    gap = np.abs(ours - library(tx, gradients, start)).max()
    print(f"{name:7} NumPy y biblioteca difieren en {gap:.0e}")
    assert gap < 1e-12

# %% [markdown]
# ## La corrección del sesgo, paso a paso
#
# Con un gradiente constante $g=1$ las medias verdaderas son $1$ y $1$, y el paso debería ser
# siempre $\eta$. La tabla sigue los primeros pasos: $m$ y $v$ empiezan cerca de cero, y dividir por
# $1-\beta^t$ los deja exactamente en uno.

# %%
b1, b2, eta = 0.9, 0.999, 1.0
m, v, rows = 0.0, 0.0, []
for t in range(1, 7):
    m, v = b1 * m + (1 - b1) * 1.0, b2 * v + (1 - b2) * 1.0**2
    rows.append([t, m, m / (1 - b1**t), v, v / (1 - b2**t)])
table = pd.DataFrame(rows, columns=["t", "m", "m corregida", "v", "v corregida"])
show_table(table, 4, index=False)
np.testing.assert_allclose(table[["m corregida", "v corregida"]], 1.0, rtol=1e-10)

# %% [markdown]
# ¿Y si no se corrigiera nada? Entonces $\sqrt{v}$ es demasiado pequeña y los primeros pasos son
# *más grandes* que $\eta$, no más chicos: $v$ es mucho más lenta que $m$. Si solo se corrige $v$,
# en cambio, el primer paso es una décima parte de $\eta$ y tarda en llegar. (Así lo imprimen los
# apuntes 003, y los apuntes 002 ponen exponentes de más: erratas E3 y E4, en la
# [lección 10.1](10_1_momentum_y_adam.py).)

# %%
t = np.arange(1, 201)
ones = np.ones((len(t), 1))
m, v = 1 - b1**t, 1 - b2**t  # en lo que quedan las dos recurrencias
only_v = m / np.sqrt(v / (1 - b2**t))
none = m / np.sqrt(v)


def step_sizes(**switches):
    tx = joc.chain(joc.scale_by_adam(b1, b2, eps=0.0, **switches), joc.scale_by_learning_rate(eta))
    return -np.diff(library(tx, ones, np.zeros(1)), axis=0)[:, 0]


correct = step_sizes()
np.testing.assert_allclose(correct, 1.0, rtol=1e-10)
np.testing.assert_allclose(step_sizes(bias_correction_mu=False), only_v, rtol=1e-10)
uncorrected = step_sizes(bias_correction_mu=False, bias_correction_nu=False)
np.testing.assert_allclose(uncorrected, none, rtol=1e-10)
np.testing.assert_allclose(only_v[:3], [1 - b1, 1 - b1**2, 1 - b1**3])
lines = {
    "Adam": (correct, GREEN),
    "solo v corregida": (only_v, BLUE),
    "sin corregir": (none, RED),
}
begin = pd.DataFrame(
    {name: [*line[:6], line.max()] for name, (line, _) in lines.items()}, [*range(1, 7), "el mayor"]
)
show_table(begin.T.rename_axis("paso / η en t ="), 3)

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, (line, colour) in lines.items():
    ax.semilogx(t, line, color=colour, label=name, linewidth=2)
ax.set(xlabel="actualización $t$", ylabel=r"tamaño del paso / $\eta$")
ax.set_title("Gradiente constante: el paso debería ser siempre uno")
ax.legend(frameon=False)
show(fig, "sesgo")
assert none.max() > 3 and none[0] > 3

# %% [markdown]
# La corrección no es un adorno: sin ella los primeros pasos, los más ciegos de todos, son varias
# veces más largos de lo pedido. Keras la calcula de otra manera, con $\varepsilon$ sobre la $v$ sin
# corregir, y eso equivale a un $\varepsilon$ mayor al principio (errata E19, en la
# [lección 10.2](10_2_formulas_y_bibliotecas.py)).

# %% [markdown]
# ## AdamW: el decaimiento, aparte
#
# Con SGD da igual sumar $\lambda\theta$ al gradiente (L2) o encoger los pesos: son la misma cuenta.
# Con Adam no: si $\lambda\theta$ entra en el gradiente, se divide también por $\sqrt{\hat v}$, y
# los pesos con gradientes grandes apenas decaen. (Si la penalización se escribe $\lambda\sum w^2$,
# su gradiente es $2\lambda w$: errata E31, en la
# [lección 10.2](10_2_formulas_y_bibliotecas.py).) Aquí el gradiente es ruido puro de media
# cero, y el único efecto sistemático es el decaimiento. Cada columna tiene ruido de otro tamaño.

# %%
decay, rate, theta = 0.5, 1e-3, start
for g in gradients:
    theta = theta - rate * g - rate * decay * theta  # SGD, y los pesos encogidos aparte
with_l2 = library(joc.chain(joc.add_decayed_weights(decay), joc.sgd(rate)), gradients, start)
assert np.abs(theta - with_l2[-1]).max() < 1e-12

# %%
scales = np.geomspace(1e-2, 1e2, 9)
noise = rng.normal(size=(2000, 20, 9)) * scales
coupled = joc.chain(joc.add_decayed_weights(decay), joc.adam(rate))
left_over = {
    "Adam con L2 (acoplado)": (library(coupled, noise, np.ones((20, 9)))[-1], "o", RED),
    "AdamW (aparte)": (
        library(joc.adamw(rate, weight_decay=decay), noise, np.ones((20, 9)))[-1],
        "s",
        BLUE,
    ),
}
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, (weights, marker, colour) in left_over.items():
    ax.semilogx(scales, weights.mean(axis=0), marker, color=colour, label=name, markersize=7)
ax.axhline((1 - rate * decay) ** len(noise), color="0.5", linestyle=":")
ax.annotate(r"$(1-\eta\lambda)^t$", (scales[0], (1 - rate * decay) ** len(noise) + 0.06))
ax.set(xlabel="tamaño del ruido del gradiente", ylabel="peso medio final (inicial, 1)")
ax.legend(frameon=False)
show(fig, "adamw")
apart = left_over["AdamW (aparte)"][0].mean(axis=0)
together = left_over["Adam con L2 (acoplado)"][0].mean(axis=0)
kept = pd.DataFrame({"AdamW": apart, "Adam con L2": together}, scales)
show_table(kept.rename_axis("tamaño del ruido"), 2)
assert np.ptp(apart) < 0.15 and np.ptp(together) > 0.6

# %% [markdown]
# **Con las manos:** <a href="manos_superficie.html">Adam, AdamW y Adamax paso a paso</a>, con la
# corrección del sesgo a la vista.
#
# AdamW encoge todos los pesos por igual; el L2 acoplado castiga a los que tienen gradientes
# pequeños y perdona a los demás. La tabla de los apuntes 000 dice que AdamW «separa correctamente»
# el decaimiento, y eso es lo que se ve.
#
# ## Adamax ante gradientes grandes
#
# La tabla de los apuntes 000 dice: «más robusto frente a gradientes grandes o ruidosos; puede
# converger más lento que Adam». Primero un solo golpe: gradientes pequeños, a cara o cruz, y entre
# ellos uno enorme. En Adam, $m$ tarda $1/(1-\beta_1)$ actualizaciones en olvidarlo y mientras tanto
# $\sqrt{v}$ es solo $\sqrt{1-\beta_2}$ del golpe: da varios pasos largos seguidos. En Adamax el
# divisor es el golpe entero.

# %%
SPIKE = 200
spiked = 0.1 * rng.choice([-1.0, 1.0], size=(600, 400))  # muchas coordenadas, para promediar
spiked[SPIKE] += 1e3
response = {}
for name, tx in {"Adam": joc.adam(1.0), "Adamax": joc.adamax(1.0)}.items():
    response[name] = library(tx, spiked, np.zeros(400))

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
kick, slow = {}, {}
for (name, with_it), colour in zip(response.items(), (BLUE, RED), strict=True):
    moved = (with_it - with_it[SPIKE])[SPIKE:, :].mean(axis=1)
    left.plot(moved, color=colour, linewidth=2)
    left.annotate(name, (250, moved[250] + 0.3), color=colour)
    pace = np.abs(np.diff(with_it, axis=0)).mean(axis=1)
    right.semilogy(pace, color=colour, linewidth=1.5, label=name)
    kick[name] = np.abs(moved).max()
    slow[name] = pace[-50:].mean() / pace[SPIKE - 50 : SPIKE].mean()
left.set(xlabel="actualizaciones desde el golpe", ylabel=r"desplazamiento medio / $\eta$")
left.set_ylim(top=1)
left.set_title("Cuánto mueve el golpe")
right.set(xlabel="actualizaciones", ylabel=r"tamaño medio del paso / $\eta$")
right.set_title("Cuánto frena después")
right.legend(frameon=False)
show(fig, "golpe")
for name in response:
    print(f"{name:7} el golpe lo mueve {kick[name]:.1f} veces la tasa; ", end="")
    print(f"después, el paso es {slow[name]:.1e} veces el de antes")
assert kick["Adam"] > 10 * kick["Adamax"]
assert slow["Adamax"] < slow["Adam"] < 0.1

# %% [markdown]
# Adamax casi no se mueve con el golpe. Pero lo recuerda entero, y como su memoria solo baja un
# factor $\beta_2$ por paso, después avanza aún menos que Adam.
#
# Un golpe no es un entrenamiento. Aquí se baja una parábola sencilla con el ruido de una moneda en
# el gradiente y, en uno de cada cien pasos, un golpe. Hay cuatro grupos de coordenadas que solo se
# distinguen en el tamaño del golpe: como las reglas tratan cada coordenada por separado, son
# cuatro experimentos en uno. Y todas las tasas y semillas corren en un solo programa.

# %%
SPIKES = np.array([0.0, 10.0, 100.0, 1000.0], np.float32)
EACH = 25


def noisy_loss(params, model_state, batch, key):
    """½ Σ (θ - 1)², y un término lineal que pone ruido en el gradiente."""
    u = jax.random.uniform(key, params.shape) - 0.5
    spike = jnp.where(jnp.abs(u) > 0.495, 1.0, 0.0)  # un paso de cada cien
    noise = jnp.sign(u) * (0.3 + spike * jnp.broadcast_to(SPIKES[:, None], u.shape))
    return jnp.sum(0.5 * (params - 1) ** 2 + noise * params), (model_state, {})


def away(params, model_state, data):
    """La distancia media al cuadrado hasta la meta, por grupos y en total."""
    by_group = jnp.mean((params - 1) ** 2, axis=1)
    return {"loss": by_group.sum()} | {f"group{i}": by_group[i] for i in range(len(SPIKES))}


nothing = {"x": np.zeros(1, np.float32)}
bumpy = joc.Task(
    name="bumpy",
    init=lambda key: (jnp.zeros((len(SPIKES), EACH)), {}),
    loss=noisy_loss,
    evaluate=away,
    train=nothing,
    valid=nothing,
    test=nothing,
    metrics={"loss": "min"} | {f"group{i}": "min" for i in range(len(SPIKES))},
)

# %%
rates = np.geomspace(3e-4, 0.3, 7 if quick() else 13)
names = ["sgd", "adam", "adamax"]
trials = joc.grid(optimizer=names, learning_rate=rates, seed=range(2 if quick() else 4))
steps = 500 if quick() else 1000
study = joc.sweep(
    bumpy,
    trials,
    steps=steps,
    batch_size=1,
    evaluate_every=steps,
    lanes=len(trials) // len(names),  # a la vez: todos los de un mismo optimizador
    progress=False,
)

# %%
colours = dict(zip(names, (ORANGE, BLUE, RED), strict=True))
marks = dict(zip(names, "o^s", strict=True))
fig, axes = plt.subplots(2, 2, figsize=(8.5, 6.4), sharex=True, sharey=True, layout="constrained")
reached = pd.DataFrame(index=names, columns=SPIKES, dtype=float)
for i, (ax, size) in enumerate(zip(axes.flat, SPIKES, strict=True)):
    table = study.configurations(f"valid_group{i}")
    for name in names:
        line = table[table["optimizer"] == name].sort_values("learning_rate")
        x, y = line["learning_rate"].astype(float), line[f"valid_group{i}"].astype(float)
        ax.loglog(x, y, marks[name] + "-", color=colours[name], markersize=4, label=name)
        reached.loc[name, size] = y.min()
    ax.set(ylim=(2e-4, 10))
    ax.set_title(f"golpes de {size:g}" if size else "sin golpes")
fig.supxlabel(r"tasa de aprendizaje $\eta$")
fig.supylabel("distancia media al cuadrado")
axes[0, 0].legend(frameon=False)
show(fig, "adamax")
print("con la mejor tasa de cada uno, según el tamaño de los golpes:")
show_table(reached.rename_axis("optimizador"), 2)

same = {
    name: study.configurations("valid_group1")
    .query("optimizer == @name")
    .set_index("learning_rate")
    for name in ("adam", "adamax")
}
slow_rate = rates[len(rates) // 3]


def of_seeds(name, group, rate):
    """El logaritmo de la distancia a que se queda cada semilla."""
    rows = study.trials[study.trials["optimizer"].eq(name)]
    rows = rows[np.isclose(rows["learning_rate"].astype(float), rate)].sort_values("seed")
    return np.log(rows[f"valid_group{group}"].to_numpy(float))


def tuned(name, group):
    """Lo mismo, con la mejor tasa para este grupo."""
    table = study.configurations(f"valid_group{group}").query("optimizer == @name")
    best = table[f"valid_group{group}"].astype(float).idxmin()
    return of_seeds(name, group, float(table.loc[best, "learning_rate"]))


left_at = {name: float(table.loc[slow_rate, "valid_group1"]) for name, table in same.items()}
print(f"con la misma tasa, {slow_rate:.1e}, y golpes de {SPIKES[1]:g}:", end=" ")
print(f"Adam {left_at['adam']:.3f}, Adamax {left_at['adamax']:.3f}")
for size in SPIKES[2:]:
    assert reached.loc["adamax", size] < reached.loc["adam", size]
assert left_at["adamax"] > left_at["adam"]

reach_of = lambda size: f"{reached.loc['adamax', size]:.1e} y {reached.loc['adam', size]:.1e}"
claims = [
    claim("Adamax", "000:130, 000:137", "más robusto ante gradientes grandes o ruidosos",
          f"un golpe lo mueve {kick['Adamax']:.1f} veces la tasa (Adam, {kick['Adam']:.1f}); "
          f"distancia final de Adamax y de Adam sin golpes {reach_of(0.0)}, con golpes de mil "
          f"{reach_of(1000.0)}",
          part="en una parábola con golpes",
          se_mueve_menos=kick["Adamax"] < kick["Adam"],
          **{f"con_golpes_de_{size:.0f}": decided(tuned("adam", k) - tuned("adamax", k))
             for k, size in enumerate(SPIKES) if size > 1}),
    claim("Adamax", "000:131", "puede converger más lento que Adam",
          f"con la misma tasa, {slow_rate:.1e}, queda a {left_at['adamax']:.3f} y Adam a "
          f"{left_at['adam']:.3f}",
          part="en una parábola con golpes, a la misma tasa",
          a_la_misma_tasa=decided(
              of_seeds("adamax", 1, slow_rate) - of_seeds("adam", 1, slow_rate))),
]  # fmt: skip

# %% [markdown]
# Con golpes grandes, Adamax bien afinado llega más cerca que Adam. Y con la misma tasa avanza
# menos, así que la suya debe ser mayor: copiar la tasa de Adam lo hace parecer lento. Sin golpes, o
# con golpes pequeños, no hay una ventaja clara. El veredicto está al final de la lección.
#
# ## El proyecto de los apuntes 004: SGD contra Adam en la misma red
#
# El proyecto pide comparar la convergencia de ambos, el efecto de cada tasa de aprendizaje y la
# importancia de elegir bien los hiperparámetros. Misma red para los dos (dígitos de 8 × 8, dos
# capas ocultas: la lección 7 la abre) y mismas semillas: en la biblioteca, dos entrenamientos con
# la misma semilla empiezan con los mismos pesos y ven los mismos lotes, así que la comparación es
# por pares.

# %%
EPOCHS = 12 if quick() else 15
points, seeds = (6, range(2)) if quick() else (11, range(4))
SPAN = 10**2.5  # de la menor tasa a la mayor, para los dos
lowest = {"sgd": 0.01, "adam": 3e-4}
trials = pd.concat(
    [
        joc.grid(optimizer=[name], learning_rate=np.geomspace(low, low * SPAN, points), seed=seeds)
        for name, low in lowest.items()
    ]
)

# %%
images, labels = load_digits(return_X_y=True)
task = joc.Task.from_flax(
    lambda rngs: joc.MLP(64, 32, 32, 10, rngs=rngs),
    images / 16,
    labels,
    loss="softmax_cross_entropy",
    name="project",
)
project = joc.sweep(task, trials, epochs=EPOCHS, lanes=len(trials) // 2, progress=False)
winners = project.winners("valid_accuracy").set_index("optimizer")
shown = winners[["learning_rate", "valid_accuracy"]].rename_axis("optimizador")
show_table(shown.set_axis(["mejor tasa", "exactitud de validación"], axis=1))
curves = project.curves["valid_accuracy"]

# %%
colours = {"sgd": ORANGE, "adam": BLUE}
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
needed, reach = {}, {}
for name, colour in colours.items():
    table = project.configurations("valid_accuracy").query("optimizer == @name")
    table = table.sort_values("learning_rate")
    # una que diverge no tiene media: vale lo que contestar al azar
    y = table["valid_accuracy"].astype(float).fillna(0.1)
    right.semilogx(table["learning_rate"].astype(float), y, "o-", color=colour)
    chosen = project.trials.query(
        "optimizer == @name and learning_rate == @winners.learning_rate[@name]"
    )
    lines = curves.sel(trial=chosen["trial"].to_numpy())
    epoch = lines["eval_step"] / lines["eval_step"].values[0]
    mean = lines.mean("trial")
    left.plot(epoch, mean, color=colour, linewidth=2, label={"sgd": "SGD", "adam": "Adam"}[name])
    left.fill_between(epoch, lines.min("trial"), lines.max("trial"), color=colour, alpha=0.2)
    above = np.flatnonzero(mean.values >= 0.9)
    needed[name] = f"llega a 0,9 en la época {above[0] + 1}" if len(above) else "no llega a 0,9"
    reach[name] = int((y >= 0.9).sum())
left.set(xlabel="época", ylabel="exactitud de validación", ylim=(0, 1))
left.set_title("Convergencia, cada uno con su mejor tasa")
right.set(xlabel=r"tasa de aprendizaje $\eta$", ylabel="exactitud de validación", ylim=(0, 1))
right.set_title(f"El efecto de la tasa, a las {EPOCHS} épocas")
left.legend(frameon=False, loc="lower right")
show(fig, "proyecto")
for name in colours:
    print(f"{proper(name)} {needed[name]}; de {points} tasas, llegan {reach[name]}")
accuracy = winners["valid_accuracy"].astype(float)
print(f"exactitud final, Adam menos SGD: {accuracy['adam'] - accuracy['sgd']:+.4f}")
assert (accuracy > 0.85).all() and abs(accuracy["adam"] - accuracy["sgd"]) < 0.02
assert winners["learning_rate"]["sgd"] > 5 * winners["learning_rate"]["adam"]

# %% [markdown]
# La mejor tasa de SGD es mucho mayor que la de Adam: una tasa no significa lo mismo en los dos, y
# compararlos «con la misma tasa» no dice nada. Cada uno con la suya, la distancia final es pequeña.
# Adam tolera un abanico más ancho de tasas. Y elegirla bien importa más que el método: con la peor
# de la escala, ambos pierden mucho más de lo que los separa.

# %%
table = project.configurations("valid_accuracy").sort_values("learning_rate")
lost = {}
for name in colours:
    y = table.query("optimizer == @name")["valid_accuracy"].astype(float).fillna(0.1).to_numpy()
    lost[name] = y.max() - y.min()
    print(f"{proper(name)} pierde {lost[name]:.2f} con la peor de sus tasas")
assert reach["adam"] > reach["sgd"]
assert min(lost.values()) > 5 * abs(accuracy["adam"] - accuracy["sgd"])

# %% [markdown]
# ### ¿Cuánto cuesta un paso?
#
# Adam guarda dos números más por peso y hace más cuentas. Las operaciones, y los bytes que se leen
# y se escriben, los dice el compilador: son cuentas, y no dependen de lo ocupada que esté la
# máquina.

# %%
params, _ = task.init(jax.random.key(0))
batch = jax.tree.map(lambda x: x[:64], task.train)
size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
cost = pd.DataFrame(index=["sgd", "adam"], columns=["memoria", "operaciones", "bytes movidos"])
for name, tx in {"sgd": joc.sgd(0.1), "adam": joc.adam(1e-3)}.items():

    def step(params, state, tx=tx):
        g = jax.grad(lambda p: task.loss(p, {}, batch, jax.random.key(0))[0])(params)
        u, state = tx.update(g, state, params)
        return joc.apply_updates(params, u), state

    state = tx.init(params)
    compiled = jax.jit(step).lower(params, state).compile()
    extra = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    cost.loc[name] = [
        (size + extra) / size,
        compiled.cost_analysis()["flops"],
        compiled.cost_analysis()["bytes accessed"],
    ]
show_table(cost.astype(float).rename_axis("optimizador"))
assert abs(cost.loc["adam", "memoria"] - 3) < 0.01 and cost.loc["sgd", "memoria"] == 1
ratio = cost.loc["adam", "operaciones"] / cost.loc["sgd", "operaciones"]
moved = cost.loc["adam", "bytes movidos"] / cost.loc["sgd", "bytes movidos"]
print(f"Adam hace {ratio:.2f} veces las operaciones de SGD por paso, con lotes de 64,")
print(f"y mueve {moved:.2f} veces sus bytes")
assert 1 < ratio < 2 and moved > ratio
claims.append(
    claim("Adam", "004:107", "mayor costo computacional",
          f"{cost.loc['adam', 'memoria']:.0f} veces la memoria de SGD, {ratio:.2f} veces sus "
          f"operaciones y {moved:.2f} veces sus bytes movidos, con lotes de 64",
          part="un paso entero", en_memoria=cost.loc["adam", "memoria"] > 2,
          en_operaciones=ratio > 1.2, en_bytes_movidos=moved > 1.2)
)  # fmt: skip

# %% [markdown]
# «Mayor costo computacional», dicen los apuntes 004, y conviene saber dónde. En memoria, el triple
# por peso. En operaciones, muy poco: el gradiente de un lote cuesta mucho más que la regla. En
# bytes movidos, más que en operaciones, porque la regla recorre varias veces todos los pesos; con
# lotes mayores se diluye.
#
# ### ¿Y con millones de pesos?
#
# La escalabilidad es otro de los desafíos de los apuntes 004. Se compila *solo la regla* para
# vectores de diez mil a cien millones de pesos, sin llegar a crearlos, y el compilador cuenta.

# %%
weights = 10 ** np.arange(4, 9)


def rule(tx, n):
    """Lo que cuesta la regla, sin el gradiente: operaciones y memoria (bytes) por peso."""
    w = jax.ShapeDtypeStruct((n,), jnp.float32)
    state = jax.eval_shape(tx.init, w)
    counted = jax.jit(tx.update).lower(w, state, w).compile().cost_analysis()
    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((w, state)))
    return counted["flops"] / n, kept / n


rules = {"SGD": joc.sgd(0.1), "Adam": joc.adam(1e-3)}
per_weight = {name: np.array([rule(tx, int(n)) for n in weights]) for name, tx in rules.items()}
for name, (flops, kept) in ((name, each[-1]) for name, each in per_weight.items()):
    print(f"{name}, cien millones: {flops:.1f} operaciones y {kept:.1f} bytes por peso")
    assert np.allclose(per_weight[name][1:], per_weight[name][-1], rtol=0.01)  # lineal en n
million = 10**6
print(f"las curvaturas de un millón de pesos: {4 * million**2 / 1e12:.0f} TB")
print(f"las dos memorias de Adam: {8 * million / 1e6:.0f} MB")

# %% [markdown]
# Las dos reglas cuestan lo mismo por peso con diez mil que con cien millones: crecen
# en proporción, y nada más. Por eso se usan. Un método que guardara la curvatura entera (Newton)
# necesitaría una matriz de $n^2$ números. Lo que no escala gratis es el gradiente, que pagan todos
# por igual, y la memoria: las de Adam ocupan el doble que los pesos.
#
# ## Tres afirmaciones de los apuntes
#
# Lo medido aquí, junto a lo que sale en la lección 13. Cada afirmación tiene un solo veredicto, que
# cuenta las preguntas de todas las lecciones que la miden.

# %%
show_claims(claims)

# %% [markdown]
# **Resumen.** Adam = momentum + RMSProp + corrección de sesgo; sin la corrección los primeros pasos
# son demasiado largos. AdamW decae todos los pesos por igual. Adamax resiste los golpes y pide otra
# tasa. Y toda comparación empieza por afinar la tasa de cada uno.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice el primer paso de Adam, en unidades de $\eta$, con un gradiente de 0,001 y con uno de
#    1000.
# 2. Cambia $\beta_2$ (`b2`) a 0,9 en la figura del sesgo. ¿Hace falta todavía la corrección?
# 3. Demuestra que con $\beta_1=\beta_2=0$ y $\varepsilon=0$ Adam solo mira el signo del gradiente.
# 4. Repite el proyecto (`lowest`) dando a SGD la mejor tasa de Adam, y a Adam la de SGD.
#
# Y una función por corregir: el corrector dice en qué paso se equivoca y a qué error se parece.
# Cámbiala y vuelve a ejecutar la celda; las demás están en la [lección 14](14_tu_turno.py).


# %%
def mi_adam(g, state, w, t, *, learning_rate, b1, b2, eps):
    m = b1 * state["m"] + (1 - b1) * g
    v = b2 * state["v"] + (1 - b2) * g**2
    return w - learning_rate * m / (np.sqrt(v) + eps), {"m": m, "v": v}  # ¿y el sesgo?


_ = check("adam", mi_adam)

# %% [markdown]
# ## Para leer más
#
# - Kingma y Ba (2015), «Adam: A Method for Stochastic Optimization».
# - Loshchilov y Hutter (2019), «Decoupled Weight Decay Regularization».
# - Ruder (2017), «An overview of gradient descent optimization algorithms».
