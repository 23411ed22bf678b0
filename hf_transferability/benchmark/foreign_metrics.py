"""Metrics that published studies report and this package does not compute: a row of scores may name one if it has a citation.

A name that is neither here nor among the package's own metrics is refused, as it is probably a slip.
"""

from types import MappingProxyType

FOREIGN_METRICS = MappingProxyType(
    {
        "pactran": "PACTran (Ding et al., ECCV 2022, https://arxiv.org/abs/2203.05126): bound on the error of a linear head",
        "tmi": "TMI (Xu and Kang 2023, https://arxiv.org/abs/2304.05366): entropy of the features within each class",
    }
)
