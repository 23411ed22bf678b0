"""Which files of a repository are loaded, and the messages for repositories that cannot be ranked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hf_transferability.checkpoints.options import LoadOptions
from hf_transferability.errors import CheckpointError

CONFIGURATION = ("config.json", "preprocessor_config.json", "processor_config.json", "README.md")
_SAFETENSORS = ("model.safetensors", r"model-\d+-of-\d+\.safetensors", "model.safetensors.index.json")
_PICKLE = ("pytorch_model.bin", r"pytorch_model-\d+-of-\d+\.bin", "pytorch_model.bin.index.json")
EXTRACT = "Extract its features with your own code and rank them with `hf-transferability score`."
# What marks a repository that cannot be ranked -> what it is and what can be done.
_OTHERS = (
    (r".*\.(keras|h5)|saved_model\.pb|keras_metadata\.pb", "is a Keras or TensorFlow model"),
    (r".*\.onnx", "is an ONNX model"),
    (r"metadata\.json|.*\.ts", "looks like a MONAI bundle or a TorchScript file"),
    (r"model_index\.json", "is a diffusion pipeline"),
    (r".*\.gguf", "is a quantised GGUF model"),
    (r"modules\.json|sentence_bert_config\.json", "is a sentence-transformers model"),
)


@dataclass(frozen=True)
class Choice:
    """The files of a repository that are loaded.

    Attributes:
        layout: name of the repository layout.
        files: their names, sorted.
        pickle: whether the weights come from a pickle file.
    """

    layout: str
    files: tuple[str, ...]
    pickle: bool

    @classmethod
    def of_weights(
        cls, name: str, layout: str, files: Sequence[str], weights: Sequence[str], beside: Sequence[str], options: LoadOptions
    ) -> "Choice":
        """The first of the weights that is allowed (safetensors come first), with configuration files that are there.

        Raises:
            CheckpointError: no weights, or only pickle weights while those are not allowed.
        """
        if not weights:
            raise CheckpointError(f"{name} has no weights that can be loaded. Choose a checkpoint that holds them.")
        pickle = not weights[0].endswith(".safetensors")
        if pickle and not options.allow_pickle:
            raise pickle_only(name, weights[0])
        kept = [file for file in (*CONFIGURATION, *beside) if file in files]
        return cls(layout, tuple(sorted({*kept, weights[0]})), pickle)


class PickleOnlyError(CheckpointError):
    """A checkpoint has no weights but pickled ones, and those were not allowed."""


def pickle_only(name: str, file: str) -> PickleOnlyError:
    """The error for weights that only exist as a pickle file."""
    return PickleOnlyError(
        f"{name} has only pickle weights ({file}), which can run code when they are read. "
        "Choose a safetensors version, or pass --allow-pickle to read them with weights_only."
    )


def weight_files(files: Sequence[str]) -> list[str]:
    """The files that transformers and timm would load weights from."""
    names = (*_SAFETENSORS, *_PICKLE)
    return [file for file in files if any(re.fullmatch(name, file) for name in names)]


def choose_configured(name: str, files: Sequence[str], options: LoadOptions) -> Choice:
    """The files of a repository with a config.json of transformers or timm.

    Raises:
        CheckpointError: no weights, or only pickle weights while those are not allowed.
    """
    extra = [file for file in files if file in CONFIGURATION or (options.trust_remote_code and file.endswith(".py"))]
    for (single, shards, index), pickle in ((_SAFETENSORS, False), (_PICKLE, True)):
        weights = [file for file in files if file == single]
        weights = weights or [file for file in files if re.fullmatch(shards, file) or file == index]
        if not weights:
            continue
        if pickle and not options.allow_pickle:
            raise pickle_only(name, weights[0])
        return Choice("configured", tuple(sorted({*extra, *weights})), pickle)
    if found := _other(files):
        raise CheckpointError(f"{name} {found}, which cannot be ranked. {EXTRACT}")
    raise CheckpointError(f"{name} has no model.safetensors. Choose a checkpoint that holds the network's weights.")


def refuse(name: str, files: Sequence[str]) -> CheckpointError:
    """The error for a repository without a layout that can be ranked: what it is and what can be done."""
    if found := _other(files):
        return CheckpointError(f"{name} {found}, which cannot be ranked. {EXTRACT}")
    loose = [file for file in files if file.endswith((".pth", ".pt", ".ckpt", ".bin", ".safetensors"))]
    if loose:
        return CheckpointError(
            f"{name} holds weights ({loose[0]}) but has no config.json, so its architecture is unknown. "
            f"Pass --architecture timm:NAME if timm has its network. {EXTRACT.replace('Extract', 'Else extract')}"
        )
    return CheckpointError(
        f"{name} has no config.json, so its architecture is unknown. "
        f"Choose a checkpoint in the layout of transformers, timm or open_clip. {EXTRACT.replace('Extract', 'Or extract')}"
    )


def _other(files: Sequence[str]) -> str | None:
    return next((what for pattern, what in _OTHERS if any(re.fullmatch(pattern, file) for file in files)), None)
