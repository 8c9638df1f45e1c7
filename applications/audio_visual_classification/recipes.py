"""Zorro on the public data sets of its paper, each with its protocol and its commands.

The paper (arXiv 2301.09595) came without code and we do not know its recipe: nothing here claims to be it.
The values are those of neighbours whose code is public, named in each docstring, or ours. No accuracy has
been reproduced. Costs are computed, not measured: four forward passes a clip and step with remat, three
without.
"""

from __future__ import annotations

from dataclasses import replace

from zorro_keras.applications.audio_visual_classification.run_config import Config, ModelConfig
from zorro_keras.applications.pipelines.geometry import ClipGeometry
from zorro_keras.applications.training.clip_data_config import AugmentationConfig, DataConfig
from zorro_keras.applications.training.config import TrainingConfig

_PICTURE = {"num_frames": 32, "height_px": 224, "width_px": 224}


def audioset() -> Config:
    r"""AudioSet: 527 classes, several to a clip, from sound and picture.

    Commands:
        zorro-keras prepare audio_visual_classification --source AudioSet --out shards/audioset
        zorro-keras train audio_visual_classification --config audioset \
            --data shards/audioset --out runs/audioset
        zorro-keras evaluate runs/audioset --data shards/audioset

    Protocol: training on the balanced and unbalanced lists, as far as their clips are there; test on the eval
        list; mAP over the 527 classes. The coverage report says how many clips a figure stands for.

    Class balance: a clip is drawn as often as the sum over its labels of 1 / (clips of the class) says, as by
        CAV-MAE on all of AudioSet. On the balanced list alone CAV-MAE and MBT draw every clip alike:
        `--set data.class_balance=false`.

    Test: four windows of 8 s from the 10 s of a clip, their logits averaged, as MBT does.

    Cost: 3.9 TFLOP a clip and step. The balanced 20,361 clips x 50 epochs are 4e18 FLOP, eleven hours of one
        accelerator at 100 TFLOP/s; the whole 1.9 million x 10 epochs (`--set training.epochs=10`, as
        CAV-MAE) are 7e19, a day of eight.

    Reference: MBT (arXiv 2107.00135, code in scenic) on the balanced list: 8 s of sound, 32 frames, batch 64,
        50 epochs, mixup 0.5 with one share for both streams, label smoothing 0.3, stochastic depth 0.3,
        SpecAugment 1 x 48 and 4 x 48. What we changed: AdamW in place of SGD with momentum (learning rate 0.5
        does not carry over); the frames are spread over the 8 s of sound, so that both streams stay aligned,
        in place of stride 2; scale jitter only enlarges (1 to 1.33), so no padding is made up.
    """
    return Config(
        data=DataConfig(
            geometry=ClipGeometry(seconds=8.0, sample_rate_hz=16000, **_PICTURE),
            augmentation=AugmentationConfig(mixup_alpha=0.5),
            test_clips=4,
            class_balance=True,
            num_workers=8,
        ),
        model=ModelConfig(
            variant="base",
            spectrogram_frames=800,
            spectrogram_bins=128,
            video_patch=(2, 16, 16),
            stochastic_depth_rate=0.3,
            remat=True,
            multi_label=True,
        ),
        training=TrainingConfig(
            epochs=50,
            batch_size=64,
            learning_rate=1e-4,
            warmup_fraction=0.05,
            label_smoothing=0.3,
            mixed_precision=True,
        ),
    )


def vggsound() -> Config:
    r"""VGGSound: 309 classes, one to a clip, from sound and picture.

    Commands:
        zorro-keras prepare audio_visual_classification --source VGGSound --out shards/vggsound
        zorro-keras train audio_visual_classification --config vggsound \
            --data shards/vggsound --out runs/vggsound
        zorro-keras evaluate runs/vggsound --data shards/vggsound

    Protocol: training and test as `vggsound.csv` splits them; top-1 accuracy. A run on AudioSet is gone on
        from by `--set model.pretrained=runs/audioset/preset`.

    Class balance: every class is drawn alike, as by CAV-MAE here: classes have from 200 to 1,050 clips.

    Test: four windows of 8 s from the 10 s of a clip, their logits averaged, as MBT does on AudioSet.

    Cost: 3.9 TFLOP a clip and step: 172,427 clips x 30 epochs are 2e19 FLOP, seven hours of eight
        accelerators at 100 TFLOP/s each.

    Reference: clip, augmentation and optimiser are those of `audioset`, from MBT; the softmax, batch 48 and
        label smoothing 0.1 are CAV-MAE's for VGGSound (code). 30 epochs from fresh weights are ours; CAV-MAE
        takes 10 after its pre-training.
    """
    config = audioset()
    return replace(
        config,
        model=replace(config.model, multi_label=False),
        training=replace(config.training, epochs=30, batch_size=48, label_smoothing=0.1),
    )


