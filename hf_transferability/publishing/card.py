"""The card of a published benchmark: what is in it, how it was made, and how to load it, cite it and add to it."""

from collections.abc import Collection
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData

from hf_transferability.benchmark import tables
from hf_transferability.errors import PublishError

TAG = "hf-transferability"
PLOT = "ground_truth.png"
_OWN_TAGS = [TAG, "transferability", "medical-imaging", "benchmark"]
_BEGIN = "<!-- hf-transferability: from here to the end mark this card is written anew at each publication -->"
_END = "<!-- hf-transferability: end mark -->"
_KINDS = {"text": "text", "number": "number", "share": "number", "count": "whole number"}
_ABOUT = {
    "ground_truth": "Fine-tuned performance of every source checkpoint on every target dataset.",
    "scores": "What transferability metrics say of a source checkpoint on a target dataset, without fine-tuning it. A score "
    "with a `pool` was scaled over those candidates: compare it within that pool only.",
    "runs": "The fine-tuning runs behind the ground truth.",
    "sources": "Facts of the source checkpoints, or of the data that they were pre-trained on.",
    "targets": "Facts of the target datasets.",
    "agreement": "How well the scores predict the ground truth.",
}


def parse(text: str, repo_id: str) -> DatasetCard:
    """A card as it is on the Hub.

    Raises:
        PublishError: its front matter is broken.
    """
    try:
        return DatasetCard(text, ignore_metadata_errors=False)
    except Exception as error:  # of YAML, or of what the client expects in it
        why = " ".join(str(error).split())
        raise PublishError(f"README.md of {repo_id} has broken front matter ({why}). Mend it on the Hub.") from error


def is_ours(text: str, repo_id: str) -> bool:
    """Whether a card's tags say that its dataset is a benchmark in these tables."""
    return TAG in _tags(parse(text, repo_id))


def _tags(card: DatasetCard) -> list[Any]:
    found = card.data.to_dict().get("tags") or []
    return found if isinstance(found, list) else [found]


def render(repo_id: str, present: Collection[str], plot: bool, old: str | None = None) -> str:
    """The card's text.

    Args:
        repo_id: of the dataset.
        present: names of the tables that it has.
        plot: whether PLOT lies beside the card.
        old: the present card: what others wrote into it stays, in its front matter and outside the marks.

    Raises:
        PublishError: the old card's front matter is broken.
    """
    before = parse(old or "", repo_id)
    present = [name for name in tables.TABLES if name in present]
    kept = before.data.to_dict()
    licence = {"license": "other", "license_name": "figures-with-citation"}
    data: dict[str, Any] = (licence if "license" not in kept else {}) | kept
    data["tags"] = list(dict.fromkeys([*_tags(before), *_OWN_TAGS]))
    data.setdefault("task_categories", ["image-classification"])
    first = "scores" if "scores" in present else present[0]
    others = [each for each in kept.get("configs") or [] if each.get("config_name") not in tables.TABLES]
    taken = any(each.get("default") for each in others)
    data["configs"] = [
        {
            "config_name": name,
            "data_files": [{"split": "train", "path": tables.data_files(name)}],
            **({"default": True} if name == first and not taken else {}),
        }
        for name in present
    ] + others
    generated = f"{_BEGIN}\n{_body(repo_id, present, plot)}\n{_END}"
    text = before.text.strip("\n") if old else ""
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
        "transferability metrics and of fine-tuning, in the tables of `hf-transferability`.",
        f'```python\nfrom datasets import load_dataset\n\nload_dataset("{repo_id}", "{example}", split="train")\n```',
        "The only split is called train because that is where `datasets` looks first; nothing here is for training.",
    ]
    if plot:
        parts.append(f"![Fine-tuned performance by source checkpoint and target dataset]({PLOT})")
    elif "ground_truth" not in present:
        parts.append(
            "There is no fine-tuned performance here yet, so nothing says how well these scores foresee it, and there is no "
            "picture: it shows the table `ground_truth`, which `hf-transferability finetune` makes."
        )
    parts.append(
        "## How it was made\n\nRows with a `citation` are figures out of that publication. All others were computed by "
        "`hf-transferability`: a seeded sample of the target dataset went through the checkpoint at the commit that the row "
        "names, and the metric was computed from its features, source probabilities and gradients; ground truth comes from "
        "fine-tuning. A row without `citation` says what it was computed from, with which versions, on what, and when; rows "
        "that do not are refused at publication. Of two rows of one key the later one stays."
    )
    for table in present:
        own = tables.TABLES[table]
        key = ", ".join((*own.key, *own.identity))
        parts.append(f"## {table}\n\n{_ABOUT[table]} One row per {key}.\n\n{_columns(own.columns)}")
    parts.append(f"## Provenance\n\nColumns of every table.\n\n{_columns(tables.PROVENANCE)}")
    parts.append(
        "## Adding to it\n\n"
        f"```sh\nhf-transferability rank DATASET CHECKPOINT ... --push-to {repo_id}\n"
        f"hf-transferability benchmark publish {repo_id} FILE ...\n```\n\n"
        "Without write access this opens a pull request. No row is lost: the newest rows are read first, and yours are merged "
        "into them by their keys."
    )
    parts.append(
        "## Licence\n\nOnly numbers, settings and names are here: no images, no weights. Figures with a `citation` belong to "
        "that publication and are given with their source; rights in publications, datasets and checkpoints stay with their "
        "owners. For research; not for clinical decisions."
    )
    parts.append(
        "## Citation\n\nCite the publications named in `citation` for their figures, and for the transferability score:\n\n"
        "```bibtex\n@article{juodelyte2024dataset,\n"
        "  title = {On dataset transferability in medical image classification},\n"
        "  author = {Juodelyte, Dovile and Ferrante, Enzo and Lu, Yucheng and Singh, Prabhant and Vanschoren, Joaquin and "
        "Cheplygina, Veronika},\n"
        "  journal = {arXiv preprint arXiv:2412.20172},\n  year = {2024}\n}\n```"
    )
    return "\n\n".join(parts)


def _columns(columns: dict[str, tables.Column]) -> str:
    lines = [f"| {name} | {_KINDS[column.kind]} | {column.meaning} |" for name, column in columns.items()]
    return "\n".join(["| column | kind | meaning |", "|---|---|---|", *lines])
