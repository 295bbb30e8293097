# %% [markdown]
# # 12. Un barrido honesto
#
# «Adam es mejor que SGD» no es una frase completa. Falta decir con qué presupuesto se afinó cada
# uno, en qué rango, con cuántas semillas y quién eligió al ganador. Esta lección mide cuánto
# cambia la respuesta cuando se descuida cada una de esas cosas, y termina con dos preguntas que
# sólo se contestan entrenando muchas redes a la vez: si un optimizador más general puede perder, y
# qué forma tiene la frontera entre el entrenamiento que converge y el que explota.

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.datasets import load_digits

import jaxopt_course as joc
from jaxopt_course.course import quick, show

joc.use_cpu_cores()
NAMES = ["sgd", "momentum", "adam"]
COLOURS = dict(zip(NAMES, ["#0072B2", "#E69F00", "#009E73"], strict=True))
RED, GREY = "#D55E00", "#777777"

# %% [markdown]
# ## Un solo barrido para muchas preguntas
#
# La red es pequeña (dígitos de 8 × 8, una capa oculta) y se entrena cientos de veces. Todos los
# ensayos dan el mismo número de pasos con el mismo tamaño de lote: **ése** es el presupuesto de un
# entrenamiento. El de una búsqueda es el número de configuraciones que se permite probar.
#
# El eje que comparten los tres optimizadores es una tasa nominal $\eta$. Adam divide cada
# gradiente entre $\sqrt{\hat v}+\varepsilon$, así que la suya se escribe $\eta\,(\varepsilon+g)$
# con $g$ el tamaño típico de un gradiente; más abajo se ve para qué sirve.
#
# En Keras o PyTorch esto sería un doble bucle que entrena una red tras otra; aquí la tabla entera
# es un programa.

# %%
images, labels = load_digits(return_X_y=True)
task = joc.Task.from_flax(
    lambda rngs: joc.MLP(64, 16 if quick() else 32, 10, rngs=rngs),
    (images / 16).astype(np.float32),
    labels,
    loss="softmax_cross_entropy",
    name="dígitos",
)

STEPS = 60 if quick() else 240
SEEDS = range(2 if quick() else 3)
RATES = np.geomspace(10**-3.5, 10, 10 if quick() else 19)
MEMORIES = [0.0, 0.9] if quick() else [0.0, 0.5, 0.9, 0.97]
EPSILONS = [1e-8, 1e-2, 1e4] if quick() else [1e-8, 1e-4, 1e-2, 1.0, 1e4]
G = 1e-2  # a typical gradient


def rows(optimizer, **columns):
    """A grid over the nominal rate; Adam's own rate is nominal · (eps + G)."""
    table = joc.grid(optimizer=optimizer, learning_rate=RATES, seed=SEEDS, **columns)
    if optimizer == "adam":
        table["learning_rate"] = table["learning_rate"] * (table["eps"] + G)
    return table


