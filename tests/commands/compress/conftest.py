"""A finished run, of the stand-in worker of training."""

from tests.commands.train.conftest import trained as trained
from tests.commands.train.conftest import trainer as trainer
