# %% [markdown]
# # 12.2. ¿Puede perder un optimizador más general?
#
# Hay un problema de manual en el que Adam, RMSProp y Adagrad fallan y SGD no. Y hay un argumento
# según el cual Adam, bien afinado, no puede quedar por debajo de momentum, ni momentum por debajo
# de SGD. Los dos son ciertos. Esta parte los ejecuta y enseña qué hay que afinar para que no se
# contradigan: $\varepsilon$.
#
# **Al terminar sabrás** repetir el ejemplo en que los adaptativos fallan y decir qué no se afinó;
# explicar por qué un optimizador más general puede perder al informar.
#
# **Hace falta** la [parte 12.1](12_1_un_barrido_honesto.py).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import spanish
from jaxopt_course.course.digits import digits
from jaxopt_course.course.walks import walk

joc.use_cpu_cores(1 if quick() else None)
NAMES = ["sgd", "momentum", "adam"]
COLOURS = dict(zip(NAMES, ["#0072B2", "#E69F00", "#009E73"], strict=True))
RED, GREY = "#D55E00", "#777777"

# %% [markdown]
# ## El ejemplo separable de Wilson
#
# Wilson et al. (2017) construyeron un problema linealmente separable, con más parámetros que
# ejemplos, en el que los métodos adaptativos llegan a error cero en entrenamiento y fallan en
# prueba, y el descenso de gradiente no. Cada ejemplo $i$, de clase $y_i=\pm1$, tiene tres
# atributos compartidos $(y_i, 1, 1)$ —solo el primero informa— y unos pocos atributos propios que
# nadie más usa: uno si $y_i=1$, cinco si $y_i=-1$. Con pérdida cuadrática y desde cero:
#
# * SGD se queda en el espacio de los datos y llega a la solución de norma mínima, $w=X^{+}y$;
# * Adagrad, RMSProp y Adam dan a todas las coordenadas pasos del mismo tamaño y llegan a
#   $w\propto\operatorname{sign}(X^\top y)$: el atributo que informa pesa lo mismo que los dos que
#   no.


# %%
def wilson(n, share=0.65):
    """El problema separable, sin los atributos que ningún ejemplo de entrenamiento tiene."""
    y = np.where(np.arange(n) < round(share * n), 1.0, -1.0)
    own = np.where(y > 0, 1, 5)
    X = np.zeros((n, 3 + own.sum()))
    X[:, 0], X[:, 1:3] = y, 1.0
    for i, (start, count) in enumerate(zip(3 + np.cumsum(own) - own, own, strict=True)):
        X[i, start : start + count] = 1.0
    return X, y


def descend(tx, X, y, steps):
    """Descenso por lote completo en la mitad del error cuadrático medio, desde cero."""
    gradient = jax.grad(lambda w: 0.5 * jnp.mean((X @ w - y) ** 2))

    def step(carry, _):
        w, state = carry
        u, state = tx.update(gradient(w), state, w)
        return (joc.apply_updates(w, u), state), None

    w = jnp.zeros(X.shape[1])
    return jax.lax.scan(step, (w, tx.init(w)), None, length=steps)[0][0]


X, y = wilson(40)
y_test = np.where(np.arange(1000) < 650, 1.0, -1.0)
X_test = np.zeros((1000, X.shape[1]))  # sus propios atributos no se vieron nunca
X_test[:, 0], X_test[:, 1:3] = y_test, 1.0
wilson_steps = 3000
top = np.linalg.eigvalsh(X @ X.T / len(y)).max()  # L
contenders = {
    "sgd": joc.sgd(1.0 / top),
    "momentum": joc.momentum(0.5 / top),
    "adagrad": joc.adagrad(0.05, initial_accumulator_value=0.0),
    "rmsprop": joc.rmsprop(joc.cosine_decay_schedule(0.003, wilson_steps)),
    "adam": joc.adam(joc.cosine_decay_schedule(0.003, wilson_steps)),
}
with jax.enable_x64(True):
    solution = {
        name: np.asarray(jax.jit(lambda tx=tx: descend(tx, X, y, wilson_steps))())
        for name, tx in contenders.items()
    }
