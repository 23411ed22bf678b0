"""Documents of `Ranking.to_dict()` with any number of rows, for pictures and pages, without loading networks."""

import copy
import random

LONG = "an-organisation-with-a-long-name/clip-vit-large-patch14-336-augreg-finetuned-medical-chest-xray-multilabel"
ROW = {
    "flags": [], "error": None, "flag_details": {}, "undefined": {}, "intervals": {}, "n_features": 512, "licence": "mit",
    "revision": "0123456789abcdef0123456789abcdef01234567", "architecture": "resnet", "device": "cpu", "variant": "default",
    "layers": ["conv1.weight", "layer1.0.conv1.weight"], "training_datasets": ["imagenet-1k"],
}  # fmt: skip


def ranking_of(n: int, failed: int = 0, seed: int = 0) -> dict:
    """A ranking of n candidates, every fourth with a long name, and of failed ones."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        score = 1 - i / n
        quality, ratio = 0.4 + 0.5 * score * rng.random(), 2 ** rng.gauss(-1, 1)
        row = copy.deepcopy(ROW) | {"rank": i + 1, "score": score, "transferability": score, "tie_group": 1 + i // 3}
        row |= {"checkpoint": f"{LONG}-{i}" if i % 4 == 0 else f"owner/resnet{i}.a1_in1k", "seconds": 10 ** rng.uniform(0, 3)}
        row |= {"interval": None if i % 5 == 4 else [score - 0.1, min(score + 0.1, 1.0)], "feature_quality": quality}
        row |= {"feature_update_ratio": ratio, "parameters": int(10 ** rng.uniform(6.5, 9))}
        rows.append(row)
    empty = dict.fromkeys(
        ("rank", "score", "transferability", "tie_group", "interval", "feature_quality", "feature_update_ratio", "parameters"),
    )
    for i in range(failed):
        error = f"model <script>alert({i})</script> is gated: ask for $access$ at the Hub, then log in."
        row = copy.deepcopy(ROW) | empty | {"checkpoint": f"broken/<b>{i}", "error": error, "seconds": None}
        rows.append(row)
    return {
        "dataset": {"id": "owner/x-rays", "split": "train", "images": 200, "seed": 3, "revision": "abc", "fingerprint": "f00"},
        "scenario": "source_dataset", "metric": "transferability", "rows": rows, "notes": ["scenario & more"],
        "versions": {"hf-transferability": "0.1.0", "torch": "2.14"},
    }  # fmt: skip
