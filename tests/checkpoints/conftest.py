"""Tiny random networks in local folders."""

import shutil
from pathlib import Path

import pytest
import transformers as hf
from helpers.checkpoint_folders import VIT


@pytest.fixture(scope="package")
def originals(make_checkpoint):
    return {
        "resnet": make_checkpoint(),
        "vit": make_checkpoint(hf.ViTConfig(**VIT, num_labels=5)),
        "vit base": make_checkpoint(hf.ViTConfig(**VIT), model_class=hf.ViTModel),
        "dinov3": make_checkpoint(hf.DINOv3ViTConfig(**VIT), model_class=hf.DINOv3ViTModel),
        "clip vision": make_checkpoint(hf.CLIPVisionConfig(**VIT), model_class=hf.CLIPVisionModel),
    }


@pytest.fixture
def copy(originals, tmp_path):
    """copy(name) -> a folder that the test may change."""

    def make(name: str = "resnet", new: str = "checkpoint") -> Path:
        shutil.copytree(originals[name], tmp_path / new)
        return tmp_path / new

    return make
