"""Plugins as they come: real distributions on disk, most of them bad, and what is left of them."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
import textwrap
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Protocol, get_type_hints

import pytest

import zenplan.plugins
from zenplan.domain.launch.job import Submission
from zenplan.domain.market.offer import PriceTable
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.several import Several
from zenplan.errors import DataError
from zenplan.plugins import Plugins, Problem, builtin, load_plugins
from zenplan.plugins.items import KINDS, MOST_ITEMS, Guarded
from zenplan.protocols import PriceProvider, Tracking, several_of

ROOT = Path(__file__).parents[2]
HEAD = """
from time import sleep
from zenplan.domain.hardware.accelerator import Accelerator
from zenplan.domain.market.offer import PriceTable
from zenplan.hookspecs import hookimpl

def sheet(name):
    return Accelerator(name=name, vendor="V", architecture="A", memory_bytes=1e9, memory_bytes_per_s=1e9)

class Shop:
    def __init__(self, name="shop"):
        self.name = name
    def bundled(self):
        return PriceTable(provider=self.name, offers=())
    def fetch(self, http):
        return self.bundled()
"""
GOOD = """
@hookimpl
def zenplan_accelerators():
    return [sheet("Good-1"), sheet("Good-2")]
"""
PLENTY_S = 30.0


class Make(Protocol):
    def __call__(self, name: str, body: str, *, head: str = ..., points: str = ..., version: str = ...) -> str: ...


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Writes a distribution: a module and its dist-info. Entry points are what importlib finds there."""
    monkeypatch.syspath_prepend(str(tmp_path))
    # A plugin that never answers leaves a stdout of its own behind.
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    before = set(sys.modules)

    def write(name: str, body: str, *, head: str = HEAD, points: str = "", version: str = "1.2") -> str:
        module = f"made_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(head + textwrap.dedent(body), encoding="utf-8")
        info = tmp_path / f"dist_{module}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        points = points or f"{name} = {module}"
        (info / "entry_points.txt").write_text(f"[zenplan]\n{points}\n", encoding="utf-8")
        importlib.invalidate_caches()
        return module

    yield write
    for module in set(sys.modules) - before:
        if module.startswith("made_"):
            del sys.modules[module]


def load(*names: str, timeout_s: float = PLENTY_S, block: str = "builtin", **environ: str) -> Plugins:
    chosen = {"ZENPLAN_PLUGINS": ",".join(names), "ZENPLAN_BLOCK": block, **environ}
    return load_plugins(chosen, timeout_s=timeout_s)


def reasons(plugins: Plugins, plugin: str) -> dict[str, str]:
    plugins.infos()
    return {p.what: p.reason for p in plugins.problems() if p.plugin.startswith(plugin)}


def names(items: tuple[Any, ...]) -> list[str]:
    return [item.name for item in items]


# --- the good


def test_zenplans_own_items_come_through_the_hooks() -> None:
    plugins = load_plugins({"ZENPLAN_PLUGINS": ""})
    (info,) = plugins.infos()
    assert (info.name, info.distribution, info.version) == ("builtin", "zenplan", zenplan.__version__)
    assert info.failures == plugins.problems() == ()
    assert "H100-SXM5-80GB" in names(plugins.accelerators())
    assert "runpod" in names(plugins.price_providers())
    assert "json" in names(plugins.exporters())
    assert plugins.workloads()
    assert info.items["zenplan_accelerators"] == len(plugins.accelerators())


def test_no_item_of_zenplans_own_is_left_out() -> None:
    plugins = load_plugins({"ZENPLAN_PLUGINS": ""})
    for hook, (noun, _) in KINDS.items():
        own = getattr(builtin, hook, tuple)()
        collected = plugins._collected(hook)
        assert len(collected) == len(tuple(own)), noun
    for provider in plugins.price_providers():
        assert plugins.bundled_table(provider).offers
    assert plugins.problems() == ()


def test_each_hook_is_asked_once(make: Make) -> None:
    module = make(
        "count",
        """
        calls = []
        @hookimpl
        def zenplan_accelerators():
            calls.append(1)
            return [sheet("Counted")]
    """,
    )
    plugins = load("count")
    assert sys.modules[module].calls == []
    assert plugins.accelerators() == plugins.accelerators()
    plugins.infos()
    assert sys.modules[module].calls == [1]


