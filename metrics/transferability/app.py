"""A page that scores a file of features. `score_file` does it; Gradio only shows the result."""

import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

# The Hub installs requirements.txt before it copies the other files, so the package is a wheel that is unpacked here.
for wheel in Path(__file__).parent.glob("hf_transferability-*.whl"):
    sys.path.insert(0, tempfile.mkdtemp(prefix="hf-transferability-"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(sys.path[0])

from hf_transferability import all_metrics  # noqa: E402
from hf_transferability.data.array_files import check_size, read_arrays  # noqa: E402
from hf_transferability.evaluate_module import Transferability  # noqa: E402

LARGEST = 512 * 2**20  # bytes of arrays, unpacked
INTRODUCTION = """\
# Transferability

How well would a pretrained checkpoint do on your labelled images after fine-tuning? Upload its features: a `.npz` or
`.safetensors` file with the arrays `features` [n_samples, n_features] and `labels` [n_samples], and, for the metrics that need
them, `source_probabilities` [n_samples, n_source_classes] and `gradient_norms` [n_batches, 2]. Scores tell candidates apart
on one sample of images: upload one file per checkpoint. Do not upload data that must not leave your organisation:
the wheel in the files of this Space, installed with pip, computes the same on your own machine.
"""


def score_file(path: str | Path | None, metric: str = "default") -> tuple[list[list[Any]], str]:
    """Rows of name and score, and remarks on how far to trust them.

    Raises:
        ValueError, TypeError: no file, one that cannot be read, or arrays for which the metric is undefined.
    """
    if path is None:
        raise ValueError("choose a file first.")
    check_size(path, LARGEST)
    arrays = read_arrays(path)
    inputs = {
        "predictions": arrays.pop("features", None),
        "references": arrays.pop("labels", None),
        **arrays,
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = Transferability(metric).compute(**inputs)
    remarks = dict.fromkeys(str(warning.message) for warning in caught)
    return [[name, value] for name, value in scores.items()], "\n".join(f"- {remark}" for remark in remarks)


def build_demo() -> Any:
    """Build the page, without serving it."""
    import gradio as gr

    def show(path: str | None, metric: str) -> tuple[list[list[Any]], str]:
        try:
            return score_file(path, metric)
        except (ValueError, TypeError) as error:
            raise gr.Error(str(error), duration=None) from error

    with gr.Blocks(title="Transferability") as demo:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            file = gr.File(label="Features file", file_types=[".npz", ".safetensors"], type="filepath")
            metric = gr.Dropdown(
                [("all that the file allows", "default"), *((name, name) for name in all_metrics())],
                value="default",
                label="Metric",
            )
        button = gr.Button("Score", variant="primary")
        scores = gr.Dataframe(headers=["metric", "score"], datatype=["str", "number"], interactive=False, label="Scores")
        remarks = gr.Markdown()
        button.click(show, [file, metric], [scores, remarks], api_name="score")
    return demo


if __name__ == "__main__":
    build_demo().launch(max_file_size=LARGEST)