table = pd.concat(
    [rows("sgd"), rows("momentum", momentum=MEMORIES)]
    + [rows("adam", b1=MEMORIES, eps=eps) for eps in EPSILONS]
)
study = joc.sweep(task, table, steps=STEPS, evaluate_every=STEPS // 4, progress=False)
event = study.events[0]
print(
    f"{len(table)} entrenamientos en {event['seconds']:.1f} s "
    f"({event['trial_steps_per_second']:,.0f} pasos/s), {event['lowerings']} programa"
)

# %%
trials = study.trials.copy()
trials["nominal"] = trials["learning_rate"].astype(float)
is_adam = trials["optimizer"].eq("adam")
trials.loc[is_adam, "nominal"] /= trials.loc[is_adam, "eps"].astype(float) + G
trials["nominal"] = RATES[np.abs(np.log(np.outer(trials["nominal"], 1 / RATES))).argmin(1)]
KEYS = ["optimizer", "nominal", "momentum", "b1", "eps"]
for loss in ("train_loss", "valid_loss"):  # a diverged seed spoils its configuration
    trials[loss] = trials[loss].where(trials["status"].eq("finished"), np.inf)
trials["valid_accuracy"] = trials["valid_accuracy"].where(trials["status"].eq("finished"), 0.0)


def scores(metric, part=trials):
    """The mean over the seeds of each configuration."""
    return part.groupby(KEYS, dropna=False)[metric].mean().reset_index()


scores("valid_accuracy").groupby("optimizer")["valid_accuracy"].describe().round(3)

# %% [markdown]
# ## El rango decide quién gana
#
# Un experimento frecuente: se toma el rango de tasas donde Adam se siente en casa y se le da el
# mismo a todos. Parece justo —igual número de ensayos, igual rango— y no lo es: la unidad de
# $\eta$ es otra en cada optimizador. La señal de alarma es que el mejor valor esté **en el borde**
# de lo probado: entonces no se ha encontrado el mejor, sólo el último. `study.winners()` lo dice
# en la columna `at_edge`.

# %%
defaults = trials[
    trials["optimizer"].eq("sgd")
    | trials["momentum"].eq(0.9).fillna(False).astype(bool)
    | (trials["b1"].eq(0.9) & trials["eps"].eq(1e-8)).fillna(False).astype(bool)
].assign(rate=lambda t: t["learning_rate"].astype(float))
curves = defaults.groupby(["optimizer", "rate"])["valid_accuracy"].mean()
narrow = {name: curves[name][lambda s: (s.index > 1e-5) & (s.index < 1.1e-2)] for name in NAMES}
best_narrow = pd.Series({name: s.max() for name, s in narrow.items()})
best_wide = pd.Series({name: curves[name].max() for name in NAMES})
at_edge = {name: s.idxmax() == s.index.max() for name, s in narrow.items()}
print(pd.DataFrame({"rango corto": best_narrow, "en el borde": at_edge, "rango ancho": best_wide}))

assert at_edge["sgd"] and at_edge["momentum"]  # the search stopped where it should have gone on
gaps = [best["adam"] - best["sgd"] for best in (best_narrow, best_wide)]
print(f"ventaja de adam sobre sgd: {gaps[0]:.3f} en el rango corto, {gaps[1]:.3f} en el ancho")
assert gaps[0] > 0.1 and gaps[1] < gaps[0] / 4  # "Adam wins by far", and it was the range

# %%
fig, ax = plt.subplots(figsize=(7, 4))
ax.axvspan(1e-5, 1.1e-2, color="#dddddd", label="rango corto, «el de Adam»")
for name in NAMES:
    ax.plot(curves[name], "o-", color=COLOURS[name], ms=4, label=name)
ax.set(xscale="log", xlabel="tasa de aprendizaje (la propia)", ylabel="exactitud de validación")
ax.set_title("El mismo rango para todos no es el mismo trato", fontsize=11)
ax.legend(loc="upper left", fontsize=8)
show(fig, "rango")

# %% [markdown]
# ## El presupuesto también decide
#
# Con más hiperparámetros hay más que afinar. Si se prueban $n$ configuraciones sacadas al azar, la
# mejor que se espera encontrar es (Dodge et al., 2019)
#
# $$ E\big[\max(v_1,\dots,v_n)\big]=\sum_{i=1}^{N} v_{(i)}
#    \left[\left(\tfrac{i}{N}\right)^{n}-\left(\tfrac{i-1}{N}\right)^{n}\right], $$
#
# con $v_{(1)}\le\dots\le v_{(N)}$ los resultados de las $N$ configuraciones medidas. Así un
# barrido contesta para **todos** los presupuestos a la vez. Lo que hay que mirar: las distancias
# entre las curvas dependen de $n$, y las líneas finas dicen cuántas configuraciones hacen falta
# para llegar a un mismo error. Un resultado sin su presupuesto es un punto suelto de una de estas
# curvas.


# %%
def expected_best(values, n):
    """E[max of n draws with replacement] of the measured values."""
    v = np.sort(np.asarray(values, float))
    i = np.arange(1, len(v) + 1)
    return np.sum(v * ((i / len(v)) ** n - ((i - 1) / len(v)) ** n))


by_optimizer = {
    name: group["valid_accuracy"].to_numpy()
    for name, group in scores("valid_accuracy").groupby("optimizer")
}
budgets = np.unique(np.geomspace(1, 100, 30).round().astype(int))
expected = {name: [expected_best(by_optimizer[name], n) for n in budgets] for name in NAMES}
draws = np.random.default_rng(0).choice(by_optimizer["adam"], (20_000, 5)).max(1)
assert abs(draws.mean() - expected_best(by_optimizer["adam"], 5)) < 4 * draws.std() / 20_000**0.5
assert all(np.all(np.diff(expected[name]) >= 0) for name in NAMES)

enough = 1 - 1.05 * (1 - expected["sgd"][-1])  # what SGD can just reach
needed = {name: int(budgets[np.argmax(np.array(expected[name]) >= enough)]) for name in NAMES}
print(f"para un error esperado de {1 - enough:.3f}:", needed)
fig, ax = plt.subplots(figsize=(7, 4))
for name in NAMES:
    label = f"{name} ({len(by_optimizer[name])} configuraciones)"
    ax.plot(budgets, 1 - np.array(expected[name]), color=COLOURS[name], lw=2, label=label)
    ax.axvline(needed[name], color=COLOURS[name], lw=0.8, ls=":")
ax.set(xscale="log", yscale="log")
ax.set(xlabel="configuraciones probadas, n", ylabel="menor error de validación esperado")
ax.set_title("Resultado esperado según el presupuesto de búsqueda", fontsize=11)
ax.legend(fontsize=9)
show(fig, "presupuesto")

# %% [markdown]
# ## La maldición del ganador
#
# El ganador de una búsqueda se elige por ser bueno **y** por tener suerte. `study.confirm(n)`
# vuelve a entrenar al ganador de cada optimizador con semillas nuevas en el mismo programa ya
# compilado. Con esas repeticiones se puede medir la maldición sin teoría: se ponen a competir $n$
# participantes *idénticos* (la misma configuración, distinta semilla) y se anuncia el mejor
# resultado. Si el ruido es normal, la ventaja inventada crece como el máximo de $n$ normales:
# despacio, pero sin techo. Donde lo medido queda por debajo de la línea de puntos, la cola larga
# está del otro lado: unas pocas semillas que salen mal.

# %%
confirmed = study.confirm(32 if quick() else 96, progress=False)
fresh = confirmed.trials
fresh["valid_accuracy"] = fresh["valid_accuracy"].where(fresh["status"].eq("finished"), 0.1)
samples = {  # a diverged training guesses: one digit in ten
    name: group["valid_accuracy"].to_numpy(float) for name, group in fresh.groupby("optimizer")
}
contestants = np.array([1, 2, 4, 8, 16, 32])


def normal_maximum(n):
    """E[max of n standard normals], by quadrature of the quantile function."""
    u = (np.arange(20_000) + 0.5) / 20_000
    return np.mean(stats.norm.ppf(u ** (1 / n)))


fig, ax = plt.subplots(figsize=(7, 4))
for name in NAMES:
    gain = np.array([expected_best(samples[name], n) for n in contestants]) - samples[name].mean()
    ax.plot(contestants, 100 * gain, "o-", color=COLOURS[name], label=f"{name}, medido")
    theory = samples[name].std() * np.array([normal_maximum(n) for n in contestants])
    ax.plot(contestants, 100 * theory, ":", color=COLOURS[name])
    assert np.all(np.diff(gain) >= 0) and gain[-1] > samples[name].std() / 2  # out of nothing
    print(
        f"{name:9s} el mejor de {contestants[-1]} iguales parece {100 * gain[-1]:.2f} puntos mejor"
    )
ax.plot([], [], ":", color=GREY, label="máximo de n normales")
ax.set(xscale="log", xlabel="participantes idénticos, n", ylabel="ventaja inventada (puntos de %)")
ax.set_xticks(contestants, contestants)
ax.set_title("El mejor de n iguales siempre parece mejor", fontsize=11)
ax.legend(fontsize=9)
show(fig, "maldicion")

# %% [markdown]
# En la búsqueda de verdad ocurre lo mismo: se elige la mejor configuración mirando **una** semilla
# y se compara con lo que da la misma configuración en las otras. La diferencia es lo que un
# artículo con una sola semilla habría publicado de más.

# %%
wide = trials.pivot_table(index=KEYS, columns="seed", values="valid_accuracy", dropna=False)
wide = wide.dropna(how="all")
promises = []
for name in NAMES:
    accuracy = wide.loc[name].to_numpy(float)
    for s in range(len(SEEDS)):
        winner = accuracy[:, s].argmax()
        others = np.delete(accuracy[winner], s).mean()
        promises.append((name, accuracy[winner, s], others))
promises = pd.DataFrame(promises, columns=["optimizador", "prometido", "en otras semillas"])
promises["maldición (puntos)"] = 100 * (promises["prometido"] - promises["en otras semillas"])
print(promises.groupby("optimizador").mean().round(4))
print(f"en promedio se promete de más: {promises['maldición (puntos)'].mean():.2f} puntos")
for name in NAMES:  # the mean of the maxima is never below the maximum of the means
    accuracy = wide.loc[name].to_numpy(float)
    assert accuracy.max(0).mean() >= accuracy.mean(1).max()

# %% [markdown]
# Y con las semillas frescas se puede decir quién gana, o que no se sabe: el intervalo de confianza
# al 95 % de cada ganador, y el de las diferencias **por parejas** (la misma semilla para los dos,
# es decir, los mismos pesos iniciales y el mismo orden de los datos). El emparejado es más corto en
# la medida en que una semilla buena lo es para los dos; hay que mirarlo, no suponerlo.


# %%
def interval(values):
    """Mean and half width of the 95 % interval, by Student's t."""
    n = len(values)
    return np.mean(values), stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5


for name in NAMES:
    fives = [interval(samples[name][i : i + 5])[1] for i in range(0, len(samples[name]) - 4, 5)]
    mean, half = interval(samples[name])
    print(f"{name:9s} {mean:.4f} ± {half:.4f}; con grupos de 5 semillas, ± {np.mean(fives):.4f}")
    assert half < np.mean(fives)
difference = interval(samples["adam"] - samples["sgd"])
apart = (interval(samples["adam"])[1] ** 2 + interval(samples["sgd"])[1] ** 2) ** 0.5
print(f"adam - sgd: {difference[0]:+.4f} ± {difference[1]:.4f}; sin emparejar ± {apart:.4f}")

# %% [markdown]
# ## Repartir el presupuesto: mitades sucesivas
#
# Lo honesto no tiene por qué ser lo más caro. En las mitades sucesivas (Jamieson y Talwalkar,
# 2016) todas las configuraciones empiezan, y en cada peldaño sólo sigue la mejor fracción
# $1/\eta_{\text{SH}}$. La regla es la misma para todos y está escrita antes de mirar. Se busca en
# el espacio de Adam, el mayor.

# %%
adam_rows = table[table["optimizer"].eq("adam")][["learning_rate", "b1", "eps", "seed"]]
halving = joc.sweep(
    task,
    adam_rows,
    "adam",
    steps=STEPS,
    evaluate_every=STEPS // 4,
    scheduler=joc.SuccessiveHalving(eta=2, min_steps=STEPS // 4),
    progress=False,
)
spent = halving.events[0]["trial_steps"] / (len(adam_rows) * STEPS)
full_best = scores("valid_accuracy")[lambda t: t["optimizer"].eq("adam")]["valid_accuracy"].max()
halving_best = float(halving.best()["valid_accuracy"])
print(f"gastado: {spent:.0%} de los pasos; {halving_best:.4f} frente a {full_best:.4f} sin cortar")
assert spent < 0.7 and halving_best > full_best - 0.03

# %% [markdown]
# ## El ejemplo separable de Wilson
#
# Wilson et al. (2017) construyeron un problema linealmente separable, con más parámetros que
# ejemplos, en el que los métodos adaptativos llegan a error cero en entrenamiento y fallan en
# prueba, y el descenso de gradiente no. Cada ejemplo $i$, de clase $y_i=\pm1$, tiene tres
# atributos compartidos $(y_i, 1, 1)$ —sólo el primero informa— y unos pocos atributos propios que
# nadie más usa: uno si $y_i=1$, cinco si $y_i=-1$. Con pérdida cuadrática y desde cero:
#
# * SGD se queda en el espacio de los datos y llega a la solución de norma mínima, $w=X^{+}y$;
# * Adagrad, RMSProp y Adam dan a todas las coordenadas pasos del mismo tamaño y llegan a
#   $w\propto\operatorname{sign}(X^\top y)$: el atributo que informa pesa lo mismo que los dos que
#   no.


# %%
def wilson(n, share=0.65, seed=0):
    """The separable problem: the features that no training example has are left out."""
    y = np.where(np.arange(n) < round(share * n), 1.0, -1.0)
    y = np.random.default_rng(seed).permutation(y)
    own = np.where(y > 0, 1, 5)
    X = np.zeros((n, 3 + own.sum()))
    X[:, 0], X[:, 1:3] = y, 1.0
    for i, (start, count) in enumerate(zip(3 + np.cumsum(own) - own, own, strict=True)):
        X[i, start : start + count] = 1.0
    return X, y


def descend(tx, X, y, steps):
    """Full-batch descent on half the mean squared error, from zero."""
    gradient = jax.grad(lambda w: 0.5 * jnp.mean((X @ w - y) ** 2))

    def step(carry, _):
        w, state = carry
        u, state = tx.update(gradient(w), state, w)
        return (joc.apply_updates(w, u), state), None

    w = jnp.zeros(X.shape[1])
    return jax.lax.scan(step, (w, tx.init(w)), None, length=steps)[0][0]


X, y = wilson(40)
y_test = np.where(np.arange(1000) < 650, 1.0, -1.0)
X_test = np.zeros((1000, X.shape[1]))  # its own features were never seen
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
print(verdict.round(4).to_string())

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
    """Adam with its rate scaled to ε, so that the step stays that of SGD when ε is large."""
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
left.legend(fontsize=8)
right.plot(epsilons, 100 * family_error, "o-", color=COLOURS["adam"], ms=4)
right.axhline(0, color=COLOURS["sgd"], ls="--", label="sgd")
right.set(xscale="log", xlabel="ε de Adam", ylabel="error de prueba (%)", title="Adam según su ε")
right.legend(fontsize=8)
show(fig, "wilson")

# %% [markdown]
# ## La inclusión SGD ⊆ momentum ⊆ Adam
#
# Choi et al. (2019) lo dicen en general: si un optimizador puede imitar a otro, bien afinado no
# puede quedar peor. Las reglas, con $g_t$ el gradiente:
#
# $$ \text{momentum:}\quad m_t=\mu\,m_{t-1}+g_t,\qquad \theta_{t+1}=\theta_t-\eta\,m_t $$
#
# $$ \text{Adam:}\quad m_t=\beta_1 m_{t-1}+(1-\beta_1)g_t,\quad
#   v_t=\beta_2 v_{t-1}+(1-\beta_2)g_t^2,
# \qquad
#   \theta_{t+1}=\theta_t-\eta_t\,\frac{m_t/(1-\beta_1^t)}{\sqrt{v_t/(1-\beta_2^t)}+\varepsilon} $$
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


def library(tx, gradient, theta, steps):
    def step(carry, _):
        theta, state = carry
        u, state = tx.update(gradient(theta), state, theta)
        theta = joc.apply_updates(theta, u)
        return (theta, state), theta

    theta = jnp.asarray(theta)
    return np.asarray(jax.lax.scan(step, (theta, tx.init(theta)), None, length=steps)[1])


bowl = np.array([0.1, 1.0, 10.0])
pull = lambda theta: bowl * theta + 0.1 * theta**3  # the gradient of a slightly curved bowl
start = np.array([2.0, -1.0, 1.5])
with jax.enable_x64(True):
    ours = library(joc.momentum(0.02, 0.9), pull, start, 60)
    plain = library(joc.sgd(0.02), pull, start, 60)
    memoryless = library(joc.momentum(0.02, 0.0), pull, start, 60)
    adam_path = library(joc.adam(0.02), pull, start, 60)
    imitations = {
        eps: library(
            joc.adam(lambda s, eps=eps: 0.02 * eps * (1 - 0.9 ** (s + 1.0)) / 0.1, eps=eps),
            pull,
            start,
            60,
        )
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
print(gaps.map("{:.1e}".format), f"pendiente {slope:.3f}", sep="\n")
assert abs(slope + 1) < 0.02 and gaps.iloc[-1] < 1e-5

# %% [markdown]
# Ahora en la red, con el barrido del principio: la rejilla de momentum contiene a la de SGD
# ($\mu=0$) y la de Adam contiene a la de SGD ($\beta_1=0$, $\varepsilon$ enorme) y una copia
# imperfecta de la de momentum: aquí nadie deshace la corrección de sesgo, y los primeros pasos son
# mayores. La pregunta es por la pérdida de entrenamiento, que es lo que el optimizador minimiza.
# En validación la inclusión sigue siendo cierta para el mejor posible, pero al elegir con ruido
# entra la maldición del ganador: más configuraciones, más suerte que descontar.

# %%
losses = scores("train_loss")
best_loss = losses.groupby("optimizer")["train_loss"].min()
sgd_losses = losses[losses["optimizer"].eq("sgd")].set_index("nominal")["train_loss"]


def copy_of_sgd(rows):
    """The losses of some rows beside those of SGD at the same nominal rate, where both finished."""
    both = pd.DataFrame({"copy": rows.set_index("nominal")["train_loss"], "sgd": sgd_losses})
    return both[np.isfinite(both).all(axis=1)]


still = losses[losses["momentum"].astype(float).eq(0)]
large = losses[losses["eps"].astype(float).eq(max(EPSILONS))]
for rows_of_copy in (still, large[large["b1"].astype(float).eq(0)]):
    both = copy_of_sgd(rows_of_copy)
    apart = (both["copy"] / both["sgd"] - 1).abs()
    print(f"copias de sgd: {(apart < 1e-3).mean():.0%} iguales a menos de una milésima")
    assert apart.quantile(0.7) < 1e-3  # at the edge of stability rounding decides
print(best_loss.round(4).to_string())
print(f"Adam sólo con ε = {max(EPSILONS):g}: {large['train_loss'].min():.4f}")
assert best_loss["momentum"] <= best_loss["sgd"] * 1.02
assert best_loss["adam"] <= best_loss["momentum"] * 1.05

fig, axes = plt.subplots(1, 3, figsize=(8.4, 3.4), sharey=True, layout="constrained")
families = [("sgd", None), ("momentum", "momentum"), ("adam", "eps")]
for ax, (name, column) in zip(axes, families, strict=True):
    part = losses[losses["optimizer"].eq(name)]
    values = [None] if column is None else sorted(part[column].astype(float).unique())
    for k, value in enumerate(values):
        one = part if column is None else part[part[column].astype(float).eq(value)]
        line = one.groupby("nominal")["train_loss"].min().replace(np.inf, np.nan)
        shade = plt.cm.viridis(0.85 * k / max(1, len(values) - 1))
        text = {None: "sgd", "momentum": f"μ = {value}", "eps": f"ε = {value:g}" if value else ""}
        ax.plot(line, "o-", ms=3, color=shade, label=text[column])
    ax.axhline(best_loss["sgd"], color=RED, ls=":", lw=1.2)
    ax.set(xscale="log", yscale="log", xlabel="tasa nominal η", title=name)
    ax.legend(fontsize=7)
axes[0].set_ylabel("pérdida de entrenamiento")
axes[2].text(RATES[0], best_loss["sgd"], "lo mejor de sgd", color=RED, fontsize=8, va="bottom")
show(fig, "inclusion")

# %% [markdown]
# ## La frontera entre converger y explotar
#
# Una red diminuta, $\hat y=\tfrac1H\,v^\top\tanh(Wx/\sqrt d)$, siempre con los mismos datos y
# pesos iniciales, y una tasa de aprendizaje por capa: $\eta_W$ en horizontal y $\eta_v$ en
# vertical. Cada punto del mapa es **un entrenamiento completo**. Azul: la pérdida acaba por debajo
# de donde empezó; naranja: explota. El tono dice lo rápido que ocurre. Sohl-Dickstein (2024)
# observó que esa frontera es fractal.
#
# Un entrenamiento es una función pura de $(\eta_W,\eta_v)$, así que el mapa es un `vmap` por
# trozos dentro de un `lax.map`: un programa.

# %%
SIDE, MAP_STEPS = (32, 100) if quick() else (256, 400)
D = H = EXAMPLES = 8
draw = np.random.default_rng(0)
x_map = draw.normal(size=(EXAMPLES, D)).astype(np.float32)
y_map = draw.normal(size=EXAMPLES).astype(np.float32)
first = {
    "W": draw.normal(size=(D, H)).astype(np.float32),
    "v": draw.normal(size=H).astype(np.float32),
}


def map_loss(params, x, y):
    hidden = jnp.tanh(x @ params["W"] / np.sqrt(D))
    return jnp.mean((hidden @ params["v"] / H - y) ** 2)


def layered(eta_W, eta_v):
    """A rate a layer, from the library."""
    return joc.partition_by_path({"W": joc.sgd(eta_W), "v": joc.sgd(eta_v)})


def train_at(rates):
    """Whether one training converges, and how fast it does so or explodes."""
    tx = layered(rates[0], rates[1])

    def step(carry, _):
        params, state = carry
        loss, g = jax.value_and_grad(map_loss)(params, x_map, y_map)
        u, state = tx.update(g, state, params)
        return (joc.apply_updates(params, u), state), loss

    params = jax.tree.map(jnp.asarray, first)
    losses = jax.lax.scan(step, (params, tx.init(params)), None, length=MAP_STEPS)[1]
    relative = jnp.where(jnp.isfinite(losses), losses / losses[0], jnp.inf)
    converges = jnp.mean(relative[-20:]) < 1
    return converges, jnp.sum(jnp.minimum(relative, 1e6)), jnp.sum(1 / relative)


many = jax.jit(lambda rates: jax.lax.map(train_at, rates, batch_size=256))


def draw_map(log_W, log_v, frozen=1.0):
    """The map over a rectangle of decades, shared among the devices; with its seconds."""
    axes = [np.logspace(*log_W, SIDE), np.logspace(*log_v, SIDE)]
    axes[0][0] *= frozen  # 0 puts a frozen hidden layer in the first column
    rates = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2).astype(np.float32)
    devices = jax.local_devices()
    parts = [
        jax.device_put(part, device)
        for part, device in zip(np.array_split(rates, len(devices)), devices, strict=True)
    ]
    compiled = [many.lower(part).compile() for part in parts]
    begin = time.perf_counter()
    parts = jax.block_until_ready([run(part) for run, part in zip(compiled, parts, strict=True)])
    seconds = time.perf_counter() - begin
    values = [np.concatenate(v).reshape(SIDE, SIDE) for v in zip(*parts, strict=True)]
    return (*values, seconds)


WHOLE = ((-1.0, 3.0), (-1.0, 3.0))
converges, slow, quick_blowup, seconds = draw_map(*WHOLE, frozen=0.0)
print(
    f"{SIDE**2:,} entrenamientos de {MAP_STEPS} pasos en {seconds:.1f} s: "
    f"{SIDE**2 * MAP_STEPS / seconds:,.0f} pasos/s; convergen {converges.mean():.1%}"
)
assert converges[0, 0] and not converges[-1].any() and 0.2 < converges.mean() < 0.9

# %% [markdown]
# Hay un lugar donde la teoría lo sabe todo: con $\eta_W=0$ sólo aprende $v$, el problema es
# cuadrático y la frontera está en $\eta_v=2/\lambda_{\max}$, con $\lambda_{\max}$ el mayor valor
# propio de la hessiana respecto de $v$ (línea discontinua en la figura). La primera columna del
# mapa lleva $\eta_W=0$ y cambia de color ahí, con error de menos de una casilla. Con $\eta_W$
# pequeña pero no nula ya no: cuando $v$ empieza a explotar, la otra capa se mueve, se satura, y a
# veces el entrenamiento se salva.

# %%
features = np.tanh(x_map @ first["W"] / np.sqrt(D)) / H
limit = 2 / np.linalg.eigvalsh(2 / EXAMPLES * features.T @ features).max()
decades = (np.log10(limit) - WHOLE[1][0]) / (WHOLE[1][1] - WHOLE[1][0])
predicted, measured = decades * (SIDE - 1), converges[:, 0].sum() - 0.5
print(f"2/λ = {limit:.2f}; frontera predicha en la fila {predicted:.1f}, medida en {measured:.1f}")
assert abs(predicted - measured) <= 1

# %%
ZOOM = ((2.0, 2.4), (1.0, 1.4))
closer = draw_map(*ZOOM)


def shade(converges, slow, blowup):
    """Blue where training converges, orange where it explodes; darker is faster."""
    image = np.zeros((*converges.shape, 4))
    for mask, key, palette in ((converges, slow, "Blues_r"), (~converges, blowup, "Oranges_r")):
        if mask.any():
            order = stats.rankdata(key[mask]) / mask.sum()
            image[mask] = plt.get_cmap(palette)(0.15 + 0.65 * order)
    return image


fig, axes = plt.subplots(1, 2, figsize=(8.4, 4.4), layout="constrained")
maps = [(WHOLE, (converges, slow, quick_blowup)), (ZOOM, closer[:3])]
for ax, (region, values) in zip(axes, maps, strict=True):
    ax.imshow(shade(*values), origin="lower", extent=(*region[0], *region[1]), aspect="equal")
    ax.set(xlabel=r"$\log_{10}\eta_W$ (capa oculta)", ylabel=r"$\log_{10}\eta_v$ (salida)")
axes[0].hlines(np.log10(limit), *WHOLE[0], colors="k", ls="--", lw=1)
axes[0].text(WHOLE[0][1], np.log10(limit), r"$2/\lambda_{\max}$ ", ha="right", va="bottom")
(a, b), (c, d) = ZOOM
axes[0].plot([a, b, b, a, a], [c, c, d, d, c], color="k", lw=1)
axes[0].set_title(f"{SIDE**2:,} entrenamientos".replace(",", " "), fontsize=11)
axes[1].set_title("El recuadro, ampliado", fontsize=11)
show(fig, "frontera")


# %% [markdown]
# ¿Fractal? Se cuentan las cajas de lado $s$ que tocan la frontera. Una curva lisa daría un número
# proporcional a $1/s$, dimensión uno; una superficie llena, dos. La dimensión cambia de un lugar a
# otro: donde la capa oculta apenas aprende la frontera es casi una curva, y en el recuadro es
# polvo. Con pocos puntos por lado (el modo rápido) el número es sólo orientativo.


# %%
def box_dimension(converges, sizes=(1, 2, 4, 8)):
    """Slope of log(boxes that the boundary touches) against log(1/size)."""
    counts = []
    for size in sizes:
        boxes = converges.reshape(SIDE // size, size, SIDE // size, size)
        counts.append(np.sum(boxes.any((1, 3)) & ~boxes.all((1, 3))))
    inside = [size > 1 for size in sizes]  # a box of one point touches nothing
    logs = np.log(1 / np.array(sizes)[inside]), np.log(np.array(counts)[inside])
    return np.polyfit(*logs, 1)[0]


dimension = box_dimension(closer[0])
print(
    f"dimensión por cajas: {dimension:.2f} en el recuadro, {box_dimension(converges):.2f} en todo"
)
assert 0.8 < dimension < 2

# %% [markdown]
# ### ¿El motor de barridos o `vmap`?
#
# La misma red como `Task` y las mismas tasas como tabla dan el mismo veredicto, y además curvas,
# validación y repetición bit a bit. Pero para una red de este tamaño cada paso cuesta menos que
# administrarlo: el mapa a mano es más rápido. El motor gana cuando la red pesa más que la tabla.

# %%
map_data = {"x": x_map, "y": y_map}
map_task = joc.Task(
    "frontera",
    init=lambda key: (jax.tree.map(jnp.asarray, first), {}),
    loss=lambda params, state, batch, key: (map_loss(params, batch["x"], batch["y"]), (state, {})),
    evaluate=lambda params, state, data: {"loss": map_loss(params, data["x"], data["y"])},
    train=map_data,
    valid=map_data,
    test=map_data,
    metrics={"loss": "min"},
)
every = SIDE // (8 if quick() else 16)
rows_of_map = np.arange(0, SIDE, every)
sample = joc.grid(
    eta_v=np.logspace(*WHOLE[1], SIDE)[rows_of_map], eta_W=np.logspace(*WHOLE[0], SIDE)[rows_of_map]
)
engine = joc.sweep(
    map_task,
    sample,
    lambda h: layered(h["eta_W"], h["eta_v"]),
    steps=MAP_STEPS,
    batch_size=EXAMPLES,
    record_every=MAP_STEPS // 5,
    progress=False,
)
last = engine.curves["train_loss"].to_numpy()[:, -1]
same = np.nan_to_num(last, nan=np.inf) < float(map_loss(first, x_map, y_map))
agreement = np.mean(same == converges[np.ix_(rows_of_map, rows_of_map)].ravel())
rate = engine.events[0]["trial_steps_per_second"]
print(
    f"motor: {len(sample)} ensayos a {rate:,.0f} pasos/s; vmap por trozos: "
    f"{SIDE**2 * MAP_STEPS / seconds:,.0f} pasos/s; mismo veredicto en {agreement:.1%}"
)
assert agreement > 0.9  # they differ only where chaos decides

# %% [markdown]
# ## Lista de control
#
# 1. El mismo número de pasos y de configuraciones para todos, dicho de antemano.
# 2. Un rango por optimizador, no el mismo para todos; si el mejor está en el borde, ampliar y
#    repetir.
# 3. Varias semillas al elegir, y **otras** al informar, con intervalo; por parejas si se puede.
# 4. Una semilla que explota cuenta: descartarla premia la inestabilidad.
# 5. Elegir con validación; mirar la prueba una vez.
# 6. Decir el presupuesto junto al resultado: con otro, el orden puede ser otro.
# 7. Antes de concluir que un método general pierde con uno particular, mirar qué no se afinó.
