"""Inputs of the published sizes of optical flow and autoencoding, and what `transformers` makes of them."""

import time

import measure
from perceiver import THREADS, written

TILE = (368, 496)
CHUNKS = 128  # of the published decoding
PIXELS, SOUNDS = 16 * 224 * 224, 1920


def their_model(transformers, kind: str, options):
    if kind == "flow":
        config = transformers.PerceiverConfig(
            num_latents=16 if options.quick else 2048,
            d_latents=512,
            d_model=322,
            num_blocks=1,
            num_self_attends_per_block=2 if options.quick else 24,
            num_self_attention_heads=16,
            num_cross_attention_heads=1,
            train_size=list(options.tile),
        )
        return transformers.PerceiverForOpticalFlow(config)
    config = transformers.PerceiverConfig(
        num_latents=784,
        d_latents=512,
        d_model=704,
        num_blocks=1,
        num_self_attends_per_block=8,
        num_self_attention_heads=8,
        num_cross_attention_heads=1,
        num_labels=700,
        image_size=56,
        output_shape=[1, 16, 224, 224],
    )
    return transformers.PerceiverForMultimodalAutoencoding(config)


def write_their_weights(kind: str, options) -> dict:
    """Random weights of the published size, as a Hugging Face repository on disk."""
    import torch
    import transformers

    torch.manual_seed(0)
    their_model(transformers, kind, options).save_pretrained(options.folder)
    return {}


def example(kind: str, options) -> dict:
    """One input as ours takes it, numpy."""
    import numpy as np

    rng = np.random.default_rng(0)
    if kind == "flow":
        return {"frames": rng.uniform(-1, 1, (1, 2, *options.tile, 3)).astype("float32")}
    image = rng.uniform(0, 1, (1, 16, 224, 224, 3)).astype("float32")
    return {"image": image, "audio": rng.uniform(-1, 1, (1, 16 * SOUNDS)).astype("float32")}


def rows_of(chunk: int) -> dict:
    """The rows of a chunk of the published decoding."""
    import numpy as np

    sizes = {"image": PIXELS // CHUNKS, "audio": SOUNDS // CHUNKS}
    return {name: np.arange(chunk * size, (chunk + 1) * size, dtype="int32") for name, size in sizes.items()}


def timed(run, turns: int):
    """Figures of the fastest of some calls, and the last result.

    Beside the time that went by, that of the processor, all threads together: on a machine that others use
    it is what can be compared.
    """
    found = []
    for _ in range(turns):
        start = time.perf_counter(), time.process_time()
        result = run()
        found.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    seconds, cpu_seconds = (min(times) for times in zip(*found, strict=True))
    return {"seconds": seconds, "cpu_seconds": cpu_seconds}, result


def measure_theirs(kind: str, options) -> dict:
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    model = type(their_model(transformers, kind, options)).from_pretrained(options.folder).eval()
    model.to(measure.torch_device())
    before = measure.torch_megabytes(peak=False)
    with torch.inference_mode():
        figures, answers = (their_flow if kind == "flow" else their_clip)(model, kind, options)
    peak = measure.torch_megabytes(peak=True)
    path = written(options.folder, "transformers", answers)
    return {**figures, "megabytes": peak, "before": before, "answers": path}


def their_flow(model, kind: str, options):
    import torch

    frames = torch.from_numpy(example(kind, options)["frames"]).to(measure.torch_device())
    padded = torch.nn.functional.pad(frames, (0, 0, 1, 1, 1, 1))
    height, width = options.tile
    cells = [padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    cells = torch.cat(cells, dim=-1).permute(0, 1, 4, 2, 3).contiguous()  # as their examples prepare it
    run = measure.waiting(lambda: model(cells).logits, measure.wait_for_torch)
    figures, answers = timed(run, options.turns)
    return figures, answers.cpu().numpy()


def their_clip(model, kind: str, options):
    """Figures of the whole clip, from as many chunks as were asked for; the pixels of the first chunk."""
    import torch

    given = example(kind, options)
    inputs = {
        "image": torch.from_numpy(given["image"]).permute(0, 1, 4, 2, 3).contiguous(),
        "audio": torch.from_numpy(given["audio"])[..., None],
        "label": torch.zeros((1, 700)),
    }
    inputs = {name: x.to(measure.torch_device()) for name, x in inputs.items()}

    def answer(chunk):
        rows = {name: torch.from_numpy(row).long() for name, row in rows_of(chunk).items()}
        return model(inputs, subsampled_output_points={**rows, "label": None}).logits

    def answers_of_chunks():
        return [answer(chunk) for chunk in range(options.their_chunks)]

    figures, answers = timed(measure.waiting(answers_of_chunks, measure.wait_for_torch), 1)
    whole = {name: time * CHUNKS / options.their_chunks for name, time in figures.items()}
    return whole, answers[0]["image"].cpu().numpy()
