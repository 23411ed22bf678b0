"""Triplet margin loss over all triplets of a batch, and its gradient, in O(b^2 log b) without a list of triplets.

The loss follows Juodelyte et al. 2024 (https://arxiv.org/abs/2412.20172): the mean of max(0, d_ij - d_ik + margin) over the
triplets where it is positive. Images i and j have one class, k another; d is the Euclidean distance of L2-normalised
embeddings. For an anchor and a positive, the number of active negatives is a rank among the sorted distances of the negatives,
and the sum of their distances is a prefix sum.
"""

import torch

MARGIN = 0.05
_CHUNK_ENTRIES = 2**20  # entries of a matrix of distances: 8 MB, and about ten such matrices at once
_NO_DISTANCE = 1e-7  # below it two points are equal up to rounding, and their distance has no gradient


def triplet_loss(embeddings: torch.Tensor, labels: torch.Tensor, margin: float = MARGIN) -> tuple[float, torch.Tensor, int]:
    """Loss, its gradient with respect to the embeddings, and the number of triplets.

    Args:
        embeddings: [batch, n_features], any float type and device, not normalised. The computation is in float64.
        labels: [batch], class codes.
        margin: margin of the hinge.

    Returns:
        loss: mean over the active triplets; 0 if there are none.
        gradient: [batch, n_features], of the type and on the device of `embeddings`.
        n_triplets: number of all (anchor, positive, negative) of the batch; if it is 0, the loss has no meaning.
    """
    device = embeddings.device if embeddings.device.type != "mps" else torch.device("cpu")  # MPS has no float64
    x = embeddings.detach().to(device, torch.float64)
    labels = labels.to(device)
    norms = x.norm(dim=1, keepdim=True).clamp_min(1e-12)
    unit = x / norms
    counts = torch.bincount(labels)
    n_triplets = int((counts * (counts - 1) * (len(x) - counts)).sum())
    gradient = torch.zeros_like(unit)
    total, active = torch.zeros((), dtype=torch.float64, device=device), 0
    for code in torch.nonzero((counts > 1) & (counts < len(x))).flatten().tolist():
        positives, negatives = torch.nonzero(labels == code).flatten(), torch.nonzero(labels != code).flatten()
        for anchors in positives.split(max(_CHUNK_ENTRIES // len(x), 1)):
            loss, count = _add_anchors(unit, anchors, positives, negatives, margin, gradient)
            total += loss
            active += count
    if not active:
        return 0.0, torch.zeros_like(embeddings), n_triplets
    gradient /= active
    gradient = (gradient - (gradient * unit).sum(dim=1, keepdim=True) * unit) / norms
    gradient[x.norm(dim=1) == 0] = 0.0
    return float(total / active), gradient.to(embeddings), n_triplets


def _add_anchors(
    unit: torch.Tensor,
    anchors: torch.Tensor,
    positives: torch.Tensor,
    negatives: torch.Tensor,
    margin: float,
    gradient: torch.Tensor,
) -> tuple[torch.Tensor, int]:
    """Sum and number of the active hinges of some anchors; adds the gradient of the sum to `gradient`."""
    near, far = _distances(unit, anchors, positives), _distances(unit, anchors, negatives)
    is_anchor = anchors[:, None] == positives
    bound = near + margin
    sorted_far, _ = far.sort(dim=1)
    n_active = torch.searchsorted(sorted_far, bound)  # negatives strictly below the bound
    n_active[is_anchor] = 0
    sums = torch.nn.functional.pad(sorted_far.cumsum(dim=1), (1, 0))
    loss = (n_active * bound - sums.gather(1, n_active)).sum()
    sorted_bound, _ = bound.masked_fill(is_anchor, -torch.inf).sort(dim=1)
    n_violations = len(positives) - torch.searchsorted(sorted_bound, far, right=True)  # positives with a bound above
    _add_distance_gradient(unit, anchors, positives, n_active / near, near, gradient)
    _add_distance_gradient(unit, anchors, negatives, -n_violations / far, far, gradient)
    return loss, int(n_active.sum())


def _distances(unit: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    a, b = unit[rows], unit[columns]
    squared = (a * a).sum(dim=1, keepdim=True) + (b * b).sum(dim=1) - 2 * (a @ b.T)
    return squared.clamp_min_(0.0).sqrt_()


def _add_distance_gradient(
    unit: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    weights: torch.Tensor,
    distances: torch.Tensor,
    gradient: torch.Tensor,
) -> None:
    """Add the gradient of sum(w * d) to both ends of each distance; `weights` = w / d."""
    weights = torch.where(distances > _NO_DISTANCE, weights, 0.0)
    a, b = unit[rows], unit[columns]
    gradient.index_add_(0, rows, weights.sum(dim=1, keepdim=True) * a - weights @ b)
    gradient.index_add_(0, columns, weights.sum(dim=0)[:, None] * b - weights.T @ a)