minimum_norm = np.linalg.pinv(X) @ y
adaptive = np.sign(X.T @ y) / 4  # X sign(Xᵀy) = 4 y
rows_ = []
for name, w in solution.items():
    errors = np.mean(np.sign(X @ w) != y), np.mean(np.sign(X_test @ w) != y_test)
    rows_.append((name, *errors, np.abs(w - minimum_norm).max(), np.abs(w - adaptive).max()))
names = ["optimizador", "error entren.", "error prueba", "lejos de X⁺y", "lejos de sign(Xᵀy)/4"]
verdict = pd.DataFrame(rows_, columns=names).set_index("optimizador")
show_table(verdict, 2)

assert np.all(verdict["error entren."] == 0)
assert np.all(verdict.loc[["sgd", "momentum"], "error prueba"] == 0)
assert np.all(verdict.loc[["sgd", "momentum"], "lejos de X⁺y"] < 1e-6)
share_negative = np.mean(y_test < 0)
assert np.all(verdict.loc[["adagrad", "rmsprop", "adam"], "error prueba"] == share_negative)
assert np.all(verdict.loc[["adagrad", "rmsprop", "adam"], "lejos de sign(Xᵀy)/4"] < 0.02)

# %% [markdown]
# Los adaptativos contestan «positivo» siempre, así que fallan exactamente todos los negativos.
# Pero atención a lo que **no** se ha afinado: $\varepsilon$. Al crecer, Adam deja de igualar los
# pasos y se vuelve gradiente con memoria; el error de prueba cae a cero. El ejemplo prueba que las
# soluciones son distintas, no que Adam esté condenado.

# %%
epsilons = np.geomspace(1e-6, 1e3, 10 if quick() else 37)


def adam_at(eps):
    """Adam con la tasa a escala de ε: con una ε grande el paso sigue siendo el de SGD."""
    rate = joc.cosine_decay_schedule(0.3 / top * (eps + 0.01), wilson_steps)
    return descend(joc.adam(rate, eps=eps), X, y, wilson_steps)


with jax.enable_x64(True):
    family = np.asarray(jax.jit(jax.vmap(adam_at))(epsilons))
family_error = np.mean(np.sign(X_test @ family.T) != y_test[:, None], axis=0)
assert family_error[0] == share_negative and family_error[-1] == 0

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
position = np.arange(3)
for k, (name, colour) in enumerate(
    [("sgd", COLOURS["sgd"]), ("adagrad", "#CC79A7"), ("adam", COLOURS["adam"])]
):
    left.bar(position + 0.27 * (k - 1), solution[name][:3], 0.25, color=colour, label=name)
left.set_xticks(position, ["informa ($y$)", "constante", "constante"])
left.set(ylabel="peso aprendido", title="Atributos compartidos")
left.axhline(0, color=GREY, lw=0.8)
left.legend()
right.plot(epsilons, 100 * family_error, "o-", color=COLOURS["adam"], ms=4)
right.axhline(0, color=COLOURS["sgd"], ls="--", label="sgd")
right.set(xscale="log", xlabel="ε de Adam", ylabel="error de prueba (%)", title="Adam según su ε")
right.legend()
show(fig, "wilson", "Lo que pesan los atributos compartidos, y el error de Adam según su ε")

# %% [markdown]
# ## La inclusión SGD ⊆ momentum ⊆ Adam
#
# Choi et al. (2019) lo dicen en general: si un optimizador puede imitar a otro, bien afinado no
# puede quedar peor. Las reglas, con $g_t$ el gradiente:
#
# $$ \text{momentum:}\; m_t=\mu\,m_{t-1}+g_t,\qquad \theta_{t+1}=\theta_t-\eta\,m_t $$
#
# $$ \text{Adam:}\; m_t=\beta_1 m_{t-1}+(1-\beta_1)g_t,\qquad
#   v_t=\beta_2 v_{t-1}+(1-\beta_2)g_t^2, $$
#
# $$ \theta_{t+1}=\theta_t-\eta_t\,\frac{m_t/(1-\beta_1^t)}{\sqrt{v_t/(1-\beta_2^t)}+\varepsilon} $$
#
# Con $\mu=0$ momentum **es** SGD. Y si $\varepsilon\gg\sqrt{\hat v}$ y
# $\eta_t=\eta\,\varepsilon\,(1-\beta_1^t)/(1-\beta_1)$, Adam es momentum con $\mu=\beta_1$, con un
# error que baja como $1/\varepsilon$.


