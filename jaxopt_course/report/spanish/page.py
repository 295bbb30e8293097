"""What the page says, in Spanish: its frame, what next, figures, how it was made."""

SENTENCES = {
    # the first screen
    "this task": "esta tarea",
    "Which optimizer wins on {task}?": "¿Qué optimizador gana en {task}?",
    "Which setting of {optimizer} is best on {task}?":
        "¿Qué ajuste de {optimizer} es el mejor en {task}?",
    "training, validation, test examples": "ejemplos de entrenamiento, validación y prueba",
    "epochs a training": "épocas por entrenamiento",
    "steps a training": "pasos por entrenamiento",
    "trainings of the search": "entrenamientos de la búsqueda",
    "optimizers": "optimizadores",
    "fresh seeds": "semillas nuevas",
    "The winner, to copy": "El ganador, para copiar",
    "The winner's numbers": "Los números del ganador",
    "One training's: study.confirm trains the same schedule from fresh seeds.":
        "De un entrenamiento: study.confirm entrena el mismo recorrido con semillas nuevas.",
    "Python for {framework}": "Python para {framework}",
    "{framework}: no optimizer with this rule.": "{framework}: sin optimizador con esta regla.",
    "Train it alone, as a command": "Entrenarlo solo, como orden",
    "Command": "Orden",
    "Copy": "Copiar",
    "Copied": "Copiado",
    "Selected": "Seleccionado",
    "{n} of {all} rows": "{n} de {all} filas",
    "What next": "Qué hacer ahora",
    "What to mind": "Qué tener en cuenta",
    "{framework} has no optimizer with these numbers and this rule.":
        "{framework} no tiene un optimizador con estos números y esta regla.",
    "Keras adds ε before the bias correction: in the first steps it counts up to 32 times.":
        "Keras suma ε antes de corregir el sesgo: en los primeros pasos cuenta hasta 32 veces más.",
    "ε stands outside the root here: its square root acts on gradients of the same size.":
        "Aquí ε está fuera de la raíz: su raíz cuadrada actúa sobre gradientes del mismo tamaño.",
    "PyTorch warms its momentum up; so large a momentum_decay leaves that out.":
        "PyTorch hace crecer el momentum al principio; un momentum_decay tan grande lo omite.",
    "The same steps: a momentum that averages, at the rate η(1-β).":
        "Los mismos pasos: un momentum que promedia, con la tasa η(1-β).",
    # what next
    "Nothing in this study asks for more: use it.": "Nada en este estudio pide más: úselo.",
    "No configuration has a score: try learning rates below {rate}.":
        "Ninguna configuración tiene resultado: pruebe tasas de aprendizaje menores que {rate}.",
    "No configuration has a score: see below why.":
        "Ninguna configuración tiene resultado: abajo está el porqué.",
    "The best {name} of {optimizer} is the highest tried: widen to {reach}.":
        "El mejor {name} de {optimizer} es el mayor probado: amplíe hasta {reach}.",
    "The best {name} of {optimizer} is the lowest tried: widen to {reach}.":
        "El mejor {name} de {optimizer} es el menor probado: amplíe hasta {reach}.",
    "The winner still improves when training ends: train longer.":
        "El ganador aún mejora cuando el entrenamiento termina: entrene más tiempo.",
    "Nothing was trained on fresh seeds: confirm the winners on eight.":
        "Nada se entrenó con semillas nuevas: confirme los ganadores con ocho.",
    # tables
    "Winners": "Ganadores",
    "The best": "El mejor",
    "Each optimizer with the best of its configurations, re-trained on {seeds}: mean ± half width "
    "of the 95% t-interval. Ranked by the validation metric on the fresh seeds; the test data "
    "chose nothing.":
        "Cada optimizador con la mejor de sus configuraciones, entrenada otra vez con {seeds}: "
        "media ± semiancho del intervalo t del 95 %. Ordenados por la métrica de validación con "
        "las semillas nuevas; los datos de prueba no eligieron nada.",
    "Each optimizer with the best of its configurations, ranked by the search itself; without "
    "fresh seeds nothing has an interval.":
        "Cada optimizador con la mejor de sus configuraciones, ordenados por la propia búsqueda; "
        "sin semillas nuevas nada tiene intervalo.",
    "All {configurations}": "Todas: {configurations}",
    ", the best {n} of them": ", las {n} mejores",
    "The same wherever it is used: {same}.": "Igual dondequiera que se usa: {same}.",
    "Filter: words that a row must have, as “adam 0.01”":
        "Filtro: palabras que la fila debe tener, como «adam 0,01»",
    "standard deviation": "desviación estándar",
    "rank": "puesto",
    "optimizer": "optimizador",
    "diverged": "divergió",
    "stopped": "detenido",
    "unfinished": "sin terminar",
    "undefined": "sin definir",
    # figures
    "Figures": "Figuras",
    "To open": "Para abrir",
    "Optimizers shown": "Optimizadores a la vista",
    "learning rate": "tasa de aprendizaje",
    "a seed": "una semilla",
    "no configuration has a score": "ninguna configuración tiene resultado",
    "diverged (× : at least one seed)": "divergió (×: al menos una semilla)",
    "learning rate {rate}: {share} of {n} seeds diverged":
        "tasa de aprendizaje {rate}: divergió el {share} de {n} semillas",
    "epoch (passes over the training data)": "época (pasadas por los datos)",
    "training step (updates)": "paso de entrenamiento (actualizaciones)",
    "Course of training of the winners. A line is the mean over the {seeds}, its band their lowest "
    "and highest; both stop where the first one diverges. Look at how fast a line falls, and "
    "whether validation turns back while training goes on.":
        "Curso del entrenamiento de los ganadores. La línea es la media de las {seeds}, su banda "
        "va de la menor a la mayor; ambas acaban donde la primera diverge. Mire con qué rapidez "
        "cae cada línea y si la validación empeora mientras el entrenamiento sigue.",
    "Result against the learning rate, each point the mean over the {seeds} of the search with the "
    "band from lowest to highest, the other hyperparameters at their best for that rate; the "
    "outlined mark is the best. Look at the width of the plateau: a wide one forgives a bad guess.":
        "Resultado según la tasa de aprendizaje: cada punto es la media de las {seeds} de la "
        "búsqueda, con la banda de la menor a la mayor y los demás hiperparámetros en su mejor "
        "valor para esa tasa; la marca con borde es la mejor. Mire el ancho de la meseta: una "
        "ancha perdona una mala elección.",
    "Where several numbers were drawn together, a rate that one farther from the best beats is "
    "left out: another number had spoiled it.":
        "Donde varios números se sortearon juntos se omite una tasa a la que supera otra más "
        "lejana de la mejor: otro número la había estropeado.",
    "Faint dots are single trainings where they stood when the scheduler stopped them.":
        "Los puntos tenues son entrenamientos sueltos donde estaban cuando el planificador los "
        "detuvo.",
    "stopped at step {n}": "detenido en el paso {n}",
    "Below, a cross marks a rate at which one of them diverged.":
        "Abajo, una cruz marca una tasa con la que alguna divergió.",
    "Final test metric of the winners over the {seeds}: faint dots are single ones, the mark is "
    "their mean with its 95% t-interval. A hollow mark lost some to divergence. Intervals that "
    "overlap do not mean a tie: all trained on the same {seeds}, so it is their differences that "
    "count.":
        "Métrica de prueba de los ganadores con las {seeds}: los puntos tenues son cada una, la "
        "marca es su media con el intervalo t del 95 %. Una marca hueca perdió algunas por "
        "divergencia. Que los intervalos se solapen no es un empate: todos entrenaron con las "
        "mismas {seeds}, así que cuentan sus diferencias.",
    "Final test metric of the winners over the {seeds}: faint dots are single ones, the mark is "
    "their mean. They also chose the winners: no interval is due.":
        "Métrica de prueba de los ganadores con las {seeds}: los puntos tenues son cada una, la "
        "marca es su media. Ellas eligieron también a los ganadores: no cabe un intervalo.",
    "Who wins for your budget?": "¿Quién gana con su presupuesto?",
    "Each cell: training ends at this step, and so many configurations were tried of each "
    "optimizer, drawn anew from those of the search. The colour is who wins most often, its "
    "strength how often. Where the colour changes, the answer depends on the budget. A schedule "
    "of the learning rate is not shortened.":
        "Cada celda: el entrenamiento acaba en ese paso y de cada optimizador se probaron tantas "
        "configuraciones, sorteadas entre las de la búsqueda. El color es quien gana más a menudo "
        "y su fuerza, con qué frecuencia. Donde el color cambia, la respuesta depende del "
        "presupuesto. Un horario de la tasa no se acorta.",
    "configurations tried of each": "configuraciones probadas de cada uno",
    "Which lane was at work when?": "¿Qué carril trabajaba y cuándo?",
    "A row is a lane of a device, a bar a trial that sat there, in the colour of its optimizer. "
    "Gaps are lanes that wait: at the end of a sweep they are its tail, and more lanes than trials "
    "leave whole rows short.":
        "Una fila es un carril de un dispositivo; una barra, una prueba que estuvo en él, con el "
        "color de su optimizador. Los huecos son carriles que esperan: al final de un barrido son "
        "su cola, y con más carriles que pruebas hay filas enteras cortas.",
    "trial {n}: {seconds} s": "prueba {n}: {seconds} s",
    "seconds since training began": "segundos de entrenamiento",
    "How many trials does it take?": "¿Cuántas pruebas hacen falta?",
    "The best of n configurations drawn anew: the line is its median, the band from the quantile "
    "0.1 to 0.9. Who is high at the left needs little tuning; where a line is flat, more trials "
    "would gain nothing.":
        "La mejor de n configuraciones sorteadas: la línea es su mediana y la banda va del cuantil "
        "0,1 al 0,9. Quien ya es bueno a la izquierda necesita poco ajuste; donde la línea es "
        "plana, más pruebas no ganarían nada.",
    "Who is first at which target?": "¿Quién llega primero a cada meta?",
    "The time until the mean validation curve of each winner first reaches a target. A line that "
    "ends never reaches what lies beyond; where lines cross, the ranking depends on the target.":
        "El tiempo hasta que la curva media de validación de cada ganador alcanza una meta. Una "
        "línea que termina no alcanza nunca lo que sigue; donde las líneas se cruzan, el orden "
        "depende de la meta.",
    "target: {metric}": "meta: {metric}",
    "{unit} until it is reached": "{unit} en que se alcanza",
    "Where does the difference come from?": "¿De dónde viene la diferencia?",
    "Shares of the variance of one training's result, with 95% bootstrap intervals over "
    "configurations. Look at which bar is long: there it pays to look first.":
        "Partes de la varianza del resultado de un entrenamiento, con intervalos bootstrap del "
        "95 % sobre configuraciones. Mire qué barra es larga: ahí conviene buscar primero.",
    "share of the variance": "parte de la varianza",
    "hyperparameters": "hiperparámetros",
    "seed": "semilla",
    "How much room is there around the best?": "¿Cuánto margen hay en torno al mejor?",
    "Each mark is a configuration, the larger the better among its optimizer's; the filled ones "
    "are within 5% of the best. Look at how far the filled ones reach: a large basin forgives a "
    "bad guess. Who lacks one of the two numbers is not on the map.":
        "Cada marca es una configuración, mayor cuanto mejor entre las de su optimizador; las "
        "llenas están a menos del 5 % de la mejor. Mire hasta dónde llegan las llenas: una cuenca "
        "grande perdona una mala elección. Quien no tiene uno de los dos números no está en el "
        "mapa.",
    "Which number mattered?": "¿Qué número importó?",
    "PED-ANOVA: how much each number tells the best tenth of the configurations from all, among "
    "those that have all these numbers. Of few configurations it is a guess.":
        "PED-ANOVA: cuánto distingue cada número la mejor décima parte de las configuraciones del "
        "resto, entre las que tienen todos estos números. De pocas configuraciones es una "
        "conjetura.",
    "Steps were not timed: study.seconds_per_step() does, and the ranking by seconds stands here.":
        "Los pasos no se cronometraron: study.seconds_per_step() lo hace, y aquí queda el orden "
        "por segundos.",
    "importance": "importancia",
    "All configurations at once": "Todas las configuraciones a la vez",
    "A line is a configuration, its colour the result; at – it has no such number. Drag along an "
    "axis to keep only what passes there; a click on the axis takes it back.":
        "Cada línea es una configuración y su color, el resultado; en – no tiene ese número. "
        "Arrastre a lo largo de un eje para dejar solo lo que pasa por ahí; un clic en el eje lo "
        "deshace.",
    "Only the best {n} configurations are drawn.": "Solo están las {n} mejores configuraciones.",
    # how it was made
    "How it was made": "Cómo se hizo",
    "Environment": "Entorno",
    "Ranges tried": "Rangos probados",
    "The table": "La tabla",
    "Data": "Datos",
    "number": "número",
    "lowest": "menor",
    "highest": "mayor",
    "values": "valores",
    "of": "de",
    "task": "tarea",
    "examples": "ejemplos",
    "budget of a trial": "presupuesto de un entrenamiento",
    "epochs": "épocas",
    "batch size": "tamaño del lote",
    "programs": "programas",
    "seeds": "semillas",
    "replicates": "réplicas",
    "lanes a device": "carriles por dispositivo",
    "devices": "dispositivos",
    "scheduler": "planificador",
    "device": "dispositivo",
    "processor": "procesador",
    "matrix products": "productos de matrices",
    "wall time": "tiempo de reloj",
    "not known: events.jsonl is missing or empty, as where the process was killed before it was "
    "written":
        "no se sabe: falta events.jsonl o está vacío, como cuando el proceso muere antes de "
        "escribirlo",
    "compiling, besides": "compilar, aparte",
    "cut short, besides": "interrumpido, aparte",
    "{n} training steps of processes whose time is not known":
        "{n} pasos de entrenamiento, de procesos cuyo tiempo no se sabe",
    "{n} steps": "{n} pasos",
    "training steps a second": "pasos de entrenamiento por segundo",
    "lanes that trained": "carriles que entrenaron",
    "data split (SHA-256)": "partición de los datos (SHA-256)",
    "program (SHA-256)": "programa (SHA-256)",
    "trials (SHA-256)": "entrenamientos (SHA-256)",
    "How sure?": "¿Con qué seguridad?",
    "{seeds} would tell the winner from {name}.": "{seeds} distinguirían al ganador de {name}.",
    "{name} is as good for all that {seeds} could tell: take whichever you like.":
        "{name} es igual de bueno hasta donde {seeds} podrían decir: elija el que prefiera.",
    # two studies
    "Two studies: {first} and {second}": "Dos estudios: {first} y {second}",
    "difference": "diferencia",
    "seeds in common": "semillas en común",
    "made otherwise": "hecho de otro modo",
    "The studies do not share their data, or not both have fresh seeds: nothing is paired, and "
    "differences may be of the data or of luck.":
        "Los estudios no comparten sus datos, o no ambos tienen semillas nuevas: nada va por "
        "pares, y las diferencias pueden ser de los datos o del azar.",
    "Better in the second: {names} (paired, 95%, all at once).":
        "Mejor en el segundo: {names} (por pares, 95 %, todos a la vez).",
    "Worse in the second: {names} (paired, 95%, all at once).":
        "Peor en el segundo: {names} (por pares, 95 %, todos a la vez).",
    "The studies have no optimizer with two fresh seeds in common.":
        "Los estudios no tienen ningún optimizador con dos semillas nuevas en común.",
    "No optimizer differs between the studies by more than chance.":
        "Ningún optimizador difiere entre los estudios más que por azar.",
    "steps": "pasos",
    "batch_size": "tamaño del lote",
    # several tasks
    "Which optimizer wins on {tasks}?": "¿Qué optimizador gana en {tasks}?",
    "{name} has the best mean rank, {rank} of {all}, over {tasks}; nobody is better on {n} of "
    "them.":
        "{name} tiene el mejor puesto medio, {rank} de {all}, sobre {tasks}; en {n} de ellas nadie "
        "es mejor.",
    "{names} share the best mean rank, {rank} of {all}, over {tasks}.":
        "{names} comparten el mejor puesto medio, {rank} de {all}, sobre {tasks}.",
    "Ranks are by {metric}, mean over fresh seeds; scores of different tasks are not compared.":
        "Los puestos son por {metric}, media de las semillas nuevas; los resultados de tareas "
        "distintas no se comparan.",
    "Ranks are by {metric}, mean over the seeds of the search; scores of different tasks are not "
    "compared.":
        "Los puestos son por {metric}, media de las semillas de la búsqueda; los resultados de "
        "tareas distintas no se comparan.",
    "Mean ranks up to {distance} apart do not differ (Nemenyi, 95%, over all pairs).":
        "Puestos medios a no más de {distance} no se distinguen (Nemenyi, 95 %, sobre todos los "
        "pares).",
    "{tasks} tell little: other tasks may turn the order.":
        "{tasks} dicen poco: otras pueden dar la vuelta al orden.",
    "One task tells little: other tasks may turn the order.":
        "Una tarea dice poco: otras pueden dar la vuelta al orden.",
    "{n} of {all}": "{n} de {all}",
    "mean rank": "puesto medio",
    "first on": "primero en",
    "no score on": "sin resultado en",
    "Every task": "Cada tarea",
    "{metric} of each optimizer's winner.": "{metric} del ganador de cada optimizador.",
    " (deviation {spread})": " (desviación {spread})",
    "score": "resultado",
    "numbers": "números",
    "at the edge of its range": "en el borde de su rango",
    "Over all tasks": "Sobre todas las tareas",
    "Who is ahead over all tasks?": "¿Quién va delante sobre todas las tareas?",
    "Mean rank over the tasks, 1 is first. Under a bar stand optimizers that these tasks do not "
    "tell apart: their ranks differ by less than the critical distance (Nemenyi, 95%).":
        "Puesto medio sobre las tareas; 1 es el primero. Bajo una barra están los optimizadores "
        "que estas tareas no distinguen: sus puestos difieren menos que la distancia crítica "
        "(Nemenyi, 95 %).",
    "mean rank over the tasks": "puesto medio sobre las tareas",
    "On which tasks?": "¿En qué tareas?",
    "Each task has its own scale: 1 is its best optimizer, 0 its worst. Look for rows that are "
    "bright everywhere, and for tasks that turn the order round.":
        "Cada tarea tiene su escala: 1 es su mejor optimizador y 0 el peor. Busque filas claras en "
        "todas partes y tareas que inviertan el orden.",
    "How often is it how good?": "¿Con qué frecuencia es así de bueno?",
    "The share of an optimizer's trainings, over all tasks, whose score is beyond a value. A line "
    "above another is better at any demand; where lines cross it depends on the demand.":
        "La parte de los entrenamientos de un optimizador, sobre todas las tareas, cuyo resultado "
        "supera un valor. Una línea por encima de otra es mejor con cualquier exigencia; donde se "
        "cruzan, depende de ella.",
    "score (1: the best optimizer of a task, 0: the worst)":
        "resultado (1: el mejor optimizador de una tarea; 0: el peor)",
    "share of trainings": "parte de los entrenamientos",
    # the pictures
    "Course of training, each optimizer at its best: mean and range of {seeds}":
        "Curso del entrenamiento, cada optimizador en su mejor ajuste: media y rango de {seeds}",
    "{metric} (mean over seeds)": "{metric} (media de las semillas)",
    "{metric} against the learning rate; outlined: the best":
        "{metric} según la tasa de aprendizaje; con borde, la mejor",
    "{metric} of each winner: mean and 95% interval of {seeds}":
        "{metric} de cada ganador: media e intervalo del 95 % de {seeds}",
    "{metric} of each winner: mean of {seeds}": "{metric} de cada ganador: media de {seeds}",
    "▲: above {value}, three times what one answer for all examples has":
        "▲: por encima de {value}, el triple de lo que tiene una respuesta igual para todos",
    " and all values of {columns}": " y todos los valores de {columns}",
}  # fmt: skip
