"""The documents' worked numbers on sequence labelling. Where the text errs, the right value is asserted and the docstring says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.crf import Crf
from afinar.models.decoding import Free, Repair
from afinar.models.heads import TokenLinearHead
from afinar.models.losses import CrossEntropy
from afinar.models.paths import Potentials, best_paths, log_partition, path_scores
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.table import TagTable
from afinar.types import Encoded, LabelSpace, TaskSpec


def chain(follow: list[list[float]]) -> Potentials:
    """Transitions alone, as the chapters write them: nothing for the first and the last tag."""
    size = len(follow)
    return Potentials(torch.zeros(size), torch.tensor(follow), torch.zeros(size))


PROBABILITIES = torch.tensor([[[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]]])
LOGARITHMS = PROBABILITIES.log()
TRANSITIONS = chain([[0.5, 1.0, -2.0], [-1.0, 0.8, -0.5], [-0.5, -1.0, 0.9]])
B, I, O = range(3)  # noqa: E741
THREE = torch.tensor([3])


def score(*tags: int, emissions: torch.Tensor = LOGARITHMS, transitions: Potentials = TRANSITIONS) -> float:
    return path_scores(emissions, torch.tensor([tags]), torch.tensor([len(tags)]), transitions).item()


def test_crf_score() -> None:
    """labeling/crf-score: the scores of B,I,O and B,B,O are as the text's code gives them.

    The text goes on to call B,I,O the correct sequence and shows it to beat B,B,O; the best of all is B,I,I.
    """
    assert score(B, I, O) == pytest.approx(-0.4365, abs=5e-5)
    assert score(B, B, O) == pytest.approx(-3.6893, abs=5e-5)
    assert score(B, I, I) == pytest.approx(-0.3893, abs=5e-5)
    total = log_partition(LOGARITHMS, THREE, TRANSITIONS).item()
    assert total == pytest.approx(0.6146, abs=5e-5)
    assert total - score(B, I, O) == pytest.approx(1.0511, abs=5e-5)
    assert best_paths(LOGARITHMS, THREE, TRANSITIONS).tolist() == [[B, I, I]]


def test_crf_score_of_raw_probabilities() -> None:
    """labeling/crf-score: the formula of Teorema 1 adds probabilities where its code adds logarithms; B,I,I is best there as well."""
    assert score(B, I, I, emissions=PROBABILITIES) == pytest.approx(3.5)
    assert score(B, I, O, emissions=PROBABILITIES) == pytest.approx(2.7)
    assert best_paths(PROBABILITIES, THREE, TRANSITIONS).tolist() == [[B, I, I]]


def test_crf_score_as_a_loss() -> None:
    """labeling/crf-score: the head's loss is that of the path, a word."""
    crf = Crf(3)
    with torch.no_grad():
        for parameter, value in zip(crf.parameters(), (TRANSITIONS.start, TRANSITIONS.end, TRANSITIONS.follow), strict=True):
            parameter.copy_(value)
    everything = torch.ones(1, 3, dtype=torch.bool)
    loss = crf.loss(LOGARITHMS, torch.tensor([[B, I, O]]), everything)
    assert loss.item() == pytest.approx(1.0511 / 3, abs=5e-5)
    assert crf.decode(LOGARITHMS, everything).tolist() == [[B, I, I]]


def test_cross_entropy() -> None:
    """labeling/cross-entropy: the true class has probability 0.6. The text's code computes the loss and never prints it: -ln 0.6."""
    loss = CrossEntropy(TaskSpec("token_classification", LabelSpace(("B-PER", "I-PER", "B-ORG", "I-ORG", "O"))))
    value = loss(torch.tensor([[0.1, 0.6, 0.1, 0.1, 0.1]]).log(), torch.tensor([1]))
    assert value.item() == pytest.approx(0.5108, abs=5e-5)
    assert value.item() == pytest.approx(-math.log(0.6))


def test_gradient() -> None:
    """labeling/gradient (Lema 1): the chain rule, worked out for softmax with cross-entropy: dL/dW = h^T (p - y)."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(6, 768, generator=generator, dtype=torch.float64)
    weights = (0.02 * torch.randn(768, 5, generator=generator, dtype=torch.float64)).requires_grad_()
    gold = torch.randint(0, 5, (6,), generator=generator)
    scores = hidden @ weights
    (gradient,) = torch.autograd.grad(functional.cross_entropy(scores, gold, reduction="sum"), weights)
    torch.testing.assert_close(gradient, hidden.T @ (scores.softmax(1) - functional.one_hot(gold, 5)).detach())


def test_softmax_ner() -> None:
    """types/softmax-ner: PER and ORG win, as the text says; it prints [0.9, 0.05, 0.05] and [0.05, 0.9, 0.05] for the probabilities."""
    probabilities = torch.tensor([[2.0, -0.5, 0.1], [-0.2, 1.8, 0.1]]).softmax(1)
    expected = torch.tensor([[0.8119, 0.0666, 0.1214], [0.1027, 0.7587, 0.1386]])
    torch.testing.assert_close(probabilities, expected, atol=5e-5, rtol=0)
    assert probabilities.argmax(1).tolist() == [0, 1]  # PER, ORG of (PER, ORG, O)


@pytest.fixture
def wide(folder_of: Callable[..., Path]) -> Backbone:
    """A network whose hidden states are 768 wide, as BERT-Base's."""
    return Backbone(str(folder_of("bert", hidden_size=768, num_hidden_layers=1)))


