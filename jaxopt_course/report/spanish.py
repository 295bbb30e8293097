"""The report's Spanish: under each English template, name or noun its own."""

NOUNS: dict[str, tuple[str, str]] = {}
PARTS: dict[str, str] = {}
METRICS: dict[str, str] = {}
SENTENCES: dict[str, str] = {}
