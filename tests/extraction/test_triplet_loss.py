"""The loss over all triplets equals its definition with autograd, and needs little memory."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_transferability.extraction import triplet_loss as module
from hf_transferability.extraction.triplet_loss import MARGIN, triplet_loss

QUICK = settings(max_examples=80, deadline=None, derandomize=True)


def plain(embeddings: torch.Tensor, labels: torch.Tensor, margin: float = MARGIN) -> tuple[float, torch.Tensor, int]:
    """The definition, triplet by triplet."""
    x = embeddings.double().clone().requires_grad_(True)
    norms = x.norm(dim=1, keepdim=True)
    unit = torch.where(norms > 0, x / norms.clamp_min(1e-30), torch.zeros_like(x))
    hinges, n = [], 0

    def distance(i: int, j: int) -> torch.Tensor:
        difference = unit[i] - unit[j]
        # The distance of a point from its double has no gradient.
        return difference.norm() if float(difference.detach().norm()) > 1e-7 else difference.sum() * 0

    for i in range(len(x)):
        for j in range(len(x)):
            for k in range(len(x)):
                if i != j and labels[i] == labels[j] and labels[i] != labels[k]:
                    n += 1
                    hinge = distance(i, j) - distance(i, k) + margin
                    if hinge > 0:
                        hinges.append(hinge)
    if not hinges:
        return 0.0, torch.zeros_like(embeddings), n
    loss = torch.stack(hinges).mean()
    loss.backward()
    gradient = x.grad.clone()
    gradient[norms[:, 0].detach() == 0] = 0
    return float(loss.detach()), gradient.to(embeddings), n


@st.composite
def batches(draw) -> tuple[torch.Tensor, torch.Tensor]:
    n, d = draw(st.integers(1, 10)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    x = rng.normal(size=(n, d)) * draw(st.sampled_from([1e-3, 1.0, 30.0])) + draw(st.sampled_from([0.0, 2.0]))
    labels = rng.integers(0, draw(st.integers(1, 4)), n) * draw(st.sampled_from([1, 7]))
    for _ in range(draw(st.integers(0, 3))):  # duplicates, in the same class or another
        x[rng.integers(n)] = x[rng.integers(n)] * draw(st.sampled_from([1.0, 2.0]))
    return torch.from_numpy(x), torch.from_numpy(labels)


@QUICK
@given(batch=batches(), margin=st.sampled_from([MARGIN, 0.0123, 0.9]))
def test_equals_the_definition(batch, margin):
    x, labels = batch
    loss, gradient, n_triplets = triplet_loss(x, labels, margin)
    expected, expected_gradient, n = plain(x, labels, margin)
    assert n_triplets == n
    # A double lies within 1e-8 of its original, not at it.
    assert loss == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-4 / float(x.norm(dim=1).clamp_min(1e-3).min()))


@pytest.mark.parametrize("n, n_classes", [(24, 3), (30, 2), (40, 9)])
def test_gradient_is_exact_without_duplicates(n, n_classes):
    rng = np.random.default_rng(n)
    x, labels = torch.from_numpy(rng.normal(size=(n, 12)) + 1), torch.from_numpy(rng.integers(0, n_classes, n))
    loss, gradient, n_triplets = triplet_loss(x, labels)
    expected, expected_gradient, count = plain(x, labels)
    assert n_triplets == count
    assert loss == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-9, atol=1e-13)


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    x, labels = torch.from_numpy(rng.normal(size=(60, 5))), torch.from_numpy(rng.integers(0, 3, 60))
    whole = triplet_loss(x, labels)
    monkeypatch.setattr(module, "_CHUNK_ENTRIES", 180)  # three anchors at once
    pieces = triplet_loss(x, labels)
    assert pieces[0] == pytest.approx(whole[0], rel=1e-12)
    torch.testing.assert_close(pieces[1], whole[1], rtol=1e-10, atol=1e-14)
    assert pieces[2] == whole[2]


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [5], []])
def test_no_triplets(labels):
    x = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(0))
    loss, gradient, n_triplets = triplet_loss(x, torch.tensor(labels, dtype=torch.int64))
    assert (loss, n_triplets) == (0.0, 0)
    assert gradient.shape == x.shape
    assert not gradient.any()


def test_triplets_that_are_all_satisfied():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.01], [-1.0, 0.0]])
    loss, gradient, n_triplets = triplet_loss(x, torch.tensor([0, 0, 1]))
    assert (loss, n_triplets) == (0.0, 2)
    assert not gradient.any()


def test_zero_rows_and_identical_rows_are_finite():
    x = torch.zeros(6, 4)
    loss, gradient, _ = triplet_loss(x, torch.tensor([0, 0, 0, 1, 1, 1]))
    assert loss == pytest.approx(MARGIN)
    assert not gradient.any()
    x[0] = x[3] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    loss, gradient, _ = triplet_loss(x, torch.tensor([0, 0, 0, 1, 1, 1]))
    assert np.isfinite(loss)
    assert torch.isfinite(gradient).all()
    assert not gradient[[1, 2, 4, 5]].any()


def test_only_directions_count():
    rng = np.random.default_rng(1)
    x, labels = torch.from_numpy(rng.normal(size=(12, 4))), torch.from_numpy(rng.integers(0, 3, 12))
    scale = torch.from_numpy(rng.uniform(0.1, 10, size=(12, 1)))
    a, b = triplet_loss(x, labels), triplet_loss(x * scale, labels)
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    torch.testing.assert_close(a[1], b[1] * scale, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close((a[1] * x).sum(1), torch.zeros(12, dtype=torch.float64), rtol=0, atol=1e-12)


def test_order_and_names_of_classes_do_not_matter():
    rng = np.random.default_rng(2)
    x, labels = torch.from_numpy(rng.normal(size=(15, 4))), torch.from_numpy(rng.integers(0, 3, 15))
    order = torch.from_numpy(rng.permutation(15))
    a, b = triplet_loss(x, labels), triplet_loss(x[order], (2 - labels[order]) * 11)
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    torch.testing.assert_close(a[1][order], b[1], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_gradient_has_the_type_of_the_input_which_is_unchanged(dtype):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_(True)
    before = x.detach().clone()
    loss, gradient, _ = triplet_loss(x, torch.tensor([0, 1] * 4))
    assert isinstance(loss, float)
    assert gradient.dtype == dtype
    assert not gradient.requires_grad
    assert torch.equal(x.detach(), before)
    assert x.grad is None


def test_a_large_batch_needs_little_memory():
    """2,000 images of 512 features in two classes: 2e9 triplets."""
    code = (
        "import resource, json, torch\n"
        "from hf_transferability.extraction.triplet_loss import triplet_loss\n"
        "torch.manual_seed(0)\n"
        "x, y = torch.randn(2000, 512), torch.arange(2000) % 2\n"
        "triplet_loss(x[:50], y[:50])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "loss, gradient, n = triplet_loss(x, y)\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(json.dumps([loss, float(gradient.norm()), n, peak]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loss, norm, n_triplets, extra = json.loads(done.stdout)
    assert n_triplets == 2 * 1000 * 999 * 1000
    assert 0 < loss < 0.2
    assert norm > 0
    assert extra < 500 * 1024  # KiB