def test_plugins_come_by_distribution_and_name_and_zenplans_own_last(make: Make) -> None:
    make("b", GOOD.replace("Good", "Second"))
    make("a", GOOD.replace("Good", "First"))
    plugins = load("b", "a", block="")
    assert [info.name for info in plugins.infos()] == ["a", "b", "builtin"]
    assert names(plugins.accelerators())[:4] == ["First-1", "First-2", "Second-1", "Second-2"]
    assert "H100-SXM5-80GB" in names(plugins.accelerators())


def test_what_an_engine_trains_on_is_its_own_word_and_of_its_type(make: Make) -> None:
    make(
        "several",
        """
        from zenplan.domain.training.several import Several
        class Mine:
            extra = "mine"
            def __init__(self, name, **more):
                self.name = name
                vars(self).update(more)
            def worker(self):
                return ["mine"]
        @hookimpl
        def zenplan_engines():
            can = Several(workers=True, starts=True)
            return [Mine("silent"), Mine("many", several=can), Mine("odd", several="many")]
    """,
    )
    plugins = load("several")
    said = {engine.name: several_of(engine) for engine in plugins.engines() if isinstance(engine, Guarded)}
    assert said == {"silent": Several(), "many": Several(workers=True, starts=True)}
    assert "several" in " ".join(reasons(plugins, "several").values())


def test_an_object_and_a_generator_will_do(make: Make) -> None:
    module = make(
        "object",
        """
        class Plugin:
            @hookimpl
            def zenplan_accelerators(self):
                yield sheet("From-A-Generator")
            @hookimpl(specname="zenplan_price_providers")
            def shops(self, unused=None):
                return {"a": Shop("a-shop")}.values()
        plugin = Plugin()
    """,
        points="object = made_object:plugin",
    )
    plugins = load("object")
    assert names(plugins.accelerators()) == ["From-A-Generator"]
    assert names(plugins.price_providers()) == ["a-shop"]
    assert reasons(plugins, "object") == {}
    assert module in sys.modules


def test_all_that_is_installed_is_loaded_where_nothing_is_said(make: Make) -> None:
    make("unasked", GOOD)
    plugins = load_plugins({"ZENPLAN_BLOCK": "builtin"}, timeout_s=PLENTY_S)
    assert "Good-1" in names(plugins.accelerators())


# --- names that are used twice


def test_the_first_to_use_a_name_keeps_it_and_both_are_named(make: Make) -> None:
    make("one", GOOD)
    make("two", GOOD.replace("Good-1", "good 1").replace("Good-2", "Other"))
    plugins = load("one", "two")
    assert names(plugins.accelerators()) == ["Good-1", "Good-2", "Other"]
    assert plugins.problems() == (
        Problem(
            plugin="two (dist-two 1.2)",
            what="accelerator good 1",
            reason="one (dist-one 1.2) has that name already; the one of two (dist-two 1.2) is left out",
            kept="one (dist-one 1.2)",
        ),
    )
    assert [(i.items["zenplan_accelerators"], i.failures) for i in plugins.infos()] == [(2, ()), (1, ())]


def test_a_name_that_one_plugin_uses_twice(make: Make) -> None:
    make("same", GOOD.replace("Good-2", "Good-1"))
    plugins = load("same")
    assert names(plugins.accelerators()) == ["Good-1"]
    (problem,) = plugins.problems()
    assert problem.kept == problem.plugin == "same (dist-same 1.2)"


