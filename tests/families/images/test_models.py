"""The named models as a family: how they are trained, what may be changed, what is refused."""

from __future__ import annotations

import pytest

from zenplan.domain.model.operators import Convolution, MatMul
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.plan import OPTIMIZERS
from zenplan.errors import UnknownName, UsageError
from zenplan.families.images.models import models
from zenplan.families.named import NamedFamily
from zenplan.families.transformer.presets import plain

FAMILY = NamedFamily("convnet", models())


def lower(model: str, **options: int) -> Workload:
    return FAMILY.lower({"model": model, **options})


def test_names_differ_however_they_are_written() -> None:
    names = [plain(name) for name in FAMILY.presets()]
    assert len(set(names)) == len(names) > 70


def test_each_says_how_it_is_trained() -> None:
    for model in FAMILY.presets():
        load = lower(model)
        assert load.name.startswith(model), model
        assert load.family == "convnet", model
        assert load.usual is not None, model
        assert load.usual.optimizer in OPTIMIZERS, model
        assert load.usual.source, model
        assert {"image size", "classes"} <= {f.name for f in load.facts}, model


def test_each_has_one_first_product() -> None:
    """It gets no gradient for its input; where the stem is frozen, those that read frozen maps do not."""
    for model in FAMILY.presets():
        products = [o for b in lower(model).blocks for o in b.operators if isinstance(o, Convolution | MatMul)]
        assert not products[0].input_gradient, model
        first = [o for o in products if o.trainable and not o.input_gradient]
        frozen = dict.fromkeys(("retinanet-resnet50", "retinanet-resnext50"), 2)
        frozen |= dict.fromkeys(("fasterrcnn-resnet50-fpn", "maskrcnn-resnet50-fpn"), 3)
        # What YOLOv10 learns with one box for an object ends at its head: a convolution for boxes and one for classes at
        # each scale, besides the stem.
        frozen |= {f"yolov10{size}": 7 for size in "nsmblx"}
        # What tells RT-DETR's decoder where its boxes are reads no map; two of its networks have a frozen stem.
        frozen |= {"rtdetr-r18": 2, "rtdetr-r34": 2, "rtdetr-r50": 3, "rtdetr-r101": 3}
        assert len(first) == frozen.get(model, 1), model


def test_each_grows_with_its_image() -> None:
    for model in FAMILY.presets():
        small, large = lower(model, image_size=320), lower(model, image_size=384)
        assert large.flop_per_sample > small.flop_per_sample, model
        if model not in ("alexnet", "vgg16", "vgg19"):  # whose dense layers see the whole map
            assert large.parameters == small.parameters, model


@pytest.mark.parametrize("model", ["resnet18", "vgg16", "mobilenetv3-large", "nasnetmobile", "convnext-tiny"])
def test_classes(model: str) -> None:
    """The head is a product and a bias for each class."""
    ten, thousand = (FAMILY.lower({"model": f"{model}:classes={n}"}) for n in (10, 1000))
    inner = {"resnet18": 512, "vgg16": 4096, "mobilenetv3-large": 1280, "nasnetmobile": 1056, "convnext-tiny": 768}
    assert thousand.parameters - ten.parameters == 990 * (inner[model] + 1)


def test_parameters_of_a_residual_network() -> None:
    assert lower("resnet:depth=18").parameters == lower("resnet18").parameters
    assert lower("resnet:depth=101,classes=10").parameters < lower("resnet101-v1.5").parameters
    with pytest.raises(UsageError, match="no ResNet of depth 20"):
        lower("resnet:depth=20")


def test_the_generic_one_by_hand() -> None:
    load = lower("convnet:depth=3,width=8,kernel=5,image_size=32,classes=10,stages=2")
    # One convolution in the first stage, two in the second: 16², 8², 8² positions.
    first, second, third = 25 * 3 * 8, 25 * 8 * 16, 25 * 16 * 16
    assert load.flop_per_sample == 2 * (256 * first + 64 * second + 64 * third + 16 * 10)
    norms = 4 * (8 + 16 + 16)
    assert load.parameters == first + second + third + norms + 16 * 10 + 10


@pytest.mark.parametrize("wrong", ["stages=0", "stages=9,depth=8", "stages=20,depth=40", "width=0", "classes=0"])
def test_a_generic_one_that_cannot_be_built(wrong: str) -> None:
    with pytest.raises(UsageError):
        lower(f"convnet:{wrong}")


def test_detectors_train_only_a_part() -> None:
    """torchvision freezes the stem and the first stage: no gradients there, nothing kept there."""
    for model in ("retinanet-resnet50", "fasterrcnn-resnet50-fpn", "maskrcnn-resnet50-fpn"):
        stem, first, again, *_ = lower(model).blocks
        assert {b.name for b in (stem, first, again)} == {"stem", "stage 1, first", "stage 1"}
        assert sum(o.saved_elements for b in (stem, first, again) for o in b.operators) == 0
        assert not any(o.trainable for b in (stem, first, again) for o in b.operators if o.parameters)


def test_proposals_make_mask_r_cnn_larger() -> None:
    few, many = (lower(f"maskrcnn-resnet50-fpn:proposals={n}") for n in (256, 512))
    boxes = 256 * (7 * 7 * 256 * 1024 + 1024 * 1024 + 1024 * 91 * 5)
    masks = 64 * (14 * 14 * (4 * 9 * 256 * 256 + 4 * 256 * 256) + 28 * 28 * 256 * 91)
    assert many.flop_per_sample - few.flop_per_sample == 2 * (boxes + masks)
    assert many.parameters == few.parameters


def test_masks_are_what_mask_r_cnn_adds() -> None:
    """Its boxes are those of Faster R-CNN: four convolutions, one that enlarges and the masks come to them."""
    faster, mask = (lower(f"{name}rcnn-resnet50-fpn") for name in ("faster", "mask"))
    added = 4 * (9 * 256 * 256 + 256) + (4 * 256 * 256 + 256) + (256 * 91 + 91)
    assert mask.parameters - faster.parameters == added
    assert mask.flop_per_sample > 1.2 * faster.flop_per_sample
    # mmdetection counts 207 and 260 GMAC on 800 x 1280, for 80 classes.
    for load, gmac in ((faster, 207.07), (mask, 260.0)):
        assert load.flop_per_sample * 1280 / 1200 == pytest.approx(2e9 * gmac, rel=0.06), load.name


def test_an_image_that_is_too_small_is_refused() -> None:
    with pytest.raises(UsageError, match="too small"):
        lower("inceptionv3", image_size=32)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownName) as raised:
        lower("resnet51")
    assert "resnet50" in str(raised.value.hint)
