import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenplan.domain.model.workload import PreTraining
from zenplan.domain.provenance import Origin
from zenplan.errors import UsageError
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.recipe import recipe, recipe_for, sequence_length, tokens_of_bytes
from zenplan.families.transformer.sizing import aspect, shape_for

# Even over the logarithm, so that each size is as likely as any other.
SIZES = st.floats(6, math.log10(2e13)).map(lambda power: 10**power)


@settings(max_examples=200, deadline=None)
@given(SIZES)
def test_a_size_is_met_within_three_percent(params: float) -> None:
    shape, facts = shape_for(params)
    assert lower(shape, "sized").parameters == pytest.approx(params, rel=0.03)
    assert shape.width % shape.heads == 0
    assert shape.width % 128 == 0
    assert shape.tied == (params < 1e9)
    assert all(f.origin is Origin.ASSUMED and f.why for f in facts)


@settings(max_examples=100, deadline=None)
@given(st.floats(math.log10(1e5), 14).map(lambda power: min(max(10**power, 1e5), 1e14)))
def test_no_size_in_the_range_is_refused(params: float) -> None:
    shape, _ = shape_for(params)
    assert lower(shape, "sized").parameters == pytest.approx(params, rel=0.1)


@settings(max_examples=100, deadline=None)
@given(SIZES, st.floats(1.1, 4))
def test_more_parameters_are_more_work(params: float, factor: float) -> None:
    small, large = (lower(shape_for(p, seq_len=1024)[0], "sized") for p in (params, params * factor))
    assert large.parameters > small.parameters
    assert large.flop_per_sample > small.flop_per_sample * 0.9


@pytest.mark.parametrize(
    ("params", "layers", "width"),
    [(125e6, 12, 768), (1.3e9, 24, 2048), (7e9, 32, 4096), (13e9, 40, 5120), (70e9, 80, 8192), (175e9, 96, 12288)],
)
def test_the_proportions_are_those_of_published_models(params: float, layers: int, width: int) -> None:
    shape, _ = shape_for(params)
    assert shape.layers == pytest.approx(layers, rel=0.1)
    assert shape.width == pytest.approx(width, rel=0.15)


@pytest.mark.parametrize("params", [2e9, 7e9, 40e9, 3e11])
def test_large_models_can_be_split(params: float) -> None:
    shape, _ = shape_for(params)
    assert shape.heads % 8 == 0
    assert shape.layers % 2 == 0
    assert (shape.kv_heads == 8) == (params >= 30e9)


def test_the_smallest_have_a_smaller_vocabulary_and_say_so() -> None:
    shape, facts = shape_for(1e6)
    assert shape.vocab < 50_304
    assert "smaller" in next(f for f in facts if f.name == "vocabulary").why
    assert shape_for(125e6)[0].vocab == 50_304


@settings(max_examples=60, deadline=None)
@given(st.floats(8, math.log10(2e13)).map(lambda power: 10**power), st.floats(0.02, 0.9))
def test_a_mixture_meets_both_counts_within_five_percent(params: float, share: float) -> None:
    shape, _ = shape_for(params, params * share)
    workload = lower(shape, "sized")
    assert shape.experts is not None
    assert 8 <= shape.experts.count <= 256
    assert workload.parameters == pytest.approx(params, rel=0.05)
    assert workload.active_parameters == pytest.approx(params * share, rel=0.05)


def one_line(error: UsageError) -> None:
    assert error.hint
    assert "\n" not in error.message


@settings(max_examples=60, deadline=None)
@given(st.floats(5, 14).map(lambda p: min(max(10**p, 1e5), 1e14)), st.floats(0, 1))
def test_any_other_mixture_is_one_line(params: float, share: float) -> None:
    try:
        shape_for(params, params * share)
    except UsageError as error:
        one_line(error)


def test_as_many_active_as_all_is_dense() -> None:
    assert shape_for(7e9, 7e9) == shape_for(7e9)


@pytest.mark.parametrize("params", [1e40, 1e15, 99_999, 0, -1, math.nan, math.inf, True, "7B", None])
def test_a_count_out_of_range_is_refused(params: Any) -> None:
    with pytest.raises(UsageError) as error:
        shape_for(params)
    assert error.value.hint
    assert "\n" not in error.value.message


def test_more_active_than_all_and_too_few_are_refused() -> None:
    with pytest.raises(UsageError) as error:
        shape_for(1e9, 2e9)
    assert "2.00B active of 1.00B" in error.value.message
    with pytest.raises(UsageError, match="no mixture"):
        shape_for(1e12, 1e6)


def test_aspect_runs_through_published_models_and_stays_at_the_ends() -> None:
    assert aspect(1.0) == aspect(125e6) == 64
    assert aspect(10e9) == 128
    assert 102 < aspect(100e9) < 128
    assert aspect(1e14) == 130


