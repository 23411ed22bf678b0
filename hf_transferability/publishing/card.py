"""The card of a published benchmark: its tables, how they were made, and how to load, cite and extend them."""

from collections.abc import Collection
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData

from hf_transferability.benchmark import tables
from hf_transferability.errors import PublishError
from hf_transferability.provenance import CITATION

TAG = "hf-transferability"
PLOT = "ground_truth.png"
_OWN_TAGS = [TAG, "transferability", "medical-imaging", "benchmark"]
_BEGIN = "<!-- hf-transferability: from here to the end mark this card is written anew at each publication -->"
_END = "<!-- hf-transferability: end mark -->"
_KINDS = {"text": "text", "number": "number", "share": "number", "count": "whole number"}
_ABOUT = {
    "ground_truth": "Fine-tuned performance of every source checkpoint on every target dataset.",
    "scores": "Scores of transferability metrics for a source checkpoint on a target dataset, without fine-tuning. A score "
    "with a `pool` was scaled over those candidates: compare it within that pool only.",
    "runs": "The fine-tuning runs behind the ground truth.",
    "sources": "Facts of the source checkpoints, or of the data that they were pre-trained on.",
    "targets": "Facts of the target datasets.",
    "agreement": "How well the scores predict the ground truth.",
}


def parse(text: str, repo_id: str) -> DatasetCard:
    """Parse a card from the Hub.

    Raises:
        PublishError: its front matter is invalid.
    """
    try:
        return DatasetCard(text, ignore_metadata_errors=False)
    except Exception as error:  # from the YAML parser, or from the client's own checks
        reason = " ".join(str(error).split())
        raise PublishError(f"README.md of {repo_id} has broken front matter ({reason}). Correct it on the Hub.") from error


def is_ours(text: str, repo_id: str) -> bool:
    """Whether the tags of a card mark its dataset as a benchmark of this package."""
    return TAG in _tags(parse(text, repo_id))


def first(repo_id: str) -> str:
    """The card of a dataset that has no table yet, which marks it as a benchmark of this package."""
    text = f"# {repo_id.split('/')[1]}\n\nA ranking by `hf-transferability` is being computed for this dataset."
    return f"---\n{DatasetCardData(tags=_OWN_TAGS).to_yaml()}\n---\n\n{_BEGIN}\n{text}\n{_END}\n"


def _tags(card: DatasetCard) -> list[Any]:
    tags = card.data.to_dict().get("tags") or []
    return tags if isinstance(tags, list) else [tags]


def render(repo_id: str, present: Collection[str], plot: bool, old: str | None = None) -> str:
    """The text of the card.

    Args:
        repo_id: OWNER/NAME of the dataset.
        present: names of the tables in it.
        plot: whether the dataset has the picture PLOT.
        old: the current card; its front matter and the text outside the marks are kept.

    Raises:
        PublishError: the front matter of the old card is invalid.
    """
    old_card = parse(old or "", repo_id)
    present = [name for name in tables.TABLES if name in present]
    old_data = old_card.data.to_dict()
    licence = {"license": "other", "license_name": "figures-with-citation"}
    data: dict[str, Any] = (licence if "license" not in old_data else {}) | old_data
    data["tags"] = list(dict.fromkeys([*_tags(old_card), *_OWN_TAGS]))
    data.setdefault("task_categories", ["image-classification"])
    first = "scores" if "scores" in present else present[0]
    other_configs = [config for config in old_data.get("configs") or [] if config.get("config_name") not in tables.TABLES]
    has_default = any(config.get("default") for config in other_configs)
    data["configs"] = [
        {
            "config_name": name,
            "data_files": [{"split": "train", "path": tables.data_files(name)}],
            **({"default": True} if name == first and not has_default else {}),
        }
        for name in present
    ] + other_configs
    generated = f"{_BEGIN}\n{_body(repo_id, present, plot)}\n{_END}"
    text = old_card.text.strip("\n") if old else ""
    start, end = text.find(_BEGIN), text.find(_END)
    if 0 <= start < end:
        text = text[:start] + generated + text[end + len(_END) :]
    else:
        text = f"{text}\n\n{generated}" if text else generated
    return f"---\n{DatasetCardData(**data).to_yaml()}\n---\n\n{text}\n"


