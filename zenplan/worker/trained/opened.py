"""The model of a finished run, with its weights, on any backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import keras
import msgspec
import numpy as np

from zenplan.errors import InputFileError
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.counting.load import trained_model
from zenplan.worker.measuring.ready import POLICIES, in_policy, set_policy
from zenplan.worker.protocol import Events, Target, Trained, says
from zenplan.worker.training.losses import Loss, loss_of
from zenplan.worker.training.models import begun, length_of
from zenplan.worker.training.prepared import TRAIN, Prepared, Samples

_HINT = "was it trained with this version of its code, and of Keras?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A trained model that can be called.

    Attributes:
        loss: that it was trained by, with the figures that an evaluation tells besides.
        data: that it was trained on.
        length: tokens of a sample; 0 where the data is no tokens.
    """

    model: keras.Model
    loss: Loss
    data: Prepared
    length: int

    def samples(self, part: str) -> Samples | None:
        """Those of a part of the data; None where it has none."""
        found = self.data.samples(part, self.length)
        return found if found is not None and found.count else None

    def one(self) -> Any:
        """A sample of the training data, as the model takes it."""
        found = self.samples(TRAIN)
        if found is None:
            raise InputFileError("the training data have no sample", "were they prepared anew?")
        return found.batch(np.zeros(1, np.int64))[0]


def opened(trained: Trained, events: Events) -> Opened:
    """The model as it was after its last step.

    One that a builder of the user's made is built by it again, and given its weights: its classes may be the builder's
    own. Others are made from the file alone.

    Raises:
        InputFileError: it does not load.
    """
    job = trained.job
    data = Prepared.read(job.data)
    precision = trained.precision or job.precision
    set_policy(precision)
    if isinstance(job.model, Target) or not trained.path.endswith(".keras"):
        model = rebuilt(trained, events)
        try:
            model.load_weights(trained.path)
        except (ValueError, TypeError, KeyError, OSError, BadZipFile) as error:
            raise InputFileError(f"the weights of {trained.path} do not load: {says(error)}", _HINT) from error
    else:
        events.begin("read")
        config = in_policy(read_keras_config(trained.path), POLICIES[precision])
        model = trained_model(config, trained.path, events, _HINT)
    if trained.quantize:
        model.quantize(trained.quantize)
    return Opened(model=model, loss=loss_of(job.loss, data.card, model), data=data, length=length_of(model, job, data))


def rebuilt(trained: Trained, events: Events) -> keras.Model:
    """The model as its builder makes it, in the precision that is asked for, without the weights that it was given."""
    job = trained.job
    precision = trained.precision or job.precision
    set_policy(precision)
    # Weights that the training began with are not read: they are replaced.
    return begun(msgspec.structs.replace(job, weights="", precision=precision), Prepared.read(job.data), events)
