"""The bundled table of accelerators: every name finds its row, every figure is sane and has a source."""

import csv
from collections import defaultdict
from datetime import date
from importlib.resources import files
from itertools import pairwise

import pytest

from zenplan.adapters.tables.accelerators import SOURCE_KEYS, read_accelerators
from zenplan.domain.hardware.catalogue import Catalogue, plain
from zenplan.errors import DataError, UnknownName

ACCELERATORS = read_accelerators()
CATALOGUE = Catalogue(accelerators=ACCELERATORS)


def listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


# Names that published runs and price lists use.
NAMES_IN_USE = listed(
    """
    A10, A100, A100-PCIE-40GB, A100-PCIE-80GB, A100-SXM4-40GB, A100-SXM4-80GB, A10G, A16, A30, A40,
    Ascend910, B200-SXM-180GB, B300-SXM-270GB, GB200-186GB, GB300-278GB, GH200-96GB, GTX-1080-Ti,
    GTX1080Ti, Gaudi1, Gaudi2, H100-NVL-94GB, H100-PCIE-80GB, H100-SXM5-80GB, H100-SXM5-96GB-500W,
    H200-SXM-141GB, Inferentia1, Inferentia2, K80, L4, L40, L40S, M40, MI100, MI210, MI250, MI300X,
    MI355X, P100-PCIE-16GB, P100-PCIe-16GB?, P100-SXM2-16GB, Quadro-RTX-5000, Quadro-RTX-6000,
    Quadro-RTX-8000, RTX-2070-Max-Q, RTX-2080-Max-Q, RTX-2080-Super-Max-Q, RTX-2080-Ti, RTX-3060,
    RTX-3070, RTX-3080, RTX-3080-Max-Q, RTX-3080-Ti, RTX-3090, RTX-3090-Ti, RTX-4000-Ada, RTX-4070,
    RTX-4070-Ti, RTX-4080, RTX-4090, RTX-5070, RTX-5070-Ti, RTX-5080, RTX-5090, RTX-6000-Ada, RTX-A4000,
    RTX-A5000, RTX-A6000, RTX-PRO-6000-BSE, RX-7900-XTX, Radeon-Pro-VII, T4, T4G, TPU-v2, TPU-v3,
    TPU-v4, TPU-v5e, TPU-v5p, TPU-v6e, Titan-RTX, TitanX-Maxwell, TitanX-Pascal, TitanXp, Trainium1,
    V100, V100-PCIE-16GB, V100-PCIE-32GB, V100-PCIe-16GB?, V100-SXM2-16GB, V100-SXM2-32GB,
    V100-SXM3-32GB, V100-SXM3-32GB-450W, A100-SXM4-40GB (GCE a2-highgpu-1g), Ascend 910 Premium A,
    Ascend 910 Pro A, Graphcore Bow IPU, Graphcore IPU GC200, Habana Gaudi HL-205
    """
)

# What people type, and the product they mean.
TYPED = {
    "h100": "H100-SXM5-80GB",
    "h100-sxm": "H100-SXM5-80GB",
    "h100-pcie": "H100-PCIE-80GB",
    "h100-nvl": "H100-NVL-94GB",
    "h200": "H200-SXM-141GB",
    "h20": "H20-96GB",
    "a100": "A100-SXM4-80GB",
    "a100-40gb": "A100-SXM4-40GB",
    "A100 80GB": "A100-SXM4-80GB",
    "v100": "V100-SXM2-16GB",
    "p100": "P100-SXM2-16GB",
    "b200": "B200-SXM-180GB",
    "gb200": "GB200-186GB",
    "l40s": "L40S",
    "4090": "RTX-4090",
    "rtx4090": "RTX-4090",
    "RTX 5090": "RTX-5090",
    "a6000": "RTX-A6000",
    "rtx-pro-6000": "RTX-PRO-6000-BSE",
    "mi300x": "MI300X",
    "tpu-v5p": "TPU-v5p",
    "v5litepod": "TPU-v5e",
    "trn1": "Trainium1",
    "gaudi2": "Gaudi2",
    "GTX1080Ti": "GTX-1080-Ti",
    "V100-PCIe-16GB?": "V100-PCIE-16GB",
    "Habana Gaudi HL-205": "Gaudi1",
    "Ascend 910 Pro A": "Ascend910",
    "A100-SXM4-40GB (GCE a2-highgpu-1g)": "A100-SXM4-40GB",
}

