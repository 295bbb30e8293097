"""The report's Spanish: under each English template, name or noun its own."""

from jaxopt_course.report.spanish import page, verdict

NOUNS = {  # one, several
    "seed": ("semilla", "semillas"),
    "fresh seed": ("semilla nueva", "semillas nuevas"),
    "search seed": ("semilla de la búsqueda", "semillas de la búsqueda"),
    "replicate": ("réplica", "réplicas"),
    "fresh replicate": ("réplica nueva", "réplicas nuevas"),
    "trial": ("entrenamiento", "entrenamientos"),
    "configuration": ("configuración", "configuraciones"),
    "optimizer": ("optimizador", "optimizadores"),
    "task": ("tarea", "tareas"),
}
PARTS = {"train": "entrenamiento", "valid": "validación", "test": "prueba"}
METRICS = {
    "accuracy": "exactitud",
    "loss": "pérdida",
    "error": "error",
    "rmse": "raíz del error cuadrático medio",
    "mse": "error cuadrático medio",
    "mae": "error absoluto medio",
    "r2": "R²",
    "f1": "F1",
    "auc": "AUC",
    "precision": "precisión",
    "recall": "exhaustividad",
}
SENTENCES = page.SENTENCES | verdict.SENTENCES
