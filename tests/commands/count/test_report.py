"""The tree of layers, its sums and marks, and the totals."""

from __future__ import annotations

from typing import Any

import pytest

from zenplan.adapters.formats import table, to_csv
from zenplan.commands.count.report import count_report
from zenplan.domain.model.count import LayerCount, ModelCount
from zenplan.domain.model.operators import Convolution, Elementwise, MatMul, Split
from zenplan.domain.precision import PRECISIONS
from zenplan.domain.report import Report


def product(rows: float = 1, saved: float = 100) -> MatMul:
    return MatMul(name="p", rows=rows, inner=100, columns=100, split=Split.NONE, saved=saved)


def dense(*path: str, **more: Any) -> LayerCount:
    return LayerCount(
        **{
            "path": path,
            "kind": "Dense",
            "output_shape": (None, 100),
            "parameters": 10_000,
            "trainable_parameters": 10_000,
            "operators": (product(),),
            **more,
        }
    )


CONVOLUTION = Convolution(
    name="c", positions=64, window=9, inputs=3, outputs=8, input_elements=192, output_elements=512
)
NET = ModelCount(
    name="net",
    backend="jax",
    input_shape="8×8×3",
    layers=(
        LayerCount(
            path=("stem",),
            kind="Conv2D",
            output_shape=(None, 8, 8, 8),
            parameters=216,
            trainable_parameters=0,
            operators=(CONVOLUTION,),
        ),
        dense("body", "first", calls=2),
        dense("head"),
        dense("body", "deep", "last", method="traced", note="a loop"),
        LayerCount(path=("body", "flat"), kind="Flatten", output_shape=(None, None, 4)),
    ),
)
ODD = LayerCount(path=("body", "odd"), kind="Odd", output_shape=(1, 4), method="unknown", note="raw code")


def report(net: ModelCount = NET, batch: int = 1, depth: int | None = None, precision: str = "bf16") -> Report:
    return count_report(net, batch, PRECISIONS[precision], depth)


def cells(shown: Report, place: int = 0) -> dict[str, tuple[str, ...]]:
    return {row[0].strip(): row[1:] for row in shown.tables[place].rows}


def test_layers_stand_in_the_order_of_their_calls_beneath_their_parents() -> None:
    assert [row[0] for row in report().tables[0].rows] == [
        "stem (Conv2D)",
        "body",
        "  first (Dense) [2 calls]",
        "  deep",
        "    last (Dense) [traced]",
        "  flat (Flatten)",
        "head (Dense)",
    ]


def test_a_row_has_what_its_layer_computes_and_a_parent_their_sum() -> None:
    rows = cells(report())
    flop, read = 2 * 64 * 27 * 8, 2 * (192 + 512 + 216)
    assert rows["stem (Conv2D)"] == ("8×8×8", "216", "2.76e+04", "384 B", f"{flop / read:.1f}")
    assert rows["head (Dense)"] == ("100", "10.0K", "2.00e+04", "200 B", "0.980")
    assert rows["body"] == ("", "20.0K", "4.00e+04", "400 B", "0.980")
    assert rows["flat (Flatten)"] == ("?×4", "0", "0", "0 B", "0")


def test_depth_folds_what_is_beneath() -> None:
    one, two = report(depth=1).tables[0], report(depth=2).tables[0]
    assert [row[0] for row in one.rows] == ["stem (Conv2D)", "body [traced]", "head (Dense)"]
    assert one.rows[1][1:] == cells(report())["body"]
    assert "  deep [traced]" in [row[0] for row in two.rows]
    assert "sum" in one.caption
    assert (
        "sum"
        not in count_report(ModelCount(name="n", backend="jax", layers=(dense("a"),)), 1, PRECISIONS["bf16"])
        .tables[0]
        .caption
    )


def test_the_operations_of_the_model_itself_have_a_row() -> None:
    own = LayerCount(path=(), kind="Mine", operators=(product(),), method="traced")
    rows = report(ModelCount(name="n", backend="jax", layers=(own, dense("a")))).tables[0].rows
    assert [row[0] for row in rows] == ["the model's own call (Mine) [traced]", "a (Dense)"]


def test_totals_are_of_a_sample_and_of_a_batch() -> None:
    rows = cells(report(batch=32), 1)
    forward = 3 * 20_000 + 27_648
    assert rows["parameters"] == ("30,216", "")
    assert rows["of which trainable"] == ("30,000", "")
    assert rows["FLOP, forward"] == (f"{forward:.3e}", f"{32 * forward:.3e}")
    assert rows["FLOP, training step"] == (f"{3 * forward:.3e}", f"{96 * forward:.3e}")
    kept = 2 * (300 + 192)
    assert rows["activations kept, bf16"] == (f"{kept} B", f"{32 * kept / 1000:.1f} kB")
    assert len(report().tables[1].columns) == 2


def test_precision_is_that_of_bytes_and_changes_no_flop() -> None:
    narrow, wide = report(), report(precision="fp32")
    assert wide.document["activation_bytes"] == 2 * narrow.document["activation_bytes"]
    assert wide.document["batch"]["flop_per_byte"] == narrow.document["batch"]["flop_per_byte"] / 2
    assert wide.document["forward_flop"] == narrow.document["forward_flop"]
    assert "4 bytes an element" in wide.tables[0].caption


def test_kinds_of_operators_have_their_share() -> None:
    stream = Elementwise(name="s", elements=1000, passes=2, split=Split.NONE, saved=500)
    net = ModelCount(name="n", backend="jax", layers=(dense("a"), dense("b", operators=(stream,))))
    assert cells(report(net), 2) == {
        "product": ("1", "100 %", "84 %", "17 %"),
        "stream": ("1", "0.0 %", "16 %", "83 %"),
    }


def test_what_is_unknown_is_marked_everywhere_and_in_no_sum() -> None:
    net = ModelCount(name="net", backend="jax", layers=(*NET.layers, ODD))
    shown = report(net)
    rows = cells(shown)
    assert rows["odd (Odd) [unknown]"] == ("4", "0", "?", "?", "0")
    assert rows["body"][2] == "≥ 4.00e+04"
    assert cells(report(net, depth=1))["body [traced, unknown]"][2] == "≥ 4.00e+04"
    assert shown.document["unknown"] == ["body/odd"]
    assert shown.document["forward_flop"] == report().document["forward_flop"]
    assert any(note.startswith("UNKNOWN") and "body/odd (Odd)" in note for note in shown.notes)
    assert "body/odd: raw code" in shown.notes
    assert "body/deep/last: a loop" in shown.notes


def test_many_notes_are_cut_short() -> None:
    layers = tuple(dense(f"layer{i}", method="traced", note=f"note {i}") for i in range(40))
    notes = report(ModelCount(name="n", backend="jax", layers=layers)).notes
    assert len(notes) < 20
    assert "… and notes on 28 more layers" in notes


def test_records_are_layers_and_add_up() -> None:
    shown = report()
    assert [r["path"] for r in shown.records] == ["stem", "body/first", "head", "body/deep/last", "body/flat"]
    assert sum(r["forward_flop"] for r in shown.records) == shown.document["forward_flop"]
    assert len(to_csv(shown).splitlines()) == 6


@pytest.mark.parametrize("width", [80, 40])
def test_it_fits(width: int) -> None:
    net = ModelCount(name="net", backend="jax", layers=(*NET.layers, ODD, dense("a_name_of_many_words_" * 4)))
    assert max(map(len, table(report(net, batch=1024), width=width).splitlines())) <= width
