"""The list of packages; everything else about the distribution is in pyproject.toml."""

from setuptools import find_packages, setup

# Folders that go to the Hub travel inside the wheel; registration.hub_folder finds them, there and in a checkout.
FOR_HUB = {
    "hf_transferability.for_hub.metrics.transferability": "metrics/transferability",
    "hf_transferability.for_hub.space": "space",
}

setup(packages=[*find_packages(include=["hf_transferability*"]), *FOR_HUB], package_dir=FOR_HUB)
