"""The stand-in worker of training, from which a federation is compared."""

from tests.commands.train.conftest import trainer as trainer