NVML = {
    "NVIDIA H100 80GB HBM3": "H100-SXM5-80GB",
    "NVIDIA H100 PCIe": "H100-PCIE-80GB",
    "NVIDIA H100 NVL": "H100-NVL-94GB",
    "NVIDIA H200": "H200-SXM-141GB",
    "NVIDIA H200 NVL": "H200-NVL-141GB",
    "NVIDIA H20": "H20-96GB",
    "NVIDIA A100-SXM4-80GB MIG 1g.10gb": "A100-SXM4-80GB 1g.10gb",
    "NVIDIA A100 80GB PCIe": "A100-PCIE-80GB",
    "NVIDIA A10": "A10",
    "NVIDIA A10G": "A10G",
    "NVIDIA L4": "L4",
    "NVIDIA L40": "L40",
    "NVIDIA L40S": "L40S",
    "Tesla T4": "T4",
    "GeForce RTX 2080 Ti": "RTX-2080-Ti",
    "NVIDIA GH200 480GB": "GH200-96GB",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "RTX-PRO-6000-BSE",
    "NVIDIA RTX 6000 Ada Generation": "RTX-6000-Ada",
    "NVIDIA RTX A4000": "RTX-A4000",
}

MOST_RENTED = listed(
    """
    L4, T4, H100-SXM5-80GB, L40S, A100-SXM4-80GB, A100-SXM4-40GB, A100-PCIE-80GB, H200-SXM-141GB,
    RTX-PRO-6000-BSE, A10G, A10, RTX-A6000, B200-SXM-180GB, V100-SXM2-16GB, V100-PCIE-16GB,
    H100-PCIE-80GB, RTX-4090, H100-NVL-94GB, RTX-5090, MI300X
    """
)

# Where multiprocessors × clock × FLOP per clock is rightly not the peak, and why.
NOT_BY_CLOCK = {
    ("H20-96GB", "fp32"): "NVIDIA claims 44; 78 SMs at 1980 MHz give 39.5",
    ("H20-141GB", "fp32"): "as the H20 of 96 GB",
    ("MI100", "bf16"): "half the fp16 rate, which tensor_flop_per_clock states",
    ("Gaudi3", "fp16"): "a quarter of the bf16 rate, which tensor_flop_per_clock states",
}
# Where one dtype is rightly more than about twice the next wider one, and why.
NOT_BY_HALVES = {
    ("Trainium2", "tf32"): "AWS states one rate for bf16, fp16 and tf32",
    ("Trainium3", "tf32"): "as Trainium2",
    ("Trainium3", "fp8"): "MX formats alone: AWS states 3.75 times the rate of bf16",
    ("B300-SXM-270GB", "fp4"): "three times the fp8 rate: Blackwell Ultra has more units for fp4 alone",
    ("GB300-278GB", "fp4"): "as B300",
}


def names_of(accelerator):
    return [accelerator.name, *accelerator.aliases, *accelerator.nvml_names]


def test_there_are_about_a_hundred():
    assert len(ACCELERATORS) >= 100


def test_no_name_or_alias_has_two_owners_and_memory_tells_cards_of_one_nvml_name_apart():
    owners = defaultdict(list)
    for each in ACCELERATORS:
        for name in {plain(n) for n in names_of(each)}:
            owners[name].append(each)
    for name, several in owners.items():
        of_nvml = all(name in map(plain, each.nvml_names) for each in several)
        sizes = sorted(each.memory_bytes for each in several)
        assert len(several) == 1 or (of_nvml and all(b / a > 1.2 for a, b in pairwise(sizes))), name


