"""What a metric declares: its inputs, its range, and, where it exists only over a pool of candidates, its formula."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hf_transferability.errors import unknown_name
from hf_transferability.metrics._pool import checked_arrays, complete_candidates, warn_about_pool
from hf_transferability.names import SCENARIOS

INPUTS = ("features", "labels", "source_probabilities", "gradient_norms")


@dataclass(frozen=True)
class Metric:
    """A registered metric: of one candidate's arrays alone, or relative to a pool of candidates.

    A pool-relative metric has a `formula` over raw numbers of all candidates. These are either `components`, which its
    own function returns, or `parts`, the values of other metrics; the latter makes it a composite, and each part is
    computed once for every metric that needs it.

    Attributes:
        function: takes its inputs by keyword, and `variant` and `seed` where it has them. It returns a float, or the
            raw numbers by name where the metric is pool-relative.
        inputs: which of INPUTS it needs.
        range: lowest and highest value of the default variant, after the formula where there is one; infinite where
            there is no bound.
        unit: "nats", "share" or the like; "none" for a bare number.
        paper: authors, year and link.
        comparable: whether values may be compared between targets; if not, only within one pool.
        tasks: which of TASKS it can score.
        version: raised whenever the default value changes; part of every published row.
        invariances: name of a change of the input -> relative tolerance at which the default variant ignores it.
        smallest_n: fewest images for which it is defined.
        published: whether the paper's tables have it, or its plain form; where neither function nor formula takes
            `variant`, both are the same.
        published_range: range of the published variant, where it differs.
        largest_sample: above so many images it takes a seeded subsample of this size.
        half_options: keyword arguments of the function for half-samples, where a cheaper form will do: it may make
            their spread wider, not narrower.
        title: what tables for people call it; its name where that will do.
        components: names of the raw numbers that its own function returns.
        parts: names of the other metrics that it is made of.
        needs_all_parts: whether a candidate without one of the parts has no score; else one part is enough.
        facts: which of FACTS about a candidate the formula uses.
        floors: scenario -> parts by which candidates are listed last there if a part does not exceed the value that
            shuffled labels give: where an order is reversed, a bad network could come first.
        floor_flag: the flag of a candidate whose value does not exceed what shuffled labels give.
        formula: takes {name: [..., n_candidates]} of components or parts, and of facts, NaN where a candidate lacks
            one, with `variant` and `scenario` where it has them, and gives the scores [..., n_candidates], NaN for
            none. Leading axes are pools, so that many pools are one call.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    range: tuple[float, float]
    unit: str
    paper: str
    comparable: bool = True
    tasks: tuple[str, ...] = ("single_label",)
    version: int = 1
    invariances: MappingProxyType = field(default_factory=lambda: MappingProxyType({}))
    smallest_n: int = 2
    published: bool = True
    published_range: tuple[float, float] | None = None
    largest_sample: int | None = None
    half_options: MappingProxyType = field(default_factory=lambda: MappingProxyType({}))
    title: str = ""
    components: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    needs_all_parts: bool = True
    facts: tuple[str, ...] = ()
    floors: MappingProxyType = field(default_factory=lambda: MappingProxyType({}))
    floor_flag: str = "metric_at_floor"
    formula: Callable[..., np.ndarray] | None = None

    def range_of(self, variant: str) -> tuple[float, float]:
        """Lowest and highest value of a variant."""
        return self.published_range if variant == "published" and self.published_range else self.range

    @property
    def summary(self) -> str:
        """First sentence of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")

    @property
    def label(self) -> str:
        """What tables for people call it."""
        return self.title or self.name

    @property
    def variants(self) -> tuple[str, ...]:
        """The values of `variant` that `score` accepts for it."""
        return ("default", "published") if self.published else ("default",)

    @property
    def variants_differ(self) -> bool:
        """Whether its default and its published form are two things."""
        return "variant" in self.options or "variant" in self.formula_options

    @property
    def seeded(self) -> bool:
        """Whether it makes random choices, so that `seed` is part of its result."""
        return "seed" in self.options

    @property
    def uses_groups(self) -> bool:
        """Whether it compares or divides images, so that those of one group must be kept together."""
        return "groups" in self.options

    @property
    def is_composite(self) -> bool:
        """Whether it is made of other metrics."""
        return bool(self.parts)

    @property
    def is_pool_relative(self) -> bool:
        """Whether its score exists only relative to a pool of candidates."""
        return self.formula is not None

    @property
    def uses_scenario(self) -> bool:
        """Whether its score depends on what differs between the candidates."""
        return "scenario" in self.formula_options

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Names of the raw numbers that its formula combines, without the facts; none for a metric without formula."""
        return self.components or self.parts

    @functools.cached_property
    def options(self) -> frozenset[str]:
        """Names of the function's keyword arguments."""
        return frozenset(inspect.signature(self.function).parameters)

    @functools.cached_property
    def formula_options(self) -> frozenset[str]:
        """Which of variant and scenario the formula takes."""
        taken = inspect.signature(self.formula).parameters if self.formula else {}
        return frozenset({"variant", "scenario"} & set(taken))

    def combine(
        self,
        parts: Mapping[str, Sequence[float | None]],
        *,
        variant: str = "default",
        scenario: str = "source_dataset",
    ) -> list[float | None]:
        """Scores of a pool's candidates from their raw numbers.

        Args:
            parts: name -> one value per candidate, None where it has none: every component; or every part, where all are
                needed; and facts. What may be missing for one candidate may be left out for all.
            variant: one of the metric's variants, the one that the raw numbers were computed with.
            scenario: one of SCENARIOS.

        Returns:
            One score per candidate; None where it lacks what is needed, and everywhere when fewer than two candidates
            have it or the formula cannot order them. Flags: pool_of_one, pool_of_two, constant_over_pool, and that of a
            missing fact.

        Raises:
            ValueError: an unknown variant or scenario, unknown or missing names, lists of different length, or a value
                that is not finite.
            TypeError: the metric is not pool-relative, or something is no list of numbers and None.
        """
        self._check_choices(variant, scenario)
        every = bool(self.components) or self.needs_all_parts
        arrays = checked_arrays(self.name, parts, self.raw_names if every else (), (*self.raw_names, *self.facts))
        complete = complete_candidates(arrays, self.raw_names, every=every)
        if complete.sum() < 2:
            return [None] * len(complete)
        warn_about_pool(arrays, self.raw_names, self.facts, complete)
        scores = self.combine_pools(arrays, variant=variant, scenario=scenario)
        return [float(value) if np.isfinite(value) else None for value in np.where(complete, scores, np.nan)]

    def combine_pools(
        self, parts: Mapping[str, np.ndarray], *, variant: str = "default", scenario: str = "source_dataset"
    ) -> np.ndarray:
        """The formula over many pools at once, without flags.

        Args:
            parts: as for `combine`, but arrays [..., n_candidates] with NaN for a missing value.
            variant, scenario: as for `combine`.

        Returns:
            Scores [..., n_candidates], NaN where there is none.

        Raises:
            ValueError: an unknown variant or scenario.
            TypeError: the metric is not pool-relative.
        """
        self._check_choices(variant, scenario)
        shape = np.broadcast_shapes(*(np.shape(values) for values in parts.values()))
        given = {name: np.asarray(values, dtype=np.float64) for name, values in parts.items()}
        complete = {name: np.full(shape, np.nan) for name in (*self.raw_names, *self.facts)} | given
        options = {
            name: value for name, value in (("variant", variant), ("scenario", scenario)) if name in self.formula_options
        }
        return self.formula(complete, **options)  # type: ignore[misc]

    def _check_choices(self, variant: str, scenario: str) -> None:
        if not self.is_pool_relative:
            raise TypeError(f"{self.name} has no formula over a pool: its values are its scores. Use them as they are.")
        self.check_variant(variant)
        if not isinstance(scenario, str) or scenario not in SCENARIOS:
            raise ValueError(unknown_name("scenario", scenario, SCENARIOS))

    def check_variant(self, variant: str) -> None:
        """Refuse a variant that this metric does not have.

        Raises:
            ValueError: names those that it has.
        """
        if not isinstance(variant, str) or variant not in self.variants:
            raise ValueError(
                f"`variant` must be one of {', '.join(self.variants)} for {self.name}; got {variant!r}. Choose one of these."
            )
