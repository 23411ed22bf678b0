"""The page: three tabs that call the functions of `work`, which are also its API and its tools for MCP clients."""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Literal

import gradio as gr

from hf_transferability.errors import UsageError
from hf_transferability.metrics import all_metrics
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.reporting import plots
from hf_transferability.space import limits, lookup, texts, uploads, work, worker
from hf_transferability.space.benchmark_tab import benchmark_tab, draw_ahead
from hf_transferability.space.parts import AT_ONCE, SCENARIOS, plot, show_errors

Scenario = Literal["auto", "source_dataset", "architecture"]
_KEPT = 1800  # seconds that uploads and downloads stay on disk at most
_WAITING = 100  # requests that may wait; look-ups do so for a moment only, so nearly all are rankings
_WORK: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "work"}  # a Space has few cores


def build() -> gr.Blocks:
    """Build the page, without serving it."""
    with gr.Blocks(title="Transferability", delete_cache=(300, _KEPT), analytics_enabled=False) as page:
        gr.Markdown(texts.INTRODUCTION)
        with gr.Tabs():
            with gr.Tab("Rank", id="rank"):
                _rank_tab()
            with gr.Tab("Benchmark", id="benchmark") as tab:
                opened = benchmark_tab()
            with gr.Tab("About", id="about"):
                gr.Markdown(texts.ABOUT)
        tab.select(**opened)
        page.unload(_on_unload)
        gr.api(rank_checkpoints, api_name="rank_checkpoints", **_WORK)
        gr.api(lookup_benchmark, api_name="lookup_benchmark", **AT_ONCE)
    return page.queue(max_size=_WAITING)


def launch(host: str | None = None, port: int | None = None, **options: Any) -> gr.Blocks:
    """Serve the page, also as an API, and to MCP clients if gradio[mcp] is installed; returns the page when it ends.

    Args:
        host, port: default: Gradio's own, the loopback address or that of the Space.
        options: passed to Gradio's `launch`.
    """
    try:
        import mcp  # noqa: F401
    except ImportError:
        served = False
    else:
        served = True
    page = build()
    draw_ahead()
    page.launch(
        server_name=host, server_port=port, mcp_server=served, max_file_size=limits.FILE_BYTES, css=texts.STYLE, **options
    )
    return page


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
    request: gr.Request | None = None,
) -> dict[str, Any]:
    """Rank pretrained checkpoints by how well they should do on an image dataset after fine-tuning, without fine-tuning them.

    Args:
        dataset: Hub id (OWNER/NAME) of a public dataset of labelled images, of at most 500 MB.
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
        request: filled in by Gradio.

    Returns:
        The ranking: rows, best first, with score, interval, tie group, flags and errors; scenario, notes and versions; and
        dataset, whose account says which images and classes there are, which are used, and what is left out.
    """
    reading = {
        "split": split, "image_column": image_column, "label_column": label_column, "group_column": group_column,
        "class_level": class_level, "window": window,
    }  # fmt: skip
    return show_errors(work.rank_checkpoints)(
        dataset, checkpoints, sample_size, scenario, metric, reading, visitor=_visitor(request)
    )


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
    return show_errors(lookup.lookup_benchmark)(scenario, metric, target, benchmark, selection)


