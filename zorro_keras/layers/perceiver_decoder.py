"""The decoder of Perceiver IO: output queries read the latents."""

import functools

import keras
from keras import ops

from zorro_keras.layers.activations import gelu_tanh
from zorro_keras.layers.cross_attention_block import CrossAttentionBlock
from zorro_keras.layers.initializers import attention_kernel, fan_in_kernel
from zorro_keras.layers.kernels import recomputes_in_loops, split_at
from zorro_keras.layers.last_layer import last_policy


@keras.saving.register_keras_serializable("zorro_keras")
class PerceiverDecoder(keras.layers.Layer):
    """One cross-attention from output queries to the latents; each query is answered for itself.

    Args:
        num_heads: int, heads of the attention.
        query_key_dim: int, channels of queries and keys, all heads together; `None` for the latents'.
        value_dim: int, channels of values, all heads together; `None` for `query_key_dim`.
        mlp_dim: int, channels inside the MLP; `None` for those of the query.
        query_residual: bool, whether the query itself is added to what it read.
        output_dim: int, channels of a last linear layer shared by all outputs; `None` for no such layer.
        output_initializer: initializer of that layer's kernel; `None` for a normal cut at 2 standard
            deviations of 1/sqrt(fan-in). Optical flow starts from "zeros".
        float32_output: bool, whether that layer computes in float32 whatever the others compute in.
        activation: name or callable inside the MLP.
        epsilon: float, added to the variance in the norms.
        dropout_rate: float in [0, 1), probability to drop a channel of a branch's result.
        query_chunk: int, queries that are answered at a time, one chunk after the other in a loop; `None` for
            all. The result is the same up to rounding, and no array of L times the number of queries exists,
            nor in the backward pass, which computes each chunk again. In training with dropout, where each
            chunk draws its own and keeps it, and on TensorFlow, the chunks stand in the graph one by one.
        remat: bool, whether training recomputes each branch in the backward pass.
        seed: int, seed of the dropouts.
        attention_dropout_rate: float in [0, 1), probability to drop a weight of an attention.

    Call arguments:
        latents: float tensor `(B, L, D)`.
        queries: float tensor `(B, O, E)`; `None` for the latents themselves.
        query_mask: bool tensor `(B, O)`, False = reads nothing: such a query is answered by the biases, the
            residual and the MLP. `None` for all True.

    Returns:
        Tensor `(B, O, E)`, or `(B, O, output_dim)`.

    Raises:
        ValueError: for a chunk that is not positive, or widths that `num_heads` does not divide.

    Reference:
        Perceiver IO, arXiv 2107.14795, section 3.2 and appendix E.
    """

    def __init__(
        self,
        num_heads=1,
        query_key_dim=None,
        value_dim=None,
        mlp_dim=None,
        query_residual=False,
        output_dim=None,
        output_initializer=None,
        float32_output=False,
        activation=gelu_tanh,
        epsilon=1e-5,
        dropout_rate=0.0,
        query_chunk=None,
        remat=False,
        seed=0,
        attention_dropout_rate=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if query_chunk is not None and query_chunk < 1:
            raise ValueError(f"`query_chunk` must be positive or None. Received: query_chunk={query_chunk}")
        self.num_heads = num_heads
        self.query_key_dim = query_key_dim
        self.value_dim = value_dim
        self.mlp_dim = mlp_dim
        self.query_residual = query_residual
        self.output_dim = output_dim
        self.output_initializer = keras.initializers.get(output_initializer or fan_in_kernel())
        self.float32_output = float32_output
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.dropout_rate = dropout_rate
        self.query_chunk = query_chunk
        self.remat = remat
        self.seed = seed
        self.attention_dropout_rate = attention_dropout_rate

    def build(self, latents_shape, queries_shape=None):
        queries_shape = latents_shape if queries_shape is None else queries_shape
        self.cross_attention = CrossAttentionBlock(
            self.num_heads,
            self.query_key_dim,
            self.value_dim,
            self.mlp_dim,
            self.activation,
            self.query_residual,
            self.epsilon,
            attention_kernel(),
            self.dropout_rate,
            remat=self.remat,
            seed=self.seed,
            attention_dropout_rate=self.attention_dropout_rate,
            dtype=self.dtype_policy,
            name="cross_attention",
        )
        self.cross_attention.build(queries_shape, latents_shape)
        self.output_dense = None
        if self.output_dim is not None:
            self.output_dense = keras.layers.Dense(
                self.output_dim,
                kernel_initializer=self.output_initializer,
                dtype=last_policy(self.dtype_policy, self.float32_output),
                name="output",
            )
            self.output_dense.build(queries_shape)

    def call(self, latents, queries=None, query_mask=None, training=None):
        queries = latents if queries is None else queries
        count, chunk = queries.shape[1], self.query_chunk
        mask = None if query_mask is None else query_mask[..., None]  # B O 1
        if chunk is None or (count is not None and count <= chunk):
            return self._answer(latents, queries, mask, training)
        loop = not training or (not self._draws and recomputes_in_loops())
        answer = self._answer_in_loop if loop or count is None else self._answer_one_by_one
        return answer(latents, queries, mask, training)

    @property
    def _draws(self):
        return max(self.dropout_rate, self.attention_dropout_rate) > 0

    def _answer_one_by_one(self, latents, queries, mask, training):
        cuts = list(range(self.query_chunk, queries.shape[1], self.query_chunk))
        query_parts = split_at(queries, cuts, axis=1)
        masks = [None] * len(query_parts) if mask is None else split_at(mask, cuts, axis=1)
        answers = []
        for query_part, mask_part in zip(query_parts, masks, strict=True):
            answer = functools.partial(self._answer, mask=mask_part, training=training)
            # Computed again, dropout would draw another mask.
            answer = answer if self._draws else keras.remat(answer)
            answers.append(answer(latents, query_part))
        return ops.concatenate(answers, axis=1)

    def _answer_in_loop(self, latents, queries, mask, training):
        def answer(part):
            answer = functools.partial(self._answer, mask=part.get("mask"), training=training)
            answer = keras.remat(answer) if training and recomputes_in_loops() else answer
            return answer(latents, part["queries"])

        count = ops.shape(queries)[1]
        parts = {"queries": self._chunks(queries)}
        if mask is not None:
            parts["mask"] = self._chunks(mask)
        answers = ops.map(answer, parts)  # chunks, B, query_chunk, E
        answers = ops.transpose(answers, (1, 0, 2, 3))
        answers = ops.reshape(answers, (ops.shape(queries)[0], -1, answers.shape[-1]))
        return answers[:, :count]

    def _chunks(self, x):
        """Returns `(chunks, B, query_chunk, C)` of `(B, O, C)`; the last chunk is filled up with zeros."""
        (batch, count), chunk = ops.shape(x)[:2], self.query_chunk
        num_chunks = (count + chunk - 1) // chunk
        zeros = ops.zeros((batch, num_chunks * chunk - count, x.shape[-1]), x.dtype)
        x = ops.concatenate([x, zeros], axis=1)
        return ops.transpose(ops.reshape(x, (batch, num_chunks, chunk, x.shape[-1])), (1, 0, 2, 3))

    def _answer(self, latents, queries, mask, training):
        answer = self.cross_attention(queries, latents, attention_mask=mask, training=training)
        return answer if self.output_dense is None else self.output_dense(answer)

    def compute_output_spec(self, latents, queries=None, query_mask=None, training=None):
        queries = latents if queries is None else queries
        shape = (*queries.shape[:-1], self.output_dim or queries.shape[-1])
        last = self.output_dim is not None and self.float32_output
        return keras.KerasTensor(shape, dtype="float32" if last else self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "query_key_dim": self.query_key_dim,
            "value_dim": self.value_dim,
            "mlp_dim": self.mlp_dim,
            "query_residual": self.query_residual,
            "output_dim": self.output_dim,
            "output_initializer": keras.initializers.serialize(self.output_initializer),
            "float32_output": self.float32_output,
            "activation": keras.activations.serialize(self.activation),
            "epsilon": self.epsilon,
            "dropout_rate": self.dropout_rate,
            "query_chunk": self.query_chunk,
            "remat": self.remat,
            "seed": self.seed,
            "attention_dropout_rate": self.attention_dropout_rate,
        }
