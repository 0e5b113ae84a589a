"""Both losses equal their plain computation, in value and gradient; padding, cutting and what is frozen behave."""

import pytest
import torch

from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.model.trained import MAX_SCALE
from fromage_model.prompts.segments import Picture
from tests.fromage_model import reference, tiny

CAPTIONS = ["a red dress", "shoes", "something warm for the long winter, please"]


@pytest.fixture(params=["chat", "opt", "untied", "two rows"])
def trainee(request, lms, own_home) -> Fromage:
    """Tied with one [RET] row, tied with learned positions, untied, and tied with two rows and two layers."""
    if request.param == "two rows":
        return tiny.build(lms.chat, two_ret_rows=True, text_layers=(-1, 1))
    return tiny.build(getattr(lms, request.param))


def gradients(model: Fromage, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of every trained parameter; one that the loss does not reach has 0."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in model.trained.named_parameters()
    }


def assert_same_gradients(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    for name, gradient in expected.items():
        scale = max(1.0, float(gradient.abs().max()))
        assert torch.allclose(found[name] / scale, gradient / scale, atol=1e-4, rtol=1e-3), name


def plain_contrastive_loss(model: Fromage, features: torch.Tensor, captions: list[str], max_tokens: int):
    """(next token, InfoNCE): each caption alone, the whole sequence with gradients."""
    tokens = model.tokens
    losses, texts = [], []
    for caption in captions:
        cut = [*tokens.start_ids, *tokens.encode(caption)][: max_tokens - 1]
        ids = [*cut, tokens.ret_id]
        losses += reference.token_losses(model, [ids[:1]], ids[1:])
        texts.append(reference.embedding_at(model, [ids]))
    trained = model.trained
    images = trained.image_head.project((features - trained.standardise.mean) / trained.standardise.std)
    images = images / images.norm(dim=-1, keepdim=True)
    return torch.stack(losses).mean(), reference.info_nce(torch.stack(texts), images, trained.log_scale.exp())


def plain_caption_loss(model: Fromage, features: torch.Tensor, captions: list[str], max_tokens: int) -> torch.Tensor:
    tokens = model.tokens
    losses = []
    for row, caption in zip(features, captions, strict=True):
        prompt = [list(tokens.start_ids), Picture(row), tokens.encode("A picture of")]
        losses += reference.token_losses(model, prompt, [*tokens.encode(f" {caption}."), *tokens.stop_ids][:max_tokens])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("max_tokens", [48, 5])
def test_contrastive_loss_equals_the_whole_sequence_with_every_gradient(trainee, max_tokens):
    features = tiny.features(3)
    found = trainee.contrastive_loss(features, CAPTIONS, max_tokens=max_tokens)
    next_token, info_nce = plain_contrastive_loss(trainee, features, CAPTIONS, max_tokens)
    torch.testing.assert_close(found.next_token, next_token, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.info_nce, info_nce, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.loss, found.next_token + found.info_nce)
    assert_same_gradients(gradients(trainee, found.loss), gradients(trainee, next_token + info_nce))


@pytest.mark.parametrize("max_tokens", [48, 4])
def test_caption_loss_equals_the_whole_softmax_over_caption_tokens(trainee, max_tokens):
    features = tiny.features(3)
    found = trainee.caption_loss(features, CAPTIONS, max_tokens=max_tokens)
    expected = plain_caption_loss(trainee, features, CAPTIONS, max_tokens)
    torch.testing.assert_close(found.loss, expected, atol=1e-4, rtol=1e-4)
    assert_same_gradients(gradients(trainee, found.loss), gradients(trainee, expected))


def test_caption_loss_counts_caption_tokens_and_the_end(chat_model):
    encode = chat_model.tokens.encode
    found = chat_model.caption_loss(tiny.features(2), ["a red dress", "shoes"])
    assert found.tokens == len(encode(" a red dress.")) + len(encode(" shoes.")) + 2


def test_a_caption_that_is_cut_does_not_learn_to_end(chat_model):
    found = chat_model.caption_loss(tiny.features(1), ["a red dress"], max_tokens=3)
    assert found.tokens == 3


def test_a_caption_that_is_cut_still_ends_in_ret(chat_model):
    ids = chat_model.tokens.encode(CAPTIONS[2])
    assert len(ids) > 6
    found = chat_model.contrastive_loss(tiny.features(1), [CAPTIONS[2]], max_tokens=6)
    expected = reference.embedding_at(chat_model, [[*ids[:5], chat_model.tokens.ret_id]])
    torch.testing.assert_close(found.text_embeddings[0], expected, atol=1e-4, rtol=0)


def test_a_row_does_not_depend_on_the_padding_that_its_neighbours_bring(model):
    alone = torch.stack([model.ask([[model.tokens.encode(text)]]).embeddings[0] for text in CAPTIONS])
    together = model.ask([[model.tokens.encode(text)] for text in CAPTIONS]).embeddings
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_text_embeddings_are_those_at_ret_in_the_order_of_the_texts(model):
    found = model.text_embeddings(CAPTIONS, batch_size=2)
    for row, text in zip(found, CAPTIONS, strict=True):
        ids = [*model.tokens.start_ids, *model.tokens.encode(text), model.tokens.ret_id]
        torch.testing.assert_close(row, reference.embedding_at(model, [ids]).detach(), atol=1e-4, rtol=0)


def test_texts_that_begin_alike_are_read_as_if_each_were_alone(model):
    texts = [f"like this {text}" for text in (*CAPTIONS, "", "x", "y") for _ in range(8)]
    found = model.text_embeddings(texts, batch_size=5)
    alone = torch.cat([model.text_embeddings([text]) for text in texts[::8]])
    torch.testing.assert_close(found[::8], alone, atol=1e-4, rtol=0)
    torch.testing.assert_close(found[7::8], alone, atol=1e-4, rtol=0)
    assert model.text_embeddings([]).shape == (0, model.shared_width)


def test_a_text_that_does_not_fit_is_refused_and_its_readable_beginning_is_the_longest_that_is_not(model):
    assert model.readable("shoes") == "shoes"
    text = "shoes " * model.lm.max_positions
    with pytest.raises(PromptTooLong, match="at most"):
        model.text_embeddings([text])
    beginning = model.readable(text)
    assert text.startswith(beginning)
    ids = [*model.tokens.start_ids, *model.tokens.encode(beginning), model.tokens.ret_id]
    assert len(ids) == model.lm.max_positions
    assert model.text_embeddings([beginning]).isfinite().all()


def test_long_texts_are_read_few_at_once_and_as_if_each_were_alone(model, monkeypatch):
    sizes = []
    read = model.lm.forward
    monkeypatch.setattr(
        model.lm, "forward", lambda *args, **options: sizes.append(args[0].shape) or read(*args, **options)
    )
    monkeypatch.setattr("fromage_model.model.reading.POSITIONS_AT_ONCE", 40)
    texts = ["hat", "a coat of wool", "x" * 60, "shoes", "shoe"]
    found = model.text_embeddings(texts, batch_size=4)
    assert all(rows == 1 or rows * positions <= 40 for rows, positions, _ in sizes)
    assert max(rows for rows, _, _ in sizes) > 1
    alone = torch.cat([model.text_embeddings([text]) for text in texts])
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=0)


