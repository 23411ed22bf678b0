"""Tiny configurations of every family of networks, and where their features and gradient layers are."""

import transformers as hf

SIZE = 32
N_LABELS = 5
VIT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32}
VIT |= {"image_size": SIZE, "patch_size": 8}
LABELS = {"num_labels": N_LABELS}
STAGES = {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1], **LABELS}
SWIN = {"image_size": SIZE, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, **LABELS}
TEXT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 50}
TEXT |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}


def clip(**labels):
    return hf.CLIPConfig(vision_config=VIT, text_config=TEXT, projection_dim=8, **labels)


def siglip(**labels):
    return hf.SiglipConfig(vision_config=VIT, text_config=TEXT, **labels)


# name: (configuration, class or None for the classifier, features from, width, first layer, second layer, extension)
RESNET_STEM = "resnet.embedder.embedder.convolution.weight"
RESNET_SECOND = "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight"
FAMILIES = {
    "resnet basic": (
        lambda: hf.ResNetConfig(embedding_size=8, layer_type="basic", **STAGES),
        None, "input of classifier.1", 20, RESNET_STEM, RESNET_SECOND, False,
    ),
    "resnet bottleneck": (  # the 1x1 shortcut is registered before the second convolution, but runs after it
        lambda: hf.ResNetConfig(embedding_size=8, layer_type="bottleneck", **STAGES),
        None, "input of classifier.1", 20, RESNET_STEM, RESNET_SECOND, False,
    ),
    "regnet": (
        lambda: hf.RegNetConfig(embedding_size=8, groups_width=4, **STAGES),
        None, "input of classifier.1", 20,
        "regnet.embedder.embedder.convolution.weight", "regnet.encoder.stages.0.layers.0.layer.0.convolution.weight", False,
    ),
    "convnext": (
        lambda: hf.ConvNextConfig(**STAGES),
        None, "input of classifier", 20,
        "convnext.embeddings.patch_embeddings.weight", "convnext.encoder.stages.0.layers.0.dwconv.weight", False,
    ),
    "convnextv2": (
        lambda: hf.ConvNextV2Config(**STAGES),
        None, "input of classifier", 20,
        "convnextv2.embeddings.patch_embeddings.weight", "convnextv2.encoder.stages.0.layers.0.dwconv.weight", False,
    ),
    "efficientnet": (
        lambda: hf.EfficientNetConfig(
            image_size=SIZE, width_coefficient=0.25, depth_coefficient=0.1, hidden_dim=320, initializer_range=0.3, **LABELS
        ),
        None, "input of classifier", 320,
        "efficientnet.embeddings.convolution.weight",
        "efficientnet.encoder.blocks.0.depthwise_conv.depthwise_conv.weight", False,
    ),
    "mobilenetv2": (
        lambda: hf.MobileNetV2Config(image_size=SIZE, depth_multiplier=0.25, finegrained_output=False, **LABELS),
        None, "input of classifier", 320,
        "mobilenet_v2.conv_stem.first_conv.convolution.weight", "mobilenet_v2.conv_stem.conv_3x3.convolution.weight", False,
    ),
    "vit": (
        lambda: hf.ViTConfig(**VIT, **LABELS),
        None, "input of classifier", 24,
        "vit.embeddings.patch_embeddings.projection.weight", "vit.layers.0.attention.q_proj.weight", True,
    ),
    "deit": (
        lambda: hf.DeiTConfig(**VIT, **LABELS),
        "DeiTForImageClassification", "input of classifier", 24,
        "deit.embeddings.patch_embeddings.projection.weight", "deit.layers.0.attention.q_proj.weight", True,
    ),
    "deit with teacher": (
        lambda: hf.DeiTConfig(**VIT, **LABELS),
        "DeiTForImageClassificationWithTeacher", "input of cls_classifier", 24,
        "deit.embeddings.patch_embeddings.projection.weight", "deit.layers.0.attention.q_proj.weight", True,
    ),
    "swin": (
        lambda: hf.SwinConfig(**SWIN),
        None, "input of classifier", 16,
        "swin.embeddings.patch_embeddings.projection.weight",
        "swin.encoder.layers.0.blocks.0.attention.q_proj.weight", True,
    ),
    "swinv2": (
        lambda: hf.Swinv2Config(**SWIN),
        None, "input of classifier", 16,
        "swinv2.embeddings.patch_embeddings.projection.weight",
        "swinv2.encoder.layers.0.blocks.0.attention.self.query.weight", True,
    ),
    "beit": (
        lambda: hf.BeitConfig(**VIT, **LABELS),
        None, "input of classifier", 24,
        "beit.embeddings.patch_embeddings.projection.weight", "beit.layers.0.attention.q_proj.weight", True,
    ),
    "dinov2": (
        lambda: hf.Dinov2Config(**VIT, mlp_ratio=2, **LABELS),
        None, "input of classifier", 48,
        "dinov2.embeddings.patch_embeddings.projection.weight", "dinov2.encoder.layer.0.attention.q_proj.weight", True,
    ),
    "dinov2 headless": (
        lambda: hf.Dinov2Config(**VIT, mlp_ratio=2),
        "Dinov2Model", "pooler_output", 24,
        "embeddings.patch_embeddings.projection.weight", "encoder.layer.0.attention.q_proj.weight", True,
    ),
    "dinov2 of no classes": (
        lambda: hf.Dinov2Config(**VIT, mlp_ratio=2, num_labels=0),
        None, "pooler_output", 24,
        "embeddings.patch_embeddings.projection.weight", "encoder.layer.0.attention.q_proj.weight", True,
    ),
    "dinov3 vit": (
        lambda: hf.DINOv3ViTConfig(**VIT),
        "DINOv3ViTModel", "pooler_output", 24,
        "embeddings.patch_embeddings.weight", "model.layer.0.attention.q_proj.weight", True,
    ),
    "dinov3 convnext": (
        lambda: hf.DINOv3ConvNextConfig(hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1]),
        "DINOv3ConvNextModel", "pooler_output", 20,
        "model.stages.0.downsample_layers.0.weight", "model.stages.0.layers.0.depthwise_conv.weight", False,
    ),
    "clip classifier": (
        lambda: clip(**LABELS),
        None, "input of classifier", 24,
        "vision_model.embeddings.patch_embedding.weight", "vision_model.encoder.layers.0.self_attn.q_proj.weight", True,
    ),
    "clip two towers": (
        clip,
        "CLIPModel", "pooler_output", 24,
        "embeddings.patch_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight", True,
    ),
    "siglip classifier": (
        lambda: siglip(**LABELS),
        None, "input of classifier", 24,
        "vision_model.embeddings.patch_embedding.weight", "vision_model.encoder.layers.0.self_attn.q_proj.weight", True,
    ),
    "siglip two towers": (
        siglip,
        "SiglipModel", "pooler_output", 24,
        "embeddings.patch_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight", True,
    ),
}  # fmt: skip
HEADLESS = {"dinov2 headless", "dinov2 of no classes", "dinov3 vit", "dinov3 convnext", "clip two towers", "siglip two towers"}
TINY_VIT = {"img_size": SIZE, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
TINY_SWIN = {"img_size": SIZE, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2)}
QKV = "timm_model.blocks.0.attn.qkv.weight"
PATCH = "timm_model.patch_embed.proj.weight"
# name: (arguments, head, width, first layer, second layer, rows of the second)
TIMM = {
    "resnet18": ({}, "fc", 512, "timm_model.conv1.weight", "timm_model.layer1.0.conv1.weight", None),
    "convnext_atto": (
        {"dims": (8, 12, 16, 20), "depths": (1, 1, 1, 1)},
        "head.fc", 20, "timm_model.stem.0.weight", "timm_model.stages.0.blocks.0.conv_dw.weight", None,
    ),
    "densenet121": (
        {"growth_rate": 4, "block_config": (1, 1, 1, 1)},
        "classifier", 8, "timm_model.features.conv0.weight",
        "timm_model.features.denseblock1.denselayer1.conv1.weight", None,
    ),
    "mobilenetv3_small_050": (
        {}, "classifier", 1024, "timm_model.conv_stem.weight", "timm_model.blocks.0.0.conv_dw.weight", None,
    ),
    "vit_tiny_patch16_224": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "vit_base_patch16_siglip_224": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "vit_small_patch14_dinov2": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "beit_base_patch16_224": (TINY_VIT, "head", 24, PATCH, QKV, 24),
    "swin_tiny_patch4_window7_224": (
        TINY_SWIN, "head.fc", 24, PATCH, "timm_model.layers.0.blocks.0.attn.qkv.weight", 12,
    ),
    "swinv2_tiny_window8_256": (
        TINY_SWIN, "head.fc", 24, PATCH, "timm_model.layers.0.blocks.0.attn.qkv.weight", 12,
    ),
}  # fmt: skip
