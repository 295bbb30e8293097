# %% [markdown]
# # 6. La carrera: diez optimizadores en seis superficies
#
# Una función de dos variables se puede dibujar, y sobre ella se ve qué hace cada método. Estas seis
# son clásicas, y cada una pone un obstáculo distinto:
#
# | superficie | $f(x,y)$ | obstáculo |
# | --- | --- | --- |
# | Rosenbrock | $(1-x)^2+100\,(y-x^2)^2$ | un valle curvo y casi plano |
# | Beale | $\sum_{k=1}^{3}(c_k-x+xy^k)^2$ | llanuras y paredes |
# | Himmelblau | $(x^2+y-11)^2+(x+y^2-7)^2$ | cuatro mínimos iguales |
# | Rastrigin | $20+\sum x_i^2-10\cos 2\pi x_i$ | un mínimo local en cada entero |
# | silla | $\frac12x^2+\frac14y^4-\frac12y^2$ | un punto de silla en el origen |
# | tazón | $\frac12(u^2+\kappa v^2)$ | alargado: $\kappa$ veces más curvo a lo ancho |
#
# con $c=(1{,}5;\ 2{,}25;\ 2{,}625)$. En el tazón $(u,v)$ son $(x,y)$, o ellas giradas: habrá dos.
#
# **Al terminar sabrás** reconocer los obstáculos de seis superficies clásicas; decir a quién
# perjudica girar los ejes, y por qué; distinguir escapar de un mínimo local de encontrar el global.
#
# **Hace falta** las lecciones [2](02_tasa_de_aprendizaje.py) a [5](05_adam.py).

# %%
import base64
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree
from matplotlib.animation import PillowWriter

import jaxopt_course as joc
from jaxopt_course.course import quick, show, show_table
from jaxopt_course.course.claims import claim, decided
from jaxopt_course.course.figures import proper
from jaxopt_course.course.verdicts import show_claims
from jaxopt_course.problems.surfaces import SURFACES, bowl, together
from jaxopt_course.report import landscape
from jaxopt_course.report.looks import looks

joc.use_cpu_cores(1 if quick() else None)
names = [
    "sgd", "momentum", "ema_momentum", "nesterov", "adagrad",
    "rmsprop", "adadelta", "adam", "adamw", "adamax",
]  # fmt: skip

# %%
styles = looks(names)
surfaces = SURFACES | {"turned_bowl": bowl(degrees=30)}
spanish = ("Rosenbrock", "Beale", "Himmelblau", "Rastrigin", "silla", "tazón", "tazón girado")
titles = dict(zip(surfaces, spanish, strict=True))

# %% [markdown]
# ## Reglas de la carrera
#
# Todos salen del mismo punto y dan el mismo número de pasos. Comparar con «la misma tasa» no sería
# justo (lección 5): cada optimizador corre cada superficie con toda una escala de tasas y se queda
# con la que antes llega cerca de un mínimo y no vuelve a alejarse; si con ninguna llega, con la
# que acaba más abajo. Todo cabe en un solo programa por un truco: las diez reglas tratan cada
# coordenada por separado, así que una bola por superficie y la suma de las alturas son siete
# carreras a la vez, sin que una influya en otra. `joc.sweep` hace el resto.

# %%
STEPS, NEAR = 300, 0.1
rates = np.geomspace(1e-5, 10, 13 if quick() else 25)
trials = joc.grid(optimizer=names, learning_rate=rates)
study = joc.sweep(  # una carrera que se dispara no saca de la pista a las otras seis: sin límite
    together(surfaces),
    trials,
    steps=STEPS,
    batch_size=1,
    evaluate_every=2,
    diverges_above=np.inf,
    progress=False,
)
print(f"{len(study.trials)} entrenamientos, en cada uno {len(surfaces)} carreras de {STEPS} pasos")


# %%
def route(surface, trial):
    """El camino de una bola: la salida y un paso de cada dos; (n, 2)."""
    curve = study.curves.sel(trial=trial)
    path = np.stack([curve[f"valid_{surface}_x"], curve[f"valid_{surface}_y"]], axis=-1)
    return np.concatenate([np.array([surfaces[surface].start]), path])


