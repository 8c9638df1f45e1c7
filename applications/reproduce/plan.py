"""How much is made and trained: enough to tell something, or just enough to show that everything runs."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Plan:
    """The size of a reproduction. All models share it: they differ in their rows alone.

    Args:
        count, test_count: ints. Clips to train on, and held out.
        windows: int. Windows of each training clip that are decoded; training draws one at a time.
        label_share: float in (0, 1). Of the training clips, those whose labels few-label training may see.
        steps, pretraining_steps, few_label_steps: ints. Steps of each kind of training.
        batch_size, pretraining_batch_size: ints. In pre-training every other clip is a wrong answer.
        learning_rate: float. The peak of each training.
        hidden_dim, num_layers, num_heads: ints. The size of every backbone.
        num_fusion_tokens: int. Where a row does not say otherwise.
        projection_dim, temperature: of the contrastive embeddings.
    """

    count: int = 960
    test_count: int = 320
    windows: int = 3
    label_share: float = 0.1
    steps: int = 240
    pretraining_steps: int = 300
    few_label_steps: int = 150
    batch_size: int = 32
    pretraining_batch_size: int = 64
    learning_rate: float = 1e-3
    hidden_dim: int = 64
    num_layers: int = 3
    num_heads: int = 4
    num_fusion_tokens: int = 16
    projection_dim: int = 64
    temperature: float = 0.1


FULL = Plan()
QUICK = replace(
    FULL,
    count=32,
    test_count=32,
    windows=2,
    label_share=0.25,
    steps=2,
    pretraining_steps=2,
    few_label_steps=2,
    batch_size=8,
    pretraining_batch_size=8,
    hidden_dim=16,
    num_layers=1,
    num_heads=2,
    projection_dim=8,
)