def test_shapes(wide: Backbone) -> None:
    """types/shapes: of five labels, W_k is 768 x 5, and every h_i is scored by it (labeling)."""
    spec = TaskSpec("token_classification", LabelSpace(("B-PER", "I-PER", "B-ORG", "I-ORG", "O")), alignment="first")
    head = TokenLinearHead(spec, wide, CrossEntropy, Free, bias=False).eval()
    assert head.classifier.weight.T.shape == (768, 5)
    assert sum(parameter.numel() for parameter in head.parameters()) == 768 * 5
    hidden = torch.randn(2, 7, 768, generator=torch.Generator().manual_seed(0))
    scores = head.scores(Encoded(hidden, torch.ones(2, 7, dtype=torch.bool)), {})
    torch.testing.assert_close(scores, hidden @ head.classifier.weight.T)


def test_ner_labels(wide: Backbone) -> None:
    """mlm/ner-labels: nine words and six labels make logits of 1 x 9 x 6, and the labels of the sentence are [5,0,5,5,5,2,3,5,4].

    The text lists the labels of its words in prose, rightly; its code has [2,0,0,3,1,4,5,5,5], which no scheme admits and which names
    neither Apple, nor Steve Jobs, nor Califórnia.
    """
    words = ["A", "Apple", "foi", "fundada", "por", "Steve", "Jobs", "na", "Califórnia"]
    in_prose = ["O", "B-ORG", "O", "O", "O", "B-PER", "I-PER", "O", "B-LOC"]
    names = ("B-ORG", "I-ORG", "B-PER", "I-PER", "B-LOC", "O")
    spec = TaskSpec("token_classification", LabelSpace(names), scheme=Scheme.IOB2, alignment="first")
    gold = [TagTable(names, Scheme.IOB2).index(tag) for tag in in_prose]
    assert gold == [5, 0, 5, 5, 5, 2, 3, 5, 4]
    assert illegal_words(in_prose, Scheme.IOB2) == []
    assert illegal_words([names[tag] for tag in (2, 0, 0, 3, 1, 4, 5, 5, 5)], Scheme.IOB2) == [3, 4]

    # A token for each word, between [CLS] and [SEP].
    head = TokenLinearHead(spec, wide, CrossEntropy, Free).eval()
    hidden = torch.randn(1, 11, 768, generator=torch.Generator().manual_seed(0))
    scores = head.scores(Encoded(hidden, torch.ones(1, 11, dtype=torch.bool)), {})
    logits = scores[:, 1:-1]
    assert logits.shape == (1, 9, 6)
    fields = {
        "words": torch.arange(1, 10).unsqueeze(0),
        "lengths": torch.tensor([9]),
        "labels": torch.tensor([gold]),
        "piece_labels": torch.tensor([[-100, *gold, -100]]),
    }
    torch.testing.assert_close(head.loss(scores, fields), functional.cross_entropy(logits.view(-1, 6), torch.tensor(gold)))

    learned = torch.full((1, 11, 6), -1.0)
    learned[0, range(1, 10), gold] = 3.0
    (prediction,) = head.predictions(learned, fields)
    assert prediction.answer == in_prose
    found = [(one["type"], " ".join(words[one["first_word"] : one["end_word"]])) for one in prediction.extra["entities"]]
    assert found == [("ORG", "Apple"), ("PER", "Steve Jobs"), ("LOC", "Califórnia")]
    # The six labels have no I-LOC: a place of two words cannot be spelt. Data complete the set (`tagging.table.closed`).
    with pytest.raises(ConfigError, match="these lack I-LOC"):
        Repair(TagTable(names, Scheme.IOB2))


def test_crf_apple() -> None:
    """types/crf-apple: word by word, Apple is ORG and London LOC.

    The text then supposes a CRF that prefers ORG, eight O, LOC to a LOC right after ORG. Its transitions are not printed; with any that
    make ORG-LOC rarer than ORG-O, as it says, that order holds even where "is" for itself looks like a place.
    """
    organization, location, outside = range(3)
    probabilities = torch.tensor([[[0.89, 0.01, 0.10], [0.01, 0.50, 0.49], *[[0.01, 0.01, 0.98]] * 7, [0.05, 0.94, 0.01]]])
    assert probabilities[0, [0, 9]].argmax(1).tolist() == [organization, location]
    assert probabilities[0, 1].argmax() == location
    first = [organization, *[outside] * 8, location]
    second = [organization, location, *[outside] * 7, location]
    transitions = chain([[0.0, -1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])  # ORG-LOC is the rare one
    scores = {tuple(tags): score(*tags, emissions=probabilities.log(), transitions=transitions) for tags in (first, second)}
    assert scores[tuple(first)] > scores[tuple(second)]
    assert best_paths(probabilities.log(), torch.tensor([10]), transitions).tolist() == [first]
