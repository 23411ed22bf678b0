"""What the words in a table mean: flags, scenarios, columns and the terms of a benchmark. Texts only; `explain` finds them.

The definitions of metrics are in their own docstrings, and the short meaning of a flag is in `metrics.FLAGS`.
"""

FLAGS = {
    "n<=d": "With at least as many features as images, a linear rule can separate any labels, even random ones: SFDA and the "
    "published H-score reach their best value on pure noise. Take more images (--sample-size), or compare only candidates "
    "of one width.",
    "saturated": "The score has reached the end of its range for this candidate, so it cannot tell it from another that has, "
    "too. Look at another metric, or take more images.",
    "single_image_class": "Nothing can be learned about the spread of a class from one image, and neighbours of its own "
    "class do not exist. Take more images, or --draw stratified.",
    "few_images_per_class": "With fewer than 10 images of a class every metric depends strongly on which images were drawn. "
    "Take more images, and look at the intervals.",
    "class_not_drawn": "The ranking does not take this class into account. Take more images, or --draw stratified.",
    "constant_over_pool": "The score, or a part that it is made of, is the same for every candidate: the pool has no order by "
    "it. With consensus this also happens where the evidence of the images and the size of the networks are each other's "
    "reverse. Add other candidates, or sort by another metric.",
    "pool_of_one": "A pool-relative score compares candidates with each other. Name more candidates, or use a metric that is "
    "comparable by itself (see `hf-transferability metrics`).",
    "pool_of_two": "Of two candidates each part says only which one is ahead. With consensus the smaller of two networks "
    "never leads: at best the images' evidence cancels its size. Add candidates, or sort by logme or feature_quality.",
    "size_unknown": "The score uses the size of the network where candidates differ in it, and one candidate's is not known.",
    "one_slice": "A finding may lie in another slice. Choose by --slice and --axis, or save the slices that show it as images.",
    "several_frames": "Choose the frame or page that shows the finding, such as --frame middle for a stack of slices.",
    "extra_channels": "Networks expect one or three channels. Convert the images yourself if another channel matters.",
    "dropped": "With --race all candidates are scored on a part of the sample first, and those that go on, on all of it. A "
    "candidate is dropped if its score plus a margin for its spread is below the K-th best (--keep K) on that part: its row "
    "has its last score, the number of images behind it (dropped_at) and what decided. Rank without --race, or raise --keep.",
    "untrained": "It comes after every trained network, whatever the metric and the scenario. Check whether the right weights "
    "were loaded. A network without normalisation layers, such as VGG or NFNet, cannot be recognised in this way: leave "
    "random ones out yourself.",
    "at_majority": "A rule that always answers with the largest class would do as well, so the features help this classifier "
    "not at all. Do not choose this candidate because of this metric.",
    "at_floor": "The labels are shuffled five times and feature quality is measured each time; the candidate does not exceed "
    "the highest of the five values. In the scenario architecture, which favours low feature quality, and where "
    "transferability sorts, such a candidate comes after the others with a score: its features may be useless here.",
    "no_relation": "The class means of the features differ no more than with labels shuffled 99 times (p above 0.05), on at "
    "most 2,000 images. The rank stays, but may be chance: do not choose this candidate for it. More images, or patients, may "
    "show a weak relation; one of another kind than class means is not seen. If all have the flag, check the labels.",
    "metric_at_floor": "The labels are shuffled five times and the metric is measured each time; the candidate does not "
    "exceed the highest of the five values. Do not rank by this metric here.",
    "trained_on_target": "A checkpoint that has seen the target's images can score high without transferring to new images. "
    "Read its model card, and leave it out if the datasets are the same; equal names may also be a coincidence.",
    "no_source_head": "LEEP and other metrics over the source classes are not computed. The other metrics are not affected.",
    "no_second_layer": "The feature update ratio needs the gradients at two layers. Sort by a metric that needs features "
    "only, such as logme.",
    "vit_extension": "The paper defines the feature update ratio for the first two convolutions. In a transformer the second "
    "layer is the first attention projection, which the paper did not test. Compare the ratio between transformers only.",
    "pooler_output": "The checkpoint has no classifier; its features are the pooled output for which its weights were "
    "loaded. Its fine-tuning may use other features.",
    "mean_hidden_state": "The checkpoint has neither a classifier nor a loaded pooler; its features are the mean over "
    "positions. Its fine-tuning may use other features.",
    "windowed": "Networks expect 8-bit images. Choose the values that become black and white with --window LOW,HIGH, for "
    "example the range of a 12-bit scan; a poor choice leaves images dark.",
    "corrupt_skipped": "The images were left out because of --skip-corrupt. Repair or remove them, so that every run uses "
    "the same images.",
    "pickle_weights": "Pickle files can run code when they are loaded without care; this one was read with weights_only, "
    "which prevents it. Prefer a version of the checkpoint with safetensors.",
    "not_converged": "The value may change with more iterations. Do not rely on small differences to other candidates.",
    "unstable": "Another seed or other images would move this candidate far. Take more images before you rely on its place.",
    "subsampled": "Above the metric's largest sample a seeded subsample is used. Change --seed to see how much that matters.",
    "constant_label_column": "A label that all images have, or none, orders nothing. Check the label column, or take more "
    "images.",
}

