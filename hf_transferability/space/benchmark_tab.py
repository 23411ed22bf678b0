"""The tab where benchmarks are looked up."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gradio as gr

from hf_transferability.benchmark import bundled
from hf_transferability.benchmark.ground_truth import PUBLISHED, in_words
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.reporting import benchmark_words
from hf_transferability.space import benchmarks, links, lookup, texts
from hf_transferability.space.benchmarks import FIRST
from hf_transferability.space.parts import (
    AT_ONCE,
    SCENARIOS,
    drawing,
    drawn,
    into_address,
    link,
    on_a_phone,
    pictures,
    show_errors,
)

_KEPT = 256  # pictures, of some 80 kB each
# What a picture shows, for those who cannot see it.
_OVERVIEW = "Agreement of every method with fine-tuned performance in all bundled benchmarks; the table below has the numbers."
_AGREEMENT = "Agreement of every metric with fine-tuned performance, with its interval and by target; the table has the means."
_SCORES = "Scores of the metric {metric} against fine-tuned performance, one plot for each target."
_PERFORMANCE = "Fine-tuned performance of every source on every target."


@dataclass(frozen=True)
class BenchmarkTab:
    """What the page needs of the tab.

    Attributes:
        look: arguments of an event that shows what is chosen; its first outputs are the choices.
        link: field with the link to what is shown.
    """

    look: dict[str, Any]
    link: gr.Textbox


def benchmark_tab() -> BenchmarkTab:
    """Build the tab, which is filled when it is opened."""
    gr.Markdown(texts.BENCHMARK)
    overview = pictures("Agreement in all benchmarks")
    gr.Markdown(lookup.leaderboard_caption(), elem_classes="caption")
    with gr.Accordion("The numbers as a table", open=False):
        gr.HTML(lookup.leaderboard_figures())
    with gr.Accordion("What the methods are", open=False):
        gr.Markdown(lookup.methods_in_words(), elem_classes="caption")
    gr.Markdown("## One benchmark", elem_id="one-benchmark")
    with gr.Row(elem_id="benchmark-choices"):
        name = gr.Dropdown([FIRST], value=FIRST, label="Benchmark", scale=2, min_width=300)
        metric = gr.Dropdown([DEFAULT_METRICS[0]], value=DEFAULT_METRICS[0], label="Metric")
        target = gr.Dropdown([("all targets", "mean")], value="mean", label="Target")
    with gr.Row():
        scenario = gr.Radio(SCENARIOS[1:], value="source_dataset", label="What the candidates differ in", min_width=300)
        selection = gr.Radio([PUBLISHED], value=PUBLISHED, label="Fine-tuned performance is the", visible=False, min_width=300)
    address = link("benchmark")
    summary = gr.Markdown(elem_id="benchmark-summary")
    table = gr.Dataframe(
        interactive=False,
        wrap=True,
        label="Agreement with fine-tuned performance",
        elem_id="agreement",
        max_height=2000,
        column_widths=[230, 110, 140, 250],
    )
    legend = gr.Markdown(elem_classes="caption")
    places = [pictures(label) for label in ("Agreement", "The metric against fine-tuned performance", "Fine-tuned performance")]
    asked: list[Any] = [name, scenario, selection, metric, target]
    shown: dict[str, Any] = {
        "fn": show_errors(_on_choice), "inputs": asked, "outputs": [*asked, address, summary, table, legend, *places, overview],
        "api_visibility": "private", **AT_ONCE,
    }  # fmt: skip
    into_address(gr.on([item.input for item in asked], **shown), address)
    return BenchmarkTab(shown, address)


def existing(name: str, scenario: str, selection: str, metric: str, target: str) -> tuple[str, str, str, str, str]:
    """The same names, with the first one that there is, or the default, in place of one that there is not."""
    names = list(benchmarks.shown()[0])
    benchmark = lookup.chosen_benchmark(_one_of(names, name))
    scenario = _one_of(benchmark.scenarios, scenario)
    selection = _one_of(benchmark.selections, selection)
    metrics, targets = lookup.choices(benchmark, selection, scenario)
    metric = _one_of(metrics, metric or DEFAULT_METRICS[0])
    return benchmark.name, scenario, selection, metric, _one_of(["mean", *targets], target)


def _on_choice(request: gr.Request, *wished: str) -> list[Any]:
    return look(*wished, narrow=on_a_phone(request))


def look(*wished: str, narrow: bool = False) -> list[Any]:
    """What the tab shows of a benchmark; arguments as for `existing`, and whether pictures are narrow, for a phone."""
    name, scenario, selection, metric, target = view = existing(*wished)
    names = [(bundled.title(each) or each, each) for each in benchmarks.shown()[0]]
    benchmark = lookup.chosen_benchmark(name)
    metrics, targets = lookup.choices(benchmark, selection, scenario)
    chosen = (benchmark, selection, scenario)
    return [
        gr.Dropdown(names, value=benchmark.name),
        gr.Radio([item for item in SCENARIOS if item[1] in benchmark.scenarios], value=scenario),
        gr.Radio(
            [(in_words(item), item) for item in benchmark.selections], value=selection, visible=len(benchmark.selections) > 1
        ),
        gr.Dropdown([(benchmark_words.method(item), item) for item in metrics], value=metric),
        gr.Dropdown([(benchmark_words.target(item), item) for item in ("mean", *targets)], value=target),
        links.benchmark_link(*view),
        lookup.benchmark_summary(*chosen, target),
        lookup.agreement_shown(*chosen, target),
        lookup.agreement_legend(*chosen, target),
        _picture(narrow, _AGREEMENT, lookup.agreement_picture, *chosen),
        _picture(narrow, _SCORES.format(metric=benchmark_words.method(metric)), lookup.scores_picture, *chosen, metric, target),
        _picture(narrow, _PERFORMANCE, lookup.performance_picture, *chosen),
        _picture(narrow, _OVERVIEW, lookup.leaderboard_picture),
    ]


def _one_of(known: Sequence[str], wished: str) -> str:
    return wished if wished in known else known[0]


@lru_cache(_KEPT)
def _picture(narrow: bool, text: str, draw: Callable[..., Any], *what: Any) -> str:
    """A picture as the browser gets it, drawn once for all visitors; narrow for a phone."""
    with drawing():
        return drawn(draw(*what, narrow=narrow), text)


def draw_ahead() -> threading.Thread:
    """Draw in the background what a visitor sees first. Not more: drawing would slow every answer for half a minute."""
    thread = threading.Thread(target=look, args=("",) * 5, name="drawing ahead", daemon=True)
    thread.start()
    return thread
