# %% [markdown]
# # 15.2. Soluciones: las lecciones 10 y 11
#
# Las respuestas de «Para practicar» de las erratas y de las bibliotecas. Lo que es un número se
# calcula aquí y se comprueba. Mira una solución cuando ya tengas la tuya.
#
# **Hace falta** haber intentado el ejercicio.

# %%
import contextlib
import io
import json

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxopt_course as joc
from jaxopt_course.course import show
from jaxopt_course.course.claims import spanish
from jaxopt_course.course.errata import Errata
from jaxopt_course.course.lessons import measured
from jaxopt_course.course.walks import walk
from jaxopt_course.problems.convolution import convolve, max_pool

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
rng = np.random.default_rng(0)

# %% [markdown]
# ## Lección 10
#
# **10.1.**
#
# 1. En $w=\frac{0{,}01\cdot3}{0{,}01+0{,}5^2}=0{,}115$: con menos memoria el factor $\gamma$ encoge
#    más, y se queda casi en cero.
# 2. La suma, $1/(1+\gamma)=0{,}53$ veces la tasa; la media, $(1-\gamma)/(1+\gamma)=0{,}053$. La
#    memoria cancela lo que se contradice.
# 3. Con $g$ constante $m_t=(1-\beta_1^t)\,g$ y $\hat v_t=g^2$, y el paso es
#    $\eta\,m_t/|g|=\pm(1-\beta_1^t)\,\eta$.
# 4. Está en la celda de abajo. La delata cualquier caso con curvatura; un gradiente constante, no,
#    porque entonces da igual dónde se mire. Lo más claro es una parábola con
#    $\eta L>1/\gamma-1$: la correcta llega y la otra explota.

# %%
w = v = 0.0
for _ in range(3000):  # el momentum impreso, en ½(w-3)²
    v = 0.5 * v + 0.01 * (w - 3)
    w = 0.5 * w - v
total = mean = 0.0
for t in range(400):  # un gradiente que alterna de signo
    total, mean = 0.9 * total + (-1) ** t, 0.9 * mean + 0.1 * (-1) ** t
print(spanish(f"se detiene en {w:.3f}; pasos: suma {abs(total):.3f}, media {abs(mean):.4f}"))
assert np.isclose(w, 0.03 / 0.26)
assert np.isclose(abs(total), 1 / 1.9) and np.isclose(abs(mean), 0.1 / 1.9)


# %%
def looking(sign, eta=0.2, gamma=0.9):
    """Nesterov que mira el gradiente en w - γv, o con el otro signo en w + γv."""

    def rule(w, v, slope, t):
        v = gamma * v + eta * slope(w - sign * gamma * v, t)
        return w - v, v

    return rule


errata = Errata()
errata.judge(
    "X1",
    "002:582",
    "Nesterov mira hacia atrás",
    quote=r"$v_{t+1} = \gamma v_t + \eta\nabla E(w_t + \gamma v_t)$ (inventada)",
    printed=(r"$\nabla E(w_t + \gamma v_t)$", looking(-1)),
    right=(r"$\nabla E(w_t - \gamma v_t)$", looking(1)),
    cases={"a qué distancia llega entre los pasos 40 y 60, en ½w² desde 1": lambda rule: (
        np.abs(walk(rule, lambda w, t: w, 1.0, 60)[40:]).max())},
    truth=looking(1),
)  # fmt: skip
assert errata["X1"].cases[0].printed > 1 > 0.1 > errata["X1"].cases[0].right
ones = lambda w, t: 0 * w + 1.0
assert np.allclose(walk(looking(1), ones, 0.0, 60), walk(looking(-1), ones, 0.0, 60))