# %%
def momentum_numpy(gradient, theta, eta, mu, steps):
    m, path = np.zeros_like(theta), []
    for _ in range(steps):
        m = mu * m + gradient(theta)
        theta = theta - eta * m
        path.append(theta)
    return np.array(path)


def adam_numpy(gradient, theta, eta, b1, b2, eps, steps):
    m, v, path = np.zeros_like(theta), np.zeros_like(theta), []
    for t in range(1, steps + 1):
        g = gradient(theta)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        theta = theta - eta(t) * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(theta)
    return np.array(path)


bowl = np.array([0.1, 1.0, 10.0])
pull = lambda theta: bowl * theta + 0.1 * theta**3  # el gradiente de un tazón apenas curvado
start = np.array([2.0, -1.0, 1.5])


def library(tx):
    """El camino de un optimizador de la biblioteca, en float64."""
    return walk(tx, lambda theta, t: pull(theta), start, 60)


ours, plain = library(joc.momentum(0.02, 0.9)), library(joc.sgd(0.02))
memoryless, adam_path = library(joc.momentum(0.02, 0.0)), library(joc.adam(0.02))
imitations = {
    eps: library(joc.adam(lambda s, eps=eps: 0.02 * eps * (1 - 0.9 ** (s + 1.0)) / 0.1, eps=eps))
    for eps in (1e2, 1e4, 1e6, 1e8)
}
by_hand = momentum_numpy(pull, start, 0.02, 0.9, 60)
assert np.abs(ours - by_hand).max() < 1e-12
assert np.abs(memoryless - plain).max() == 0
assert (
    np.abs(adam_path - adam_numpy(pull, start, lambda t: 0.02, 0.9, 0.999, 1e-8, 60)).max() < 1e-12
)
gaps = pd.Series({eps: np.abs(path - by_hand).max() for eps, path in imitations.items()})
slope = np.polyfit(np.log10(gaps.index.to_numpy(float)), np.log10(gaps), 1)[0]
show_table(pd.DataFrame({"distancia a momentum": gaps}).rename_axis("ε de Adam"), 2)
print(spanish(f"pendiente en escalas logarítmicas: {slope:.3f}"))
assert abs(slope + 1) < 0.02 and gaps.iloc[-1] < 1e-5

# %% [markdown]
# Ahora en una red. La rejilla de momentum contiene a la de SGD ($\mu=0$) y la de Adam contiene a la
# de SGD ($\beta_1=0$, $\varepsilon$ enorme) y a la de momentum ($\beta_1=\mu$), porque con el mayor
# $\varepsilon$ la tasa lleva el factor $1-\beta_1^t$ que deshace la corrección de sesgo. Sin él los
# primeros pasos son mayores y la copia, imperfecta: la inclusión es de la regla **con su tasa**.
#
# El eje que comparten los tres es una tasa nominal $\eta$; como Adam divide cada gradiente entre
# $\sqrt{\hat v}+\varepsilon$, la suya se escribe $\eta\,(\varepsilon+g)$, con $g$ el tamaño típico
# de un gradiente.
#
# La pregunta es por la pérdida de entrenamiento, que es lo que el optimizador minimiza. En
# validación la inclusión sigue siendo cierta para el mejor posible, pero al elegir con ruido entra
# la maldición del ganador (12.1): más configuraciones, más suerte que descontar. También aquí cada
# mejor es el menor de muchos, así que unas semillas eligen la configuración y otras dicen su
# pérdida.

# %%
task = digits(lambda rngs: joc.MLP(64, 16 if quick() else 32, 10, rngs=rngs))
STEPS = 60 if quick() else 240
CHOOSE, TELL = (range(1), range(1, 2)) if quick() else (range(2), range(2, 4))
RATES = np.geomspace(1e-2, 10**1.5, 8 if quick() else 15)
MEMORIES = [0.0, 0.9] if quick() else [0.0, 0.5, 0.9, 0.97]
EPSILONS = [1e-8, 1e-2, 1e4] if quick() else [1e-8, 1e-4, 1e-2, 1.0, 1e4]
G = 1e-2  # un gradiente típico
seeds = [*CHOOSE, *TELL]

