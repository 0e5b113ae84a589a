"""From what a model wrote to a caption. Knows no tokens and no models."""

import re

_BOUNDARY = re.compile(r"[.!?]+[\"')]*(?=\s|$)|[,;:](?=\s|$)|\s+[-\u2013\u2014](?=\s|$)")
_DANGLING = re.compile(
    r"\s+(an?|the|this|that|these|those|its|his|her|their|of|in|on|at|by|for|from|to|into|onto|with|without|over|under|"
    r"and|or|but|as|than|near|next|behind|beside|between|is|are|was|were|be|has|have|had|which|who|while)$",
    re.IGNORECASE,
)


def caption_of(text: str, *, ended: bool) -> str:
    """A text without space around it; one that has not `ended` by itself goes to the end of its last clause."""
    return text.strip() if ended else last_complete_clause(text)


def last_complete_clause(text: str) -> str:
    """A text that was cut off, up to the end of its last complete clause.

    A sentence keeps its full stop; a clause that ended in a comma, semicolon, colon or dash loses it. Where nothing
    marks an end, the words stand as they are, without those at the end that in English announce another.
    """
    text = text.strip()
    ends = list(_BOUNDARY.finditer(text))
    if not ends:
        return _without_dangling_words(text)
    last = ends[-1]
    is_sentence = last.group()[0] in ".!?"
    clause = text[: last.end() if is_sentence else last.start()].rstrip()
    return clause or _without_dangling_words(text)


def _without_dangling_words(text: str) -> str:
    while (shorter := _DANGLING.sub("", text)) != text:
        text = shorter
    return text
