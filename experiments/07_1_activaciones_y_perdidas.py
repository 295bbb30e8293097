# %% [markdown]
# # 7.1. La red por dentro: activaciones y pérdidas
#
# Un optimizador solo ve una lista de números y su gradiente. Las cuatro lecciones del capítulo 7
# abren la caja. La idea es la del *conexionismo* de los apuntes 002: muchas unidades sencillas,
# unidas como las neuronas del cerebro, hacen juntas lo que ninguna sabe hacer sola.
#
# Esta parte empieza por las piezas sueltas: qué hace cada neurona con lo que le llega, cómo se
# convierten las salidas en probabilidades y con qué se mide el error. Cada fórmula se escribe una
# vez en NumPy y se compara con JAX hasta la duodécima cifra.
#
# **Al terminar sabrás** elegir la activación y la pérdida que corresponden a cada tarea; derivar la
# entropía cruzada de la verosimilitud; evaluar softmax sin desbordarla; decir qué añade una capa
# oculta a una regresión logística.
#
# **Hace falta** la regla de la cadena y logaritmos.

# %%
import math

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from sklearn.linear_model import LogisticRegression

import jaxopt_course as joc
from jaxopt_course.course import show
from jaxopt_course.course.walks import exact

BLUE, GREEN, RED, PURPLE = "#0072B2", "#009E73", "#D55E00", "#CC79A7"
rng = np.random.default_rng(0)

# %% [markdown]
# ## Funciones de activación
#
# Cada neurona suma sus entradas con pesos, añade un sesgo y pasa el total $z$ por una función
# $\sigma$:
#
# | nombre | $\sigma(z)$ | $\sigma'(z)$ |
# |---|---|---|
# | lineal | $z$ | $1$ |
# | sigmoide | $1/(1+e^{-z})$ | $\sigma(1-\sigma)$ |
# | tanh | $(1-e^{-2z})/(1+e^{-2z})$ | $1-\sigma^2$ |
# | ReLU | $\max(0,z)$ | $1$ si $z>0$, $0$ si $z<0$ |
# | softplus | $\ln(1+e^{z})$ | $1/(1+e^{-z})$ |
#
# En $z=0$ la ReLU tiene un pico y no hay pendiente; al programarla se le da una cualquiera entre 0
# y 1, y aquí, como en JAX y en PyTorch, es 0.


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def tanh(z):
    return (1 - np.exp(-2 * z)) / (1 + np.exp(-2 * z))


ACTIVATIONS = {  # nombre: (función, derivada, la misma en JAX)
    "lineal": (lambda z: z, np.ones_like, lambda z: z),
    "sigmoide": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z)), jax.nn.sigmoid),
    "tanh": (tanh, lambda z: 1 - tanh(z) ** 2, jnp.tanh),
    "ReLU": (lambda z: np.maximum(0, z), lambda z: (z > 0).astype(float), jax.nn.relu),
    "softplus": (lambda z: np.log(1 + np.exp(z)), sigmoid, jax.nn.softplus),
}
z = np.linspace(-4, 4, 401)
with jax.enable_x64(True):
    for name, (function, slope, in_jax) in ACTIVATIONS.items():
        value, by_jax = jax.device_get(jax.vmap(jax.value_and_grad(in_jax))(z))
        gaps = np.abs(function(z) - value).max(), np.abs(slope(z) - by_jax).max()
        print(f"{name:9} a mano y en JAX: función {gaps[0]:.0e}, derivada {gaps[1]:.0e}")
        assert max(gaps) < 1e-12

# %% [markdown]
# (Los apuntes imprimen $\tanh$ y softplus con un signo cambiado: erratas E5 y E6, en la
# [lección 10.3](10_3_activaciones_y_perdidas.py).)
#
# A la derecha, lo que importa para aprender: la derivada. La de la sigmoide nunca pasa de un
# cuarto; de ahí saldrá, en la lección 7.3, el gradiente que se desvanece. Cada capa puede llevar la
# suya, y lo habitual son dos: una por dentro, casi siempre ReLU, y en la salida la que pide la
# pérdida.