# %%
adam = joc.grid(optimizer="adam", nominal=RATES, b1=MEMORIES, eps=EPSILONS, seed=seeds)
adam["learning_rate"] = adam["nominal"] * (adam["eps"] + G)
adam["undo"] = adam["eps"].eq(max(EPSILONS)).astype(float)
recipes = {
    "sgd": lambda h: joc.sgd(h["learning_rate"]),
    "momentum": lambda h: joc.momentum(h["learning_rate"], h["momentum"]),
    "adam": lambda h: joc.adam(
        lambda step: h["learning_rate"] * (1 - h["b1"] ** (step + 1.0)) ** h["undo"],
        b1=h["b1"],
        eps=h["eps"],
    ),
}
table = pd.concat(
    [
        joc.grid(optimizer="sgd", learning_rate=RATES, seed=seeds),
        joc.grid(optimizer="momentum", learning_rate=RATES, momentum=MEMORIES, seed=seeds),
        adam.drop(columns="nominal"),
    ],
    ignore_index=True,
)
study = joc.sweep(
    task, table.fillna(0.0), recipes, steps=STEPS, evaluate_every=STEPS // 4, progress=False
)
trials = study.trials.copy()
trials[["momentum", "b1", "eps"]] = table[["momentum", "b1", "eps"]]
trials["nominal"] = table["learning_rate"]
trials.loc[trials["optimizer"].eq("adam"), "nominal"] = adam["nominal"].to_numpy()
numbers = ["nominal", "momentum", "b1", "eps"]
trials[numbers] = trials[numbers].astype(float)
finished = trials["status"].eq("finished")
trials["train_loss"] = trials["train_loss"].where(finished, np.inf).astype(float)


def scores(seeds):
    """La pérdida media de entrenamiento de cada configuración con estas semillas."""
    part = trials[trials["seed"].astype(int).isin(seeds)]
    return part.groupby(["optimizer", *numbers], dropna=False)["train_loss"].mean().reset_index()


losses, told = scores(CHOOSE), scores(TELL)
best = losses.groupby("optimizer")["train_loss"].idxmin()
best_loss = told.loc[best].set_index("optimizer")["train_loss"]
best_rate = told.loc[best].set_index("optimizer")["nominal"]
heads = ["optimizador", "tasa nominal", "μ", "β₁", "ε", "pérdida"]
show_table(told.loc[best].set_axis(heads, axis=1), 3, index=False)
assert all(RATES[0] < rate < RATES[-1] for rate in best_rate)  # ningún mejor está en el borde

# %%
sgd_losses = losses[losses["optimizer"].eq("sgd")].set_index("nominal")["train_loss"]


def copy_of_sgd(rows):
    """Las pérdidas de unas filas junto a las de SGD con igual tasa nominal, donde ambos acaban."""
    both = pd.DataFrame({"copy": rows.set_index("nominal")["train_loss"], "sgd": sgd_losses})
    return both[np.isfinite(both).all(axis=1)]


still = losses[losses["momentum"].eq(0)]
large = losses[losses["eps"].eq(max(EPSILONS))]
copies = {"SGD dentro de momentum": still, "SGD dentro de Adam": large[large["b1"].eq(0)]}
for name, rows_of_copy in copies.items():
    both = copy_of_sgd(rows_of_copy)
    apart = (both["copy"] / both["sgd"] - 1).abs()
    alike = spanish(f"{(apart < 1e-3).mean():.0%}")
    print(f"{name}: en el {alike} de las tasas, la pérdida es la de SGD a menos de una milésima")
    assert apart.quantile(0.7) < 1e-3  # en el borde de la estabilidad decide el redondeo
chosen = large["train_loss"].idxmin()
imitating = told["train_loss"][chosen]
print(spanish(f"Adam solo con ε = {max(EPSILONS):g}: {imitating:.4f}"))
searched = losses.groupby("optimizer")["train_loss"].min()
lowest = pd.DataFrame({"menor pérdida en las semillas que eligen": searched})
show_table(lowest.rename_axis("optimizador"))
assert searched["momentum"] <= searched["sgd"] * 1.02
assert searched["adam"] <= searched["momentum"] * 1.02  # tiene una copia de ese mismo entrenamiento
assert best_loss["momentum"] < best_loss["sgd"]  # de lejos: con otras semillas, también