# %% [markdown]
# **10.2.**
#
# 1. $\eta\,\sqrt{1-\beta_2}\,g/(\sqrt{1-\beta_2}\,g+\varepsilon)=0{,}031\,\eta$. El del artículo,
#    con la misma $\varepsilon$, daría $\eta/2$.
# 2. Con gradiente 1 se distinguen en menos de una cienmilésima, y `errata.judge` se niega. En un
#    uno por ciento, desde un gradiente de 0,021 hacia abajo.
# 3. $\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\cdot\frac m{\sqrt v+\varepsilon}$: se divide arriba y
#    abajo por $\sqrt{1-\beta_2^t}$ y queda
#    $\hat m/\big(\sqrt{\hat v}+\varepsilon/\sqrt{1-\beta_2^t}\big)$.
# 4. $(1-\eta\lambda)\,w-\eta g=w-\eta\,(g+\lambda w)$. Con Adam, la suma $g+\lambda w$ pasa por $m$
#    y se divide por $\sqrt{\hat v}$; el factor que encoge, no.

# %%
of_keras = -walk(joc.adam(like="keras"), lambda w, t: 0 * w + 1e-7, 0.0, 1)[0] / 1e-3
first = lambda g, eps: g / np.sqrt(0.1 * g**2 + eps)  # el primer paso de RMSProp
apart = lambda g: first(g, 1e-7) / first(g, 1e-6) - 1
sizes = np.geomspace(1e-3, 1, 1000)
from_one = sizes[np.argmax(apart(sizes) < 0.01)]
print(spanish(f"Adam de Keras: {of_keras:.3f} η; E18 a un uno por ciento: {from_one:.3f}"))
assert np.isclose(of_keras, 0.001**0.5 / (0.001**0.5 + 1), rtol=1e-6)
assert apart(1.0) < 1e-5 and abs(from_one - 0.021) < 0.001

# %% [markdown]
# **10.3.**
#
# 1. $(0{,}03;\ 0{,}33;\ 0{,}64)$. El orden se conserva, porque la logística crece; las distancias,
#    no: softmax da $0{,}95$ a la tercera.
# 2. La correcta, $p=1/3$, la frecuencia. La impresa, $p=299/300$, el borde de la rejilla: da casi
#    todo a la clase que menos veces sale.
# 3. $\ln\hat y_k=z_k-\ln\sum_je^{z_j}$, luego
#    $E=-\sum_ky_kz_k+\ln\sum_je^{z_j}$ (las $y$ suman uno), y
#    $\partial E/\partial z_k=-y_k+\hat y_k$.
# 4. Se cambia el signo de arriba y de abajo no: $\frac{e^{-2x}-1}{e^{-2x}+1}=-\tanh x$. Como es
#    impar, basta cambiar el signo de los pesos que salen de la capa oculta (no el de los sesgos de
#    la salida), o el de los pesos y sesgos que entran en ella.

# %%
z = np.array([-3.0, 0.0, 3.0])
logistic = 1 / (1 + np.exp(-z))
printed, soft = logistic / logistic.sum(), np.exp(z) / np.exp(z).sum()
grid = np.arange(1, 300) / 300
likelihood = np.log(grid) + 2 * np.log(1 - grid)  # etiquetas 1, 0, 0
print(spanish(f"E7: {'; '.join(f'{p:.2f}' for p in printed)}; softmax: {soft[2]:.2f} la tercera"))
print(spanish(f"E10: {grid[likelihood.argmax()]:.3f} y {grid[likelihood.argmin()]:.3f}"))
assert np.all(np.diff(printed) > 0) and np.isclose(grid[likelihood.argmax()], 1 / 3)
assert np.isclose(grid[likelihood.argmin()], 299 / 300)
wrong_tanh = lambda x: (np.exp(-2 * x) - 1) / (np.exp(-2 * x) + 1)
x, W, b, out, c = (rng.normal(size=size) for size in (3, (4, 3), 4, (2, 4), 2))
right_net = out @ np.tanh(W @ x + b) + c
assert np.allclose(right_net, -out @ wrong_tanh(W @ x + b) + c)
assert np.allclose(right_net, out @ wrong_tanh(-W @ x - b) + c)

# %% [markdown]
# **10.4.**
#
# 1. La horizontal $y=2$, la media: cada predicción se compara con las cinco etiquetas.
# 2. La segunda, con la matriz que llega a la capa $\ell+1$: $W^{(2)}$ es $3\times4$ y $\delta$
#    tiene tres números. (La lectura al pie de la letra no se ejecuta en ninguna red de tres
#    capas, porque no hay $W^{(3)}$.)
# 3. $64\cdot6\cdot6=2304$: el lado pasa de 32 a 15 y de 15 a 6. Los canales de la imagen no
#    cuentan, porque la primera convolución los suma.
# 4. La derivada respecto de $\hat y_i$ es
#    $\frac2{N^2}\sum_j(\hat y_i-y_j)=\frac2N(\hat y_i-\bar y)$, y se anula solo en $\bar y$.

