"""Who trains a run: by flags, by the variables of a launcher, and when it is gone on with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenplan.adapters.workers.engines import KerasEngine
from zenplan.adapters.workers.process import BACKENDS
from zenplan.commands.train.together import NAMES, ONE, Together, doubts, ranks_of, shared_anew, together_of
from zenplan.errors import UsageError
from zenplan.worker.protocol import Kind, Optimizer, Ranks, Train

WHOLE = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "node0", "MASTER_PORT": "29500"}


def engine(name: str) -> Any:
    """zenplan's own of that backend, or one that says nothing of several workers."""
    return KerasEngine(name) if name in BACKENDS else SimpleNamespace(name=name)


# --- the variables of a launcher


def test_a_launcher_says_where_a_process_stands() -> None:
    assert ranks_of(WHOLE) == Ranks(rank=3, size=8, local=1, address="node0:29500")
    assert ranks_of({**WHOLE, "RANK": "0", "LOCAL_RANK": "0"}) == Ranks(rank=0, size=8, local=0, address="node0:29500")


def test_the_port_that_torchrun_keeps_is_left_to_it() -> None:
    kept = {**WHOLE, "TORCHELASTIC_USE_AGENT_STORE": "True"}
    assert ranks_of(kept) == Ranks(rank=3, size=8, local=1, address="node0:29501")
    last = ranks_of({**kept, "MASTER_PORT": "65535"})
    assert last is not None
    assert last.address == "node0:65534"
    assert ranks_of({**kept, "TORCHELASTIC_USE_AGENT_STORE": "False"}) == ranks_of(WHOLE)


def test_how_long_they_wait_for_each_other_can_be_said() -> None:
    ranks = together_of({"rendezvous_timeout": 20.0}, engine("torch"), WHOLE).ranks
    assert ranks is not None
    assert ranks.wait_s == 20.0
    assert together_of({"rendezvous_timeout": 20.0, "workers": 2}, engine("jax"), {}).wait_s == 20.0


def test_one_worker_is_alone() -> None:
    assert ranks_of({}) is None
    assert ranks_of({"MASTER_ADDR": "node0", "MASTER_PORT": "29500", "LOCAL_RANK": "0"}) is None
    assert ranks_of({"WORLD_SIZE": "1"}) is None
    with pytest.raises(UsageError, match="RANK=3 is not below WORLD_SIZE=1"):
        ranks_of({**WHOLE, "WORLD_SIZE": "1"})
    assert ranks_of({**WHOLE, "WORLD_SIZE": "1", "RANK": "0"}) is None
    assert ranks_of(dict.fromkeys(NAMES, "")) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["left out", "empty"])
def test_a_variable_that_is_missing_is_named(name: str, how: str) -> None:
    """It must not train alone: each of the others would do so as well."""
    environ = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(UsageError, match=f"and {name} not") as caught:
        ranks_of(environ if how == "left out" else {**environ, name: ""})
    assert caught.value.hint


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"])
@pytest.mark.parametrize("value", ["two", "-1", "1.0", " 2", "²", "٣", "9" * 5000, "0x2"])
def test_nonsense_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        ranks_of({**WHOLE, name: value})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"RANK": "8"}, "RANK=8 is not below WORLD_SIZE=8"),
        ({"LOCAL_RANK": "8"}, "LOCAL_RANK=8 is not below WORLD_SIZE=8"),
        ({"WORLD_SIZE": "0"}, "is not below WORLD_SIZE=0"),
        ({"MASTER_PORT": "0"}, "is no port"),
        ({"MASTER_PORT": "65536"}, "is no port"),
    ],
)
def test_figures_that_do_not_go_together_are_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ranks_of({**WHOLE, **changes})


# --- flags


def test_without_a_flag_one_worker_trains() -> None:
    for backend in ("jax", "torch", "tensorflow", "of a plugin"):
        assert together_of({}, engine(backend), {}) == ONE
        assert together_of({"workers": 1, "devices": 1}, engine(backend), {}) == ONE
    assert ONE.replicas == 1


def test_each_backend_has_workers_and_devices_as_it_can() -> None:
    assert together_of({"workers": 2, "devices": 4}, engine("jax"), {}) == Together(workers=2, devices=4)
    assert together_of({"workers": 3}, engine("torch"), {}) == Together(workers=3)
    # A process for each device.
    assert together_of({"devices": 3}, engine("torch"), {}) == Together(workers=3)
    assert together_of({"workers": 3, "devices": 3}, engine("torch"), {}) == Together(workers=3)
    assert together_of({"devices": 3}, engine("tensorflow"), {}) == Together(devices=3)


def test_matrices_are_divided_over_devices() -> None:
    found = together_of({"workers": 2, "devices": 4, "tensor_parallel": 2}, engine("jax"), {})
    assert (found.tensor_parallel, found.replicas) == (2, 4)
    with pytest.raises(UsageError, match="8 devices are no multiple of --tensor-parallel 3"):
        together_of({"workers": 2, "devices": 4, "tensor_parallel": 3}, engine("jax"), {})
    with pytest.raises(UsageError, match="no multiple of --tensor-parallel 2"):
        together_of({"tensor_parallel": 2}, engine("jax"), {})


