"""A study in other tools' words, each written by the tool's own package."""
