"""Names that mean the same target dataset."""

import pytest

from hf_transferability.benchmark.target_names import same_target


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("pneumoniamnist", "PneumoniaMNIST"),
        ("pneumonia_mnist", "pneumoniamnist"),
        ("owner/PneumoniaMNIST", "pneumoniamnist"),
        ("owner/bloodmnist_224", "bloodmnist"),
        ("bloodmnist224", "bloodmnist"),
        ("data/medmnist/BloodMNIST/", "bloodmnist"),
        ("1aurent/PatchCamelyon", "patch_camelyon"),
        ("PCam", "pcam"),
        ("cifar-10", "cifar10"),
        ("uoft-cs/cifar10", "CIFAR-10"),
        ("oxford-iiit-pet", "oxford_iiit_pet"),
        ("my-dtd-subset", "dtd"),
        ("marmal88/skin_cancer", "marmal88/skin-cancer"),
        ("food", "food"),
    ],
)
def test_the_same_target(given, name):
    assert same_target([given], ["something else", name])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("cifar100", "cifar10"),
        ("cifar-10", "cifar100"),
        ("owner/retinamnist", "tinam"),
        ("organamnist", "organcmnist"),
        ("used-cars", "cars"),
        ("cars/photos", "cars"),  # of an id the name counts, not the owner
        ("skin_cancer", "marmal88/skin_cancer"),
        ("", "dtd"),
        ("dtd", ""),
        ("---", "..."),
    ],
)
def test_another_target(given, name):
    assert not same_target([given], [name])
    assert not same_target([], [name])
    assert not same_target([given], [])


def test_any_of_several_names_counts():
    """A dataset with a configuration is called by both."""
    assert same_target(["albertvillanova/medmnist-v2", "pneumoniamnist"], ["pneumoniamnist"])
