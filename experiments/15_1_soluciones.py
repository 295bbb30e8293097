# %% [markdown]
# # 15.1. Soluciones: las lecciones 1 a 9 y la 14
#
# Las respuestas de «Para practicar», lecciones 1 a 9, y los diez optimizadores de la 14. Lo que es
# un número se calcula aquí y se comprueba; lo que pide cambiar algo en una lección y volver a
# ejecutarla dice qué hay que mirar. Mira una solución cuando ya tengas la tuya.
#
# **Hace falta** haber intentado el ejercicio.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import f1_score

import jaxopt_course as joc
from jaxopt_course.course import check, quick, show
from jaxopt_course.course.figures import proper

joc.use_cpu_cores(1 if quick() else None)
BLUE, ORANGE, GREEN, RED, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
rng = np.random.default_rng(0)

# %% [markdown]
# ## Lección 1
#
# 1. Una actualización por época, $\lfloor5/3\rfloor$, y dos ejemplos fuera (cada época, otros).
# 2. El lote completo: su límite es $2/L=0{,}0845$, y 0,09 lo pasa. Los otros dos, contra lo que se
#    diría, siguen. El paso de un solo ejemplo sí se pasa de largo (su curvatura llega a 52), pero
#    los de los demás lo deshacen, y el producto de los cinco encoge.
# 3. Si $B$ divide a $N$ hay $N/B$ lotes y cada ejemplo está en uno: $\frac BN\sum_{\mathcal B}
#    \frac1B\sum_{i\in\mathcal B}g_i=\frac1N\sum_ig_i$.
# 4. $(N-B)/(N-1)$: sin reposición, el lote que ya casi contiene a todos apenas puede equivocarse.

# %%
x5 = np.arange(1.0, 6)


