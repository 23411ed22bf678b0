"""What the page offers to programs (`gradio_client`) and to MCP clients; docs/space.md has an example of each.

Gradio passes what it is given, of any type, so these functions check it. It shows their docstrings to MCP clients, of each
argument the first line only, so that each has one line. Programs get answers as they are, MCP clients as JSON.
"""

import json
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

    It takes minutes. A checkpoint that fails is a row with its reason under "error". Candidates of one "tie_group" cannot be
    told apart by these images; "advice" says what to do next, and "account" in "dataset" which images and classes were used.

    Args:
        dataset: Hub id (OWNER/NAME) of a public dataset of labelled images, of at most 1.5 GB.
        checkpoints: Hub ids (OWNER/NAME or OWNER/NAME@REVISION) of at most 6 public checkpoints of at most 100M parameters.
        sample_size: images to draw, 12 to 500.
        scenario: for transferability, whether checkpoints differ in source dataset or architecture; auto looks.
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
        "rows", best first, with score, interval, flags and error; "advice", "notes", "dataset", "scenario", "versions".
    """
    reading = {
        "split": split, "image_column": image_column, "label_column": label_column, "group_column": group_column,
        "class_level": class_level, "window": window, "keep_masks": keep_masks,
    }  # fmt: skip
    ranked = show_errors(_rank, str)(dataset, checkpoints, sample_size, scenario, metric, reading, visitor(request))
    return _for_caller(ranked, request)


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
    pairs: bool = True,
    request: gr.Request | None = None,
) -> dict[str, Any]:
    """Look up how well transferability metrics agree with fine-tuned performance in a benchmark of (medical) images.

    "agreement" is the weighted Kendall tau, with its interval, of every metric, of baselines that look at no target image, and
    of the noise ceiling. "pairs" are source, target, score and fine-tuned performance. "benchmarks" and "selections" say what
    there is.

    Args:
        scenario: whether the candidates differ in their source dataset or in their architecture.
        metric: name of the metric whose scores are given in pairs.
        target: name of a target dataset, or mean for all.
        benchmark: name of the benchmark, such as paper or open; empty for the first. The answer lists all names.
        selection: how fine-tuned performance is taken from the runs, one of "selections"; empty for the benchmark's first.
        pairs: false leaves "pairs" out, which for all targets are some 20,000 characters.
        request: filled in by Gradio.

    Returns:
        "agreement", "pairs", "benchmark", "benchmarks", "selection", "selections", "scenario", "target", "metric", "notice".
    """
    found = show_errors(_lookup, str)(scenario, metric, target, benchmark, selection, pairs)
    return _for_caller(found, request)


def _lookup(scenario: str, metric: str, target: str, benchmark: str, selection: str, pairs: bool) -> dict[str, Any]:
    given = {"scenario": scenario, "metric": metric, "target": target, "benchmark": benchmark, "selection": selection}
    for name, value in given.items():
        arguments.text(name, value)
    arguments.flag("pairs", pairs)
    found = lookup.lookup_benchmark(scenario, metric, target, benchmark, selection)
    return found if pairs else {name: value for name, value in found.items() if name != "pairs"}


def list_candidates(
    domain: str = "",
    max_parameters: str = "",
    licence: str = "",
    task: str = "",
    search: str = "",
    limit: int = 20,
    request: gr.Request | None = None,
) -> dict[str, Any]:
    """List pretrained checkpoints to rank, from a bundled catalogue.

    A checkpoint of which a filter's fact is unknown is left out. "candidates" have the fields of the catalogue (id, domain,
    parameters, licence, ...), null where unknown; "more" says how many others pass; "unknown", how many might, as a fact of
    them is unknown.

    Args:
        domain: medical, general, pathology, radiology, ophthalmology, dermatology or biomedical; empty for all.
        max_parameters: most parameters without the head, such as 50M; empty for any.
        licence: the Hub's name of a licence, such as apache-2.0; empty for any.
        task: the Hub's name of a task, such as image-classification; empty for any.
        search: words of the id; empty for any.
        limit: most checkpoints, at least 1.
        request: filled in by Gradio.

    Returns:
        "candidates", "more" and "unknown".
    """
    found = show_errors(_candidates, str)(domain, max_parameters, licence, task, search, limit)
    return _for_caller(found, request)


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


def _for_caller(answer: dict[str, Any], request: gr.Request | None) -> Any:
    """The answer as it is; for MCP clients, whom Gradio sends `str` of it, as JSON instead of in Python's notation."""
    if request is None or request.headers.get("x-gradio-user") != "mcp":  # as Gradio names who calls
        return answer
    return json.dumps(answer, ensure_ascii=False, allow_nan=False)
