"""What every format makes of a repository's files."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from hf_transferability.checkpoints.formats.pooling_choice import PoolingChoice
from hf_transferability.checkpoints.pooling import Embedding
from hf_transferability.checkpoints.weights import WeightUse


@dataclass
class Built:
    """A network with loaded weights, before its head and layers are traced.

    Attributes:
        network: takes pixel_values and gives an output of transformers (logits, pooler_output, last_hidden_state).
        processor: its image processor.
        config: its configuration, for the architecture's signature.
        architecture: name for the row of results.
        use: what became of the stored weights; names in `missing` are those of the network.
        kinds: of the repository, which decide what parts of it may be left out.
        embedding: where the features come from; None: from the input of the classification head, found by the trace.
        choice: the pooling that was chosen, and why; the name of a native one is measured.
        no_probabilities: why the head's outputs are no source probabilities; None where they are.
        input_names: the processor's outputs that the network takes.
        model_args: arguments that were added to those in config.json, for the row.
    """

    network: nn.Module
    processor: Any
    config: Any
    architecture: str
    use: WeightUse
    kinds: frozenset[str]
    embedding: Embedding | None = None
    choice: PoolingChoice = PoolingChoice("native", "")  # noqa: RUF009 - a tuple
    no_probabilities: str | None = None
    input_names: tuple[str, ...] = ("pixel_values",)
    model_args: str = ""
