"""How networks over images are usually trained: the data, how often, in which batches, and whose recipe it is."""

from __future__ import annotations

from zenplan.domain.model.workload import Usual

IMAGENET = 1_281_167  # training images of ILSVRC 2012
COCO = 118_287  # training images of COCO 2017


def imagenet(
    epochs: float = 90,
    global_batch: int = 256,
    optimizer: str = "sgd-momentum",
    source: str = "He et al. 2016, Goyal et al. 2017",
) -> Usual:
    """A classifier on ImageNet-1k."""
    return Usual(
        dataset="ImageNet-1k",
        samples=IMAGENET,
        epochs=epochs,
        global_batch=global_batch,
        optimizer=optimizer,
        source=source,
    )


def coco(epochs: float, global_batch: int, source: str) -> Usual:
    """A detector on COCO."""
    return Usual(
        dataset="COCO 2017",
        samples=COCO,
        epochs=epochs,
        global_batch=global_batch,
        optimizer="sgd-momentum",
        source=source,
        task="detection",
    )
