"""Markdown with formulas to HTML that needs no network and no script: LaTeX becomes MathML.

Browsers lay MathML out themselves.  ``latex2mathml`` makes it; what it gets wrong is mended here,
and what it does not know is an error, never a formula that looks like source.
"""

import re
from html import escape
from typing import Any
from xml.etree import ElementTree

import pygments
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_by_name
from pygments.util import ClassNotFound

SAME = {  # as it is written -> as latex2mathml knows it
    r"\\([lr]Vert|Vert)\b": r"\\|",
    r"\\(begin|end)\{aligned\*?\}": r"\\\1{split}",
    r"\\(mathbb|mathcal|mathrm|mathbf|text)\s+([A-Za-z0-9])": r"\\\1{\2}",
    r"\\binom(\d)(\d)": r"\\binom{\1}{\2}",
}
CLOSING = r'<mo minsize="([^"]+)" maxsize="[^"]+">([)\]|}])</mo>'
ROW = r'<mrow><mo form="postfix" stretchy="true" minsize="\1" maxsize="\1">\2</mo></mrow>'
FUNCTION = r"(?<!<msub>)(?<!sup>)(?<!under>)(<m[io]>(?:ln|log|exp|sin|cos|tanh|max|min)</m[io]>)"
TIGHT = r'<mo((?: stretchy="false")?)>([/|])</mo>'  # TeX has no room beside them, browsers have
OPERAND = r"(?=<m(?!o\b|o>|space))"
COMMA = r"<mn>(\d+)</mn><mrow><mo>(?:,|&#x0002C;)</mo></mrow><mn>(\d+)</mn>"  # 0{,}5 is a number
HELD = r'([«(]*)(<span class="math(?: inline)?">(?:(?!</span>).)*</span>)([.,;:)»?!]*)'
CHILDREN = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3}


class UnknownFormula(ValueError):
    """LaTeX that cannot be shown."""


def mathml(latex: str, block: bool = False) -> str:
    r"""The formula as MathML.

    Raises:
        UnknownFormula: a command is not known, or braces do not match.

    >>> mathml(r"\eta")[-24:]
    '<mi>η</mi></mrow></math>'
    """
    known = latex
    for written, same in SAME.items():
        known = re.sub(written, same, known)
    try:
        made = convert(known, display="block" if block else "inline")
    except Exception as error:
        raise UnknownFormula(
            f"formula {latex.strip()!r}: {error or type(error).__name__}"
        ) from None
    wrong = whole(made)
    if wrong:
        raise UnknownFormula(f"formula {latex.strip()!r}: {wrong}")
    made = re.sub(CLOSING, ROW, made)
    made = re.sub(COMMA, r"<mn>\1,\2</mn>", made)
    made = re.sub(FUNCTION + OPERAND, r'\1<mspace width="0.17em"/>', made)
    made = re.sub(
        r"&#x0*([0-9A-F]+);", lambda code: escape(chr(int(code[1], 16)), quote=False), made
    )
    made = made.replace("<mo>∞</mo>", "<mi>∞</mi>")
    return re.sub(TIGHT, r'<mo\1 lspace="0" rspace="0">\2</mo>', made)


def display(latex: str) -> str:
    r"""A formula of its own line as MathML, in the parts between its ``\qquad``.

    Where the page is narrow they go one below the other.

    Raises:
        UnknownFormula: a command is not known, or braces do not match.

    >>> display(r"a=b,\qquad c=d").count('<span class="part">'), display("a").count("span")
    (2, 0)
    """
    found = parts(latex)
    if len(found) == 1:
        return mathml(latex, block=True)
    return "".join(f'<span class="part">{mathml(part, block=True)}</span> ' for part in found)


