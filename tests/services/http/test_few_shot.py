"""Demonstrations as earlier turns: the LM reads what the library's own few-shot prompt says, in the same tokens.

What is the same: task induction, pictures, texts, their order and their tokens. What is the chat's own: the words that
the LM's chat template, or `Q: ... A:` where it has none, puts around each turn.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from fromage_model.frozen.prompts import Demonstration, few_shot_parts, frozen_prompt
from fromage_model.language.tokens import Tokens, load_tokens
from fromage_model.prompts.messages import Message
from fromage_model.prompts.segments import Picture, Prompt, chat_prompt, raw_prompt
from tests.fromage_model import tiny
from tests.services.http.chatting import CHAT, client_of, data_url, picture
from tests.services.peers import ScriptedLlm

INDUCTION = "Answer with dax or blicket."
NAMES = ["This is a dax.", "This is a blicket."]
QUESTION = "What is this?"


@pytest.fixture
def chat_tokens(tmp_path: Path) -> Tokens:
    tiny.write_chat_tokenizer(tmp_path)
    return load_tokens(tmp_path)


@pytest.fixture
def plain_tokens(tmp_path: Path) -> Tokens:
    tiny.write_plain_tokenizer(tmp_path)
    return load_tokens(tmp_path)


def read_by_lm() -> list[Message]:
    """What the request with demonstrations as turns asks of the LM."""
    colours = ("red", "blue", "green")
    shown = [[picture(data_url(colour=colour))] for colour in colours]
    turns: list[dict[str, Any]] = [{"role": "system", "content": INDUCTION}]
    for demonstration, name in zip(shown, NAMES, strict=False):
        turns += [{"role": "user", "content": demonstration}, {"role": "assistant", "content": name}]
    query = [*shown[2], {"type": "text", "text": QUESTION}]
    llm = ScriptedLlm()
    assert client_of(llm).post(CHAT, json={"messages": [*turns, {"role": "user", "content": query}]}).status_code == 200
    return list(llm.asked[0])


def library_parts(messages: list[Message]) -> list[Any]:
    """The same as the library's few-shot parts."""
    features = [torch.from_numpy(part) for message in messages for part in message.parts if not isinstance(part, str)]
    demonstrations = [Demonstration(*shot) for shot in zip(features, NAMES, strict=False)]
    return few_shot_parts([features[2], QUESTION], demonstrations, task_induction=INDUCTION)


def items(prompt: Prompt) -> list[Any]:
    """Token by token; a picture is its features."""
    found: list[Any] = []
    for segment in prompt:
        found += [tuple(segment.features.tolist())] if isinstance(segment, Picture) else segment
    return found


def without(prompt: Prompt, others: Prompt) -> Prompt:
    """What is left of a prompt's segments when those of another are taken out of it, in their order."""
    left, waiting = [], [items([segment]) for segment in others if items([segment])]
    for segment in prompt:
        if waiting and items([segment]) == waiting[0]:
            waiting.pop(0)
        elif items([segment]):
            left.append(segment)
    assert not waiting, "the prompt lacks a part, or has it in another place"
    return left


@pytest.mark.parametrize("kind", ["chat_tokens", "plain_tokens"])
def test_demonstrations_as_turns_are_the_library_s_few_shot_prompt_within_the_turns_own_words(kind, request):
    tokens = request.getfixturevalue(kind)
    messages = read_by_lm()
    asked = chat_prompt(messages, tokens, system_prompt="Not this.")
    library = raw_prompt(library_parts(messages), tokens)
    silent = [Message(message.role, []) for message in messages]
    frame = [segment for segment in chat_prompt(silent, tokens, system_prompt="") if segment]
    own_words = without(asked, library[1:])
    assert items(own_words) == items(frame)


def test_for_an_lm_without_a_template_the_whole_is_the_raw_prompt_with_questions_and_answers_between(plain_tokens):
    messages = read_by_lm()
    parts = library_parts(messages)
    turns = ["\nQ: ", parts[1], "\nA: ", parts[2], "\nQ: ", parts[3], "\nA: ", parts[4], "\nQ: ", *parts[5:], "\nA:"]
    asked = chat_prompt(messages, plain_tokens, system_prompt="Not this.")
    assert items(asked) == items(raw_prompt([parts[0], *turns], plain_tokens))


def test_the_library_s_two_ways_to_a_few_shot_prompt_are_one_where_it_begins_with_text(plain_tokens):
    parts = library_parts(read_by_lm())
    pictured = [part if isinstance(part, str) else Picture(part) for part in parts]
    assert items(frozen_prompt(pictured, plain_tokens)) == items(raw_prompt(parts, plain_tokens))
