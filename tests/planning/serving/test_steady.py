"""Laws of serving: what no coefficient may change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zenplan.adapters.tables.accelerators import read_accelerators
from zenplan.adapters.tables.serving import document_of, fit_of, read_serving
from zenplan.domain.hardware.catalogue import Catalogue
from zenplan.domain.serving.deployment import Deployment
from zenplan.domain.serving.model import ServedModel
from zenplan.errors import DataError, UsageError
from zenplan.planning.serving.groups import groups_of
from zenplan.planning.serving.served import served_model
from zenplan.planning.serving.steady import Loaded, batch_at, capacity, life_s, requests_per_s, tpot_s, ttft_s
from zenplan.planning.serving.step import kept_bytes, step_s
from zenplan.planning.serving.work import work
from zenplan.plugins.builtin import zenplan_workloads

SHEETS = Catalogue(accelerators=read_accelerators())


def served(name: str) -> ServedModel:
    *_, transformers = zenplan_workloads()
    return served_model(transformers.lower({"model": name, "seq_len": 16}))


def loaded(name: str, gpu: str = "H100", inputs: float = 800.0, outputs: float = 200.0, **more: Any) -> Loaded:
    on = Deployment(accelerator=SHEETS.by_name(gpu), software="vLLM", **more)
    return Loaded(
        work=work(served(name), on, 0.63, 0.6, 8e-6),
        efficiency=read_serving().of(tuple(groups_of(on).values())),
        inputs=inputs,
        outputs=outputs,
    )


def test_what_is_kept_of_a_token_is_that_of_the_published_shapes() -> None:
    # 2 · 32 layers · 8 heads · 128; DeepSeek-V3 keeps 512 + 64 a layer (arXiv 2412.19437, section 2.1).
    llama, deepseek = served("llama3-8b"), served("deepseek-v3")
    assert sum(c.layers * c.elements for c in llama.caches) == 2 * 32 * 8 * 128
    assert sum(c.layers * c.elements for c in deepseek.caches) == 61 * 576
    assert {c.heads for c in deepseek.caches} == {1}
    windowed = [c for c in served("gpt-oss-120b").caches if c.window]
    assert [(c.layers, c.window) for c in windowed] == [(18, 128)]


@pytest.mark.parametrize("name", ["llama3-8b", "mixtral-8x7b", "deepseek-v3", "gpt2-124m", "gemma3-27b"])
def test_every_parameter_is_stored_once(name: str) -> None:
    *_, transformers = zenplan_workloads()
    workload = transformers.lower({"model": name, "seq_len": 16})
    assert served_model(workload).parameters == pytest.approx(workload.parameters)


def test_a_mixture_reads_the_experts_that_its_tokens_meet() -> None:
    (mixture,) = served("mixtral-8x7b").mixtures
    assert mixture.met(1) == pytest.approx(2 / 8)
    assert mixture.met(0) == 0.0
    assert 0.99 < mixture.met(64) < 1.0


def test_encoders_do_not_generate() -> None:
    *_, transformers = zenplan_workloads()
    with pytest.raises(UsageError, match="does not generate"):
        served_model(transformers.lower({"model": "bert-base"}))


@pytest.mark.parametrize("name", ["llama3-8b", "qwen3-30b-a3b", "gpt-oss-120b"])
def test_more_in_flight_is_more_a_second_and_longer_for_each(name: str) -> None:
    of = loaded(name, tp=2)
    batches = np.arange(1.0, float(capacity(of)) + 1.0)
    assert (np.diff(requests_per_s(of, batches)) > 0).all()
    assert (np.diff(tpot_s(of, batches)) >= 0).all()
    assert (np.diff(ttft_s(of, batches)) >= -1e-12).all()


def test_littles_law_holds_at_any_rate() -> None:
    of = loaded("llama3-8b")
    most = float(requests_per_s(of, capacity(of)))
    for share in (0.1, 0.5, 0.9):
        batch = float(batch_at(of, np.array([share * most]))[0])
        assert batch == pytest.approx(share * most * float(life_s(of, batch)), rel=1e-6)
    assert np.isnan(batch_at(of, np.array([1.01 * most]))[0])


def test_one_request_reads_the_weights_once_a_token() -> None:
    """Never faster than the bandwidth of the data sheet, and within its reach."""
    of = loaded("llama3-70b", tp=8)
    floor = (of.work.read_bytes + of.work.head_bytes) / of.work.memory_bytes_per_s
    step = float(step_s(of.work, of.efficiency, 1.0, 100.0))
    assert floor < step < 6 * floor


def test_fewer_bits_are_never_slower_and_always_smaller() -> None:
    wide, narrow = loaded("llama3-8b"), loaded("llama3-8b", weights="fp8", cache="fp8")
    assert narrow.work.stored_bytes < wide.work.stored_bytes
    assert kept_bytes(narrow.work, 1000) == pytest.approx(kept_bytes(wide.work, 1000) / 2)
    assert capacity(narrow) >= capacity(wide)
    assert life_s(narrow, 8.0) < life_s(wide, 8.0)


def test_key_value_heads_that_are_fewer_than_the_devices_are_kept_by_several() -> None:
    four, eight, sixteen = (kept_bytes(loaded("llama3-8b", tp=tp).work, 1000) for tp in (4, 8, 16))
    assert eight == pytest.approx(four / 2)
    assert sixteen == eight


def test_what_does_not_fit_has_no_capacity() -> None:
    assert capacity(loaded("llama3-70b", "L4")) == 0
    assert capacity(loaded("llama3-70b", "L4", tp=8, weights="fp8")) > 0


def test_the_fit_comes_back_as_it_was_written() -> None:
    found = read_serving()
    assert fit_of(document_of(found)) == found
    with pytest.raises(DataError, match="schema"):
        fit_of({**document_of(found), "schema": "other"})


def test_early_releases_are_other_software_on_several_devices() -> None:
    on = Deployment(accelerator=SHEETS.by_name("H100"), software="vLLM", tp=2)
    assert groups_of(on, "0.5.4")["software"] != groups_of(on, "0.11.0")["software"]
    assert groups_of(on, "2023-11")["software"] != groups_of(on, "2026-01")["software"]
    assert groups_of(replace(on, tp=1), "0.5.4")["software"] == groups_of(on)["software"]