# %%
COLOURS = dict(zip(ACTIVATIONS, ["black", BLUE, GREEN, RED, PURPLE], strict=True))
STYLES = {"lineal": "--"}  # para que debajo se vea la ReLU
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for name, (function, slope, _) in ACTIVATIONS.items():
    style = {"color": COLOURS[name], "ls": STYLES.get(name, "-"), "label": name}
    axes[0].plot(z, function(z), **style)
    axes[1].plot(z, slope(z), **style)
axes[0].set(xlabel="entrada $z$", ylabel=r"salida $\sigma(z)$", ylim=(-1.6, 3), title="Activación")
axes[1].set(xlabel="entrada $z$", ylabel=r"pendiente $\sigma'(z)$", title="Derivada")
axes[1].axhline(0.25, color=BLUE, lw=0.8, ls="--")
axes[1].text(4, 0.27, "techo: 1/4", color=BLUE, ha="right")
fig.tight_layout()
fig.legend(
    *axes[0].get_legend_handles_labels(), loc="upper center", ncols=5, bbox_to_anchor=(0.5, 0)
)
show(fig, "activaciones")
steepest = ACTIVATIONS["sigmoide"][1](z)
print(
    f"la pendiente mayor de la sigmoide, {steepest.max():.4f}, está en z = {z[steepest.argmax()]:g}"
)
assert steepest.max() <= 1 / 4 and z[steepest.argmax()] == 0

# %% [markdown]
# ## Softmax y objetivos *one-hot*
#
# Con $K$ clases hacen falta $K$ probabilidades que sumen uno:
#
# $$\hat y_s = \frac{e^{z_s}}{\sum_t e^{z_t}}$$
#
# La clase verdadera se escribe como un vector de ceros con un solo uno, en el puesto de la clase:
# eso es un objetivo *one-hot* (codificación uno entre $K$).
#
# Sumar una constante a todas las entradas no cambia softmax. Esa invariancia permite restar el
# máximo antes de la exponencial, y así no desbordar nunca. (No equivale, por tanto, a normalizar
# sigmoides: errata E7, en la [lección 10.3](10_3_activaciones_y_perdidas.py).)


# %%
def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def one_hot(classes, k):
    return np.eye(k)[classes]


scores = np.array([1.0, 2.0, 3.0])
row = lambda values: " ".join(f"{value:.3g}" for value in values)
print(f"softmax: {row(softmax(scores))}; con +10: {row(softmax(scores + 10))}")
print("clase 3 de 5:", row(one_hot(3 - 1, 5)))  # los apuntes cuentan las clases desde 1
with jax.enable_x64(True):
    np.testing.assert_allclose(softmax(scores), jax.nn.softmax(jnp.asarray(scores)), atol=1e-12)
assert np.allclose(softmax(scores), softmax(scores + 10), rtol=0, atol=1e-12)
assert np.isfinite(softmax(np.array([1000.0, 0.0]))).all()

# %% [markdown]
# Con dos clases, en cambio, sí hay una equivalencia: softmax de $(0, z)$ da la sigmoide de $z$. Por
# eso a una clasificación binaria le basta con una salida.

# %%
pairs = np.stack([np.zeros_like(z), z], axis=-1)
assert np.allclose(softmax(pairs)[:, 1], sigmoid(z), rtol=0, atol=1e-12)

# %% [markdown]
# ## Funciones de pérdida
#
# Para regresión, clasificación binaria y $K$ clases, con la media sobre los $M$ ejemplos:
#
# $$E_{\text{MSE}}=\tfrac1M\sum_m \tfrac12\lVert a_m-y_m\rVert^2$$
#
# $$\begin{aligned}E_{\text{BCE}}=-\tfrac1M\sum_m\big[&y_m\ln a_m\\
#   &+(1-y_m)\ln(1-a_m)\big]\end{aligned}$$
#
# $$E_{\text{CE}}=-\tfrac1M\sum_m\sum_k y_{mk}\ln a_{mk}$$
#
# Con varias salidas binarias, la segunda suma también sobre ellas.


# %%
def squared(a, y):
    return (0.5 * (a - y) ** 2).sum(-1).mean()


