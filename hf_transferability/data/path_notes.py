"""What the paths of rows tell beside their labels: folders that are joined, and names that may be of test images."""

from collections.abc import Sequence

from hf_transferability.data.file_names import name_notes
from hf_transferability.data.folder_parts import joined, labelled_levels, levels_of, listed, may_be_test
from hf_transferability.data.inner_paths import below_common_folder, parts_of
from hf_transferability.errors import UsageError

_MAY_BE_TEST = "Names of the images' folders say that some may be for testing; leave those out if they are."


def path_notes(
    paths: Sequence[str], labels: Sequence[object], *, class_folders: bool, files: bool, for_testing: bool = False
) -> tuple[list[str], dict[str, str]]:
    """Notes on rows of one split that are used together, and note -> names, which are not kept.

    Args:
        paths: of the images that are used, "" for none.
        labels: of these images.
        class_folders: the labels are the names of folders, which have been looked at.
        files: rows name files, and do not only say where an embedded image came from.
        for_testing: the rows are a test split, of which names may say so.

    Raises:
        UsageError: rows that name files in folders of which some may be for testing.
    """
    rows = [(path, label) for path, label in zip(paths, labels, strict=True) if path]
    paths, labels = [path for path, _ in rows], [label for _, label in rows]
    folders = [parts_of(path)[:-1] for path in below_common_folder(paths)]
    levels = levels_of(folders, labelled_levels(folders, labels))
    notes, examples = [], {}
    if class_folders:
        note, names = joined(levels)
    else:
        suspect = [names for names, _ in levels.values() if may_be_test(names) and not for_testing]
        if suspect and files:
            raise UsageError(
                f"the rows name images in the folders {listed(suspect[0])}, of which some may be for testing. "
                "Save the rows of each split on their own (`Dataset.filter`), or rename the folders to use all."
            )
        note, names = (_MAY_BE_TEST, listed(suspect[0])) if suspect else ("", "")
    if note:
        notes.append(note)
        examples[note] = names
    return notes if for_testing else notes + name_notes(paths, labels), examples
