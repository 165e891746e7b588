"""zenplan: what a training run will take, in time, GPU-hours, dollars and memory, before you pay for it.

    answer = zenplan.estimate(params=1e9, gpu="H100", gpus=64)
    answer.recommended.total_usd.mid

A function for each question (``zenplan.api``), what it returns (``zenplan.results``), and all that a plugin hands over.
This is the whole public face: what is not here may change without notice. A name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zenplan.version import API, __version__

if TYPE_CHECKING:
    from zenplan.adapters.clock import today
    from zenplan.adapters.prices.table import bundled_prices, price_table, read_price_folder
    from zenplan.api import (
        accelerators,
        backtest,
        calibrate,
        count_flop,
        estimate,
        layouts,
        prices,
        profile,
        register_layer,
    )
    from zenplan.api_buy import buy
    from zenplan.api_data import prepare_data
    from zenplan.api_export import export
    from zenplan.api_runs import launch, stop, watch
    from zenplan.api_serve import serve_cost
    from zenplan.api_train import train
    from zenplan.api_trained import compress, explain, retrain_plan, serve_run_cost
    from zenplan.arguments import ZenplanWarning
    from zenplan.domain.answer.answer import Ranked
    from zenplan.domain.hardware.accelerator import Accelerator, Source
    from zenplan.domain.launch.job import LaunchJob, Submission
    from zenplan.domain.market.committed import Committed
    from zenplan.domain.market.interruptions import Interruptions
    from zenplan.domain.market.offer import Billing, Instance, Offer, Price, PriceTable, Terms
    from zenplan.domain.measured.export import Export
    from zenplan.domain.measured.tracked_run import TrackedRun
    from zenplan.domain.model.count import ModelCount
    from zenplan.domain.model.operators import (
        Attention,
        Convolution,
        Elementwise,
        ElementwiseKind,
        Embedding,
        Function,
        MatMul,
        Operator,
        Recurrent,
        Role,
        Scan,
        Split,
    )
    from zenplan.domain.model.workload import Block, Usual, Workload
    from zenplan.domain.provenance import Fact, Origin
    from zenplan.domain.range import Range
    from zenplan.domain.report import Column, Report, Table
    from zenplan.errors import DataError, InputFileError, NoFit, NoLiveSource, UnknownName, UsageError, ZenplanError
    from zenplan.hookspecs import hookimpl
    from zenplan.protocols import Engine, Exporter, Http, Launcher, PriceProvider, Tracker, Tracking, WorkloadFamily
    from zenplan.results import (
        Answer,
        Backtest,
        Calibrations,
        Catalogue,
        Compression,
        DataCard,
        Explanation,
        Exports,
        Launch,
        Prices,
        Profile,
        Purchase,
        RetrainPlan,
        RunServingCost,
        SearchedRun,
        ServingCost,
        Tradeoff,
        TrainedRun,
    )
else:
    # The same again for whoever runs it; a test holds the two together.
    _MODULES = {
        "zenplan.adapters.clock": ("today",),
        "zenplan.adapters.prices.table": ("bundled_prices", "price_table", "read_price_folder"),
        "zenplan.api": (
            "accelerators",
            "backtest",
            "calibrate",
            "count_flop",
            "estimate",
            "layouts",
            "prices",
            "profile",
            "register_layer",
        ),
        "zenplan.api_buy": ("buy",),
        "zenplan.api_data": ("prepare_data",),
        "zenplan.api_export": ("export",),
        "zenplan.api_runs": ("launch", "stop", "watch"),
        "zenplan.api_serve": ("serve_cost",),
        "zenplan.api_train": ("train",),
        "zenplan.api_trained": ("compress", "explain", "retrain_plan", "serve_run_cost"),
        "zenplan.arguments": ("ZenplanWarning",),
        "zenplan.domain.answer.answer": ("Ranked",),
        "zenplan.domain.hardware.accelerator": ("Accelerator", "Source"),
        "zenplan.domain.launch.job": ("LaunchJob", "Submission"),
        "zenplan.domain.market.committed": ("Committed",),
        "zenplan.domain.market.interruptions": ("Interruptions",),
        "zenplan.domain.market.offer": ("Billing", "Instance", "Offer", "Price", "PriceTable", "Terms"),
        "zenplan.domain.measured.export": ("Export",),
        "zenplan.domain.measured.tracked_run": ("TrackedRun",),
        "zenplan.domain.model.count": ("ModelCount",),
        "zenplan.domain.model.operators": (
            "Attention",
            "Convolution",
            "Elementwise",
            "ElementwiseKind",
            "Embedding",
            "Function",
            "MatMul",
            "Operator",
            "Recurrent",
            "Role",
            "Scan",
            "Split",
        ),
        "zenplan.domain.model.workload": ("Block", "Usual", "Workload"),
        "zenplan.domain.provenance": ("Fact", "Origin"),
        "zenplan.domain.range": ("Range",),
        "zenplan.domain.report": ("Column", "Report", "Table"),
        "zenplan.errors": (
            "DataError",
            "InputFileError",
            "NoFit",
            "NoLiveSource",
            "UnknownName",
            "UsageError",
            "ZenplanError",
        ),
        "zenplan.hookspecs": ("hookimpl",),
        "zenplan.protocols": (
            "Engine",
            "Exporter",
            "Http",
            "Launcher",
            "PriceProvider",
            "Tracker",
            "Tracking",
            "WorkloadFamily",
        ),
        "zenplan.results": (
            "Answer",
            "Backtest",
            "Calibrations",
            "Catalogue",
            "Compression",
            "DataCard",
            "Explanation",
            "Exports",
            "Launch",
            "Prices",
            "Profile",
            "Purchase",
            "RetrainPlan",
            "RunServingCost",
            "SearchedRun",
            "ServingCost",
            "Tradeoff",
            "TrainedRun",
        ),
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'zenplan' has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return list(__all__)


__all__ = [
    "API",
    "Accelerator",
    "Answer",
    "Attention",
    "Backtest",
    "Billing",
    "Block",
    "Calibrations",
    "Catalogue",
    "Column",
    "Committed",
    "Compression",
    "Convolution",
    "DataCard",
    "DataError",
    "Elementwise",
    "ElementwiseKind",
    "Embedding",
    "Engine",
    "Explanation",
    "Export",
    "Exporter",
    "Exports",
    "Fact",
    "Function",
    "Http",
    "InputFileError",
    "Instance",
    "Interruptions",
    "Launch",
    "LaunchJob",
    "Launcher",
    "MatMul",
    "ModelCount",
    "NoFit",
    "NoLiveSource",
    "Offer",
    "Operator",
    "Origin",
    "Price",
    "PriceProvider",
    "PriceTable",
    "Prices",
    "Profile",
    "Purchase",
    "Range",
    "Ranked",
    "Recurrent",
    "Report",
    "RetrainPlan",
    "Role",
    "RunServingCost",
    "Scan",
    "SearchedRun",
    "ServingCost",
    "Source",
    "Split",
    "Submission",
    "Table",
    "Terms",
    "TrackedRun",
    "Tracker",
    "Tracking",
    "Tradeoff",
    "TrainedRun",
    "UnknownName",
    "UsageError",
    "Usual",
    "Workload",
    "WorkloadFamily",
    "ZenplanError",
    "ZenplanWarning",
    "__version__",
    "accelerators",
    "backtest",
    "bundled_prices",
    "buy",
    "calibrate",
    "compress",
    "count_flop",
    "estimate",
    "explain",
    "export",
    "hookimpl",
    "launch",
    "layouts",
    "prepare_data",
    "price_table",
    "prices",
    "profile",
    "read_price_folder",
    "register_layer",
    "retrain_plan",
    "serve_cost",
    "serve_run_cost",
    "stop",
    "today",
    "train",
    "watch",
]