def test_the_runpod_plugin_wins_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "plugins" / "zenplan-runpod"
    try:
        version = importlib.metadata.version("zenplan-runpod")
    except importlib.metadata.PackageNotFoundError:
        # Not installed: give the checkout the metadata that installing it would write.
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        version = project["version"]
        info = tmp_path / f"zenplan_runpod-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: zenplan-runpod\nVersion: {version}\n", encoding="utf-8")
        points = "".join(f"{k} = {v}\n" for k, v in project["entry-points"]["zenplan"].items())
        (info / "entry_points.txt").write_text(f"[zenplan]\n{points}", encoding="utf-8")
        monkeypatch.syspath_prepend(str(folder / "src"))
        monkeypatch.syspath_prepend(str(tmp_path))
    plugins = load("runpod", block="")
    (provider,) = (each for each in plugins.price_providers() if each.name == "runpod")
    assert isinstance(provider, Guarded)
    assert type(provider._item).__module__ == "zenplan_runpod"
    assert len(plugins.bundled_table(provider).offers) == 128
    (problem,) = plugins.problems()
    assert problem.what == "price provider runpod"
    assert problem.kept == f"runpod (zenplan-runpod {version})"
    assert problem.plugin == f"builtin (zenplan {zenplan.__version__})"
    assert problem.kept in problem.reason
    assert problem.plugin in problem.reason


# --- plugins that cannot be loaded

