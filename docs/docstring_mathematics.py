"""Lets docstrings say ``[..., *shape]`` and log π(a|o) as they are: stars and bars that are no markup are escaped.

reStructuredText takes a star for the beginning of emphasis and a bar for that of a substitution. Here a pair of stars
around words that have no star next to a bracket or comma is emphasis; every other star, and every bar, is itself.
"""

import re

_LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
_EMPHASIS = re.compile(r"(?<![\w*\[\](),.|])(\*\*?)(\w[^*\[\],]*?)\1(?![\w*])")


def escape(lines: list[str]) -> list[str]:
    """Escape what is no markup.

    :param lines: of a docstring.
    :return: as many lines; literals, literal blocks and emphasis are left as they are.
    """
    escaped: list[str] = []
    block_indent: int | None = None  # of the paragraph that ends with "::", while its literal block lasts
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if block_indent is not None and line.strip() and indent <= block_indent:
            block_indent = None
        escaped.append(line if block_indent is not None else _escape_line(line))
        if block_indent is None and line.rstrip().endswith("::"):
            block_indent = indent
    return escaped


def _escape_line(line: str) -> str:
    # Every second piece is a literal.
    pieces = _LITERAL.split(line)
    return "".join(piece if index % 2 else _escape_text(piece) for index, piece in enumerate(pieces))


def _escape_text(text: str) -> str:
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group(0))
        return "\0"

    text = _EMPHASIS.sub(keep, text).replace("*", r"\*").replace("|", r"\|")
    for emphasis in kept:
        text = text.replace("\0", emphasis, 1)
    return text
