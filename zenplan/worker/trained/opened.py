"""The model of a finished run, with its weights, on any backend."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import msgspec

from zenplan.errors import InputFileError
from zenplan.worker.counting.keras_file import read_keras_config
from zenplan.worker.counting.load import trained_model
from zenplan.worker.measuring.ready import POLICIES, in_policy, set_policy
from zenplan.worker.protocol import Events, Target, Trained, says
from zenplan.worker.training.losses import Loss, loss_of
from zenplan.worker.training.models import begun, length_of
from zenplan.worker.training.prepared import Prepared, Samples

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
        # Weights that the training began with are not read: they are replaced.
        model = begun(msgspec.structs.replace(job, weights="", precision=precision), data, events)
        try:
            model.load_weights(trained.path)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise InputFileError(f"the weights of {trained.path} do not load: {says(error)}", _HINT) from error
    else:
        events.begin("read")
        config = in_policy(read_keras_config(trained.path), POLICIES[precision])
        model = trained_model(config, trained.path, events, _HINT)
    if trained.quantize:
        model.quantize(trained.quantize)
    return Opened(model=model, loss=loss_of(job.loss, data.card, model), data=data, length=length_of(model, job, data))
