"""The tab where benchmarks are looked up."""

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData
from gradio.processing_utils import encode_plot_to_base64

from hf_transferability.benchmark.ground_truth import PUBLISHED
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.space import benchmarks, lookup, texts
from hf_transferability.space.benchmarks import FIRST
from hf_transferability.space.parts import AT_ONCE, SCENARIOS, plot, show_errors

_KEPT = 512  # pictures, of some 30 kB each
_drawing = threading.Lock()  # Matplotlib's fonts are shared between threads


def benchmark_tab() -> dict[str, Any]:
    """Build the tab; returns the arguments of `select` that fill it when it is opened."""
    gr.Markdown(texts.BENCHMARK)
    overview = plot("Agreement in all benchmarks")
    with gr.Row():
        name = gr.Dropdown([FIRST], value=FIRST, label="Benchmark")
        metric = gr.Dropdown([DEFAULT_METRICS[0]], value=DEFAULT_METRICS[0], label="Metric")
        target = gr.Dropdown([("all targets", "mean")], value="mean", label="Target")
    with gr.Row():
        scenario = gr.Radio(SCENARIOS[1:], value="source_dataset", label="What the candidates differ in")
        selection = gr.Radio([PUBLISHED], value=PUBLISHED, label="Fine-tuned performance is that of", visible=False)
    summary = gr.Markdown(elem_id="benchmark-summary")
    table = gr.Dataframe(
        interactive=False,
        wrap=True,
        label="Agreement with fine-tuned performance",
        elem_id="agreement",
        max_height=640,
        column_widths=[200, *[110] * 4],
    )
    chart = plot("Agreement of every metric")
    scatter = plot("The metric against fine-tuned performance")
    heat = plot("Fine-tuned performance")
    asked: list[Any] = [name, scenario, selection, metric, target]

    def look(name: str, scenario: str, selection: str, metric: str, target: str) -> list[Any]:
        names = list(benchmarks.shown()[0])
        benchmark = lookup.chosen_benchmark(name if name in names else "")
        scenario = _one_of(benchmark.scenarios, scenario)
        selection = _one_of(benchmark.selections, selection)
        metrics, targets = lookup.choices(benchmark, selection, scenario)
        metric, target = _one_of(metrics, metric), _one_of(["mean", *targets], target)
        return [
            gr.Dropdown(names, value=benchmark.name),
            gr.Radio([item for item in SCENARIOS if item[1] in benchmark.scenarios], value=scenario),
            gr.Radio(
                [(_spaced(item), item) for item in benchmark.selections], value=selection, visible=len(benchmark.selections) > 1
            ),
            gr.Dropdown(metrics, value=metric),
            gr.Dropdown([("all targets", "mean"), *((item, item) for item in targets)], value=target),
            lookup.benchmark_summary(benchmark, selection, scenario, target),
            lookup.agreement_table(benchmark, selection, scenario, target),
            _drawn(lookup.agreement_picture, benchmark, selection, scenario),
            _drawn(lookup.scores_picture, benchmark, selection, scenario, metric, target),
            _drawn(lookup.performance_picture, benchmark, selection, scenario),
            _drawn(lookup.leaderboard_picture),
        ]

    options: dict[str, Any] = {
        "inputs": asked, "outputs": [*asked, summary, table, chart, scatter, heat, overview],
        "api_visibility": "private", **AT_ONCE,
    }  # fmt: skip
    gr.on([item.input for item in asked], show_errors(look), **options)
    return {"fn": show_errors(look), **options}


def _one_of(known: Sequence[str], wished: str) -> str:
    return wished if wished in known else known[0]


def _spaced(name: str) -> str:
    return name.replace("_", " ")


@lru_cache(_KEPT)
def _drawn(draw: Callable[..., Any], *what: Any) -> PlotData:
    """A picture as the browser gets it, drawn once for all visitors."""
    with _drawing:
        return PlotData(type="matplotlib", plot=encode_plot_to_base64(draw(*what), "webp"))


def draw_ahead() -> threading.Thread:
    """Draw in the background what a visitor sees first. Not more: drawing would slow every answer for half a minute."""

    def draw() -> None:
        _drawn(lookup.leaderboard_picture)
        benchmark = lookup.chosen_benchmark()
        selection, scenario = benchmark.selections[0], benchmark.scenarios[0]
        metric = _one_of(lookup.choices(benchmark, selection, scenario)[0], DEFAULT_METRICS[0])
        _drawn(lookup.agreement_picture, benchmark, selection, scenario)
        _drawn(lookup.scores_picture, benchmark, selection, scenario, metric, "mean")
        _drawn(lookup.performance_picture, benchmark, selection, scenario)

    thread = threading.Thread(target=draw, name="drawing ahead", daemon=True)
    thread.start()
    return thread
