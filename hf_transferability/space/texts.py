"""The texts of the page."""

import re

from hf_transferability import __version__
from hf_transferability.benchmark.leaderboard import agreement_range
from hf_transferability.catalogue.filters import in_short
from hf_transferability.provenance import CITATION
from hf_transferability.ranking.choices import DEFAULT_METRICS
from hf_transferability.space import limits

STYLE = """
#summary { min-height: 7rem; scroll-margin-top: 1rem; }
/* Gradio's "Error", and what closes it, beside the message that says which. */
#summary [data-testid=status-tracker] .error, #summary [data-testid=status-tracker] .clear-status { display: none; }
#summary code, #benchmark-summary code { overflow-wrap: anywhere; }
.prose pre > code { display: block; white-space: pre-wrap; overflow-wrap: anywhere; padding-right: 1.5rem; }
#legend, #legend li, .caption, .caption li { font-size: .9rem; }
#one-benchmark { scroll-margin-top: 1rem; overflow: visible !important; }
#downloads .label-clear-button { display: none; }
#agreement { max-width: 46rem; }
#ranking p, #agreement p, .picture { font-family: var(--font); }
#state p { margin: 0 0 .2rem; font-size: .9rem; overflow-wrap: anywhere; }
#state .beyond, #state .beyond p { color: #a03c00; font-weight: 600; }
.dark #state .beyond p { color: #ff9d66; }
.dark { --color-accent: var(--primary-400); }
:root:has(.dark) { color-scheme: dark; }
input[type=radio]:focus-visible, input[type=range]:focus-visible { outline: 2px solid #0072b2 !important; outline-offset: 2px; }
.dark input[type=radio]:focus-visible { outline-color: #56b4e9 !important; }
.dark input[type=range]:focus-visible { outline-color: #56b4e9 !important; }
#checkpoints .secondary-wrap { min-width: 11rem; }
#benchmark-choices input { padding-right: 1.6rem; text-overflow: ellipsis; }
#examples button { white-space: normal; }
.figures { overflow-x: auto; }
.figures table { border-collapse: collapse; border: 0; font-size: .9rem; white-space: nowrap; }
.figures tr { border: 0; }
.figures th, .figures td { padding: .2rem .6rem; text-align: right; border: 0; }
.figures th, .figures td { border-bottom: 1px solid var(--border-color-primary); }
.figures tr > :first-child { text-align: left; white-space: normal; position: sticky; left: 0; }
.figures tr > :first-child { background: var(--block-background-fill); }
.figures th[scope=row] { font-weight: 400; }
@media (max-width: 40rem) { .figures tr > :first-child { max-width: 8rem; } }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
.pictures { justify-content: center; }
.pictures .wide { flex: 1 1 34rem; min-width: 0; max-width: 44rem; }
.pictures .whole { flex-basis: 100%; max-width: none; }
.picture .wide { overflow-x: auto; }
.picture .wide:focus-visible { outline: 2px solid #0072b2; outline-offset: 1px; }
.dark .picture .wide:focus-visible { outline-color: #56b4e9; }
.picture img { display: block; width: 100%; height: auto; margin: auto; border-radius: .2rem; }
.picture img.by-night { display: none; }
.dark .picture img.by-day { display: none; }
.dark .picture img.by-night { display: block; }
@media (max-width: 40rem) { .picture .long::before { content: "Swipe sideways to see all of the picture."; font-size: .8rem; } }
"""

INTRODUCTION = """\
# Which pretrained checkpoint should you fine-tune?

Rank checkpoints for a labelled (medical) image dataset without fine-tuning any of them.
"""

DATA_HELP = """\
Only where the dataset does not tell. Images of one group (patient, study, slide) are kept together. The test split is taken
only if you name it. The answer says which images and classes there are, which are used, and what is left out.
"""

UPLOAD = f"""\
One `.npz` or `.safetensors` file per candidate, all of one sample of images in one order, with the arrays `features`
[images, features] and `labels` [images], and if you have them `source_probabilities` [images, classes] and `gradient_norms`
[batches, 2]. No pickled objects. At most {limits.FILES} files of {limits.FILE_BYTES // 2**20} MiB. They are removed as soon as
they are ranked. Do not upload data that must not leave your organisation: `hf-transferability score` does the same on your
machine.
"""