def binary(a, y):
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(-1).mean()


def categorical(a, y):
    return -(y * np.log(a)).sum(-1).mean()


outputs, binary_targets = rng.normal(size=(50, 3)), rng.integers(0, 2, (50, 3)).astype(float)
labels = rng.integers(0, 3, 50)
by_hand = {
    "MSE": squared(outputs, binary_targets),
    "BCE": binary(sigmoid(outputs), binary_targets),
    "CE": categorical(softmax(outputs), one_hot(labels, 3)),
}
with jax.enable_x64(True):
    losses = optax.losses
    in_optax = {
        "MSE": losses.l2_loss(outputs, binary_targets).sum(-1).mean(),
        "BCE": losses.sigmoid_binary_cross_entropy(outputs, binary_targets).sum(-1).mean(),
        "CE": losses.softmax_cross_entropy_with_integer_labels(outputs, labels).mean(),
    }
    in_optax = jax.device_get(in_optax)
for name in by_hand:
    print(f"{name}: a mano {by_hand[name]:.12f}, optax {in_optax[name]:.12f}")
    assert abs(by_hand[name] - in_optax[name]) < 1e-12

# %% [markdown]
# El ½ de la primera está en una página de los apuntes y en otra no. Keras, PyTorch y esta
# biblioteca no lo ponen, y además promedian sobre las $K$ salidas en lugar de sumarlas. Todo eso
# multiplica la pérdida, y con ella el gradiente, por una constante, $2/K$: el mínimo no se mueve,
# pero una tasa de aprendizaje elegida con una fórmula no vale para la otra.

# %%
K = outputs.shape[1]
with jax.enable_x64(True):
    mean_square = jax.value_and_grad(lambda a: losses.squared_error(a, binary_targets).mean())
    value, gradient = jax.device_get(mean_square(outputs))
ours = (outputs - binary_targets) / len(outputs)  # el gradiente de E_MSE
print(f"sin ½ y con la media: {value:.4f} = {value / by_hand['MSE']:.4f} · {by_hand['MSE']:.4f}")
assert np.isclose(value, 2 / K * by_hand["MSE"], rtol=1e-12)
assert np.allclose(gradient, 2 / K * ours, rtol=1e-12, atol=0)

# %% [markdown]
# ## De la verosimilitud a la entropía cruzada
#
# ¿De dónde sale $E_{\text{BCE}}$? De buscar la red que hace más probables los datos. Con
# $p=P(y=1\mid x)$ y $y\in\{0,1\}$ (no $-1$), la probabilidad de un dato es el *producto*
# $p^y(1-p)^{1-y}$. El logaritmo del producto de todos es la suma de los logaritmos, y maximizarla,
# $L$, es minimizar $-L$: eso, dividido por $M$, es $E_{\text{BCE}}$. Para verlo, tres unos y un
# cero; la mejor respuesta es $p=3/4$.

# %%
each = np.log([0.3, 0.6])
print(f"ln Π = {np.log(0.3 * 0.6):.4f}, Σ ln = {each.sum():.4f}")
assert np.isclose(np.log(0.3 * 0.6), each.sum())

logit = 0.0
for _ in range(200):
    logit += 0.1 * (3 - 4 * sigmoid(logit))  # dL/dz
print(f"minimizando -L: p = {sigmoid(logit):.4f}")
assert abs(sigmoid(logit) - 0.75) < 1e-3

# %% [markdown]
# Con varias clases y softmax la suma lleva solo $y\ln\hat y$, y el gradiente respecto a las
# entradas de softmax queda en $\hat y-y$.

# %%
y, z0 = np.array([0.0, 1.0, 0.0]), np.log([0.2, 0.5, 0.3])
with jax.enable_x64(True):
    value, slope = jax.device_get(
        jax.value_and_grad(lambda z: -jnp.sum(y * jax.nn.log_softmax(z)))(z0)
    )
print(f"pérdida {value:.4f} = -ln 0.5; gradiente ŷ - y: {row(slope)}")
assert np.isclose(value, -np.log(0.5)) and np.allclose(slope, softmax(z0) - y, atol=1e-12)