# What a table calls a flag; the legend below it has the full name too.
FLAG_WORDS = {
    "n<=d": "n<=d", "saturated": "saturated", "single_image_class": "lone image", "few_images_per_class": "few images",
    "class_not_drawn": "class lost", "constant_over_pool": "constant", "pool_of_one": "alone",
    "pool_of_two": "only two", "size_unknown": "no size", "dropped": "dropped", "untrained": "untrained",
    "at_majority": "majority",
    "at_floor": "at floor", "trained_on_target": "seen data", "seen_images": "seen images",
    "duplicate_labels": "duplicates", "no_relation": "no relation", "metric_at_floor": "metric floor",
    "no_source_head": "no head",
    "no_second_layer": "one layer", "vit_extension": "ViT ratio", "pooler_output": "pooler",
    "mean_hidden_state": "mean state", "other_embedding": "embedding", "windowed": "windowed",
    "near_constant": "one grey", "in_test_split": "in test", "one_slice": "one slice", "several_frames": "one frame",
    "extra_channels": "channels", "corrupt_skipped": "corrupt", "pickle_weights": "pickle",
    "not_converged": "not settled", "unstable": "unstable", "subsampled": "subsample",
    "constant_label_column": "flat label",
}  # fmt: skip

SCENARIOS = {
    "source_dataset": """\
The candidates share one architecture and differ in what they were pre-trained on.

Formula: score = m(FQ) * m(FU), with FQ the feature quality, FU the feature update ratio, and m(.) the scaling of a part
from 0 (the lowest of the pool) to 1 (the highest).

Caveats: the candidate with the lowest value of either part gets 0, whatever the other part says. Adding or removing a
candidate changes all scores. Published agreement with fine-tuning: 0.52 (weighted Kendall tau, mean over 11 medical
targets); in the benchmarks `open` and `open_regnet` it is much lower (`hf-transferability benchmark compare --benchmark
open`).""",
    "architecture": """\
The candidates differ in their architecture.

Formula: score = (1 - m(FQ)) * (1 - m(FU)), with FQ the feature quality, FU the feature update ratio, and m(.) the
scaling of a part from 0 (the lowest of the pool) to 1 (the highest). Low values count as good here: the published order
is reversed.

Caveats: this is a hypothesis that was found on the data on which it was published. Its agreement with fine-tuning is
weak (0.26, against 0.52 within one architecture; weighted Kendall tau, mean over 11 medical targets), and it can favour
bad networks. The feature update ratio is not comparable between architectures. A candidate whose feature quality does
not exceed that of shuffled labels is flagged at_floor; where transferability sorts, it comes after the others with a
score. Look at other metrics beside it (--metric all).""",
    "auto": """\
Compare the configurations of the candidates: `source_dataset` if all of them have one architecture, else
`architecture`.

Name the scenario with --scenario if you know better, for example where one architecture comes in two libraries.""",
}

# What there is to say beside the meaning in `results.COLUMNS`, and columns that stand for several.
COLUMNS = {
    "rank": "Try the candidate with rank 1 first. A candidate alone has no rank.",
    "score": "It predicts how candidates compare after fine-tuning, not how accurate they will be.",
    "interval": "The metric is computed on ten random half-samples of the images (of the gradient batches for the feature "
    "update ratio), and their spread gives the interval. It does not cover another choice of dataset.",
    "tie_group": "Candidates of one group change places in more than one of ten half-samples, each with the next or with one "
    "further down. Fine-tune each of them, or take more images. Two equally good candidates still get different groups in "
    "about one case of three: read a border between groups as a hint. Groups are chains: two of one group may differ clearly, "
    "with others between them.",
    "revision": "It identifies what was scored.",
    "seconds": "It does not count the metrics.",
    "dropped_at": "The other numbers of that row come from that many images, and its score from the pool at that stage.",
    "error": "The other candidates are ranked all the same.",
    "variant": "`default` is the correct or robust form, `published` reproduces the paper's tables.",
    "floor": "The highest value of a metric in five shuffles of the labels. A candidate that does not exceed it may have "
    "learned nothing that helps this target.",
}