def parts(latex: str) -> list[str]:
    r"""What stands between the ``\qquad`` that are in no braces, no table and no tall brackets.

    >>> parts(r"a,\qquad \sqrt{b\qquad c}\qquad\qquad d")
    ['a,', '\\sqrt{b\\qquad c}', 'd']
    """
    depth, found = 0, [""]
    for token in re.findall(r"\\[A-Za-z]+|\\.|[{}]|[^\\{}]+", latex, re.S):
        depth += token in ("{", r"\begin", r"\left")
        depth -= token in ("}", r"\end", r"\right")
        if token == r"\qquad" and depth == 0:
            found.append("")
        else:
            found[-1] += token
    return [part.strip() for part in found if part.strip()] or [latex]


def held(page: str) -> str:
    """HTML whose formulas have the punctuation around them on their line.

    >>> held('(<span class="math inline">x</span>.')
    '<span class="nowrap">(<span class="math inline">x</span>.</span>'
    """

    def line(found: re.Match[str]) -> str:
        return f'<span class="nowrap">{found[0]}</span>' if found[1] or found[3] else found[0]

    return re.sub(HELD, line, page)


def whole(made: str) -> str | None:
    """What is wrong with MathML: commands left over, or parts without their operands."""
    try:
        parts = list(ElementTree.fromstring(made).iter())
    except ElementTree.ParseError:
        return "a '&' outside a table"
    for part in parts:
        name = part.tag.rpartition("}")[2]
        if (part.text or "").startswith("\\"):
            return f"{part.text} is unknown"
        if len(part) != CHILDREN.get(name, len(part)):
            return f"{name} has {len(part)} of {CHILDREN[name]} operands"
    return None


def formulas(markdown: str) -> list[tuple[str, bool]]:
    """The LaTeX in a text, and whether each stands in a line of its own."""
    found = []

    def walk(tokens: list[Token]) -> None:
        for token in tokens:
            if token.type.startswith("math"):
                found.append((token.content, token.type != "math_inline"))
            walk(token.children or [])

    walk(reader().parse(markdown))
    return found


def html(markdown: str) -> str:
    r"""Markdown as HTML; wide tables get a box that scrolls.

    >>> html("la *tasa*")
    '<p>la <em>tasa</em></p>\n'
    """
    made = reader().render(markdown)
    made = re.sub(
        r'<div class="math inline">(.*?)</div>', r'<span class="math block">\1</span>', made
    )
    return boxed(held(made))


def boxed(page: str, kind: str = "wide") -> str:
    """HTML whose tables are each in a box that scrolls, every cell with its head.

    On a phone the rows of a broad one are cards.

    Args:
        page: HTML.
        kind: classes of the boxes; "wide numbers" of tables that are no sentences.

    >>> boxed("<table><tr><th>a</th></tr><tr><td>1</td></tr></table>")
    '<div class="wide"><table><tr><th>a</th></tr><tr><td data-head="a">1</td></tr></table></div>'
    """
    return re.sub(r"<table[^>]*>.*?</table>", lambda table: wide(table, kind), page, flags=re.S)


def wide(table: re.Match[str], kind: str) -> str:
    """A table in its box."""
    heads = [
        re.sub(r"<[^>]+>", "", head).strip()
        for head in re.findall(r"<th\b[^>]*>(.*?)</th>", table[0], re.S)
    ]

    def row(found: re.Match[str]) -> str:
        of = iter(heads)
        return re.sub(r"<td", lambda cell: f'<td data-head="{next(of, "")}"', found[0])

    rows = re.sub(r"<tr[^>]*>.*?</tr>", row, table[0], flags=re.S)
    return f'<div class="{kind}">{rows}</div>'


def reader() -> MarkdownIt:
    """Of CommonMark with tables and dollars."""
    markdown = MarkdownIt("commonmark", {"highlight": highlight}).enable("table")
    markdown.use(dollarmath_plugin, double_inline=True, renderer=render)
    markdown.use(anchors_plugin, max_level=3)
    return markdown


def highlight(code: str, language: str, _: str) -> str:
    """A block of code in colours."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = TextLexer()
    coloured = pygments.highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="highlight">{coloured}</pre>'


def render(latex: str, options: dict[str, Any]) -> str:
    """A formula in its place; in its own line it scrolls where it is too wide."""
    return display(latex) if options.get("display_mode", False) else mathml(latex)
