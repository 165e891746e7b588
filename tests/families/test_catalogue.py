"""Which family a model is of, by the name that people write."""

from __future__ import annotations

from zenplan.commands.shared.known import known
from zenplan.commands.shared.tables import lowered
from zenplan.families.catalogue import FAMILIES, families_by_name, family_of, named_here, names_of
from zenplan.families.named import NamedFamily
from zenplan.families.transformer.presets import plain
from zenplan.plugins import load_plugins

WRITTEN = {
    "ResNet-50": "convnet",
    "ResNet50 v1.5": "convnet",
    "Mask R-CNN R50-FPN": "convnet",
    "EfficientNet-B0": "convnet",
    "U-Net": "convnet",
    "ConvNeXt-T": "convnet",
    "ViT-B/16": "vision transformer",
    "vit_large_patch16_224": "vision transformer",
    "google/vit-base-patch16-224": "vision transformer",
    "Swin-T": "vision transformer",
    "CLIP ViT-B/32": "vision transformer",
    "openai/clip-vit-large-patch14": "vision transformer",
    "Mixer-B/16": "mlp",
    "DLRM": "recommender",
    "NCF (NeuMF)": "recommender",
    "Wide & Deep": "recommender",
    "GNMT v2": "recurrent",
    "openai/whisper-small": "speech transformer",
    "DiT-XL/2": "diffusion",
    "GraphSAGE": "gnn",
}


def test_names_as_people_write_them() -> None:
    assert {name: family_of(name) for name in WRITTEN} == WRITTEN


def test_a_model_is_asked_for_by_any_of_its_names() -> None:
    families = known(load_plugins({"ZENPLAN_PLUGINS": ""}), None, None).families
    for here, names in {
        "vit-large": ("ViT-L/16", "vit-l-16", "vit_large_patch16_224"),
        "vit-huge": ("ViT-H/14", "vit_h_14"),
        "clip-vit-l-14": ("openai/clip-vit-large-patch14",),
        "wide-and-deep": ("Wide & Deep",),
    }.items():
        wanted = lowered(families, {"model": here}).parameters
        assert [lowered(families, {"model": name}).parameters for name in names] == [wanted] * len(names)
    # What is changed stands beside what the other name changes.
    fewer, usual = (lowered(families, {"model": f"vit-l/14{changes}"}).parameters for changes in (":classes=10", ""))
    assert usual - fewer == 990 * 1025


def test_no_family_is_guessed_from_a_part_of_a_name() -> None:
    for name in ("resnet51", "my-resnet50", "ViT", "B/16", "net", "", "dlrm2", "GPT-2", "clip", "resnet50 pruned"):
        assert family_of(name) in (None, "vision transformer" if name == "ViT" else None), name


def test_every_alias_leads_to_a_model() -> None:
    for text in (*WRITTEN, "neumf", "ViT-H/14", "DeiT-S", "Swin-L", "RetinaNet-R50-FPN", "open_clip ViT-L/14"):
        found = [n for n in map(named_here, names_of(text)) if plain(n.partition(":")[0]) in families_by_name()]
        assert found, text
        family = families_by_name()[plain(found[0].partition(":")[0])]
        assert NamedFamily(family, FAMILIES[family]()).lower({"model": found[0]}).parameters > 0
