"""This file knows the mistakes that people make in chapter 1, each with the one sentence that they are told."""

from utils.checking import Mistake

# the parts that most implementations below share
ATTENTION = """
class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        for name in ("W_Q", "W_K", "W_V"):
            setattr(self, name, nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_model, cfg.d_head)))
        for name in ("b_Q", "b_K", "b_V"):
            setattr(self, name, nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head)))
        self.W_O = nn.Parameter(cfg.init_range * torch.randn(cfg.n_heads, cfg.d_head, cfg.d_model))
        self.b_O = nn.Parameter(torch.zeros(cfg.d_model))
"""
BLOCK = """
class TransformerBlock(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.ln1, self.attn, self.ln2, self.mlp = LayerNorm(cfg), Attention(cfg), LayerNorm(cfg), MLP(cfg)
"""

# the lines of `train` that set the learning rate
SET_RATE = """        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, peak=peak, warmup=warmup, total=len(batches), floor=floor)
"""

MISTAKES = [
    # 1.1
    Mistake(
        "LayerNorm",
        "unbiased variance",
        "the variance divides by d_model - 1, PyTorch's default; LayerNorm divides by d_model: pass unbiased=False",
        change=[("keepdim=True, unbiased=False", "keepdim=True, unbiased=True")],
    ),
    Mistake(
        "LayerNorm",
        "eps outside the root",
        "eps is added to the standard deviation, after the root; add it to the variance, then take the root",
        change=[("(variance + self.cfg.eps).sqrt()", "(variance.sqrt() + self.cfg.eps)")],
    ),
    Mistake(
        "LayerNorm",
        "unbiased standard deviation, and eps outside the root",
        "x.std() divides by d_model - 1, and eps is added to it after the root; divide by (variance + eps).sqrt(), with unbiased=False",
        change=[
            ("x.var(dim=-1, keepdim=True, unbiased=False)", "x.var(dim=-1, keepdim=True)"),
            ("(variance + self.cfg.eps).sqrt()", "(variance.sqrt() + self.cfg.eps)"),
        ],
    ),
    Mistake(
        "LayerNorm",
        "no eps",
        "eps is left out, so vectors that hardly vary are blown up; divide by the root of (variance + eps)",
        change=[("(variance + self.cfg.eps).sqrt()", "(variance + 1e-20).sqrt()")],
    ),
    Mistake(
        "LayerNorm",
        "eps fixed in the code",
        "eps is 1e-5 whatever the configuration says; use cfg.eps",
        change=[("self.cfg.eps", "1e-5")],
    ),
    Mistake(
        "LayerNorm",
        "wrong axis",
        "mean and variance are taken over axis 1, the positions; each vector needs its own, over the last axis (dim=-1)",
        change=[("x.mean(dim=-1", "x.mean(dim=1"), ("x.var(dim=-1", "x.var(dim=1")],
    ),
    Mistake(
        "LayerNorm",
        "normalised over the batch",
        "mean and variance are taken over axis 0, the batch, as BatchNorm does; take them over the last axis (dim=-1)",
        change=[("x.mean(dim=-1", "x.mean(dim=0"), ("x.var(dim=-1", "x.var(dim=0")],
    ),
    Mistake(
        "LayerNorm",
        "one mean for everything",
        "one mean and one variance are taken over the whole tensor; each vector needs its own: dim=-1, keepdim=True",
        change=[
            ("x.mean(dim=-1, keepdim=True)", "x.mean()"),
            ("x.var(dim=-1, keepdim=True, unbiased=False)", "x.var(unbiased=False)"),
        ],
    ),
    Mistake(
        "LayerNorm",
        "no affine",
        "the normalised vector is returned as it is; multiply by w and add b at the end",
        change=[(" * self.w + self.b", "")],
    ),
    Mistake("LayerNorm", "w not used", "w is not used; multiply by it before b is added", change=[(" * self.w", "")]),
    Mistake("LayerNorm", "b not used", "b is not used; add it at the end", change=[("* self.w + self.b", "* self.w")]),
    Mistake(
        "LayerNorm",
        "w and b in the wrong order",
        "b is added before multiplying by w; w scales the normalised vector, and b is added last",
        change=[
            (
                "(x - mean) / (variance + self.cfg.eps).sqrt() * self.w + self.b",
                "((x - mean) / (variance + self.cfg.eps).sqrt() + self.b) * self.w",
            )
        ],
    ),
    Mistake(
        "LayerNorm",
        "mean not subtracted",
        "the vector is divided by its standard deviation, but its mean is not subtracted first",
        change=[("(x - mean)", "x")],
    ),
    Mistake(
        "LayerNorm",
        "mean square in place of variance",
        "this is RMSNorm: it divides by the root of the mean square and never subtracts the mean; GPT-2's LayerNorm does",
        change=[
            ("(x - mean)", "x"),
            ("x.var(dim=-1, keepdim=True, unbiased=False)", "x.square().mean(dim=-1, keepdim=True)"),
        ],
    ),
    Mistake(
        "LayerNorm",
        "divided by the variance",
        "the vector is divided by its variance; divide by the root of it",
        change=[("(variance + self.cfg.eps).sqrt()", "(variance + self.cfg.eps)")],
    ),
    Mistake(
        "LayerNorm",
        "divided by the length",
        "the vector is divided by its length and comes out with length 1; divide by the standard deviation, which gives variance 1",
        change=[("x.var(dim=-1, keepdim=True, unbiased=False)", "(x - mean).square().sum(dim=-1, keepdim=True)")],
    ),
    # 1.2
    Mistake(
        "Embed",
        "one-hot of the wrong axis",
        "the token's number picks a column of W_E, not a row; the first axis of W_E is the vocabulary",
        change=[("self.W_E[tokens]", "self.W_E.T[tokens]")],
    ),
    Mistake(
        "Embed",
        "columns by indexing",
        "W_E[:, tokens] picks columns; tokens number the rows of W_E, its first axis: W_E[tokens]",
        change=[("self.W_E[tokens]", "self.W_E[:, tokens]")],
    ),
    Mistake(
        "Embed",
        "scaled by √d_model",
        "the rows are multiplied by √d_model, as the transformer of 2017 did; GPT-2 takes them as they are",
        change=[("self.W_E[tokens]", "self.W_E[tokens] * math.sqrt(self.cfg.d_model)")],
    ),
    Mistake(
        "Embed",
        "off by one",
        "token t gets row t - 1; rows are counted from 0, as tokens are",
        change=[("self.W_E[tokens]", "self.W_E[tokens - 1]")],
    ),
    Mistake(
        "Embed",
        "cut off from training",
        "the values are right, but they are taken from .data or detached, so no gradient reaches W_E; index the parameter itself",
        change=[("self.W_E[tokens]", "self.W_E.data[tokens]")],
    ),
    Mistake(
        "Embed",
        "normalised",
        "the rows are scaled to length 1; an embedding is the row as it stands",
        change=[("self.W_E[tokens]", "F.normalize(self.W_E[tokens], dim=-1)")],
    ),
    # 1.3
    Mistake(
        "PosEmbed",
        "positions taken from token ids",
        "W_pos is indexed by token ids; index it by position, 0, 1, 2, … whatever the tokens are",
        change=[
            ('einops.repeat(self.W_pos[:pos], "pos d_model -> batch pos d_model", batch=batch)', "self.W_pos[tokens]")
        ],
    ),
    Mistake(
        "PosEmbed",
        "not repeated over the batch",
        "the rows are right but there is no batch axis; repeat them for every text of the batch",
        change=[
            ('einops.repeat(self.W_pos[:pos], "pos d_model -> batch pos d_model", batch=batch)', "self.W_pos[:pos]")
        ],
    ),
    Mistake(
        "PosEmbed",
        "repeated for one text only",
        "there is a batch axis, but of size 1 whatever the batch is; repeat or expand the rows for every text of tokens",
        change=[("batch=batch)", "batch=1)")],
    ),
    Mistake(
        "PosEmbed",
        "counted from 1",
        "the first token gets row 1; positions are counted from 0",
        change=[("self.W_pos[:pos]", "self.W_pos.roll(-1, dims=0)[:pos]")],
    ),
    Mistake(
        "PosEmbed",
        "all n_ctx rows",
        "all n_ctx rows come back, however short the text is; take the first pos of them",
        change=[("self.W_pos[:pos]", "self.W_pos")],
    ),
    Mistake(
        "PosEmbed",
        "the last rows",
        "the last rows of W_pos are taken; a text starts at position 0, so take the first",
        change=[("self.W_pos[:pos]", "self.W_pos[-pos:]")],
    ),
    Mistake(
        "PosEmbed",
        "position for each text, not for each token",
        "rows are numbered along the batch: text 0 gets row 0 at all its positions; number them along the positions",
        change=[
            (
                'einops.repeat(self.W_pos[:pos], "pos d_model -> batch pos d_model", batch=batch)',
                'einops.repeat(self.W_pos[:batch], "batch d_model -> batch pos d_model", pos=pos)',
            )
        ],
    ),
    Mistake(
        "PosEmbed",
        "cut off from training",
        "the values are right, but they are taken from .data or detached, so no gradient reaches W_pos; use the parameter itself",
        change=[("self.W_pos[:pos]", "self.W_pos.data[:pos]")],
    ),
    # 1.4
    Mistake(
        "attention_pattern",
        "no scale",
        "the dot products go into softmax as they are; divide them by √d_head first",
        change=[("scores = scores / math.sqrt(q.shape[-1])", "scores = scores / 1")],
    ),
    Mistake(
        "attention_pattern",
        "scale by d_head",
        "the dot products are divided by d_head; divide them by its root",
        change=[("math.sqrt(q.shape[-1])", "q.shape[-1]")],
    ),
    Mistake(
        "attention_pattern",
        "scale by another axis",
        "the dot products are divided by the root of the number of heads; d_head is the last axis of q: q.shape[-1]",
        change=[("math.sqrt(q.shape[-1])", "math.sqrt(q.shape[-2])")],
    ),
    Mistake(
        "attention_pattern",
        "scale by the root of the text's length",
        "the dot products are divided by the root of the number of positions; divide by √d_head: q.shape[-1]",
        change=[("math.sqrt(q.shape[-1])", "math.sqrt(q.shape[1])")],
    ),
    Mistake(
        "attention_pattern",
        "multiplied by the scale",
        "the dot products are multiplied by √d_head; divide by it",
        change=[("scores / math.sqrt(q.shape[-1])", "scores * math.sqrt(q.shape[-1])")],
    ),
    Mistake(
        "attention_pattern",
        "softmax over queries",
        "softmax runs over queries, so columns sum to 1; each query divides its attention over keys, the last axis",
        change=[("softmax(dim=-1)", "softmax(dim=-2)")],
    ),
    Mistake(
        "attention_pattern",
        "softmax over heads",
        "softmax runs over heads, so heads compete with each other; it must run over keys, the last axis",
        change=[('float("-inf")).softmax(dim=-1)', "-1e30).softmax(dim=1)")],
    ),
    Mistake(
        "attention_pattern",
        "softmax over heads, with -inf",
        "softmax runs over axis 1, the heads (F.softmax without dim does that to four axes): say dim=-1, the keys",
        change=[("softmax(dim=-1)", "softmax(dim=1)")],
    ),
    Mistake(
        "attention_pattern",
        "no softmax",
        "the masked scores come back as they are; softmax over the last axis makes shares of them",
        change=[(".softmax(dim=-1)", "")],
    ),
    Mistake(
        "attention_pattern",
        "no softmax and no mask",
        "the scores come back as they are; mask later keys with -inf, then take softmax over the last axis",
        change=[('scores.masked_fill(future, float("-inf")).softmax(dim=-1)', "scores")],
    ),
    Mistake(
        "attention_pattern",
        "softmax by hand",
        "softmax is written as exp over its sum, and exp overflows for large scores; use .softmax(dim=-1)",
        change=[
            (
                'return scores.masked_fill(future, float("-inf")).softmax(dim=-1)',
                'parts = scores.masked_fill(future, float("-inf")).exp()\n    return parts / parts.sum(dim=-1, keepdim=True)',
            )
        ],
    ),
    Mistake(
        "attention_pattern",
        "mask multiplied by -inf",
        "the mask is multiplied by -inf, and 0 * -inf is NaN where nothing should be hidden; use masked_fill(mask, -inf)",
        change=[('scores.masked_fill(future, float("-inf"))', '(scores + future * float("-inf"))')],
    ),
    Mistake(
        "attention_pattern",
        "one name for both positions",
        "the positions of q and k have one name in the einsum, so each query meets only its own key; name them query and key",
        write="""
        def attention_pattern(q, k):
            scores = einops.einsum(q, k, "batch pos head d_head, batch pos head d_head -> batch head pos")
            scores = scores / math.sqrt(q.shape[-1])
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)
            return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        """,
    ),
    Mistake(
        "attention_pattern",
        "heads paired with heads",
        "q @ k.transpose(-1, -2) multiplies heads with heads, which stand next to d_head; use einsum, or bring head before pos first",
        write="""
        def attention_pattern(q, k):
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)
            return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        """,
    ),
    Mistake(
        "attention_pattern",
        "mask transposed",
        "the mask is on the wrong side: earlier keys are hidden and later ones are read; mask where key > query, the upper triangle",
        change=[("triu(diagonal=1)", "tril(diagonal=-1)")],
    ),
    Mistake(
        "attention_pattern",
        "mask excludes the diagonal",
        "the mask hides each query's own position too, so query 0 has nothing left and becomes NaN; begin it at diagonal=1",
        change=[("triu(diagonal=1)", "triu(diagonal=0)")],
    ),
    Mistake(
        "attention_pattern",
        "mask excludes the diagonal, with a large negative number",
        "the mask hides each query's own position too; begin the triangle one above the diagonal, at diagonal=1",
        change=[("triu(diagonal=1)", "triu(diagonal=0)"), ('float("-inf")', "-1e9")],
    ),
    Mistake(
        "attention_pattern",
        "mask one too far to the right",
        "each query can still read the key right after it; begin the triangle at diagonal=1",
        change=[("triu(diagonal=1)", "triu(diagonal=2)")],
    ),
    Mistake(
        "attention_pattern",
        "mask after softmax",
        "later keys are set to 0 after softmax, so the rows no longer sum to 1; put -inf into the scores before softmax",
        change=[
            (
                'scores.masked_fill(future, float("-inf")).softmax(dim=-1)',
                "scores.softmax(dim=-1).masked_fill(future, 0)",
            )
        ],
    ),
    Mistake(
        "attention_pattern",
        "no mask",
        "there is no mask, or its result is not kept: queries read later keys; masked_fill gives a new tensor, so write scores = …",
        change=[('scores.masked_fill(future, float("-inf"))', "scores")],
    ),
    Mistake(
        "attention_pattern",
        "masked with 0",
        "masked scores are set to 0, or to a number near it such as 1e-9, and softmax gives e^0 = 1 parts to them; set them to -inf",
        change=[('float("-inf")', "0.0")],
    ),
    Mistake(
        "attention_pattern",
        "masked with a number not negative enough",
        "masked scores are set to a number that is not negative enough to vanish beside the others; set them to -inf",
        change=[('float("-inf")', "-10.0")],
    ),
    Mistake(
        "attention_pattern",
        "queries and keys swapped",
        "rows belong to keys and columns to queries: the two positions are swapped in the einsum",
        change=[("head d_head -> batch head query key", "head d_head -> batch head key query")],
    ),
    Mistake(
        "attention_pattern",
        "the complement of the mask",
        "the mask is turned round and hides what may be read; masked_fill fills where it is True, so make it True for later keys",
        change=[("masked_fill(future,", "masked_fill(~future,")],
    ),
    Mistake(
        "attention_pattern",
        "heads summed",
        "all heads have the same pattern: the products are summed over heads; keep the head axis on both sides of the arrow",
        write="""
        def attention_pattern(q, k):
            scores = einops.einsum(q, k, "batch query head d_head, batch key head d_head -> batch query key")
            scores = einops.repeat(scores, "batch query key -> batch head query key", head=q.shape[2]) / math.sqrt(q.shape[-1])
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)
            return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        """,
    ),
    # 1.5
    Mistake(
        "Attention",
        "heads mixed up when they are joined",
        "z still has head before pos when its axes are joined, so heads and positions are mixed up; bring pos before head first",
        write=ATTENTION
        + """
    def forward(self, x):
        to_heads = "batch pos d_model, head d_model d_head -> batch pos head d_head"
        q = einops.einsum(x, self.W_Q, to_heads) + self.b_Q
        k = einops.einsum(x, self.W_K, to_heads) + self.b_K
        v = einops.einsum(x, self.W_V, to_heads) + self.b_V
        z = attention_pattern(q, k) @ v.transpose(1, 2)
        z = z.reshape(x.shape[0], x.shape[1], -1)
        return z @ self.W_O.flatten(0, 1) + self.b_O
""",
    ),
    Mistake(
        "Attention",
        "heads mixed up when they are split",
        "W_Q, W_K and W_V are reshaped to d_model × (head d_head) without bringing d_model to the front first, which mixes up the heads",
        write=ATTENTION
        + """
    def forward(self, x):
        n_heads, d_model, d_head = self.W_Q.shape
        q, k, v = (
            (x @ W.reshape(d_model, n_heads * d_head)).unflatten(-1, (n_heads, d_head)) + b
            for W, b in ((self.W_Q, self.b_Q), (self.W_K, self.b_K), (self.W_V, self.b_V))
        )
        z = einops.einsum(attention_pattern(q, k), v, "b h q k, b k h d -> b q h d")
        return einops.einsum(z, self.W_O, "b q h d, h d m -> b q m") + self.b_O
""",
    ),
    Mistake(
        "Attention",
        "bias of O added per head",
        "b_O is added to every head's output before they are summed, so it counts n_heads times; add it once, after the sum",
        change=[
            (
                'head d_head d_model -> batch pos d_model") + self.b_O',
                'head d_head d_model -> batch pos d_model") + self.cfg.n_heads * self.b_O',
            )
        ],
    ),
    Mistake(
        "Attention",
        "value read at the query position",
        "each position gets its own value back (z = v), whatever the pattern says; in the einsum v carries the key's position",
        change=[
            ("batch key head d_head -> batch query head d_head", "batch query head d_head -> batch query head d_head")
        ],
    ),
    Mistake(
        "Attention",
        "pattern summed over queries",
        "the pattern is summed over queries, so each key collects from the future; sum over keys, and keep the query",
        change=[
            ("batch key head d_head -> batch query head d_head", "batch query head d_head -> batch key head d_head")
        ],
    ),
    Mistake(
        "Attention",
        "queries and keys swapped",
        "k is given as the query and q as the key; the call is attention_pattern(q, k)",
        change=[("attention_pattern(q, k)", "attention_pattern(k, q)")],
    ),
    Mistake(
        "Attention",
        "keys from W_Q",
        "keys are made with W_Q, as queries are; use W_K (and b_K)",
        change=[("einops.einsum(x, self.W_K, to_heads) + self.b_K", "einops.einsum(x, self.W_Q, to_heads) + self.b_Q")],
    ),
    Mistake(
        "Attention",
        "values from W_K",
        "values are made with W_K and b_K, as keys are; use W_V and b_V",
        change=[("einops.einsum(x, self.W_V, to_heads) + self.b_V", "einops.einsum(x, self.W_K, to_heads) + self.b_K")],
    ),
    Mistake("Attention", "b_Q forgotten", "b_Q is not added to the queries", change=[(" + self.b_Q", "")]),
    Mistake("Attention", "b_V forgotten", "b_V is not added to the values", change=[(" + self.b_V", "")]),
    Mistake(
        "Attention",
        "b_O forgotten",
        "b_O is not added to the output",
        change=[('batch pos d_model") + self.b_O', 'batch pos d_model")')],
    ),
    Mistake(
        "Attention",
        "no biases at all",
        "none of b_Q, b_K, b_V and b_O is used; each is added to its own product",
        change=[
            (" + self.b_Q", ""),
            (" + self.b_K", ""),
            (" + self.b_V", ""),
            ('batch pos d_model") + self.b_O', 'batch pos d_model")'),
        ],
    ),
    Mistake(
        "Attention",
        "the residual is added",
        "the layer adds x to its result; it returns only what it writes, and the block does the addition (exercise 1.7)",
        change=[('batch pos d_model") + self.b_O', 'batch pos d_model") + self.b_O + x')],
    ),
    Mistake(
        "Attention",
        "heads averaged",
        "the heads' outputs are averaged; they are summed",
        change=[
            (
                'd_head d_model -> batch pos d_model") + self.b_O',
                'd_head d_model -> batch pos d_model") / self.cfg.n_heads + self.b_O',
            )
        ],
    ),
    Mistake(
        "Attention",
        "a second scale",
        "the queries are divided by √d_head and then attention_pattern divides again; once is right",
        change=[("attention_pattern(q, k)", "attention_pattern(q / math.sqrt(self.cfg.d_head), k)")],
    ),
    Mistake(
        "Attention",
        "heads not summed",
        "every head's output comes back by itself; leave head out after the arrow of the last einsum, so that heads are summed",
        change=[("head d_head d_model -> batch pos d_model", "head d_head d_model -> batch pos head d_model")],
    ),
    Mistake(
        "Attention",
        "the pattern is returned",
        "the pattern comes back; mix the values with it, and send the result out through W_O",
        change=[
            (
                'einops.einsum(z, self.W_O, "batch pos head d_head, head d_head d_model -> batch pos d_model") + self.b_O',
                "pattern",
            )
        ],
    ),
    Mistake(
        "Attention",
        "z is returned",
        "the mixed values come back before W_O; multiply each head's z with its W_O, sum over heads, and add b_O",
        change=[
            (
                'einops.einsum(z, self.W_O, "batch pos head d_head, head d_head d_model -> batch pos d_model") + self.b_O',
                "z",
            )
        ],
    ),
    Mistake(
        "Attention",
        "W_O left out",
        "the heads' z are laid side by side and come back as they are; they go out through W_O",
        change=[
            (
                'einops.einsum(z, self.W_O, "batch pos head d_head, head d_head d_model -> batch pos d_model") + self.b_O',
                "z.flatten(-2)",
            )
        ],
    ),
    Mistake(
        "Attention",
        "W_O left out, b_O not",
        "the heads' z are laid side by side and only b_O is added; multiply with W_O before that",
        change=[
            (
                'einops.einsum(z, self.W_O, "batch pos head d_head, head d_head d_model -> batch pos d_model") + self.b_O',
                "z.flatten(-2) + F.pad(self.b_O, (0, self.W_O.shape[0] * self.W_O.shape[1] - len(self.b_O)))",
            )
        ],
    ),
    Mistake(
        "Attention",
        "values from W_K, with b_V",
        "values are made with W_K, as keys are; use W_V",
        change=[("einops.einsum(x, self.W_V, to_heads)", "einops.einsum(x, self.W_K, to_heads)")],
    ),
    # 1.6
    Mistake(
        "MLP",
        "exact gelu",
        'this is the exact GELU; GPT-2 was trained with its tanh approximation: pass approximate="tanh"',
        change=[('F.gelu(pre, approximate="tanh")', "F.gelu(pre)")],
    ),
    Mistake(
        "MLP",
        "relu",
        'the activation is relu, which has a sharp corner; GPT-2 uses gelu_new, F.gelu with approximate="tanh"',
        change=[('F.gelu(pre, approximate="tanh")', "F.relu(pre)")],
    ),
    Mistake(
        "MLP",
        "silu",
        'the activation is silu (swish); GPT-2 uses gelu_new, F.gelu with approximate="tanh"',
        change=[('F.gelu(pre, approximate="tanh")', "F.silu(pre)")],
    ),
    Mistake(
        "MLP",
        "sigmoid approximation of gelu",
        "this GELU is approximated by a sigmoid, x·σ(1.702 x); GPT-2's approximation uses tanh",
        change=[('F.gelu(pre, approximate="tanh")', "pre * torch.sigmoid(1.702 * pre)")],
    ),
    Mistake(
        "MLP",
        "no activation",
        "there is no activation between the two matrices, so the MLP is only one linear map; put gelu_new between them",
        change=[('F.gelu(pre, approximate="tanh")', "pre")],
    ),
    Mistake("MLP", "missing b_in", "b_in is not added before the activation", change=[(" + self.b_in", "")]),
    Mistake("MLP", "missing b_out", "b_out is not added at the end", change=[(" + self.b_out", "")]),
    Mistake(
        "MLP",
        "missing both biases",
        "neither b_in nor b_out is used; each is added after its matrix product",
        change=[(" + self.b_in", ""), (" + self.b_out", "")],
    ),
    Mistake(
        "MLP",
        "b_in after the activation",
        "b_in is added after the activation; it belongs to what the neurons read, so add it before",
        change=[
            (" + self.b_in", ""),
            ('F.gelu(pre, approximate="tanh")', 'F.gelu(pre, approximate="tanh") + self.b_in'),
        ],
    ),
    Mistake(
        "MLP",
        "activation at the end too",
        "the result goes through the activation a second time; the last step is linear, since the write may be negative",
        change=[
            ("return einops.einsum(post", "return F.gelu(einops.einsum(post"),
            ('batch pos d_model") + self.b_out', 'batch pos d_model") + self.b_out, approximate="tanh")'),
        ],
    ),
    Mistake(
        "MLP",
        "the residual is added",
        "the layer adds x to its result; it returns only what it writes, and the block does the addition (exercise 1.7)",
        change=[(" + self.b_out", " + self.b_out + x")],
    ),
    # 1.7
    Mistake(
        "TransformerBlock",
        "post-norm",
        "the stream itself is normalised after each addition; GPT-2 normalises only what a sublayer reads: x + attn(ln1(x))",
        write=BLOCK
        + """
    def forward(self, resid_pre):
        resid_mid = self.ln1(resid_pre + self.attn(resid_pre))
        return self.ln2(resid_mid + self.mlp(resid_mid))
""",
    ),
    Mistake(
        "TransformerBlock",
        "norm on the way out",
        "LayerNorm is applied to what attention and MLP write; it belongs before them, on what they read",
        write=BLOCK
        + """
    def forward(self, resid_pre):
        resid_mid = resid_pre + self.ln1(self.attn(resid_pre))
        return resid_mid + self.ln2(self.mlp(resid_mid))
""",
    ),
    Mistake(
        "TransformerBlock",
        "the normalised stream is carried on",
        "x is replaced by ln(x) and the write is added to that; keep x, and give ln(x) only to the sublayer",
        write=BLOCK
        + """
    def forward(self, x):
        x = self.ln1(x)
        x = x + self.attn(x)
        x = self.ln2(x)
        return x + self.mlp(x)
""",
    ),
    Mistake(
        "TransformerBlock",
        "MLP reads resid_pre",
        "the MLP reads the block's input, beside attention; in GPT-2 it comes after it and reads resid_mid",
        change=[("self.ln2(resid_mid)", "self.ln2(resid_pre)")],
    ),
    Mistake(
        "TransformerBlock",
        "first residual dropped",
        "what attention writes replaces the stream; add it to the stream: resid_pre + …",
        change=[("resid_pre + self.attn", "self.attn")],
    ),
    Mistake(
        "TransformerBlock",
        "second residual dropped",
        "what the MLP writes replaces the stream; add it to the stream: resid_mid + …",
        change=[("return resid_mid + self.mlp", "return self.mlp")],
    ),
    Mistake(
        "TransformerBlock",
        "residual dropped",
        "there is no addition: each sublayer's result replaces the stream; add both results to it",
        change=[("resid_pre + self.attn", "self.attn"), ("return resid_mid + self.mlp", "return self.mlp")],
    ),
    Mistake(
        "TransformerBlock",
        "attention's write is lost",
        "the MLP's write is added to the block's input, so what attention wrote is lost; add it to resid_mid",
        change=[("return resid_mid + self.mlp", "return resid_pre + self.mlp")],
    ),
    Mistake(
        "TransformerBlock",
        "same LayerNorm used twice",
        "the MLP reads through ln1; it has a LayerNorm of its own, ln2",
        change=[("self.ln2(resid_mid)", "self.ln1(resid_mid)")],
    ),
    Mistake(
        "TransformerBlock",
        "LayerNorms swapped",
        "attention reads through ln2 and the MLP through ln1; it is the other way round",
        change=[("self.attn(self.ln1(", "self.attn(self.ln2("), ("self.mlp(self.ln2(", "self.mlp(self.ln1(")],
    ),
    Mistake(
        "TransformerBlock",
        "no LayerNorm",
        "attention and MLP read the stream as it is; each reads it through its LayerNorm",
        change=[("self.ln1(resid_pre)", "resid_pre"), ("self.ln2(resid_mid)", "resid_mid")],
    ),
    Mistake(
        "TransformerBlock",
        "no ln1",
        "attention reads the stream as it is; it reads it through ln1",
        change=[("self.ln1(resid_pre)", "resid_pre")],
    ),
    Mistake(
        "TransformerBlock",
        "no ln2",
        "the MLP reads the stream as it is; it reads it through ln2",
        change=[("self.ln2(resid_mid)", "resid_mid")],
    ),
    Mistake(
        "TransformerBlock",
        "MLP before attention",
        "the MLP comes first and attention second; it is the other way round",
        write=BLOCK
        + """
    def forward(self, x):
        x = x + self.mlp(self.ln2(x))
        return x + self.attn(self.ln1(x))
""",
    ),
    Mistake(
        "TransformerBlock",
        "the stream is added twice",
        "the block's input is added at the end once more, though resid_mid already contains it",
        change=[("return resid_mid + self.mlp", "return resid_pre + resid_mid + self.mlp")],
    ),
    Mistake(
        "TransformerBlock",
        "MLP reads attention's write alone",
        "the MLP reads what attention wrote alone; it reads the stream to which attention has added: resid_pre + …",
        change=[
            ("resid_mid = resid_pre + self.attn", "attn_out = self.attn"),
            (
                "return resid_mid + self.mlp(self.ln2(resid_mid))",
                "return resid_pre + attn_out + self.mlp(self.ln2(attn_out))",
            ),
        ],
    ),
    Mistake(
        "TransformerBlock",
        "attention writes nothing",
        "what attention makes of the stream is never added: the block gives x + mlp(ln2(x)); add attn(ln1(x)) before",
        change=[("resid_pre + self.attn(self.ln1(resid_pre))", "resid_pre")],
    ),
    Mistake(
        "TransformerBlock",
        "the MLP writes nothing",
        "the block ends after attention; add what the MLP makes of ln2(resid_mid)",
        change=[("return resid_mid + self.mlp(self.ln2(resid_mid))", "return resid_mid")],
    ),
    # 1.8
    Mistake("Unembed", "b_U forgotten", "b_U is not added", change=[(" + self.b_U", "")]),
    Mistake(
        "Unembed",
        "softmax applied",
        "these are probabilities; return the logits themselves, without softmax",
        change=[("return einops", "return (einops"), (" + self.b_U", " + self.b_U).softmax(dim=-1)")],
    ),
    Mistake(
        "Unembed",
        "log-softmax applied",
        "these are log-probabilities; return the logits themselves, without log_softmax",
        change=[("return einops", "return (einops"), (" + self.b_U", " + self.b_U).log_softmax(dim=-1)")],
    ),
    Mistake(
        "Unembed",
        "only the last position",
        "logits come back for the last position only; every position has its own next token to predict",
        change=[("einops.einsum(resid,", "einops.einsum(resid[:, -1:],")],
    ),
    Mistake(
        "Unembed",
        "only the last position, without its axis",
        "logits come back for the last position only, [:, -1]; every position has its own next token to predict",
        change=[
            (
                'einops.einsum(resid, self.W_U, "batch pos d_model, d_model d_vocab -> batch pos d_vocab")',
                "resid[:, -1] @ self.W_U",
            )
        ],
    ),
    Mistake(
        "Unembed",
        "token numbers returned",
        "argmax gives the number of the likeliest token; return the scores of all tokens",
        change=[("return einops", "return (einops"), (" + self.b_U", " + self.b_U).argmax(dim=-1)")],
    ),
    Mistake(
        "Unembed",
        "normalised first",
        "the stream is normalised before the product; the final LayerNorm belongs to the model (exercise 1.9), not to Unembed",
        change=[("einops.einsum(resid,", "einops.einsum(F.layer_norm(resid, resid.shape[-1:]),")],
    ),
    Mistake(
        "Unembed",
        "scaled",
        "the logits are divided by √d_model; that scale belongs to attention scores (and has d_head in it)",
        change=[("einops.einsum(resid,", "einops.einsum(resid / math.sqrt(resid.shape[-1]),")],
    ),
    # 1.9
    Mistake(
        "Transformer",
        "final LayerNorm missing",
        "the stream goes to the unembedding as it is; read it through ln_final first",
        change=[("self.unembed(self.ln_final(resid))", "self.unembed(resid)")],
    ),
    Mistake(
        "Transformer",
        "positions missing",
        "the stream starts with token embeddings only, so the model cannot tell positions apart; add pos_embed(tokens)",
        change=[(" + self.pos_embed(tokens)", "")],
    ),
    Mistake(
        "Transformer",
        "tokens missing",
        "the stream starts with position embeddings only; add embed(tokens)",
        change=[("self.embed(tokens) + ", "")],
    ),
    Mistake(
        "Transformer",
        "what the blocks return is thrown away",
        "the blocks are run but their results are not kept; write resid = block(resid)",
        change=[("resid = block(resid)", "block(resid)")],
    ),
    Mistake(
        "Transformer",
        "the stream is added again around each block",
        "each block's result is added to the stream, but a block already returns the whole stream: resid = block(resid)",
        change=[("resid = block(resid)", "resid = resid + block(resid)")],
    ),
    Mistake(
        "Transformer",
        "every block reads the embeddings",
        "every block is given the embeddings, and only the last one's result is used; give each block what the one before it returned",
        change=[
            (
                "resid = self.embed(tokens) + self.pos_embed(tokens)",
                "start = resid = self.embed(tokens) + self.pos_embed(tokens)",
            ),
            ("resid = block(resid)", "resid = block(start)"),
        ],
    ),
    Mistake(
        "Transformer",
        "the first block again and again",
        "block 0 is run n_layers times; run each block of self.blocks once",
        change=[("resid = block(resid)", "resid = self.blocks[0](resid)")],
    ),
    Mistake(
        "Transformer",
        "blocks in reverse",
        "the blocks are run from last to first",
        change=[("for block in self.blocks:", "for block in reversed(self.blocks):")],
    ),
    Mistake(
        "Transformer",
        "the last block left out",
        "the last block is left out; run all of self.blocks",
        change=[("for block in self.blocks:", "for block in self.blocks[:-1]:")],
    ),
    Mistake(
        "Transformer",
        "return inside the loop",
        "the return stands inside the loop, so only the first block is run; move it out, under the word for",
        change=[("        return self.unembed", "            return self.unembed")],
    ),
    Mistake(
        "Transformer",
        "only the last position",
        "logits come back for the last position only; every position has its own next token to predict",
        change=[("self.unembed(self.ln_final(resid))", "self.unembed(self.ln_final(resid))[:, -1]")],
    ),
    Mistake(
        "Transformer",
        "only the last position, with its axis",
        "logits come back for the last position only, [:, -1:]; every position has its own next token to predict",
        change=[("self.unembed(self.ln_final(resid))", "self.unembed(self.ln_final(resid))[:, -1:]")],
    ),
    Mistake(
        "Transformer",
        "final LayerNorm after every block",
        "ln_final is applied after every block; the stream is never normalised, only read through ln_final once, at the end",
        change=[
            ("resid = block(resid)", "resid = self.ln_final(block(resid))"),
            ("self.unembed(self.ln_final(resid))", "self.unembed(resid)"),
        ],
    ),
    Mistake(
        "Transformer",
        "final LayerNorm twice",
        "ln_final is applied twice",
        change=[("self.ln_final(resid)", "self.ln_final(self.ln_final(resid))")],
    ),
    Mistake(
        "Transformer",
        "probabilities in place of logits",
        "the result has gone through softmax; return the logits",
        change=[("self.unembed(self.ln_final(resid))", "self.unembed(self.ln_final(resid)).softmax(dim=-1)")],
    ),
    # ------------------------------------------------------------ 1.10
    Mistake(
        "next_token_loss",
        "not shifted",
        "every guess is held against the token at its own position, which the model has read; hold logits[:, :-1] against tokens[:, 1:]",
        change=[("logits[:, :-1]", "logits"), ("tokens[:, 1:]", "tokens")],
    ),
    Mistake(
        "next_token_loss",
        "shifted the wrong way",
        "guesses are held against the token before them; it is logits[:, :-1] and tokens[:, 1:], not the other way round",
        change=[("logits[:, :-1]", "logits[:, 1:]"), ("tokens[:, 1:]", "tokens[:, :-1]")],
    ),
    Mistake(
        "next_token_loss",
        "rolled round",
        "the last guess is held against the first token of its window (roll brings it round); it has no answer, so leave it out",
        write="""
        def next_token_loss(logits, tokens):
            return F.cross_entropy(logits.flatten(0, 1), tokens.roll(-1, dims=1).flatten())
        """,
    ),
    Mistake(
        "next_token_loss",
        "summed",
        "the surprises are summed; take their mean, so that losses of different batch sizes can be compared",
        change=[("F.cross_entropy(guesses, answers)", 'F.cross_entropy(guesses, answers, reduction="sum")')],
    ),
    Mistake(
        "next_token_loss",
        "summed over positions",
        "the surprises of a sequence are summed and only sequences are averaged; take the mean over all guesses",
        write="""
        def next_token_loss(logits, tokens):
            log_probs = logits[:, :-1].log_softmax(dim=-1)
            surprise = -log_probs.gather(-1, tokens[:, 1:, None]).squeeze(-1)
            return surprise.sum(dim=-1).mean()
        """,
    ),
    Mistake(
        "next_token_loss",
        "divided by all positions",
        "the sum of surprises is divided by the number of tokens; a window of n tokens has only n - 1 guesses",
        write="""
        def next_token_loss(logits, tokens):
            log_probs = logits[:, :-1].log_softmax(dim=-1)
            return -log_probs.gather(-1, tokens[:, 1:, None]).sum() / tokens.numel()
        """,
    ),
    Mistake(
        "next_token_loss",
        "softmax twice",
        "probabilities went into cross-entropy, which takes a softmax itself; give it the logits",
        change=[("F.cross_entropy(guesses, answers)", "F.cross_entropy(guesses.softmax(dim=-1), answers)")],
    ),
    Mistake(
        "next_token_loss",
        "no softmax",
        "the bare logits of the right tokens are averaged; turn logits into log-probabilities first (log_softmax)",
        change=[("F.cross_entropy(guesses, answers)", "-guesses.gather(-1, answers[:, None]).mean()")],
    ),
    Mistake(
        "next_token_loss",
        "log of the mean",
        "this is the log of the mean probability; take the log of each probability first, then the mean",
        change=[
            ("F.cross_entropy(guesses, answers)", "-guesses.softmax(dim=-1).gather(-1, answers[:, None]).mean().log()")
        ],
    ),
    Mistake(
        "next_token_loss",
        "sign",
        "this is the mean log-probability, a negative number; the surprise is minus that",
        change=[("F.cross_entropy(guesses, answers)", "-F.cross_entropy(guesses, answers)")],
    ),
    Mistake(
        "next_token_loss",
        "in bits",
        "these are bits (logarithm to base 2); the course counts in nats, the natural logarithm",
        change=[("F.cross_entropy(guesses, answers)", "F.cross_entropy(guesses, answers) / math.log(2)")],
    ),
    Mistake(
        "next_token_loss",
        "log of a softmax",
        "softmax rounds a hopeless token's probability to 0, and its log is -inf; use log_softmax or F.cross_entropy",
        change=[("F.cross_entropy(guesses, answers)", "F.nll_loss(guesses.softmax(dim=-1).log(), answers)")],
    ),
    Mistake(
        "next_token_loss",
        "flattened in another order",
        "logits and tokens are flattened in different orders, so guesses meet the answers of other sequences; flatten (batch pos) in both",
        change=[('"batch pos -> (batch pos)"', '"batch pos -> (pos batch)"')],
    ),
    Mistake(
        "next_token_loss",
        "logits flattened in another order",
        "the logits are flattened by position first, so guesses meet the answers of other sequences; flatten (batch pos) in both",
        change=[('"batch pos d_vocab -> (batch pos) d_vocab"', '"batch pos d_vocab -> (pos batch) d_vocab"')],
    ),
    Mistake(
        "next_token_loss",
        "reshaped in place of transposed",
        "reshape puts d_vocab on axis 1 by cutting the numbers anew, so positions and tokens are mixed; take transpose(1, 2)",
        write="""
        def next_token_loss(logits, tokens):
            batch, pos, d_vocab = logits[:, :-1].shape
            return F.cross_entropy(logits[:, :-1].reshape(batch, d_vocab, pos), tokens[:, 1:])
        """,
    ),
    # ------------------------------------------------------------ 1.11
    Mistake(
        "residual_contributions",
        "LayerNorm on the parts",
        "every part went through ln_final; the parts are what components write, before any final LayerNorm",
        change=[
            ("return contributions", "return {name: model.ln_final(part) for name, part in contributions.items()}")
        ],
    ),
    Mistake(
        "residual_contributions",
        "embedding left out",
        "the layers' writes are there but not the embeddings, which put the first two vectors into the stream",
        change=[
            (
                "return contributions",
                'return {name: part for name, part in contributions.items() if "embed" not in name}',
            )
        ],
    ),
    Mistake(
        "residual_contributions",
        "positions left out",
        "the position embeddings neither have an entry nor enter the stream; add model.pos_embed(tokens) to both",
        change=[
            (', "pos_embed": model.pos_embed(tokens)}', "}"),
            (' + contributions["pos_embed"]', ""),
        ],
    ),
    Mistake(
        "residual_contributions",
        "positions inside embed",
        'the entry "embed" holds the positions too, and they come again under "pos_embed", so they count twice in the sum',
        change=[
            ('{"embed": model.embed(tokens),', '{"embed": model.embed(tokens) + model.pos_embed(tokens),'),
            (' + contributions["pos_embed"]', ""),
        ],
    ),
    Mistake(
        "residual_contributions",
        "biases left out",
        "b_O and b_out are missing from the entries; a component's bias is part of what it writes",
        change=[
            (
                'contributions[f"L{layer}.attn"] = attn_out = block.attn(block.ln1(resid))',
                'attn_out = block.attn(block.ln1(resid))\n        contributions[f"L{layer}.attn"] = attn_out - block.attn.b_O',
            ),
            (
                'contributions[f"L{layer}.mlp"] = mlp_out = block.mlp(block.ln2(resid))',
                'mlp_out = block.mlp(block.ln2(resid))\n        contributions[f"L{layer}.mlp"] = mlp_out - block.mlp.b_out',
            ),
        ],
    ),
    Mistake(
        "residual_contributions",
        "running totals",
        "each entry holds the whole stream after the component; store only what the component added",
        change=[
            ("resid = resid + attn_out", 'contributions[f"L{layer}.attn"] = resid = resid + attn_out'),
            ("resid = resid + mlp_out", 'contributions[f"L{layer}.mlp"] = resid = resid + mlp_out'),
        ],
    ),
    Mistake(
        "residual_contributions",
        "running total in place",
        'the entries share memory: x += … changes the tensor that is already stored as "embed"; write x = x + …',
        change=[
            (
                'resid = contributions["embed"] + contributions["pos_embed"]',
                'resid = contributions["embed"]\n    resid += contributions["pos_embed"]',
            ),
            ("resid = resid + attn_out", "resid += attn_out"),
            ("resid = resid + mlp_out", "resid += mlp_out"),
        ],
    ),
    Mistake(
        "residual_contributions",
        "read without LayerNorm",
        "the components read the raw stream; attention reads ln1 of it and the MLP ln2",
        change=[
            ("block.attn(block.ln1(resid))", "block.attn(resid)"),
            ("block.mlp(block.ln2(resid))", "block.mlp(resid)"),
        ],
    ),
    Mistake(
        "residual_contributions",
        "one LayerNorm for both",
        "the MLP reads through ln1; each block has two LayerNorms and the MLP's is ln2",
        change=[("block.ln2(resid)", "block.ln1(resid)")],
    ),
    Mistake(
        "residual_contributions",
        "MLP reads resid_pre",
        "the MLP reads the stream from before this layer's attention; add attention's write to the running total first",
        change=[
            ("        resid = resid + attn_out\n", ""),
            ("resid = resid + mlp_out", "resid = resid + attn_out + mlp_out"),
        ],
    ),
    Mistake(
        "residual_contributions",
        "everybody reads the embeddings",
        "every component reads the embeddings alone; the running total must grow with each write",
        change=[("        resid = resid + attn_out\n", ""), ("        resid = resid + mlp_out\n", "")],
    ),
    Mistake(
        "residual_contributions",
        "one entry per layer",
        'attention and MLP of a layer share one entry; give each its own, "L0.attn" and "L0.mlp"',
        write="""
        def residual_contributions(model, tokens):
            parts = {"embed": model.embed(tokens), "pos_embed": model.pos_embed(tokens)}
            resid = parts["embed"] + parts["pos_embed"]
            for layer, block in enumerate(model.blocks):
                parts[f"L{layer}"] = block(resid) - resid
                resid = block(resid)
            return parts
        """,
    ),
    Mistake(
        "residual_contributions",
        "positions not in the total",
        "the position embeddings have an entry, but the first layer reads the stream without them; the total starts with both",
        change=[('contributions["embed"] + contributions["pos_embed"]', 'contributions["embed"]')],
    ),
    Mistake(
        "residual_contributions",
        "attention's write left out of the total",
        "what attention writes is stored, but the running total does not grow by it: resid = resid + attn_out",
        change=[("        resid = resid + attn_out\n", "")],
    ),
    Mistake(
        "residual_contributions",
        "attention's write in place of the total",
        "the running total is replaced by what attention writes; add to it: resid = resid + attn_out",
        change=[("resid = resid + attn_out", "resid = attn_out")],
    ),
    Mistake(
        "residual_contributions",
        "the MLP's write left out of the total",
        "what the MLP writes is stored, but the running total does not grow by it: resid = resid + mlp_out",
        change=[("        resid = resid + mlp_out\n", "")],
    ),
    Mistake(
        "residual_contributions",
        "the MLP's write in place of the total",
        "the running total is replaced by what the MLP writes; add to it: resid = resid + mlp_out",
        change=[("resid = resid + mlp_out", "resid = mlp_out")],
    ),
    # ------------------------------------------------------------ 1.12a
    Mistake(
        "top_tokens_promoted",
        "in and out weights swapped",
        "this reads the neuron's key, its column of W_in; what the neuron writes is its row of W_out",
        change=[("mlp.W_out[neuron]", "mlp.W_in[:, neuron]")],
    ),
    Mistake(
        "top_tokens_promoted",
        "most suppressed",
        "these are the tokens that the neuron suppresses most; the promoted ones have the largest scores",
        change=[("scores.topk(k)", "scores.topk(k, largest=False)")],
    ),
    Mistake(
        "top_tokens_promoted",
        "largest in size",
        "tokens are chosen by the size of their score, whatever its sign; a large negative score suppresses a token",
        write="""
        def top_tokens_promoted(model, layer, neuron, k):
            scores = model.blocks[layer].mlp.W_out[neuron] @ model.unembed.W_U
            ids = scores.abs().topk(k).indices
            return ids, scores[ids]
        """,
    ),
    Mistake(
        "top_tokens_promoted",
        "unembedding bias added",
        "b_U is in the scores; it raises the same tokens for every neuron, so it is no part of what this one does",
        change=[
            ('"d_model, d_model d_vocab -> d_vocab")', '"d_model, d_model d_vocab -> d_vocab") + model.unembed.b_U')
        ],
    ),
    Mistake(
        "top_tokens_promoted",
        "embedding in place of unembedding",
        "the value is compared with the rows of W_E; logits come from W_U, which need not be its transpose",
        change=[("model.unembed.W_U", "model.embed.W_E.T")],
    ),
    Mistake(
        "top_tokens_promoted",
        "softmaxed",
        "the scores went through a softmax; asked for is the rise of each logit, which can be any number",
        change=[('"d_model, d_model d_vocab -> d_vocab")', '"d_model, d_model d_vocab -> d_vocab").softmax(dim=-1)')],
    ),
    Mistake(
        "top_tokens_promoted",
        "through the final LayerNorm",
        "the value went through ln_final, which rescales it as if it were a whole stream; multiply it with W_U as it is",
        change=[
            (
                "value = model.blocks[layer].mlp.W_out[neuron]",
                "value = model.ln_final(model.blocks[layer].mlp.W_out[neuron])",
            )
        ],
    ),
    Mistake(
        "top_tokens_promoted",
        "cosine",
        "the scores are cosines; the lengths of the neuron's value and of the unembedding columns count too, so take the plain product",
        change=[
            (
                "scores = einops",
                "scores = F.cosine_similarity(value[:, None], model.unembed.W_U, dim=0) if True else einops",
            )
        ],
    ),
    Mistake(
        "top_tokens_promoted",
        "layers counted from one",
        "this is the neuron of the layer below (or of the last layer, for layer 0): layers count from 0",
        change=[("model.blocks[layer]", "model.blocks[layer - 1]")],
    ),
    Mistake(
        "top_tokens_promoted",
        "always the last layer",
        "the neuron is taken from the last layer, whichever was asked for; it belongs to model.blocks[layer]",
        change=[("model.blocks[layer]", "model.blocks[-1]")],
    ),
    Mistake(
        "top_tokens_promoted",
        "always the first layer",
        "the neuron is taken from the first layer, whichever was asked for; it belongs to model.blocks[layer]",
        change=[("model.blocks[layer]", "model.blocks[0]")],
    ),
    Mistake(
        "top_tokens_promoted",
        "scores first",
        "scores come first and ids second, as topk returns them; return the ids first",
        change=[("return top.indices, top.values", "return top.values, top.indices")],
    ),
    Mistake(
        "top_tokens_promoted",
        "lowest first",
        "the right tokens, but in rising order; the most promoted comes first",
        change=[("return top.indices, top.values", "return top.indices.flip(0), top.values.flip(0)")],
    ),
    # ------------------------------------------------------------ 1.12b
    Mistake(
        "top_inputs",
        "in and out weights swapped",
        "the stream is compared with the neuron's row of W_out, its value; the key is its column of W_in",
        change=[("block.mlp.W_in[:, neuron]", "block.mlp.W_out[neuron]")],
    ),
    Mistake(
        "top_inputs",
        "reads the raw stream",
        "the key is compared with the stream itself; the MLP reads ln2 of it",
        change=[("block.ln2(resid_mid)", "resid_mid")],
    ),
    Mistake(
        "top_inputs",
        "reads through ln1",
        "the key is compared with ln1 of the stream; ln1 is attention's, the MLP reads through ln2",
        change=[("block.ln2(resid_mid)", "block.ln1(resid_mid)")],
    ),
    Mistake(
        "top_inputs",
        "reads resid_pre",
        "the key is compared with the stream from before this layer's attention; add what attention writes first",
        change=[("block.ln2(resid_mid)", "block.ln2(resid)")],
    ),
    Mistake(
        "top_inputs",
        "bias left out",
        "b_in is missing: the match with the key is a product plus the neuron's bias",
        change=[('"batch pos d_model, d_model -> batch pos") + bias', '"batch pos d_model, d_model -> batch pos")')],
    ),
    Mistake(
        "top_inputs",
        "before the gelu",
        "these are the matches before the gelu; the activation, which multiplies the value, comes after it",
        change=[('F.gelu(pre, approximate="tanh")', "pre")],
    ),
    Mistake(
        "top_inputs",
        "exact gelu",
        "this is the exact gelu, with erf; GPT-2 uses the tanh form: approximate='tanh'",
        change=[('F.gelu(pre, approximate="tanh")', "F.gelu(pre)")],
    ),
    Mistake(
        "top_inputs",
        "relu",
        "the activation went through relu; GPT-2's MLP has gelu, which lets small negative numbers through",
        change=[('F.gelu(pre, approximate="tanh")', "F.relu(pre)")],
    ),
    Mistake(
        "top_inputs",
        "lowest activations",
        "these are the places with the lowest activations; asked for are the highest",
        change=[(".flatten().topk(k)", ".flatten().topk(k, largest=False)")],
    ),
    Mistake(
        "top_inputs",
        "position before batch",
        "each place is (pos, batch); the row of the batch comes first",
        change=[
            (
                "places = torch.stack(torch.unravel_index(top.indices, tokens.shape), dim=-1)",
                "places = torch.stack(torch.unravel_index(top.indices, tokens.shape), dim=-1).flip(-1)",
            )
        ],
    ),
    Mistake(
        "top_inputs",
        "unravelled by the batch size",
        "flat indices are split by the size of the batch; flat = batch * n_pos + pos, so divide by the number of positions",
        change=[
            (
                "torch.stack(torch.unravel_index(top.indices, tokens.shape), dim=-1)",
                "torch.stack([top.indices // tokens.shape[0], top.indices % tokens.shape[0]], dim=-1)",
            )
        ],
    ),
    Mistake(
        "top_inputs",
        "this block run first",
        "block `layer` itself has already run when the key reads; run only the blocks below it",
        change=[("range(layer)", "range(layer + 1)")],
    ),
    Mistake(
        "top_inputs",
        "blocks below not run",
        "the key reads the embeddings alone, as if no layer stood below; run blocks 0 to layer - 1 first",
        change=[("range(layer)", "range(0)")],
    ),
    Mistake(
        "top_inputs",
        "one place per sequence",
        "each sequence gives one place at most; take the k highest over all batches and positions together",
        write="""
        def top_inputs(model, layer, neuron, tokens, k):
            resid = model.embed(tokens) + model.pos_embed(tokens)
            for below in range(layer):
                resid = model.blocks[below](resid)
            block = model.blocks[layer]
            read = block.ln2(resid + block.attn(block.ln1(resid)))
            activation = F.gelu(read @ block.mlp.W_in[:, neuron] + block.mlp.b_in[neuron], approximate="tanh")
            best, pos = activation.max(dim=1)
            top = best.topk(min(k, len(best)))
            return torch.stack([top.indices, pos[top.indices]], dim=-1), top.values
        """,
    ),
    Mistake(
        "top_inputs",
        "positions left out",
        "the stream starts without the position embeddings; add model.pos_embed(tokens)",
        change=[("model.embed(tokens) + model.pos_embed(tokens)", "model.embed(tokens)")],
    ),
    Mistake(
        "top_inputs",
        "attention in place of the stream",
        "ln2 reads what attention wrote alone; it reads the stream to which attention has added",
        change=[("resid_mid = resid + block.attn", "resid_mid = block.attn")],
    ),
    # ------------------------------------------------------------ 1.13
    Mistake(
        "learning_rate",
        "first step wasted",
        "step 0 has the rate 0, so the first batch teaches nothing; warm-up is peak * (step + 1) / warmup",
        change=[("peak * (step + 1) / warmup", "peak * step / warmup")],
    ),
    Mistake(
        "learning_rate",
        "warm-up one step too long",
        "the warm-up is divided into warmup + 1 parts and does not reach the peak; step warmup - 1 has the peak",
        change=[("peak * (step + 1) / warmup", "peak * (step + 1) / (warmup + 1)")],
    ),
    Mistake(
        "learning_rate",
        "peak twice",
        "the peak comes twice, and the last step misses the floor; t = (step + 1 - warmup) / (total - warmup)",
        change=[("(step + 1 - warmup) / (total - warmup)", "(step - warmup) / (total - warmup)")],
    ),
    Mistake(
        "learning_rate",
        "peak twice, floor reached",
        "the step after warm-up has the peak a second time; the decay starts at once, t = (step + 1 - warmup) / (total - warmup)",
        change=[("(step + 1 - warmup) / (total - warmup)", "(step - warmup) / max(1, total - 1 - warmup)")],
    ),
    Mistake(
        "learning_rate",
        "counted from 0 on both sides",
        "step 0 has the rate 0 and the last step misses the floor, since both fractions count from 0; it is step + 1 in "
        "both: (step + 1) / warmup and t = (step + 1 - warmup) / (total - warmup)",
        change=[
            ("peak * (step + 1) / warmup", "peak * step / warmup"),
            ("(step + 1 - warmup) / (total - warmup)", "(step - warmup) / (total - warmup)"),
        ],
    ),
    Mistake(
        "learning_rate",
        "warm-up includes step warmup",
        "step `warmup` still counts as warm-up and rises above the peak; the warm-up is step < warmup, and not <=",
        change=[("if step < warmup:", "if step <= warmup and warmup:")],
    ),
    Mistake(
        "learning_rate",
        "cosine over the whole run",
        "the cosine counts from step 0, so the rate falls in a jump where warm-up ends; t counts the steps after warm-up only",
        change=[("(step + 1 - warmup) / (total - warmup)", "(step + 1) / total")],
    ),
    Mistake(
        "learning_rate",
        "floor forgotten",
        "the rate goes down to 0 in place of the floor",
        change=[("        return floor\n", "        return 0.0\n"), ("floor + (peak - floor) * ", "peak * ")],
    ),
    Mistake(
        "learning_rate",
        "floor added on top",
        "the floor is added to a cosine of full height, so the decay starts above the peak; scale the cosine by peak - floor",
        change=[("(peak - floor)", "peak")],
    ),
    Mistake(
        "learning_rate",
        "cut off at the floor",
        "a cosine to 0 is cut off where it meets the floor; the cosine itself should end at the floor: floor + (peak - floor) * ...",
        change=[
            (
                "return floor + (peak - floor) * (1 + math.cos(math.pi * t)) / 2",
                "return max(floor, peak * (1 + math.cos(math.pi * t)) / 2)",
            )
        ],
    ),
    Mistake(
        "learning_rate",
        "climbs again",
        "after the last step the cosine climbs again; from step total on return the floor",
        change=[("    if step >= total:\n        return floor\n", "")],
    ),
    Mistake(
        "learning_rate",
        "straight decay",
        "the decay is a straight line; it is half a cosine, (1 + cos(pi * t)) / 2",
        change=[("(1 + math.cos(math.pi * t)) / 2", "(1 - t)")],
    ),
    Mistake(
        "learning_rate",
        "quarter cosine",
        "this is a quarter of a cosine, which is steepest at the end; half a period is (1 + cos(pi * t)) / 2",
        change=[("(1 + math.cos(math.pi * t)) / 2", "math.cos(math.pi * t / 2)")],
    ),
    Mistake(
        "learning_rate",
        "pi forgotten",
        "cos(t) with t from 0 to 1 hardly falls; half a period needs cos(pi * t)",
        change=[("math.cos(math.pi * t)", "math.cos(t)")],
    ),
    Mistake(
        "learning_rate",
        "warm-up from the floor",
        "the warm-up starts from the floor; it rises from nothing, and the floor is for the decay only",
        change=[("return peak * (step + 1) / warmup", "return floor + (peak - floor) * (step + 1) / warmup")],
    ),
    Mistake(
        "learning_rate",
        "not halved",
        "1 + cos goes from 2 to 0, so the decay starts at twice the way from floor to peak; divide by 2",
        change=[("(1 + math.cos(math.pi * t)) / 2", "(1 + math.cos(math.pi * t))")],
    ),
    # ------------------------------------------------------------ 1.14
    Mistake(
        "train",
        "gradients not zeroed",
        "the gradients of all batches so far pile up, as nothing clears them; call optimizer.zero_grad() before backward, at every step",
        change=[("        optimizer.zero_grad()\n", "")],
    ),
    Mistake(
        "train",
        "gradients zeroed before the step",
        "the gradients are zero when optimizer.step() runs, so only weight decay moves the model; clear them before backward",
        change=[
            ("        optimizer.zero_grad()\n", ""),
            (
                "        optimizer.step()\n",
                "        optimizer.zero_grad(set_to_none=False)\n        optimizer.step()\n",
            ),
        ],
    ),
    Mistake(
        "train",
        "schedule one step ahead",
        "every step has the rate of the step after it; the first step is step 0, learning_rate(0, ...)",
        change=[("learning_rate(step,", "learning_rate(step + 1,")],
    ),
    Mistake(
        "train",
        "schedule one step behind",
        "each step's rate is set after the step, so it only reaches the next one; set the rate before optimizer.step()",
        change=[
            (
                SET_RATE,
                "",
            ),
            (
                "        optimizer.step()\n",
                "        optimizer.step()\n" + SET_RATE,
            ),
        ],
    ),
    Mistake(
        "train",
        "constant rate",
        'the rate stays at the peak all along; write learning_rate(...) into group["lr"] before every step',
        change=[
            (
                '            group["lr"] = learning_rate(step, peak=peak, warmup=warmup, total=len(batches), floor=floor)\n',
                '            group["lr"] = peak\n',
            )
        ],
    ),
    Mistake(
        "train",
        "floor not passed on",
        "the schedule runs down to 0: floor is not handed to learning_rate",
        change=[("total=len(batches), floor=floor)", "total=len(batches))")],
    ),
    Mistake(
        "train",
        "total one too small",
        "the schedule believes in one step fewer than there are batches; total is len(batches), as steps count from 0",
        change=[("total=len(batches)", "total=len(batches) - 1")],
    ),
    Mistake(
        "train",
        "not clipped",
        "gradients reach the optimizer in full length; clip_grad_norm_ goes between backward and step (elsewhere it does nothing)",
        change=[("        nn.utils.clip_grad_norm_(model.parameters(), max_norm)\n", "")],
    ),
    Mistake(
        "train",
        "clipped entry by entry",
        "every entry of the gradient is cut to max_norm by itself, which bends its direction; clip_grad_norm_ scales the whole",
        change=[
            (
                "nn.utils.clip_grad_norm_(model.parameters(), max_norm)",
                "nn.utils.clip_grad_value_(model.parameters(), max_norm)",
            )
        ],
    ),
    Mistake(
        "train",
        "clipped parameter by parameter",
        "each parameter's gradient is cut to max_norm separately; it is the length of all of them together that counts",
        change=[
            (
                "        nn.utils.clip_grad_norm_(model.parameters(), max_norm)\n",
                "        for parameter in model.parameters():\n            nn.utils.clip_grad_norm_(parameter, max_norm)\n",
            )
        ],
    ),
    Mistake(
        "train",
        "max_norm not passed on",
        "gradients are clipped to length 1, whatever max_norm says",
        change=[("clip_grad_norm_(model.parameters(), max_norm)", "clip_grad_norm_(model.parameters(), 1.0)")],
    ),
    Mistake(
        "train",
        "loss not shifted",
        "the loss holds every guess against its own position, so the model learns to repeat; use next_token_loss(model(tokens), tokens)",
        change=[
            ("next_token_loss(model(tokens), tokens)", "F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())")
        ],
    ),
    Mistake(
        "train",
        "loss after the step",
        "the loss in the list was computed again after the step; note the one that the step was made from",
        change=[("losses.append(loss.item())", "losses.append(next_token_loss(model(tokens), tokens).item())")],
    ),
    Mistake(
        "train",
        "running mean in place of losses",
        "the list holds the mean of all losses so far; note each batch's own loss",
        change=[("losses.append(loss.item())", "losses.append((sum(losses[-1:]) * step + loss.item()) / (step + 1))")],
    ),
    Mistake(
        "train",
        "uphill",
        "the loss rises: the model is pushed along the gradient of minus the loss; call backward on the loss itself",
        change=[("loss.backward()", "(-loss).backward()")],
    ),
    Mistake(
        "train",
        "no step",
        "no gradient ever moves the model: optimizer.step() is missing, or zero_grad() stands between backward and step "
        "and leaves it none; zero_grad() belongs before backward",
        change=[("        optimizer.step()\n", "")],
    ),
    Mistake(
        "train",
        "a copy was trained",
        "a copy of the model was trained and thrown away; train the model that was given",
        write="""
        def train(model, batches, *, peak, warmup, floor=0.0, max_norm=1.0, weight_decay=0.01, on_step=None):
            model = copy.deepcopy(model)
            optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=weight_decay)
            losses = []
            for step, tokens in enumerate(batches):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, peak=peak, warmup=warmup, total=len(batches), floor=floor)
                loss = next_token_loss(model(tokens), tokens)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), max_norm)
                optimizer.step()
                losses.append(loss.item())
                if on_step is not None:
                    on_step(step, losses[-1])
            return losses
        """.replace("copy.deepcopy", "__import__('copy').deepcopy"),
    ),
    # ------------------------------------------------------------ 1.15a
    Mistake(
        "greedy",
        "the wrong end cropped",
        "the model is shown the first n_ctx tokens of a long text and never sees the new ones; crop to the last: "
        "tokens[:, -n_ctx:]",
        change=[("tokens[:, -n_ctx:]", "tokens[:, :n_ctx]")],
    ),
    Mistake(
        "greedy",
        "the window one too short",
        "of a long text the model is shown one token fewer than it can read; its window is the last n_ctx tokens: "
        "tokens[:, -n_ctx:]",
        change=[("tokens[:, -n_ctx:]", "tokens[:, -n_ctx + 1 :]")],
    ),
    Mistake(
        "greedy",
        "stops at token 0",
        "the text ends early, at <|endoftext|>; asked for are n_new tokens, whatever they are",
        change=[
            (
                "        tokens = torch.cat([tokens, best], dim=1)\n",
                "        tokens = torch.cat([tokens, best], dim=1)\n        if bool((best == 0).all()):\n            break\n",
            )
        ],
    ),
    Mistake(
        "greedy",
        "the prompt lost",
        "the text itself is cropped to n_ctx, so its beginning is lost; crop only what the model sees, and keep "
        "the whole text",
        change=[
            (
                "next_logits = model(tokens[:, -n_ctx:])",
                "tokens = tokens[:, -n_ctx:]\n        next_logits = model(tokens)",
            )
        ],
    ),
    Mistake(
        "greedy",
        "only the new tokens",
        "what comes back is the new tokens without the prompt; return the whole text",
        change=[("    return tokens", "    return tokens[:, -n_new:]")],
    ),
    Mistake(
        "greedy",
        "new tokens never read",
        "every round runs the model on the prompt alone, so the same token comes out each time; run it on the "
        "text that has grown",
        change=[
            ("for _ in range", "prompt = tokens\n    for _ in range"),
            ("model(tokens[:, -n_ctx:])", "model(prompt[:, -n_ctx:])"),
        ],
    ),
    Mistake(
        "greedy",
        "the first position read",
        "the logits are taken at position 0, which predict the second token of the text; take the last position, "
        "[:, -1]",
        change=[("[:, -1]\n", "[:, 0]\n")],
    ),
    Mistake(
        "greedy",
        "the last but one position read",
        "the logits are taken one position too early, so the model repeats its guess for a token that is there "
        "already; take [:, -1]",
        change=[("[:, -1]\n", "[:, -2]\n")],
    ),
    Mistake(
        "greedy",
        "one token for all rows",
        "every row gets the token that the first row chose; take the argmax along the vocabulary, with "
        "keepdim=True, row by row",
        change=[("keepdim=True)", "keepdim=True)[:1].expand(len(tokens), 1)")],
    ),
    # ------------------------------------------------------------ 1.15b
    Mistake(
        "apply_temperature",
        "multiplied",
        "the logits are multiplied by the temperature, so a high temperature sharpens; divide",
        change=[("logits / temperature", "logits * temperature")],
    ),
    Mistake(
        "apply_temperature",
        "probabilities returned",
        "probabilities come back; leave the softmax to sample, and return logits / temperature",
        change=[("logits / temperature", "(logits / temperature).softmax(dim=-1)")],
    ),
    Mistake(
        "apply_temperature",
        "probabilities divided",
        "the softmax comes first and its probabilities are divided; temperature acts on the logits, before any softmax",
        change=[("logits / temperature", "logits.softmax(dim=-1) / temperature")],
    ),
    Mistake(
        "apply_temperature",
        "differences left alone",
        "1/T is added to the logits, and a shift of all logits changes no probability; divide by T",
        change=[("logits / temperature", "logits + 1 / temperature")],
    ),
    Mistake(
        "apply_temperature",
        "divided by its root",
        "the logits are divided by the square root of the temperature, as attention scores are by that of "
        "d_head; here divide by T itself",
        change=[("logits / temperature", "logits / temperature**0.5")],
    ),
    # ------------------------------------------------------------ 1.15c
    Mistake(
        "top_k_filter",
        "ties dropped",
        "of tokens that tie with the k-th some are dropped, whichever topk happened not to pick; compare with "
        "the k-th value and keep what equals it",
        write="""
        def top_k_filter(logits, k):
            best = logits.topk(min(k, logits.shape[-1]), dim=-1)
            return torch.full_like(logits, -math.inf).scatter(-1, best.indices, best.values)
        """,
    ),
    Mistake(
        "top_k_filter",
        "the k-th dropped",
        "the k-th token goes too, because the comparison is <=; only what is strictly below it goes",
        change=[("logits < threshold", "logits <= threshold")],
    ),
    Mistake(
        "top_k_filter",
        "zero in place of -inf",
        "removed tokens get the logit 0, which is a good chance of being drawn; -inf is the logit of probability 0",
        change=[("-math.inf)", "0.0)")],
    ),
    Mistake(
        "top_k_filter",
        "the smallest kept",
        "the k smallest logits stay; the largest should",
        write="""
        def top_k_filter(logits, k):
            threshold = logits.topk(min(k, logits.shape[-1]), dim=-1, largest=False).values[..., -1:]
            return logits.masked_fill(logits > threshold, -math.inf)
        """,
    ),
    Mistake(
        "top_k_filter",
        "one threshold for all rows",
        "the k-th largest is taken over the whole batch, so a row with small logits loses everything; look along "
        "the last axis",
        change=[
            (
                "logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]",
                "logits.flatten().topk(min(k, logits.numel())).values[-1]",
            )
        ],
    ),
    Mistake(
        "top_k_filter",
        "probabilities returned",
        "probabilities come back; return the logits, with -inf where a token is removed",
        change=[
            (
                "return logits.masked_fill(logits < threshold, -math.inf)",
                "return logits.masked_fill(logits < threshold, -math.inf).softmax(dim=-1)",
            )
        ],
    ),
    Mistake(
        "top_k_filter",
        "the largest removed",
        "logits above the threshold are removed and the small ones stay; remove those below it",
        change=[("logits < threshold", "logits > threshold")],
    ),
    Mistake(
        "top_k_filter",
        "plus infinity",
        "removed tokens get +inf, so that just they are chosen; a token that cannot be chosen has the logit -inf",
        change=[("-math.inf", "math.inf")],
    ),
    # ------------------------------------------------------------ 1.15d
    Mistake(
        "top_p_filter",
        "the crossing token dropped",
        "the token that crosses p is dropped; without it the rest does not reach p, so compare p with the total "
        "before a token",
        change=[("probabilities.cumsum(dim=-1) - probabilities", "probabilities.cumsum(dim=-1)")],
    ),
    Mistake(
        "top_p_filter",
        "the crossing token dropped, the first kept",
        "the token that crosses p is dropped wherever it is not the first; compare p with the total before a "
        "token, and the first needs no special case",
        write="""
        def top_p_filter(logits, p):
            ordered, order = logits.sort(dim=-1, descending=True)
            removed = ordered.softmax(dim=-1).cumsum(dim=-1) >= p
            removed[..., 0] = False
            if p >= 1:
                return logits
            return logits.masked_fill(removed.scatter(-1, order, removed), -math.inf)
        """,
    ),
    Mistake(
        "top_p_filter",
        "the sort not undone",
        "the decision is made in sorted order and used in the vocabulary's order, so the wrong tokens go; "
        "scatter it back with the sort's indices",
        change=[("(total_before >= p).scatter(-1, order, total_before >= p)", "total_before >= p")],
    ),
    Mistake(
        "top_p_filter",
        "the sort undone the wrong way",
        "the decision is gathered with the sort's indices, which permutes it a second time; scatter undoes a sort",
        change=[("(total_before >= p).scatter(-1, order, total_before >= p)", "(total_before >= p).gather(-1, order)")],
    ),
    Mistake(
        "top_p_filter",
        "sorted from the unlikely end",
        "the row is sorted from unlikely to likely, so the set is filled with unlikely tokens first; sort with "
        "descending=True",
        change=[("descending=True", "descending=False")],
    ),
    Mistake(
        "top_p_filter",
        "zero in place of -inf",
        "removed tokens get the logit 0, which is a good chance of being drawn; -inf is the logit of probability 0",
        change=[("-math.inf)", "0.0)")],
    ),
    Mistake(
        "top_p_filter",
        "p against single probabilities",
        "each token's own probability is compared with 1 - p; it is the running total over the sorted tokens "
        "that has to reach p",
        write="""
        def top_p_filter(logits, p):
            return logits.masked_fill(logits.softmax(dim=-1) < 1 - p, -math.inf)
        """,
    ),
    Mistake(
        "top_p_filter",
        "exponentials not normalised",
        "e to the logits is added up as if it were probabilities; they have to be divided by their sum, which is "
        "what softmax does",
        change=[("ordered.softmax(dim=-1)", "ordered.exp()")],
    ),
    Mistake(
        "top_p_filter",
        "one token too many",
        "one more token than needed stays; once the total before a token has reached p, that token goes",
        change=[
            (
                "probabilities.cumsum(dim=-1) - probabilities",
                "probabilities.cumsum(dim=-1) - probabilities - probabilities.roll(1, -1)",
            )
        ],
    ),
    Mistake(
        "top_p_filter",
        "sorted logits returned",
        "the logits come back in sorted order; carry the decision back to the vocabulary's order and keep each logit in its place",
        change=[
            (
                "return logits.masked_fill(removed, -math.inf)",
                "return ordered.masked_fill(total_before >= p, -math.inf)",
            ),
        ],
    ),
    Mistake(
        "top_p_filter",
        "no softmax",
        "the logits themselves are added up; it is probabilities that have to reach p, so softmax comes first",
        change=[
            ("ordered.softmax(dim=-1)", "ordered"),
        ],
    ),
    Mistake(
        "top_p_filter",
        "softmax over the batch",
        "the softmax runs over the rows of the batch; a row's probabilities sum to 1 along the vocabulary, dim=-1",
        change=[
            ("ordered.softmax(dim=-1)", "ordered.softmax(dim=0)"),
        ],
    ),
    Mistake(
        "top_p_filter",
        "added up over the batch",
        "the running total goes down the rows of the batch; it goes along the sorted vocabulary, dim=-1",
        change=[
            ("probabilities.cumsum(dim=-1)", "probabilities.cumsum(dim=0)"),
        ],
    ),
    Mistake(
        "top_p_filter",
        "probabilities returned",
        "probabilities come back; return the logits, with -inf where a token is removed",
        change=[
            (
                "return logits.masked_fill(removed, -math.inf)",
                "return logits.masked_fill(removed, -math.inf).softmax(dim=-1)",
            ),
        ],
    ),
    Mistake(
        "top_p_filter",
        "1 - p in place of p",
        "the set is filled until 1 - p is reached; it should hold p, and what is removed may hold 1 - p",
        change=[
            (
                "(total_before >= p).scatter(-1, order, total_before >= p)",
                "(total_before >= 1 - p).scatter(-1, order, total_before >= 1 - p)",
            ),
        ],
    ),
    Mistake(
        "top_p_filter",
        "one more at equality",
        "where the total before a token is exactly p one more token stays; p has been reached then, so compare with >= and not >",
        change=[
            (
                "(total_before >= p).scatter(-1, order, total_before >= p)",
                "(total_before > p).scatter(-1, order, total_before > p)",
            ),
        ],
    ),
    Mistake(
        "top_p_filter",
        "each token against p",
        "each token's own probability is compared with p; it is the running total over the sorted tokens that has to reach p",
        write="""
        def top_p_filter(logits, p):
            return logits.masked_fill(logits.softmax(dim=-1) < p, -math.inf)
        """,
    ),
    Mistake(
        "top_p_filter",
        "plus infinity",
        "removed tokens get +inf, so that just they are chosen; a token that cannot be chosen has the logit -inf",
        change=[("-math.inf", "math.inf")],
    ),
    Mistake(
        "top_p_filter",
        "the likely ones removed",
        "the tokens that make up p are removed and the tail stays; it is the tail that goes",
        change=[
            (
                "total_before >= p).scatter(-1, order, total_before >= p)",
                "total_before < p).scatter(-1, order, total_before < p)",
            )
        ],
    ),
    # ------------------------------------------------------------ 1.15e
    Mistake(
        "apply_frequency_penalty",
        "presence, not frequency",
        "a token that stands in the text three times loses the penalty once; an indexed assignment writes each "
        "place once, so count with scatter_add",
        change=[(".scatter_add(-1, tokens, one_each)", ".scatter(-1, tokens, one_each)")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "added",
        "the penalty is added, which rewards repeats; subtract it",
        change=[("logits - penalty * counts", "logits + penalty * counts")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "counts of the whole batch",
        "the counts are those of all rows together; each row is penalised for its own text only",
        change=[("logits - penalty * counts", "logits - penalty * counts.sum(dim=0)")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "share in place of count",
        "the count is divided by the length of the text; the penalty is for each time, however long the text is",
        change=[("penalty * counts", "penalty * counts / tokens.shape[-1]")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "divided",
        "the logits are divided by 1 + penalty * count, which raises negative ones; subtract",
        change=[("logits - penalty * counts", "logits / (1 + penalty * counts)")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "the last token only",
        "only the last token of the text is counted; every token of the row counts",
        change=[("scatter_add(-1, tokens, one_each)", "scatter_add(-1, tokens[:, -1:], one_each)")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "penalty not used",
        "the bare counts are subtracted; multiply them by the penalty",
        change=[("penalty * counts", "counts")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "every token penalised",
        "every token loses the penalty once, whether it was written or not; multiply the penalty by each token's count",
        change=[("penalty * counts", "penalty")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "counted on top of the logits",
        "the counting starts from the logits, so they are counted too; start from zeros",
        change=[("torch.zeros_like(logits).scatter_add", "logits.scatter_add")],
    ),
    Mistake(
        "apply_frequency_penalty",
        "only the penalty",
        "what comes back is the penalty of each token; subtract it from the logits",
        change=[("logits - penalty * counts", "penalty * counts")],
    ),
    # ------------------------------------------------------------ 1.15f
    Mistake(
        "sample",
        "renormalisation missing",
        "the softmax comes before the filters and what they leave is never brought back to a sum of 1, so the "
        "probability that is missing falls on one token; filter logits, then softmax",
        write="""
        def sample(model, tokens, n_new, *, temperature=1.0, top_k=None, top_p=None, frequency_penalty=0.0, generator=None):
            n_ctx = len(model.pos_embed.W_pos)
            for _ in range(n_new):
                logits = model(tokens[:, -n_ctx:])[:, -1]
                logits = apply_temperature(apply_frequency_penalty(logits, tokens, frequency_penalty), temperature)
                probs = logits.softmax(dim=-1)
                kept = logits
                if top_k is not None:
                    kept = top_k_filter(kept, top_k)
                if top_p is not None:
                    kept = top_p_filter(kept, top_p)
                probs = probs * torch.isfinite(kept)
                u = torch.rand(len(tokens), 1, generator=generator, device=tokens.device)
                drawn = (probs.cumsum(dim=-1) < u).sum(dim=-1, keepdim=True).clamp(max=probs.shape[-1] - 1)
                tokens = torch.cat([tokens, drawn], dim=1)
            return tokens
        """,
    ),
    Mistake(
        "sample",
        "top-p before temperature",
        "the nucleus is found before temperature is applied, so temperature cannot change which tokens may be "
        "written; temperature, then top-k, then top-p",
        write="""
        def sample(model, tokens, n_new, *, temperature=1.0, top_k=None, top_p=None, frequency_penalty=0.0, generator=None):
            n_ctx = len(model.pos_embed.W_pos)
            for _ in range(n_new):
                logits = apply_frequency_penalty(model(tokens[:, -n_ctx:])[:, -1], tokens, frequency_penalty)
                if top_k is not None:
                    logits = top_k_filter(logits, top_k)
                if top_p is not None:
                    logits = top_p_filter(logits, top_p)
                logits = apply_temperature(logits, temperature)
                drawn = torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator)
                tokens = torch.cat([tokens, drawn], dim=1)
            return tokens
        """,
    ),
    Mistake(
        "sample",
        "penalty after temperature",
        "the penalty is subtracted after temperature, so a high temperature makes it weigh more; penalty first",
        write="""
        def sample(model, tokens, n_new, *, temperature=1.0, top_k=None, top_p=None, frequency_penalty=0.0, generator=None):
            n_ctx = len(model.pos_embed.W_pos)
            for _ in range(n_new):
                logits = apply_temperature(model(tokens[:, -n_ctx:])[:, -1], temperature)
                logits = apply_frequency_penalty(logits, tokens, frequency_penalty)
                if top_k is not None:
                    logits = top_k_filter(logits, top_k)
                if top_p is not None:
                    logits = top_p_filter(logits, top_p)
                drawn = torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator)
                tokens = torch.cat([tokens, drawn], dim=1)
            return tokens
        """,
    ),
    Mistake(
        "sample",
        "one filter or the other",
        "where top_k is given, top_p is passed over (elif); both can be given, and then both filter, top-k first",
        change=[("if top_p is not None:", "elif top_p is not None:")],
    ),
    Mistake(
        "sample",
        "top-p before top-k",
        "top-p is applied before top-k, so the nucleus is that of the whole distribution; top-k first, then "
        "top-p on what is left",
        write="""
        def sample(model, tokens, n_new, *, temperature=1.0, top_k=None, top_p=None, frequency_penalty=0.0, generator=None):
            n_ctx = len(model.pos_embed.W_pos)
            for _ in range(n_new):
                logits = apply_frequency_penalty(model(tokens[:, -n_ctx:])[:, -1], tokens, frequency_penalty)
                logits = apply_temperature(logits, temperature)
                if top_p is not None:
                    logits = top_p_filter(logits, top_p)
                if top_k is not None:
                    logits = top_k_filter(logits, top_k)
                drawn = torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator)
                tokens = torch.cat([tokens, drawn], dim=1)
            return tokens
        """,
    ),
    Mistake(
        "sample",
        "one draw for all rows",
        "one token is drawn and written in every row; rows draw independently, which torch.multinomial does when "
        "it gets the whole batch",
        change=[("generator=generator)", "generator=generator)[:1].expand(len(tokens), 1)")],
    ),
    Mistake(
        "sample",
        "the most likely token taken",
        "the most likely token is taken, so nothing is random; draw with torch.multinomial",
        change=[
            (
                "torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator)",
                "logits.argmax(dim=-1, keepdim=True)",
            )
        ],
    ),
    Mistake(
        "sample",
        "only the prompt penalised",
        "the penalty counts the prompt only, so new tokens may repeat for nothing; count the text as it has grown",
        change=[
            ("    for _ in range", "    prompt = tokens\n    for _ in range"),
            ("(logits, tokens, frequency_penalty)", "(logits, prompt, frequency_penalty)"),
        ],
    ),
    Mistake(
        "sample",
        "only the window penalised",
        "the penalty counts only the last n_ctx tokens; count the whole row, and crop only what the model sees",
        change=[("(logits, tokens, frequency_penalty)", "(logits, tokens[:, -n_ctx:], frequency_penalty)")],
    ),
    Mistake(
        "sample",
        "new tokens never read",
        "every draw comes from the distribution after the prompt; run the model on the text that has grown",
        change=[
            ("    for _ in range", "    prompt = tokens\n    for _ in range"),
            ("model(tokens[:, -n_ctx:])", "model(prompt[:, -n_ctx:])"),
        ],
    ),
    Mistake(
        "sample",
        "the wrong end cropped",
        "the model is shown the first n_ctx tokens of a long text and never sees the new ones; crop to the last: "
        "tokens[:, -n_ctx:]",
        change=[("tokens[:, -n_ctx:]", "tokens[:, :n_ctx]")],
    ),
    Mistake(
        "sample",
        "temperature forgotten",
        "the temperature changes nothing; hand it to apply_temperature before the filters",
        change=[("apply_temperature(logits, temperature)", "apply_temperature(logits, 1.0)")],
    ),
    # ------------------------------------------------------------ 1.16a
    Mistake(
        "KVCache",
        "old positions forgotten",
        "append stores the new positions over the old ones; join old and new",
        change=[
            (
                "        if self.keys[layer] is not None:\n            k = torch.cat([self.keys[layer], k], "
                "dim=1)\n            v = torch.cat([self.values[layer], v], dim=1)\n",
                "",
            )
        ],
    ),
    Mistake(
        "KVCache",
        "joined but not stored",
        "append returns old and new together but keeps only the new, so at the third call the first positions "
        "are lost; store what you return",
        write="""
        class KVCache:
            def __init__(self, cfg):
                self.keys = [None] * cfg.n_layers
                self.values = [None] * cfg.n_layers

            @property
            def length(self):
                return 0 if self.keys[-1] is None else self.keys[-1].shape[1]

            def append(self, layer, k, v):
                old_k, old_v = self.keys[layer], self.values[layer]
                self.keys[layer], self.values[layer] = k, v
                if old_k is None:
                    return k, v
                return torch.cat([old_k, k], dim=1), torch.cat([old_v, v], dim=1)
        """,
    ),
    Mistake(
        "KVCache",
        "new in front",
        "new positions are put in front of the old ones; the oldest come first",
        change=[
            ("[self.keys[layer], k]", "[k, self.keys[layer]]"),
            ("[self.values[layer], v]", "[v, self.values[layer]]"),
        ],
    ),
    Mistake(
        "KVCache",
        "one store for all layers",
        "all layers share one store, so a layer reads the keys of another; keep one for each layer",
        change=[
            ("if self.keys[layer]", "layer = -1\n        if self.keys[layer]"),
        ],
    ),
    Mistake(
        "KVCache",
        "shared by all caches",
        "the stores belong to the class, so a new cache starts with the text of an older one; make them in "
        "__init__, on self",
        write="""
        class KVCache:
            keys, values = {}, {}

            def __init__(self, cfg):
                self.last = cfg.n_layers - 1

            @property
            def length(self):
                return self.keys[self.last].shape[1] if self.last in self.keys else 0

            def append(self, layer, k, v):
                if layer in self.keys:
                    k = torch.cat([self.keys[layer], k], dim=1)
                    v = torch.cat([self.values[layer], v], dim=1)
                self.keys[layer], self.values[layer] = k, v
                return k, v
        """,
    ),
    Mistake(
        "KVCache",
        "keys for values",
        "keys are stored where values belong; append each to its own store",
        change=[
            (
                "v = torch.cat([self.values[layer], v], dim=1)",
                "v = torch.cat([self.keys[layer][:, : -v.shape[1]], v], dim=1)",
            ),
            (
                "k = torch.cat([self.keys[layer], k], dim=1)",
                "k = self.keys[layer] = torch.cat([self.keys[layer], k], dim=1)",
            ),
        ],
    ),
    Mistake(
        "KVCache",
        "length counts rows",
        "length is the size of axis 0, which counts the rows of the batch; positions are axis 1",
        change=[("self.keys[-1].shape[1]", "self.keys[-1].shape[0]")],
    ),
    Mistake(
        "KVCache",
        "length counts appends in every layer",
        "length grows with every append, so it is n_layers times too large; every layer sees the same positions, "
        "and they count once",
        change=[
            (
                "0 if self.keys[-1] is None else self.keys[-1].shape[1]",
                "sum(keys.shape[1] for keys in self.keys if keys is not None)",
            ),
        ],
    ),
    Mistake(
        "KVCache",
        "length of the first layer",
        "length is read off layer 0, which is written first: the layers above do not hold its newest positions yet; read it off the last",
        change=[
            ("self.keys[-1] is None else self.keys[-1].shape[1]", "self.keys[0] is None else self.keys[0].shape[1]")
        ],
    ),
    # ------------------------------------------------------------ 1.16b
    Mistake(
        "forward_cached",
        "positions restart at 0",
        "the new tokens get the position vectors 0, 1, 2 … though a text stands before them; begin at cache.length",
        change=[("model.pos_embed.W_pos[positions]", "model.pos_embed.W_pos[: tokens.shape[1]]")],
    ),
    Mistake(
        "forward_cached",
        "triangle from the corner",
        "the mask is a triangle from the top left corner, so the first new query reads key 0 only; compare real "
        "positions, queries begin at cache.length",
        change=[("positions[:, None]", "positions[:, None] - start")],
    ),
    Mistake(
        "forward_cached",
        "no mask among the new tokens",
        "new tokens read new tokens that come after them: there is no mask, or cache.length was read for it after append; "
        "only one new token at a time needs none",
        change=[("scores.masked_fill(later, -math.inf)", "scores")],
    ),
    Mistake(
        "forward_cached",
        "mask wrong for one query",
        "the last query reads everything, and each query before it reads one key less than it may: the mask is "
        "one place too far; a query reads its own position too",
        change=[
            ("> positions[:, None]", "> (positions - 1).clamp(min=0)[:, None]"),
            ("pattern = scores", "later[-1] = False\n        pattern = scores"),
        ],
    ),
    Mistake(
        "forward_cached",
        "the next token read",
        "each query also reads the key one place after it; hide every key whose position is larger than the query's",
        change=[("> positions[:, None]", "> positions[:, None] + 1")],
    ),
    Mistake(
        "forward_cached",
        "the own position hidden",
        "a query cannot read its own position; only later keys are hidden, > and not >=",
        change=[("> positions[:, None]", ">= positions.clamp(min=1)[:, None]")],
    ),
    Mistake(
        "forward_cached",
        "the cache not read",
        "the queries attend over the new keys only; use what cache.append returns, which has the old ones too",
        change=[
            ("k, v = cache.append(layer, k, v)", "cache.append(layer, k, v)"),
            ("torch.arange(k.shape[1], device=tokens.device) >", "positions >"),
        ],
    ),
    Mistake(
        "forward_cached",
        "positions read after appending",
        "cache.length is read when the first layer has been appended already, or after the call's own tokens "
        "were counted: positions are too large by the number of new tokens; read it first",
        change=[
            (
                "W_pos[positions]",
                "W_pos[(positions + (tokens.shape[1] if start else 0)).clamp(max=len(model.pos_embed.W_pos) - 1)]",
            )
        ],
    ),
    Mistake(
        "forward_cached",
        "no scale",
        "the scores are not divided by the root of d_head",
        change=[(" / math.sqrt(q.shape[-1])", "")],
    ),
    Mistake(
        "forward_cached",
        "biases of q, k and v left out",
        "the biases b_Q, b_K and b_V are left out; the model adds them after the three products",
        change=[
            (
                '"batch pos d_model, head d_model d_head -> batch pos head d_head") + b',
                '"batch pos d_model, head d_model d_head -> batch pos head d_head")',
            )
        ],
    ),
    Mistake(
        "forward_cached",
        "b_K left out",
        "b_K is left out of the new keys; among themselves that changes nothing (all scores of a query move alike), but "
        "beside cached keys that have it, it does",
        change=[
            ("(attn.W_K, attn.b_K)", "(attn.W_K, 0)"),
        ],
    ),
    Mistake(
        "forward_cached",
        "b_Q left out",
        "b_Q is not added to the queries",
        change=[
            ("(attn.W_Q, attn.b_Q)", "(attn.W_Q, 0)"),
        ],
    ),
    Mistake(
        "forward_cached",
        "b_V left out",
        "b_V is not added to the values",
        change=[
            ("(attn.W_V, attn.b_V)", "(attn.W_V, 0)"),
        ],
    ),
    Mistake(
        "forward_cached",
        "ln1 left out",
        "attention reads the raw stream; it reads block.ln1 of it",
        change=[
            ("x = block.ln1(resid)", "x = resid"),
        ],
    ),
    Mistake(
        "forward_cached",
        "ln2 left out",
        "the MLP reads the raw stream; it reads block.ln2 of it",
        change=[
            ("block.mlp(block.ln2(resid))", "block.mlp(resid)"),
        ],
    ),
    Mistake(
        "forward_cached",
        "the final LayerNorm left out",
        "the stream goes to unembed as it is; model.ln_final comes before",
        change=[
            ("model.unembed(model.ln_final(resid))", "model.unembed(resid)"),
        ],
    ),
    Mistake(
        "forward_cached",
        "the MLP left out",
        "the blocks' MLPs never write; after attention add block.mlp(block.ln2(resid))",
        change=[
            ("        resid = resid + block.mlp(block.ln2(resid))\n", ""),
        ],
    ),
    Mistake(
        "forward_cached",
        "scale by d_model",
        "the scores are divided by the root of d_model; it is d_head, the size of the vectors that are multiplied",
        change=[
            ("math.sqrt(q.shape[-1])", "math.sqrt(resid.shape[-1])"),
        ],
    ),
    Mistake(
        "forward_cached",
        "softmax over queries",
        "the shares of each key sum to 1 over the queries; each query's shares sum to 1 over the keys, so softmax along the key axis",
        change=[
            (".softmax(dim=-1)", ".softmax(dim=-2)"),
        ],
    ),
    Mistake(
        "forward_cached",
        "positions one too large",
        "the new tokens get position vectors one place too late; the first new token stands at "
        "position cache.length, as positions count from 0",
        change=[
            ("W_pos[positions]", "W_pos[(positions + 1).clamp(max=len(model.pos_embed.W_pos) - 1)]"),
        ],
    ),
    Mistake(
        "forward_cached",
        "positions one too small",
        "after a text in the cache the new tokens get position vectors one place too early; the first stands at "
        "position cache.length",
        change=[
            ("W_pos[positions]", "W_pos[positions - (1 if start else 0)]"),
        ],
    ),
    Mistake(
        "forward_cached",
        "the mask's positions read after appending",
        "the mask's query positions come from cache.length after append has counted the new tokens, so later keys are "
        "not hidden; read cache.length first",
        change=[
            (
                "> positions[:, None]",
                "> torch.arange(cache.length, cache.length + tokens.shape[1], device=tokens.device)[:, None]",
            ),
        ],
    ),
    Mistake(
        "forward_cached",
        "the output bias left out",
        "the attention's output bias b_O is left out",
        change=[("resid + attn.b_O + einops", "resid + einops")],
    ),
    # ------------------------------------------------------------ 1.17a
    Mistake(
        "merge_pair",
        "used symbols used again",
        "in a row of equal symbols a symbol is used twice; after a match step on by two",
        write="""
        def merge_pair(symbols, pair):
            merged = []
            for left, right in zip(symbols, symbols[1:]):
                merged.append(left + right if (left, right) == pair else left)
            return merged + symbols[-1:] if tuple(symbols[-2:]) != pair else merged
        """,
    ),
    Mistake(
        "merge_pair",
        "the first match only",
        "only the first occurrence is merged; go on to the end of the word",
        write="""
        def merge_pair(symbols, pair):
            for i in range(len(symbols) - 1):
                if tuple(symbols[i : i + 2]) == pair:
                    return symbols[:i] + ["".join(pair)] + symbols[i + 2 :]
            return symbols
        """,
    ),
    Mistake(
        "merge_pair",
        "in either order",
        "the pair is merged the other way round, too; left has to stand before right: compare in order",
        change=[("tuple(symbols[i : i + 2]) == pair", "sorted(symbols[i : i + 2]) == sorted(pair)")],
    ),
    Mistake(
        "merge_pair",
        "spelling compared",
        "symbols are merged because together they spell the pair's string; compare left with left and right with right",
        change=[
            (
                "tuple(symbols[i : i + 2]) == pair",
                '"".join(symbols[i : i + 2]) == "".join(pair) and len(symbols[i : i + 2]) == 2',
            )
        ],
    ),
    Mistake(
        "merge_pair",
        "the last symbol lost",
        "the word's last symbol is lost when it is in no match; the walk ends one symbol too early",
        change=[("while i < len(symbols):", "while i < len(symbols) - 1:")],
    ),
    Mistake(
        "merge_pair",
        "merged from the right",
        "a row of equal symbols is merged from its right end; go from left to right",
        write="""
        def merge_pair(symbols, pair):
            merged, i = [], len(symbols)
            while i > 0:
                step = 2 if tuple(symbols[max(i - 2, 0) : i]) == pair else 1
                merged.insert(0, "".join(symbols[i - step : i]))
                i -= step
            return merged
        """,
    ),
    Mistake(
        "merge_pair",
        "searched in a joined text",
        "the symbols are joined, searched and split: `wn` `a` holds `n` `a`, and a symbol that is a space is lost; compare whole symbols",
        write="""
        def merge_pair(symbols, pair):
            return " ".join(symbols).replace(" ".join(pair), "".join(pair)).split(" ")
        """,
    ),
    Mistake(
        "merge_pair",
        "never equal",
        "nothing is merged: the comparison is never true, since a slice of a list is a list, and pair is a tuple; compare tuple(…) with it",
        change=[("tuple(symbols[i : i + 2]) == pair", "symbols[i : i + 2] == pair")],
    ),
    Mistake(
        "merge_pair",
        "any two merged",
        "symbols are joined two by two, whatever they are; join them only where they are the pair",
        change=[("2 if tuple(symbols[i : i + 2]) == pair else 1", "2")],
    ),
    Mistake(
        "merge_pair",
        "an empty symbol at the end",
        "the walk goes one step beyond the last symbol and adds an empty one; end it at i < len(symbols)",
        change=[("while i < len(symbols):", "while i <= len(symbols):")],
    ),
    # ------------------------------------------------------------ 1.17b
    Mistake(
        "train_bpe",
        "ties to the pair seen first",
        "of tied pairs you take the one that was counted first; the tie goes to the oldest left symbol, then the "
        "oldest right one, characters in code-point order first",
        change=[("key=lambda pair: (pairs[pair], -rank[pair[0]], -rank[pair[1]])", "key=lambda pair: pairs[pair]")],
    ),
    Mistake(
        "train_bpe",
        "ties to the last in the alphabet",
        "of tied pairs you take the alphabetically last, as some tokenizers do; here the tie goes to the oldest "
        "left symbol, then the oldest right one",
        change=[
            ("key=lambda pair: (pairs[pair], -rank[pair[0]], -rank[pair[1]])", "key=lambda pair: (pairs[pair], pair)")
        ],
    ),
    Mistake(
        "train_bpe",
        "ties by spelling",
        "ties are broken by spelling, which agrees for characters but not for merged symbols: `ab` sorts before "
        "`x` but is younger; compare ranks",
        change=[
            (
                "best = max(pairs, key=lambda pair: (pairs[pair], -rank[pair[0]], -rank[pair[1]]))",
                "best = min(pairs, key=lambda pair: (-pairs[pair], pair))",
            )
        ],
    ),
    Mistake(
        "train_bpe",
        "ties by the right symbol first",
        "ties look at the right symbol before the left one; the left symbol's rank decides first",
        change=[("-rank[pair[0]], -rank[pair[1]]", "-rank[pair[1]], -rank[pair[0]]")],
    ),
    Mistake(
        "train_bpe",
        "each word counted once",
        "a pair counts once for every different word; add the number of times the word occurs",
        change=[("+= count[word]", "+= 1")],
    ),
    Mistake(
        "train_bpe",
        "pairs across words",
        "pairs reach across the border between words; count inside the words of split_words only",
        change=[("Counter(split_words(text))", "Counter([text])")],
    ),
    Mistake(
        "train_bpe",
        "counted only once",
        "the pairs are counted once and the n_merges most frequent taken; after every merge the words have "
        "changed, so count again",
        change=[
            (
                "        symbols = {word: merge_pair(parts, best) for word, parts in symbols.items()}",
                "        count_again = False",
            ),
            ("for pair in zip(parts, parts[1:]):", "for pair in set(zip(parts, parts[1:])) - set(merges):"),
            ("+= count[word]", "+= count[word] * list(zip(parts, parts[1:])).count(pair)"),
        ],
    ),
    Mistake(
        "train_bpe",
        "overlapping pairs counted once",
        "`zzzz` counts as two pairs `z` `z`; it has three, since every two neighbours count",
        write="""
        def train_bpe(text, n_merges):
            count = Counter(split_words(text))
            symbols = {word: list(word) for word in count}
            rank = {character: age for age, character in enumerate(sorted(set(text)))}
            merges = []
            for _ in range(n_merges):
                pairs = Counter()
                for word, parts in symbols.items():
                    previous = None
                    for place, pair in enumerate(zip(parts, parts[1:])):
                        if previous == (place - 1, pair):
                            previous = None
                            continue
                        previous = (place, pair)
                        pairs[pair] += count[word]
                if not pairs:
                    break
                best = max(pairs, key=lambda pair: (pairs[pair], -rank[pair[0]], -rank[pair[1]]))
                merges.append(best)
                rank.setdefault(best[0] + best[1], len(rank))
                symbols = {word: merge_pair(parts, best) for word, parts in symbols.items()}
            return merges
        """,
    ),
    Mistake(
        "train_bpe",
        "stops at pairs that occur once",
        "training ends when no pair occurs twice; here it goes on while there is any pair at all",
        change=[("if not pairs:", "if not pairs or max(pairs.values()) < 2:")],
    ),
    Mistake(
        "train_bpe",
        "the largest in the alphabet",
        "max without a key compares the pairs themselves, by spelling; compare how often they occur",
        change=[("max(pairs, key=lambda pair: (pairs[pair], -rank[pair[0]], -rank[pair[1]]))", "max(pairs)")],
    ),
    Mistake(
        "train_bpe",
        "the rarest pair",
        "the pair that occurs least often is merged; take the most frequent",
        change=[("best = max(", "best = min(")],
    ),
    Mistake(
        "train_bpe",
        "words never rewritten",
        "the words keep their single characters, so the same pair wins every round; rewrite every word with merge_pair",
        change=[("        symbols = {word: merge_pair(parts, best) for word, parts in symbols.items()}\n", "")],
    ),
    Mistake(
        "train_bpe",
        "ties by the left symbol alone",
        "ties look at the left symbol only; where the left ones are equal, the oldest right one decides",
        change=[("-rank[pair[0]], -rank[pair[1]])", "-rank[pair[0]])")],
    ),
    Mistake(
        "train_bpe",
        "ties by the right symbol alone",
        "ties look at the right symbol only; the left symbol's rank decides first",
        change=[("-rank[pair[0]], -rank[pair[1]])", "-rank[pair[1]])")],
    ),
    Mistake(
        "train_bpe",
        "ties to the youngest",
        "of tied pairs you take the one with the youngest symbols; the largest rank belongs to the youngest, so turn its sign round in max",
        change=[("-rank[pair[0]], -rank[pair[1]]", "rank[pair[0]], rank[pair[1]]")],
    ),
    Mistake(
        "train_bpe",
        "pairs turned round",
        "every pair has its right symbol first; zip(parts, parts[1:]) gives (left, right)",
        change=[("zip(parts, parts[1:])", "zip(parts[1:], parts)")],
    ),
    Mistake(
        "train_bpe",
        "a rank for every place",
        "sorted(text) counts repeats too, so a character can be younger than a merged symbol; number the different characters: set(text)",
        change=[("sorted(set(text))", "sorted(text)")],
    ),
    # ------------------------------------------------------------ 1.17c
    Mistake(
        "encode",
        "merges in the wrong order",
        "the merges are applied from last to first; those learned first go first",
        change=[("for pair in merges:", "for pair in reversed(merges):")],
    ),
    Mistake(
        "encode",
        "the longest symbol first",
        "from the left you take the longest known symbol; the order of the merges decides, and it can leave a "
        "longer symbol unmade",
        write="""
        def encode(text, merges):
            known = {left + right for left, right in merges}
            encoded = []
            for word in split_words(text):
                while word:
                    size = next((n for n in range(len(word), 1, -1) if word[:n] in known), 1)
                    encoded.append(word[:size])
                    word = word[size:]
            return encoded
        """,
    ),
    Mistake(
        "encode",
        "the leftmost merge first",
        "the leftmost pair that any merge knows is merged first; the merge that was learned first goes first, "
        "wherever in the word it is",
        write="""
        def encode(text, merges):
            encoded = []
            for word in split_words(text):
                symbols = list(word)
                while True:
                    place = next((i for i, pair in enumerate(zip(symbols, symbols[1:])) if pair in merges), None)
                    if place is None:
                        break
                    symbols = symbols[:place] + [symbols[place] + symbols[place + 1]] + symbols[place + 2 :]
                encoded += symbols
            return encoded
        """,
    ),
    Mistake(
        "encode",
        "merged across words",
        "symbols are merged across the border between words; encode each word of split_words by itself",
        change=[("for word in split_words(text):", "for word in [text]:")],
    ),
    Mistake(
        "encode",
        "each merge used once",
        "each merge is applied at its first match only; apply it wherever it fits in the word",
        change=[
            (
                "            symbols = merge_pair(symbols, pair)",
                "            place = next((i for i in range(len(symbols) - 1) if tuple(symbols[i : i + 2]) == "
                "pair), None)\n"
                "            if place is not None:\n"
                "                symbols = symbols[:place] + [''.join(pair)] + symbols[place + 2 :]",
            )
        ],
    ),
    Mistake(
        "encode",
        "unknown characters dropped",
        "characters that no merge knows are dropped; they stay as symbols, so that the text can be put together again",
        change=[
            (
                "encoded += symbols",
                "encoded += [symbol for symbol in symbols if any(symbol in left + right for left, right in "
                "merges)] if merges else symbols",
            )
        ],
    ),
    Mistake(
        "encode",
        "a list for each word",
        "every word is a list of its own in what comes back; put its symbols into one list for all: += or extend, not append",
        change=[("encoded += symbols", "encoded.append(symbols)")],
    ),
    Mistake(
        "encode",
        "no merge has an effect",
        "every symbol is still a single character; go through the words of split_words, and keep what merge_pair returns: symbols = …",
        change=[("            symbols = merge_pair(symbols, pair)", "            merge_pair(symbols, pair)")],
    ),
    # ------------------------------------------------------------ 1.17d
    Mistake(
        "beam_search",
        "beams do not compete",
        "after the first step every beam keeps just its own best extension; all extensions of all beams compete "
        "for the places",
        write="""
        def beam_search(model, tokens, n_new, n_beams):
            n_ctx = len(model.pos_embed.W_pos)
            first = model(tokens[None, -n_ctx:])[0, -1].log_softmax(dim=-1)
            scores, token = first.topk(min(n_beams, len(first)))
            beams = torch.cat([tokens.repeat(len(token), 1), token[:, None]], dim=1)
            for _ in range(n_new - 1):
                best = model(beams[:, -n_ctx:])[:, -1].log_softmax(dim=-1).max(dim=-1)
                scores = scores + best.values
                beams = torch.cat([beams, best.indices[:, None]], dim=1)
            order = scores.argsort(descending=True)
            return beams[order], scores[order]
        """,
    ),
    Mistake(
        "beam_search",
        "only the last step scored",
        "texts are ranked by their last token's log-probability alone; add it to the score that the beam had",
        change=[("(scores[:, None] + log_probs)", "(0 * scores[:, None] + log_probs)")],
    ),
    Mistake(
        "beam_search",
        "logits added up",
        "raw logits are added up; those of different texts cannot be compared, so take log_softmax first",
        change=[(".log_softmax(dim=-1)", "")],
    ),
    Mistake(
        "beam_search",
        "probabilities added up",
        "probabilities are added up; a text's probability is their product, so add log-probabilities",
        change=[(".log_softmax(dim=-1)", ".softmax(dim=-1)")],
    ),
    Mistake(
        "beam_search",
        "tokens given to the wrong beam",
        "the winning tokens are put behind beams in the old order; each belongs to the beam that it extends, "
        "beams[parent]",
        change=[("beams[parent], token", "(beams if len(beams) == len(parent) else beams[parent]), token")],
    ),
    Mistake(
        "beam_search",
        "beam and token swapped",
        "the flat index is taken apart the wrong way round: // d_vocab gives the beam, % d_vocab the token",
        change=[("winners // d_vocab, winners % d_vocab", "winners % len(beams), winners // len(beams)")],
    ),
    Mistake(
        "beam_search",
        "copies of the prompt",
        "the search starts from n_beams copies of the prompt, so the same text survives several times; start from one",
        change=[("tokens[None]\n", "tokens.repeat(n_beams, 1)\n"), ("torch.zeros(1,", "torch.zeros(n_beams,")],
    ),
    Mistake(
        "beam_search",
        "the wrong end cropped",
        "the model is shown the first n_ctx tokens of a long text and never sees the new ones; crop to the last",
        change=[("beams[:, -n_ctx:]", "beams[:, :n_ctx]")],
    ),
]
