"""Heads that label words: the contract that every one keeps with every decoding, and each against its oracle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import (
    CASES,
    DECODINGS,
    HEADS,
    PARTS_OF_SPEECH,
    SIZE,
    SPEC,
    Sentence,
    batch_of,
    build,
    draw_scores,
    entities,
    fields_of,
    mixed,
    names_of,
    scored,
    sentence,
    spread,
)
from test_paths import enumerated, summed, tag_probabilities
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForTokenClassification

from afinar.data.alignment import AllPieces
from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.decoding import Constrained, Free, Repair, fill_dropped
from afinar.models.heads import (
    Head,
    LinearHead,
    NativeHead,
    NativeTokenHead,
    TokenAttentionHead,
    TokenCrfHead,
    TokenLinearHead,
    native_head,
)
from afinar.models.heads.assembly import last_linear
from afinar.models.losses import CrossEntropy, Focal
from afinar.models.paths import Potentials
from afinar.models.pooling import ClsPooling, MeanPooling
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import convert, spans
from afinar.tagging.table import TagTable
from afinar.types import IGNORE_INDEX, Encoded, LabelSpace, TaskSpec

Folders = Callable[..., Path]

SCHEMES = list(Scheme)


@pytest.fixture(scope="module")
def bert(folder_of: Folders) -> Backbone:
    """A backbone in eval mode that no test changes; of one layer, so that a word still tells itself from the others."""
    return Backbone(str(folder_of("bert", num_hidden_layers=1))).eval().requires_grad_(False)


# The contract


@pytest.mark.parametrize("name", HEADS)
def test_gradient_reaches_every_parameter(name: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    head = build(name, backbone)
    backbone.train(), head.train()
    batch = batch_of(mixed(SIZE))
    loss = head.loss(scored(head, backbone, batch), fields_of(batch))
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss > 0
    loss.backward()
    gradients = {key: parameter.grad for module in (backbone, head) for key, parameter in module.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert [key for key, parameter in head.named_parameters() if not parameter.grad.count_nonzero()] == []


# The others see hidden states alone, and ask nothing of the config.
@pytest.mark.parametrize("name", ["native", "attention"])
def test_gradient_reaches_every_parameter_in_every_architecture(name: str, architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).train()
    head = build(name, backbone).train()
    batch = batch_of(mixed(SIZE), pad=backbone.config.pad_token_id)
    head.loss(scored(head, backbone, batch), fields_of(batch)).backward()
    assert [key for module in (backbone, head) for key, parameter in module.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(("name", "decoding"), CASES)
def test_predictions_are_what_is_judged(name: str, decoding: str, bert: Backbone) -> None:
    head, sentences = build(name, bert, decoding), mixed(SIZE)
    assert isinstance(head, Head)
    assert not head.tunable
    assert head.rule() == {}
    batch = batch_of(sentences)
    fields, scores = fields_of(batch), scored(head, bert, batch)
    assert scores.shape == (*batch.inputs["input_ids"].shape, SIZE)
    tags, targets = head.judged(scores, fields)
    assert tags.shape == targets.shape == (len(sentences), 40)
    assert tags.dtype == torch.int64
    assert targets.equal(fields["labels"])
    predictions = head.predictions(scores, fields)
    assert len(predictions) == len(sentences)
    for one, row, prediction in zip(sentences, tags.tolist(), predictions, strict=True):
        assert prediction.answer == [names_of(SPEC)[tag] for tag in row[: len(one.words)]]
        assert [probability is None for probability in prediction.probabilities] == [not word for word in one.words]
        assert all(0 <= probability <= 1 for probability in prediction.probabilities if probability is not None)
        found = [(entity["type"], entity["first_word"], entity["end_word"]) for entity in prediction.extra["entities"]]
        assert found == spans(prediction.answer)
    assert len({label for prediction in predictions for label in prediction.answer}) > 2, "a head that says one thing proves nothing"


@pytest.mark.parametrize("name", HEADS)
def test_predicting_needs_no_labels(name: str, bert: Backbone) -> None:
    head, labelled, plain = build(name, bert, "constrained"), batch_of(mixed(SIZE)), batch_of(mixed(SIZE), gold=False)
    assert fields_of(plain).keys() == {"words", "lengths"}
    expected, found = (head.predictions(scored(head, bert, batch), fields_of(batch)) for batch in (labelled, plain))
    assert found == expected


@pytest.mark.parametrize(("name", "decoding"), CASES)
def test_nothing_depends_on_padding_or_on_the_other_sentences(name: str, decoding: str, bert: Backbone) -> None:
    head, sentences = build(name, bert, decoding), mixed(SIZE)
    batch = batch_of(sentences)
    scores = scored(head, bert, batch)
    gathered, together = spread(fields_of(batch), scores), head.predictions(scores, fields_of(batch))
    others = [batch_of([one], multiple=multiple) for multiple in (None, 32) for one in sentences]
    total = count = 0.0
    for one, expected, before in zip(others, [*together, *together], [*gathered, *gathered], strict=True):
        alone = scored(head, bert, one)
        torch.testing.assert_close(spread(fields_of(one), alone)[0], before, rtol=0, atol=1e-5)
        (prediction,) = head.predictions(alone, fields_of(one))
        assert prediction.answer == expected.answer
        assert prediction.extra == expected.extra
        assert prediction.probabilities == [probability and pytest.approx(probability, abs=1e-5) for probability in expected.probabilities]
        labels = fields_of(one)["labels"]
        words = int(((labels >= 0) & (labels < SIZE) & (fields_of(one)["words"] >= 0)).sum())
        total, count = total + words * head.loss(alone, fields_of(one)).item(), count + words
    assert head.loss(scores, fields_of(batch)).item() == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_state_dict_round_trip(name: str, bert: Backbone) -> None:
    head, other = build(name, bert, "constrained"), build(name, bert, "none")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter))
    batch = batch_of(mixed(SIZE))
    fields, before = fields_of(batch), scored(other, bert, batch)
    assert not torch.allclose(before, scored(head, bert, batch))
    other.load_state_dict(head.state_dict())  # the way of decoding is no part of it: a run is evaluated with others as well
    scores = scored(head, bert, batch)
    assert torch.equal(scored(other, bert, batch), scores)
    assert torch.equal(other.loss(scores, fields), head.loss(scores, fields))
    free = build(name, bert, "none")
    free.load_state_dict(head.state_dict())
    assert other.predictions(scores, fields) == free.predictions(scores, fields)


@pytest.mark.parametrize("name", HEADS)
def test_dropout_is_on_in_training_alone(name: str, bert: Backbone) -> None:
    encoded = bert.encode(batch_of(mixed(SIZE)).inputs)
    for dropout in (0.0, 0.5):
        head = build(name, bert, dropout=dropout)
        expected = head.scores(encoded, {})
        torch.testing.assert_close(head.scores(encoded, {}), expected, rtol=0, atol=0)
        head.train()
        same = [torch.allclose(head.scores(encoded, {}), expected, atol=1e-5) for _ in range(2)]
        assert same == [dropout == 0.0] * 2
    for outside in (-0.1, 1.0):
        with pytest.raises(ConfigError, match=r"head\.dropout"):
            build(name, bert, dropout=outside)


@pytest.mark.parametrize(("name", "decoding"), CASES)
def test_inference_mode(name: str, decoding: str, bert: Backbone) -> None:
    """Marginals come without autograd, and torch has a way of its own through attention."""
    head, batch = build(name, bert, decoding), batch_of(mixed(SIZE))
    fields, scores = fields_of(batch), scored(head, bert, batch)
    with torch.inference_mode():
        fast = scored(head, bert, batch)
        for one, other in zip(spread(fields, fast), spread(fields, scores), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        assert head.predictions(scores, fields) == head.predictions(scores.clone(), fields)
        predictions, judged = head.predictions(fast, fields), head.judged(fast, fields)
        loss = head.loss(fast, fields)
    assert [one.answer for one in predictions] == [one.answer for one in head.predictions(scores, fields)]
    assert judged[0].equal(head.judged(scores, fields)[0])
    torch.testing.assert_close(loss, head.loss(scores, fields).detach())


@pytest.mark.parametrize(("name", "decoding"), CASES)
def test_bfloat16(name: str, decoding: str, bert: Backbone) -> None:
    head, batch = build(name, bert, decoding).train(), batch_of(mixed(SIZE))
    fields = fields_of(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = scored(head, bert, batch)
        loss, predictions = head.loss(scores, fields), head.predictions(scores, fields)
    assert scores.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, head.loss(scores.float(), fields))
    assert predictions == head.predictions(scores.float(), fields), "what is decided on the rounded scores is decided in float32"
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in head.parameters())


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("sentences", [[Sentence([], [])] * 2, [Sentence([[], []], [0, 1]), Sentence([], [])]])
def test_a_batch_without_a_word_to_score(sentences: list[Sentence], name: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).train()
    batch = batch_of(sentences)
    for decoding in DECODINGS:
        head = build(name, backbone, decoding)
        scores = scored(head, backbone, batch)
        predictions = head.predictions(scores, fields_of(batch))
        assert [len(one.answer) for one in predictions] == [len(one.words) for one in sentences]
        assert {label for one in predictions for label in one.answer} <= {"O"}
        assert all(one.extra == {"entities": []} and set(one.probabilities) <= {None} for one in predictions)
        backbone.zero_grad()
        loss = head.loss(scores, fields_of(batch))
        assert loss.item() == 0
        loss.backward()
        parameters = [*backbone.parameters(), *head.parameters()]
        assert all(parameter.grad is not None and not parameter.grad.count_nonzero() for parameter in parameters)


def test_heads_can_be_learned(bert: Backbone) -> None:
    """Every head fits sentences of one window and of several."""
    sentences = [sentence(1, 6, SIZE, least=1), sentence(3, 14, SIZE, least=1)]
    batch = batch_of(sentences)
    encoded, fields = bert.encode(batch.inputs), fields_of(batch)
    for name in HEADS:
        head = build(name, bert)
        optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            loss = head.loss(head.scores(encoded, fields), fields)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.1, name
        tags, _ = head.judged(head.scores(encoded, fields), fields)
        assert [row[: len(one.tags)] for row, one in zip(tags.tolist(), sentences, strict=True)] == [one.tags for one in sentences], name


# Decoding, seen from outside: scores in, tags of sentences out


@st.composite
def drawn_sentences(draw: st.DrawFn, size: int, words: int) -> list[Sentence]:
    counts = draw(st.lists(st.integers(0, words), min_size=1, max_size=3))
    seed = draw(st.integers(0, 9999))
    return [sentence(seed + row, count, size, most=2) for row, count in enumerate(counts)]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["linear", "crf"])
@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 9999), scale=st.sampled_from([1.0, 1e4]))
def test_decisions_of_a_scheme_are_legal(name: str, scheme: Scheme, bert: Backbone, data: st.DataObject, seed: int, scale: float) -> None:
    """Whatever the words ask for, dropped ones, empty sentences and windows included."""
    spec = entities(scheme)
    batch = batch_of(data.draw(drawn_sentences(len(names_of(spec)), 30)), limit=12, overlap=3)
    fields, scores = fields_of(batch), draw_scores(batch, len(names_of(spec)), seed, scale)
    for decoding in ("repair", "constrained"):
        for prediction in build(name, bert, decoding, spec).predictions(scores, fields):
            assert illegal_words(prediction.answer, scheme) == []
            assert [tuple(entity.values()) for entity in prediction.extra["entities"]] == spans(prediction.answer, scheme)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 9999))
def test_free_and_repaired_decisions_of_a_softmax(bert: Backbone, data: st.DataObject, seed: int) -> None:
    batch = batch_of(sentences := data.draw(drawn_sentences(SIZE, 20)), limit=12, overlap=3)
    fields, scores = fields_of(batch), draw_scores(batch, SIZE, seed)
    free, repaired = (build("linear", bert, decoding).predictions(scores, fields) for decoding in ("none", "repair"))
    for one, row, before, after in zip(sentences, spread(fields, scores), free, repaired, strict=True):
        kept = [place for place, word in enumerate(one.words) if word]
        assert [before.answer[place] for place in kept] == [names_of(SPEC)[tag] for tag in row.argmax(1).tolist()]
        assert after.answer == convert(before.answer, Scheme.IOB2)
        for prediction in (before, after):  # the probability is that of the tag that stands in the end
            tags = [names_of(SPEC).index(prediction.answer[place]) for place in kept]
            expected = row.softmax(1)[range(len(tags)), tags].tolist()
            assert [prediction.probabilities[place] for place in kept] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scheme", [Scheme.IOB2, Scheme.IOBES])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 9999))
def test_constrained_decisions_are_the_best_legal_ones(scheme: Scheme, bert: Backbone, data: st.DataObject, seed: int) -> None:
    """Of all legal paths over the words that have a piece: for a softmax the most probable; a CRF adds what it learned."""
    spec = entities(scheme, *(("LOC", "PER") if scheme is Scheme.IOB2 else ("PER",)))
    names = names_of(spec)
    batch = batch_of(sentences := data.draw(drawn_sentences(len(names), 4)), limit=4, overlap=1)
    fields, scores = fields_of(batch), draw_scores(batch, len(names), seed)
    crf, nothing = build("crf", bert, "constrained", spec), torch.zeros(len(names))
    for head, potentials in (
        (build("linear", bert, "constrained", spec), Potentials(nothing, nothing.expand(len(names), -1), nothing)),
        (crf, crf.crf.potentials),
    ):
        for one, row, prediction in zip(sentences, spread(fields, scores), head.predictions(scores, fields), strict=True):
            kept = [place for place, word in enumerate(one.words) if word]
            if not kept:
                continue
            paths = enumerated(row.log_softmax(1), potentials)
            legal = {path: score for path, score in paths.items() if not illegal_words([names[tag] for tag in path], scheme)}
            chosen = tuple(names.index(prediction.answer[place]) for place in kept)
            assert legal[chosen] == pytest.approx(max(legal.values()), abs=1e-4)
            if head is crf:  # marginals of legal paths alone
                shares = tag_probabilities(legal, len(names))
                expected = [share[tag] for share, tag in zip(shares, chosen, strict=True)]
                assert [prediction.probabilities[place] for place in kept] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", HEADS)
def test_parts_of_speech_have_no_scheme_to_decode_by(name: str, bert: Backbone) -> None:
    for decoding in ("repair", "constrained"):
        with pytest.raises(ConfigError, match=f"decoding={decoding} needs tags that spell entities .* use decoding=none") as raised:
            build(name, bert, decoding, PARTS_OF_SPEECH)
        assert "\n" not in str(raised.value)
    head, batch = build(name, bert, "none", PARTS_OF_SPEECH), batch_of(mixed(3))
    predictions = head.predictions(scored(head, bert, batch), fields_of(batch))
    assert all(prediction.extra == {} for prediction in predictions)
    pairs = [pair for one, made in zip(mixed(3), predictions, strict=True) for pair in zip(one.words, made.answer, strict=True)]
    assert {label for word, label in pairs if not word} == {"NOUN"}, "the most frequent tag of training"


# What fits what


@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_words_needs_a_task_that_labels_them(name: str, bert: Backbone) -> None:
    for spec in (TaskSpec("masked_lm"), TaskSpec("sequence_classification", LabelSpace(("a", "b")), (1, 1))):
        with pytest.raises(ConfigError, match=rf"labels words, and task '{spec.kind}' does not: use head=native, linear or mlp"):
            build(name, bert, spec=spec)


def test_a_head_of_texts_refuses_a_task_that_labels_words(bert: Backbone) -> None:
    for head in (partial(LinearHead, pooling=ClsPooling), partial(NativeHead, pooling=None)):
        with pytest.raises(ConfigError, match="labels words: use head=native, token_linear, token_attention or token_crf"):
            head(spec=SPEC, backbone=bert, loss=CrossEntropy)


def test_the_native_head_is_chosen_by_what_the_task_labels(bert: Backbone) -> None:
    texts = TaskSpec("sequence_classification", LabelSpace(("a", "b")), (1, 1))
    assert type(native_head(texts, bert, CrossEntropy, pooling=ClsPooling)) is NativeHead
    words = native_head(SPEC, bert, CrossEntropy, pooling=ClsPooling, decoding=Constrained, dropout=0.3)
    assert type(words) is NativeTokenHead
    assert type(words.decoding) is Constrained
    assert {layer.p for layer in words.modules() if isinstance(layer, nn.Dropout)} == {0.3}
    with pytest.raises(ConfigError, match="labels texts: leave it at decoding=none"):
        native_head(texts, bert, CrossEntropy, decoding=Repair)
    with pytest.raises(ConfigError, match="labels words: leave it at pooling=cls"):
        native_head(SPEC, bert, CrossEntropy, pooling=MeanPooling)


# The native head


def transformers_of(folder: Path) -> Any:
    return AutoModelForTokenClassification.from_pretrained(folder).eval()


def test_native_logits_equal_transformers(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture, AutoModelForTokenClassification, num_labels=SIZE)
    backbone = Backbone(str(folder)).eval()
    head = build("native", backbone)
    inputs = inputs_of()
    expected = transformers_of(folder)(**backbone._accepted(inputs)).logits
    assert torch.equal(head.scores(backbone.encode(inputs), {}), expected)


def test_native_state_dict_has_transformers_names(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture)))
    head = build("native", backbone)
    whole = head.to_transformers(backbone)
    base = {f"{whole.base_model_prefix}.{key}" for key in backbone.model.state_dict()}
    assert base | set(head.model.state_dict()) == set(whole.state_dict())
    assert not base & set(head.model.state_dict())


def test_native_head_of_a_tagger_with_other_labels(architecture: str, folder_of: Folders) -> None:
    """As many labels: its classifier is loaded. The same names in another order: sorted. Another number: a new one is drawn."""
    stored = [names_of(SPEC)[place] for place in (3, 0, 4, 1, 2)]
    folder = folder_of(architecture, AutoModelForTokenClassification, id2label=dict(enumerate(stored)))
    backbone = Backbone(str(folder)).eval()
    inputs = inputs_of()
    encoded, theirs = backbone.encode(inputs), transformers_of(folder)(**backbone._accepted(inputs)).logits
    head = build("native", backbone)
    mine, order = head.scores(encoded, {}), [stored.index(name) for name in names_of(SPEC)]
    torch.testing.assert_close(mine, theirs[..., order], rtol=0, atol=1e-6)
    torch.testing.assert_close(head.to_transformers(backbone)(**backbone._accepted(inputs)).logits, mine, rtol=0, atol=1e-6)
    others = TaskSpec("token_classification", LabelSpace(tuple("abcde")), (), None, "first")
    assert torch.equal(build("native", backbone, spec=others).scores(encoded, {}), theirs)
    assert build("native", backbone, spec=PARTS_OF_SPEECH).scores(encoded, {}).shape == (*theirs.shape[:2], 3)


def test_native_dropout_is_the_one_before_the_classifier(architecture: str, folder_of: Folders) -> None:
    """A share of the classifier's inputs is off and the rest scaled up; left out, it is the dropout of transformers' own model."""
    backbone = Backbone(str(folder_of(architecture))).eval()
    encoded = backbone.encode(inputs_of(batch=8, length=30))
    head = build("native", backbone, dropout=0.37)
    whole = head.to_transformers(backbone)
    seen: list[Tensor] = []
    last_linear(head.model).register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    head.scores(encoded, {}), head.train().scores(encoded, {})
    plain, dropped = seen
    assert (dropped == 0).float().mean().item() == pytest.approx(0.37, abs=0.03)
    torch.testing.assert_close(dropped[dropped != 0], plain[dropped != 0] / 0.63, rtol=1e-5, atol=1e-6)
    own = {name: layer.p for name, layer in whole.named_modules() if isinstance(layer, nn.Dropout)}
    kept = {name: layer.p for name, layer in build("native", backbone).model.named_modules() if isinstance(layer, nn.Dropout)}
    assert kept
    assert kept.items() <= own.items()


def test_native_head_where_transformers_has_none(tmp_path: Path) -> None:
    from transformers import TapasConfig

    TapasConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="transformers has no AutoModelForTokenClassification for model type 'tapas'"):
        build("native", Backbone(str(tmp_path), weights="random"))


# The way out


@pytest.mark.parametrize("name", ["native", "linear", "linear-without-bias"])
def test_export_round_trip(name: str, architecture: str, folder_of: Folders, tmp_path: Path) -> None:
    backbone = Backbone(str(folder_of(architecture))).train()
    head = build(name, backbone).train()
    batch = batch_of(mixed(SIZE), pad=backbone.config.pad_token_id)
    optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1)
    head.loss(scored(head, backbone, batch), fields_of(batch)).backward()
    optimizer.step()
    backbone.eval(), head.eval()
    whole = head.to_transformers(backbone)
    if architecture == "modernbert" and name != "native":
        assert whole is None, "its class has a layer and a norm before the classifier"
        return
    inputs = inputs_of()
    expected = head.scores(backbone.encode(inputs), {})
    torch.testing.assert_close(whole(**backbone._accepted(inputs)).logits, expected, rtol=0, atol=1e-6)
    whole.save_pretrained(tmp_path)
    loaded, info = AutoModelForTokenClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    torch.testing.assert_close(loaded.eval()(**backbone._accepted(inputs)).logits, expected, rtol=0, atol=1e-6)
    assert loaded.config.id2label == dict(enumerate(names_of(SPEC)))
    assert loaded.config.label2id == {tag: index for index, tag in enumerate(names_of(SPEC))}


@pytest.mark.parametrize("name", ["linear", "linear-without-bias"])
def test_export_keeps_nothing_of_the_sources_own_classifier(name: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("roberta", AutoModelForTokenClassification, num_labels=SIZE))).eval()
    head, inputs = build(name, backbone), inputs_of()
    logits = head.to_transformers(backbone)(**backbone._accepted(inputs)).logits
    torch.testing.assert_close(logits, head.scores(backbone.encode(inputs), {}), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["native", "linear"])
def test_export_is_a_copy(name: str, bert: Backbone) -> None:
    head = build(name, bert)
    before = head.scores(bert.encode(inputs_of()), {})
    with torch.no_grad():
        for parameter in head.to_transformers(bert).parameters():
            parameter.zero_()
    assert torch.equal(head.scores(bert.encode(inputs_of()), {}), before)


def test_attention_and_crf_have_no_equal_in_transformers(bert: Backbone) -> None:
    assert build("attention", bert).to_transformers(bert) is None
    assert build("crf", bert).to_transformers(bert) is None


# The linear head


def test_linear_head_is_the_documents_softmax(bert: Backbone) -> None:
    """labeling: y_i = softmax(h_i W), W is d x K, for every position alone; with a bias as an option."""
    encoded = bert.encode(inputs_of())
    for name in ("linear", "linear-without-bias"):
        head = build(name, bert)
        matrix = head.classifier.weight.T
        assert matrix.shape == (32, SIZE)
        assert (head.classifier.bias is None) == (name == "linear-without-bias")
        torch.testing.assert_close(head.scores(encoded, {}), encoded.hidden @ matrix)


@pytest.mark.parametrize("loss", [CrossEntropy, Focal, partial(CrossEntropy, class_weights={"O": 0.2}, label_smoothing=0.1)])
def test_losses_are_interchangeable(loss: Callable[[TaskSpec], nn.Module], bert: Backbone) -> None:
    """The loss sees the labelled pieces, as the alignment chose them."""
    torch.manual_seed(0)
    for alignment, spec in ((None, SPEC), (AllPieces(), entities(alignment="all"))):
        head = TokenLinearHead(spec, bert, loss, Free).eval()
        batch = batch_of(mixed(SIZE), alignment=alignment)
        scores, targets = scored(head, bert, batch), fields_of(batch)["piece_labels"]
        kept = targets != IGNORE_INDEX
        torch.testing.assert_close(head.loss(scores, fields_of(batch)), loss(spec)(scores[kept], targets[kept]))
        assert (targets >= SIZE).any()


# The attention head


def by_hand(head: TokenAttentionHead, hidden: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Multi-head attention (Vaswani et al. 2017), a residual connection, a norm and a linear layer; for one row at a time."""
    rows = []
    for states, real in zip(hidden, mask, strict=True):
        width = states.shape[1]
        query, key, value = (states @ head.attend.attention.in_proj_weight.T + head.attend.attention.in_proj_bias).split(width, 1)
        found = []
        for place in range(heads):
            part = slice(place * width // heads, (place + 1) * width // heads)
            weights = (query[:, part] @ key[real, part].T / (width // heads) ** 0.5).softmax(1)
            found.append(weights @ value[real, part])
        attended = torch.cat(found, 1) @ head.attend.attention.out_proj.weight.T + head.attend.attention.out_proj.bias
        states = functional.layer_norm(states + attended, (width,), head.attend.norm.weight, head.attend.norm.bias, head.attend.norm.eps)
        rows.append(states @ head.classifier.weight.T + head.classifier.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("heads", [None, 1, 2, 32])
def test_attention_head_is_attention_then_softmax(heads: int | None, bert: Backbone) -> None:
    """types Lema 1.3."""
    head, inputs = build("attention", bert, attention_heads=heads), inputs_of()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    encoded = bert.encode(inputs)
    expected = by_hand(head, encoded.hidden, encoded.mask, heads or 4)
    for mode in (torch.enable_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(head.scores(encoded, {})[encoded.mask], expected[encoded.mask], rtol=0, atol=1e-5)


def test_padding_never_changes_a_score_of_the_attention_head(bert: Backbone) -> None:
    head, encoded = build("attention", bert), bert.encode(inputs_of())
    assert not encoded.mask.all()
    scores = head.scores(encoded, {})
    other = Encoded(encoded.hidden.masked_fill(~encoded.mask.unsqueeze(2), 1e3), encoded.mask)
    torch.testing.assert_close(head.scores(other, {})[encoded.mask], scores[encoded.mask], rtol=0, atol=1e-5)
    longer = Encoded(functional.pad(encoded.hidden, (0, 0, 0, 5), value=7.0), functional.pad(encoded.mask, (0, 5)))
    torch.testing.assert_close(head.scores(longer, {})[:, :-5][encoded.mask], scores[encoded.mask], rtol=0, atol=1e-5)


def test_a_word_sees_the_others_through_attention(bert: Backbone) -> None:
    head, encoded = build("attention", bert), bert.encode(inputs_of())
    hidden = encoded.hidden.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(head.scores(Encoded(hidden, encoded.mask), {})[0, 1].sum(), hidden)
    assert (gradient[0].abs().sum(1) > 0).all()
    assert not gradient[1:].count_nonzero()


@pytest.mark.parametrize("heads", [0, 3, 5, 33, 64, -4])
def test_attention_heads_divide_the_width(heads: int, bert: Backbone) -> None:
    with pytest.raises(ConfigError, match=f"head.attention_heads={heads} does not divide the width of the model, 32"):
        build("attention", bert, attention_heads=heads)


# The CRF head


def test_crf_loss_is_that_of_the_words(bert: Backbone) -> None:
    """Against `Crf` on words gathered by a loop: no special token, padding, further piece, dropped word or unseen tag is in the path."""
    head, sentences = build("crf", bert), mixed(SIZE)
    batch = batch_of(sentences)
    fields, scores = fields_of(batch), scored(head, bert, batch)
    rows, gold = [], []
    for one, words in zip(sentences, spread(fields, scores), strict=True):
        tags = [tag for tag, word in zip(one.tags, one.words, strict=True) if word]
        known = [place for place, tag in enumerate(tags) if tag < SIZE]
        rows.append(words[known])
        gold.append(torch.tensor([tags[place] for place in known], dtype=torch.int64))
    emissions, tags = (nn.utils.rnn.pad_sequence(values, batch_first=True) for values in (rows, gold))
    mask = torch.arange(emissions.shape[1]) < torch.tensor([len(row) for row in rows]).unsqueeze(1)
    expected = head.crf.loss(emissions, tags, mask)
    torch.testing.assert_close(head.loss(scores, fields), expected)
    # Labels of pieces are nothing to it.
    blank = {**fields, "piece_labels": torch.full_like(fields["piece_labels"], IGNORE_INDEX)}
    torch.testing.assert_close(head.loss(scores, blank), expected)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), seed=st.integers(0, 9999))
def test_dropped_words_leave_the_path_of_a_crf_and_are_filled_afterwards(bert: Backbone, data: st.DataObject, seed: int) -> None:
    batch = batch_of(sentences := data.draw(drawn_sentences(SIZE, 5)), limit=4, overlap=1)
    fields, scores = fields_of(batch), draw_scores(batch, SIZE, seed)
    head, table = build("crf", bert), TagTable(names_of(SPEC), Scheme.IOB2)
    for one, row, prediction in zip(sentences, spread(fields, scores), head.predictions(scores, fields), strict=True):
        kept = [place for place, word in enumerate(one.words) if word]
        tags = [names_of(SPEC).index(tag) for tag in prediction.answer]
        if kept:
            paths = enumerated(row, head.crf.potentials)
            chosen = tuple(tags[place] for place in kept)
            assert paths[chosen] == pytest.approx(max(paths.values()), abs=1e-4)
            shares = tag_probabilities(paths, SIZE)
            expected = [share[tag] for share, tag in zip(shares, chosen, strict=True)]
            assert [prediction.probabilities[place] for place in kept] == pytest.approx(expected, abs=1e-4)
        if tags:
            has = torch.tensor([[bool(word) for word in one.words]])
            filled = fill_dropped(torch.tensor([tags]).masked_fill(~has, -1), has, torch.tensor([len(tags)]), table, 0)
            assert filled.tolist() == [tags]


@pytest.mark.parametrize("alignment", ["all", "all_inside"])
def test_a_crf_is_refused_where_pieces_are_labelled(alignment: str, bert: Backbone) -> None:
    with pytest.raises(ConfigError) as raised:
        build("crf", bert, spec=entities(alignment=alignment))
    message = f"head=token_crf scores paths over words, and alignment={alignment} labels their pieces: set alignment=first"
    assert str(raised.value) == message
    assert build("linear", bert, spec=entities(alignment=alignment)).scores(bert.encode(inputs_of()), {}).shape[2] == SIZE


@pytest.mark.parametrize(
    "loss",
    [
        Focal,
        partial(CrossEntropy, class_weights="balanced"),
        partial(CrossEntropy, class_weights={"O": 0.2}),
        partial(CrossEntropy, class_weights=[1.0] * SIZE),
        partial(CrossEntropy, label_smoothing=0.1),
    ],
)
def test_a_crf_has_a_loss_of_its_own(loss: Callable[[TaskSpec], nn.Module], bert: Backbone) -> None:
    with pytest.raises(ConfigError, match="set loss=cross_entropy without options, or use head=token_linear") as raised:
        TokenCrfHead(SPEC, bert, loss, Free)
    assert "\n" not in str(raised.value)


def test_a_crf_is_trained_on_all_paths_however_it_decodes(bert: Backbone) -> None:
    """Illegal gold, which the scheme forbids in decoding, has a finite loss."""
    illegal = names_of(SPEC).index("I-PER")
    batch = batch_of([Sentence([[5], [6, 7]], [illegal, illegal])])
    losses = [head.loss(scored(head, bert, batch), fields_of(batch)).item() for head in (build("crf", bert, way) for way in DECODINGS)]
    assert losses == [losses[0]] * 3
    (emissions,) = spread(fields_of(batch), scored(build("crf", bert), bert, batch))
    paths = enumerated(emissions, build("crf", bert).crf.potentials)
    assert losses[0] == pytest.approx((summed(paths) - paths[illegal, illegal]) / 2, rel=1e-4)
