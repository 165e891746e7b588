"""Request: what the user asked for, parsed and checked one by one; what is None was left to zenplan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zenplan import units
from zenplan.domain import checks
from zenplan.domain.mapping import read_only
from zenplan.domain.market.offer import Billing
from zenplan.domain.market.provider import ProviderClass
from zenplan.domain.model.workload import Workload
from zenplan.domain.training.follow_up import FollowUp
from zenplan.domain.training.project_plan import ProjectPlan

# Nobody plans for longer without having said so.
HORIZON_S: Final = 90 * units.DAY_S

if TYPE_CHECKING:
    # Most requests have none, and every command waits for what is imported.
    from zenplan.domain.market.currency import Currency
    from zenplan.domain.training.adapter import Adapter
    from zenplan.domain.training.data_set import DataSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of ``zenplan estimate``, in base units.

    Attributes:
        params, model, config, keras: exactly one says what is trained; ``keras`` is a model that was counted.
        flop_per_sample, activations_per_sample: with ``params``, of a model that is known by these alone: forward
            FLOP of one sample, and elements that its products and convolutions write.
        tokens, dataset_bytes, samples, data: at most one says how much; ``epochs`` repeats it. ``data`` were counted.
        data_kind: what the texts of ``samples`` are, which says how long they are.
        padding: of the positions of a batch, the share that is padding; None for packed texts.
        image_size: pixels of a side of the input.
        images: of a sequence, for a language model that sees; None for one.
        adapter: as its configuration says, in the place of ``config``.
        freeze: parts of a model that do not learn, of ``domain.model.workload.PARTS``.
        global_batch_tokens, batch: tokens or samples a step; at most one.
        gpu, provider, region, provider_class: which offers to look at: of any of these; empty for all.
        gpus: exactly this many devices.
        instances: provider and name of the machines to look at; empty for all.
        exclude_provider: whose offers are not looked at.
        max_usd_per_h: the most that the whole cluster may cost an hour.
        max_price_age_s: older prices, and those without a date, are not looked at.
        usd_per_h: the price of one device of the one ``gpu``, instead of all offers; 0 for one's own.
        billing: the kind that quotes are ranked by.
        deadline_s, budget_usd: what the answer must meet.
        project: what is known of the project around the run; ``deadline_s`` and ``budget_usd`` are the project's.
        then: what follows the training; it counts for ``deadline_s`` and ``budget_usd`` too.
        currency: that amounts are shown in beside dollars; None for dollars alone.
        horizon_s: plans that take longer are no candidates; None for ``HORIZON_S``, or a later deadline.
        day_usd: what a day is worth, in dollars; None for a share of the bill (``planning.money.ranking``).
        top: how many quotes to show.
        max_gpus: the largest cluster to consider where ``gpus`` is not given; None for what is had on demand.
        given: the flags that it was made of, by their names, as they were given; None for a model built in Python.
    """

    params: float | None = None
    active_params: float | None = None
    model: str | None = None
    config: Mapping[str, Any] | None = None
    keras: Workload | None = None
    flop_per_sample: float | None = None
    activations_per_sample: float | None = None
    tokens: float | None = None
    dataset_bytes: float | None = None
    samples: float | None = None
    data_kind: str | None = None
    padding: float | None = None
    data: DataSet | None = None
    epochs: float | None = None
    image_size: int | None = None
    images: int | None = None
    seq_len: int | None = None
    global_batch_tokens: float | None = None
    batch: int | None = None
    precision: str | None = None
    optimizer: str | None = None
    software: str | None = None
    method: str | None = None
    adapter: Adapter | None = None
    freeze: tuple[str, ...] = ()
    gpu: tuple[str, ...] = ()
    gpus: int | None = None
    instances: tuple[tuple[str, str], ...] = ()
    provider: tuple[str, ...] = ()
    exclude_provider: tuple[str, ...] = ()
    provider_class: tuple[ProviderClass, ...] = ()
    region: tuple[str, ...] = ()
    max_usd_per_h: float | None = None
    max_price_age_s: float | None = None
    usd_per_h: float | None = None
    billing: Billing = Billing.ON_DEMAND
    deadline_s: float | None = None
    budget_usd: float | None = None
    project: ProjectPlan = field(default_factory=ProjectPlan)
    then: tuple[FollowUp, ...] = ()
    currency: Currency | None = None
    horizon_s: float | None = None
    day_usd: float | None = None
    top: int = 5
    max_gpus: int | None = None
    given: Mapping[str, Any] = field(default_factory=lambda: read_only({}), compare=False)

    def __post_init__(self) -> None:
        """A name alone counts as one of one; numbers are checked."""
        for several in ("gpu", "provider", "exclude_provider", "provider_class", "region"):
            if isinstance(getattr(self, several), str):
                object.__setattr__(self, several, (getattr(self, several),))
        checks.positive(
            "request",
            params=self.params,
            active_params=self.active_params,
            flop_per_sample=self.flop_per_sample,
            activations_per_sample=self.activations_per_sample,
            tokens=self.tokens,
            dataset_bytes=self.dataset_bytes,
            samples=self.samples,
            padding=self.padding,
            epochs=self.epochs,
            image_size=self.image_size,
            seq_len=self.seq_len,
            gpus=self.gpus,
            global_batch_tokens=self.global_batch_tokens,
            batch=self.batch,
            deadline_s=self.deadline_s,
            budget_usd=self.budget_usd,
            horizon_s=self.horizon_s,
            top=self.top,
            max_gpus=self.max_gpus,
            max_usd_per_h=self.max_usd_per_h,
            max_price_age_s=self.max_price_age_s,
        )
        checks.not_negative("request", usd_per_h=self.usd_per_h, day_usd=self.day_usd, images=self.images)

    @property
    def longest_s(self) -> float:
        """The horizon: as given, else ``HORIZON_S`` or the deadline, whichever is later."""
        return self.horizon_s if self.horizon_s is not None else max(HORIZON_S, self.deadline_s or 0.0)

    @property
    def labelled(self) -> float | None:
        """Samples of the user's own, given or counted; None where there are none."""
        return self.samples if self.data is None else self.data.records.mid

    @property
    def beside_usd(self) -> float:
        """What was given of the project's dollars beside its runs: data and labels."""
        return self.project.given_usd + (self.labelled or 0.0) * (self.project.label_usd or 0.0)