# %% [markdown]
# ## Una sola neurona: la regresión logística
#
# Una neurona con sigmoide y entropía cruzada *es* la regresión logística: el mismo modelo, la misma
# pérdida, los mismos pesos. Su límite también es el mismo, y de él parten los apuntes 002 para
# llegar a las redes: solo separa con una recta, así que depende de los atributos que le den. En
# estos dos anillos los dos de siempre no le sirven; con el radio al cuadrado, que pone una persona,
# acierta todos.

# %%
draw = np.random.default_rng(1)
is_inner = (np.arange(400) % 2 == 0).astype(float)
angle = draw.uniform(0, 2 * np.pi, 400)
radius = np.where(is_inner, 0.8, 2.0) + draw.normal(0, 0.2, 400)
points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def neuron(attributes, y, steps=3000, rate=1.0):
    """Los pesos (el sesgo, al final) de una neurona, por descenso de gradiente: g = A^T (a - y)."""
    A = np.column_stack([attributes, np.ones(len(y))])
    w = np.zeros(A.shape[1])
    for _ in range(steps):
        w -= rate * A.T @ (sigmoid(A @ w) - y) / len(y)
    return w, np.mean((A @ w > 0) == y)


line, by_line = neuron(points, is_inner)
_, by_radius = neuron((points**2).sum(1), is_inner)
judge = LogisticRegression(C=1e10, tol=1e-10).fit(points, is_inner)  # sin regularizar
apart = np.abs(line - np.append(judge.coef_, judge.intercept_)).max()
print(f"la neurona y LogisticRegression de scikit-learn difieren en {apart:.0e}")
print(f"exactitud con x, y: {by_line:.2f}; con x² + y²: {by_radius:.2f}")
assert apart < 1e-3 and by_line < 0.7 and by_radius == 1

# %% [markdown]
# ## Atributos que se aprenden
#
# Una capa oculta hace ese trabajo sola. Seis neuronas ReLU miran $(x,y)$ y la neurona de salida,
# que sigue siendo una regresión logística, mira lo que dicen ellas. Se entrena con Adam (lección
# 5).


# %%
def hidden(params, x):
    """Lo que da cada neurona oculta: (ejemplos, 6)."""
    return jax.nn.relu(x @ params["W"].T + params["w0"][None])


def logit_of(params, x):
    return hidden(params, x) @ params["out"] + params["bias"]


@jax.jit
def trained(params):
    """Los pesos tras 1500 pasos de Adam con todos los ejemplos."""
    loss = lambda p: losses.sigmoid_binary_cross_entropy(logit_of(p, points), is_inner).mean()
    tx = joc.adam(0.02)

    def step(carry, _):
        params, state = carry
        u, state = tx.update(jax.grad(loss)(params), state, params)
        return (joc.apply_updates(params, u), state), None

    return jax.lax.scan(step, (params, tx.init(params)), length=1500)[0][0]


begin = {"W": draw.normal(size=(6, 2)), "w0": np.zeros(6), "out": draw.normal(size=6) / 2,
         "bias": np.zeros(())}  # fmt: skip
with jax.enable_x64(True):
    net = jax.device_get(trained(begin))
of_net = lambda part, x: exact(lambda x: part(net, x), x)  # en float64
learned = np.mean((of_net(logit_of, points) > 0) == is_inner)
print(f"exactitud de la red 2-6-1 con x, y: {learned:.3f}")
assert learned > 0.98

# %%
axis = np.linspace(-2.8, 2.8, 300)
grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
maps = of_net(hidden, grid).reshape(300, 300, 6)
heights = of_net(logit_of, grid)
answer = sigmoid(heights).reshape(300, 300)
fig, axes = plt.subplots(2, 4, figsize=(9, 4.8), sharex=True, sharey=True, layout="constrained")
frame = {"extent": (-2.8, 2.8, -2.8, 2.8), "origin": "lower"}
first, *each, last = axes.flat
first.contour(axis, axis, (grid @ line[:2] + line[2]).reshape(300, 300), [0], colors="black")
first.set_title("una neurona")
for k, ax in enumerate(each):
    ax.imshow(maps[..., k], cmap="Blues", **frame)
    ax.set_title(f"oculta {k + 1}")
