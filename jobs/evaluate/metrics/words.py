"""A caption as the words that are counted: lower case, split as the Penn Treebank does, without punctuation.

COCO's evaluation uses Stanford's tokenizer, which needs Java; NLTK's splits English captions alike, but for rarities
such as abbreviations with full stops. Needs the extra `captions`.
"""

from functools import cache
from typing import Any

from fromage_model.errors import ConfigError

# What COCO's evaluation takes away, in the words of either tokenizer.
PUNCTUATION = frozenset(["''", "'", "``", "`", '"', "(", ")", "{", "}", "[", "]"]) | frozenset(
    [".", "?", "!", ",", ":", "-", "--", "...", ";"]
)


def caption_words(caption: str) -> list[str]:
    """The words of a caption. Raises ConfigError where NLTK is not installed."""
    words = [word.rstrip(".") for word in _tokenizer().tokenize(" ".join(caption.lower().split()))]
    return [word for word in words if word and word not in PUNCTUATION]


def check_installed() -> None:
    """Raises ConfigError where what captions are measured with is not installed."""
    try:
        import nltk
        import sacrebleu
    except ImportError as error:
        raise ConfigError(
            f"captions are measured with sacrebleu and nltk, and {error.name} is not installed: "
            "pip install sacrebleu==2.6.0 nltk==3.10.4, the extra `captions`"
        ) from error
    del nltk, sacrebleu


@cache
def _tokenizer() -> Any:
    check_installed()
    from nltk.tokenize import NLTKWordTokenizer

    return NLTKWordTokenizer()