def test_every_name_finds_its_own_row():
    for accelerator in ACCELERATORS:
        own = [accelerator.name, *accelerator.aliases]
        assert {CATALOGUE.by_name(name).name for name in own} == {accelerator.name}
        for name in accelerator.nvml_names:
            found = CATALOGUE.by_nvml(name, accelerator.visible_bytes or accelerator.memory_bytes)
            assert found is not None, name
            assert found.name == accelerator.name


@pytest.mark.parametrize(
    ("text", "mib", "name"),
    [
        ("NVIDIA GeForce RTX 3060", 12288, "RTX-3060"),
        ("NVIDIA GeForce RTX 3060", 8192, "RTX-3060-8GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 16380, "RTX-4060-Ti-16GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 8188, "RTX-4060-Ti"),
        ("NVIDIA GeForce RTX 5060 Ti", 16311, "RTX-5060-Ti-16GB"),
        ("NVIDIA GeForce RTX 5060 Ti", 8151, None),
        ("NVIDIA GeForce RTX 3080", 12288, None),
        ("NVIDIA A40", 45403, "A40"),
        ("NVIDIA RTX PRO 5000 Blackwell", 48935, "RTX-PRO-5000-48GB"),
        ("NVIDIA RTX PRO 5000 Blackwell", 73415, "RTX-PRO-5000-72GB"),
        ("NVIDIA H20-3e", 143771, "H20-141GB"),
        ("NVIDIA GB10", 122502, "GB10"),
        ("NVIDIA B300", 275040, "B300-SXM-270GB"),
        ("NVIDIA GH200 480GB", 97871, "GH200-96GB"),
    ],
)
def test_memory_tells_which_card_it_is(text, mib, name):
    found = CATALOGUE.by_nvml(text, mib * 2**20)
    assert (found and found.name) == name
    assert bool(CATALOGUE.why_none(text, mib * 2**20)) == (name is None)


@pytest.mark.parametrize(
    ("text", "whole", "computes", "memory"),
    [
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "A100-SXM4-40GB", 1 / 7, 1 / 8),
        ("NVIDIA A100-SXM4-40GB MIG 1g.10gb", "A100-SXM4-40GB", 1 / 7, 2 / 8),
        ("NVIDIA A100-SXM4-80GB MIG 7g.80gb", "A100-SXM4-80GB", 1, 1),
        ("NVIDIA H100 80GB HBM3 MIG 3g.40gb", "H100-SXM5-80GB", 3 / 7, 4 / 8),
        ("NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb", "H100-SXM5-80GB", 1 / 7, 4 / 8),
        ("NVIDIA H200 MIG 1g.18gb", "H200-SXM-141GB", 1 / 7, 1 / 8),
        ("NVIDIA B200 MIG 2g.45gb", "B200-SXM-180GB", 2 / 7, 2 / 8),
        ("NVIDIA A30 MIG 1g.6gb", "A30", 1 / 4, 1 / 4),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 2g.48gb", "RTX-PRO-6000-BSE", 2 / 4, 2 / 4),
    ],
)
def test_a_slice_has_its_share(text, whole, computes, memory):
    found, sheet = CATALOGUE.by_nvml(text), CATALOGUE.by_name(whole)
    assert found.peak("bf16") == pytest.approx(sheet.peak("bf16") * computes)
    assert found.memory_bytes_per_s == pytest.approx(sheet.memory_bytes_per_s * memory)
    assert found.memory_bytes <= sheet.memory_bytes
    assert (found.link, found.node_devices, found.architecture) == ("pcie", 1, sheet.architecture)
    assert CATALOGUE.by_nvml(text, found.memory_bytes * 0.97) is found