last.imshow(answer, cmap="Blues", **frame)
last.contour(axis, axis, answer, [0.5], colors="black")
last.set_title("salida de la red")
for ax in (first, last):
    for inner, colour in ((0, RED), (1, GREEN)):
        some = points[is_inner == inner][::2]
        ax.plot(*some.T, ".", color=colour, ms=3)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[], aspect="equal")
show(fig, "neuronas_ocultas")

# %% [markdown]
# Arriba a la izquierda, la recta de la neurona sola. Cada neurona oculta mira hacia un lado y calla
# en el otro: son seis atributos que nadie escribió. La salida los suma y encierra el anillo.
#
# ## Regiones lineales
#
# Donde no cambia cuáles ReLU están encendidas, la red es una función lineal. Los apuntes 002 lo
# cuentan como un árbol cuyas hojas son predictores lineales, y exponencialmente muchas: seis
# neuronas tienen $2^6=64$ formas de encenderse. Pero en el plano seis rectas lo parten a lo sumo en
# $1+6+\binom{6}{2}=22$ regiones; las demás hojas están vacías. Se cuentan:

# %%
on = grid @ net["W"].T + net["w0"] > 0
leaf = on @ 2 ** np.arange(6)
kinds, which = np.unique(leaf, return_inverse=True)
most = 1 + 6 + math.comb(6, 2)
print(f"regiones: {len(kinds)}, de {most} que caben en el plano y {2**6} hojas")
assert 6 < len(kinds) <= most

worst = 0.0
for k in range(len(kinds)):  # en cada una, un plano lo explica todo
    inside = np.column_stack([grid, np.ones(len(grid))])[which == k]
    plane = np.linalg.lstsq(inside, heights[which == k], rcond=None)[0]
    worst = max(worst, np.abs(inside @ plane - heights[which == k]).max())
print(f"lo más que se aparta la red de un plano por región: {worst:.0e}")
assert worst < 1e-9

shuffled = np.random.default_rng(0).permutation(len(kinds))
fig, ax = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
ax.imshow(
    shuffled[which].reshape(300, 300), cmap="tab20", alpha=0.5, interpolation="nearest", **frame
)
ax.contour(axis, axis, answer, [0.5], colors="black")
ax.set(xticks=[], yticks=[], title=f"{len(kinds)} regiones; en negro, la frontera")
show(fig, "regiones")

# %% [markdown]
# La frontera es una línea quebrada: un tramo recto en cada región. Con más capas las regiones se
# pliegan unas sobre otras, y eso sí crece deprisa: se ve en la [parte
# 7.4](07_4_anchura_y_profundidad.py).

# %% [markdown]
# En este camino los apuntes 002 tropiezan cinco veces: erratas E8 a E12, que se ejecutan en la
# [lección 10.3](10_3_activaciones_y_perdidas.py).
#
# **Resumen.** La activación decide la derivada que llega atrás; la sigmoide la recorta a un cuarto.
# Softmax convierte entradas en probabilidades y no nota una constante sumada a todas. Las tres
# pérdidas salen de lo mismo, hacer probables los datos. Una neurona es una regresión logística; una
# capa oculta le aprende los atributos, y con ReLU la red es lineal a trozos.

# %% [markdown]
# ## Para practicar
#
# (Las soluciones, aparte, en la [lección 15.1](15_1_soluciones.py).)
#
# 1. Predice la pendiente de la sigmoide en $z=5$ antes de mirarla en la figura.
# 2. Cambia la clase verdadera del último ejemplo. ¿Qué coordenada del gradiente es negativa, y por
#    qué solo una?
# 3. Demuestra que softmax de $(0,z)$ es la sigmoide de $z$.
# 4. Predice en cuántas regiones parten el plano, a lo sumo, diez ReLU de una capa.
#
# ## Para leer más
#
# - Goodfellow, Bengio y Courville (2016), «Deep Learning», capítulo 6.
# - Glorot, Bordes y Bengio (2011), «Deep Sparse Rectifier Neural Networks».
