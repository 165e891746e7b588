"""How often spot machines are taken: rows of the table, and which one a machine has."""

from collections.abc import Callable

import pytest

from zenplan.adapters.files.csv_file import DataRow, data_rows
from zenplan.adapters.tables import interruptions as table
from zenplan.adapters.tables.interruptions import COLUMNS, FILE, interruptions
from zenplan.domain.answer.answer import Answer
from zenplan.domain.market.offer import Billing
from zenplan.errors import DataError

ROW = {
    "provider": "p",
    "accelerator_or_instance": "m",
    "rate_per_h_low": "0.0001",
    "rate_per_h": "0.0002",
    "rate_per_h_high": "0.0004",
    "what": "5 to 10 % a month",
    "as_of": "2026-05-01",
    "source": "somewhere",
}


def row(**changes: str) -> DataRow:
    return DataRow(FILE, 2, {**ROW, **changes})


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        ("p", "m"): interruptions(row(rate_per_h="0.0003")),
        ("p", "X100"): interruptions(row(rate_per_h="0.0002")),
        ("p", ""): interruptions(row(rate_per_h="0.0001")),
    }
    monkeypatch.setattr(table, "_rates", lambda: found)


@pytest.mark.parametrize(
    ("machine", "of_an_hour"),
    [
        (("p", "m", "X100"), 0.0003),
        (("p", "n", "X100"), 0.0002),
        (("p", "n", "Y100"), 0.0001),
        (("q", "m", "X100"), None),
    ],
)
def test_its_own_row_comes_first(rates: None, machine: tuple[str, str, str], of_an_hour: float | None) -> None:
    found = table.interruptions_of(*machine)
    assert (found and found.per_node_s.mid * 3600) == pytest.approx(of_an_hour)


def test_a_row_without_ends_is_one_figure() -> None:
    found = interruptions(row(rate_per_h_low="", rate_per_h_high="", as_of=""))
    assert found.per_node_s.low == found.per_node_s.high
    assert found.as_of is None


@pytest.mark.parametrize(
    "changes",
    [
        {"rate_per_h": ""},
        {"rate_per_h": "0.0005"},
        {"rate_per_h_high": "1.5"},
        {"as_of": "May"},
        {"source": ""},
        {"what": ""},
    ],
)
def test_a_row_that_cannot_be_says_where(changes: dict[str, str]) -> None:
    with pytest.raises(DataError, match=f"{FILE}, line 2"):
        interruptions(row(**changes))


def test_the_table_that_ships_can_be_read() -> None:
    for each in data_rows(FILE, COLUMNS):
        found = interruptions(each)
        assert found.per_node_s.low <= found.per_node_s.high


def test_a_published_rate_is_in_the_quote_and_in_its_run(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"params": 1e9, "tokens": 2e10, "gpu": "a100-80gb", "gpus": 8, "billing": Billing.SPOT}
    often = interruptions(row(rate_per_h_low="0.02", rate_per_h="0.03", rate_per_h_high="0.04"))
    monkeypatch.setattr("zenplan.commands.estimate.offers.interruptions_of", lambda *_: None)
    assumed = ask(**asked)
    monkeypatch.setattr("zenplan.commands.estimate.offers.interruptions_of", lambda *_: often)
    published = ask(**asked)
    assert published.recommended.quote.interruptions == often
    assert published.recommended.wall_clock_s.mid > assumed.recommended.wall_clock_s.mid
    names = [fact.name for fact in published.plan.facts]
    assert "spot preemption" in names