fig, axes = plt.subplots(1, 3, figsize=(8.4, 3.4), sharey=True, layout="constrained")
families = [("sgd", None), ("momentum", "momentum"), ("adam", "eps")]
for ax, (name, column) in zip(axes, families, strict=True):
    part = losses[losses["optimizer"].eq(name)]
    values = [None] if column is None else sorted(part[column].unique())
    for k, value in enumerate(values):
        one = part if column is None else part[part[column].eq(value)]
        line = one.groupby("nominal")["train_loss"].min().replace(np.inf, np.nan)
        shade = plt.cm.viridis(0.85 * k / max(1, len(values) - 1))
        text = {None: "sgd", "momentum": f"μ = {value}", "eps": f"ε = {value:g}" if value else ""}
        ax.plot(line, "o-", ms=3, color=shade, label=text[column])
    ax.axhline(best_loss["sgd"], color=RED, ls=":", lw=1.2)
    ax.set(xscale="log", yscale="log", xlabel="tasa nominal η", title=name)
    ax.legend()
axes[0].set_ylabel("pérdida de entrenamiento")
axes[0].text(RATES[0], 0.92 * best_loss["sgd"], "lo mejor de sgd", color=RED, va="top")
show(fig, "inclusion", "La pérdida de cada familia según la tasa nominal; en rojo, lo mejor de SGD")

# %% [markdown]
# ## Y sin embargo, en la tabla Adam pierde
#
# La inclusión no habla de la configuración que se elige, sino de la mejor que hay. En las semillas
# que eligen se cumple: la menor pérdida de Adam no supera a la de momentum. En las que informan,
# no. Adam buscó entre muchas más configuraciones, se quedó con una que tuvo suerte con aquellas
# semillas, y con otras pierde casi todo lo que parecía ganar. Es la maldición del ganador de la
# [parte 12.1](12_1_un_barrido_honesto.py), no un defecto del argumento.

# %%
families_of = {name: len(losses[losses["optimizer"].eq(name)]) for name in NAMES}
rows_ = [
    (name, families_of[name], searched[name], best_loss[name], best_loss[name] / searched[name])
    for name in NAMES
]
heads = ["optimizador", "configuraciones", "al elegir", "al informar", "cociente"]
show_table(pd.DataFrame(rows_, columns=heads), index=False)
if not quick():  # con una semilla para elegir y otra para juzgar puede salir cualquier cosa
    assert best_loss["adam"] > best_loss["momentum"]  # el general pierde
    assert best_loss["adam"] / searched["adam"] == max(best_loss[n] / searched[n] for n in NAMES)
    assert np.isclose(imitating, best_loss["momentum"], rtol=0.05)  # su copia, no

# %% [markdown]
# Quien quiera cobrar la ventaja de lo general tiene que pagarla: elegir con más semillas, o no
# ofrecerle a Adam más configuraciones de las que las semillas saben distinguir. Restringido al
# mayor $\varepsilon$, Adam es momentum y empata con él.
#
# **Resumen.** El ejemplo de Wilson prueba que las soluciones son distintas, no que Adam esté
# condenado. La inclusión es cierta para el mejor de todos, y ese no se conoce: lo que se conoce es
# el que salió mejor con unas semillas. Un optimizador más general no puede perder si se afina sin
# ruido; afinado con pocas semillas, sí.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.3](15_3_soluciones.py).)
#
# 1. Predice desde qué $\varepsilon$ deja Adam de fallar en el ejemplo de Wilson si las clases están
#    a partes iguales.
# 2. Elige con cuatro semillas en vez de dos. ¿Sigue perdiendo Adam?
# 3. Demuestra que con $\varepsilon\to\infty$ y $\eta_t=\eta\varepsilon(1-\beta_1^t)/(1-\beta_1)$
#    Adam tiende a momentum.
#
# ## Para leer más
#
# - Wilson y otros (2017), «The Marginal Value of Adaptive Gradient Methods in Machine Learning».
# - Choi y otros (2019), «On Empirical Comparisons of Optimizers for Deep Learning».
