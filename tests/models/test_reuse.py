"""What frozen layers give, read from a store, against running them every time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import inputs_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from afinar.errors import ConfigError, DataError
from afinar.models.backbone import Backbone
from afinar.models.frozen import FrozenLayers, Rows
from afinar.models.heads import LinearHead, NativeHead
from afinar.models.losses import CrossEntropy
from afinar.models.memory import Memory
from afinar.models.pooling import AttentionPooling, ClsPooling, MaxPooling, MeanPooling
from afinar.models.states import KnownStates, StateStore, row_keys
from afinar.types import Batch, LabelSpace, TaskSpec

Folders = Callable[..., Path]

SPEC = TaskSpec("sequence_classification", LabelSpace(("a", "b", "c")), (4, 4, 4))
STEPS = 50
CPU = torch.device("cpu")


def batches(count: int, size: int = 5) -> list[Batch]:
    made = []
    for seed in range(count):
        labels = torch.randint(3, (size,), generator=torch.Generator().manual_seed(seed))
        made.append(Batch(inputs_of(size, seed=seed), {"label": {"labels": labels}}, torch.arange(size)))
    return made


def frozen_layers(backbone: Backbone, summary: Any = None, dtype: str = "float32") -> FrozenLayers:
    layer = backbone.still
    assert layer is not None
    return FrozenLayers(backbone, layer, summary, dtype, CPU, contextlib.nullcontext)


def kept(layers: FrozenLayers, data: list[Batch], folder: Path) -> KnownStates:
    folder.mkdir(parents=True)
    rows = Rows.of(data)
    StateStore.write(folder, rows.keys, layers.sizes(rows), layers.dtype, layers.run(rows))
    known = KnownStates(layers.layer, pooled=layers.summary is not None)
    known.stores.append(StateStore.open(folder))
    return known


def trained(folder: Path, head: Callable[..., Any], frozen: int | None, states: Callable[[Backbone, Any], KnownStates] | None) -> Tensor:
    """Train for `STEPS` steps, dropout on where the head and the upper layers have it, and return the probabilities of all rows."""
    torch.manual_seed(0)
    backbone = Backbone(str(folder), dropout=0.1)
    made = head(spec=SPEC, backbone=backbone, loss=CrossEntropy)
    backbone.freeze(len(backbone.layer_groups()) if frozen is None else frozen)
    known = states(backbone, made) if states else None
    data = [known.attach(batch) if known else batch for batch in batches(5)]
    assert known is None or all(batch.stored is not None for batch in data)
    parameters = [parameter for module in (backbone, made) for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    memory = Memory()
    backbone.train()
    made.train()
    torch.manual_seed(1)
    for step in range(STEPS):
        batch = data[step % len(data)]
        loss = made.loss(made.scores(memory.encode(backbone, batch), batch.heads["label"]), batch.heads["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    backbone.eval()
    made.eval()
    with torch.no_grad():
        return torch.cat([made.scores(memory.encode(backbone, batch), batch.heads["label"]).softmax(1) for batch in data])


def linear(pooling: Any) -> Callable[..., Any]:
    return lambda **options: LinearHead(pooling=pooling, dropout=0.2, **options)


def native(**options: Any) -> Any:
    return NativeHead(pooling=None, dropout=0.2, **options)


@pytest.mark.parametrize(
    ("head", "pooled"),
    [
        (native, True),
        pytest.param(linear(ClsPooling), True, marks=pytest.mark.slow),
        (linear(MeanPooling), True),
        pytest.param(linear(MaxPooling), True, marks=pytest.mark.slow),
        (linear(AttentionPooling), False),
    ],
    ids=["native", "cls", "mean", "max", "attention"],
)
def test_a_frozen_backbone_gives_the_same_predictions(
    head: Callable[..., Any], pooled: bool, architecture: str, folder_of: Folders, tmp_path: Path
) -> None:
    def states(backbone: Backbone, made: Any) -> KnownStates:
        summary = made.summary()
        assert (summary is not None) == pooled
        known = kept(frozen_layers(backbone, summary), batches(5), tmp_path / "kept")
        width = known.attach(batches(1)[0]).stored
        assert width is not None
        assert width.hidden.shape[1] == (1 if pooled else 9)
        return known

    expected = trained(folder_of(architecture), head, None, None)
    torch.testing.assert_close(trained(folder_of(architecture), head, None, states), expected, atol=1e-5, rtol=0)
    assert expected.std() > 1e-3, "training has told nothing apart"


@pytest.mark.parametrize("trains", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_upper_layers_train_on_what_lower_ones_gave(trains: int, architecture: str, folder_of: Folders, tmp_path: Path) -> None:
    folder = folder_of(architecture)
    groups = len(Backbone(str(folder)).layer_groups())

    def states(backbone: Backbone, _: Any) -> KnownStates:
        return kept(frozen_layers(backbone), batches(5), tmp_path / "kept")

    if "albert" in architecture:
        backbone = Backbone(str(folder))
        assert "share their weights" in str(backbone.not_resumable(1))
        with pytest.raises(ConfigError, match="share their weights"):
            backbone.encode_to(1, inputs_of())
        return
    expected = trained(folder, native, groups - trains, None)
    torch.testing.assert_close(trained(folder, native, groups - trains, states), expected, atol=1e-5, rtol=0)
    assert expected.std() > 1e-3


def test_the_lower_layers_alone_equal_the_full_pass(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    inputs = inputs_of()
    states = backbone.hidden_states(inputs)
    for layer in range(1, backbone.n_layers + 1):
        if backbone.not_resumable(layer) is None:
            torch.testing.assert_close(backbone.encode_to(layer, inputs).hidden, states[layer], atol=1e-6, rtol=0)
    assert backbone.not_resumable(backbone.n_layers) is None


def test_half_precision_is_close(folder_of: Folders, tmp_path: Path) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    backbone.freeze(4)
    layers = frozen_layers(backbone, dtype="float16")
    known = kept(layers, batches(2), tmp_path / "kept")
    assert known.stores[0].states.dtype == np.float16
    batch = batches(1)[0]
    stored = known.attach(batch).stored
    assert stored is not None
    assert stored.hidden.dtype == torch.float32
    real = stored.mask.unsqueeze(-1)
    torch.testing.assert_close(stored.hidden * real, backbone.encode(batch.inputs).hidden * real, atol=5e-3, rtol=5e-3)


# How rows are known


ROWS = st.lists(st.lists(st.tuples(st.integers(4, 39), st.integers(0, 1)), min_size=1, max_size=6), min_size=1, max_size=6)


def padded(rows: list[list[tuple[int, int]]], width: int) -> dict[str, Tensor]:
    inputs = {name: torch.zeros(len(rows), width, dtype=torch.long) for name in ("input_ids", "token_type_ids", "attention_mask")}
    for place, row in enumerate(rows):
        inputs["input_ids"][place, : len(row)] = torch.tensor([piece for piece, _ in row])
        inputs["token_type_ids"][place, : len(row)] = torch.tensor([kind for _, kind in row])
        inputs["attention_mask"][place, : len(row)] = 1
    return inputs


@given(rows=ROWS, others=ROWS)
def test_a_row_is_known_by_its_pieces_and_types_alone(rows: list[Any], others: list[Any]) -> None:
    keys, lengths = row_keys(padded(rows, 6))
    assert lengths == list(map(len, rows))
    wider, _ = row_keys(padded(rows, 9))
    assert keys == wider, "padding counts"
    for key, row in zip(row_keys(padded(others, 7))[0], others, strict=True):
        for known, one in zip(keys, rows, strict=True):
            assert (key == known) == (row == one)


@given(rows=ROWS, data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_batches_find_their_rows_or_nothing(rows: list[Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("store")
    batch = Batch(padded(rows, 6), {}, torch.arange(len(rows)))
    found = Rows.of([batch, batch])
    assert len(found) == len({tuple(row) for row in rows})
    # Each piece's vector says which it is.
    vectors = [torch.stack([row["input_ids"], row["token_type_ids"]], 1).float() for row in found.inputs]
    order = data.draw(st.permutations(range(len(found))))
    StateStore.write(folder, found.keys, list(map(len, vectors)), "float32", (([place], [vectors[place]]) for place in order))
    known = KnownStates(1, pooled=False)
    known.stores.append(StateStore.open(folder))
    picked = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=8))
    stored = known.attach(Batch(padded(picked, 8), {}, torch.arange(len(picked)))).stored
    assert stored is not None
    expected = padded(picked, 8)
    assert torch.equal(stored.hidden[..., 0].long(), expected["input_ids"])
    assert torch.equal(stored.hidden[..., 1].long(), expected["token_type_ids"])
    assert torch.equal(stored.mask, expected["attention_mask"].bool())
    strange = [*picked, [(3, 0)]]
    assert known.attach(Batch(padded(strange, 8), {}, torch.arange(len(strange)))).stored is None


def test_batches_of_rows_fit_and_go_from_long_to_short() -> None:
    rows = Rows.of(batches(4))
    seen: list[int] = []
    for chosen in rows.batches(20):
        lengths = [len(rows.inputs[row]["input_ids"]) for row in chosen]
        assert len(chosen) == 1 or len(chosen) * max(lengths) <= 20
        assert not seen or min(len(rows.inputs[row]["input_ids"]) for row in seen) >= max(lengths)
        seen += chosen
    assert sorted(seen) == list(range(len(rows)))


# Stores that are damaged, and those of others


@pytest.fixture
def store(folder_of: Folders, tmp_path: Path) -> tuple[FrozenLayers, Path]:
    backbone = Backbone(str(folder_of("bert"))).eval()
    backbone.freeze(3)
    layers = frozen_layers(backbone)
    kept(layers, batches(2), tmp_path / "kept")
    return layers, tmp_path / "kept"


def test_a_whole_store_passes(store: tuple[FrozenLayers, Path]) -> None:
    layers, folder = store
    layers.check(StateStore.open(folder), Rows.of(batches(2)))


def test_coarse_arithmetic_is_no_damage(store: tuple[FrozenLayers, Path]) -> None:
    """In bfloat16 a row by itself may differ by a percent from the same row among others; in float32 that would be other numbers."""
    layers, folder = store
    coarse = replace(layers, precision=partial(torch.autocast, "cpu", dtype=torch.bfloat16))
    rows = Rows.of(batches(2))
    states = np.lib.format.open_memmap(folder / "states.npy", mode="r+")
    states[:] *= 1 + 0.02 * np.random.default_rng(0).standard_normal(states.shape).astype(states.dtype)
    states.flush()
    coarse.check(StateStore.open(folder), rows)
    with pytest.raises(DataError, match="does not hold"):
        layers.check(StateStore.open(folder), rows)
    states[:] = np.roll(states, 1, axis=0)
    states.flush()
    with pytest.raises(DataError, match="does not hold"):
        coarse.check(StateStore.open(folder), rows)


@pytest.mark.parametrize("name", ["keys", "starts", "states"])
@pytest.mark.parametrize("damage", [lambda content: content[:-7], lambda content: b"", lambda _: None, lambda content: b"x" + content[1:]])
def test_a_damaged_store_is_found(name: str, damage: Callable[[bytes], bytes | None], store: tuple[FrozenLayers, Path]) -> None:
    _, folder = store
    file = folder / f"{name}.npy"
    content = damage(file.read_bytes())
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        StateStore.open(folder)
    assert "\n" not in str(caught.value)


def test_other_numbers_are_found(store: tuple[FrozenLayers, Path]) -> None:
    layers, folder = store
    states = np.lib.format.open_memmap(folder / "states.npy", mode="r+")
    states[:] += 0.1
    states.flush()
    with pytest.raises(DataError, match="does not hold"):
        layers.check(StateStore.open(folder), Rows.of(batches(2)))
    with pytest.raises(DataError, match="does not hold"):
        layers.check(StateStore.open(folder), Rows.of(batches(4)))


def test_what_states_depend_on(folder_of: Folders) -> None:
    def digest(change: Callable[[Backbone], object] = lambda _: None, precision: str = "32-true", **options: Any) -> str:
        backbone = Backbone(str(folder_of("bert"))).eval()
        backbone.freeze(3)
        change(backbone)
        layers = frozen_layers(backbone)
        return replace(layers, **options).digest(precision)

    def alter(group: int) -> Callable[[Backbone], object]:
        return lambda backbone: next(backbone.layer_groups()[group].parameters()).data.add_(1)

    same = digest()
    assert digest() == same
    assert digest(alter(3)) == same, "a layer that trains counts"
    others = [
        digest(alter(0)),
        digest(alter(2)),
        digest(precision="bf16-mixed"),
        digest(dtype="float16"),
        digest(layer=1),
        digest(summary=ClsPooling(32)),
    ]
    assert len({same, *others}) == 7