# %%
points, y = np.arange(1.0, 6)[:, None], np.array([1.0, 1, 1, 1, 6])
slope = bias = 0.0
for _ in range(2000):
    error = (slope * points + bias) - y  # una tabla de 5 x 5
    slope, bias = slope - 0.16 * np.mean(error * points), bias - 0.16 * np.mean(error)
side = 32
for _ in range(2):
    side = (side - 2) // 2
print(spanish(f"recta aprendida: {abs(slope):.2f} x + {bias:.2f}; entradas: {64 * side**2}"))
assert np.allclose([slope, bias], [0, y.mean()], atol=1e-9) and 64 * side**2 == 2304
with contextlib.suppress(ValueError):
    rng.normal(size=(3, 4)) @ np.ones(3)
    raise AssertionError("las formas encajan")

# %% [markdown]
# **10.5.**
#
# 1. $\lceil1000/64\rceil=16$ con el incompleto, y 15 sin él.
# 2. Al de la izquierda, que es el global: en $w=0$ la pendiente es $+0{,}2$. Desde el máximo, a
#    ninguno: allí el gradiente es cero, y lo que le deja el redondeo da pasos menores que la última
#    cifra de $w$. Pero basta un soplo de $10^{-12}$: cada paso lo multiplica por
#    $1-\eta f''=1{,}04$, y tras unos seiscientos cae al valle de ese lado.
# 3. $\sum\frac1{1+s}$ es la serie armónica, infinita, y $\sum\frac1{(1+s)^2}=\frac{\pi^2}6$. Con la
#    raíz, $\sum\frac1{\sqrt{1+s}}$ es aún mayor que la armónica, y los cuadrados *son* la armónica.
# 4. Con $\mu\le a_i\le L$, $(a_i-\mu)(L-a_i)\ge0$, es decir, $a_i^2+L\mu\le(L+\mu)\,a_i$. Se
#    multiplica por $w_i^2$ y se suma: $\lVert g\rVert^2+L\mu\lVert w\rVert^2\le(L+\mu)\,g^\top w$.
#    La izquierda es al menos $2\sqrt{L\mu}\,\lVert g\rVert\lVert w\rVert$, y dividiendo sale
#    $\cos\ge\frac{2\sqrt{L\mu}}{L+\mu}=\frac{2\sqrt\kappa}{1+\kappa}$.

# %%
pull = lambda w, t: w**3 - w + 0.2
low, top, high = np.sort(np.roots([1.0, 0.0, -1.0, 0.2]).real)
ends = {start: walk(joc.sgd(0.05), pull, start, 4000) for start in (0.0, top, top + 1e-12)}
stays, blown = ends[top], ends[top + 1e-12]
leaves = int(np.argmax(np.abs(blown - top) > 0.1))
print(
    spanish(f"desde 0, a {ends[0.0][-1]:.3f}; desde el máximo, a {stays[-1]:.3f}; con un soplo, ")
)
print(spanish(f"a {blown[-1]:.3f}, que se nota tras {leaves} pasos"))
assert np.isclose(ends[0.0][-1], low) and np.isclose(stays[-1], top) and np.isclose(blown[-1], high)
assert 500 < leaves < 700
directions = rng.normal(size=(2, 100_000))
pulls = np.array([[1.0], [100.0]]) * directions
norms = np.linalg.norm(pulls, axis=0) * np.linalg.norm(directions, axis=0)
cosines = np.sum(pulls * directions, axis=0) / norms
assert 0 <= cosines.min() - 20 / 101 < 1e-4

