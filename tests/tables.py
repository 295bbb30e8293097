"""Published tables: a test makes the text, the committed file must say the same.

``JOC_WRITE_TABLES=1 python -m pytest tests/test_traceability.py`` writes them anew.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "tables"


def render(header, rows):
    """A markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def matches(name, text):
    """Whether the committed table ``name`` says ``text``; JOC_WRITE_TABLES=1 writes it first."""
    path = FOLDER / name
    if os.environ.get("JOC_WRITE_TABLES") == "1":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    committed = path.read_text(encoding="utf-8") if path.exists() else ""
    if committed != text:
        new = [line for line in text.splitlines() if line not in committed.splitlines()]
        old = [line for line in committed.splitlines() if line not in text.splitlines()]
        print(f"{path}: now {new}, committed {old}; JOC_WRITE_TABLES=1 writes it")
    return committed == text
