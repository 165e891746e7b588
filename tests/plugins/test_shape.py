"""What plugins hand over, as plain values of its declared types."""

from __future__ import annotations

from dataclasses import replace

from zenplan.adapters.prices.table import bundled_tables
from zenplan.domain.market.offer import PriceTable, Terms
from zenplan.plugins.shape import owned


class Text(str):
    """One that is equal to nothing."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def test_a_table_of_zenplans_own_that_a_plugin_hands_over_is_taken_as_it_is() -> None:
    for table in bundled_tables():
        assert owned(table, PriceTable) is table


def test_terms_within_terms_are_made_plain() -> None:
    whole = Terms(provider="shop", source="a page")
    odd = replace(whole, exceptions=((Text("BM."), replace(whole, source=Text("a page"))),))
    plain = owned(odd, Terms)
    assert plain == replace(whole, exceptions=(("BM.", whole),))
    assert [type(text) for text in (plain.exceptions[0][0], plain.exceptions[0][1].source)] == [str, str]