# Words of the lines that are printed around a table.
LINES = {
    "splits": "How many images each split of the dataset holds. `used` is the split that the images were drawn from.",
    "sample": "The images that were drawn from the split: 100 for each class unless --sample-size says otherwise.",
    "candidate": "A checkpoint that you name: one of those that are compared.",
    "pool": "All candidates of one ranking. A score that is scaled over the pool compares its candidates only.",
    "half_sample": "A random half of the images. Ten of them show how far scores and ranks depend on the images.",
    "runner_up": "The second best by the short runs, or by the ranking where there were none.",
    "expected_loss": "What the recommended candidate is expected to lose against the best of the pool, in test AUC: from the "
    "short runs and their errors, or, where the ranking decides, from the bundled benchmarks.",
    "check_the_labels": "The class means of the first candidate's features differ no more than with shuffled labels: a "
    "permutation test with 99 shuffles gave p above 0.05. See whether each label belongs to its image, and whether there are "
    "enough images. Until then there is no advice which candidates to take.",
    "chance": "How often the best candidate was among the first so many of this order, in the bundled benchmarks, where "
    "fine-tuned performance is known. Beside it is what a random order reaches. Your data may differ from theirs.",
    "next": "The command that fine-tunes the candidates worth it, reading the data as before. It makes 12 runs for each: "
    "6 settings with 2 seeds (--grid, --seeds), of at most 200 epochs. A ranking does not train, so it cannot tell the "
    "minutes: `hf-transferability choose` measures a step of training, keeps to a budget, and recommends one candidate. "
    "PATH/TO stands for your own folder.",
    "compare": "Other metrics put other candidates first. The agreement is the mean weighted Kendall tau of their orders "
    "with this one: 1 is the same order, 0 is chance. Fine-tune the first of each.",
    "no_ranking": "Fewer than two candidates have a score, or all have the same. The line says why.",
    "legend": "Below a table: its short titles in full.",
}

TERMS = {
    "tau_w": "Weighted Kendall tau between the order by a metric and the order by fine-tuned performance: 1 for the same "
    "order, 0 for chance, -1 for the reverse. Exchanges among the best count most.",
    "regret": "Fine-tuned performance that is lost by fine-tuning only the first candidates of an order (regret@1, @3, @5) "
    "instead of the best one. 0 is perfect. The intervals come from resampled targets.",
    "split_half": "The noise ceiling: how well one random half of the fine-tuning runs predicts the ground truth from the "
    "other half, with the middle 90% of 50 divisions. Where it is low, no metric can be judged. Runs that share one draw of "
    "training images differ by less than runs on other draws would. A perfect metric could exceed it, "
    "since the ground truth of all runs is less noisy than that of a half.",
    "mean_rank_elsewhere": "A baseline that looks at no image of the target: the mean rank of a source on the other targets.",
    "parameter_count": "A baseline that looks at no image of the target: more parameters count as better.",
    "feature_width": "A baseline that looks at no image of the target: more features count as better.",
    "random": "The mean of what random orders reach, with the middle 90% of them.",
    "imagenet_top1": "A baseline that looks at no image of the target: a higher top-1 accuracy on ImageNet counts as better.",
    "kendall_tau": "Kendall tau between the order by a metric and that by fine-tuned performance; all exchanges count alike.",
    "pearson": "Pearson's correlation between a metric's values and fine-tuned performance: of values, not of orders.",
    "baseline": "A method that looks at no image of the target. A metric that does not exceed it is not worth its cost.",
    "ceiling": "The noise ceiling, split_half: what the ground truth's own noise lets a method reach.",
    "default": "The correct or robust form of a metric.",
    "published": "The form of a metric that reproduces the paper's tables, or those of the study that is cited.",
    "mean": "The mean over all targets of a benchmark.",
    "auc": "Area under the receiver operating characteristic, a mean over the classes: 1 is perfect, 0.5 is chance.",
    "accuracy": "Share of the images that are classified correctly.",
    "balanced_accuracy": "Mean over the classes of the share of their images that are classified correctly.",
    "average_precision": "Area under the curve of precision against recall, a mean over classes.",
    "ground_truth": "Fine-tuned performance: the test result of the run with the lowest validation loss, as in the paper, "
    "or by another rule (--selection). For open and open_regnet it is mean_of_best_5, which is less noisy.",
}

# As tables call them -> the names above.
ALIASES = {
    "90%_interval": "interval", "update_ratio": "feature_update_ratio", "features": "n_features", "commit": "revision",
    "weighted_tau": "tau_w", "weighted_kendall_tau": "tau_w", "kendall": "kendall_tau", "noise_ceiling": "split_half",
    "regret@1": "regret", "regret@3": "regret", "regret@5": "regret", "regret_at_1": "regret", "regret_at_3": "regret",
    "regret_at_5": "regret", "failed": "error", "kind": "variant", "90%_low": "interval", "90%_high": "interval",
    "known_elsewhere_(targets)": "known_elsewhere", "tie": "tie_group", "license": "licence",
    "candidates": "candidate", "used": "splits", "agreement": "tau_w", "half_samples": "half_sample", "targets": "target",
    "ranked_by": "metric", "ranked": "metric", "flag": "flags",
    "first": "first_share", "qual": "feature_quality", "ratio": "feature_update_ratio", "paper": "transferability",
    "probe": "linear_probe", "size": "parameters", "known": "known_elsewhere",
}  # fmt: skip
