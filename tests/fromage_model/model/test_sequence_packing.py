"""Sequences that share rows: the same states, losses and gradients as rows of their own."""

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM

from fromage_model.errors import ConfigError
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.language.model import load_language_model
from fromage_model.model.sequence_packing import Packing, pack_sequences, states_of
from fromage_model.prompts.messages import Message
from fromage_model.prompts.segments import Picture, chat_prompt, token_ids
from tests.fromage_model import reference, tiny, tiny_frozen
from tests.fromage_model.families import FAMILIES

EXAMPLES = (("a red hat please", "A hat."), ("hello", "Hello you."))
WISHES = ("a coat", "show me the long green scarf", "hat", "have you got a pair of shoes for the winter?", "red")
CAPTIONS = ("a red dress", "shoes", "something warm for the winter", "a long green scarf, please", "coat")
PICTURES = tiny.features(5, seed=3)
POSITIONS = 64


@pytest.fixture(params=list(FAMILIES))
def any_model(request, tmp_path, own_home):
    model = tiny.build(FAMILIES[request.param](tmp_path / "lm"), text_layers=(1, -1))
    pack_sequences(model.lm, POSITIONS)
    return model


def prompts_of(model, texts=WISHES):
    return [[Picture(PICTURES[0]), token_ids([model.tokens.encode(text)])] for text in texts]


def test_rows_are_filled_and_every_position_comes_back():
    lengths = [5, 9, 2, 4, 8, 1]
    packing = Packing(lengths, positions=16)
    values = torch.arange(6 * 9, dtype=torch.float32).view(6, 9, 1)
    packed = packing.pack(values)
    assert packing.rows == packed.shape[0] == 2
    assert packed.shape[1] == 16
    back = packing.unpack(packed)
    for number, length in enumerate(lengths):
        assert torch.equal(back[number, :length], values[number, :length])


def test_a_sequence_longer_than_a_row_has_one_to_itself():
    packing = Packing([20, 3, 3], positions=8)
    assert packing.rows == 2
    assert packing.pack(torch.zeros(3, 20, 1)).shape[:2] == (2, 20)


def test_states_are_those_of_each_sequence_alone(any_model):
    """By transformers, one row at a time."""
    prompts = prompts_of(any_model)
    batch = any_model.embed_prompts(prompts)
    assert Packing.of(any_model.lm, batch.mask, opened=0) is not None or any_model.lm.window is not None
    states = states_of(any_model.lm, batch.embeddings, batch.mask)
    for row, prompt in enumerate(prompts):
        alone = reference.read(any_model, prompt)
        length = len(alone.layers[0])
        for ours, expected in zip(states.layers, alone.layers, strict=True):
            torch.testing.assert_close(ours[row, :length], expected, atol=2e-5, rtol=1e-4)


def test_a_window_that_ends_within_a_sequence_is_left_as_it_is(tmp_path, own_home):
    model = tiny.build(FAMILIES["gpt_neo"](tmp_path / "lm"))
    pack_sequences(model.lm, POSITIONS)
    window = model.lm.window
    assert Packing.of(model.lm, torch.ones(4, window + 1, dtype=torch.long).tril(), opened=0) is None
    assert Packing.of(model.lm, torch.ones(4, window, dtype=torch.long).tril(), opened=0) is not None


def test_embeddings_at_ret_are_those_of_each_prompt_alone(any_model):
    prompts = prompts_of(any_model)
    asked = any_model.ask(prompts)
    for row, prompt in enumerate(prompts):
        expected = reference.embedding_at(any_model, [*prompt, [any_model.tokens.ret_id]])
        torch.testing.assert_close(asked.embeddings[row].detach(), expected.detach(), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("positions", [48, 512])
@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2)])
def test_losses_and_gradients_are_those_of_rows_of_their_own(lms, own_home, positions, lora):
    model = tiny.build(lms.chat, examples=EXAMPLES, lora=lora)
    if model.trained.lora is not None:
        for matrix in model.trained.lora.parameters():
            torch.nn.init.normal_(matrix, std=0.1)
    config, encode = model.config, model.tokens.encode
    wishes = [
        chat_prompt(
            [Message("user", [text])], model.tokens, system_prompt=config.system_prompt, examples=config.examples
        )
        for text in WISHES
    ]
    assert lora is not None or model.opening is not None
    replies = [encode(text) for text in ("Sure.", "Here you are, a scarf.", "A hat.", "Of course", "Yes")]

    def outcome():
        model.zero_grad()
        captions = model.caption_loss(PICTURES, CAPTIONS)
        asked = model.ask(wishes)
        talk = model.reply_loss([[*one, [model.tokens.ret_id]] for one in wishes], replies, through_lm=True)
        parts = (captions.loss, asked.embeddings[:, 0].sum(), model.next_token_loss(asked, torch.ones(5)), talk)
        torch.stack(parts).sum().backward()
        found = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
        return [part.detach() for part in parts], found

    plain, plain_gradients = outcome()
    pack_sequences(model.lm, positions)
    packed, packed_gradients = outcome()
    torch.testing.assert_close(packed, plain, atol=1e-5, rtol=1e-5)
    assert packed_gradients.keys() == plain_gradients.keys()
    assert len(packed_gradients) >= 5
    for name, gradient in plain_gradients.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(packed_gradients[name], gradient, atol=2e-5, rtol=1e-3, msg=name)


def test_frozens_loss_and_gradient_are_those_of_rows_of_their_own(tmp_path, own_home):
    model = tiny_frozen.build(tiny_frozen.write_gpt2(tmp_path / "lm"), tiny_frozen.write_resnet(tmp_path / "resnet"))
    model.eval()
    pixels = tiny_frozen.pictures(5)

    def outcome():
        model.zero_grad()
        loss = model.caption_loss(pixels, CAPTIONS, contexts=["", "What is it?", "", "And this, then?", ""]).loss
        loss.backward()
        return loss.detach(), [one.grad.clone() for one in model.visual_map.parameters() if one.grad is not None]

    plain = outcome()
    pack_sequences(model.lm, 80)
    torch.testing.assert_close(outcome(), plain, atol=2e-5, rtol=1e-3)


def test_fewer_positions_go_through_the_lm(lms, own_home):
    model = tiny.build(lms.chat)
    widths = []
    model.lm.backbone.base_model.register_forward_pre_hook(
        lambda _, __, given: widths.append(given["inputs_embeds"].shape[:2].numel()), with_kwargs=True
    )
    model.caption_loss(PICTURES, CAPTIONS)
    pack_sequences(model.lm, 512)
    model.caption_loss(PICTURES, CAPTIONS)
    alone, packed = widths
    assert packed < alone


def test_an_lm_that_counts_positions_itself_is_refused(tmp_path):
    length = tiny.write_plain_tokenizer(tmp_path)
    sizes = {"hidden_size": 32, "n_layer": 2, "n_head": 2}
    BloomForCausalLM(BloomConfig(**sizes, vocab_size=length, bos_token_id=0, eos_token_id=1)).save_pretrained(tmp_path)
    lm = load_language_model(tmp_path, vocabulary=length)
    with pytest.raises(ConfigError, match="pack_positions is 512, but bloom counts positions by itself"):
        pack_sequences(lm, 512)
    for positions in (0, None):
        pack_sequences(lm, positions)
        assert lm.pack_positions == 0


def test_on_a_cpu_sequences_are_packed_by_default(lms, own_home):
    lm = tiny.build(lms.chat).lm
    assert lm.pack_positions == 0
    pack_sequences(lm, None)
    assert lm.pack_positions == 512