SEARCH = "Type to search the catalogue and choose with the arrow keys or the mouse; or type any Hub id and press Enter."

LINK_REFUSED = "The link asks for what this page does not have or take: {names}. Choose it below."

EXAMPLES = """\
**New here?** Show the ranking of the package's demo (seven small checkpoints for five kinds of handwritten digits), run that
demo, or let the form below be filled in with a dataset and checkpoints of the Hub.
"""

LIMITS = f"""\
## Limits

At most {limits.CHECKPOINTS} checkpoints, of {in_short(limits.PARAMETERS)} parameters each and
{limits.CHECKPOINT_BYTES / 1e9:.0f} GB together, {limits.IMAGES} images from a dataset of
{limits.DATASET_BYTES / 1e9:g} GB, and {limits.SECONDS / 60:.0f} minutes. Public repositories only, safetensors only, and no
repository's own code. Your own machine has no limits:

```sh
hf-transferability rank DATASET CHECKPOINT ...
```
"""

BENCHMARK = """\
How well do the metrics predict fine-tuned performance? Agreement is the weighted Kendall tau: 1 for the same order, 0 for
chance. Compare every metric with the baselines, which look at no target image, and with the noise ceiling of the fine-tuned
results.
"""

LEADERBOARD = """\
Each number is the agreement of a method with fine-tuning in one set of results: the mean weighted Kendall tau over its targets.
The lowest of a row is bold, and again under **worst**. A dash: these results lack what the method needs. Methods are
ordered by their worst number: first the metrics that at least half of the columns have, then the other metrics, then the
baselines, which look at no image of the target. What the columns are:

"""

_SETS, *_ends = agreement_range(DEFAULT_METRICS[0])
_OURS = "{:.2f} to {:.2f}".format(*_ends)
_PAPERS = "{:.2f} to {:.2f}".format(*agreement_range("transferability")[1:])
ABOUT = f"""\
## What the score means

The default, `consensus`, is a plain rule: the mean of a candidate's ranks by *feature quality* (do images of one class lie
together in the checkpoint's features?) and by *LogME* (how well does a linear model explain the labels?), and by size where
networks differ in size; 0 to 1, higher is better. The *transferability* score of the paper is feature quality times
*feature update ratio* (how much would early layers adapt in fine-tuning?), each scaled from 0 to 1 over the candidates.
Both say how the candidates that you compare do on your images; neither is an accuracy, and both change when you add or
remove a candidate.

- **Interval**: 90%, from ten random half-samples of the images.
- **Tie group**: this sample cannot order candidates of one group. Fine-tune each of them, or take more images.
- **Flags** say why to trust a row less; each is explained below the ranking.

## How far to trust it

- In the {_SETS} bundled sets of fine-tuning results that hold what it needs, `consensus` agrees with fine-tuning at {_OURS}
  (mean weighted Kendall tau: 1 is the same order, 0 is chance), the paper's score at {_PAPERS}. Look at the Benchmark tab.
- The mean rank of a source on *other* targets, which looks at no image, often predicts as much.
- Between architectures the paper's order is reversed. That is a hypothesis from the data on which it was published, and it
  can favour bad networks.
- Feature quality is measured on the images that it is fitted on: only differences count. Few images per class make every
  metric unstable.
- A high score says nothing about fairness between groups of patients. For research; not for clinical decisions.

## Your data

Nothing of yours is shown to others. Your work runs in its own process and folder, which are removed when it ends. Uploads are
removed as soon as they are ranked, and files for download after half an hour.

## For programs

The page is also an API for `gradio_client`, and offers tools to MCP clients at `gradio_api/mcp/` below its address:
`rank_checkpoints`, `lookup_benchmark`, `list_candidates` and `explain`. On a wide screen, "Use via API or MCP" at the foot of
the page has their arguments.

## Report a problem

Open a discussion in the Community tab of this Space, and give the link from "Link to this view".

## Citation

Please cite the paper, and name the version of `hf-transferability` ({__version__}):

```bibtex
{CITATION}```
"""


def code(text: str) -> str:
    """Text that Markdown shows as it is."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {' '.join(text.split())} {fence}" if longest else f"`{' '.join(text.split())}`"
