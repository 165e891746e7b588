"""The fixtures of training runs, whose models these tests go on with."""

from tests.worker.training.conftest import backend as backend
from tests.worker.training.conftest import lab as lab
from tests.worker.training.conftest import one_backend as one_backend