# %% [markdown]
# ## Lección 11
#
# **11.1.**
#
# 1. La de PyTorch se entera antes: multiplica por la tasa nueva toda la velocidad, y el primer paso
#    sale diez veces mayor. La de Keras solo multiplica el gradiente que entra.
# 2. La celda se para en su `assert`: las dos trayectorias se apartan en la séptima cifra. La regla
#    solo se distingue en el sitio de $\varepsilon$, y aquí los gradientes son de tamaño uno.
# 3. Está abajo: las funciones de la biblioteca toman y devuelven diccionarios de arreglos, y lo
#    único que se añade es llevar cada número de una biblioteca a la otra.
# 4. Por inducción: $v_0=-\eta b_0=0$, y si $v=-\eta b$, entonces
#    $\mu v-\eta g=-\eta\,(\mu b+g)$.

# %%
START, STEPS = np.array([0.5, -1.0, 2.0, 1.5, -2.0, 1.0]), 30
A, C = np.linspace(0.1, 3.0, 6), np.array([1.0, -2.0, 0.5, 3.0, -1.0, 0.0])
curved = lambda w, t=None: A * (w - C) + 0.05 * w**3
raised = lambda s: 0.02 * (1 + 9 * (s >= 10))
ways = {
    name: walk(joc.sgd(raised, momentum=0.9, like=like), lambda w, t: w, 1.0, 60)
    for like, name in (("keras", "Keras"), ("torch", "PyTorch"))
}
jumps = {name: (way[10] - way[9]) / (way[9] - way[8]) for name, way in ways.items()}
print(spanish(", ".join(f"{name}: el paso crece {by:.1f} veces" for name, by in jumps.items())))
assert jumps["PyTorch"] > 5 * jumps["Keras"]

runs = list(json.loads(measured("trajectories.json").read_text())["rates"])
golden = np.load(measured("trajectories.npz"))["float64"][runs.index("keras.adam.defaults"), 0, 1]
off = np.abs(walk(joc.adam(like="torch"), curved, START, STEPS) - golden).max()
print(spanish(f"el Adam de PyTorch contra el camino de Keras: {off:.0e}"))
assert np.abs(walk(joc.adam(like="keras"), curved, START, STEPS) - golden).max() < 1e-12 < off

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for (name, way), colour, dash in zip(ways.items(), (BLUE, ORANGE), ("-", "--"), strict=True):
    ax.plot(np.append(1.0, way), dash, color=colour, label=name)
ax.axvline(10, color="0.6", lw=1)
ax.set(xlabel="paso", ylabel="posición $w$ en ½$w$²")
ax.legend(frameon=False)
show(fig, "tasa_que_sube", "El momentum de Keras y el de PyTorch cuando la tasa sube diez veces")

# %%
try:
    import torch
except ImportError:
    torch = None

if torch is not None:
    model = torch.nn.Linear(1, 1, dtype=torch.float64)
    x = torch.arange(1.0, 6, dtype=torch.float64)[:, None]
    weights = dict(model.named_parameters())
    with jax.enable_x64(True):
        here = {name: jnp.asarray(w.detach().numpy()) for name, w in weights.items()}
        tx = joc.adam(0.05)
        state = tx.init(here)
        for _ in range(400):
            model.zero_grad()
            torch.nn.functional.mse_loss(model(x), x).backward()
            g = {name: jnp.asarray(w.grad.numpy()) for name, w in weights.items()}
            updates, state = tx.update(g, state, here)
            here = joc.apply_updates(here, updates)
            for name, w in weights.items():
                w.data = torch.tensor(np.asarray(here[name]))
    assert torch.nn.functional.mse_loss(model(x), x).item() < 1e-2

# %% [markdown]
# **11.2.**
#
# 1. Cambia. La convolución no rellena los bordes, así que cada canal es constante; pero los canales
#    no son iguales entre sí, y las filas sin reordenar mezclan unos con otros. Solo si también
#    fueran iguales los canales daría lo mismo.
# 2. No: con Keras 3.15 y lotes de diez sus dos redes coinciden con las nuestras hasta
#    $2\cdot10^{-15}$ («en vivo»). La división en precisión simple de la 11.1 es del error
#    cuadrático medio; en la entropía cruzada no la hay.
# 3. `kernel.transpose(2, 1, 0)`: de (ancho, entradas, salidas) a (salidas, entradas, ancho). A la
#    densa que venga después, `kernel.reshape(ancho, canales, -1).transpose(2, 1, 0)` y en fila.
# 4. $y_k=\sum_ix_iW_{ik}$. Si $\pi$ permuta las entradas y las filas, $\sum_ix_{\pi(i)}W_{\pi(i)k}$
#    tiene los mismos sumandos en otro orden.

