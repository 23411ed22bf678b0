"""Options of the sample, as one object or by name."""

from helpers.targets import AB, table

from hf_transferability.data.images import Decoding
from hf_transferability.data.options import SampleOptions
from hf_transferability.data.targets import load_target


def test_options_and_names_are_the_same():
    data = table([0, 1] * 20, AB)
    by_name = load_target(data, sample_size=20, seed=3, draw="stratified")
    assert load_target(data, SampleOptions(sample_size=20, seed=3, draw="stratified")).key == by_name.key
    assert load_target(data, SampleOptions(sample_size=30, seed=3), sample=20, draw="stratified").key == by_name.key


def test_every_option_has_a_name_and_goes_into_a_document():
    options = SampleOptions(window=(0, 10), frame="middle", max_pixels=5)
    assert set(options.to_dict()) == set(SampleOptions.names())
    assert options.decoding == Decoding((0, 10), "middle", 5)
