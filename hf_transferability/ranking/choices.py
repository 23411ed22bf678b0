"""What a ranking is made of: the metrics of the default table, the choices of its user, and what each metric needs."""

from collections.abc import Callable, Sequence
from itertools import chain

from hf_transferability import arguments
from hf_transferability.benchmark.composites import PAPER_PARTS
from hf_transferability.errors import UsageError, unknown_name
from hf_transferability.metrics import SCENARIOS, all_metrics, get_metric
from hf_transferability.names import VARIANTS

# The one place that says what a ranking shows unless its user names metrics: it is sorted by the first.
DEFAULT_METRICS = ("consensus", "transferability", "logme")
# The two parts of the paper's score are columns of every ranking of checkpoints, whatever it is sorted by.
SHOWN_PARTS = PAPER_PARTS


def choose_metrics(metrics: Sequence[str], possible: Sequence[str], refusal: Callable[[str], str]) -> list[str]:
    """The metrics to show, the sorting one first.

    Args:
        metrics: names as the user gave them; "all" stands for all possible ones, and none for the default table.
        possible: those that the target and the arrays allow.
        refusal: gives the text of the error for a name that is not among these.

    Raises:
        UsageError: a name that is not possible.
    """
    chosen: list[str] = []
    for name in metrics or DEFAULT_METRICS:
        if name == "all":
            first = [default for default in DEFAULT_METRICS if default in possible]
            others = [metric for metric in possible if not (first and metric in SHOWN_PARTS)]
            chosen += [*first[:1], *others]
        elif name in possible:
            chosen.append(name)
        elif metrics:
            raise UsageError(refusal(name))
    return list(dict.fromkeys(chosen))


def keys_to_compute(metrics: Sequence[str], task: str, variant: str, shown: Sequence[str] = SHOWN_PARTS) -> tuple[str, ...]:
    """What to compute of every candidate for these metrics on a target of this task, each once.

    A composite stands for its parts. A key is the name of a metric, or NAME:VARIANT for a part that a composite needs in
    another form than the one that the user asked for.

    Args:
        metrics: to show.
        task: the target's task.
        variant: that the user asked for.
        shown: computed in any case, where the task allows.
    """
    asked_keys = chain.from_iterable(
        part_keys(name, variant).values() if get_metric(name).is_composite else [name] for name in metrics
    )
    return tuple(
        key for key in dict.fromkeys([*shown, *asked_keys]) if task in get_metric(metric_and_variant(key, variant)[0]).tasks
    )


def keys_to_extract(metrics: Sequence[str], task: str, variant: str) -> tuple[str, ...]:
    """What to compute of candidates that may have to be extracted first; arguments as for `keys_to_compute`.

    The shown part that comes from gradients is left out where no metric needs them, because they cost a backward pass.
    """
    asked_keys = keys_to_compute(metrics, task, variant, ())
    shown = [part for part in SHOWN_PARTS if needs_gradients(asked_keys) or not needs_gradients([part])]
    return keys_to_compute(metrics, task, variant, shown)


def needs_gradients(keys: Sequence[str]) -> bool:
    """Whether any of these keys of `keys_to_compute` is computed from gradient norms."""
    return any("gradient_norms" in get_metric(key.partition(":")[0]).inputs for key in keys)


def part_keys(composite: str, variant: str) -> dict[str, str]:
    """Part of a composite metric -> its key of `keys_to_compute`; nothing for a metric without parts."""
    _, used = metric_and_variant(composite, variant)
    keys = {}
    for part in get_metric(composite).parts:
        same = metric_and_variant(part, used) == metric_and_variant(part, variant) or not get_metric(part).variants_differ
        keys[part] = part if same else f"{part}:{metric_and_variant(part, used)[1]}"
    return keys


def metric_and_variant(key: str, variant: str) -> tuple[str, str]:
    """The metric of a key, and the variant to compute it in where the user asked for `variant`."""
    name, _, key_variant = key.partition(":")
    used_variant = key_variant or variant
    return name, used_variant if used_variant in get_metric(name).variants else "default"


def floors_needed(metric: str, scenario: str) -> tuple[str, ...]:
    """The metrics whose floors an order by this metric needs, as it could mislead without."""
    return tuple(get_metric(metric).floors.get(scenario, ()))


def check_metrics(metrics: Sequence[str]) -> None:
    """Refuse a metric that there is not; "all" stands for all of them.

    Raises:
        UsageError: names those that exist, and the one that was probably meant.
    """
    known = [*all_metrics(), "all"]
    for name in metrics:
        if not isinstance(name, str) or name not in known:
            raise UsageError(unknown_name("metric", name, known))


def check_choices(scenario: str, variant: str, seed: int) -> None:
    """Refuse what no ranking knows.

    Raises:
        UsageError: names the possible values.
    """
    if not isinstance(scenario, str) or scenario not in ("auto", *SCENARIOS):
        raise UsageError(unknown_name("scenario", scenario, ("auto", *SCENARIOS)))
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise UsageError(unknown_name("variant", variant, VARIANTS))
    arguments.whole("seed", seed, 0, arguments.LARGEST_SEED)
