"""What of a choice is made for others: entries of evaluation results for the recommended checkpoint, and a section of a card.

Nothing is sent. Entries belong to the repository of the checkpoint, whose owner decides about them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_transferability.choosing.report import card_section
from hf_transferability.files import make_folder, write_file
from hf_transferability.publishing import export

CARD = "model_card.md"


def write_for_hub(
    choice: Mapping[str, Any], ranking: Mapping[str, Any], folder: Path, source_url: str | None = None
) -> list[Path]:
    """Write the section for the card of what is fine-tuned next, and for a target and a checkpoint on the Hub the entries.

    Args:
        choice: `Choice.to_dict()`.
        ranking: `Ranking.to_dict()`.
        folder: of the choice.
        source_url: address of the dataset in which the ranking's scores were published.

    Returns:
        The files, relative to the folder.
    """
    rows = export.rows_of(ranking, choice["recommended"]) if choice["recommended"] else []
    scores = [export.section(rows, source_url)] if rows else []
    contents = {Path(CARD): "\n".join([card_section(choice, ranking), *scores])}
    if rows and (place := export.entries_path(rows)):
        contents[place] = export.eval_results(rows, source_url, choice["run"])
    for path, text in contents.items():
        make_folder((folder / path).parent, "output")
        write_file(folder / path, text.encode())
    return list(contents)
