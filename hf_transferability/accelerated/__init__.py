"""The parts of metrics that gain by it, computed on the accelerator that extracts; see `on_device`."""