BAD_IMPORTS = {
    "raises": ("raise ValueError('no\\n  good')", "ValueError: no good"),
    "missing": ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
    "syntax": ("def (", "SyntaxError"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "base": ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "unspeakable": ("class Odd(Exception):\n    def __str__(self): raise Odd\nraise Odd", "Odd"),
    "long": ("raise ValueError('x' * 100_000)", "ValueError: xxx"),
    "colourful": ("raise ValueError('\\x1b[31mred')", "ValueError: [31mred"),
    "empty": ("", "it implements no hook of zenplan"),
}


@pytest.mark.parametrize("case", BAD_IMPORTS)
def test_a_plugin_that_cannot_be_loaded_is_left_out(make: Make, case: str) -> None:
    body, expected = BAD_IMPORTS[case]
    make(case, "", head=body)
    make("zz-good", GOOD)
    plugins = load(case, "zz-good")
    assert names(plugins.accelerators()) == ["Good-1", "Good-2"]
    ((what, reason),) = reasons(plugins, case).items()
    assert what == "load"
    assert expected in reason
    assert reason.isprintable()
    assert len(reason) < 330
    assert [i.name for i in plugins.infos() if i.failures] == [case]


@pytest.mark.parametrize("point", ["made_astray:plugin", "made_nowhere", "made_astray:none", "not: a, path"])
def test_an_entry_point_that_leads_nowhere(make: Make, point: str) -> None:
    make("astray", "none = None", points=f"astray = {point}\nfound = made_astray:Good")
    path = Path(sys.path[0]) / "made_astray.py"
    path.write_text(path.read_text() + "\nclass Good:\n    zenplan_accelerators = staticmethod(hookimpl(list))\n")
    assert list(reasons(load("astray"), "astray")) == ["load"]


def test_a_plugin_that_prints_does_not_spoil_the_answer(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    hook = "sys.stdout.writelines(['and the ', 'hook\\n']); sys.stdout.close(); return"
    make("chatty", "import sys\nprint('hello from the import')\n" + GOOD.replace("return", hook))
    plugins = load("chatty")
    assert len(plugins.accelerators()) == 2
    print("the answer")  # noqa: T201 - what stdout is still for
    said = capsys.readouterr()
    assert said.out == "the answer\n"
    assert said.err == "hello from the import\nand the hook\n"


def test_a_broken_distribution_does_not_hide_the_others(make: Make, tmp_path: Path) -> None:
    make("healthy", GOOD)
    broken = tmp_path / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Name: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_bytes(b"[zenplan]\nx = \xff\xfe\n")
    plugins = load("healthy")
    assert names(plugins.accelerators()) == ["Good-1", "Good-2"]
    assert "UnicodeDecodeError" in reasons(plugins, "broken")["entry points"]


def test_a_distribution_without_metadata(make: Make, tmp_path: Path) -> None:
    make("nameless", GOOD)
    (tmp_path / "dist_made_nameless-1.2.dist-info" / "METADATA").unlink()
    assert names(load("nameless").accelerators()) == ["Good-1", "Good-2"]


# --- hooks that are wrong

WRONG_HOOKS = {
    "@hookimpl\ndef zenplan_acelerators(): return []": (
        "zenplan_acelerators",
        "there is no such hook; did you mean zenplan_accelerators?",
    ),
    "@hookimpl\ndef zenplan_engines(config, *, port): return []": (
        "zenplan_engines",
        "it takes arguments (config, port); a hook takes none",
    ),
    "@hookimpl(wrapper=True)\ndef zenplan_engines():\n    return (yield)": ("zenplan_engines", "wrapper"),
    "@hookimpl\nasync def zenplan_engines(): return []": ("zenplan_engines", "async"),
    "def zenplan_engines(): return []": ("zenplan_engines", "it is not marked with @hookimpl"),
}


@pytest.mark.parametrize("body", WRONG_HOOKS)
def test_a_wrong_hook_is_named_and_the_plugins_others_work(make: Make, body: str) -> None:
    make("wrong", GOOD + body)
    plugins = load("wrong")
    assert names(plugins.accelerators()) == ["Good-1", "Good-2"]
    what, expected = WRONG_HOOKS[body]
    found = reasons(plugins, "wrong")
    assert list(found) == [what]
    assert expected in found[what]
    (info,) = plugins.infos()
    assert info.hooks == ("zenplan_accelerators",)


def test_a_hook_of_another_release_may_be_optional(make: Make) -> None:
    make("newer", GOOD + "@hookimpl(optionalhook=True)\ndef zenplan_not_yet(argument): return []")
    assert reasons(load("newer"), "newer") == {}


def test_a_class_where_its_instance_was_meant(make: Make) -> None:
    body = "class Plugin:\n    @hookimpl\n    def zenplan_accelerators(self): return []"
    make("class", body, points="class = made_class:Plugin")
    assert "(self)" in reasons(load("class"), "class")["zenplan_accelerators"]


# --- hooks that answer badly

BAD_ANSWERS = {
    "raise ValueError('nothing today')": "ValueError: nothing today",
    "raise SystemExit('bye')": "SystemExit: bye",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "yield sheet('Half'); raise OSError(2, 'gone')": "FileNotFoundError: [Errno 2] gone",
    "return None": "it returned None, not an iterable of Accelerator",
    "return 7": "it returned a int, not an iterable",
    "return 'H100'": "it returned a str, not an iterable",
    "return sheet('Alone')": "it returned a Accelerator, not an iterable",
    "import itertools; return (sheet(f'S{i}') for i in itertools.count())": f"more than {MOST_ITEMS:,} items",
    "import itertools; return itertools.repeat(7)": f"more than {MOST_ITEMS:,} items",
}


@pytest.mark.parametrize("body", BAD_ANSWERS)
def test_a_hook_that_answers_badly_is_left_out(make: Make, body: str) -> None:
    make(
        "answer",
        f"@hookimpl\ndef zenplan_accelerators():\n    {body}\n"
        "@hookimpl\ndef zenplan_price_providers():\n    return [Shop()]\n",
    )
    make("zz-good", GOOD)
    plugins = load("answer", "zz-good")
    assert names(plugins.accelerators()) == ["Good-1", "Good-2"]
    assert names(plugins.price_providers()) == ["shop"]
    found = reasons(plugins, "answer")
    assert list(found) == ["zenplan_accelerators"]
    assert BAD_ANSWERS[body] in found["zenplan_accelerators"]


BAD_ITEMS = {
    "7": "a int, not PriceProvider: it has no bundled, no fetch, no name",
    "None": "a NoneType, not PriceProvider",
    "Shop": "the class Shop, not an instance of it",
    "Shop(name=7)": "name must be a name, not 7",
    "Shop(name='')": "name must be a name, not ''",
    "Shop(name='a\\nb')": "must be a name",
    "Raising()": "ValueError: no name today",
    "Exiting()": "SystemExit",
    "Partial()": "a Partial, not PriceProvider: it has no fetch",
    "sheet('H100')": "a Accelerator, not PriceProvider",
}
BAD_ITEM_CLASSES = """
class Raising(Shop):
    name = property(lambda self: (_ for _ in ()).throw(ValueError("no name today")), lambda self, value: None)

class Exiting(Shop):
    @property
    def name(self): raise SystemExit
    @name.setter
    def name(self, value): pass

class Name(str):
    def __str__(self): raise RuntimeError("shown")
    def __eq__(self, other): raise RuntimeError("compared")
    __hash__ = str.__hash__

class Partial:
    name = "partial"
    def bundled(self): pass
"""


@pytest.mark.parametrize("item", BAD_ITEMS)
def test_an_item_that_is_not_what_it_should_be_is_left_out_alone(make: Make, item: str) -> None:
    hook = f"@hookimpl\ndef zenplan_price_providers():\n    return [Shop('first'), {item}, Shop('last')]\n"
    make("item", BAD_ITEM_CLASSES + hook)
    plugins = load("item")
    assert names(plugins.price_providers()) == ["first", "last"]
    (problem,) = plugins.problems()
    assert problem.what == "zenplan_price_providers"
    assert problem.reason.startswith("item 2 is left out: ")
    assert BAD_ITEMS[item] in problem.reason


def test_a_text_that_misbehaves_is_a_plain_one_afterwards(make: Make) -> None:
    make("text", BAD_ITEM_CLASSES + "@hookimpl\ndef zenplan_price_providers():\n    return [Shop(name=Name('evil'))]\n")
    (provider,) = load("text").price_providers()
    assert type(provider.name) is str
    assert provider.name == "evil"


def test_many_bad_items_are_counted_not_listed(make: Make) -> None:
    make("many", "@hookimpl\ndef zenplan_accelerators():\n    return [*range(1000), sheet('Good')]\n")
    plugins = load("many")
    assert names(plugins.accelerators()) == ["Good"]
    assert len(plugins.problems()) == 6
    assert plugins.problems()[-1].reason == "995 items more are left out"


def test_what_is_asked_of_an_item_is_what_its_protocol_has() -> None:
    for _, kind in KINDS.values():
        if is_dataclass(kind):
            continue
        members = {name: member for name, member in vars(kind).items() if not name.startswith("_")}
        assert "name" in members
        for name, member in members.items():
            if isinstance(member, property):
                assert get_type_hints(member.fget)["return"] is str
            else:
                returned = get_type_hints(member)["return"]
                nouns = (PriceTable, Workload, Tracking, Submission)
                assert returned in (str, *nouns, Iterable[str], Sequence[str], Mapping[str, str]), name


def test_every_hook_of_the_specification_has_a_kind() -> None:
    from zenplan import hookspecs

    assert set(KINDS) == {name for name in vars(hookspecs) if name.startswith("zenplan_")}


# --- plugins that never answer

HANGS = {
    "import": "sleep(3600)\n" + GOOD,
    "hook": "@hookimpl\ndef zenplan_accelerators():\n    sleep(3600)\n",
    "generator": "@hookimpl\ndef zenplan_accelerators():\n    yield sheet('H')\n    sleep(3600)\n",
    # It would take its share of every second of the tests after it: it looks whether there is a file.
    "loop": "import os\n@hookimpl\ndef zenplan_accelerators():\n    while not os.path.exists(__file__ + '.end'): pass\n",
}


@pytest.mark.parametrize("case", HANGS)
def test_a_plugin_that_hangs_is_given_up(make: Make, case: str) -> None:
    # A name for each: the thread that hangs in an import keeps the lock on that module.
    make(f"hang-{case}", HANGS[case] + "@hookimpl\ndef zenplan_price_providers():\n    return [Shop()]\n")
    start = time.perf_counter()
    plugins = load(f"hang-{case}", timeout_s=0.5)
    assert plugins.accelerators() == ()
    found = reasons(plugins, "hang")
    assert time.perf_counter() - start < 5
    assert found.pop("load" if case == "import" else "zenplan_accelerators") == "no answer within 0.5 s"
    Path(sys.path[0], "made_hang_loop.py.end").touch()
    # Once is enough: the next call could take as long.
    assert found == ({} if case == "import" else {"zenplan_price_providers": "not asked: it gave no answer before"})


def test_what_a_plugin_prints_after_it_was_given_up(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    module = make(
        "late",
        """
        import threading
        go, done = threading.Event(), threading.Event()
        @hookimpl
        def zenplan_accelerators():
            go.wait(60)
            print("too late")
            done.set()
            return []
    """,
    )
    plugins = load("late")
    ((source, _),) = plugins._loaded
    # Loading may take its time; the hook may not.
    object.__setattr__(source, "timeout_s", 0.1)
    assert plugins.accelerators() == ()
    sys.modules[module].go.set()
    assert sys.modules[module].done.wait(60)
    print("the answer")  # noqa: T201 - what stdout is still for
    said = capsys.readouterr()
    assert said.out == "the answer\n"
    assert said.err == "too late\n"


# --- tables


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError('no table')", "ValueError: no table"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("return None", "it returned a NoneType, not PriceTable"),
        ("return {'provider': 'shop'}", "it returned a dict, not PriceTable"),
        ("return PriceTable(provider='aws', offers=())", "it returned the table of 'aws'"),
        ("return PriceTable(provider='shop', offers=None)", "offers: a NoneType, not Sequence"),
        ("return PriceTable(provider='shop', offers=(7,))", "offers[0]: a int, not Offer"),
        ("return PriceTable(provider='shop', offers=(), terms=7)", "terms: a int, not Terms"),
        ("return PriceTable(provider='shop', offers=(), left_out=(7,))", "left_out[0]: a int, not str"),
        ("import time; time.sleep(3600)", "no answer within 1 s"),
    ],
)
def test_a_table_that_cannot_be_used_is_empty_and_says_why(make: Make, body: str, expected: str) -> None:
    make(
        "table",
        f"""
        class Bad(Shop):
            def bundled(self):
                {body}
        @hookimpl
        def zenplan_price_providers():
            return [Bad("shop")]
    """,
    )
    plugins = load("table", timeout_s=1.0 if "sleep" in body else PLENTY_S)
    (provider,) = plugins.price_providers()
    table = plugins.bundled_table(provider)
    assert table == PriceTable(provider="shop", offers=(), left_out=(f"the whole table: {expected}",))
    assert plugins.bundled_table(provider) is table
    assert [(p.what, p.reason) for p in plugins.problems()] == [("shop.bundled()", expected)]


def test_a_table_says_why_it_is_empty_whatever_the_provider_is_called(make: Make) -> None:
    make(
        "table",
        """
        class Bad(Shop):
            def bundled(self):
                raise ValueError("the disk failed: again")
        @hookimpl
        def zenplan_price_providers():
            return [Bad("a failed: shop")]
    """,
    )
    plugins = load("table")
    (provider,) = plugins.price_providers()
    assert plugins.bundled_table(provider).left_out == ("the whole table: ValueError: the disk failed: again",)


def test_a_table_of_a_provider_that_came_through_no_hook() -> None:
    class Odd:
        name = "Odd"

        def bundled(self) -> PriceTable:
            raise SystemExit

        def fetch(self, http: object) -> PriceTable:
            raise NotImplementedError

    plugins = load()
    assert plugins.bundled_table(Odd()).left_out == ("the whole table: SystemExit",)


def test_any_other_call_into_an_item_goes_through_the_same_border(make: Make) -> None:
    fetch = "class Live(Shop):\n    def fetch(self, http):\n        return exit(1) if http else self.bundled()\n"
    make("call", f"{fetch}@hookimpl\ndef zenplan_price_providers():\n    return [Live()]\n")
    plugins = load("call")
    (shop,) = plugins.price_providers()
    assert isinstance(shop, PriceProvider)
    assert shop.fetch(None) == PriceTable(provider="shop", offers=())
    with pytest.raises(DataError, match="SystemExit: 1"):
        shop.fetch("exit")
    assert reasons(plugins, "call") == {"shop.fetch()": "SystemExit: 1"}
    with pytest.raises(AttributeError):
        _ = shop.buy


# --- settings


def test_an_empty_setting_loads_none_and_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise AssertionError("looked")

    monkeypatch.setattr(importlib.metadata, "distributions", refuse)
    assert [i.name for i in load_plugins({"ZENPLAN_PLUGINS": " , "}).infos()] == ["builtin"]


def test_a_named_plugin_that_is_not_installed(make: Make) -> None:
    make("there", GOOD)
    plugins = load("ther", "builtin")
    assert plugins.problems() == (Problem(plugin="ther", what="load", reason="not installed; did you mean there?"),)


def test_only_the_named_are_imported_and_the_blocked_are_not(make: Make) -> None:
    quiet, loud = make("quiet", GOOD), make("loud", "raise ValueError")
    plugins = load("quiet", "loud", block=" loud ,builtin")
    assert [info.name for info in plugins.infos()] == ["quiet"]
    assert quiet in sys.modules
    assert loud not in sys.modules
    assert [info.name for info in load("loud", block="loud").infos()] == ["builtin"]
    assert load("quiet", block="quiet,builtin").infos() == ()


@pytest.mark.parametrize("setting", ["", "0"])
def test_tracing_can_be_off(make: Make, capsys: pytest.CaptureFixture[str], setting: str) -> None:
    make("silent", GOOD)
    load("silent", ZENPLAN_TRACE_PLUGINS=setting).infos()
    assert capsys.readouterr().err == ""


def test_tracing_says_what_each_call_takes(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make("traced", GOOD + "@hookimpl\ndef zenplan_engines():\n    raise ValueError\n")
    load("traced", ZENPLAN_TRACE_PLUGINS="1").infos()
    said = capsys.readouterr()
    assert said.out == ""
    every = said.err.splitlines()
    lines = [line.rpartition(" ms")[0].rpartition(" ")[0] for line in every if line.startswith("zenplan plugins: ")]
    # Where it failed follows: the plugin's own file and line.
    assert any("made_traced.py" in line for line in every)
    assert every[-1] == "ValueError"
    assert lines == [
        "zenplan plugins: entry points",
        "zenplan plugins: traced (dist-traced 1.2): load",
        "zenplan plugins: traced (dist-traced 1.2): zenplan_accelerators",
        "zenplan plugins: traced (dist-traced 1.2): zenplan_engines failed",
    ]


# --- whole processes

TELL = """
import sys, zenplan.plugins
plugins = zenplan.plugins.load_plugins(timeout_s=float(sys.argv[1]))
print(",".join(a.name for a in plugins.accelerators()))
for problem in plugins.problems():
    print(problem.plugin, problem.what, problem.reason, sep="|", file=sys.stderr)
"""


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ZENPLAN_")}
    return {**kept, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))), "ZENPLAN_BLOCK": "builtin", **more}