def test_a_picture_before_ret_moves_its_embedding(chat_model):
    ids = chat_model.tokens.encode("like this")
    found = [chat_model.ask([[Picture(tiny.features(1, seed=seed)[0]), ids]]).embeddings[0] for seed in (0, 1)]
    expected = reference.embedding_at(
        chat_model, [Picture(tiny.features(1, seed=1)[0]), [*ids, chat_model.tokens.ret_id]]
    )
    torch.testing.assert_close(found[1], expected, atol=1e-4, rtol=0)
    assert not torch.allclose(found[0], found[1], atol=1e-2)


def test_reply_loss_is_the_same_with_and_without_a_gradient_through_the_lm(trainee):
    prompts = [[trainee.tokens.encode(text), [trainee.tokens.ret_id]] for text in CAPTIONS]
    replies = [trainee.tokens.encode(text) for text in ("Here.", "Look at this", "No")]
    expected = torch.stack(
        [
            loss
            for prompt, reply in zip(prompts, replies, strict=True)
            for loss in reference.token_losses(trainee, prompt, reply)
        ]
    ).mean()
    through, short = (trainee.reply_loss(prompts, replies, through_lm=through) for through in (True, False))
    torch.testing.assert_close(through, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(short, expected, atol=1e-4, rtol=1e-4)
    assert_same_gradients(gradients(trainee, through), gradients(trainee, expected))


def test_reply_loss_short_of_the_lm_trains_ret_s_output_row_alone(lms, own_home):
    model = tiny.build(lms.untied)
    loss = model.reply_loss([[model.tokens.encode("hi")]], [model.tokens.encode("Hello.")], through_lm=False)
    reached = {name for name, gradient in gradients(model, loss).items() if gradient.abs().max() > 0}
    assert reached == {"ret.output_row"}


def test_no_gradient_ever_stands_on_the_lm(trainee):
    loss = (
        trainee.contrastive_loss(tiny.features(3), CAPTIONS).loss
        + trainee.caption_loss(tiny.features(3), CAPTIONS).loss
    )
    loss.backward()
    assert all(parameter.grad is None for parameter in trainee.lm.parameters())
    assert all(parameter.grad is not None for parameter in trainee.trained.parameters())


def test_dropout_is_active_in_training_and_only_there(lms, own_home):
    model = tiny.build(lms.chat, dropout=0.5)
    features = tiny.features(2)
    assert not torch.equal(model.train().image_embeddings(features), model.image_embeddings(features))
    assert torch.equal(model.eval().image_embeddings(features), model.image_embeddings(features))


def test_a_temperature_beyond_its_bound_is_brought_back_and_still_has_a_gradient(chat_model):
    scale = chat_model.trained.log_scale
    with torch.no_grad():
        scale.fill_(4.7)
    chat_model.contrastive_loss(tiny.features(3), ["a dress", "a hat", "shoes"]).loss.backward()
    assert scale.grad != 0
    chat_model.trained.bound_log_scale()
    assert float(scale.exp()) == pytest.approx(MAX_SCALE)


def test_as_many_captions_as_pictures_are_needed(chat_model):
    with pytest.raises(InvalidInput, match="one caption for each of 2 pictures, got 1"):
        chat_model.caption_loss(tiny.features(2), ["a dress"])


def test_a_model_without_an_encoder_says_what_to_pass_instead(chat_model):
    with pytest.raises(ConfigError, match="pass features instead"):
        chat_model.encode([])


def test_one_seed_builds_one_model_whatever_was_drawn_before(lms, own_home):
    first = tiny.build(lms.chat, seed=5).trained.state_dict()
    torch.rand(3)
    second = tiny.build(lms.chat, seed=5).trained.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_empty_text_has_an_embedding_only_where_a_start_token_stands_before_it(chat_model, plain_model):
    assert plain_model.text_embeddings([""]).shape == (1, tiny.SHARED_WIDTH)
    with pytest.raises(InvalidInput, match="text is empty") as caught:
        chat_model.text_embeddings(["shoes", ""])
    assert caught.value.field == "texts.1"
