# %% [markdown]
# # 7.1. La red por dentro: activaciones y pérdidas
#
# Un optimizador solo ve una lista de números y su gradiente. Las cuatro lecciones del capítulo 7
# abren la caja. Esta empieza por las piezas sueltas: qué hace cada neurona con lo que le llega,
# cómo se convierten las salidas en probabilidades y con qué se mide el error. Cada fórmula se
# escribe una vez en NumPy y se compara con JAX hasta la duodécima cifra. Los apuntes traen varias
# con una errata; aquí se ejecutan tal como están impresas y se ve en qué fallan.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from jaxopt_course.course import show

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


ACTIVATIONS = {  # name: (function, derivative, the same in JAX)
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
# **Dos erratas.** Los apuntes imprimen $\tanh$ como $(e^{-2z}-1)/(e^{-2z}+1)$, que es $-\tanh z$
# (E5), y softplus como $\ln(1+e^{-z})$, que es la función reflejada (E6). Ambas *bajan* donde la
# buena sube.

# %%
printed_tanh = lambda z: (np.exp(-2 * z) - 1) / (np.exp(-2 * z) + 1)
printed_softplus = lambda z: np.log(1 + np.exp(-z))
softplus = ACTIVATIONS["softplus"][0]
slope_at_0 = lambda f, h=1e-6: (f(h) - f(-h)) / (2 * h)

assert np.allclose(printed_tanh(z), -np.tanh(z), rtol=0, atol=1e-12)
assert np.allclose(printed_softplus(z), softplus(-z), rtol=0, atol=1e-12)
for name, printed, right in [
    ("tanh", printed_tanh, tanh),
    ("softplus", printed_softplus, softplus),
]:
    print(
        f"{name:9} en 2: impresa {printed(2.0):+.4f}, buena {right(2.0):+.4f}; "
        f"pendiente en 0: impresa {slope_at_0(printed):+.2f}, buena {slope_at_0(right):+.2f}"
    )
    assert slope_at_0(printed) < 0 < slope_at_0(right)

# %% [markdown]
# A la derecha, lo que importa para aprender: la derivada. La de la sigmoide nunca pasa de un
# cuarto; de ahí saldrá, en la lección 7.3, el gradiente que se desvanece.

# %%
COLOURS = dict(zip(ACTIVATIONS, ["black", BLUE, GREEN, RED, PURPLE], strict=True))
STYLES = {"lineal": "--"}  # so that ReLU is seen under it
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
for name, (function, slope, _) in ACTIVATIONS.items():
    style = {"color": COLOURS[name], "ls": STYLES.get(name, "-"), "label": name}
    axes[0].plot(z, function(z), **style)
    axes[1].plot(z, slope(z), **style)
axes[0].plot(z, printed_tanh(z), ":", color=GREEN, label="tanh impresa (E5)")
axes[0].plot(z, printed_softplus(z), ":", color=PURPLE, label="softplus impresa (E6)")
axes[0].set(xlabel="entrada $z$", ylabel=r"salida $\sigma(z)$", ylim=(-1.6, 3), title="Activación")
axes[1].set(xlabel="entrada $z$", ylabel=r"pendiente $\sigma'(z)$", title="Derivada")
axes[1].axhline(0.25, color=BLUE, lw=0.8, ls="--")
axes[1].text(4, 0.27, "techo: 1/4", color=BLUE, fontsize=9, ha="right")
fig.tight_layout()
fig.legend(
    *axes[0].get_legend_handles_labels(), loc="upper center", ncols=4, bbox_to_anchor=(0.5, 0)
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
# Los apuntes dicen que softmax «es equivalente a aplicar la función logística y luego normalizar»
# (E7). No lo es: sumar una constante a todas las entradas no cambia softmax, y sí cambia lo otro.
# Esa invariancia permite además restar el máximo antes de la exponencial, y así no desbordar nunca.


# %%
def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def normalised_sigmoid(z):  # what the notes describe
    return sigmoid(z) / sigmoid(z).sum(-1, keepdims=True)


def one_hot(classes, k):
    return np.eye(k)[classes]


scores = np.array([1.0, 2.0, 3.0])
for name, function in [("softmax", softmax), ("sigmoide normalizada", normalised_sigmoid)]:
    print(f"{name:20} {function(scores).round(3)}; con +10: {function(scores + 10).round(3)}")
print("clase 3 de 5:", one_hot(3 - 1, 5))  # the notes count classes from 1
with jax.enable_x64(True):
    np.testing.assert_allclose(softmax(scores), jax.nn.softmax(jnp.asarray(scores)), atol=1e-12)
assert np.allclose(softmax(scores), softmax(scores + 10), rtol=0, atol=1e-12)
assert np.ptp(normalised_sigmoid(scores + 10)) < 1e-4  # it forgets who was ahead
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
# $$E_{\text{MSE}}=\tfrac1M\sum_m \tfrac12\lVert a_m-y_m\rVert^2,\qquad
# E_{\text{BCE}}=-\tfrac1M\sum_m\big[y_m\ln a_m+(1-y_m)\ln(1-a_m)\big],\qquad
# E_{\text{CE}}=-\tfrac1M\sum_m\sum_k y_{mk}\ln a_{mk}$$
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
ours = (outputs - binary_targets) / len(outputs)  # the gradient of E_MSE
print(f"sin ½ y con la media: {value:.4f} = {value / by_hand['MSE']:.4f} · {by_hand['MSE']:.4f}")
assert np.isclose(value, 2 / K * by_hand["MSE"], rtol=1e-12)
assert np.allclose(gradient, 2 / K * ours, rtol=1e-12, atol=0)

# %% [markdown]
# ## De la verosimilitud a la entropía cruzada, con cinco erratas
#
# ¿De dónde sale $E_{\text{BCE}}$? De buscar la red que hace más probables los datos. Con
# $p=P(y=1\mid x)$ y $y\in\{0,1\}$ (no $-1$), la probabilidad de un dato es el *producto*
# $p^y(1-p)^{1-y}$. Los apuntes suman (E8), y una «probabilidad» mayor que uno los delata.

# %%
p = 0.3
printed = [p**y + (1 - p) ** (1 - y) for y in (1, 0)]
right = [p**y * (1 - p) ** (1 - y) for y in (1, 0)]
print("E8   p(1), p(0): impresas", printed, "; buenas", right)
assert min(printed) > 1 and np.isclose(sum(right), 1)

# %% [markdown]
# El logaritmo de un producto es la suma de los logaritmos, *sin* $1/M$ (E9; con él es la media, que
# tiene el mismo óptimo). Y maximizar esa suma $L$ es minimizar $-L$: sin el signo (E10) el descenso
# huye de los datos. Para verlo, tres unos y un cero; la mejor respuesta es $p=3/4$.

# %%
each = np.log([0.3, 0.6])
print(
    f"E9   ln Π = {np.log(0.3 * 0.6):.4f}, Σ ln = {each.sum():.4f}, "
    f"impresa (1/M) Σ ln = {each.mean():.4f}"
)
assert np.isclose(np.log(0.3 * 0.6), each.sum()) and np.isclose(2 * each.mean(), each.sum())


def descend(sign, steps=200, rate=0.1):
    """The p where a descent on -sign · L ends; dL/dz = 3 - 4 p for the logit z."""
    z = 0.0
    for _ in range(steps):
        z -= rate * -sign * (3 - 4 * sigmoid(z))
    return sigmoid(z)


print(f"E10  minimizando -L: p = {descend(1):.4f}; minimizando L: p = {descend(-1):.1e}")
assert abs(descend(1) - 0.75) < 1e-3 and descend(-1) < 1e-3

# %% [markdown]
# Las otras dos: en el texto de los apuntes falta el menos de $1-y$ y de $1-f$ (E11; quizá se perdió
# al extraerlo), y para varias clases la suma lleva solo $y\ln\hat y$ (E12): con softmax, el término
# $(1-y)\ln(1-\hat y)$ que sobra cambia la pérdida y el gradiente.

# %%
y, z0 = np.array([0.0, 1.0, 0.0]), np.log([0.2, 0.5, 0.3])
good = lambda z: -jnp.sum(y * jax.nn.log_softmax(z))
extra = lambda z: good(z) - jnp.sum((1 - y) * jnp.log1p(-jax.nn.softmax(z)))
with jax.enable_x64(True):
    printed, right = (jax.device_get(jax.value_and_grad(f)(z0)) for f in (extra, good))
print(
    f"E12  pérdida: impresa {printed[0]:.4f}, buena {right[0]:.4f} (-ln 0.5 = {-np.log(0.5):.4f})"
)
print("     gradiente: impreso", printed[1].round(3), "; bueno", right[1].round(3), "= ŷ - y")
assert np.isclose(right[0], -np.log(0.5)) and np.allclose(right[1], softmax(z0) - y, atol=1e-12)
assert np.abs(printed[1] - right[1]).max() > 0.1
