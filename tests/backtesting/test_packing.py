"""How a row says that texts are packed."""

from dataclasses import replace

import pytest

from zenplan.adapters.tables.models import models_by_name
from zenplan.backtesting.packing import packed
from zenplan.domain.model.operators import Attention
from zenplan.families.transformer.lowering import lower
from zenplan.families.transformer.presets import plain


def attention(*options: str) -> list[Attention]:
    shape = replace(models_by_name()[plain("llama2-7b")].shape, seq_len=2048)
    blocks = packed(lower(shape, "test"), options).blocks
    return [op for block in blocks for op in block.operators if isinstance(op, Attention)]


def test_packed_texts_that_do_not_see_each_other_have_less_attention() -> None:
    """2048 tokens in ten texts: a query sees a tenth of the keys, and as much is read and kept."""
    for whole, apart in zip(attention("packed"), attention("packed", "apart-205"), strict=True):
        assert apart.flop == pytest.approx(whole.flop / 10, rel=0.02)
        assert apart.io_elements == pytest.approx(whole.io_elements, rel=0.01)
    assert attention("packed", "apart-4096") == attention("packed")


def test_runs_on_data_packed_alike_share_a_workload() -> None:
    workload = lower(models_by_name()[plain("llama2-7b")].shape, "test")
    assert packed(workload, ("apart-205",)) is packed(workload, ("liger", "apart-205"))
    assert packed(workload, ("packed",)) is workload