@pytest.mark.parametrize(
    ("backend", "flags", "said", "hint"),
    [
        ("torch", {"workers": 2, "devices": 3}, "contradict", "a device a worker"),
        ("torch", {"workers": 2, "tensor_parallel": 2}, "divides no matrices", "jax"),
        ("tensorflow", {"devices": 2, "tensor_parallel": 2}, "divides no matrices", "jax"),
        ("tensorflow", {"devices": 2, "zero": "3"}, "ZeRO 3", "torch"),
        ("jax", {"workers": 2, "zero": "3"}, "ZeRO 3", "torch"),
        ("of a plugin", {"workers": 2, "zero": "3"}, "ZeRO 3", "torch"),
        ("tensorflow", {"workers": 2}, "cannot use --workers: it trains on the devices of one process", "--devices 2"),
        ("tensorflow", {"workers": 2, "devices": 2}, "cannot use --workers", "--devices 4"),
        ("of a plugin", {"workers": 2}, "of a plugin does not train on several", "jax"),
        ("of a plugin", {"devices": 2}, "of a plugin does not train on several", "tensorflow"),
    ],
)
def test_what_an_engine_cannot_is_refused_with_what_can(
    backend: str, flags: dict[str, int], said: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        together_of(flags, engine(backend), {})
    assert hint in caught.value.hint


def test_a_launcher_says_how_many_workers() -> None:
    ranks = ranks_of(WHOLE)
    assert together_of({"devices": 2}, engine("jax"), WHOLE) == Together(workers=8, devices=2, ranks=ranks)
    assert together_of({"workers": 8}, engine("torch"), WHOLE) == Together(workers=8, ranks=ranks)
    with pytest.raises(UsageError, match="--workers 4 and WORLD_SIZE=8 contradict"):
        together_of({"workers": 4}, engine("torch"), WHOLE)
    with pytest.raises(UsageError, match="devices of one process, and a launcher started 8 workers"):
        together_of({"devices": 2}, engine("tensorflow"), WHOLE)


def test_a_worker_of_a_launcher_has_one_device_on_pytorch() -> None:
    with pytest.raises(UsageError, match="a device a worker"):
        together_of({"devices": 2}, engine("torch"), WHOLE)


# --- a run that is gone on with


def job(**changes: Any) -> Train:
    usual: dict[str, Any] = {
        "what": "the model",
        "folder": "",
        "data": "",
        "model": Kind(name="decoder"),
        "optimizer": Optimizer(learning_rate=1.0),
        "threads": 1,
        "steps": 1,
        "batch": 24,
        "micro_batch": 24,
    }
    return Train(**{**usual, **changes})


def test_the_same_workers_do_the_same_job() -> None:
    asked = job(workers=2, devices=3, micro_batch=2)
    assert shared_anew(asked, Together(workers=2, devices=3)) == asked
    assert shared_anew(asked, Together(workers=2, devices=3, zero=3)) == msgspec.structs.replace(asked, zero=3)


def test_other_workers_divide_the_batch_anew() -> None:
    asked = job(workers=2, micro_batch=12)
    found = shared_anew(asked, Together(workers=4))
    assert (found.workers, found.devices, found.micro_batch) == (4, 1, 6)
    assert shared_anew(found, Together()).micro_batch == 24
    assert shared_anew(job(micro_batch=4), Together(workers=3)).micro_batch == 1
    divided = shared_anew(asked, Together(workers=2, devices=2, tensor_parallel=2))
    assert (divided.tensor_parallel, divided.replicas, divided.micro_batch) == (2, 2, 12)
    with pytest.raises(UsageError, match="a batch of 24 cannot be shared among 5"):
        shared_anew(asked, Together(workers=5))


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_micro_batches_divide_the_share_and_are_no_larger_in_all(
    each: int, parts: int, before: int, after: int
) -> None:
    batch = each * parts * before * after
    asked = job(batch=batch, workers=before, micro_batch=batch // before // parts)
    found = shared_anew(asked, Together(workers=after))
    assert found.batch == batch
    assert batch % (found.micro_batch * after) == 0
    assert found.micro_batch * after <= max(after, asked.micro_batch * before)
    assert msgspec.structs.replace(found, workers=before, micro_batch=asked.micro_batch) == asked


@pytest.mark.parametrize(
    ("given", "environ", "cores", "words"),
    [
        ({"zero": 3}, {}, 2, "--zero 3"),
        ({"zero": 3, "workers": 2}, {}, 2, ""),
        ({"workers": 64}, {}, 2, "64 workers"),
        # GPUs train, or another system has started them on machines of its own.
        ({"workers": 64}, {}, None, ""),
        ({}, WHOLE, 2, ""),
        ({"max_restarts": 5}, WHOLE, 2, "--max-restarts"),
        ({"max_restarts": 5}, {}, 2, "--max-restarts"),
        ({"max_restarts": 5, "workers": 2}, {}, 2, ""),
        ({"max_restarts": 0}, {}, 2, ""),
    ],
)
def test_what_changes_nothing_is_said(
    given: dict[str, Any], environ: dict[str, str], cores: int | None, words: str
) -> None:
    torch = engine("torch")
    said = list(doubts(given, together_of(given, torch, environ), torch, cores))
    assert len(said) == bool(words)
    assert all(words in line for line in said)
