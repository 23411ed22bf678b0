"""The words of the page."""

from hf_transferability.space import limits

STYLE = """
#summary { min-height: 7rem; }
#summary code, #benchmark-summary code { overflow-wrap: anywhere; }
.picture { overflow-x: auto !important; }
.picture img { width: 100%; min-width: 34rem; max-width: 66rem; margin: auto; }
"""

INTRODUCTION = """\
# Which pretrained checkpoint should you fine-tune?

Rank checkpoints for a labelled (medical) image dataset without fine-tuning any of them.
"""

UPLOAD = f"""\
One `.npz` or `.safetensors` file per candidate, all of one sample of images in one order, with the arrays `features`
[images, features] and `labels` [images], and if you have them `source_probabilities` [images, classes] and `gradient_norms`
[batches, 2]. No pickled objects. At most {limits.FILES} files of {limits.FILE_BYTES // 2**20} MiB. They are removed as soon as
they are ranked. Do not upload what must not leave your organisation: `hf-transferability score` does the same on your machine.
"""

EXAMPLES = """\
### Try it

Seven small checkpoints for five kinds of handwritten digits: the package's own demo. See a ranking that was made before, or
have the checkpoints made and ranked anew.
"""

BOUNDS = f"""\
### Bounds

At most {limits.CHECKPOINTS} checkpoints, of {limits.PARAMETERS / 1e6:.0f} million parameters each and
{limits.CHECKPOINT_BYTES / 1e9:.0f} GB together, {limits.IMAGES} images from a dataset of
{limits.DATASET_BYTES / 1e6:.0f} MB, and {limits.SECONDS / 60:.0f} minutes. Public repositories only, safetensors only, and no
repository's own code. Your own machine has no bounds:

```sh
hf-transferability rank DATASET CHECKPOINT ...
```
"""

BENCHMARK = """\
How well do such scores foresee fine-tuned performance? Agreement is the weighted Kendall tau, 1 for the same order and 0 for
chance, of every metric; beside it stand baselines that look at no target image, and the noise ceiling of the fine-tuned
results.
"""

ABOUT = """\
## What the score means

The transferability score is *feature quality* (do images of one class lie together in the checkpoint's features?) times
*feature update ratio* (how much would early layers adapt in fine-tuning?), each scaled from 0 to 1 over the candidates that you
compare. So it says how candidates compare on your images; it is not an accuracy, and it changes when you add or remove one.

- **Interval**: 90 %, from ten random half-samples of the images.
- **Tie group**: candidates of one group change places when half of the images are left out. Fine-tune any of
  them, or take more images.
- **Flags** say why to trust a row less; each is explained below the ranking.

## Its limits

- Within one architecture the published agreement with fine-tuning is 0.52 (weighted Kendall tau, mean over 11 medical targets);
  knowing how sources did on *other* targets foresees as much. Look at the Benchmark tab.
- Between architectures the published order turns round. That is a hypothesis from the data that it was published on, with an
  agreement of 0.26, and it can favour bad networks.
- Feature quality is measured on the images that it is fitted on: only differences count. Few images per class make every metric
  unstable.
- A high score says nothing about fairness between groups of patients. For research; not for clinical decisions.

## Your data

Nothing of yours is shown to others. Work runs in a process and a folder of its own, which are removed when it ends; uploads are
removed as soon as they are ranked, and the files for download after half an hour.

## For programs

The same as an API (`gradio_client`), and as tools for MCP clients where the server offers them: `rank_checkpoints` and
`lookup_benchmark`; see "Use via API" below.

## Citation

```bibtex
@article{juodelyte2024dataset,
  title = {On dataset transferability in medical image classification},
  author = {Juodelyte, Dovile and Ferrante, Enzo and Lu, Yucheng and Singh, Prabhant and Vanschoren, Joaquin and
    Cheplygina, Veronika},
  journal = {arXiv preprint arXiv:2412.20172},
  year = {2024}
}
```
"""
