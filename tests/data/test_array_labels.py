"""Labels and logits that come as arrays mean the same at every door."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from hf_transferability.data.array_files import read_arrays
from hf_transferability.data.array_labels import labelled_arrays
from hf_transferability.errors import UsageError
from hf_transferability.metrics import score

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 3
FEATURES = RNG.normal(size=(40, 4))
LOGITS = RNG.normal(size=(40, 6)) * 6


def test_one_column_is_one_label_an_image():
    flat, column = (labelled_arrays(labels, {}) for labels in (LABELS, LABELS[:, None]))
    assert flat.task == column.task == "single_label"
    assert flat.key == column.key
    assert column.labels.shape == (40,)
    account = column.provenance.pop("account")
    assert account["line"].startswith("split (arrays) 40; 3 classes: ")
    assert column.provenance == {"task": "single_label", "images": 40}


def test_the_form_of_the_labels_is_part_of_the_key():
    vectors = np.eye(3, dtype=np.int64)[LABELS]
    forms = [LABELS, vectors, vectors.reshape(-1)[:40], LABELS + 0.25, vectors.reshape(20, 6)]
    assert len({labelled_arrays(labels, {}).key for labels in forms}) == len(forms)


def test_whole_floats_are_refused_at_every_door():
    with pytest.raises(UsageError, match=r"got floats with the whole values 0, 1, 2\. Cast classes to integers"):
        labelled_arrays(LABELS.astype(float), {})
    with pytest.raises(TypeError, match="Cast classes to integers"):
        score("logme", features=FEATURES, labels=LABELS.astype(np.float32))
    assert np.isfinite(score("logme", features=FEATURES, labels=LABELS.astype(float), task="regression"))
    assert labelled_arrays(LABELS + 0.25, {}).task == "regression"


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_logits_become_source_probabilities(tmp_path, form):
    path = tmp_path / f"a.{form}"
    arrays = {"logits": LOGITS.astype(np.float32), "labels": LABELS}
    if form == "npz":
        np.savez(path, **arrays)
    else:
        from safetensors.numpy import save_file

        save_file(arrays, path)
    read = read_arrays(path)
    assert set(read) == {"source_probabilities", "labels"}
    assert read["source_probabilities"].dtype == np.float64
    np.testing.assert_allclose(read["source_probabilities"], np.exp(log_softmax(arrays["logits"].astype(float), 1)), rtol=1e-12)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_probabilities_in_half_precision(kind):
    exact = softmax(LOGITS, axis=1)
    value = score("leep", source_probabilities=torch.tensor(exact).to(kind), labels=LABELS)
    assert value == pytest.approx(score("leep", source_probabilities=exact, labels=LABELS), abs=1e-2)
    with pytest.raises(ValueError, match="rows that sum to 1"):
        score("leep", source_probabilities=torch.tensor(exact * 0.9).to(kind), labels=LABELS)


def test_a_list_of_tensors_with_gradients():
    tensor = torch.tensor(FEATURES, requires_grad=True)
    assert score("logme", features=list(tensor), labels=LABELS) == score("logme", features=tensor, labels=LABELS)


def test_one_column_of_labels_in_a_file(tmp_path):
    np.savez(tmp_path / "a.npz", features=FEATURES, labels=LABELS[:, None])
    assert read_arrays(tmp_path / "a.npz")["labels"].tolist() == LABELS.tolist()