@pytest.mark.parametrize(
    "text",
    [
        "Tesla V100-SXM2-16GB MIG 1g.2gb",
        "NVIDIA A100-SXM4-40GB MIG 8g.40gb",
        "NVIDIA A100-SXM4-40GB MIG 1g.80gb",
        "NVIDIA A100-SXM4-40GB MIG 2c.1g.5gb",
        "NVIDIA A30 MIG 7g.24gb",
        "GRID A100D-40C",
        "NVIDIA A40-48Q",
    ],
)
def test_no_slice_is_guessed(text):
    assert CATALOGUE.by_nvml(text) is None
    assert CATALOGUE.why_none(text)


def test_the_names_in_use_are_known():
    without = [name for name in NAMES_IN_USE if not CATALOGUE.by_name(name).peak_flop_per_s]
    assert set(without) <= {"Gaudi1", "Habana Gaudi HL-205"}


def test_what_people_type_is_what_they_mean():
    assert {typed: CATALOGUE.by_name(typed).name for typed in TYPED} == TYPED


def test_nvml_names_find_their_product():
    found = {text: CATALOGUE.by_nvml(text) for text in NVML}
    assert {text: each and each.name for text, each in found.items()} == NVML


@pytest.mark.parametrize("name", ["TPU", "N/A", "titan x", "rtx 6000", "gpu", ""])
def test_an_ambiguous_name_is_unknown(name):
    with pytest.raises(UnknownName):
        CATALOGUE.by_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "NVIDIA H100",
        "NVIDIA GeForce RTX 3080 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA A10-24Q",
        "NVIDIA A100X",
        "NVIDIA Graphics Device",
        "NVIDIA RTX PRO 4500 Blackwell Server Edition",
        "Apple M4 Nano",
    ],
)
def test_an_nvml_name_of_another_product_is_unknown(text):
    assert CATALOGUE.by_nvml(text) is None


def expected_peak(accelerator, dtype):
    """What multiprocessors and clock give, or None where the table does not say."""
    if dtype == "fp32":
        factors = (accelerator.clock_hz, accelerator.fp32_flop_per_clock)
    else:
        factors = (accelerator.tensor_clock_hz or accelerator.clock_hz, accelerator.tensor_flop_per_clock)
    if accelerator.multiprocessors is None or None in factors:
        return None
    return accelerator.multiprocessors * factors[0] * factors[1]


def by_clock():
    for each in ACCELERATORS:
        for dtype in ("fp32", "fp16", "bf16"):
            if each.peak(dtype) and expected_peak(each, dtype):
                yield each, dtype


def test_a_peak_is_multiprocessors_times_clock():
    ratios = {(each.name, dtype): expected_peak(each, dtype) / each.peak(dtype) for each, dtype in by_clock()}
    assert len(ratios) > 100
    assert {key: ratio for key, ratio in ratios.items() if abs(ratio - 1) > 0.03}.keys() == NOT_BY_CLOCK.keys()


def sixteen_bit_peak(accelerator):
    return accelerator.peak("bf16") or accelerator.peak("fp16")


def test_no_peak_is_sparse():
    above = {}
    for each in filter(sixteen_bit_peak, ACCELERATORS):
        # GeForce halves 16-bit products that accumulate in fp32, and not the integer and fp4 ones.
        halved = 2 if each.tensor_flop_per_clock == 512 else 1
        for dtype, times in {"tf32": 0.5, "fp8": 2, "int8": 2 * halved, "fp4": 4 * halved}.items():
            ratio = (each.peak(dtype) or 0) / sixteen_bit_peak(each)
            if ratio > 1.05 * times:
                above[each.name, dtype] = ratio
    assert above.keys() == NOT_BY_HALVES.keys(), above


