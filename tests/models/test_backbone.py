"""The backbone against transformers' own models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from architectures import config_of, inputs_of
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    GPT2Config,
    MPNetConfig,
    T5Config,
    ViTConfig,
)

from afinar.errors import ConfigError
from afinar.models import source
from afinar.models.backbone import Backbone
from afinar.models.heads import NativeHead
from afinar.models.layouts import LAYOUTS
from afinar.models.losses import CrossEntropy
from afinar.types import LabelSpace, TaskSpec

Folders = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "hub_is_reachable", lambda: False)


def accepted(model: nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    takes_types = model.config.model_type in ("bert", "electra", "albert") or getattr(model.config, "type_vocab_size", 0) == 2
    return inputs if takes_types else {name: tensor for name, tensor in inputs.items() if name != "token_type_ids"}


# Encoding


def test_encode_equals_transformers(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture)
    inputs = inputs_of()
    model = AutoModel.from_pretrained(folder).eval()
    encoded = Backbone(str(folder)).eval().encode(inputs)
    expected = model(**accepted(model, inputs)).last_hidden_state
    assert encoded.hidden.shape == (4, 9, 32)
    assert torch.equal(encoded.hidden, expected)
    assert torch.equal(encoded.mask, inputs["attention_mask"].bool())


@pytest.mark.parametrize("cuts", [(3, 2, 1), (1, 5), (6,), (1,) * 6])
def test_blocks_change_no_real_position(cuts: tuple[int, ...], architecture: str, folder_of: Folders) -> None:
    """Rows in blocks, each as wide as its longest: what a single call gives, in the order of the rows, and zeros behind it."""
    backbone = Backbone(str(folder_of(architecture))).eval()
    inputs = inputs_of(batch=6, length=12, seed=3)
    lengths, whole = inputs["attention_mask"].sum(1), backbone.encode(inputs)
    blocks = tuple((len(rows), int(rows.max())) for rows in lengths.split(cuts))
    widths: list[tuple[int, ...]] = []
    backbone.model.register_forward_pre_hook(lambda _, __, given: widths.append(tuple(given["input_ids"].shape)), with_kwargs=True)
    encoded = backbone.encode(inputs, blocks)
    assert widths == list(blocks)
    assert torch.equal(encoded.mask, whole.mask)
    assert encoded.hidden.shape == whole.hidden.shape
    torch.testing.assert_close(encoded.hidden[encoded.mask], whole.hidden[whole.mask], rtol=0, atol=1e-5)
    for rows, (_, width) in zip(encoded.hidden.split(cuts), blocks, strict=True):
        assert not rows[:, width:].count_nonzero()


def test_blocks_train_the_same(folder_of: Folders) -> None:
    inputs = inputs_of(batch=4, length=12)
    inputs = {name: tensor[inputs["attention_mask"].sum(1).argsort()] for name, tensor in inputs.items()}
    width, weights = int(inputs["attention_mask"][:2].sum(1).max()), torch.randn(12, 32, generator=torch.Generator().manual_seed(0))
    gradients = []
    for blocks in ((), ((2, width), (2, 12))):
        backbone = Backbone(str(folder_of("bert")), dropout=0.0, attention_dropout=0.0).train()
        encoded = backbone.encode(inputs, blocks)
        (encoded.hidden * weights)[encoded.mask].sum().backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_blocks_hold_every_row(folder_of: Folders) -> None:
    with pytest.raises(RuntimeError, match="split"):
        Backbone(str(folder_of("bert"))).encode(inputs_of(batch=4), ((2, 9), (1, 9)))


def test_token_types_matter_where_the_model_has_them(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    inputs = inputs_of()
    without = {name: tensor for name, tensor in inputs.items() if name != "token_type_ids"}
    assert not torch.allclose(backbone.encode(inputs).hidden[-1], backbone.encode(without).hidden[-1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_float32_whatever_the_checkpoint_holds(dtype: torch.dtype, folder_of: Folders, tmp_path: Path) -> None:
    AutoModelForSequenceClassification.from_pretrained(folder_of("bert")).to(dtype).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")
    for weights in ("pretrained", "random"):
        backbone = Backbone(str(tmp_path), weights=weights)
        sibling = backbone.sibling(AutoModelForSequenceClassification)
        assert {parameter.dtype for parameter in [*backbone.parameters(), *sibling.parameters()]} == {torch.float32}


@pytest.mark.parametrize("layers", [1, 2])
def test_the_lowest_layers_alone_end_in_the_hidden_states_above_them(layers: int, architecture: str, folder_of: Folders) -> None:
    folder, inputs = folder_of(architecture), inputs_of()
    if architecture in ("modernbert", "albert-two-groups"):
        with pytest.raises(ConfigError, match=r"model\.layers=.*several kinds"):
            Backbone(str(folder), layers=layers)
        return
    model = AutoModel.from_pretrained(folder).eval()
    expected = model(**accepted(model, inputs), output_hidden_states=True).hidden_states[layers]
    backbone = Backbone(str(folder), layers=layers).eval()
    assert backbone.n_layers == layers
    assert torch.equal(backbone.encode(inputs).hidden, expected)


def test_more_layers_than_there_are_need_random_weights(folder_of: Folders) -> None:
    folder = str(folder_of("bert"))
    assert Backbone(folder, weights="random", layers=7).n_layers == 7
    with pytest.raises(ConfigError, match=r"model\.layers=7: the weights are of . layers; more need model\.weights=random"):
        Backbone(folder, layers=7)
    with pytest.raises(ConfigError, match=r"model\.layers=0"):
        Backbone(folder, layers=0)


def test_random_weights_need_the_config_alone(architecture: str, tmp_path: Path) -> None:
    config_of(architecture).save_pretrained(tmp_path)
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(Backbone(str(tmp_path), weights="random").input_embeddings.weight)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_hidden_states_end_in_what_encode_returns(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    inputs = inputs_of()
    states = backbone.hidden_states(inputs)
    assert len(states) == backbone.n_layers + 1
    assert {tuple(state.shape) for state in states} == {(4, 9, backbone.hidden_size)}
    assert torch.equal(states[-1], backbone.encode(inputs).hidden)


# Layer groups


def test_layer_groups_cover_every_parameter_once_and_in_order(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture)))
    groups = backbone.layer_groups()
    shared = LAYOUTS[backbone.config.model_type].shared
    assert len(groups) == 1 + (backbone.config.num_hidden_groups if shared else backbone.n_layers)
    names = {id(parameter): name for name, parameter in backbone.model.named_parameters()}
    grouped = [[names.pop(id(parameter)) for parameter in group.parameters()] for group in groups]
    assert not names, "parameters outside every group"
    for index, group in enumerate(grouped[1:]):
        assert any(f".{index}." in name or f"layers.{index}." in name for name in group)
        own = [name for name in group if not any(f"{stem}.{index}." in name for stem in ("layer", "layers", "albert_layer_groups"))]
        assert all(name.startswith(("encoder.conv", "final_norm")) for name in own)
    assert all(name.startswith(("embeddings", "encoder.rel", "encoder.LayerNorm", "encoder.embedding_hidden")) for name in grouped[0])


def test_a_layer_changes_only_the_states_above_it(architecture: str, folder_of: Folders) -> None:
    """The groups are in the order of the computation, seen from outside."""
    backbone = Backbone(str(folder_of(architecture))).eval()
    if LAYOUTS[backbone.config.model_type].shared:
        pytest.skip("layers that share weights have no order of their own")
    inputs = inputs_of()
    before = backbone.hidden_states(inputs)
    with torch.no_grad():
        for parameter in backbone.layer_groups()[2].parameters():
            parameter.mul_(1.5)
    after = backbone.hidden_states(inputs)
    same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same == [True, True, False, False]


def test_unknown_architecture_built_like_a_bert_is_refused_where_parameters_lie_outside(tmp_path: Path) -> None:
    MPNetConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16).save_pretrained(tmp_path)
    backbone = Backbone(str(tmp_path), weights="random")
    assert backbone.encode({name: inputs_of()[name] for name in ("input_ids", "attention_mask")}).hidden.shape == (4, 9, 16)
    with pytest.raises(ConfigError, match="parameters outside its embeddings and layers"):
        backbone.layer_groups()


def test_unknown_architecture_built_like_a_bert_has_layers_but_cannot_resume(tmp_path: Path) -> None:
    from transformers import ErnieConfig

    ErnieConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16).save_pretrained(tmp_path)
    backbone = Backbone(str(tmp_path), weights="random")
    assert len(backbone.layer_groups()) == 3
    inputs = inputs_of()
    with pytest.raises(ConfigError, match="not known to work for model type 'ernie'"):
        backbone.encode_from(1, backbone.hidden_states(inputs)[1], inputs["attention_mask"].bool())


def test_architecture_without_layers_we_know_says_what_is_supported(tmp_path: Path) -> None:
    from transformers import FunnelConfig

    FunnelConfig(
        vocab_size=40, block_sizes=[1, 1], d_model=16, n_head=2, d_head=8, d_inner=16, architectures=["FunnelModel"]
    ).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"no known layers.*modernbert"):
        Backbone(str(tmp_path), weights="random").layer_groups()


# Running from layer k


def test_encode_from_equals_the_full_pass(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    inputs = inputs_of()
    states = backbone.hidden_states(inputs)
    for k, state in enumerate(states):
        resumed = backbone.encode_from(k, state, inputs["attention_mask"].bool())
        torch.testing.assert_close(resumed.hidden, states[-1], rtol=0, atol=1e-6)


def test_encode_from_depends_on_the_stored_states_and_leaves_the_model_alone(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    inputs = inputs_of()
    before = backbone.encode(inputs).hidden
    names = list(backbone.state_dict())
    other = backbone.hidden_states(inputs_of(seed=1))[1]
    assert not torch.allclose(backbone.encode_from(1, other, inputs["attention_mask"].bool()).hidden, before)
    assert torch.equal(backbone.encode(inputs).hidden, before)
    assert list(backbone.state_dict()) == names


def test_encode_from_trains_the_layers_above(architecture: str, folder_of: Folders) -> None:
    """The shells share the very same parameters: their gradients are those of the full pass."""
    backbone = Backbone(str(folder_of(architecture))).eval()
    if LAYOUTS[backbone.config.model_type].shared:
        pytest.skip("layers that share weights do not train apart")
    inputs = inputs_of()
    backbone.freeze(2)
    upper = [parameter for group in backbone.layer_groups()[2:] for parameter in group.parameters()]
    weights = torch.randn(9, 32, generator=torch.Generator().manual_seed(0))
    backbone.eval()
    expected = torch.autograd.grad((backbone.encode(inputs).hidden * weights).sum(), upper, allow_unused=True)
    state = backbone.hidden_states(inputs)[1]
    resumed = backbone.encode_from(1, state, inputs["attention_mask"].bool()).hidden
    actual = torch.autograd.grad((resumed * weights).sum(), upper, allow_unused=True)
    assert all(gradient is not None for gradient in actual)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [-1, 4])
def test_encode_from_refuses_layers_that_are_not_there(k: int, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    inputs = inputs_of()
    with pytest.raises(ConfigError, match=f"no layer {k} to run from"):
        backbone.encode_from(k, backbone.hidden_states(inputs)[0], inputs["attention_mask"].bool())


# Options


def test_dropouts_reach_every_layer(architecture: str, folder_of: Folders) -> None:
    folder = str(folder_of(architecture))
    inputs = inputs_of()
    off = Backbone(folder, dropout=0.0, attention_dropout=0.0).train()
    assert torch.equal(off.encode(inputs).hidden, off.encode(inputs).hidden)
    for options in ({"dropout": 0.4, "attention_dropout": 0.0}, {"dropout": 0.0, "attention_dropout": 0.4}):
        on = Backbone(folder, **options).train()
        assert not torch.equal(on.encode(inputs).hidden, on.encode(inputs).hidden)


def test_hidden_dropout_sets_every_dropout_module(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture)), dropout=0.3, attention_dropout=0.25)
    found = {module.p for module in backbone.modules() if isinstance(module, nn.Dropout)}
    assert 0.3 in found
    assert found <= {0.3, 0.25, 0.0}


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_impossible_dropout_is_refused(value: float, folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match=r"model\.dropout"):
        Backbone(str(folder_of("bert")), dropout=value)


def test_gradient_checkpointing_gives_the_same_gradients(architecture: str, folder_of: Folders) -> None:
    folder = str(folder_of(architecture))
    if architecture.startswith("albert"):
        with pytest.raises(ConfigError, match="gradient_checkpointing"):
            Backbone(folder, gradient_checkpointing=True)
        return
    gradients = []
    for checkpointing in (False, True):
        backbone = Backbone(folder, dropout=0.0, attention_dropout=0.0, gradient_checkpointing=checkpointing).train()
        backbone.freeze(1)
        backbone.encode(inputs_of()).hidden.pow(2).sum().backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_gradient_checkpointing_spares_frozen_layers_the_backward_pass(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")), gradient_checkpointing=True).train()
    backbone.freeze(2)
    states = backbone.hidden_states(inputs_of())
    assert [state.requires_grad for state in states] == [False, False, True, True]


def test_attention_implementations_agree(folder_of: Folders) -> None:
    states = []
    for attention in ("eager", "sdpa"):
        backbone = Backbone(str(folder_of("bert")), attention=attention).eval()
        assert backbone.config._attn_implementation == attention
        states.append(backbone.encode(inputs_of()).hidden)
    torch.testing.assert_close(*states, rtol=1e-5, atol=1e-5)


def test_attention_that_the_architecture_lacks_is_one_line(folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match=r"model\.name=") as caught:
        Backbone(str(folder_of("bert")), attention="nonsense")
    assert "\n" not in str(caught.value)


def test_source_is_plain_data(folder_of: Folders) -> None:
    facts = Backbone(str(folder_of("bert"))).source()
    assert facts == {"name": str(folder_of("bert")), "revision": None, "commit": None, "weights": "pretrained", "model_type": "bert"}


def test_no_pooler_and_no_unused_parameter_remains(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).train()
    assert not any("pooler" in name for name, _ in backbone.named_parameters())
    backbone.encode(inputs_of(batch=8, length=20)).hidden.pow(2).sum().backward()
    assert [name for name, parameter in backbone.named_parameters() if parameter.grad is None] == []


def test_backbone_of_a_finetuned_model(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture, AutoModelForSequenceClassification)
    whole = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = inputs_of()
    expected = whole.base_model(**accepted(whole, inputs)).last_hidden_state
    assert torch.equal(Backbone(str(folder)).eval().encode(inputs).hidden, expected)


def test_sibling_equals_transformers(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture, AutoModelForMaskedLM)
    inputs = inputs_of()
    sibling = Backbone(str(folder)).sibling(AutoModelForMaskedLM).eval()
    expected = AutoModelForMaskedLM.from_pretrained(folder).eval()
    assert torch.equal(sibling(**accepted(sibling, inputs)).logits, expected(**accepted(expected, inputs)).logits)


def test_sibling_leaves_the_backbone_s_config_alone(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")), dropout=0.35)
    sibling = backbone.sibling(AutoModelForSequenceClassification, id2label={0: "a", 1: "b", 2: "c"})
    assert sibling.config.num_labels == 3
    assert sibling.config.hidden_dropout_prob == 0.35
    assert backbone.config.num_labels == 2


# Freezing


def test_freeze_keeps_the_lower_groups_still_and_in_eval_mode(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture)), dropout=0.3).train()
    inputs = inputs_of()
    groups = backbone.layer_groups()
    for frozen in range(len(groups) + 1):
        backbone.freeze(frozen)
        assert backbone.frozen == frozen
        backbone.eval()
        backbone.train()
        for index, group in enumerate(backbone.layer_groups()):
            assert {parameter.requires_grad for parameter in group.parameters()} == {index >= frozen}
            assert {module.training for module in group.modules() if module is not group} == {index >= frozen}
        hidden = backbone.encode(inputs).hidden
        assert hidden.requires_grad == (frozen < len(groups))
    assert torch.equal(backbone.encode(inputs).hidden, backbone.encode(inputs).hidden), "dropout fires in a frozen backbone"


def test_frozen_dropout_can_be_left_on(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")), dropout=0.3).train()
    backbone.freeze(4, frozen_eval=False)
    assert not torch.equal(backbone.encode(inputs_of()).hidden, backbone.encode(inputs_of()).hidden)
    assert not backbone.encode(inputs_of()).hidden.requires_grad


@pytest.mark.parametrize("groups", [-1, 5])
def test_more_groups_than_there_are_cannot_be_frozen(groups: int, folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match="has 4"):
        Backbone(str(folder_of("bert"))).freeze(groups)


# Bad sources: one line each, naming the key and the way out


def refusal(name: str, **options: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Backbone(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_folder() -> None:
    assert "no such folder" in refusal("./no/such/folder")
    assert "no such folder" in refusal("/no/such/folder")


def test_hub_without_network() -> None:
    message = refusal("some-organisation/some-model")
    assert message.startswith("model.name=some-organisation/some-model")
    assert "model.name=FOLDER" in message
    assert "model=tiny" in message


def test_hub_name_that_cannot_be_one() -> None:
    assert "model=tiny" in refusal("a name with spaces")


def test_folder_without_config(tmp_path: Path) -> None:
    assert "holds no config.json" in refusal(str(tmp_path))


def test_file_instead_of_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "is a file" in refusal(str(tmp_path / "model.safetensors"))


def test_config_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{nope")
    assert "not a valid JSON file" in refusal(str(tmp_path))


@pytest.mark.parametrize(
    "wrong", [{"hidden_size": "wide"}, {"num_attention_heads": 0}, {"hidden_act": "nope"}, {"hidden_size": 30}], ids=str
)
def test_config_with_impossible_values(wrong: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **wrong}))
    assert str(tmp_path) in refusal(str(tmp_path), weights="random")


def test_unknown_model_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nonsense"}))
    assert "nonsense" in refusal(str(tmp_path))


def test_code_of_the_checkpoint_is_never_run(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    (tmp_path / "custom.py").write_text(f"open({str(proof)!r}, 'w').close()\n")
    auto_map = {"AutoConfig": "custom.Config", "AutoModel": "custom.Model"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "my-own", "auto_map": auto_map}))
    assert "custom code" in refusal(str(tmp_path))
    assert not proof.exists()


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(n_embd=16, n_layer=1, n_head=2),
        T5Config(d_model=16, num_layers=1),
        BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, is_decoder=True),
    ],
    ids=lambda config: config.model_type,
)
def test_models_that_are_no_encoders(config: BertConfig, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    assert "is no encoder" in refusal(str(tmp_path), weights="random")


def test_model_that_reads_no_text(tmp_path: Path) -> None:
    ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16).save_pretrained(tmp_path)
    assert "does not read tokens" in refusal(str(tmp_path), weights="random")


def test_folder_without_weights(folder_of: Folders, tmp_path: Path) -> None:
    shutil.copy(folder_of("bert") / "config.json", tmp_path)
    assert "model.weights=random" in refusal(str(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_damaged_weights(damage: str, folder_of: Folders, tmp_path: Path) -> None:
    shutil.copytree(folder_of("bert"), tmp_path, dirs_exist_ok=True)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000] if damage == "cut" else b"garbage" * 100)
    assert "cannot be built" in refusal(str(tmp_path))


def test_pickled_objects_in_weights_are_refused(folder_of: Folders, tmp_path: Path) -> None:
    shutil.copy(folder_of("bert") / "config.json", tmp_path)
    torch.save({"object": Path}, tmp_path / "pytorch_model.bin")
    assert "cannot be built" in refusal(str(tmp_path))


def test_weights_of_another_model(folder_of: Folders, tmp_path: Path) -> None:
    shutil.copytree(folder_of("bert"), tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 5}))
    assert "lacks 'encoder.layer.3" in refusal(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))
    assert "another shape" in refusal(str(tmp_path))


def test_unknown_kind_of_weights(folder_of: Folders) -> None:
    assert "'pretrained' or 'random'" in refusal(str(folder_of("bert")), weights="pretraned")


def test_loading_leaves_transformers_logging_as_it_was(folder_of: Folders, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging as hf_logging

    before = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    Backbone(str(folder_of("bert", AutoModelForSequenceClassification))).sibling(AutoModelForMaskedLM)
    assert (hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()) == before
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


# The documents' statements


@pytest.mark.parametrize(
    ("layers", "heads", "width", "parameters"),
    [(12, 12, 768, 109_482_240), (24, 16, 1024, 335_141_888)],
    ids=["base", "large"],
)
def test_bert_sizes(layers: int, heads: int, width: int, parameters: int, tmp_path: Path) -> None:
    """bert/sizes: BERT-Base and BERT-Large with pooler (the text says 110M and 340M)."""
    BertConfig(num_hidden_layers=layers, num_attention_heads=heads, hidden_size=width, intermediate_size=4 * width).save_pretrained(
        tmp_path
    )
    spec = TaskSpec("sequence_classification", LabelSpace(("a", "b")))
    with torch.device("meta"):
        backbone = Backbone(str(tmp_path), weights="random")
        head = NativeHead(spec, backbone, None, CrossEntropy)
    pooler = sum(parameter.numel() for name, parameter in head.named_parameters() if "pooler" in name)
    assert sum(parameter.numel() for parameter in backbone.parameters()) + pooler == parameters


def test_cls_depends_on_every_token(architecture: str, folder_of: Folders) -> None:
    """sequences/cls (Lema 1): the gradient of h_CLS to each real token is not zero, to padding it is."""
    backbone = Backbone(str(folder_of(architecture))).eval()
    seen: list[torch.Tensor] = []
    backbone.input_embeddings.register_forward_hook(lambda _module, _arguments, output: seen.append(output) or output.retain_grad())
    inputs = inputs_of()
    # A weighted sum: the plain sum of a normalized vector is constant.
    weights = torch.randn(32, generator=torch.Generator().manual_seed(0))
    (backbone.encode(inputs).hidden[:, 0] @ weights).sum().backward()
    norms = seen[0].grad.norm(dim=-1)
    assert (norms[inputs["attention_mask"].bool()] > 0).all()
    assert (norms[~inputs["attention_mask"].bool()] == 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_agrees_with_cpu(architecture: str, folder_of: Folders) -> None:
    folder = str(folder_of(architecture))
    inputs = inputs_of()
    on_gpu = Backbone(folder).eval().cuda()
    there = {name: tensor.cuda() for name, tensor in inputs.items()}
    torch.testing.assert_close(on_gpu.encode(there).hidden.cpu(), Backbone(folder).eval().encode(inputs).hidden, rtol=1e-3, atol=1e-4)
    states = on_gpu.hidden_states(there)
    resumed = on_gpu.encode_from(1, states[1], there["attention_mask"].bool()).hidden
    torch.testing.assert_close(resumed, states[-1], rtol=1e-3, atol=1e-4)
