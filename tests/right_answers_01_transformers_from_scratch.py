"""This file knows right answers to chapter 1 that are written in other ways than the solutions: the checkers accept them."""

from utils.checking import RightAnswer

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
UNEMBED = """
class Unembed(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.W_U = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_vocab))
        self.b_U = nn.Parameter(torch.zeros(cfg.d_vocab))
"""
TRANSFORMER = """
class Transformer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.embed, self.pos_embed = Embed(cfg), PosEmbed(cfg)
        self.blocks = nn.ModuleList([TransformerBlock(cfg) for _ in range(cfg.n_layers)])
        self.ln_final, self.unembed = LayerNorm(cfg), Unembed(cfg)
"""

RIGHT_ANSWERS = [
    # 1.1
    RightAnswer(
        "LayerNorm",
        "torch.nn.functional",
        """
        class LayerNorm(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.shape, self.eps = (cfg.d_model,), cfg.eps
                self.b = nn.Parameter(torch.zeros(cfg.d_model))
                self.w = nn.Parameter(torch.ones(cfg.d_model))

            def forward(self, residual):
                return F.layer_norm(residual, self.shape, self.w, self.b, self.eps)
        """,
    ),
    RightAnswer(
        "LayerNorm",
        "float64 inside, mean of squares",
        """
        class LayerNorm(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.config = cfg
                self.w = nn.Parameter(torch.ones(cfg.d_model))
                self.b = nn.Parameter(torch.zeros(cfg.d_model))

            def forward(self, x):
                x64 = x.double()
                centred = x64 - einops.reduce(x64, "... d -> ... 1", "mean")
                scale = torch.rsqrt(einops.reduce(centred**2, "... d -> ... 1", "mean") + self.config.eps)
                return (centred * scale).to(x.dtype) * self.w + self.b
        """,
    ),
    RightAnswer(
        "LayerNorm",
        "standard deviation, one vector at a time",
        """
        class LayerNorm(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.cfg = cfg
                self.register_parameter("w", nn.Parameter(torch.full((cfg.d_model,), 1.0)))
                self.register_parameter("b", nn.Parameter(torch.full((cfg.d_model,), 0.0)))

            def forward(self, x):
                rows = []
                for row in x.reshape(-1, x.shape[-1]):
                    difference = row - sum(row) / len(row)
                    rows.append(difference / torch.sqrt(torch.mean(difference * difference) + self.cfg.eps))
                return torch.stack(rows).reshape(x.shape) * self.w + self.b
        """,
    ),
    # 1.2
    RightAnswer(
        "Embed",
        "F.embedding",
        """
        class Embed(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.W_E = nn.Parameter(nn.init.normal_(torch.empty(cfg.d_vocab, cfg.d_model), std=cfg.init_range))

            def forward(self, tokens):
                return F.embedding(tokens, self.W_E)
        """,
    ),
    RightAnswer(
        "Embed",
        "one-hot times matrix",
        """
        class Embed(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.W_E = nn.Parameter(torch.randn(cfg.d_vocab, cfg.d_model) * cfg.init_range)

            def forward(self, tokens):
                return F.one_hot(tokens, len(self.W_E)).to(self.W_E.dtype) @ self.W_E
        """,
    ),
    RightAnswer(
        "Embed",
        "index_select",
        """
        class Embed(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.W_E = nn.Parameter(torch.randn(cfg.d_vocab, cfg.d_model) * cfg.init_range)

            def forward(self, tokens):
                return self.W_E.index_select(0, tokens.flatten()).unflatten(0, tokens.shape)
        """,
    ),
    # 1.3
    RightAnswer(
        "PosEmbed",
        "positions looked up",
        """
        class PosEmbed(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.W_pos = nn.Parameter(torch.randn(cfg.n_ctx, cfg.d_model) * cfg.init_range)

            def forward(self, tokens):
                positions = torch.arange(tokens.size(1), device=tokens.device)
                return F.embedding(positions.expand(tokens.shape), self.W_pos)
        """,
    ),
    RightAnswer(
        "PosEmbed",
        "expand",
        """
        class PosEmbed(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.W_pos = nn.Parameter(torch.randn(cfg.n_ctx, cfg.d_model) * cfg.init_range)

            def forward(self, tokens):
                return self.W_pos[: tokens.shape[-1]].expand(*tokens.shape, -1)
        """,
    ),
    RightAnswer(
        "PosEmbed",
        "stacked in a loop",
        """
        class PosEmbed(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.W_pos = nn.Parameter(torch.randn(cfg.n_ctx, cfg.d_model) * cfg.init_range)

            def forward(self, tokens):
                return torch.stack([torch.stack([self.W_pos[i] for i in range(len(row))]) for row in tokens])
        """,
    ),
    # 1.4
    RightAnswer(
        "attention_pattern",
        "through scaled_dot_product_attention on one-hot values",
        """
        def attention_pattern(q, k):
            q, k = q.transpose(1, 2), k.transpose(1, 2)
            seq = q.shape[2]
            one_hot = torch.eye(seq, dtype=q.dtype, device=q.device).expand(*q.shape[:2], seq, seq)
            return F.scaled_dot_product_attention(q, k, one_hot, is_causal=True)
        """,
    ),
    RightAnswer(
        "attention_pattern",
        "scaled first, additive mask",
        """
        def attention_pattern(q, k):
            d_head = q.shape[-1]
            q, k = q.permute(0, 2, 1, 3) / d_head**0.25, k.permute(0, 2, 3, 1) / d_head**0.25
            scores = q @ k
            position = torch.arange(q.shape[2], device=q.device)
            scores = scores + torch.where(position[:, None] >= position, 0.0, float("-inf")).to(scores.dtype)
            return torch.softmax(scores, -1)
        """,
    ),
    RightAnswer(
        "attention_pattern",
        "loops, with exp and a large negative number",
        """
        def attention_pattern(q, k):
            batch, seq, n_heads, d_head = q.shape
            pattern = q.new_zeros(batch, n_heads, seq, seq)
            for b in range(batch):
                for h in range(n_heads):
                    for i in range(seq):
                        scores = torch.stack([q[b, i, h] @ k[b, j, h] if j <= i else q.new_tensor(-1e9) for j in range(seq)])
                        scores = scores / d_head**0.5
                        shares = torch.exp(scores - scores.max())
                        pattern[b, h, i] = shares / shares.sum()
            return pattern
        """,
    ),
    RightAnswer(
        "attention_pattern",
        "masked after exp and normalised again",
        """
        def attention_pattern(q, k):
            scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * q.size(-1) ** -0.5
            allowed = torch.tril(torch.ones(q.size(1), q.size(1), device=q.device)).bool()
            largest = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).max(-1, keepdim=True).values
            weights = torch.where(allowed, (scores - largest).clamp(max=0).exp(), torch.zeros_like(scores))
            return weights / weights.sum(-1, keepdim=True)
        """,
    ),
    # 1.5
    RightAnswer(
        "Attention",
        "scaled_dot_product_attention",
        ATTENTION
        + """
    def forward(self, x):
        q, k, v = (
            torch.einsum("bpm,hmd->bhpd", x, W) + b[:, None]
            for W, b in ((self.W_Q, self.b_Q), (self.W_K, self.b_K), (self.W_V, self.b_V))
        )
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return einops.rearrange(z, "b h p d -> b p (h d)") @ einops.rearrange(self.W_O, "h d m -> (h d) m") + self.b_O
""",
    ),
    RightAnswer(
        "Attention",
        "one head at a time, without attention_pattern",
        ATTENTION
        + """
    def forward(self, x):
        out = self.b_O.expand_as(x)
        pos = torch.arange(x.shape[1], device=x.device)
        for h in range(self.cfg.n_heads):
            q = x @ self.W_Q[h] + self.b_Q[h]
            k = x @ self.W_K[h] + self.b_K[h]
            scores = (q @ k.transpose(-1, -2)) / self.cfg.d_head**0.5
            pattern = scores.masked_fill(pos[None] > pos[:, None], -1e9).softmax(-1)
            out = out + (pattern @ (x @ self.W_V[h] + self.b_V[h])) @ self.W_O[h]
        return out
""",
    ),
    RightAnswer(
        "Attention",
        "OV circuit first, then mixed; no b_K; own __init__",
        """
        class Attention(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                h, m, d = cfg.n_heads, cfg.d_model, cfg.d_head
                for name, shape in {"W_O": (h, d, m), "W_V": (h, m, d), "W_K": (h, m, d), "W_Q": (h, m, d)}.items():
                    setattr(self, name, nn.Parameter(torch.normal(0.0, cfg.init_range, shape)))
                for name, shape in {"b_Q": (h, d), "b_K": (h, d), "b_V": (h, d), "b_O": (m,)}.items():
                    setattr(self, name, nn.Parameter(torch.zeros(shape)))

            def forward(self, x):
                q = torch.einsum("bpm,hmd->bphd", x, self.W_Q) + self.b_Q
                k = torch.einsum("bpm,hmd->bphd", x, self.W_K)
                W_OV = self.W_V @ self.W_O
                b_OV = torch.einsum("hd,hdm->m", self.b_V, self.W_O)
                offered = torch.einsum("bpm,hmn->bphn", x, W_OV)
                return torch.einsum("bhqk,bkhn->bqn", attention_pattern(q, k), offered) + b_OV + self.b_O
        """,
    ),
    # 1.6
    RightAnswer(
        "MLP",
        "the formula, with F.linear",
        """
        class MLP(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.W_in = nn.Parameter(nn.init.normal_(torch.empty(cfg.d_model, cfg.d_mlp), std=cfg.init_range))
                self.W_out = nn.Parameter(nn.init.normal_(torch.empty(cfg.d_mlp, cfg.d_model), std=cfg.init_range))
                self.b_in = nn.Parameter(torch.zeros(cfg.d_mlp))
                self.b_out = nn.Parameter(torch.zeros(cfg.d_model))

            def forward(self, normalized):
                pre = F.linear(normalized, self.W_in.T, self.b_in)
                post = 0.5 * pre * (1 + torch.tanh(math.sqrt(2 / math.pi) * (pre + 0.044715 * pre**3)))
                return F.linear(post, self.W_out.T, self.b_out)
        """,
    ),
    RightAnswer(
        "MLP",
        "nn.GELU, float64 inside, one position at a time",
        """
        class MLP(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.bend = nn.GELU(approximate="tanh")
                self.W_in = nn.Parameter(torch.normal(0.0, cfg.init_range, (cfg.d_model, cfg.d_mlp)))
                self.b_in = nn.Parameter(torch.zeros(cfg.d_mlp))
                self.W_out = nn.Parameter(torch.normal(0.0, cfg.init_range, (cfg.d_mlp, cfg.d_model)))
                self.b_out = nn.Parameter(torch.zeros(cfg.d_model))

            def forward(self, x):
                W_in, b_in, W_out, b_out = (p.double() for p in (self.W_in, self.b_in, self.W_out, self.b_out))
                out = [self.bend(x[:, i].double() @ W_in + b_in) @ W_out + b_out for i in range(x.shape[1])]
                return torch.stack(out, dim=1).to(x.dtype)
        """,
    ),
    RightAnswer(
        "MLP",
        "transformers' own activation",
        """
        from transformers.activations import NewGELUActivation

        class MLP(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.act = NewGELUActivation()
                self.W_in = nn.Parameter(cfg.init_range * torch.randn(cfg.d_model, cfg.d_mlp))
                self.W_out = nn.Parameter(cfg.init_range * torch.randn(cfg.d_mlp, cfg.d_model))
                self.b_in, self.b_out = nn.Parameter(torch.zeros(cfg.d_mlp)), nn.Parameter(torch.zeros(cfg.d_model))

            def forward(self, x):
                return torch.einsum("bpn,nm->bpm", self.act(torch.einsum("bpm,mn->bpn", x, self.W_in) + self.b_in), self.W_out) + self.b_out
        """,
    ),
    # 1.7
    RightAnswer(
        "TransformerBlock",
        "one name for the stream",
        BLOCK
        + """
    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        x = x + self.mlp(self.ln2(x))
        return x
""",
    ),
    RightAnswer(
        "TransformerBlock",
        "writes kept apart until the end",
        """
        class TransformerBlock(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.mlp, self.attn = MLP(cfg), Attention(cfg)
                self.ln2, self.ln1 = LayerNorm(cfg), LayerNorm(cfg)

            def forward(self, resid_pre):
                attn_out = self.attn.forward(self.ln1.forward(resid_pre))
                mlp_out = self.mlp(self.ln2(torch.add(attn_out, resid_pre)))
                return torch.stack([resid_pre, attn_out, mlp_out]).sum(dim=0)
        """,
    ),
    RightAnswer(
        "TransformerBlock",
        "subclass of nn.Sequential parts, hooks of its own",
        """
        class Adds(nn.Module):
            def __init__(self, norm, layer):
                super().__init__()
                object.__setattr__(self, "parts", (norm, layer))

            def forward(self, x):
                norm, layer = self.parts
                return x + layer(norm(x))

        class TransformerBlock(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.ln1, self.attn = LayerNorm(cfg), Attention(cfg)
                self.ln2, self.mlp = LayerNorm(cfg), MLP(cfg)
                self.steps = nn.Sequential(Adds(self.ln1, self.attn), Adds(self.ln2, self.mlp))

            def forward(self, resid_pre):
                return self.steps(resid_pre)
        """,
    ),
    # 1.8
    RightAnswer(
        "Unembed",
        "matrix product",
        UNEMBED
        + """
    def forward(self, x):
        return x @ self.W_U + self.b_U
""",
    ),
    RightAnswer(
        "Unembed",
        "F.linear, own __init__",
        """
        class Unembed(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.b_U = nn.Parameter(torch.zeros(cfg.d_vocab))
                self.W_U = nn.Parameter(nn.init.normal_(torch.empty(cfg.d_model, cfg.d_vocab), std=cfg.init_range))

            def forward(self, resid):
                return F.linear(resid, self.W_U.mT, self.b_U)
        """,
    ),
    RightAnswer(
        "Unembed",
        "one text at a time, float64 inside",
        UNEMBED
        + """
    def forward(self, resid):
        logits = [torch.addmm(self.b_U.double(), text.double(), self.W_U.double()) for text in resid]
        return torch.stack(logits).to(resid.dtype)
""",
    ),
    # 1.9
    RightAnswer(
        "Transformer",
        "blocks by number",
        TRANSFORMER
        + """
    def forward(self, input_ids):
        x = self.pos_embed(input_ids)
        x = x + self.embed(input_ids)
        for i in range(self.cfg.n_layers):
            x = self.blocks[i](x)
        x = self.ln_final(x)
        return self.unembed(x)
""",
    ),
    RightAnswer(
        "Transformer",
        "nn.Sequential for the blocks, own __init__",
        """
        class Transformer(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.unembed, self.ln_final = Unembed(cfg), LayerNorm(cfg)
                self.blocks = nn.Sequential(*[TransformerBlock(cfg) for _ in range(cfg.n_layers)])
                self.pos_embed, self.embed = PosEmbed(cfg), Embed(cfg)

            def forward(self, tokens):
                return self.unembed(self.ln_final(self.blocks(self.embed(tokens) + self.pos_embed(tokens))))
        """,
    ),
    RightAnswer(
        "Transformer",
        "the sum of all writes, kept as a list",
        """
        class Transformer(nn.Module):
            def __init__(self, cfg):
                super().__init__()
                self.embed = Embed(cfg)
                self.pos_embed = PosEmbed(cfg)
                self.blocks = nn.ModuleList()
                while len(self.blocks) < cfg.n_layers:
                    self.blocks.append(TransformerBlock(cfg))
                self.ln_final = LayerNorm(cfg)
                self.unembed = Unembed(cfg)

            def forward(self, tokens):
                writes = [self.embed(tokens), self.pos_embed(tokens)]
                for block in self.blocks:
                    resid = sum(writes)
                    attn_out = block.attn(block.ln1(resid))
                    writes += [attn_out, block.mlp(block.ln2(resid + attn_out))]
                return self.unembed(self.ln_final(torch.stack(torch.broadcast_tensors(*writes)).sum(dim=0)))
        """,
    ),
    RightAnswer(
        "next_token_loss",
        "log_softmax and gather, in float64",
        """
        def next_token_loss(logits, tokens):
            log_probs = logits[:, :-1].double().log_softmax(dim=-1)
            return -log_probs.gather(-1, tokens[:, 1:].unsqueeze(-1)).mean()
        """,
    ),
    RightAnswer(
        "next_token_loss",
        "one guess after the other",
        """
        def next_token_loss(logits, tokens):
            surprises = []
            for row, answers in zip(logits, tokens):
                for pos in range(len(answers) - 1):
                    surprises.append(torch.logsumexp(row[pos], dim=0) - row[pos][answers[pos + 1]])
            return sum(surprises) / len(surprises)
        """,
    ),
    RightAnswer(
        "next_token_loss",
        "cross_entropy over axis 1",
        """
        def next_token_loss(logits, tokens):
            return F.cross_entropy(logits.mT[..., :-1], tokens[..., 1:])
        """,
    ),
    RightAnswer(
        "next_token_loss",
        "nn.CrossEntropyLoss with an ignored answer",
        """
        def next_token_loss(logits, tokens):
            answers = tokens.roll(-1, dims=1)
            answers[:, -1] = -100
            return nn.CrossEntropyLoss(ignore_index=-100)(logits.reshape(-1, logits.shape[-1]), answers.reshape(-1))
        """,
    ),
    RightAnswer(
        "residual_contributions",
        "forward hooks on a whole run",
        """
        def residual_contributions(model, tokens):
            components = {"embed": model.embed, "pos_embed": model.pos_embed}
            for i, block in enumerate(model.blocks):
                components |= {f"L{i}.attn": block.attn, f"L{i}.mlp": block.mlp}
            parts, hooks = {}, []

            def keep(name):
                return lambda module, args, output: parts.__setitem__(name, output)

            try:
                for name, component in components.items():
                    hooks.append(component.register_forward_hook(keep(name)))
                model(tokens)
            finally:
                for hook in hooks:
                    hook.remove()
            return parts
        """,
    ),
    RightAnswer(
        "residual_contributions",
        "differences of the stream",
        """
        def residual_contributions(model, tokens):
            names, streams = ["embed", "pos_embed"], [model.embed(tokens)]
            streams.append(streams[-1] + model.pos_embed(tokens))
            for layer in range(len(model.blocks)):
                block = model.blocks[layer]
                streams.append(streams[-1] + block.attn(block.ln1(streams[-1])))
                streams.append(block(streams[-2]))
                names += [f"L{layer}.attn", f"L{layer}.mlp"]
            writes = [streams[0]] + [after - before for before, after in zip(streams, streams[1:])]
            return dict(zip(names, writes))
        """,
    ),
    RightAnswer(
        "residual_contributions",
        "one sequence at a time, in another order of keys",
        """
        def residual_contributions(model, tokens):
            rows = []
            for row in tokens:
                row = row[None]
                parts, late = {}, {"pos_embed": model.pos_embed(row), "embed": model.embed(row)}
                resid = late["embed"] + late["pos_embed"]
                for layer, block in enumerate(model.blocks):
                    for name, norm in [("attn", block.ln1), ("mlp", block.ln2)]:
                        parts[f"L{layer}.{name}"] = getattr(block, name)(norm(resid))
                        resid = resid + parts[f"L{layer}.{name}"]
                rows.append(parts | late)
            return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        """,
    ),
    RightAnswer(
        "top_tokens_promoted",
        "sorted in Python, in float64",
        """
        def top_tokens_promoted(model, layer, neuron, k):
            value, W_U = model.blocks[layer].mlp.W_out[neuron].double(), model.unembed.W_U.double()
            scores = [(value * W_U[:, token]).sum().item() for token in range(W_U.shape[1])]
            best = sorted(range(len(scores)), key=lambda token: -scores[token])[:k]
            place = value.device
            return torch.tensor(best, device=place), torch.tensor([scores[token] for token in best], device=place)
        """,
    ),
    RightAnswer(
        "top_tokens_promoted",
        "matrix product for all neurons, then argsort",
        """
        def top_tokens_promoted(model, layer, neuron, k):
            scores = (model.blocks[layer].mlp.W_out @ model.unembed.W_U)[neuron]
            ids = torch.argsort(scores, descending=True)[:k]
            return ids, scores[ids]
        """,
    ),
    RightAnswer(
        "top_tokens_promoted",
        "F.linear with the transposed unembedding",
        """
        def top_tokens_promoted(model, layer, neuron, k):
            scores, ids = torch.topk(F.linear(model.blocks[layer].mlp.W_out[neuron], model.unembed.W_U.T), k)
            return ids.int(), scores
        """,
    ),
    RightAnswer(
        "top_inputs",
        "hook on ln2 of a whole run",
        """
        def top_inputs(model, layer, neuron, tokens, k):
            block, read = model.blocks[layer], []
            hook = block.ln2.register_forward_hook(lambda module, args, output: read.append(output))
            try:
                model(tokens)
            finally:
                hook.remove()
            activation = F.gelu(F.linear(read[0], block.mlp.W_in.T, block.mlp.b_in), approximate="tanh")[:, :, neuron]
            order = activation.reshape(-1).argsort(descending=True)[:k]
            n_pos = tokens.shape[1]
            return torch.stack([order // n_pos, order % n_pos], dim=1), activation.reshape(-1)[order]
        """,
    ),
    RightAnswer(
        "top_inputs",
        "one sequence at a time, with gelu written out",
        """
        def top_inputs(model, layer, neuron, tokens, k):
            found = []
            for batch in range(tokens.shape[0]):
                row = tokens[batch : batch + 1]
                resid = model.embed(row) + model.pos_embed(row)
                for i, block in enumerate(model.blocks):
                    resid = resid + block.attn(block.ln1(resid))
                    read = block.ln2(resid)
                    if i == layer:
                        break
                    resid = resid + block.mlp(read)
                for pos in range(row.shape[1]):
                    x = (read[0, pos].double() @ block.mlp.W_in[:, neuron].double() + block.mlp.b_in[neuron].double()).item()
                    gelu = 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
                    found.append((gelu, batch, pos))
            found.sort(reverse=True)
            places = torch.tensor([[batch, pos] for _, batch, pos in found[:k]], device=tokens.device)
            return places, torch.tensor([gelu for gelu, _, _ in found[:k]], device=tokens.device)
        """,
    ),
    RightAnswer(
        "top_inputs",
        "the stream from the sum of contributions",
        """
        def top_inputs(model, layer, neuron, tokens, k):
            parts = residual_contributions(model, tokens)
            names = list(parts)
            resid_mid = torch.stack([parts[name] for name in names[: names.index(f"L{layer}.attn") + 1]]).sum(dim=0)
            block = model.blocks[layer]
            pre = block.ln2(resid_mid) @ block.mlp.W_in + block.mlp.b_in
            activation = 0.5 * pre * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (pre + 0.044715 * pre.pow(3))))
            values, flat = activation[..., neuron].flatten().topk(k)
            return torch.stack((flat.div(tokens.shape[1], rounding_mode="floor"), flat.remainder(tokens.shape[1])), -1), values
        """,
    ),
    RightAnswer(
        "learning_rate",
        "a table of all steps",
        """
        def learning_rate(step, *, peak, warmup, total, floor=0.0):
            up = [peak * i / warmup for i in range(1, warmup + 1)]
            n = total - warmup
            down = [floor + (peak - floor) * math.cos(math.pi * i / (2 * n)) ** 2 for i in range(1, n + 1)]
            return (up + down)[step] if step < total else floor
        """,
    ),
    RightAnswer(
        "learning_rate",
        "with PyTorch, as a number at the end",
        """
        def learning_rate(step, *, peak, warmup, total, floor=0.0):
            step = torch.tensor(step, dtype=torch.float64)
            if step + 1 <= warmup:
                return (peak * (step + 1) / warmup).item()
            left = ((total - 1 - step) / max(1, total - warmup)).clamp(0, 1)
            ends = torch.tensor([floor, peak], dtype=torch.float64)
            return torch.lerp(ends[0], ends[1], (1 - torch.cos(torch.pi * left)) / 2).item()
        """,
    ),
    RightAnswer(
        "learning_rate",
        "one expression for all steps, by sines",
        """
        def progress(step, start, end):
            return 1.0 if end == start else max(0.0, min(1.0, (step + 1 - start) / (end - start)))

        def learning_rate(step, *, peak, warmup, total, floor=0.0):
            rising = progress(step, 0, warmup)
            if rising < 1:
                return peak * rising
            falling = 0.0 if step < warmup else progress(step, warmup, total) if step < total else 1.0
            return peak - (peak - floor) * math.sin(math.pi * falling / 2) ** 2
        """,
    ),
    RightAnswer(
        "train",
        "rates from LambdaLR, gradients from autograd.grad",
        """
        def train(model, batches, *, peak, warmup, floor=0.0, max_norm=1.0, weight_decay=0.01, on_step=None):
            parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
            optimizer = torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.98), weight_decay=weight_decay)
            total = len(batches)
            schedule = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda step: learning_rate(step, peak=peak, warmup=warmup, total=total, floor=floor)
            )
            losses = []
            for step in range(total):
                loss = next_token_loss(model(batches[step]), batches[step])
                for parameter, grad in zip(parameters, torch.autograd.grad(loss, parameters)):
                    parameter.grad = grad
                length = torch.sqrt(sum((parameter.grad**2).sum() for parameter in parameters))
                if length > max_norm:
                    for parameter in parameters:
                        parameter.grad *= max_norm / length
                optimizer.step()
                schedule.step()
                losses.append(float(loss.detach()))
                if on_step:
                    on_step(step, losses[step])
            return losses
        """,
    ),
    RightAnswer(
        "train",
        "AdamW by hand",
        """
        def train(model, batches, *, peak, warmup, floor=0.0, max_norm=1.0, weight_decay=0.01, on_step=None):
            parameters = list(model.parameters())
            first = [torch.zeros_like(p) for p in parameters]
            second = [torch.zeros_like(p) for p in parameters]
            losses = []
            for step, tokens in enumerate(batches):
                rate = learning_rate(step, peak=peak, warmup=warmup, total=len(batches), floor=floor)
                model.zero_grad()
                loss = F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
                loss.backward()
                length = torch.stack([p.grad.norm() for p in parameters]).norm()
                scale = min(1.0, max_norm / (float(length) + 1e-6))
                with torch.no_grad():
                    for p, m, v in zip(parameters, first, second):
                        grad = p.grad * scale
                        m.mul_(0.9).add_(0.1 * grad)
                        v.mul_(0.98).add_(0.02 * grad**2)
                        p.mul_(1 - rate * weight_decay)
                        p.sub_(rate * (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.98 ** (step + 1))).sqrt() + 1e-8))
                losses.append(loss.item())
                if on_step is not None:
                    on_step(step, loss.item())
            return losses
        """,
    ),
    RightAnswer(
        "train",
        "zero_grad at the end of the step",
        """
        def train(model, batches, *, peak, warmup, floor=0.0, max_norm=1.0, weight_decay=0.01, on_step=None):
            optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=weight_decay)
            optimizer.zero_grad()
            losses = []
            model.train()
            while len(losses) < len(batches):
                step = len(losses)
                loss = next_token_loss(model(batches[step]), batches[step])
                loss.backward()
                torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm)
                optimizer.param_groups[0]["lr"] = learning_rate(step, peak=peak, warmup=warmup, total=len(batches), floor=floor)
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.detach().cpu().item())
                if on_step is not None:
                    on_step(step, losses[-1])
            return losses
        """,
    ),
    RightAnswer(
        "greedy",
        "row by row over Python lists",
        """
        def greedy(model, tokens, n_new):
            n_ctx = model.pos_embed.W_pos.shape[0]
            texts = tokens.tolist()
            for text in texts:
                for _ in range(n_new):
                    window = torch.tensor([text[max(0, len(text) - n_ctx):]], device=tokens.device)
                    text.append(int(model(window)[0, -1].argmax()))
            return torch.tensor(texts, dtype=tokens.dtype, device=tokens.device)
        """,
    ),
    RightAnswer(
        "greedy",
        "into a text of the final length, by softmax and topk",
        """
        def greedy(model, tokens, n_new):
            batch, prompt = tokens.shape
            text = torch.zeros(batch, prompt + n_new, dtype=torch.long, device=tokens.device)
            text[:, :prompt] = tokens
            n_ctx = model.pos_embed.W_pos.size(0)
            with torch.no_grad():
                for end in range(prompt, prompt + n_new):
                    probs = torch.nn.functional.softmax(model(text[:, max(0, end - n_ctx) : end])[:, -1].double(), dim=-1)
                    text[:, end] = probs.topk(1).indices.squeeze(-1)
            return text
        """,
    ),
    RightAnswer(
        "greedy",
        "a helper that asks for one token, recursively",
        """
        @torch.no_grad()
        def most_likely(model, text):
            seen = text[:, -model.pos_embed.W_pos.shape[0] :]
            return torch.max(model(seen)[:, -1], dim=1).indices

        def greedy(model, tokens, n_new):
            if n_new == 0:
                return tokens.clone()
            longer = torch.column_stack([tokens, most_likely(model, tokens)])
            return greedy(model, longer, n_new - 1)
        """,
    ),
    RightAnswer(
        "apply_temperature",
        "times the inverse",
        "def apply_temperature(logits, temperature):\n    return (1.0 / temperature) * logits\n",
    ),
    RightAnswer(
        "apply_temperature",
        "row by row in float64",
        """
        def apply_temperature(logits, temperature):
            return torch.stack([row.double() / temperature for row in logits])
        """,
    ),
    RightAnswer(
        "apply_temperature",
        "in place on a copy",
        """
        def apply_temperature(logits, temperature):
            cooled = logits.clone()
            cooled /= temperature
            return cooled
        """,
    ),
    RightAnswer(
        "top_k_filter",
        "sorted, with torch.where",
        """
        def top_k_filter(logits, k):
            ordered = torch.sort(logits, dim=-1, descending=True).values
            last = ordered[:, min(k, ordered.shape[-1]) - 1].unsqueeze(-1)
            return torch.where(logits >= last, logits, torch.full_like(logits, float("-inf")))
        """,
    ),
    RightAnswer(
        "top_k_filter",
        "by counting how many are larger",
        """
        def top_k_filter(logits, k):
            result = logits.clone()
            for row in range(logits.shape[0]):
                for token in range(logits.shape[1]):
                    if (logits[row] > logits[row, token]).sum() >= k:
                        result[row, token] = -math.inf
            return result
        """,
    ),
    RightAnswer(
        "top_k_filter",
        "kthvalue, and in place on a copy",
        """
        def top_k_filter(logits, k):
            size = logits.shape[-1]
            k = min(k, size)
            threshold, _ = torch.kthvalue(logits, size - k + 1, dim=-1, keepdim=True)
            kept = logits.clone()
            kept[kept < threshold] = float("-inf")
            return kept
        """,
    ),
    RightAnswer(
        "top_p_filter",
        "sorted upwards, the tail that stays within 1 - p removed",
        """
        def top_p_filter(logits, p):
            ordered, order = logits.sort(dim=-1)
            tail = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
            tail[..., -1] = False
            return logits.masked_fill(tail.scatter(-1, order, tail), float("-inf"))
        """,
    ),
    RightAnswer(
        "top_p_filter",
        "row by row over Python lists",
        """
        def top_p_filter(logits, p):
            result = torch.full_like(logits, -math.inf)
            for row, probs in enumerate(logits.double().softmax(dim=-1).tolist()):
                total = 0.0
                for token in sorted(range(len(probs)), key=lambda token: -probs[token]):
                    if total >= p:
                        break
                    result[row, token] = logits[row, token]
                    total += probs[token]
            return result
        """,
    ),
    RightAnswer(
        "top_p_filter",
        "shifted mask, and the sort undone by sorting its indices",
        """
        def top_p_filter(logits, p):
            probs = torch.softmax(logits, dim=-1)
            ordered, order = torch.sort(probs, dim=-1, descending=True)
            reached = ordered.cumsum(dim=-1) >= p
            removed = torch.cat([torch.zeros_like(reached[..., :1]), reached[..., :-1]], dim=-1)
            removed = torch.gather(removed, -1, order.argsort(dim=-1))
            out = logits.clone()
            out[removed] = float("-inf")
            return out
        """,
    ),
    RightAnswer(
        "top_p_filter",
        "for every token, what is more likely than it",
        """
        def top_p_filter(logits, p):
            probabilities = torch.nn.functional.softmax(logits.double(), dim=-1)
            d_vocab = logits.shape[-1]
            place = torch.arange(d_vocab, device=logits.device)
            higher = probabilities[:, None, :] > probabilities[:, :, None]
            tied_before = (probabilities[:, None, :] == probabilities[:, :, None]) & (place[None, :] < place[:, None])
            total_before = torch.einsum("bto,bo->bt", (higher | tied_before).double(), probabilities)
            return torch.where(total_before < p, logits, -torch.inf)
        """,
    ),
    RightAnswer(
        "apply_frequency_penalty",
        "one-hot, summed",
        """
        def apply_frequency_penalty(logits, tokens, penalty):
            counts = torch.nn.functional.one_hot(tokens, logits.shape[-1]).sum(dim=1)
            return logits - counts * penalty
        """,
    ),
    RightAnswer(
        "apply_frequency_penalty",
        "bincount in every row",
        """
        def apply_frequency_penalty(logits, tokens, penalty):
            rows = [row - penalty * torch.bincount(text, minlength=len(row)) for row, text in zip(logits, tokens)]
            return torch.stack(rows)
        """,
    ),
    RightAnswer(
        "apply_frequency_penalty",
        "token by token",
        """
        def apply_frequency_penalty(logits, tokens, penalty):
            logits = logits.clone()
            rows = torch.arange(len(logits), device=logits.device)
            for column in range(tokens.shape[1]):
                logits[rows, tokens[:, column]] -= penalty
            return logits
        """,
    ),
    RightAnswer(
        "sample",
        "by the inverse of the cumulative distribution, nothing reused",
        """
        def sample(model, tokens, n_new, *, temperature=1.0, top_k=None, top_p=None, frequency_penalty=0.0, generator=None):
            n_ctx = model.pos_embed.W_pos.shape[0]
            for _ in range(n_new):
                logits = model(tokens[:, max(0, tokens.shape[1] - n_ctx):])[:, -1].double()
                counts = torch.nn.functional.one_hot(tokens, logits.shape[-1]).sum(dim=1)
                probs = ((logits - frequency_penalty * counts) / temperature).softmax(dim=-1)
                probs, order = probs.sort(dim=-1, descending=True)
                if top_k is not None:
                    probs[:, top_k:] = 0
                    probs = probs / probs.sum(dim=-1, keepdim=True)
                if top_p is not None:
                    probs = probs * (probs.cumsum(dim=-1) - probs < top_p)
                    probs = probs / probs.sum(dim=-1, keepdim=True)
                u = torch.rand(len(tokens), 1, generator=generator, device=tokens.device, dtype=torch.double)
                place = torch.searchsorted(probs.cumsum(dim=-1), u, right=True).clamp(max=probs.shape[-1] - 1)
                tokens = torch.cat([tokens, order.gather(-1, place)], dim=1)
            return tokens
        """,
    ),
    RightAnswer(
        "sample",
        "by Gumbel noise and argmax",
        """
        def sample(model, tokens, n_new, *, temperature=1.0, top_k=None, top_p=None, frequency_penalty=0.0, generator=None):
            n_ctx = len(model.pos_embed.W_pos)
            with torch.no_grad():
                for _ in range(n_new):
                    logits = model(tokens[:, -n_ctx:])[:, -1, :]
                    if frequency_penalty:
                        logits = apply_frequency_penalty(logits, tokens, frequency_penalty)
                    logits = apply_temperature(logits, temperature)
                    logits = top_k_filter(logits, top_k or logits.shape[-1])
                    logits = top_p_filter(logits, 1.0 if top_p is None else top_p)
                    noise = torch.empty_like(logits).exponential_(generator=generator)
                    tokens = torch.hstack([tokens, (logits - noise.log()).argmax(dim=-1)[:, None]])
            return tokens
        """,
    ),
    RightAnswer(
        "sample",
        "filters as a list of functions, drawn row by row",
        """
        def filters(temperature, top_k, top_p):
            steps = [lambda logits: apply_temperature(logits, temperature)]
            if top_k is not None:
                steps.append(lambda logits: top_k_filter(logits, top_k))
            if top_p is not None:
                steps.append(lambda logits: top_p_filter(logits, top_p))
            return steps

        def sample(model, tokens, n_new, *, temperature=1.0, top_k=None, top_p=None, frequency_penalty=0.0, generator=None):
            steps = filters(temperature, top_k, top_p)
            window = model.pos_embed.W_pos.shape[0]
            text = tokens.clone()
            while text.shape[1] < tokens.shape[1] + n_new:
                logits = apply_frequency_penalty(model(text[:, -window:])[:, -1], text, frequency_penalty)
                for step in steps:
                    logits = step(logits)
                rows = [torch.multinomial(torch.exp(row - row.logsumexp(0)), 1, generator=generator) for row in logits]
                text = torch.cat((text, torch.stack(rows)), dim=-1)
            return text
        """,
    ),
    RightAnswer(
        "KVCache",
        "lists of pieces in dictionaries, and a count",
        """
        class KVCache:
            def __init__(self, cfg):
                self.pieces = {layer: [] for layer in range(cfg.n_layers)}

            @property
            def length(self):
                return min(sum(k.size(1) for k, _ in pieces) for pieces in self.pieces.values())

            def append(self, layer, k, v):
                self.pieces[layer].append((k, v))
                keys, values = zip(*self.pieces[layer])
                return torch.cat(keys, 1), torch.cat(values, 1)
        """,
    ),
    RightAnswer(
        "KVCache",
        "room for n_ctx positions, filled from the front",
        """
        class KVCache:
            def __init__(self, cfg):
                self.cfg = cfg
                self.store = None
                self.filled = [0] * cfg.n_layers

            @property
            def length(self):
                return min(self.filled)

            def append(self, layer, k, v):
                batch, new, heads, d_head = k.shape
                if self.store is None:
                    self.store = k.new_zeros(self.cfg.n_layers, 2, batch, self.cfg.n_ctx, heads, d_head)
                start = self.filled[layer]
                self.store[layer, 0, :, start : start + new] = k
                self.store[layer, 1, :, start : start + new] = v
                self.filled[layer] = start + new
                return self.store[layer, 0, :, : start + new].clone(), self.store[layer, 1, :, : start + new].clone()
        """,
    ),
    RightAnswer(
        "KVCache",
        "one tensor a layer that holds keys and values side by side",
        """
        class KVCache:
            def __init__(self, cfg):
                self.layers = tuple([] for _ in range(cfg.n_layers))

            def __len__(self):
                return self.layers[-1][0].shape[2] if self.layers[-1] else 0

            length = property(__len__)

            def append(self, layer, k, v):
                both = torch.stack((k, v))
                held = self.layers[layer]
                held[:] = [torch.cat([*held, both], dim=2)]
                keys, values = held[0].unbind(0)
                return keys, values
        """,
    ),
    RightAnswer(
        "forward_cached",
        "one new token at a time, no mask",
        """
        def forward_cached(model, tokens, cache):
            rows = []
            for column in range(tokens.shape[1]):
                position = cache.length
                x = model.embed(tokens[:, column : column + 1]) + model.pos_embed.W_pos[position]
                for layer, block in enumerate(model.blocks):
                    a = block.attn
                    read = block.ln1(x)
                    q = torch.einsum("bpm,hmd->bphd", read, a.W_Q) + a.b_Q
                    k, v = cache.append(
                        layer,
                        torch.einsum("bpm,hmd->bphd", read, a.W_K) + a.b_K,
                        torch.einsum("bpm,hmd->bphd", read, a.W_V) + a.b_V,
                    )
                    pattern = (torch.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5).softmax(dim=-1)
                    z = torch.einsum("bhqk,bkhd->bqhd", pattern, v)
                    x = x + torch.einsum("bqhd,hdm->bqm", z, a.W_O) + a.b_O
                    x = x + block.mlp(block.ln2(x))
                rows.append(model.unembed(model.ln_final(x)))
            return torch.cat(rows, dim=1)
        """,
    ),
    RightAnswer(
        "forward_cached",
        "scaled_dot_product_attention with a triangle cut off at the bottom",
        """
        def forward_cached(model, tokens, cache):
            start, new = cache.length, tokens.shape[1]
            x = model.embed.W_E[tokens] + model.pos_embed.W_pos[start : start + new]
            may_read = torch.ones(start + new, start + new, dtype=torch.bool, device=tokens.device).tril()[start:]
            for layer, block in enumerate(model.blocks):
                a, read = block.attn, block.ln1(x).unsqueeze(1)
                q, k, v = ((read @ W + b.unsqueeze(1)).transpose(1, 2) for W, b in ((a.W_Q, a.b_Q), (a.W_K, a.b_K), (a.W_V, a.b_V)))
                k, v = cache.append(layer, k, v)
                z = torch.nn.functional.scaled_dot_product_attention(
                    q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=may_read
                )
                x = x + (z @ a.W_O).sum(dim=1) + a.b_O
                x = x + block.mlp(block.ln2(x))
            return model.unembed(model.ln_final(x))
        """,
    ),
    RightAnswer(
        "forward_cached",
        "einops, heads one by one, softmax written out",
        """
        def heads_read(x, W, b):
            return einops.einsum(x, W, "b p m, h m d -> b p h d") + b

        def forward_cached(model, tokens, cache):
            start, new = cache.length, tokens.shape[-1]
            stream = model.embed(tokens) + model.pos_embed.W_pos[start : start + new][None]
            for layer, block in enumerate(model.blocks):
                a, read = block.attn, block.ln1(stream)
                q = heads_read(read, a.W_Q, a.b_Q)
                k, v = cache.append(layer, heads_read(read, a.W_K, a.b_K), heads_read(read, a.W_V, a.b_V))
                hidden = torch.ones(new, start + new, device=tokens.device).triu(diagonal=start + 1)
                write = a.b_O.clone()
                for head in range(q.shape[2]):
                    scores = q[:, :, head] @ k[:, :, head].transpose(1, 2) / math.sqrt(q.shape[-1])
                    weights = torch.exp(scores - scores.amax(-1, keepdim=True)) * (1 - hidden)
                    pattern = weights / weights.sum(-1, keepdim=True)
                    write = write + pattern @ v[:, :, head] @ a.W_O[head]
                stream = stream + write
                stream = stream + block.mlp(block.ln2(stream))
            return model.unembed(model.ln_final(stream))
        """,
    ),
    RightAnswer(
        "merge_pair",
        "with a stack",
        """
        def merge_pair(symbols, pair):
            done, free = [], False
            for symbol in symbols:
                if free and (done[-1], symbol) == tuple(pair):
                    done[-1] += symbol
                    free = False
                else:
                    done.append(symbol)
                    free = True
            return done
        """,
    ),
    RightAnswer(
        "merge_pair",
        "recursively",
        """
        def merge_pair(symbols, pair):
            if len(symbols) < 2:
                return list(symbols)
            if symbols[0] == pair[0] and symbols[1] == pair[1]:
                return [pair[0] + pair[1]] + merge_pair(symbols[2:], pair)
            return [symbols[0]] + merge_pair(symbols[1:], pair)
        """,
    ),
    RightAnswer(
        "merge_pair",
        "an iterator that is looked ahead of",
        """
        def joined(symbols, pair):
            waiting = None
            for symbol in symbols:
                if waiting is None:
                    waiting = symbol
                elif (waiting, symbol) == (pair[0], pair[1]):
                    yield waiting + symbol
                    waiting = None
                else:
                    yield waiting
                    waiting = symbol
            if waiting is not None:
                yield waiting

        def merge_pair(symbols, pair):
            return list(joined(symbols, pair))
        """,
    ),
    RightAnswer(
        "train_bpe",
        "over the list of all words, symbols as numbers",
        """
        def train_bpe(text, n_merges):
            vocabulary = sorted(set(text))
            number = {symbol: i for i, symbol in enumerate(vocabulary)}
            words = [[number[c] for c in word] for word in split_words(text)]
            merges = []
            while len(merges) < n_merges:
                counts = {}
                for word in words:
                    for i in range(len(word) - 1):
                        counts[word[i], word[i + 1]] = counts.get((word[i], word[i + 1]), 0) + 1
                if len(counts) == 0:
                    break
                most = max(counts.values())
                left, right = min(pair for pair, n in counts.items() if n == most)
                joined = vocabulary[left] + vocabulary[right]
                merges.append((vocabulary[left], vocabulary[right]))
                if joined not in number:
                    number[joined] = len(vocabulary)
                    vocabulary.append(joined)
                for word in words:
                    i = 0
                    while i < len(word) - 1:
                        if word[i] == left and word[i + 1] == right:
                            word[i : i + 2] = [number[joined]]
                        i += 1
            return merges
        """,
    ),
    RightAnswer(
        "train_bpe",
        "sorted candidates, other cutting of words",
        """
        def train_bpe(text, n_merges):
            words = Counter(tuple(word) for word in re.findall(r"\\s?\\w+|\\s?[^\\w\\s]+|\\s+", text))
            age = sorted(set(text))
            merges = []
            for _ in range(n_merges):
                found = Counter()
                for word, times in words.items():
                    for pair, n in Counter(zip(word[:-1], word[1:])).items():
                        found.update({pair: n * times})
                ranked = sorted(found, key=lambda pair: (-found[pair], age.index(pair[0]), age.index(pair[1])))
                if not ranked:
                    return merges
                merges.append(ranked[0])
                if "".join(ranked[0]) not in age:
                    age.append("".join(ranked[0]))
                rewritten = Counter()
                for word, times in words.items():
                    rewritten[tuple(merge_pair(list(word), ranked[0]))] += times
                words = rewritten
            return merges
        """,
    ),
    RightAnswer(
        "train_bpe",
        "pair counts kept up to date in a class",
        """
        class Words:
            def __init__(self, text):
                self.parts = [(list(word), times) for word, times in Counter(split_words(text)).items()]
                self.age = {character: place for place, character in enumerate(sorted(set(text)))}

            def best(self):
                counts = Counter()
                for parts, times in self.parts:
                    for left, right in zip(parts, parts[1:]):
                        counts[left, right] += times
                key = lambda item: (-item[1], self.age[item[0][0]], self.age[item[0][1]])
                return min(counts.items(), key=key)[0] if counts else None

            def merge(self, pair):
                self.age.setdefault(pair[0] + pair[1], len(self.age))
                self.parts = [(merge_pair(parts, pair), times) for parts, times in self.parts]

        def train_bpe(text, n_merges):
            words, merges = Words(text), []
            while len(merges) < n_merges and (pair := words.best()) is not None:
                words.merge(pair)
                merges.append(pair)
            return merges
        """,
    ),
    RightAnswer(
        "encode",
        "earliest merge that is present, until none is",
        """
        def encode(text, merges):
            rank = {tuple(pair): i for i, pair in enumerate(merges)}
            encoded = []
            for word in split_words(text):
                symbols = list(word)
                while len(symbols) > 1:
                    order, place = min((rank.get(pair, len(rank)), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
                    if order == len(rank):
                        break
                    symbols[place : place + 2] = ["".join(symbols[place : place + 2])]
                encoded.extend(symbols)
            return encoded
        """,
    ),
    RightAnswer(
        "encode",
        "all words side by side, merge by merge",
        """
        def encode(text, merges):
            words = [[*word] for word in split_words(text)]
            for left, right in merges:
                for word in words:
                    i = 0
                    while i + 1 < len(word):
                        if word[i] == left and word[i + 1] == right:
                            word[i] += word.pop(i + 1)
                        i += 1
            return [symbol for word in words for symbol in word]
        """,
    ),
    RightAnswer(
        "encode",
        "word by word, with what was seen before kept",
        """
        from functools import lru_cache, reduce

        def encode(text, merges):
            @lru_cache(maxsize=None)
            def parts(word):
                return tuple(reduce(merge_pair, merges, list(word)))

            return [symbol for word in split_words(text) for symbol in parts(word)]
        """,
    ),
    RightAnswer(
        "beam_search",
        "over Python lists",
        """
        def beam_search(model, tokens, n_new, n_beams):
            n_ctx = len(model.pos_embed.W_pos)
            kept = [(0.0, tokens.tolist())]
            for _ in range(n_new):
                candidates = []
                for score, text in kept:
                    window = torch.tensor([text], device=tokens.device)[:, -n_ctx:]
                    log_probs = torch.log(model(window)[0, -1].double().softmax(-1)).tolist()
                    candidates += [(score + log_prob, text + [token]) for token, log_prob in enumerate(log_probs)]
                kept = sorted(candidates, reverse=True)[:n_beams]
            texts = torch.tensor([text for _, text in kept], device=tokens.device)
            return texts, torch.tensor([score for score, _ in kept], device=tokens.device)
        """,
    ),
    RightAnswer(
        "beam_search",
        "best few of every beam first, then the best of those",
        """
        def beam_search(model, tokens, n_new, n_beams):
            n_ctx = model.pos_embed.W_pos.shape[0]
            beams, scores = tokens.unsqueeze(0), torch.zeros(1, 1, dtype=torch.double, device=tokens.device)
            for _ in range(n_new):
                logits = model(beams[:, -n_ctx:])[:, -1].double()
                log_probs = logits - logits.logsumexp(dim=-1, keepdim=True)
                best = log_probs.topk(min(n_beams, log_probs.shape[-1]), dim=-1)
                longer = torch.cat([beams.repeat_interleave(best.indices.shape[1], dim=0), best.indices.reshape(-1, 1)], dim=1)
                totals = (scores + best.values).reshape(-1, 1)
                order = totals[:, 0].argsort(descending=True)[:n_beams]
                beams, scores = longer[order], totals[order]
            return beams, scores[:, 0]
        """,
    ),
    RightAnswer(
        "beam_search",
        "every text in full, scored from the start",
        """
        def beam_search(model, tokens, n_new, n_beams):
            window, prompt = model.pos_embed.W_pos.shape[0], len(tokens)

            def score(text):
                total = 0.0
                for end in range(prompt, len(text)):
                    seen = torch.tensor(text[max(0, end - window) : end], device=tokens.device)[None]
                    total += torch.log_softmax(model(seen)[0, -1].double(), dim=0)[text[end]].item()
                return total

            d_vocab = model.unembed.W_U.shape[1]
            kept = [tokens.tolist()]
            for _ in range(n_new):
                texts = [text + [token] for text in kept for token in range(d_vocab)]
                kept = sorted(texts, key=lambda text: -score(text))[:n_beams]
            scores = torch.tensor([score(text) for text in kept], device=tokens.device)
            return torch.tensor(kept, device=tokens.device), scores
        """,
    ),
]