best = pd.DataFrame(index=names, columns=surfaces, dtype=int)  # un entrenamiento en cada casilla
needed = pd.DataFrame(index=names, columns=surfaces, dtype=float)  # pasos hasta quedarse cerca
arrivals = study.trials[["trial", "optimizer", "learning_rate"]].copy()  # lo mismo, de todos
for surface in surfaces:
    far = ~(study.curves[f"valid_{surface}_distance"].values < NEAR)  # (trial, eval_step)
    after = far.shape[1] - far[:, ::-1].argmax(axis=1)  # la primera mirada tras la última lejana
    arrival = np.where(far.any(axis=1), after, 0)
    ticks = np.append(study.curves["eval_step"].values.astype(float), np.inf)
    arrivals[surface] = ticks[arrival]
    table = study.trials.assign(needed=ticks[arrival], height=study.trials[f"valid_{surface}"])
    winners = table.sort_values(["needed", "height"]).groupby("optimizer").first().loc[names]
    best[surface] = winners["trial"].astype(int)
    needed[surface] = winners["needed"].replace(np.inf, np.nan)

# %% [markdown]
# Los caminos, cada uno con su mejor tasa: una fila por superficie, y en cada columna una familia,
# los de una sola tasa, los que dividen cada coordenada y los que hacen ambas cosas. El anillo es la
# salida y las estrellas los mínimos. Algunos salen del dibujo y vuelven. `ema_momentum` no está
# porque se tapa con `momentum`: es el mismo camino con otra tasa (lección 3); `adam` asoma poco,
# casi siempre debajo de `adamw`. Para verlos de cuatro en cuatro, paso a paso y desde otra salida,
# están <a href="manos_superficie.html">las mismas superficies con las manos</a>.

