"""Files whose quotes are written with a backslash, as MySQL and Spark write them."""

import re

_MARK = r"[,;\t|]"
# after a quote that ends a cell there is a mark or the end; a doubled one is no evidence either
_SURE = re.compile(rf'(?:^|{_MARK})"[^"\n]*\\"(?!{_MARK}|[\r\n"]|\Z)', re.MULTILINE)
_CELL = re.compile(rf'(^|{_MARK})"((?:[^"\\]|\\.|"")*)"(?={_MARK}|\r?$)', re.MULTILINE | re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')


def unescaped(text: str) -> str:
    r"""The text with doubled quotes, as pandas reads them, where a backslash stands before some.

    A cell may end in a backslash, as a folder's name does: only what stands behind a quote and
    begins no other cell tells that the quote ends none.

    >>> print(unescaped('a,b\n1,"say \\"hi\\" now"\n2,"so, \\"\\\\"\n'))
    a,b
    1,"say ""hi"" now"
    2,"so, ""\"
    <BLANKLINE>
    >>> unescaped('a,b\n1,"C:\\"\n') == 'a,b\n1,"C:\\"\n'
    True
    """
    if '\\"' not in text or not _SURE.search(text):
        return text
    return _CELL.sub(_redress, text)


def _redress(match: re.Match[str]) -> str:
    inside = _ESCAPED.sub(lambda sign: '""' if sign[1] == '"' else sign[1], match[2])
    return f'{match[1]}"{inside}"'
