"""A resolved checkpoint becomes a loaded network that has passed every check: no random, dropped or damaged weights."""

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from hf_transferability.checkpoints.checkpoint import Checkpoint
from hf_transferability.checkpoints.facts import loaded_facts, loaded_flags
from hf_transferability.checkpoints.finite import DAMAGED_HEAD, check_finite, not_finite, silence_damaged_head
from hf_transferability.checkpoints.formats import adapters, configured
from hf_transferability.checkpoints.formats.building import build
from hf_transferability.checkpoints.formats.built import Built
from hf_transferability.checkpoints.formats.files import EXTRACT
from hf_transferability.checkpoints.image_size import set_size, size_of
from hf_transferability.checkpoints.pooling import Embedding, checked, name_pooling
from hf_transferability.checkpoints.source import Source
from hf_transferability.checkpoints.tracing import Trace, find_head, gradient_layers, trace, with_norm
from hf_transferability.checkpoints.weights import check_missing, check_unused
from hf_transferability.errors import CheckpointError, first_line

_one_at_a_time = threading.Lock()  # while it builds a network, transformers changes settings of the whole program


def load(source: Source) -> Checkpoint:
    """Load a resolved checkpoint in float32 and evaluation mode, and find its head and gradient layers by a trace.

    From several threads at once, one after the other.

    Raises:
        CheckpointError: files that are damaged or do not fit each other, weights that would be random or dropped, custom
            code that is not trusted, no image processor, or features that change from one forward to the next.
    """
    folder = source.fetch()
    try:
        with _one_at_a_time, quiet_transformers():
            return _load(source, folder)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(_explained(source, error)) from error


def _load(source: Source, folder: Path) -> Checkpoint:
    built = _built(source, folder)
    network = built.network.float().eval().requires_grad_(False)
    checkpoint = Checkpoint(source.name, network, built.processor, None, False, [], {}, {}, input_names=built.input_names)
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    if source.options.image_size is not None:
        set_size(checkpoint, source.options.image_size, list(noise))
    pixels = checkpoint.preprocess(list(noise))
    checkpoint.image_size = size_of(checkpoint, pixels)
    damaged_head = silence_damaged_head(network, built.use.missing)
    traced = trace(network, lambda: checkpoint.run(pixels))
    head_name = _find_features(source, built, checkpoint, traced, pixels)
    if damaged_head and checkpoint.has_source_head:
        built.no_probabilities, checkpoint.has_source_head = damaged_head, False
    left_out = check_unused(source.name, built.use, network.state_dict(), built.kinds)
    checkpoint.layers, extension = gradient_layers(network, traced.weights, head_name)
    n_features = _check_features(source, checkpoint, pixels)
    named = built.choice.name != "native"
    checkpoint.facts["pooling"] = built.choice.name if named else name_pooling(network, lambda: checkpoint.forward(pixels)[0])
    checkpoint.facts["pooling_reason"] = built.choice.reason
    checkpoint.facts |= loaded_facts(source, folder, built, checkpoint, n_features, left_out)
    checkpoint.flags = loaded_flags(source, built, checkpoint, extension)
    return checkpoint


def _built(source: Source, folder: Path) -> Built:
    """The network of a source; that of an adapter is its base with the adapter merged into it."""
    if source.base is None:
        return build(source, folder)
    base = replace(source.base, lender=source.lender)
    return adapters.merge(source, folder, build(base, base.fetch(), num_labels=adapters.head_size(source, folder)))