def _rank_tab() -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            with gr.Tabs():
                with gr.Tab("From the Hub") as hub_tab:
                    dataset = gr.Textbox(label="Dataset", placeholder="OWNER/NAME", max_lines=1)
                    names = gr.Textbox(label="Checkpoints, one per line", placeholder="OWNER/NAME", lines=4, max_lines=8)
                    size = gr.Slider(12, limits.IMAGES, value=200, step=1, label="Images to draw")
                    reading = _reading_inputs()
                with gr.Tab("Features that you have") as file_tab:
                    gr.Markdown(texts.UPLOAD)
                    files = gr.File(
                        label="Files of features", file_count="multiple", file_types=[".npz", ".safetensors"], type="filepath"
                    )
            scenario = gr.Radio(SCENARIOS, value="auto", label="What the candidates differ in")
            metric = gr.Dropdown(list(all_metrics()), value=DEFAULT_METRICS[0], label="Sort by")
            button = gr.Button("Rank", variant="primary")
        example_button, demo_button = _examples()
    summary = gr.Markdown(elem_id="summary")
    table = gr.Dataframe(
        interactive=False, wrap=True, label="Ranking", elem_id="ranking", visible=False, column_widths=[70, 300, *[105] * 30]
    )
    pictures = [plot("Scores", visible=False)]
    with gr.Row():
        pictures += [plot(label, visible=False, min_width=544) for label in ("Components", "Cost")]
    downloads = gr.File(label="Download", file_count="multiple", interactive=False, visible=False, elem_id="downloads")
    shown: list[Any] = [summary, table, *pictures, downloads]
    by_file = gr.Checkbox(False, visible=False)  # which of the two tabs is open; the browser sets it without a request

    @_answered
    def from_inputs(
        by_file: bool,
        dataset: str,
        names: str,
        size: float,
        paths: list[str] | None,
        scenario: str,
        metric: str,
        *reading: Any,
        **callbacks: Any,
    ) -> work.Document:
        if by_file:
            visitor = callbacks["visitor"]
            uploads.hold(visitor, paths or [])
            try:
                return work.rank_files(uploads.held(visitor, paths or []), scenario, metric, **callbacks)
            finally:
                uploads.forget(visitor)
        options = dict(zip(work.READING, reading, strict=True))
        return work.rank_checkpoints(dataset, names.splitlines(), int(size), scenario, metric, options, **callbacks)

    @_answered
    def from_demo(**callbacks: Any) -> work.Document:
        return work.run_demo(**callbacks)

    @_answered
    def from_example(**callbacks: Any) -> work.Document:
        return work.example()

    def clear() -> list[Any]:
        return ["", *(type(component)(visible=False) for component in shown[1:])]

    private: dict[str, Any] = {"api_visibility": "private"}
    hub_tab.select(None, None, by_file, js="() => false", **private)
    file_tab.select(None, None, by_file, js="() => true", **private)
    # The previous ranking is not an answer to the new request.
    cleared = [
        component.click(clear, None, shown, queue=False, show_progress="hidden", **private)
        for component in (button, demo_button)
    ]
    private |= {"show_progress_on": summary, "scroll_to_output": True}
    files.upload(_on_upload, files, None, queue=False, show_progress="hidden", **private)
    inputs = [by_file, dataset, names, size, files, scenario, metric, *reading]
    done = cleared[0].then(from_inputs, inputs, shown, **private, **_WORK)
    for ended in (done.success, done.failure):  # `then` does not come after a failure in a chain
        ended(lambda: None, None, files, api_visibility="private")  # they have been removed from the disk
    cleared[1].then(from_demo, None, shown, **private, **_WORK)
    example_button.click(from_example, None, shown, concurrency_limit=4, **private)


def _examples() -> tuple[gr.Button, gr.Button]:
    """The column beside the inputs; returns the buttons that show the example and that run it."""
    with gr.Column(scale=1, min_width=260):
        gr.Markdown(texts.EXAMPLES)
        show, run = gr.Button("Show the example"), gr.Button("Run it here, about two minutes")
        gr.Markdown(texts.BOUNDS)
    return show, run


def _reading_inputs() -> list[Any]:
    """A folded part with one input for each of `work.READING`, in that order."""
    with gr.Accordion("Reading the data", open=False):
        gr.Markdown(texts.DATA_HELP)
        with gr.Row():
            split = gr.Textbox(label="Split", placeholder="train", max_lines=1, min_width=140)
            images = gr.Textbox(label="Image column", placeholder="the only one", max_lines=1, min_width=140)
            labels = gr.Textbox(label="Label column", placeholder="label", max_lines=1, min_width=140)
        with gr.Row():
            groups = gr.Textbox(label="Group column", placeholder="patient", max_lines=1, min_width=140)
            level = gr.Number(label="Class level of folders", value=None, precision=0, minimum=0, min_width=140)
            window = gr.Textbox(label="Window LOW,HIGH", placeholder="-160,240", max_lines=1, min_width=140)
    return [split, images, labels, groups, level, window]


def _answered(work_of: Callable[..., work.Document]) -> Callable[..., Iterator[list[Any]]]:
    """A handler that shows the ranking made by `work_of`; its files stay on disk only until they are sent."""

    # Gradio passes the request and the progress only to arguments before the `*`.
    def handler(
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        *inputs: Any,
    ) -> Iterator[list[Any]]:
        def tell(text: str, share: float) -> None:
            progress(share, desc=text)

        document = show_errors(work_of)(*inputs, tell=tell, visitor=_visitor(request))
        with tempfile.TemporaryDirectory(prefix="hf-transferability-answer-", ignore_cleanup_errors=True) as folder:
            yield [
                work.summary(document),
                gr.Dataframe(work.table(document), visible=True),
                *(_picture(draw, document) for draw in (plots.scores, plots.components, plots.cost)),
                gr.File(work.write_files(document, folder), visible=True),
            ]

    return handler


def _visitor(request: gr.Request | None) -> str:
    """The name of one open page; empty if there is none."""
    return (request and request.session_hash) or ""


def _on_upload(paths: list[str], request: gr.Request) -> None:
    uploads.hold(_visitor(request), paths)


def _on_unload(request: gr.Request) -> None:
    worker.leave(_visitor(request))
    uploads.forget(_visitor(request))


def _picture(draw: Callable[[work.Document], Any], document: work.Document) -> gr.Plot:
    try:
        return gr.Plot(draw(document), visible=True)
    except UsageError:  # nothing to draw, for example without gradient norms
        return gr.Plot(None, visible=False)
