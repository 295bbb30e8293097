"""Sphinx's settings, for both parts of the site; `jaxopt-course site` lays out what it reads.

Nothing is fetched, neither while it is built nor by a page: formulas are MathML, fonts and scripts
are the theme's own files.
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

spanish = tags.has("es")  # noqa: F821 - Sphinx gives it

project = "jaxopt_course"
author = "The jaxopt_course authors"
copyright = author
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
html_title = "jaxopt_course: el curso" if spanish else f"jaxopt_course {version}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "jaxopt_course.site.docstrings",
    "jaxopt_course.site.mathml",
]

# --- Markdown and notebooks ---
nb_execution_mode = "off"  # lessons have run already
nb_code_prompt_show = "Ver el código"
nb_code_prompt_hide = "Ocultar el código"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4
html_math_renderer = "mathml"

# --- the reference ---
autodoc_typehints = "none"  # the words of the arguments say it; signatures keep short
autodoc_member_order = "bysource"
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False

# --- looks ---
html_theme = "sphinx_book_theme"
html_theme_options = {
    "repository_url": "https://github.com/jaxopt-course/jaxopt_course",
    "use_repository_button": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "navbar_persistent": [],  # the search is in the sidebar
    "navigation_with_keys": False,
}
html_sidebars = {
    "**": [
        "navbar-logo.html",
        "icon-links.html",
        "search-button-field.html",
        "other.html",
        "sbt-sidebar-nav.html",
    ],
}
html_context = {"default_mode": "auto"}  # light or dark as the reader's system
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