# %%
families = [
    ["sgd", "momentum", "nesterov"],
    ["adagrad", "rmsprop", "adadelta"],
    ["adam", "adamw", "adamax"],
]
fig, axes = plt.subplots(6, 3, figsize=(9, 15), sharex="row", sharey="row", layout="constrained")
for row, (name, surface) in zip(axes, SURFACES.items(), strict=True):
    for ax, family in zip(row, families, strict=True):
        landscape.contours(ax, *surface.grid(), lowest=surface.lowest, minima=surface.minima,
                           levels=7)  # fmt: skip
        routes = {who: route(name, best.loc[who, name]) for who in family}
        lines = landscape.paths(ax, routes, styles=styles)
        if name == "rosenbrock":  # la primera fila lleva los nombres
            ax.legend(lines, family, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    row[0].set_ylabel(titles[name])
show(fig, "caminos", "Los caminos en seis superficies, cada uno con su mejor tasa")

# %% [markdown]
# ## ¿Quién llega, y cuándo?
#
# La tabla cuenta las actualizaciones hasta quedarse a menos de una décima de un mínimo global. Un
# guion es que no llegó. La mejor tasa de casi todos cambia mucho entre superficies.

# %%
fig, ax = plt.subplots(figsize=(10, 5), layout="constrained")
ax.imshow(needed.to_numpy(), cmap="Blues", vmin=-40, vmax=1.6 * STEPS, aspect="auto")
for i, who in enumerate(names):
    for j, surface in enumerate(surfaces):
        value = needed.loc[who, surface]
        ax.text(j, i, "–" if np.isnan(value) else f"{value:.0f}", ha="center", va="center")
ax.set_xticks(range(len(surfaces)), list(titles.values()), rotation=35, ha="right")
ax.set_yticks(range(len(names)), names)
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
ax.set_title("Actualizaciones hasta el mínimo, con la mejor tasa de cada uno")
show(fig, "llegadas")
chosen = study.trials.set_index("trial")["learning_rate"].astype(float)
picked = best.map(lambda trial: chosen[trial]).agg(["min", "max"], axis=1)
print("la mejor tasa de cada uno, según la superficie, va de la menor a la mayor:")
show_table(picked.set_axis(["menor", "mayor"], axis=1).rename_axis("optimizador"), 1)
assert (picked["max"] > 5 * picked["min"]).sum() >= len(names) - 1

# %% [markdown]
# ## Lo que dice la tabla
#
# **Una advertencia.** Con tantas tasas, alguna cae de un salto junto al mínimo por casualidad: una
# cifra asombrosamente baja es «la mejor de muchas», no un mérito (lección 12). Y a Rastrigin no
# llega nadie: de los mínimos locales trata la segunda mitad.
#
# **El tazón y su giro.** SGD y los momentos no distinguen los dos tazones: girar los ejes gira su
# camino y nada más. Los que dividen cada coordenada por su propia memoria deshacen la desproporción
# del tazón recto, y ya no pueden en cuanto el tazón no está alineado con los ejes. Adam lo nota
# menos, porque lleva además una velocidad, y esa no mira los ejes.

# %%
ratio = (needed["turned_bowl"] / needed["bowl"]).astype(float)
show_table(ratio.rename("girado / recto").to_frame().rename_axis("optimizador"))
for name in ("sgd", "momentum", "ema_momentum", "nesterov"):
    assert 0.9 < ratio[name] < 1.1
assert (ratio[["adagrad", "rmsprop", "adamax"]] > 1.5).all() and 1 < ratio["adam"] < 1.5
assert needed["rastrigin"].isna().all()
reachable = needed.drop(columns="rastrigin")
assert reachable.idxmin().nunique() > 1  # nadie es el primero en todas

# %% [markdown]
# **La silla.** La salida está casi en la cresta: hacia los mínimos el gradiente es más de mil veces
# menor que hacia el punto de silla. Con SGD la distancia a la cresta crece por un factor $1+\eta$
# en cada paso, así que con una tasa pequeña espera mucho; RMSProp y Adam miden cada coordenada con
# su propia vara y se apartan de la cresta desde el primer paso. Es la historia de siempre, y con
# una misma tasa pequeña es cierta (abajo, la animación; Adagrad también se aparta, pero con esa
# tasa se frena antes de llegar). La sorpresa es la otra mitad: con su mejor tasa, SGD sale antes
# que Adam. (Los guiones, como arriba: no llegó.)

# %%
saddle, common = SURFACES["saddle"], rates[7 * (len(rates) - 1) // 12]
alike = arrivals[np.isclose(arrivals["learning_rate"].astype(float), common)]
alike = alike.set_index("optimizer")
both = pd.DataFrame({f"tasa {common:.2g}": alike["saddle"], "la mejor": needed["saddle"]})
both = both.replace(np.inf, np.nan)
show_table(both.loc[names].rename_axis("optimizador"))
assert (alike.loc[["rmsprop", "adam"], "saddle"] < alike.loc["sgd", "saddle"]).all()
across, along = np.abs(jax.grad(saddle.function)(jnp.array(saddle.start)))
assert across > 1000 * along
assert needed.loc["sgd", "saddle"] < needed.loc["adam", "saddle"]

# %%
racers = ["sgd", "momentum", "adagrad", "rmsprop", "adam"]
routes = {name: route("saddle", int(alike.loc[name, "trial"])) for name in racers}
fig, ax = plt.subplots(figsize=(7, 5.2))
landscape.contours(ax, *saddle.grid(), lowest=saddle.lowest, minima=saddle.minima)
film = landscape.race(ax, routes, frames=8 if quick() else 50, styles=styles)
ax.set(xlabel="x", ylabel="y", title=f"La silla, todos con la tasa {common:.2g}")
ax.legend(loc="upper right", frameon=True)
folder = Path("runs/course/06_carrera")
folder.mkdir(parents=True, exist_ok=True)
film.save(folder / "silla.gif", writer=PillowWriter(fps=8), dpi=80)
plt.close(fig)

# la misma escena, quieta; la animación solo se mueve si se abre
fig, ax = plt.subplots(figsize=(7, 5.2))
landscape.contours(ax, *saddle.grid(), lowest=saddle.lowest, minima=saddle.minima, levels=9)
lines = landscape.paths(ax, routes, styles=styles)
ax.set(xlabel="x", ylabel="y", title=f"La silla, todos con la tasa {common:.2g}".replace(".", ","))
ax.legend(lines, racers, loc="upper right")
show(fig, "silla")
if "ipykernel" in sys.modules:
    from IPython.display import HTML, display

    film_data = base64.b64encode((folder / "silla.gif").read_bytes()).decode()
    picture = f'<img alt="La carrera en la silla" src="data:image/gif;base64,{film_data}">'
    display(HTML(f"<details><summary>Ver la animación</summary>{picture}</details>"))
else:
    print(folder / "silla.gif")

# %% [markdown]
# ## ¿Se escapa de los mínimos locales?
#
# Los apuntes dicen que el momentum (000, 001) ayuda a escapar de mínimos locales; lo mismo dicen
# del ruido, que se mide en la lección 13. Rastrigin es el sitio para contarlo. De cada salida al
# azar se sabe a qué mínimo local lleva la bajada más lenta posible; escapar es terminar en la
# cuenca de otro *más bajo*. Primero, unas pocas salidas con todas las tasas.

# %%
rastrigin = SURFACES["rastrigin"]
task = rastrigin.task(anywhere=True)  # la semilla de un entrenamiento es su salida
rates = np.geomspace(1e-3, 10, 9 if quick() else 17)
few = range(10 if quick() else 50)
trials = joc.grid(optimizer=names, learning_rate=rates, seed=few)
search = joc.sweep(task, trials, steps=STEPS, batch_size=1, evaluate_every=STEPS, progress=False)


# %%
@jax.jit
@jax.vmap
def settle(point):
    """El mínimo local al que lleva la bajada más lenta, y su altura."""
    slope = jax.grad(rastrigin.function)
    point = jax.lax.fori_loop(0, 400, lambda _, p: p - 1e-3 * slope(p), point)
    return point, rastrigin.function(point)


def outcomes(table):
    """Si cada entrenamiento acaba en una cuenca más baja que la de salida, o en la más baja."""
    table = table[table["status"] == "finished"].copy()
    seeds = jnp.asarray(table["seed"].to_numpy(np.uint32))
    starts = jax.vmap(lambda seed: task.init(jax.random.key(seed))[0])(seeds)
    _, floor = settle(starts)
    ends, reached = settle(jnp.asarray(table[["valid_x", "valid_y"]].to_numpy(np.float32)))
    table["lower"] = np.asarray(reached < floor - 0.5)
    table["global"] = np.linalg.norm(ends, axis=1) < 0.5
    table["already"] = np.asarray(floor) < 0.5
    return table


# %%
escaped = outcomes(search.trials).groupby(["optimizer", "learning_rate"])["lower"].sum()
share = escaped.unstack().reindex(names).fillna(0) / len(few)  # quien diverge no ha escapado
fig, ax = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
for name in names:
    look = styles[name]
    x = share.columns.astype(float)
    ax.semilogx(x, 100 * share.loc[name], color=look.colour, marker=look.matplotlib_marker,
                linestyle=look.matplotlib_dash, markersize=5, label=name)  # fmt: skip
ax.set(xlabel=r"tasa de aprendizaje $\eta$", ylabel="salidas que escapan (%)", ylim=(-3, 103))
fig.legend(loc="outside lower center", ncols=4, frameon=False)
show(fig, "escapes", "Cuántas salidas escapan de su cuenca, según la tasa")

# %% [markdown]
# Con tasas pequeñas no escapa nadie, tenga o no momentum: la bola se queda en su hoyo. (Adadelta,
# que arranca con pasos minúsculos, no escapa con ninguna.) Lo que saca de un mínimo local es un
# paso más ancho que el hoyo. Pero el que da pasos así no se asienta: por eso antes de contar se
# deja que cada bola termine de bajar despacio, que es lo que hace una tasa decreciente (lección 2).
#
# Ahora el recuento: cada optimizador con su tasa más escapista, desde mil salidas nuevas, en el
# mismo programa ya compilado (`study.extend` añade filas a la tabla).

# %%
STARTS = 200 if quick() else 1000
favourite = share.astype(float).idxmax(axis=1)
fresh = range(1000, 1000 + STARTS)
more = pd.concat(
    [joc.grid(optimizer=[name], learning_rate=[favourite[name]], seed=fresh) for name in names]
)
counted = search.extend(more, task=task, progress=False).trials.query("seed >= 1000")
counts = outcomes(counted).groupby("optimizer")[["lower", "global", "already"]].sum().loc[names]
print(f"de {STARTS} salidas:")
shown = counts.set_axis(["escapan", "al mínimo global", "ya estaban en él"], axis=1)
show_table(shown.assign(tasa=favourite.map(lambda x: f"{x:.2g}")).rename_axis("optimizador"))
assert (share.iloc[:, 0] == 0).all() and (share.loc["adadelta"] == 0).all()
assert (counts["lower"] > 0.5 * STARTS).any()

# %% [markdown]
# Adagrad es quien más escapa, y la razón está en la lección 4: sus primeros pasos son enormes y se
# acortan solos, de modo que explora primero y se asienta después. Al momentum no se le ve aquí la
# ventaja que le atribuyen los apuntes: con SGD, y la tasa que le conviene, escapan más. En el
# paisaje de la [lección 13.2](13_2_minimos_locales.py) sí la tiene: allí los pozos son uno más alto
# que el anterior, y la velocidad acumulada los cruza rodando cuesta abajo. Y escapar no es
# encontrar: muchos de los que salen de un hoyo acaban en otro que tampoco es el más bajo.

# %%
assert counts["lower"].idxmax() == "adagrad"
assert counts.loc["momentum", "lower"] < counts.loc["sgd", "lower"]
escaping = counts[counts["lower"] > 0.05 * STARTS]
assert (escaping["global"] < 0.75 * escaping["lower"]).all()

ended = outcomes(counted).set_index(["optimizer", "seed"])["lower"].astype(float)
lower = {who: ended[who].reindex(fresh, fill_value=0.0) for who in ("sgd", "momentum")}
show_claims([
    claim("Momentum", "001:538, 000:41", "ayuda a superar mínimos locales",
          f"de {STARTS} salidas, cada uno con su tasa más escapista, escapan "
          f"{counts.loc['momentum', 'lower']} con momentum y {counts.loc['sgd', 'lower']} con SGD",
          part="en la superficie de Rastrigin",
          en_Rastrigin=decided(lower["momentum"] - lower["sgd"])),
])  # fmt: skip

# %% [markdown]
# ## ¿Y una red de verdad?
#
# Una red tiene miles de pesos y no cabe en un dibujo, pero un camino de entrenamiento sí cabe casi
# entero: se toman las dos direcciones en que más se extiende (sus componentes principales) y se
# dibuja la pérdida sobre ese plano, con los caminos proyectados en él.

# %%
digits = joc.load_task("digits")
begin, as_tree = ravel_pytree(digits.init(jax.random.key(0))[0])  # los pesos en una fila


@jax.jit
def cost(weights):
    """La entropía cruzada de todas las imágenes de entrenamiento."""
    return digits.loss(as_tree(weights), {}, digits.train, None)[0]


def train(tx, steps=150):
    """Los pesos en cada paso, con el lote completo: (steps + 1, pesos)."""

    def step(carry, _):
        weights, state = carry
        u, state = tx.update(jax.grad(cost)(weights), state, weights)
        return (weights + u, state), weights + u

    path = jax.jit(lambda w: jax.lax.scan(step, (w, tx.init(w)), length=steps)[1])(begin)
    return np.concatenate([begin[None], path])


# %%
walks = {"sgd": train(joc.sgd(0.5)), "adam": train(joc.adam(0.02))}
plane = landscape.pca_plane(np.concatenate(list(walks.values())), origin=np.asarray(begin))
flat = {name: plane.coordinates(walk) for name, walk in walks.items()}
corners = np.concatenate(list(flat.values()))
low, high = corners.min(axis=0), corners.max(axis=0)
margin = 0.15 * (high - low)
a, b = np.linspace(low - margin, high + margin, 15 if quick() else 32).T
costs = jax.jit(lambda many: jax.lax.map(cost, many))
heights = plane.heights(costs, a, b, chunk=len(a))

fig, ax = plt.subplots(figsize=(8, 5.2), layout="constrained")
landscape.contours(ax, a, b, heights, lowest=0.0)
landscape.paths(ax, flat, styles=styles)
ax.set(
    xlabel=f"primera componente ({100 * plane.shares[0]:.0f} %)",
    ylabel=f"segunda componente ({100 * plane.shares[1]:.0f} %)",
    title=f"La pérdida de una red de {len(begin)} pesos",
)
ax.legend(frameon=True)
show(fig, "red")
print(f"el plano recoge el {100 * sum(plane.shares):.0f} % de ambos caminos")
for name, walk in walks.items():
    on_plane = plane.at(*flat[name][-1])
    print(f"{proper(name)}: pérdida al terminar {cost(walk[-1]):.4f};", end=" ")
    print(f"en su sombra {cost(on_plane):.4f}")

# %% [markdown]
# Los dos salen del mismo punto y acaban abajo, pero ¿en el mismo sitio? La pérdida a lo largo de la
# recta que une los dos finales lo dice: sube y vuelve a bajar. Entre ellos, en línea recta, hay una
# loma: la red tiene más de un fondo bueno, y cada método encontró el suyo. (El dibujo es una
# sombra: la pérdida en el plano no es la del camino.)

# %%
ends = {name: walk[-1] for name, walk in walks.items()}
between = [float(cost((1 - s) * ends["sgd"] + s * ends["adam"])) for s in np.linspace(0, 1, 9)]
print("de SGD a Adam:", " ".join(f"{height:.3f}" for height in between))
assert sum(plane.shares) > 0.7
assert max(between[0], between[-1]) < 0.05 * cost(begin) and max(between) > 1.5 * between[0]

# %% [markdown]
# **Resumen.** Nadie gana en todas las superficies. Girar los ejes les cuesta pasos a los
# adaptativos, y a los demás no les cambia nada. De un mínimo local se sale con pasos grandes, no
# con un nombre.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice qué optimizador pierde más al girar el tazón 45° en vez de 30°. Cambia
#    `bowl(degrees=30)` y míralo.
# 2. Sube `STEPS` a 1000. ¿Llega alguien a Rosenbrock que antes no llegaba?
# 3. Demuestra que SGD da los mismos pasos, girados, si se giran los ejes; y que Adagrad no.
#
# ## Para leer más
#
# - Rosenbrock (1960), «An Automatic Method for Finding the Greatest or Least Value of a Function».
# - Li, Xu, Taylor, Studer y Goldstein (2018), «Visualizing the Loss Landscape of Neural Nets».
