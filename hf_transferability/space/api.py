"""What the page offers to programs (`gradio_client`) and to MCP clients; docs/space.md has an example of each.

Gradio passes what it is given, of any type, so these functions check it.
"""

from typing import Any, Literal

import gradio as gr

from hf_transferability import arguments
from hf_transferability.catalogue.entries import bundled
from hf_transferability.catalogue.filters import Filters, count, select
from hf_transferability.errors import UsageError
from hf_transferability.ranking.choices import DEFAULT_METRICS, check_choices, check_metrics
from hf_transferability.reporting import explain as explanations
from hf_transferability.space import lookup, work
from hf_transferability.space.parts import show_errors, visitor

Scenario = Literal["auto", "source_dataset", "architecture"]


def rank_checkpoints(
    dataset: str,
    checkpoints: list[str],
    sample_size: int = 200,
    scenario: Scenario = "auto",
    metric: str = DEFAULT_METRICS[0],
    label_column: str = "",
    image_column: str = "",
    group_column: str = "",
    class_level: int = 0,
    split: str = "",
    window: str = "",
    keep_masks: bool = False,
    request: gr.Request | None = None,
) -> dict[str, Any]:
    """Rank pretrained checkpoints by how well they should do on an image dataset after fine-tuning, without fine-tuning them.

    Args:
        dataset: Hub id (OWNER/NAME) of a public dataset of labelled images, of at most 1.5 GB.
        checkpoints: Hub ids (OWNER/NAME or OWNER/NAME@REVISION) of at most 6 public checkpoints of at most 100 million
            parameters each.
        sample_size: images to draw, 12 to 500.
        scenario: for transferability, whether the checkpoints differ in their source dataset or in their architecture; auto
            looks.
        metric: name of the metric that the rows are sorted by, such as consensus, transferability, logme or knn.
        label_column: column of the labels, where the dataset does not tell.
        image_column: column of the images, where there are several.
        group_column: column that says which images belong together (patient, study, slide).
        class_level: level of the folders that name the classes, 1 directly below the root; 0 where a column does.
        split: split or split expression; empty for train. The test split is taken only if it is named.
        window: LOW,HIGH, the values that become black and white in images of more than 8 bits.
        keep_masks: take masks beside their images (x_mask.png beside x.png) as images; by default they are left out.
        request: filled in by Gradio.

    Returns:
        The ranking: rows, best first, with score, interval, tie group, flags and errors; scenario, notes and versions; and
        dataset, whose account says which images and classes there are, which are used, and what is left out.
    """
    reading = {
        "split": split, "image_column": image_column, "label_column": label_column, "group_column": group_column,
        "class_level": class_level, "window": window, "keep_masks": keep_masks,
    }  # fmt: skip
    return show_errors(_rank, str)(dataset, checkpoints, sample_size, scenario, metric, reading, visitor(request))


def _rank(
    dataset: str,
    checkpoints: list[str],
    sample_size: int,
    scenario: str,
    metric: str,
    reading: dict[str, Any],
    visitor: str,
) -> dict[str, Any]:
    texts = {name: value for name, value in reading.items() if name not in ("class_level", "keep_masks")}
    for name, value in ({"dataset": dataset, "scenario": scenario, "metric": metric} | texts).items():
        arguments.text(name, value)
    arguments.texts("checkpoints", checkpoints)
    arguments.whole("sample_size", sample_size)
    arguments.whole("class_level", reading["class_level"])
    arguments.flag("keep_masks", reading["keep_masks"])
    check_choices(scenario, "default", 0)
    check_metrics([metric])
    return work.rank_checkpoints(dataset, checkpoints, sample_size, scenario, metric, reading, visitor=visitor)


def lookup_benchmark(
    scenario: Literal["source_dataset", "architecture"] = "source_dataset",
    metric: str = DEFAULT_METRICS[0],
    target: str = "mean",
    benchmark: str = "",
    selection: str = "",
) -> dict[str, Any]:
    """Look up how well transferability metrics agree with fine-tuned performance in a benchmark of (medical) images.

    Args:
        scenario: whether the candidates differ in their source dataset or in their architecture.
        metric: name of the metric whose scores are given beside fine-tuned performance.
        target: name of a target dataset, or mean for all.
        benchmark: name of the benchmark, such as paper or open; empty for the first. The answer lists all names.
        selection: how fine-tuned performance is taken from the runs: lowest_validation_loss, as in the paper, or, where the
            benchmark has it, mean_of_best_5, which is less noisy; empty for the benchmark's first.

    Returns:
        "agreement": weighted Kendall tau with interval of every metric, of baselines that look at no target image, and of the
        noise ceiling; "pairs": source, target, score and fine-tuned test AUC; "benchmarks" and "selections": what there is.
    """
    return show_errors(_lookup, str)(scenario, metric, target, benchmark, selection)


def _lookup(scenario: str, metric: str, target: str, benchmark: str, selection: str) -> dict[str, Any]:
    given = {"scenario": scenario, "metric": metric, "target": target, "benchmark": benchmark, "selection": selection}
    for name, value in given.items():
        arguments.text(name, value)
    return lookup.lookup_benchmark(scenario, metric, target, benchmark, selection)


def list_candidates(
    domain: str = "",
    max_parameters: str = "",
    licence: str = "",
    task: str = "",
    search: str = "",
    limit: int = 20,
) -> dict[str, Any]:
    """List pretrained checkpoints to rank, from a bundled catalogue.

    A checkpoint of which a filter's fact is unknown is left out.

    Args:
        domain: medical, general, pathology, radiology, ophthalmology, dermatology or biomedical; empty for all.
        max_parameters: most parameters without the head, such as 50M; empty for any.
        licence: the Hub's name of a licence, such as apache-2.0; empty for any.
        task: the Hub's name of a task, such as image-classification; empty for any.
        search: words of the id; empty for any.
        limit: most checkpoints, at least 1.

    Returns:
        "candidates": the fields of the catalogue (id, domain, parameters, licence, ...), null where unknown; "more": how many
        others pass; "unknown": how many might, as a fact of them is unknown.
    """

    return show_errors(_candidates, str)(domain, max_parameters, licence, task, search, limit)


def _candidates(domain: str, max_parameters: str, licence: str, task: str, search: str, limit: int) -> dict[str, Any]:
    given = {"domain": domain, "max_parameters": max_parameters, "licence": licence, "task": task, "search": search}
    for name, value in given.items():
        arguments.text(name, value)
    arguments.whole("limit", limit, 1)
    try:
        most = count(max_parameters) if max_parameters else None
    except ValueError as error:
        raise UsageError(f"`max_parameters` {error}. Pass another.") from None
    filters = Filters(domain or None, most, [licence] if licence else [], task or None, search or None)
    selected = select(bundled(), filters)
    listed = [entry.to_dict() for entry in selected.entries[:limit]]
    return {"candidates": listed, "more": len(selected.entries) - len(listed), "unknown": selected.unknown}


def explain(name: str) -> str:
    """Explain a flag, a metric, a scenario or a column of a ranking: definition, formula and caveats.

    Args:
        name: as in the ranking, such as consensus, logme, tie_group, n<=d or architecture.

    Returns:
        Plain text.
    """
    return show_errors(_explain, str)(name)


def _explain(name: str) -> str:
    arguments.text("name", name, empty=False)
    return explanations.explain(name)
