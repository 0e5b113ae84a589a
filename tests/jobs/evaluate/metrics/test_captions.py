"""BLEU, ROUGE-L, CIDEr and METEOR against values worked out by hand and COCO's own code's (pycocoevalcap 1.2)."""

from math import exp, log, sqrt

import numpy as np
import pytest

from jobs.evaluate.metrics.bleu import ORDERS, bleu, bleu_statistics
from jobs.evaluate.metrics.cider import cider_d
from jobs.evaluate.metrics.meteor import meteor
from jobs.evaluate.metrics.rouge import longest_common, rouge_l
from jobs.evaluate.metrics.words import caption_words

CAPTIONS = ["a red dress with a belt", "two black shoes", "a small blue bag on the table"]
REFERENCES = [
    ["a red dress with a black belt", "the long red dress"],
    ["two black leather shoes", "a pair of black shoes", "black shoes"],
    ["a blue bag", "a small bag on a table"],
]
# What pycocoevalcap 1.2 gives for them.
COCO_BLEU = [0.9375, 0.80562923, 0.57960292, 0.48565841]
COCO_ROUGE = [0.91044776, 1.0, 0.85915493]
COCO_CIDER = [4.54779557, 2.81903346, 2.32350699]


@pytest.fixture
def words():
    return [caption.split() for caption in CAPTIONS], [[one.split() for one in own] for own in REFERENCES]


def test_bleu_rouge_and_cider_are_those_of_cocos_own_code(words):
    candidates, references = words
    statistics = np.stack([bleu_statistics(*pair) for pair in zip(candidates, references, strict=True)])
    found = [float(bleu(order)(statistics, np.ones((1, 3)))[0]) for order in ORDERS]
    assert found == pytest.approx(COCO_BLEU, abs=1e-6)
    rouge = [rouge_l(*pair) for pair in zip(candidates, references, strict=True)]
    assert rouge == pytest.approx(COCO_ROUGE, abs=1e-7)
    assert cider_d(candidates, references) == pytest.approx(COCO_CIDER, abs=1e-7)


def test_bleu_by_hand_counts_a_word_as_often_as_a_reference_has_it_and_is_brief_about_short_captions():
    """ "the the the" has one of three words right, and is as long as the reference; "the" is two words short."""
    of = bleu(1)
    statistics = bleu_statistics(["the", "the", "the"], [["the", "red", "hat"]])
    assert of(statistics[None], np.ones((1, 1)))[0] == pytest.approx(1 / 3)
    short = bleu_statistics(["the"], [["the", "red", "hat"]])
    assert of(short[None], np.ones((1, 1)))[0] == pytest.approx(exp(1 - 3))
    assert bleu(2)(statistics[None], np.ones((1, 1)))[0] == 0


def test_an_empty_caption_is_worth_nothing_and_breaks_nothing():
    references = [["a", "hat"]]
    assert bleu(1)(bleu_statistics([], references)[None], np.ones((1, 1)))[0] == 0
    assert rouge_l([], references) == meteor([], references) == 0
    assert cider_d([[], ["a", "hat"]], [references, [["a", "shoe"]]])[0] == 0


def test_rouge_l_by_hand():
    """The longest common subsequence of the two is "a dress": precision 2 / 3, recall 2 / 4."""
    candidate, reference = ["a", "blue", "dress"], ["a", "long", "red", "dress"]
    assert longest_common(candidate, reference) == 2
    precision, recall = 2 / 3, 2 / 4
    assert rouge_l(candidate, [reference]) == pytest.approx(
        (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    )


def test_cider_by_hand_for_captions_of_one_word():
    """Unigrams alone have weights: log 2 for "hat" (one picture of two), 0 for "a" (both); the cosine is 1, one of four
    lengths counts, and one pair of words more or less costs exp(-1 / 72)."""
    references = [[["a", "hat"]], [["a", "shoe"]]]
    found = cider_d([["hat"], ["bag"]], references)
    weight = log(2)
    cosine = weight * weight / (weight * sqrt(weight**2))
    assert found == pytest.approx([10 * exp(-1 / 72) * cosine / 4, 0.0])


def test_meteor_by_hand_without_synonyms():
    """Three of three words match, one by its stem, in one chunk: 1 - 0.5 (1 / 3) ** 3."""
    assert meteor(["a", "red", "hat"], [["a", "red", "hats"]]) == pytest.approx(1 - 0.5 / 27)
    assert meteor(["a", "red", "hat"], [["no"], ["a", "red", "hats"]]) == pytest.approx(1 - 0.5 / 27)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A dog, a CAT.", "a dog a cat"),
        ("The man's hat isn't red!", "the man 's hat is n't red"),
        ("A t-shirt - red (and blue)", "a t-shirt red and blue"),
        ("Two dogs. One cat.\n", "two dogs one cat"),
        ("", ""),
    ],
)
def test_captions_are_split_as_the_penn_treebank_does_without_punctuation(caption, words):
    assert caption_words(caption) == words.split()
