"""What a framework's name tells."""

import pytest

from zenplan.domain.training.traits import Trait, traits_of


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        (
            "Megatron-DeepSpeed (BigScience)",
            {"before flash", "reduces last", "tensor waits"},
            {"recipes", "fused gate"},
        ),
        ("NeMo 24.07", {"fuses attention", "tensor pipelines", "recipes"}, {"fuses experts", "before flash"}),
        ("NeMo 25.02", {"fuses experts", "fused gate"}, {"reduces last"}),
        ("Megatron-LM v1.1", {"before flash", "megatron"}, {"fuses attention"}),
        ("PaxML", {"xla attention"}, {"megatron family"}),
        ("PaxML + Transformer Engine", {"fused gate"}, {"xla attention"}),
        ("torchtitan", {"balances", "shards all"}, {"one product"}),
        ("in-house", set(), set(Trait)),
    ],
)
def test_a_name_tells_what_software_does(name: str, has: set[str], lacks: set[str]) -> None:
    assert has <= traits_of(name)
    assert not lacks & traits_of(name)
    assert traits_of(name.upper()) == traits_of(name)