def distance(eta, B, epochs=200):
    """Lo que queda hasta el óptimo, (1, 0), en la recta de los cinco puntos."""
    theta, draw = np.array([-1.0, 3.0]), np.random.default_rng(0)
    for _ in range(epochs):
        for rows in draw.permutation(5)[: 5 // B * B].reshape(-1, B):
            error = theta[0] * x5[rows] + theta[1] - x5[rows]
            theta = theta - eta * 2 * np.array([np.mean(error * x5[rows]), np.mean(error)])
            if abs(theta).max() > 1e6:
                return np.inf
    return np.linalg.norm(theta - [1, 0])


far = {(eta, B): distance(eta, B) for eta in (0.03, 0.09) for B in (1, 2, 5)}
for (eta, B), left in far.items():
    print(f"η = {eta:g}, B = {B}: queda a {left:.1e}")
assert np.isinf(far[0.09, 5]) and max(far[0.09, 1], far[0.09, 2]) < 0.1
assert max(far[0.03, B] for B in (1, 2, 5)) < 1
assert 5 // 3 == 1 and 5 % 3 == 2

# %% [markdown]
# ## Lección 2
#
# 1. Casi por cien: $L$ es el mayor valor propio de $2\begin{pmatrix}\overline{x^2}&\bar x\\
#    \bar x&1\end{pmatrix}$, y manda $\overline{x^2}$.
# 2. Hacia abajo y hacia la izquierda: menos memoria y menos tasa. Con curvaturas entre $\mu$ y $1$
#    lo mejor es $\beta=\big(\frac{1-\sqrt\mu}{1+\sqrt\mu}\big)^2$ y $\eta=\frac4{(1+\sqrt\mu)^2}$.
# 3. El error se multiplica por $1-\eta L$: por $0$ con $\eta=1/L$, por $-1$ con $\eta=2/L$.
# 4. La primera sí, $\sum\eta_s=\infty$; la segunda no: $\sum\eta_s^2=\eta_0^2\sum\frac1{1+s}$, la
#    serie armónica, también es infinita.

# %%
curved = lambda x: np.linalg.eigvalsh(2 * np.array([[np.mean(x**2), x.mean()], [x.mean(), 1]]))[-1]
before, after = curved(x5), curved(10 * x5)
print(f"L pasa de {before:.1f} a {after:.0f}: {after / before:.1f} veces")
star = {mu: (((1 - mu**0.5) / (1 + mu**0.5)) ** 2, 4 / (1 + mu**0.5) ** 2) for mu in (0.01, 0.1)}
for mu, (beta, eta) in star.items():
    print(f"curvatura pequeña {mu}: estrella en β = {beta:.2f}, η = {eta:.2f}")
assert star[0.1][0] < star[0.01][0] and star[0.1][1] < star[0.01][1]
assert 90 < after / before < 100

# %% [markdown]
# ## Lección 3
#
# 1. $1/(1-0{,}99)=100$ veces la tasa.
# 2. La suma: con $\eta=1/L$ la dirección más curva encoge por $\sqrt\beta$ en cada paso con la
#    suma, y de una vez, por $\sqrt{\beta(1-\eta L)}=0$, con Nesterov.
# 3. Basta sustituir $v'=v+\eta w$, $w'=w-v'$: los términos de más se anulan. Es la energía que el
#    rozamiento gastaría.
# 4. Con $u=v/(1-\beta)$ la media cumple $u\leftarrow\beta u+g$, y su paso,
#    $\frac{\eta}{1-\beta}(1-\beta)u=\eta u$, es el de la suma, que guarda $\eta u$. Con $\eta$
#    variable no: la suma tiene dentro las tasas viejas.

# %%
v = 0.0
for _ in range(2000):
    v = 0.99 * v + 1.0
w, speed, path = {"suma": 1.0, "Nesterov": 1.0}, {"suma": 0.0, "Nesterov": 0.0}, []
for _ in range(40):  # la dirección más curva, L = 1, con η = 1
    for name in w:
        ahead = w[name] - 0.99 * speed[name] if name == "Nesterov" else w[name]
        speed[name] = 0.99 * speed[name] + ahead
        w[name] -= speed[name]
    path.append(list(w.values()))
bounces = (np.diff(np.sign(np.round(path, 12)), axis=0) != 0).sum(axis=0)
print(f"paso terminal {v:.1f}; rebotes: suma {bounces[0]}, Nesterov {bounces[1]}")
assert abs(v - 100) < 1e-3 and bounces[0] > bounces[1]

# %% [markdown]
# ## Lección 4
#
# 1. $\eta/10$, porque $S_{100}=100\,g^2$; el de RMSProp, $\eta$.
# 2. Adagrad, en proporción a lo que daba: su suma no había visto nada igual y el paso salta casi a
#    $\eta$. RMSProp salta a $\eta/\sqrt{1-\rho}$ y vuelve en unas decenas de pasos.
# 3. Si $g\to cg$, $S\to c^2S$, y $cg/\sqrt{c^2S}=g/\sqrt S$.
# 4. Una décima parte: lo que decide es el paso terminal, $\eta/(1-\mu)$. Pero tarda unos cien pasos
#    en alcanzarlo, y en cuatro épocas apenas hay setenta: saldrá algo mayor.

# %%
g = np.where(np.arange(600) < 300, 0.01, 1.0)
S = np.cumsum(g**2)
of_adagrad, rho, mean, of_rmsprop = g / np.sqrt(S), 0.9, 0.0, []
for size in g:
    mean = rho * mean + (1 - rho) * size**2
    of_rmsprop.append(size / np.sqrt(mean))
of_rmsprop = np.array(of_rmsprop)
jump = {"Adagrad": of_adagrad[300] / of_adagrad[299], "RMSProp": of_rmsprop[300] / of_rmsprop[299]}
print("el paso salta:", ", ".join(f"{name} {by:.1f} veces" for name, by in jump.items()))
assert np.isclose(of_adagrad[99], 0.1) and jump["Adagrad"] > 3 * jump["RMSProp"]
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, line, colour in (("Adagrad", of_adagrad, BLUE), ("RMSProp", of_rmsprop, GREEN)):
    ax.semilogy(line, color=colour, label=name)
ax.axvline(300, color="0.6", ls=":")
ax.set(xlabel="paso", ylabel=r"tamaño del paso / $\eta$", title="El gradiente crece cien veces")
ax.legend(frameon=False)
show(fig, "cien_veces_mayor")

# %% [markdown]
# ## Lección 5
#
# 1. $\eta$ los dos: $\hat m_1/\sqrt{\hat v_1}=g/|g|$.
# 2. Sí, y al revés que con 0,999: con $\beta_1=\beta_2$ sin corregir el paso es
#    $\eta\sqrt{1-\beta^t}$, *menor* que $\eta$ hasta que pasan unas decenas de pasos.
# 3. $\hat m=g$, $\hat v=g^2$, y el paso es $\eta\,g/|g|$.
# 4. Con la tasa de Adam, SGD apenas se mueve; con la de SGD, Adam se rompe. Abajo, con las tasas de
#    un orden y otro:

# %%
early = ", ".join(f"{np.sqrt(1 - 0.9**s):.2f} en t = {s}" for s in (1, 10, 30))
print(f"sin corregir, β₂ = 0.9: {early}")
swapped = {("sgd", 0.3): "la suya", ("adam", 0.003): "la suya",
           ("sgd", 0.003): "la de Adam", ("adam", 0.3): "la de SGD"}  # fmt: skip
rows = joc.grid(optimizer=["sgd", "adam"], learning_rate=[0.003, 0.3], seed=range(2))
runs = joc.sweep("digits", rows, epochs=4, progress=False).trials
scores = runs.groupby(["optimizer", "learning_rate"])["valid_accuracy"].mean().astype(float)
score = {pair: float(scores[pair[0]].iloc[int(pair[1] > 0.1)]) for pair in swapped}
for (name, rate), whose in swapped.items():
    print(f"{proper(name)} con {whose}, {rate:g}: exactitud {score[name, rate]:.2f}")
assert max(score["sgd", 0.003], score["adam", 0.3]) < min(score["sgd", 0.3], score["adam", 0.003])

# %% [markdown]
# ## Lección 6
#
# 1. Los que dividen cada coordenada. Lo mejor que puede hacer una vara por coordenada es dividir la
#    curvatura $H$ por su diagonal; a 45° la diagonal es la misma en las dos y no ayuda en nada.
# 2. Se mira en la primera columna de la tabla de llegadas: guiones que se vuelven números.
# 3. Si $\tilde f(w)=f(Q^\top w)$, entonces $\tilde g=Qg$: el paso de SGD es el girado. El cuadrado
#    por coordenadas no gira: $(Qg)^2\ne Q\,g^2$.

# %%
for degrees in (0, 30, 45):
    a = np.deg2rad(degrees)
    Q = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    H = Q @ np.diag([1.0, 20.0]) @ Q.T
    scale = 1 / np.sqrt(np.diag(H))
    kappa = np.linalg.cond(scale[:, None] * H * scale)
    print(f"κ = 20 girado {degrees}°: dividida por su diagonal, κ = {kappa:.1f}")
    assert np.isclose(kappa, {0: 1, 45: 20}.get(degrees, kappa))
g = rng.normal(size=2)
assert not np.allclose(Q @ (g / np.abs(g)), (Q @ g) / np.abs(Q @ g))

# %% [markdown]
# ## Lección 7
#
# **7.1.**
#
# 1. 0,0066.
# 2. La de la clase verdadera: el gradiente es $\hat y-y$, y solo ahí se resta uno; las demás son
#    probabilidades.
# 3. $\frac{e^z}{e^0+e^z}=\frac1{1+e^{-z}}$.
# 4. En el plano, $1+10+\binom{10}{2}=56$.
#
# **7.2.**
#
# 1. $5\cdot6+6+6\cdot4+4=64$.
# 2. Sí, si se cambia en los dos programas.
# 3. Permutar es poner $PW$, $Pw_0$ y $W'P^\top$: como $\sigma$ va por coordenadas,
#    $W'P^\top\sigma(P z)=W'\sigma(z)$.
#
# **7.3.**
#
# 1. El cuadrado, más o menos: $f^{19}$ en lugar de $f^9$, con $f$ el factor por capa.
# 2. Añádela a `NETS` y mira su curva; el gradiente conserva el tamaño (la ganancia está cerca de la
#    que lo hace), pero muchas neuronas están saturadas.
# 3. Si $z$ es simétrica, $\mathbb E\, \mathrm{ReLU}(z)^2=\frac12\mathbb E z^2$, y
#    $\operatorname{Var}z=n\cdot\frac2n\cdot\mathbb E a^2$: el 2 y el ½ se cancelan.
#
# **7.4.**
#
# 1. A la cuarta parte: el error de la escrita es $\frac{h^2}8\max|f''|$. La entrenada, mucho menos,
#    como dice la lección.
# 2. Es el máximo de muchas medidas con ruido: abajo, cuánto sube sin que nada sea mejor.
# 3. Con $r(x)=\mathrm{ReLU}(x)$, es $r(x)-2\,r(x-1)+r(x-2)$.
# 4. $2^{10}=1024$ tramos; una capa de veinte, a lo sumo 21.

# %%
sigmoid = lambda z: 1 / (1 + np.exp(-z))
print(f"pendiente de la sigmoide en 5: {sigmoid(5) * (1 - sigmoid(5)):.4f}")
sizes = [5, 6, 4]
assert sum(n * m + m for n, m in itertools.pairwise(sizes)) == 64
relu = lambda z: np.maximum(0, z)
x = np.linspace(-1, 3, 9)
assert np.allclose(relu(x) - 2 * relu(x - 1) + relu(x - 2), relu(1 - np.abs(x - 1)))
z = rng.normal(size=10**6)
assert abs(np.mean(relu(z) ** 2) - 0.5) < 0.01
tests = 0.95 + 0.01 * rng.normal(size=(10_000, 36))  # 36 redes iguales, medidas con ruido
luck = 100 * (tests.max(axis=1).mean() - 0.95)
print(f"la mejor de 36 redes iguales parece {luck:.1f} puntos mejor")

# %% [markdown]
# ## Lección 8
#
# **8.1.**
#
# 1. El suelo se multiplica por cuatro, y lo que se pierde sobre él también, donde se debe a
#    aprender el ruido (abajo, en una regresión lineal).
# 2. Compara las dos últimas líneas de la tabla de duelos: con una semilla no hay intervalo.
# 3. $\mathbb E(y-f)^2=\sigma^2+\mathbb E(f^*-f)^2$: el producto cruzado se anula porque el ruido
#    tiene media cero e independiente de $x$.
#
# **8.2.**
#
# 1. Contando pasos, el lote grande (mientras llegue); contando épocas, el pequeño.
# 2. Se ve en la línea «la de mejor equilibrio».
# 3. $\theta_2=\theta-\eta g_1(\theta)-\eta\,g_2(\theta-\eta g_1)$, y
#    $g_2(\theta-\eta g_1)=g_2(\theta)-\eta H_2g_1$: se desprecia $\eta^2H_2g_1$.
#
# **8.3.**
#
# 1. Ninguna para todos los pesos: haría falta $2\lambda=0{,}1\sqrt{\hat v}$, y $\hat v$ es otro en
#    cada uno.
# 2. Mira la fila en que solo cambia eso, a igualdad de tasa.
# 3. $w-\eta(g+2\lambda w)$ es $(1-2\eta\lambda)w-\eta g$.
# 4. El riesgo empírico sube y el verdadero baja: los dos hacia 1.
#
# **8.4.**
#
# 1. 0,95 y cero.
# 2. Cuenta cuántos pagos le quedan al submuestreo: el doble de los fraudes.
# 3. El óptimo de $-c\,p\ln q-(1-p)\ln(1-q)$ es $\frac q{1-q}=c\,\frac p{1-p}$.
# 4. Los inventados se hacen con fraudes de validación: la red ya los ha visto, y la medida sale
#    mejor de lo que es.

# %%
excess = {}
for sigma in (1.0, 2.0):
    lost = []
    for _ in range(300):
        A, truth = rng.normal(size=(200, 20)), np.ones(20)
        noisy = A @ truth + sigma * rng.normal(size=200)
        fitted = LinearRegression(fit_intercept=False).fit(A, noisy)
        lost.append(np.square(fitted.coef_ - truth).sum())
    excess[sigma] = np.mean(lost)
print(f"el doble de ruido: el exceso se multiplica por {excess[2.0] / excess[1.0]:.2f}")
assert 3.5 < excess[2.0] / excess[1.0] < 4.5
y = np.arange(1000) < 50
assert np.mean(~y) == 0.95 and f1_score(y, np.zeros(1000)) == 0

# %% [markdown]
# ## Lección 9
#
# 1. $3\cdot3\cdot32\cdot64+64=18\,496$.
# 2. Mira la columna «fracción» de la tabla: la densa, que tiene un peso por casilla.
# 3. $(k*x)_i=\sum_jk_jx_{i+j}$; con $x'_i=x_{i-d}$ sale $(k*x')_i=\sum_jk_jx_{i+j-d}$,
#    que es $(k*x)_{i-d}$.

# %%
image, kernel = rng.normal(size=12), rng.normal(size=3)
window = lambda x, i: np.take(x, range(i, i + 3), mode="wrap")
convolved = lambda x: np.array([kernel @ window(x, i) for i in range(12)])
assert np.allclose(convolved(np.roll(image, 2)), np.roll(convolved(image), 2))
assert 3 * 3 * 32 * 64 + 64 == 18_496

# %% [markdown]
# ## Lección 14, y las funciones por corregir de 1, 3, 4 y 5


# %%
def sgd(g, state, w, t, *, learning_rate):
    return w - learning_rate * g, state


def momentum(g, state, w, t, *, learning_rate, momentum):
    m = momentum * state["m"] + g
    return w - learning_rate * m, {"m": m}


def ema_momentum(g, state, w, t, *, learning_rate, decay):
    m = decay * state["m"] + (1 - decay) * g
    return w - learning_rate * m, {"m": m}


def nesterov(g, state, w, t, *, learning_rate, momentum):
    m = momentum * state["m"] + g
    return w - learning_rate * (g + momentum * m), {"m": m}


def adagrad(g, state, w, t, *, learning_rate, eps):
    S = state["S"] + g**2
    return w - learning_rate * g / np.sqrt(S + eps), {"S": S}


def rmsprop(g, state, w, t, *, learning_rate, decay, eps):
    v = decay * state["v"] + (1 - decay) * g**2
    return w - learning_rate * g / np.sqrt(v + eps), {"v": v}


def adadelta(g, state, w, t, *, learning_rate, rho, eps):
    v = rho * state["v"] + (1 - rho) * g**2
    u = g * np.sqrt(state["x"] + eps) / np.sqrt(v + eps)  # la x de antes
    return w - learning_rate * u, {"v": v, "x": rho * state["x"] + (1 - rho) * u**2}


def adam(g, state, w, t, *, learning_rate, b1, b2, eps):
    m = b1 * state["m"] + (1 - b1) * g
    v = b2 * state["v"] + (1 - b2) * g**2
    step = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
    return w - learning_rate * step, {"m": m, "v": v}


def adamw(g, state, w, t, *, weight_decay, learning_rate, **rest):
    moved, state = adam(g, state, w, t, learning_rate=learning_rate, **rest)
    return moved - learning_rate * weight_decay * w, state


def adamax(g, state, w, t, *, learning_rate, b1, b2, eps):
    m = b1 * state["m"] + (1 - b1) * g
    v = np.maximum(b2 * state["v"], np.abs(g) + eps)
    return w - learning_rate * m / (1 - b1**t) / v, {"m": m, "v": v}


solutions = [sgd, momentum, ema_momentum, nesterov, adagrad, rmsprop, adadelta, adam, adamw, adamax]
for solution in solutions:
    assert check(solution.__name__, solution)