def test_a_program_with_every_bad_plugin_at_once_answers_and_ends(make: Make, tmp_path: Path) -> None:
    for case, (body, _) in BAD_IMPORTS.items():
        make(case, "", head=f"print('noise')\n{body}")
    for case, body in HANGS.items():
        make(f"hang-{case}", body)
    make("zz-good", GOOD)
    asked = (*BAD_IMPORTS, *(f"hang-{case}" for case in HANGS), "zz-good")
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", TELL, "1"],
        env=environment(tmp_path, ZENPLAN_PLUGINS=",".join(asked)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Good-1,Good-2\n")
    assert time.perf_counter() - start < 30
    blamed = {line.split(" (")[0] for line in done.stderr.splitlines() if "|" in line}
    assert blamed == {*BAD_IMPORTS, *(f"hang-{case}" for case in HANGS)}
    assert "Traceback" not in done.stderr


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 30
    while not file.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_a_program_that_waits_for_a_plugin(make: Make, tmp_path: Path) -> None:
    sign = tmp_path / "waiting"
    make("waits", "", head=f"open({str(sign)!r}, 'w').close()\nimport time; time.sleep(3600)")
    process = subprocess.Popen(
        [sys.executable, "-c", TELL, "60"],
        env=environment(tmp_path, ZENPLAN_PLUGINS="waits"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(sign, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        # Or its pipes stay open, and a test after this one fails.
        ended = process.poll()
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert ended == -signal.SIGINT
    assert (out, err.splitlines()[-1]) == ("", "KeyboardInterrupt")


def test_loading_is_quick_and_imports_nothing_heavy() -> None:
    code = """
    import sys, zenplan.plugins
    from time import process_time
    took = []
    for _ in range(5):
        start = process_time()
        plugins = zenplan.plugins.load_plugins({"ZENPLAN_PLUGINS": ""})
        took.append(process_time() - start)
    assert min(took) < 0.005, took
    heavy = {"numpy", "rich", "typer", "keras", "pynvml", "csv", "zenplan.adapters.prices.table"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=environment(ROOT))
