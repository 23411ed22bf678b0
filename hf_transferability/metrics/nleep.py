"""NLEEP: Li, Jia, Sang, Zhu, Green, Wang, Gong, "Ranking Neural Checkpoints", CVPR 2021,
https://arxiv.org/abs/2011.11200.

LEEP with the components of a Gaussian mixture in place of source classes, so it needs no source head. The published
tables leave the logarithm out and fit one mixture without a seed. The default has the logarithm, averages five seeded
mixtures, regularises their covariances relative to the features' scale, and takes fewer components for small samples.
It hands the images to the mixture in the order of their distance from the centre, so that the score depends neither on
their order nor on the features' rotation.
"""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from hf_transferability.metrics._flags import warn
from hf_transferability.metrics._mixture import MOST_STEPS, mixture_posterior
from hf_transferability.metrics._registry import register
from hf_transferability.metrics._sample import as_sample, seeded_subsample
from hf_transferability.metrics._validation import check_count, check_varying, encode_labels
from hf_transferability.quiet import without_warnings

_VARIANCE = 0.8
_COMPONENTS_PER_CLASS = 5
_IMAGES_PER_COMPONENT = 2
_MIXTURES = 5
_REGULARISATION = 1e-3  # of the variance along the widest direction
_LARGEST_ERROR = 0.05  # standard error over the seeds, as a share of the gain over knowing the class shares alone
_LARGEST_SAMPLE = 2000  # above this a seeded subsample: each component's covariance costs n d^2


@register(
    inputs=("features", "labels"),
    range=(-np.inf, 0.0),
    published_range=(0.0, 1.0),
    unit="nats per image",
    largest_sample=_LARGEST_SAMPLE,
    paper="Li et al. 2021, https://arxiv.org/abs/2011.11200",
    invariances={"sample_order": 1e-6, "label_names": 1e-9, "shift": 1e-6, "scale": 1e-6, "rotation": 1e-6},
    half_options={"mixtures": 1},
)
def nleep(*, features: Any, labels: Any, variant: str = "default", seed: int = 0, mixtures: int = _MIXTURES) -> float:
    """Mean log likelihood of the labels when the components of a Gaussian mixture over the features are translated into
    classes.

    In nats per image, at most 0 (published: a share, 0 to 1); comparable between candidates on one sample. With p(v|i)
    the posterior of component v for image i, among 5 per class after a PCA that keeps 80% of the variance, and P(y|v)
    the empirical conditional: mean_i log sum_v p(v|i) P(y_i|v). The mixture is fitted on the same images, so the value
    is optimistic: compare it with the value that shuffled labels give.

    Args:
        features: [n_samples, n_features], float; computed in float64.
        labels: [n_samples], classes of any kind.
        variant: "published" leaves the logarithm out and fits one mixture, without the changes named above.
        seed: decides the (first) mixture and the subsample above 2,000 images.
        mixtures: how many to average (default only); their spread is reported from two on.

    Returns:
        The mean over the seeds. Flags: n<=d, subsampled, single_image_class, not_converged; unstable (default only),
        with the spread over the seeds.

    Raises:
        ValueError, TypeError: input that is not finite, does not match in length, has one class, or never varies;
            published only: fewer than 5 images per class on average, or a mixture that collapses.

    Cost: for each seed and step 5 c n r^2, r the dimensions kept, n at most 2,000. Smallest n: 2.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0], [0.1], [0.2], [0.3], [9.0], [9.1], [9.2], [9.3]])
        >>> nleep(features=x, labels=[0] * 4 + [1] * 4) > -0.001
        True
    """
    sample = as_sample(features)
    x = sample.features
    codes, classes = encode_labels(labels, len(x))
    check_varying(x)
    check_count("mixtures", mixtures)
    if len(x) <= x.shape[1]:
        warn("n<=d", f"{len(x)} images, {x.shape[1]} features")
    rows = seeded_subsample([codes], _LARGEST_SAMPLE, seed)
    sample, codes = sample.part(rows), codes[rows]
    components = _COMPONENTS_PER_CLASS * len(classes)
    if variant == "published":
        return float(_likelihood(_published_posterior(sample.features.astype(np.float64), components, seed), codes).mean())
    projected = sample.principal_components(variance=_VARIANCE)
    order = np.argsort((projected**2).sum(axis=1), kind="stable")
    projected, codes = projected[order] / projected[:, 0].std(), codes[order]
    components = min(components, max(len(codes) // _IMAGES_PER_COMPONENT, 1))
    posteriors = (_posterior(projected, components, _REGULARISATION, seed + i) for i in range(mixtures))
    values = np.array([np.log(_likelihood(posterior, codes)).mean() for posterior in posteriors])
    if mixtures > 1:
        _report_spread(values, codes)
    return min(float(values.mean()), 0.0)


def _published_posterior(x: np.ndarray, components: int, seed: int) -> np.ndarray:
    if len(x) < components:
        raise ValueError(
            f"`features` must have at least {components} rows, 5 per class, for the published variant; got {len(x)}. "
            'Take a larger sample, or variant="default".'
        )
    projected = PCA(n_components=_VARIANCE, random_state=42).fit_transform(x)
    try:
        return _posterior(projected, components, 1e-6, seed)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"`features` must allow {components} separate mixture components for the published variant; got a component that "
            'collapsed. Use variant="default", which regularises them.'
        ) from error


def _posterior(projected: np.ndarray, components: int, regularisation: float, seed: int) -> np.ndarray:
    # One thread: on matrices this small more of them cost up to four times what they bring.
    with threadpool_limits(1), without_warnings():
        # Duplicate images leave k-means with fewer clusters than asked for; the rest is reported below.
        posterior, converged = mixture_posterior(projected, components, regularisation, seed)
    if not converged:
        warn("not_converged", f"{MOST_STEPS} steps of the mixture with seed {seed}")
    return posterior


def _likelihood(posterior: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Expected empirical prediction of each image's own class [n_samples]."""
    joint = np.stack([posterior[codes == k].sum(axis=0) for k in range(codes.max() + 1)])
    mass = joint.sum(axis=0)
    conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    return (posterior * conditional[codes]).sum(axis=1)


def _report_spread(values: np.ndarray, codes: np.ndarray) -> None:
    shares = np.bincount(codes) / len(codes)
    gain = values.mean() - shares @ np.log(shares)
    deviation = values.std(ddof=1)
    if deviation / np.sqrt(len(values)) > _LARGEST_ERROR * max(gain, 0.0) + 1e-12:
        warn(
            "unstable",
            f"standard deviation {deviation:.3g} over {len(values)} seeds, gain over the class shares {gain:.3g}",
        )
