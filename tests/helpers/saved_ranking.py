"""A saved ranking with a candidate from the Hub, one from a folder, and one that failed."""

ROW = {
    "checkpoint": "owner/one@v1", "revision": "a" * 40, "score": 0.7, "transferability": 0.7, "logme": 0.1, "nleep": None,
    "intervals": {"transferability": [0.6, 0.8], "logme": None}, "flags": ["n<=d", "unstable"], "error": None,
    "variant": "published", "preprocessing": "ViTImageProcessor (pil)", "batches": "paper", "hardware": "a processor (cpu)",
    "date": "2025-06-01T12:00:00+00:00", "torch": "2.8.0",
}  # fmt: skip
RANKING = {
    "dataset": {
        "id": "owner/target", "revision": "b" * 40, "config": "small", "split": "train", "images": 300, "seed": 4,
        "draw": "random", "window": [0, 4095], "fingerprint": "c" * 64,
    },
    "scenario": "source_dataset",
    "rows": [
        ROW,
        {**ROW, "checkpoint": "/home/somebody/two", "revision": "sha256:" + "d" * 64, "flags": []},
        {
            **ROW, "checkpoint": "owner/failed", "revision": None, "error": "not found", "score": None, "transferability": None,
            "logme": None,
        },
    ],
    "metric_versions": {"transferability": 1, "logme": 2, "nleep": 1},
    "versions": {"numpy": "2.0", "torch": "2.9.0"},
}  # fmt: skip
