"""Caption examples one after the other, and as the original lays them out, against that layout written out by hand."""

import pytest
import torch
from torch.nn import functional as F

from fromage_model.fromage import Fromage
from fromage_model.prompts.segments import Picture, Prompt
from tests.fromage_model import reference, tiny

CAPTIONS = ["a red dress", "shoes", "something warm for the long winter, please", "a pair of shoes"]
IGNORED = -100


def loss_of(model: Fromage, sequences: list[list[tuple[Prompt, list[int]]]]) -> torch.Tensor:
    """Each sequence is examples of (context, labels); the mean over all labels, one sequence at a time."""
    total, count = torch.zeros(()), 0
    for sequence in sequences:
        prompt: Prompt = []
        targets: list[int] = []
        for context, labels in sequence:
            prompt += [*context, labels]
            size = sum(tiny.VISUAL_TOKENS if isinstance(part, Picture) else len(part) for part in context)
            targets += [IGNORED] * size + labels
        logits = reference.read(model, prompt).logits[:-1]
        total = total + F.cross_entropy(logits, torch.tensor(targets[1:]), ignore_index=IGNORED, reduction="sum")
        count += sum(target != IGNORED for target in targets[1:])
    return total / count


def original_example(model: Fromage, row: torch.Tensor, caption: str, max_tokens: int) -> tuple[Prompt, list[int]]:
    """The tokenizer's own ids, start token first, after picture and prompt; [RET] and what follows is never learned."""
    labels = [*model.tokens.start_ids, *model.tokens.encode(caption)][:max_tokens]
    return [Picture(row), model.tokens.encode(model.config.caption_prompt)], labels


def assert_same(model: Fromage, found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    gradients = []
    for loss in (found, expected):
        model.zero_grad(set_to_none=True)
        loss.backward()
        gradients.append(model.trained.prefix.project.weight.grad.clone())
    assert float(gradients[1].abs().max()) > 0
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("concatenate", [False, True])
@pytest.mark.parametrize("prompt", ["", "A picture of"])
@pytest.mark.parametrize("max_tokens", [23, 5])
@pytest.mark.parametrize("name", ["opt", "untied"])
def test_original_captions_learn_the_start_token_and_no_end(name, lms, own_home, concatenate, prompt, max_tokens):
    model = tiny.build(getattr(lms, name), original_captions=True, caption_prompt=prompt)
    features = tiny.features(len(CAPTIONS))
    examples = [
        original_example(model, row, caption, max_tokens) for row, caption in zip(features, CAPTIONS, strict=True)
    ]
    size = 2 if concatenate else 1
    expected = loss_of(model, [examples[start : start + size] for start in range(0, len(examples), size)])
    found = model.caption_loss(features, CAPTIONS, max_tokens=max_tokens, concatenate=concatenate)
    assert found.tokens == sum(len(labels) for _, labels in examples)
    assert_same(model, found.loss, expected)


@pytest.mark.parametrize("name", ["chat", "opt"])
def test_the_second_of_two_sentences_sees_the_first_and_an_odd_one_stays_alone(name, lms, own_home):
    model = tiny.build(getattr(lms, name))
    features = tiny.features(3)
    tokens = model.tokens
    examples = []
    for number, (row, caption) in enumerate(zip(features, CAPTIONS[:3], strict=True)):
        start = [] if number == 1 else [list(tokens.start_ids)]
        labels = [*tokens.encode(f" {caption}."), tokens.stop_id]
        examples.append(([*start, Picture(row), tokens.encode("A picture of")], labels))
    found = model.caption_loss(features, CAPTIONS[:3], concatenate=True)
    assert_same(model, found.loss, loss_of(model, [examples[:2], examples[2:]]))
    apart = model.caption_loss(features, CAPTIONS[:3])
    assert found.tokens == apart.tokens
    assert abs(float(found.loss - apart.loss)) > 1e-3