@pytest.mark.parametrize(
    ("name", "dtype", "tflops"),
    [
        ("H100-SXM5-80GB", "bf16", 989.4),
        ("H200-SXM-141GB", "bf16", 989.4),
        ("H100-NVL-94GB", "bf16", 835.5),
        ("T4", "fp16", 65),
        ("A10G", "fp16", 70),
        ("L4", "bf16", 121),
        ("RTX-4090", "bf16", 165.2),
        ("RTX-5090", "bf16", 209.5),
        ("RTX-3090", "fp16", 71),
        ("Gaudi3", "bf16", 1677),
        ("Trainium3", "bf16", 671),
        ("RTX-PRO-5000", "bf16", 258),
        ("M1 Max", "fp32", 10.62),
        ("M4-Max", "fp16", 14.13),
    ],
)
def test_the_traps_of_the_data_sheets(name, dtype, tflops):
    assert CATALOGUE.by_name(name).peak(dtype) == pytest.approx(tflops * 1e12)


def test_figures_are_in_base_units():
    h100 = CATALOGUE.by_name("h100")
    assert (h100.clock_hz, h100.tensor_clock_hz) == (1.98e9, 1.83e9)
    assert (h100.memory_bytes, h100.memory_bytes_per_s) == (80e9, 3.35e12)
    assert (h100.link, h100.link_bytes_per_s, h100.link_devices) == ("nvlink", 450e9, 8)
    assert (h100.network_bytes_per_s, h100.power_w, h100.compute_capability) == (50e9, 700.0, "9.0")


def test_every_figure_has_a_source_a_status_and_a_date():
    optional = {"link_devices": 1, "node_devices": 1}
    for accelerator in ACCELERATORS:
        given = {
            key
            for key in SOURCE_KEYS.values()
            if not key.startswith("peak_") and getattr(accelerator, key) not in (None, optional.get(key))
        } | {f"peak_flop_per_s.{dtype}" for dtype in accelerator.peak_flop_per_s}
        assert given - set(accelerator.sources) == set(), accelerator.name
        for figure, source in accelerator.sources.items():
            assert date.fromisoformat(source.date) >= date(2026, 11, 23), (accelerator.name, figure)


def test_a_link_that_joins_has_a_rate():
    for accelerator in ACCELERATORS:
        joins = accelerator.link != "pcie"
        assert (accelerator.link_bytes_per_s is not None) == joins, accelerator.name
        assert (accelerator.link_devices > 1) == joins, accelerator.name


def test_the_most_rented_were_looked_up():
    for name in MOST_RENTED:
        sources = CATALOGUE.by_name(name).sources
        looked_up = {key for key, source in sources.items() if source.status == "read"}
        assert any(key.startswith("peak_flop_per_s.") for key in looked_up), name
        assert len(looked_up) >= 4, name


def test_no_text_of_the_table_holds_a_path_of_some_machine():
    for file in ("accelerators.csv", "accelerator_figures.csv"):
        text = (files("zenplan") / "data" / file).read_text(encoding="utf-8")
        assert not any(word in text for word in ("/home/", "/tmp/", "../", "\r", "\t"))
        assert list(csv.reader(text.splitlines()))


GOOD_ROW = "X1,Maker,Arch,Maker X1,x,,pcie,yes,yes,"
GOOD_FIGURES = ["X1,memory_gb,10,sheet,read,2026-11-23", "X1,memory_gb_per_s,100,sheet,read,2026-11-23"]
HEADER = "name,vendor,architecture,nvml_names,aliases,compute_capability,link,trains,peer_access,notes"
FIGURES_HEADER = "accelerator,figure,value,source,status,date"


