"""GLUE's tasks: what their folders, files, columns, labels and figures are called."""

from __future__ import annotations

from dataclasses import dataclass

from zorro_keras.applications.text_classification.text_sets import SCORE


@dataclass(frozen=True)
class GlueTask:
    """How one task lies on disk.

    Attributes:
        label_names: tuple of str, in the order of the numbers that the parquet files give them;
            `("score",)` for STS-B.
        texts: for each text of an example the names that its column may have.
        label: the names that the column of labels may have.
        written: tuple of str, the labels as the TSV files write them; `label_names` themselves if empty.
        folders: lower-case names of the folder.
        metrics: its official figures; the first is the one that counts in the average.
        header: columns of TSV files without a header.
        files: dict of split to the files of the official folder that may hold it, the first found is read.
        parquet: dict of split to the first part of the names of its parquet files.
        asked_as: the task whose head answers; empty for its own.
    """

    label_names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    folders: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    label: tuple[str, ...] = ("label",)
    written: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    files: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("train", ("train.tsv",)),
        ("val", ("dev.tsv",)),
        ("test", ("test.tsv",)),
    )
    parquet: tuple[tuple[str, str], ...] = (("train", "train"), ("val", "validation"), ("test", "test"))
    asked_as: str = ""


_ENTAILMENT = ("entailment", "not_entailment")
_INFERENCE = ("entailment", "neutral", "contradiction")
_SENTENCES = (("sentence1",), ("sentence2",))
_PREMISE = (("sentence1", "premise"), ("sentence2", "hypothesis"))

# Columns and files: the folders of gluebenchmark.com as its loaders read them; label order: nyu-mll/glue;
# figures: GLUE, Wang et al., ICLR 2019, Table 1.
GLUE_TASKS = {
    "CoLA": GlueTask(
        ("unacceptable", "acceptable"),
        (("sentence",),),
        ("cola",),
        metrics=("matthews", "accuracy"),
        written=("0", "1"),
        header=("source", "label", "star", "sentence"),
    ),
    "SST-2": GlueTask(("negative", "positive"), (("sentence",),), ("sst-2", "sst2"), written=("0", "1")),
    "MRPC": GlueTask(
        ("not_equivalent", "equivalent"),
        (("#1 string", "sentence1"), ("#2 string", "sentence2")),
        ("mrpc",),
        metrics=("accuracy", "f1"),
        label=("quality", "label"),
        written=("0", "1"),
        files=(
            ("train", ("train.tsv", "msr_paraphrase_train.txt")),
            ("val", ("dev.tsv",)),
            ("test", ("test.tsv", "msr_paraphrase_test.txt")),
        ),
    ),
    "QQP": GlueTask(
        ("not_duplicate", "duplicate"),
        (("question1",), ("question2",)),
        ("qqp",),
        metrics=("accuracy", "f1"),
        label=("is_duplicate", "label"),
        written=("0", "1"),
    ),
    "STS-B": GlueTask(
        (SCORE,),
        _SENTENCES,
        ("sts-b", "stsb"),
        metrics=("pearson", "spearman"),
        label=("score", "label"),
    ),
    "MNLI": GlueTask(
        _INFERENCE,
        _PREMISE,
        ("mnli",),
        label=("gold_label", "label"),
        files=(
            ("train", ("train.tsv",)),
            ("val", ("dev_matched.tsv",)),
            ("val_mismatched", ("dev_mismatched.tsv",)),
            ("test", ("test_matched.tsv",)),
            ("test_mismatched", ("test_mismatched.tsv",)),
        ),
        parquet=(
            ("train", "train"),
            ("val", "validation_matched"),
            ("val_mismatched", "validation_mismatched"),
            ("test", "test_matched"),
            ("test_mismatched", "test_mismatched"),
        ),
    ),
    "QNLI": GlueTask(_ENTAILMENT, (("question",), ("sentence",)), ("qnli",)),
    "RTE": GlueTask(_ENTAILMENT, _SENTENCES, ("rte",)),
    "WNLI": GlueTask(("not_entailment", "entailment"), _SENTENCES, ("wnli",), written=("0", "1")),
    # The diagnosis has no training set: MNLI's head answers. Labels come with diagnostic-full.tsv only.
    "AX": GlueTask(
        _INFERENCE,
        _PREMISE,
        ("ax", "diagnostic"),
        metrics=("matthews", "accuracy"),
        files=(("test", ("diagnostic-full.tsv", "AX.tsv", "ax.tsv", "diagnostic.tsv", "test.tsv")),),
        parquet=(("test", "test"),),
        asked_as="MNLI",
    ),
}
# The multitask model of the Perceiver IO paper has a query for each of these, and its averages are over them.
# WNLI is left out by the paper, AX is a diagnosis.
MULTITASK = ("CoLA", "MNLI", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B")
LARGEST_SCORE = 5.0