def kinetics400_video_only() -> Config:
    r"""Kinetics-400: 400 actions, one to a clip, from the picture alone.

    Commands:
        zorro-keras prepare audio_visual_classification --source k400 --out shards/k400
        zorro-keras train audio_visual_classification --config kinetics400_video_only \
            --data shards/k400 --out runs/k400
        zorro-keras evaluate runs/k400 --data shards/k400

    Protocol: training on `train`; top-1 accuracy, mostly told of `val`, which is held out here even where
        clips of `test` are there: `--set data.evaluation_split=test` for those. The picture is cut as in
        `audioset`, so that `--set model.pretrained=runs/audioset/preset` starts from a Zorro of both streams.

    Class balance: none. The classes have about 250 to 1,000 clips, and neighbours draw all clips alike.

    Test: four windows of 2.56 s from the 10 s of a clip, their logits averaged, as MBT does on AudioSet.

    Cost: 3.6 TFLOP a clip and step: the CVDF's 240,258 clips x 30 epochs are 2.6e19 FLOP, nine hours of eight
        accelerators at 100 TFLOP/s each.

    Reference: 32 frames, every second of 25 each second, mixup 0.5 and 224 px are MBT's on AudioSet (code in
        scenic). Epochs, label smoothing and stochastic depth are ours.
    """
    return Config(
        data=DataConfig(
            geometry=ClipGeometry(seconds=2.56, sample_rate_hz=16000, **_PICTURE),
            streams=("video",),
            augmentation=AugmentationConfig(mixup_alpha=0.5),
            evaluation_split="val",
            test_clips=4,
            num_workers=8,
        ),
        model=ModelConfig(
            variant="base",
            spectrogram_frames=256,
            spectrogram_bins=128,
            video_patch=(2, 16, 16),
            stochastic_depth_rate=0.1,
            remat=True,
        ),
        training=TrainingConfig(
            epochs=30,
            batch_size=64,
            learning_rate=1e-4,
            warmup_fraction=0.05,
            label_smoothing=0.1,
            mixed_precision=True,
        ),
    )


def esc50_audio_only() -> Config:
    r"""ESC-50: 50 classes of 40 clips, one to a clip, from the sound alone.

    Commands, for each of the folds 1 to 5; these are for the first:
        zorro-keras train audio_visual_classification --config esc50_audio_only \
            --data ESC-50-master --set data.test_fold=1 --out runs/esc50_1
        zorro-keras evaluate runs/esc50_1 --data ESC-50-master

    Protocol: each fold is tested once, after training on the other four; the figure is the mean of the five
        accuracies. The sound files are read as they are; `zorro-keras prepare` packs them with `--test-fold`.
        1,600 clips are few for fresh weights: `--set model.pretrained=runs/audioset/preset` starts from a
        Zorro of both streams.

    Class balance: none is needed: every class has eight clips in every fold.

    Test: one window. It is longer than the clips of 5 s, so that several would be the same.

    Cost: 0.15 TFLOP a clip and step: 1,600 clips x 35 epochs x 5 folds are 4e16 FLOP, seven minutes of one
        accelerator at 100 TFLOP/s.

    Reference: 512 frames, masks of 24 bins and 96 frames, no mixup, batch 48, 35 epochs and a learning rate
        of 1e-4 are AST's for ESC-50 (code). What we changed: AdamW with a cosine, stochastic depth.
    """
    return Config(
        data=DataConfig(
            geometry=ClipGeometry(seconds=5.12, sample_rate_hz=16000, **_PICTURE),
            streams=("audio",),
            augmentation=AugmentationConfig(
                num_frequency_masks=1, frequency_mask_bins=24, num_time_masks=1, time_mask_frames=96
            ),
        ),
        model=ModelConfig(
            variant="base",
            spectrogram_frames=512,
            spectrogram_bins=128,
            video_patch=(2, 16, 16),
            stochastic_depth_rate=0.1,
        ),
        training=TrainingConfig(
            epochs=35, batch_size=48, learning_rate=1e-4, warmup_fraction=0.05, mixed_precision=True
        ),
    )