def read(folder, row=GOOD_ROW, figures=(), header=HEADER):
    (folder / "accelerators.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    lines = "\n".join([FIGURES_HEADER, *GOOD_FIGURES, *figures])
    (folder / "accelerator_figures.csv").write_text(lines + "\n", encoding="utf-8")
    return read_accelerators(folder)


def test_another_folder_can_be_read(tmp_path):
    (only,) = read(tmp_path, figures=["X1,bf16_tflops,2.5,a sum,derived,2026-11-23"])
    assert (only.name, only.aliases, only.nvml_names, only.memory_bytes) == ("X1", ("x",), ("Maker X1",), 10e9)
    assert only.compute_capability is None
    assert (only.trains, only.peer_access) == (True, True)
    assert only.peak("bf16") == 2.5e12
    assert only.sources["peak_flop_per_s.bf16"].status == "derived"


@pytest.mark.parametrize(("cells", "found"), [("yes,no", (True, False)), ("no,yes", (False, True))])
def test_training_and_peer_access_are_columns_of_their_own(tmp_path, cells, found):
    (only,) = read(tmp_path, row=GOOD_ROW.replace("yes,yes", cells))
    assert (only.trains, only.peer_access) == found


def test_geforce_has_no_peer_access_and_the_data_centre_has():
    names = ("RTX-4090", "RTX-5090", "L40S", "H100-PCIE-80GB")
    assert [CATALOGUE.by_name(name).peer_access for name in names] == [False, False, True, True]


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ("X1,power_w,many,sheet,read,2026-11-23", "line 4, column value: 'many' is not a number above zero"),
        ("X1,power_w,0,sheet,read,2026-11-23", "line 4, column value: '0' is not"),
        ("X1,power_w,nan,sheet,read,2026-11-23", "line 4, column value: 'nan' is not"),
        ("X1,power_w,-5,sheet,read,2026-11-23", "line 4, column value: '-5' is not"),
        ("X1,multiprocessors,1.5,sheet,read,2026-11-23", "column value: '1.5' is not a whole number"),
        ("X1,colour,5,sheet,read,2026-11-23", "column figure: unknown figure 'colour'"),
        ("X2,power_w,5,sheet,read,2026-11-23", "column accelerator: 'X2' is not in accelerators.csv"),
        ("X1,memory_gb,5,sheet,read,2026-11-23", "column figure: memory_gb of X1 is given twice"),
        ("X1,power_w,5,,read,2026-11-23", "source: text must be a name"),
        ("X1,power_w,5,sheet,heard,2026-11-23", "source: status is 'heard'"),
        ("X1,power_w,5,sheet,read", "column date: the row has 5 cells, not 6"),
        ("X1,power_w,5,sheet,read,2026-11-23,more", "column date: the row has 7 cells, not 6"),
        ('X1,power_w,5,"sheet', "not valid CSV"),
    ],
)
def test_a_malformed_figure_is_an_error_that_says_where(tmp_path, figure, message):
    with pytest.raises(DataError) as caught:
        read(tmp_path, figures=[figure])
    assert caught.value.message.startswith("accelerator_figures.csv, line 4")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("X1,,Arch,,,,pcie,yes,yes,", "line 2, column vendor: is empty"),
        ("X1,Maker,Arch,,,,string,yes,yes,", "line 2, column link: accelerator X1: link is 'string'"),
        ("X1,Maker,Arch,,,,pcie", "line 2, column trains: the row has 7 cells, not 10"),
        (f"{GOOD_ROW}\n{GOOD_ROW}", "line 3, column name: 'X1' is already on line 2"),
        (f"{GOOD_ROW}\nX2,Maker,Arch,,,,pcie,yes,yes,", "line 3, column name: X2 has no memory_gb"),
    ],
)
def test_a_malformed_product_is_an_error_that_says_where(tmp_path, row, message):
    with pytest.raises(DataError) as caught:
        read(tmp_path, row=row)
    assert caught.value.message.startswith(f"accelerators.csv, {message}")


def test_other_columns_are_an_error(tmp_path):
    with pytest.raises(DataError, match="line 1: no column aliases"):
        read(tmp_path, header="name,vendor")
    with pytest.raises(DataError, match="line 1: colour is no column of it"):
        read(tmp_path, row=f"{GOOD_ROW},red", header=f"{HEADER},colour")