# %%
flat_image = jnp.ones((1, 8, 8, 1))
image = max_pool(convolve(flat_image, jnp.asarray(rng.normal(size=(3, 3, 1, 4))), (1, 1), "VALID"),
                 (2, 2), (2, 2))  # fmt: skip
image = np.asarray(image[0])  # 3 x 3 x 4, y cada canal es constante
dense = rng.normal(size=(image.size, 10))
in_order = image.ravel() @ dense
channels_first = image.transpose(2, 0, 1).ravel()
reordered = dense.reshape(3, 3, 4, 10).transpose(2, 0, 1, 3).reshape(-1, 10)
assert np.ptp(image, axis=(0, 1)).max() < 1e-6
assert np.allclose(channels_first @ reordered, in_order, rtol=1e-5)
assert np.abs(channels_first @ dense - in_order).max() > 0.1
signal, kernel = rng.normal(size=(9, 2)), rng.normal(size=(3, 2, 5))  # ancho, entradas, salidas
of_keras = [np.einsum("ki,kio->o", signal[at : at + 3], kernel) for at in range(7)]
of_torch = kernel.transpose(2, 1, 0)
there = [np.einsum("ik,oik->o", signal.T[:, at : at + 3], of_torch) for at in range(7)]
assert np.allclose(of_keras, there)

# %% [markdown]
# **11.3.**
#
# 1. SGD (tasa 0,01 y 0,001) y Adadelta (la tasa, $\rho$ y $\varepsilon$): con los mismos números
#    sus trayectorias coinciden, también con una tasa que decae. Momentum y Nesterov, solo con tasa
#    constante.
# 2. Los primeros. El primero sale casi el doble de largo: a $m$ se la divide por $0{,}1$ y a $v$
#    por $0{,}001$, cuando ya llevan veinte pasos. Desde el sexto son más cortos, hasta
#    un quinto, y así siguen cientos de pasos.
# 3. Ya no. Sin ruido ha llegado: los gradientes son menores que $\varepsilon$, y el paso sin
#    memorias, $\eta\,g/(|g|+\varepsilon)$, no se nota. Con $\varepsilon=0$ mediría otra vez $\eta$.
# 4. $\hat m_1=g$ y $\hat v_1=g^2$; el paso es $\eta\,\frac g{|g|+\varepsilon}$, que mide casi
#    $\eta$ si $|g|\gg\varepsilon$.

# %%
for recipe in ("sgd", "adadelta"):
    with contextlib.redirect_stdout(io.StringIO()):  # imprime, y devuelve lo mismo
        found = joc.explain("keras", "torch", optimizer=recipe)
    assert found.own_defaults > 1e-3 > 1e-12 > max(found.equal_numbers, found.scheduled)

t = np.arange(1, 1001)
longer = (1 - 0.9 ** (t + 20)) / (1 - 0.9**t) * np.sqrt((1 - 0.999**t) / (1 - 0.999 ** (t + 20)))
print(spanish(f"sin la cuenta: {longer[0]:.2f} veces el primer paso, {longer.min():.2f} el menor"))
assert longer[4] > 1 > longer[5] and abs(longer.min() - 0.8) < 0.01

before = walk(joc.adam(0.05), curved, START, 1000)[-1]
steady = walk(joc.adam(0.05), curved, START, 1010)[-1] - before
fresh = walk(joc.adam(0.05), curved, before, 1)[-1] - before
shifts = np.abs([steady, fresh]).max(axis=1)
print(spanish(f"tras mil pasos: con el estado se mueve {shifts[0]:.0e}, sin él {shifts[1]:.0e}"))
assert np.abs(curved(before)).max() < 1e-8 and shifts.max() < 1e-6
assert np.abs(walk(joc.adam(0.05), curved, START, 1)[0] - START).min() > 0.049  # al empezar, η