def _find_features(source: Source, built: Built, checkpoint: Checkpoint, traced: Trace, pixels: torch.Tensor) -> str | None:
    """Set where the features come from, and refuse missing weights; returns the name of the head."""
    missing, names = set(built.use.missing), checkpoint.network.state_dict().keys()
    result: Any = traced.result
    logits = getattr(result, "logits", None) if built.embedding is None else None
    damaged = not_finite(checkpoint.network, missing)
    if built.embedding is None and logits is not None and getattr(built.config, "num_labels", 1) != 0:
        head = find_head(traced.outputs, logits.flatten(1))
        if head is None:
            check_finite(source.name, damaged)
            raise CheckpointError(
                f"no layer of {source.name} was found to make its logits, so its features are unknown. Try --pooling mean."
            )
        head_name, checkpoint.head = with_norm(checkpoint.network, *head)
        head_weights = {f"{head_name}.{name}" for name, _ in checkpoint.head.named_parameters()}
        check_finite(source.name, [name for name in damaged if name not in head_weights])
        if missing & head_weights:
            built.no_probabilities = None  # the reason is that there is no head
        elif damaged:
            built.no_probabilities = DAMAGED_HEAD
        complete = not missing & head_weights and logits.flatten(1).shape[1] > 1
        checkpoint.has_source_head = complete and built.no_probabilities is None
        check_missing(source.name, missing - head_weights, built.use, names, built.kinds)
        checkpoint.facts["feature_source"] = f"input of {head_name}"
        return head_name
    check_finite(source.name, damaged)
    if built.embedding is None:
        embedding = Embedding("logits")  # zero classes: the head lets the pooled features through
    elif built.embedding.output == "pooler_output" and getattr(result, "pooler_output", None) is not None:
        embedding = built.embedding
    else:
        asked = built.embedding if built.embedding.output != "pooler_output" else Embedding("mean", n_prefix=0)
        hidden = getattr(result, "last_hidden_state", None)
        size = tuple(pixels.shape[-2:]) if torch.is_tensor(pixels) else ()
        embedding = configured.token_layout(replace(built, embedding=asked), hidden, size) or asked
        checked(source.name, embedding, hidden)
    check_missing(source.name, missing, built.use, names, built.kinds)
    checkpoint.embedding = embedding
    checkpoint.facts["feature_source"] = embedding.source()
    return None


def _check_features(source: Source, checkpoint: Checkpoint, pixels: torch.Tensor) -> int:
    """The width of the features, which must be finite and the same each time."""
    with torch.no_grad():
        features, again = checkpoint.forward(pixels)[0], checkpoint.forward(pixels)[0]
    if not torch.isfinite(features).all():
        raise CheckpointError(
            f"{source.name} gives NaN or infinite features. Its weights may be damaged or overflow in float32."
        )
    if not torch.allclose(features, again, rtol=1e-3, atol=1e-4 * float(features.abs().max())):
        raise CheckpointError(
            f"{source.name} gives other features each time it sees the same image (random masking, for example), "
            "so it cannot be ranked. Choose a checkpoint without such a step."
        )
    return features.shape[1]


def _explained(source: Source, error: Exception) -> str:
    """The text for an error of the libraries: what cannot be loaded and what to do."""
    text = str(error)
    if source.pickle and "weights_only" in text:
        return f"{source.name} is a pickle that holds more than weights, so it is not read. Choose a safetensors version."
    if "trust_remote_code" in text:
        return f"{source.name} needs code from its own repository. Read that code, then pass --trust-remote-code."
    advice = "Check that its files are whole and that this version of transformers or timm knows its architecture."
    if source.options.model_args and isinstance(error, TypeError | ValueError | AssertionError):
        advice = "Check --model-args: timm's network must take each of them."
    elif "channel" in text and "expected" in text.lower():
        advice = "Its network takes another number of colour channels; choose a version for RGB images."
    elif "doesn't match model" in text or "image size" in text.lower():
        wanted = re.search(r"doesn't match model \(?(\d+)", text)
        size = wanted[1] if wanted else "PX"
        advice = (
            "Its image processor gives another size than the network takes; "
            f"pass --image-size {size}, or lend a processor with --processor."
        )
    elif "model_type" in text:
        advice = (
            "Its config.json names no family: pass --architecture timm:NAME for a network of timm, "
            "else extract features yourself for `hf-transferability score`."
        )
    elif "Unrecognized configuration class" in text:
        advice = EXTRACT  # no network of transformers for images has this configuration
    elif "input_ids" in text or "decoder_input" in text:
        advice = "It takes text beside images; choose its image tower."
    elif "quantiz" in text.lower() or "bitsandbytes" in text:
        advice = "Choose a version that is not quantised."
    return f"{source.name} cannot be loaded: {type(error).__name__}: {first_line(error)}. {advice}"


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Within the block transformers reports no missing weights and draws no bars: those become errors and flags here."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
