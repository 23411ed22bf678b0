"""Options of a grid that is small enough for tests."""

from hf_transferability.training.settings import Protocol

SMALL_GRID = {
    "protocol": Protocol(image_size=16, epochs=2, patience=2, train_per_class=8, validation_per_class=4),
    "seeds": 1,
}
