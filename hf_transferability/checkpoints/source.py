"""A checkpoint that is resolved to exact files but not loaded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hf_transferability import hub
from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.errors import CheckpointError


@dataclass(frozen=True)
class Source:
    """A checkpoint that is resolved but not loaded.

    Attributes:
        name: as the user gave it.
        revision: the commit, or "sha256:..." over the files of a local folder.
        key: identity of weights, configuration, preprocessing and reading options, for the cache.
        pickle: whether its weights come from a pickle file.
        files: names of the files that are loaded.
        folder: where they lie, for a local checkpoint.
        model: the Hub snapshot, for the others.
        layout: name of the repository layout; see `formats`.
        options: how it is read.
        base: the network that an adapter changes.
        lender: the checkpoint whose image processor is used instead of its own.
    """

    name: str
    revision: str
    key: str
    pickle: bool
    files: tuple[str, ...]
    folder: Path | None
    model: hub.Snapshot | None
    layout: str = "configured"
    options: LoadOptions = field(default_factory=LoadOptions)
    base: "Source | None" = None
    lender: "Source | None" = None

    @property
    def weights(self) -> list[str]:
        """Names of the files that hold weights."""
        return [file for file in self.files if file.endswith((".safetensors", ".bin", ".pth", ".pt", ".ckpt"))]

    @property
    def repo_id(self) -> str | None:
        """The Hub id without its revision; None for a local folder."""
        return self.model.repo_id if self.model is not None else None

    def fetch(self, shown: Callable[[], bool] = lambda: True) -> Path:
        """The local folder with its files, downloaded first if need be.

        Args:
            shown: whether the download is reported at present; see `hub.reported_downloads`.

        Raises:
            CheckpointError: no network, no access, or a file that arrives damaged.
        """
        if self.folder is not None:
            return self.folder
        assert self.model is not None
        try:
            return hub.download(self.model, self.files, self.options.token, shown)
        except Exception as error:
            raise CheckpointError(hub.explain(error, "model", self.name)) from error
