"""Float32 that is float32 on every device, also where several threads ask for it at once."""

import contextlib
import threading
from collections.abc import Iterator

import torch

_lock = threading.Lock()
_open_blocks = 0
_settings = contextlib.ExitStack()


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """A block in which float32 is computed in float32; cuDNN's default of TF32 would change results by about 1e-3.

    The settings are those of the whole program: the first block to begin saves them, and the last one to end restores them.
    """
    global _open_blocks
    with _lock:
        _open_blocks += 1
        if _open_blocks == 1:
            _settings.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("highest")
            cudnn = torch.backends.cudnn
            _settings.enter_context(cudnn.flags(enabled=cudnn.enabled, allow_tf32=False))
    try:
        yield
    finally:
        with _lock:
            _open_blocks -= 1
            if _open_blocks == 0:
                _settings.close()
