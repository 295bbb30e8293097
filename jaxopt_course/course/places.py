"""The sections of the notes: a line number says nothing to who has not got them, a title does."""

from bisect import bisect_right

# By notes: the line at which a section that the course cites begins, and its title, as printed.
SECTIONS = {
    "000": {
        7: "Gradiente Descendente Estocástico",
        19: "SGD",
        34: "Momentum",
        43: "nesterov",
        53: "RMSProp",
        80: "Adam",
        104: "Otros optimizadores",
    },
    "001": {
        50: "1. Descenso de gradiente estocástico (SGD) › Implementación en TensorFlow",
        72: "1. Descenso de gradiente estocástico (SGD) › Implementación en PyTorch",
        114: "1. Descenso de gradiente estocástico (SGD) › Ventajas",
        119: "1. Descenso de gradiente estocástico (SGD) › Desventajas",
        126: "2. Descenso de gradiente por lotes",
        140: "2. Descenso de gradiente por lotes › Fórmula desmenuzada",
        148: "2. Descenso de gradiente por lotes › Aplicación práctica",
        152: "2. Descenso de gradiente por lotes › Implementación en TensorFlow",
        176: "2. Descenso de gradiente por lotes › Implementación en PyTorch",
        216: "2. Descenso de gradiente por lotes › Ventajas y desventajas",
        218: "2. Descenso de gradiente por lotes › Ventajas",
        223: "2. Descenso de gradiente por lotes › Desventajas",
        231: "3. Descenso de gradiente con Mini-Batch",
        239: "3. Descenso de gradiente con Mini-Batch › Fórmula matemática",
        245: "3. Descenso de gradiente con Mini-Batch › Fórmula desmenuzada",
        253: "3. Descenso de gradiente con Mini-Batch › Aplicación práctica",
        290: "3. Descenso de gradiente con Mini-Batch › Implementación en PyTorch",
        367: "3. Descenso de gradiente con Mini-Batch › Ventajas y desventajas",
        369: "3. Descenso de gradiente con Mini-Batch › Ventajas",
        375: "3. Descenso de gradiente con Mini-Batch › Desventajas",
        380: "4. Descenso de gradiente con momento",
        392: "4. Descenso de gradiente con momento › 1. Actualización de la velocidad",
        397: "4. Descenso de gradiente con momento › 2. Actualización de los parámetros",
        423: "4. Descenso de gradiente con momento › Impacto del tasa de aprendizaje",
        427: "4. Descenso de gradiente con momento › Aplicación práctica",
        534: "4. Descenso de gradiente con momento › Ventajas y desventajas",
        536: "4. Descenso de gradiente con momento › Ventajas",
        542: "4. Descenso de gradiente con momento › Desventajas",
        549: "5. Optimizador ADAM",
        612: "5. Optimizador ADAM › Implementación en código",
        686: "5. Optimizador ADAM › Ventajas y desventajas del ADAM",
        688: "5. Optimizador ADAM › Ventajas",
        694: "5. Optimizador ADAM › Desventajas",
        701: "6. RMSprop",
        709: "6. RMSprop › ¿Cómo funciona?",
        735: "6. RMSprop › Cómo Implementar RMSprop",
        789: "6. RMSprop › Implementación de RMSprop en PyTorch",
        872: "6. RMSprop › Ventajas y desventajas de RMSprop",
        874: "6. RMSprop › Ventajas",
        879: "6. RMSprop › Desventajas",
    },
    "002": {
        157: "Evaluando un ejemplo (Forward Pass)",
        172: "¿Cuántas neuronas?¿Cuántas capas?",
        237: "Función de Activación tanh",
        265: "Función de Activación Softplus",
        271: "Funciones de Activación",
        286: "Capa Softmax",
        297: "¿Cómo ajustar los pesos?",
        303: "¿Cómo escoger la pérdida?",
        320: "¿Cómo escoger la pérdida? (2)",
        327: "¿Cómo escoger la pérdida? (3)",
        338: "¿Cómo escoger la pérdida? (4)",
        362: "Forward Pass",
        379: "Midiendo el error",
        390: "Midiendo el error (2)",
        400: "¿Cómo implementar backward pass?",
        427: "Regla de la cadena (4)",
        436: "Optimización vía gradiente",
        455: "Optimización vía gradiente (4)",
        467: "Problema de identificabilidad",
        502: "Gradiente descendente batch",
        507: "Gradiente descendente batch (2)",
        512: "Gradiente descendente estocástico (SGD)",
        518: "Gradiente descendente estocástico (SGD)(2)",
        523: "Mini-batch",
        529: "Variantes de Gradiente Descendente",
        540: "Momentum",
        554: "Momentum (2)",
        570: "Momentum Nesterov",
        576: "Momentum Nesterov (2)",
        586: "Algoritmos con learning rate adaptivo",
        590: "Progressive decay",
        602: "Adagrad",
        614: "Adagrad (2)",
        621: "RMSprop",
        636: "Adam",
        644: "Adam (2)",
        654: "Adam (3)",
    },
    "003": {
        9: "Definición",
        37: "Algoritmos de Optimización",
        46: "Ejemplo",
        78: "Código de Implementación",
        137: "Ejercicios Propuestos",
    },
    "004": {
        27: "Gradiente estocástico",
        38: "Gradiente estocástico › Ventajas y desventajas",
        57: "Optimizador ADAM",
        97: "Optimizador ADAM › Ventajas y desventajas",
        116: "Presentación del código",
    },
}


def section(place: str) -> str:
    """The title of the section of a place in the notes.

    Args:
        place: notes and line, as "002:548" or "002:612-619".

    Raises:
        KeyError: none of those notes is listed before that line.

    >>> section("000:120"), section("002:612-619")
    ('Otros optimizadores', 'Adagrad')
    """
    notes, _, line = place.partition(":")
    starts = sorted(SECTIONS[notes])
    at = bisect_right(starts, int(line.partition("-")[0])) - 1
    if at < 0:
        raise KeyError(f"no section of {notes} is listed before line {line}")
    return SECTIONS[notes][starts[at]]


def named(places: str) -> str:
    """Places as a reader finds them, each section once.

    >>> named("000:120, 000:136, 003:40")
    'apuntes 000, «Otros optimizadores»; apuntes 003, «Algoritmos de Optimización»'
    """
    words = [f"apuntes {place[:3]}, «{section(place)}»" for place in places.split(", ")]
    return "; ".join(dict.fromkeys(words))
