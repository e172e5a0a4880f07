"""Models of transformers and sentence-transformers, tiny and random, saved to a folder and read from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anchorrec_graph.encoders.text import SentenceTransformers
from anchorrec_graph.encoders.transformers_model import TransformersImage, TransformersText
from anchorrec_graph.errors import ConfigError

transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "film"]
TEXTS = ["red film", "blue blue film red", "red"]


def save_tokenizer(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(
        vocab_file=str(folder / "vocab.txt"), vocab=str(folder / "vocab.txt")
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**sizes, "vocab_size": len(WORDS), "max_position_embeddings": 6, "eos_token_id": 3},
        vision_config={**sizes, "image_size": 8, "patch_size": 4},
        projection_dim=5,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    save_tokenizer(folder)
    size = {"height": 8, "width": 8}
    processor = {"image_processor_type": "ViTImageProcessor", "size": size, "do_resize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_bytes((clip / "preprocessor_config.json").read_bytes())
    return folder


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(3)]


def pixels() -> torch.Tensor:
    """By hand: mean and deviation 0.5."""
    stacked = np.stack([np.asarray(picture, dtype=np.float32) for picture in pictures()])
    return torch.from_numpy((stacked / 255 - 0.5) / 0.5).permute(0, 3, 1, 2)


def image_rows(encoder: TransformersImage) -> np.ndarray:
    encoder.load()
    return encoder.encode([encoder.prepare(picture) for picture in pictures()])


def test_the_towers_of_clip(clip: Path) -> None:
    model = transformers.CLIPModel.from_pretrained(clip).eval()
    rows = image_rows(TransformersImage(model=str(clip)))
    with torch.no_grad():
        expected = model.visual_projection(model.vision_model(pixels()).pooler_output)
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-5)
    encoder = TransformersText(model=str(clip))
    encoder.load()
    rows = encoder.encode(TEXTS)
    assert rows.shape == (3, 5)
    for text, row in zip(TEXTS, rows, strict=True):  # each alone: padding changes nothing
        ids = torch.tensor([[2, *(WORDS.index(word) for word in text.split()), 3]])
        with torch.no_grad():
            alone = model.text_projection(model.text_model(ids).pooler_output)[0]
        np.testing.assert_allclose(row, alone.numpy(), atol=1e-5)
    assert encoder.encode(["red " * 50]).shape == (1, 5)  # cut, not refused


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_the_hidden_state_of_an_image_model(vit: Path, pooling: str) -> None:
    rows = image_rows(TransformersImage.model_validate({"model": str(vit), "pooling": pooling}))
    model = transformers.ViTModel.from_pretrained(vit, add_pooling_layer=False).eval()
    with torch.no_grad():
        hidden = model(pixels()).last_hidden_state
    expected = hidden.mean(1) if pooling == "mean" else hidden[:, 0]
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-5)


def test_weights_that_are_not_in_the_file_are_not_made_up(vit: Path) -> None:
    with pytest.raises(ConfigError, match=r"the weights lack pooler\.dense"):
        TransformersImage(model=str(vit), pooling="pooler").load()


def test_a_text_encoder_has_no_picture_tower(vit: Path) -> None:
    with pytest.raises(ConfigError, match="has no text tower"):
        TransformersText(model=str(vit)).load()


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = pytest.importorskip("sentence_transformers")
    folder, bert = tmp_path_factory.mktemp("sentence"), tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.BertModel(config).save_pretrained(bert)
    save_tokenizer(bert)
    library.SentenceTransformer(str(bert), device="cpu").save(str(folder))
    return folder


def test_a_sentence_transformers_folder(sentence: Path) -> None:
    encoder = SentenceTransformers(model=str(sentence))
    encoder.load()
    rows = encoder.encode(TEXTS)
    model = transformers.BertModel.from_pretrained(sentence).eval()
    for text, row in zip(TEXTS, rows, strict=True):
        ids = torch.tensor([[2, *(WORDS.index(word) for word in text.split()), 3]])
        with torch.no_grad():
            np.testing.assert_allclose(row, model(ids).last_hidden_state[0].mean(0).numpy(), atol=1e-5)


def test_the_identity_is_the_files(sentence: Path) -> None:
    encoder = SentenceTransformers(model=str(sentence))
    encoder.load()
    before = encoder.identity()
    (sentence / "README.md").write_text("changed")
    encoder.load()
    assert encoder.identity() != before


def test_a_folder_with_a_pickle_or_with_code_of_its_own(sentence: Path, tmp_path: Path) -> None:
    for path in sentence.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(sentence)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    modules = json.loads((tmp_path / "modules.json").read_text())
    modules[0]["type"] = "own_code.Model"
    (tmp_path / "own_code.py").write_text("raise SystemExit('executed')")
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ConfigError, match=r"no sentence-transformers model.*own_code"):
        SentenceTransformers(model=str(tmp_path)).load()
    (tmp_path / "modules.json").write_bytes((sentence / "modules.json").read_bytes())
    (tmp_path / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="no sentence-transformers model with safetensors weights"):
        SentenceTransformers(model=str(tmp_path)).load()


def test_neither_a_folder_nor_a_name_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("offline\nsecond line")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ConfigError, match=r"model 'no/model': no such folder.*\(OSError: offline\); give"):
        SentenceTransformers(model="no/model").load()


def test_no_such_device(sentence: Path, vit: Path) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        TransformersImage(model=str(vit), device="nonsense").load()
    with pytest.raises(ConfigError, match="nonsense"):
        SentenceTransformers(model=str(sentence), device="nonsense").load()
