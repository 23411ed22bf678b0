"""A Gaussian mixture with full covariances, fitted as scikit-learn's GaussianMixture does: k-means, then expectation
maximisation with its stopping rule.

Faster by its arithmetic: all components are evaluated in few matrix products, and the covariance of a component is
summed over the images that take part in it, which of many components are few. The values are scikit-learn's but for
rounding.
"""

import numpy as np
from scipy.linalg.lapack import dtrtri
from sklearn.cluster import KMeans

MOST_STEPS = 100
_TOLERANCE = 1e-3  # of the mean log likelihood between two steps
_SMALLEST_SHARE = 1e-16  # an image with less of a component does not move its covariance
_BLOCK = 2**19  # numbers at once
_COLUMNS = 32  # of a triangular matrix at once
_EMPTY = 10 * np.finfo(np.float64).eps  # keeps a component without images finite

Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]


def mixture_posterior(x: np.ndarray, components: int, regularisation: float, seed: int) -> tuple[np.ndarray, bool]:
    """Posterior of each component for each image [n_samples, n_components], and whether the fit has converged.

    Args:
        x: [n_samples, n_features], float64.
        components: at most n_samples.
        regularisation: added to every variance.
        seed: of k-means.

    Raises:
        numpy.linalg.LinAlgError: a component collapsed: its covariance is not positive definite.
    """
    clusters = KMeans(components, n_init=1, random_state=np.random.RandomState(seed)).fit(x).labels_
    posterior = (clusters[:, None] == np.arange(components)).astype(np.float64)
    parameters = _maximise(x, posterior, regularisation)
    likelihood, converged = -np.inf, False
    for _ in range(MOST_STEPS):
        before = likelihood
        likelihood, posterior = _expect(x, parameters)
        parameters = _maximise(x, posterior, regularisation)
        if converged := abs(likelihood - before) < _TOLERANCE:
            break
    return _expect(x, parameters)[1], converged


def _maximise(x: np.ndarray, posterior: np.ndarray, regularisation: float) -> Parameters:
    """Logarithms of the weights [n_components], means [n_components, n_features], and matrices W_k [n_components,
    n_features, n_features] with W_k W_k' the inverse of the covariance."""
    d = x.shape[1]
    sizes = posterior.sum(axis=0) + _EMPTY
    means = posterior.T @ x / sizes[:, None]
    component, image = np.nonzero(posterior.T > _SMALLEST_SHARE)
    deviations = (x[image] - means[component]) * np.sqrt(posterior[image, component])[:, None]
    edges = np.searchsorted(component, np.arange(len(sizes) + 1))
    covariances = np.empty((len(sizes), d, d))
    for k, covariance in enumerate(covariances):
        members = deviations[edges[k] : edges[k + 1]]
        np.matmul(members.T, members, out=covariance)
    covariances /= sizes[:, None, None]
    covariances[:, np.arange(d), np.arange(d)] += regularisation
    whitening = np.linalg.cholesky(covariances).transpose(0, 2, 1)
    for k, factor in enumerate(whitening):
        whitening[k] = dtrtri(factor)[0]
    return np.log(sizes / sizes.sum()), means, whitening


def _expect(x: np.ndarray, parameters: Parameters) -> tuple[float, np.ndarray]:
    """Mean log likelihood of the images, and the posterior of the components [n_samples, n_components]."""
    log_weights, means, whitening = parameters
    (n, d), components = x.shape, len(means)
    distances = np.zeros((n, components))
    # The matrices are triangular: a column takes part in the features up to its own.
    parts = [slice(start, min(start + _COLUMNS, d)) for start in range(0, d, _COLUMNS)]
    for columns in parts:
        used, width = slice(columns.stop), columns.stop - columns.start
        step = max(_BLOCK // (n * width), 1)
        for start in range(0, components, step):
            block = slice(start, start + step)
            part = whitening[block, used, columns]
            white = x[:, used] @ part.transpose(1, 0, 2).reshape(columns.stop, -1)
            white -= np.matmul(means[block, None, used], part).reshape(-1)
            white = white.reshape(n, -1, width)
            distances[:, block] += np.einsum("nkd,nkd->nk", white, white)
    log_determinants = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(axis=1)
    joint = log_weights + log_determinants - (d * np.log(2 * np.pi) + distances) / 2
    largest = joint.max(axis=1, keepdims=True)
    joint -= largest
    np.exp(joint, out=joint)
    total = joint.sum(axis=1, keepdims=True)
    joint /= total
    return float((np.log(total) + largest).mean()), joint
