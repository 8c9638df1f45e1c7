"""The claims of the paper, each as rows of what is compared with what."""

from __future__ import annotations

from dataclasses import dataclass

from zorro_keras.applications.reproduce.effect import Expectation

Arm = tuple[str, str]  # an experiment, and one of its measures


@dataclass(frozen=True)
class Comparison:
    """One model beside another.

    Args:
        text: what is asked.
        first, second: `Arm`s; the effect is the first minus the second.
        expects: what the paper's claim says of it, see `effect.verdict`.
    """

    text: str
    first: Arm
    second: Arm
    expects: Expectation = "higher"


@dataclass(frozen=True)
class Claim:
    """A claim, and the comparisons that test it."""

    title: str
    text: str
    comparisons: tuple[Comparison, ...]


MEASURES = {
    "audio": "sound alone",
    "video": "pictures alone",
    "both": "both",
    "both_global": "both, global read-out",
    "probe_audio": "probe of sound alone",
    "probe_video": "probe of pictures alone",
    "probe_both": "probe of both",
    "pairs_together": "pairs, seeing both",
    "pairs_apart": "pairs, each side alone",
}

COLLAPSE = Claim(
    "Contrastive training of a vanilla model collapses; Zorro's does not",
    "Without labels, sound has to find its picture. Where each reads the other, both can carry the same code "
    "for the clip: every pair is found, and nothing is learned. Pairs: how often a held-out sound finds its "
    "own picture first among all. Probes: a linear model on the frozen outputs, for which "
    "the other stream is not given. Random weights already tell much of these simple clips, so what "
    "pre-training adds is measured from an untrained Zorro, not from chance.",
    (
        Comparison(
            "The vanilla model solves the pairs it is trained on, Zorro does not get them for free",
            ("pairs_early", "pairs_together"),
            ("pairs_zorro", "pairs_together"),
        ),
        Comparison(
            "The vanilla model solves them only where each side sees the other",
            ("pairs_early", "pairs_together"),
            ("pairs_early", "pairs_apart"),
        ),
        Comparison(
            "Trained by the same one term, probe of both",
            ("pairs_plain", "probe_both"),
            ("pairs_early", "probe_both"),
        ),
        Comparison("... of sound alone", ("pairs_plain", "probe_audio"), ("pairs_early", "probe_audio")),
        Comparison("... of pictures alone", ("pairs_plain", "probe_video"), ("pairs_early", "probe_video")),
        Comparison(
            "With fusion's terms, probe of both", ("pairs_zorro", "probe_both"), ("pairs_early", "probe_both")
        ),
        Comparison(
            "Zorro learned something: sound", ("pairs_zorro", "probe_audio"), ("few_labels", "probe_audio")
        ),
        Comparison(
            "Zorro learned something: pictures", ("pairs_zorro", "probe_video"), ("few_labels", "probe_video")
        ),
        Comparison(
            "Did the vanilla model? Sound",
            ("pairs_early", "probe_audio"),
            ("few_labels", "probe_audio"),
            "either",
        ),
        Comparison(
            "Did the vanilla model? Pictures",
            ("pairs_early", "probe_video"),
            ("few_labels", "probe_video"),
            "either",
        ),
        Comparison(
            "Did the vanilla model? Both",
            ("pairs_early", "probe_both"),
            ("few_labels", "probe_both"),
            "either",
        ),
    ),
)

MISSING = Claim(
    "One Zorro, a modality missing: better than the vanilla model, near a model of that modality",
    "All are trained on all labels, from both streams or from the one they have, and none with a stream "
    "taken away. At test, the missing stream is not given at all. Near means: at most five points below.",
    (
        Comparison("Zorro beside the vanilla model, sound", ("zorro", "audio"), ("early", "audio")),
        Comparison("Zorro beside the vanilla model, pictures", ("zorro", "video"), ("early", "video")),
        Comparison("Zorro beside the model of sound", ("zorro", "audio"), ("audio", "audio"), "near"),
        Comparison("Zorro beside the model of pictures", ("zorro", "video"), ("video", "video"), "near"),
    ),
)

FEW_LABELS = Claim(
    "Pre-training, then a tenth of the labels, beats that tenth from scratch",
    "Pre-trained on all clips without labels, then trained on the labels of a tenth of them, by the same "
    "recipe as from scratch.",
    (
        Comparison("Both", ("pairs_zorro", "both"), ("few_labels", "both")),
        Comparison("Sound", ("pairs_zorro", "audio"), ("few_labels", "audio")),
        Comparison("Pictures", ("pairs_zorro", "video"), ("few_labels", "video")),
        Comparison(
            "Zorro's pre-training beside the vanilla model's",
            ("pairs_zorro", "both"),
            ("pairs_early", "both"),
        ),
    ),
)

FUSION = Claim(
    "Fusion beats the best single modality; and what it takes",
    "The first two rows are claims. The ablations change one thing each; the paper's numbers for them are "
    "not known here, so nothing is expected. A backbone cannot have a fusion stream of no tokens: none is "
    "late routing, where only the global read-out sees both.",
    (
        Comparison("Both beside a model of sound", ("zorro", "both"), ("audio", "audio")),
        Comparison("Both beside a model of pictures", ("zorro", "both"), ("video", "video")),
        Comparison("16 fusion tokens beside none", ("zorro", "both"), ("late", "both"), "either"),
        Comparison("16 fusion tokens beside 1", ("zorro", "both"), ("tokens_1", "both"), "either"),
        Comparison("16 fusion tokens beside 4", ("zorro", "both"), ("tokens_4", "both"), "either"),
        Comparison(
            "Fusion's read-out beside global's", ("zorro", "both"), ("zorro", "both_global"), "either"
        ),
        Comparison(
            "With fusion's contrastive terms beside without, then few labels",
            ("pairs_zorro", "both"),
            ("pairs_plain", "both"),
            "either",
        ),
        Comparison("Routing: Zorro beside early", ("zorro", "both"), ("early", "both"), "either"),
        Comparison("Routing: Zorro beside bottleneck", ("zorro", "both"), ("bottleneck", "both"), "either"),
        Comparison(
            "Routing, pictures missing: Zorro beside bottleneck",
            ("zorro", "audio"),
            ("bottleneck", "audio"),
            "either",
        ),
        Comparison(
            "Routing, sound missing: Zorro beside bottleneck",
            ("zorro", "video"),
            ("bottleneck", "video"),
            "either",
        ),
    ),
)

CLAIMS = {"a": COLLAPSE, "b": MISSING, "c": FEW_LABELS, "d": FUSION}