@pytest.mark.parametrize(
    ("params", "batch"), [(125e6, 2**19), (1.3e9, 2**20), (6.7e9, 2**21), (70e9, 2**22), (405e9, 2**24)]
)
def test_the_recipe_is_that_of_published_runs(params: float, batch: int) -> None:
    found = recipe(params)
    assert found.tokens == 20 * params
    assert found.global_batch_tokens == batch
    assert all(f.why for f in found.facts)


def test_a_mixture_learns_by_its_active_parameters() -> None:
    assert recipe(671e9, 37e9).tokens == 20 * 37e9
    workload = lower(shape_for(47e9, 13e9)[0], "mixture")
    assert recipe_for(workload).tokens == 20 * workload.active_parameters


def test_a_presets_own_sequence_length_is_kept() -> None:
    found = recipe(340e6, seq_len=512)
    assert found.seq_len == 512
    assert found.global_batch_tokens % 512 == 0
    assert not any(f.name == "sequence length" for f in found.facts)


@settings(max_examples=100, deadline=None)
@given(st.floats(1, 1e15), st.none() | st.integers(1, 10**7))
def test_a_batch_is_whole_sequences(params: float, seq_len: int | None) -> None:
    found = recipe(params, seq_len=seq_len)
    sequences, rest = divmod(found.global_batch_tokens, found.seq_len)
    assert rest == 0
    assert sequences >= 1
    assert sequences & (sequences - 1) == 0


def test_what_its_makers_published_comes_before_its_size() -> None:
    known = PreTraining(tokens=15e12, global_batch_tokens=16_000_000, seq_len=8192, epochs=2.5, source="a report")
    found = recipe(8e9, seq_len=8192, published=known)
    assert (found.tokens, found.seq_len) == (15e12, 8192)
    assert found.global_batch_tokens == pytest.approx(16e6, rel=0.05)
    assert found.global_batch_tokens % (8192 * 64) == 0
    assert {f.origin for f in found.facts} == {Origin.PUBLISHED}
    # Both numbers, and whose they are.
    assert "15.0T" in found.tokens_fact.value
    assert "160B" in found.tokens_fact.value
    assert "2.5" in found.tokens_fact.why
    assert all("a report" in f.why for f in found.facts)


def test_what_was_not_published_goes_by_size_and_says_so() -> None:
    nothing = recipe(8e9, seq_len=8192, published=PreTraining(source="looked for"))
    assert nothing[:3] == recipe(8e9, seq_len=8192)[:3]
    assert {f.origin for f in nothing.facts} == {Origin.ASSUMED}
    assert "not publish" in nothing.tokens_fact.why
    tokens_alone = recipe(8e9, seq_len=8192, published=PreTraining(tokens=2e12, source="a card"))
    assert tokens_alone.tokens == 2e12
    assert tokens_alone.batch_fact.origin is Origin.ASSUMED
    assert tokens_alone.global_batch_tokens == recipe(8e9, seq_len=8192).global_batch_tokens


def test_tokens_at_the_compute_optimum_are_not_told_apart_from_it() -> None:
    assert recipe(8e9, published=PreTraining(tokens=161e9, source="x")).tokens_fact.value == "161B"


def test_a_published_batch_leaves_steps_to_learn_in() -> None:
    known = PreTraining(tokens=15e12, global_batch_tokens=16_000_000, seq_len=8192, source="a report")
    found = recipe(8e9, seq_len=8192, tokens=1e9, published=known)
    assert found.global_batch_tokens <= 2 * 1e9 / 1000
    assert found.batch_fact.origin is Origin.ASSUMED


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**8), st.integers(1, 10**5))
def test_any_published_batch_is_whole_sequences(batch: int, seq_len: int) -> None:
    published = PreTraining(tokens=1e15, global_batch_tokens=batch, source="x")
    found = recipe(1e9, seq_len=seq_len, published=published)
    assert found.global_batch_tokens % seq_len == 0
    assert found.global_batch_tokens >= seq_len
    if batch >= 20 * seq_len:
        assert found.global_batch_tokens == pytest.approx(batch, rel=0.0501)


@pytest.mark.parametrize(
    ("params", "active", "seq_len"), [(0, None, None), (math.nan, None, None), (1e9, -1, None), (1e9, None, 0)]
)
def test_a_recipe_of_nothing_is_refused(params: float, active: float | None, seq_len: int | None) -> None:
    with pytest.raises(UsageError):
        recipe(params, active, seq_len)


def test_sequence_lengths() -> None:
    assert [sequence_length(p)[0] for p in (1e8, 1e9, 70e9, 405e9)] == [2048, 4096, 4096, 8192]


def test_tokens_of_a_text() -> None:
    tokens, fact = tokens_of_bytes(1e12)
    assert tokens == 2.5e11
    assert fact.origin is Origin.ASSUMED
    for size in (0, -1, math.nan, math.inf):
        with pytest.raises(UsageError):
            tokens_of_bytes(size)