def _body(repo_id: str, present: Collection[str], plot: bool) -> str:
    name = repo_id.split("/")[1]
    example = "scores" if "scores" in present else next(iter(present))
    parts = [
        f"# {name}\n\nWhich pretrained checkpoint should be fine-tuned on a medical image dataset? These are results of "
        "transferability metrics, which answer that without fine-tuning, and of fine-tuning, which tells how right they were, "
        "in the tables of `hf-transferability`, a Python package (how to get it is said below).",
        f'```python\nfrom datasets import load_dataset\n\nload_dataset("{repo_id}", "{example}", split="train")\n```',
        "The only split is called train because that is where `datasets` looks first; nothing here is for training.",
    ]
    if plot:
        parts.append(f"![Fine-tuned performance by source checkpoint and target dataset]({PLOT})")
    elif "ground_truth" not in present:
        parts.append(
            "There is no fine-tuned performance here yet, so the quality of these scores is unknown, and there is no picture. "
            "`hf-transferability finetune` makes the table `ground_truth`."
        )
    parts.append(
        "## How it was made\n\nRows with a `citation` are figures from that publication. All others were computed by "
        "`hf-transferability`: a seeded sample of the target dataset went through the checkpoint at the commit that the row "
        "names, and the metric was computed from its features, source probabilities and gradients; ground truth comes from "
        "fine-tuning. Rows without `citation` must state their input, versions, hardware and date to be published. "
        "If two rows have one key, the later row is kept."
    )
    parts.append(
        "## How far to trust it\n\nEvery row says what it was computed from, so that it can be computed again: commits, "
        "sample, seed, versions and hardware, or the publication that it was taken from. Rows that others added are unchecked. "
        "Compare scores of one metric, variant and sample only. Ground truth is noisy: where there is a table of runs, its "
        "spread tells by how much, and `hf-transferability benchmark compare` gives the noise ceiling, which a metric can "
        "hardly exceed."
    )
    for table in present:
        definition = tables.TABLES[table]
        key = ", ".join((*definition.key, *definition.identity))
        parts.append(f"## {table}\n\n{_ABOUT[table]} One row per {key}.\n\n{_columns(definition.columns)}")
    parts.append(f"## Provenance\n\nThese columns are in every table.\n\n{_columns(tables.PROVENANCE)}")
    parts.append(
        "## Adding to it\n\n"
        f"```sh\nhf-transferability rank DATASET CHECKPOINT ... --push-to {repo_id}\n"
        f"hf-transferability benchmark publish {repo_id} FILE ...\n```\n\n"
        "Without write access this opens a pull request. No row is lost: your rows are merged by their keys into the newest "
        "rows."
    )
    parts.append(
        "## The package\n\nThe tables are parquet files, which `datasets`, pandas and others read without it. "
        "`hf-transferability` is on no package index, so take no package of that name from one. Who has a checkout of its "
        "repository installs it there, with Python 3.11 or newer:\n\n```sh\npython3 -m venv .venv && .venv/bin/pip install .\n"
        "```\n\nA Space or a metric that was published with it holds it as a wheel: download that, then "
        "`pip install ./hf_transferability-*.whl`. If you have neither, ask in the Community tab of this dataset."
    )
    parts.append(
        "## Licence\n\nOnly numbers, settings and names are here: no images, no weights. Figures with a `citation` belong to "
        "that publication and are shown with their source; rights in publications, datasets and checkpoints stay with their "
        "owners. For research; not for clinical decisions."
    )
    parts.append(
        f"## Citation\n\nCite this dataset as `{repo_id}` with its commit, the publications named in `citation` for their "
        f"figures, and for the transferability score:\n\n```bibtex\n{CITATION}```"
    )
    parts.append(
        "## Report a problem\n\nA wrong figure, or one that may not be shown here: open a discussion in the Community tab of "
        "this dataset, and name the row by its key."
    )
    return "\n\n".join(parts)


def _columns(columns: dict[str, tables.Column]) -> str:
    lines = [f"| {name} | {_KINDS[column.kind]} | {column.meaning} |" for name, column in columns.items()]
    return "\n".join(["| column | kind | meaning |", "|---|---|---|", *lines])
