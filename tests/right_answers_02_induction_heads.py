"""This file knows right answers to chapter 2 that are written in other ways than the solutions: the checkers accept them."""

from utils.checking import RightAnswer

RIGHT_ANSWERS = [
    # 2.1
    RightAnswer(
        "pattern_from_cache",
        "through scaled_dot_product_attention on one-hot values",
        """
        def pattern_from_cache(cache, layer):
            q = cache[f"blocks.{layer}.attn.hook_q"].transpose(1, 2)
            k = cache[f"blocks.{layer}.attn.hook_k"].transpose(1, 2)
            tags = torch.eye(q.shape[2], dtype=q.dtype, device=q.device).expand(*q.shape[:2], -1, -1)
            return F.scaled_dot_product_attention(q, k, tags, is_causal=True)
        """,
    ),
    RightAnswer(
        "pattern_from_cache",
        "head after head, additive mask",
        """
        def pattern_from_cache(cache, layer):
            q, k = cache["q", layer], cache["k", layer]
            pos = q.shape[1]
            mask = torch.zeros(pos, pos, dtype=q.dtype, device=q.device)
            mask[torch.triu_indices(pos, pos, 1).unbind()] = -torch.inf
            heads = [
                torch.softmax(q[:, :, h] @ k[:, :, h].mT * q.shape[-1] ** -0.5 + mask, dim=-1) for h in range(q.shape[2])
            ]
            return torch.stack(heads, dim=1)
        """,
    ),
    RightAnswer(
        "pattern_from_cache",
        "query by query, over the keys in reach only",
        """
        def pattern_from_cache(cache, layer):
            q, k = (einops.rearrange(cache[name, layer], "b p h d -> b h p d") for name in ("q", "k"))
            pattern = torch.zeros(*q.shape[:3], q.shape[2], dtype=q.dtype, device=q.device)
            for i in range(q.shape[2]):
                scores = einops.einsum(q[:, :, i], k[:, :, : i + 1], "b h d, b h key d -> b h key")
                pattern[:, :, i, : i + 1] = F.softmax(scores / q.shape[-1] ** 0.5, dim=-1)
            return pattern
        """,
    ),
    # 2.2
    RightAnswer(
        "current_token_score",
        "loop over queries",
        """
        def current_token_score(pattern):
            pos = pattern.shape[-1]
            return sum(pattern[:, :, i, i].mean(0) for i in range(1, pos)) / (pos - 1)
        """,
    ),
    RightAnswer(
        "current_token_score",
        "einsum with one name for query and key",
        """
        def current_token_score(pattern):
            inside = pattern[:, :, 1:, 1:]
            return torch.einsum("bhii->h", inside) / (inside.shape[0] * inside.shape[-1])
        """,
    ),
    RightAnswer(
        "current_token_score",
        "multiplied by the unit matrix",
        """
        def current_token_score(pattern):
            unit = torch.eye(pattern.shape[-1], dtype=pattern.dtype, device=pattern.device)
            unit[0, 0] = 0
            return (pattern * unit).sum(dim=(-2, -1)).mean(dim=0) / unit.sum()
        """,
    ),
    # 2.3
    RightAnswer(
        "previous_token_score",
        "indexed by two ranges",
        """
        def previous_token_score(pattern):
            queries = torch.arange(1, pattern.shape[-1], device=pattern.device)
            return einops.reduce(pattern[:, :, queries, queries - 1], "batch head query -> head", "mean")
        """,
    ),
    RightAnswer(
        "previous_token_score",
        "main diagonal of what is left",
        """
        def previous_token_score(pattern):
            shifted = pattern[..., 1:, :-1]
            return torch.diagonal(shifted, dim1=2, dim2=3).mean(-1).mean(0)
        """,
    ),
    RightAnswer(
        "previous_token_score",
        "loops",
        """
        def previous_token_score(pattern):
            batch, n_heads, pos, _ = pattern.shape
            scores = pattern.new_zeros(n_heads)
            for head in range(n_heads):
                for text in range(batch):
                    for query in range(1, pos):
                        scores[head] += pattern[text, head, query, query - 1]
            return scores / (batch * (pos - 1))
        """,
    ),
    # 2.4
    RightAnswer(
        "first_token_score",
        "reduced by name",
        """
        def first_token_score(pattern):
            return einops.reduce(pattern[..., 0][..., 1:], "batch head query -> head", "mean")
        """,
    ),
    RightAnswer(
        "first_token_score",
        "all queries, and the first taken off again",
        """
        def first_token_score(pattern):
            pos = pattern.shape[-1]
            column = pattern[:, :, :, 0].mean(dim=0).sum(dim=-1)
            return (column - 1) / (pos - 1)
        """,
    ),
    RightAnswer(
        "first_token_score",
        "text by text, by einsum",
        """
        def first_token_score(pattern):
            counted = torch.ones(pattern.shape[-1], dtype=pattern.dtype, device=pattern.device)
            counted[0] = 0
            scores = [torch.einsum("hq,q->h", text[:, :, 0], counted) / counted.sum() for text in pattern]
            return torch.stack(scores).mean(0)
        """,
    ),
    # 2.5
    RightAnswer(
        "repeated_tokens",
        "drawn from a list without BOS",
        """
        def repeated_tokens(d_vocab, batch, length, bos, generator):
            others = torch.tensor([token for token in range(d_vocab) if token != bos], device=generator.device)
            places = torch.randint(len(others), (batch, length), generator=generator, device=generator.device)
            segment = others[places]
            tokens = torch.full((batch, 1 + 2 * length), bos, device=generator.device)
            tokens[:, 1 : length + 1] = segment
            tokens[:, length + 1 :] = segment
            return tokens
        """,
    ),
    RightAnswer(
        "repeated_tokens",
        "drawn again where BOS came up",
        """
        def repeated_tokens(d_vocab, batch, length, bos, generator):
            segment = torch.randint(0, d_vocab, (batch, length), generator=generator, device=generator.device)
            while (segment == bos).any():
                again = torch.randint(0, d_vocab, segment.shape, generator=generator, device=generator.device)
                segment = torch.where(segment == bos, again, segment)
            return F.pad(segment.repeat(1, 2), (1, 0), value=bos)
        """,
    ),
    RightAnswer(
        "repeated_tokens",
        "the last token stands in for BOS",
        """
        def repeated_tokens(d_vocab, batch, length, bos, generator):
            segment = torch.randint(high=d_vocab - 1, size=(batch, length), generator=generator, device=generator.device)
            segment[segment == bos] = d_vocab - 1
            rows = [[bos, *words, *words] for words in segment.tolist()]
            return torch.tensor(rows, device=generator.device)
        """,
    ),
    RightAnswer(
        "repeated_tokens",
        "by multinomial with weight 0 for BOS",
        """
        def repeated_tokens(d_vocab, batch, length, bos, generator):
            weights = torch.ones(batch, d_vocab, device=generator.device)
            weights[:, bos] = 0
            segment = torch.multinomial(weights, length, replacement=True, generator=generator)
            segment = einops.repeat(segment, "batch length -> batch (twice length)", twice=2)
            return torch.hstack([segment.new_full((batch, 1), bos), segment])
        """,
    ),
    # 2.6
    RightAnswer(
        "per_token_log_probs",
        "minus the cross-entropy",
        """
        def per_token_log_probs(logits, tokens):
            batch, pos = tokens.shape
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
            return -loss.reshape(batch, pos - 1)
        """,
    ),
    RightAnswer(
        "per_token_log_probs",
        "right logit minus logsumexp, by index",
        """
        def per_token_log_probs(logits, tokens):
            batch, pos = tokens.shape
            texts = torch.arange(batch, device=tokens.device)[:, None]
            places = torch.arange(pos - 1, device=tokens.device)
            return logits[texts, places, tokens[:, 1:]] - logits[:, :-1].logsumexp(-1)
        """,
    ),
    RightAnswer(
        "per_token_log_probs",
        "loops",
        """
        def per_token_log_probs(logits, tokens):
            batch, pos = tokens.shape
            rows = []
            for b in range(batch):
                rows.append(torch.stack([F.log_softmax(logits[b, i], dim=0)[tokens[b, i + 1]] for i in range(pos - 1)]))
            return torch.stack(rows)
        """,
    ),
    # 2.7
    RightAnswer(
        "induction_score",
        "indexed by two ranges",
        """
        def induction_score(pattern, length):
            queries = torch.arange(length + 1, 2 * length + 1, device=pattern.device)
            return pattern[:, :, queries, queries - length + 1].mean(dim=-1).mean(dim=0)
        """,
    ),
    RightAnswer(
        "induction_score",
        "main diagonal of a block",
        """
        def induction_score(pattern, length):
            block = pattern[:, :, length + 1 :, 2 : length + 2]
            return einops.einsum(block.diagonal(dim1=-2, dim2=-1), "batch head query -> head") / (len(block) * length)
        """,
    ),
    RightAnswer(
        "induction_score",
        "loop over places",
        """
        def induction_score(pattern, length):
            total = torch.zeros_like(pattern[0, :, 0, 0])
            for place in range(1, length + 1):
                total = total + pattern[:, :, length + place, place + 1].mean(0)
            return total / length
        """,
    ),
    # 2.8
    RightAnswer(
        "induction_scores",
        "one hook for each layer, by partial",
        """
        def induction_scores(model, tokens, length):
            found = {}

            def store(pattern, hook, layer):
                found[layer] = induction_score(pattern, length)

            hooks = [(f"blocks.{n}.attn.hook_pattern", partial(store, layer=n)) for n in range(model.cfg.n_layers)]
            model.run_with_hooks(tokens, fwd_hooks=hooks)
            return torch.stack([found[layer] for layer in range(model.cfg.n_layers)])
        """,
    ),
    RightAnswer(
        "induction_scores",
        "hooks added and taken off by hand",
        """
        def induction_scores(model, tokens, length):
            rows = []
            try:
                for layer in range(model.cfg.n_layers):
                    model.add_hook(f"blocks.{layer}.attn.hook_pattern", lambda pattern, hook: rows.append(pattern.clone()) or None)
                model(tokens)
            finally:
                model.reset_hooks()
            queries = torch.arange(length + 1, 2 * length + 1, device=tokens.device)
            return torch.stack([row[:, :, queries, queries - (length - 1)].mean(dim=(0, 2)) for row in rows])
        """,
    ),
    RightAnswer(
        "induction_scores",
        "within model.hooks",
        """
        def induction_scores(model, tokens, length):
            scores = {}
            with torch.no_grad(), model.hooks(
                fwd_hooks=[
                    (lambda name: "hook_pattern" in name, lambda p, hook: scores.update({hook.name: induction_score(p, length)}))
                ]
            ):
                model(tokens)
            return torch.stack([scores[f"blocks.{layer}.attn.hook_pattern"] for layer in range(model.cfg.n_layers)])
        """,
    ),
    RightAnswer(
        "induction_scores",
        "from a cache of patterns alone",
        """
        def induction_scores(model, tokens, length):
            _, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))
            return torch.stack([induction_score(cache["pattern", layer], length) for layer in range(model.cfg.n_layers)])
        """,
    ),
    RightAnswer(
        "logit_lens",
        "hooks on the streams, LayerNorm by hand",
        """
        def logit_lens(model, tokens):
            names = [f"blocks.{i}.hook_resid_pre" for i in range(model.cfg.n_layers)]
            names.append(f"blocks.{model.cfg.n_layers - 1}.hook_resid_post")
            kept = {}

            def keep(x, hook, name):
                kept[name] = x

            model.run_with_hooks(tokens, fwd_hooks=[(name, partial(keep, name=name)) for name in names])
            rows = []
            for name in names:
                x = kept[name]
                if model.cfg.normalization_type is not None:
                    x = F.layer_norm(x, (x.shape[-1],), eps=model.cfg.eps)
                rows.append(x @ model.W_U + model.b_U)
            return torch.stack(rows, dim=0)
        """,
    ),
    RightAnswer(
        "logit_lens",
        "TransformerLens' accumulated stream, one row at a time",
        """
        def logit_lens(model, tokens):
            _, cache = model.run_with_cache(tokens)
            stack = cache.accumulated_resid(layer=-1, incl_mid=False, apply_ln=True)
            return torch.cat([model.unembed(row)[None] for row in stack])
        """,
    ),
    RightAnswer(
        "logit_lens",
        "a running sum of what each layer writes",
        """
        def logit_lens(model, tokens):
            _, cache = model.run_with_cache(tokens)
            resid = cache["embed"] + cache["pos_embed"]
            rows = [model.unembed(model.ln_final(resid))]
            for layer in range(model.cfg.n_layers):
                resid = resid + cache["attn_out", layer]
                if not model.cfg.attn_only:
                    resid = resid + cache["mlp_out", layer]
                rows.append(model.unembed(model.ln_final(resid)))
            return torch.stack(rows)
        """,
    ),
    RightAnswer(
        "logit_attribution",
        "part by part in a loop, mean subtracted, with the column of each token",
        """
        def logit_attribution(model, cache, tokens):
            batch, pos = tokens.shape
            scale = cache["ln_final.hook_scale"]

            def contribution(write):
                x = (write - write.mean(dim=-1, keepdim=True)) / scale
                return torch.stack(
                    [torch.stack([x[b, p] @ model.W_U[:, tokens[b, p + 1]] for p in range(pos - 1)]) for b in range(batch)]
                )

            rows = [contribution(cache["hook_embed"]), contribution(cache["hook_pos_embed"].expand(batch, -1, -1))]
            for layer in range(model.cfg.n_layers):
                z = cache[f"blocks.{layer}.attn.hook_z"]
                for head in range(model.cfg.n_heads):
                    rows.append(contribution(z[:, :, head] @ model.W_O[layer, head]))
                rows.append(contribution(model.b_O[layer].repeat(batch, pos, 1)))
                if not model.cfg.attn_only:
                    rows.append(contribution(cache[f"blocks.{layer}.hook_mlp_out"]))
            rows.append(model.b_U[tokens[:, 1:]])
            return torch.stack(rows)
        """,
    ),
    RightAnswer(
        "logit_attribution",
        "all logits first, then gather",
        """
        def logit_attribution(model, cache, tokens):
            embed = cache["embed"]
            parts = [embed[None], torch.zeros_like(embed)[None] + cache["pos_embed"]]
            for layer in range(model.cfg.n_layers):
                parts.append(torch.einsum("bphd,hdm->hbpm", cache["z", layer], model.W_O[layer]))
                parts.append((torch.zeros_like(embed) + model.b_O[layer])[None])
                if f"blocks.{layer}.hook_mlp_out" in cache:
                    parts.append(cache["mlp_out", layer][None])
            logits = (torch.cat(parts) / cache["ln_final.hook_scale"]) @ model.W_U
            logits = torch.cat([logits, model.b_U.expand_as(logits[:1])])[:, :, :-1]
            index = tokens[:, 1:].expand(len(logits), -1, -1)
            return logits.gather(-1, index[..., None]).squeeze(-1)
        """,
    ),
    RightAnswer(
        "logit_attribution",
        "TransformerLens' own stacks and frozen LayerNorm",
        """
        def logit_attribution(model, cache, tokens):
            cfg = model.cfg
            heads = cache.stack_head_results(layer=-1)
            embed = cache["embed"]
            writes = [embed, cache["pos_embed"].expand_as(embed)]
            for layer in range(cfg.n_layers):
                writes += list(heads[layer * cfg.n_heads : (layer + 1) * cfg.n_heads])
                writes.append(cache["attn_out", layer] - heads[layer * cfg.n_heads : (layer + 1) * cfg.n_heads].sum(0))
                if not cfg.attn_only:
                    writes.append(cache["mlp_out", layer])
            stack = cache.apply_ln_to_stack(torch.stack(writes), layer=-1)
            answer = tokens.roll(-1, dims=1)
            directions = einops.rearrange(model.W_U, "d v -> v d")[answer]
            result = (stack * directions).sum(-1)
            return torch.cat([result, model.b_U[answer][None]])[:, :, :-1]
        """,
    ),
    RightAnswer(
        "ablate_head",
        "in place in the hook, which returns nothing",
        """
        def ablate_head(model, tokens, layer, head, how="zero"):
            def to_zero(z, hook):
                z[:, :, head] = 0

            def to_mean(z, hook):
                z[:, :, head] = z[:, :, head].mean((0, 1))

            if how == "zero":
                hook = to_zero
            elif how == "mean":
                hook = to_mean
            else:
                raise ValueError(f"no such way to ablate: {how}")
            return model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)])
        """,
    ),
    RightAnswer(
        "ablate_head",
        "torch.where over a mask of heads, in the context of model.hooks",
        """
        def ablate_head(model, tokens, layer, head, how="zero"):
            assert isinstance(how, str)
            if how not in {"mean", "zero"}:
                raise ValueError("how is " + repr(how))

            def hook(z, hook):
                chosen = (torch.arange(z.shape[2], device=z.device) == head)[None, None, :, None]
                mean = einops.reduce(z, "batch pos head d_head -> 1 1 head d_head", "mean")
                return torch.where(chosen, mean if how == "mean" else torch.zeros_like(z), z)

            with model.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)]):
                return model(tokens)
        """,
    ),
    RightAnswer(
        "ablate_head",
        "from a first run's cache, by what the layer writes",
        """
        def ablate_head(model, tokens, layer, head, how="zero"):
            if how not in ("zero", "mean"):
                raise ValueError(f"how={how!r} is neither zero nor mean")
            _, cache = model.run_with_cache(tokens)
            written = cache["z", layer][:, :, head] @ model.W_O[layer, head]
            stays = written.mean(dim=(0, 1), keepdim=True) if how == "mean" else 0
            model.add_hook(f"blocks.{layer}.hook_attn_out", lambda out, hook: out - written + stays)
            try:
                return model(tokens)
            finally:
                model.reset_hooks()
        """,
    ),
    RightAnswer(
        "ablation_scores",
        "TransformerLens' loss per token and hooks of its own",
        """
        def ablation_scores(model, tokens, length, how="zero"):
            def loss():
                return model(tokens, return_type="loss", loss_per_token=True)[:, length + 1 :].mean()

            before = loss().item()
            rows = []
            for layer in range(model.cfg.n_layers):
                row = []
                for head in range(model.cfg.n_heads):
                    def replace(z, hook, head=head):
                        z = z.clone()
                        z[:, :, head] = z[:, :, head].mean(dim=(0, 1)) if how == "mean" else 0
                        return z

                    with model.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_z", replace)]):
                        row.append(loss().item() - before)
                rows.append(row)
            return torch.tensor(rows, device=tokens.device)
        """,
    ),
    RightAnswer(
        "ablation_scores",
        "cross-entropy of the last length - 1 words, as a comprehension",
        """
        def ablation_scores(model, tokens, length, how="zero"):
            predicted, words = slice(-length, -1), tokens[:, -(length - 1):].flatten()

            def loss(logits):
                return F.cross_entropy(logits[:, predicted].flatten(0, 1), words)

            whole = loss(model(tokens))
            return torch.stack([
                torch.stack([loss(ablate_head(model, tokens, layer, head, how=how)) - whole for head in range(model.cfg.n_heads)])
                for layer in range(model.cfg.n_layers)
            ])
        """,
    ),
    RightAnswer(
        "ablation_scores",
        "every pass through TransformerLens' hooks with a table of losses filled in place",
        """
        def nats(model, tokens, length, layer=None, head=None, how="zero"):
            logits = model(tokens) if layer is None else ablate_head(model, tokens, layer, head, how)
            log_probs = torch.log_softmax(logits[:, length + 1 : 2 * length].double(), dim=-1)
            targets = tokens[:, length + 2 :, None]
            return -torch.take_along_dim(log_probs, targets, dim=-1).sum() / targets.numel()

        def ablation_scores(model, tokens, length, how="zero"):
            table = torch.full((model.cfg.n_layers, model.cfg.n_heads), -nats(model, tokens, length).item(), dtype=torch.double)
            for index in range(table.numel()):
                layer, head = divmod(index, model.cfg.n_heads)
                table[layer, head] += nats(model, tokens, length, layer, head, how)
            return table.to(tokens.device)
        """,
    ),
    RightAnswer(
        "ov_circuit",
        "TransformerLens' own factored matrices",
        """
        def ov_circuit(model, layer, head):
            return model.W_E @ FactoredMatrix(model.W_V[layer, head], model.W_O[layer, head]) @ model.W_U
        """,
    ),
    RightAnswer(
        "ov_circuit",
        "cut at another place, with einsum",
        """
        def ov_circuit(model, layer, head):
            W_OV = einops.einsum(model.W_V, model.W_O, "l h a d, l h d b -> l h a b")[layer][head]
            return FactoredMatrix(einops.einsum(model.W_E, W_OV, "s a, a b -> s b"), model.W_U)
        """,
    ),
    RightAnswer(
        "ov_circuit",
        "the weights of the block, in float64 on the way",
        """
        def ov_circuit(model, layer, head):
            attn = model.blocks[layer].attn
            W_V, W_O = attn.W_V[head].double(), attn.W_O[head].double()
            left = (model.W_E.double() @ W_V).to(model.W_E.dtype)
            right = torch.einsum("dm,mv->dv", W_O, model.W_U.double()).to(model.W_U.dtype)
            return FactoredMatrix(left, right)
        """,
    ),
    RightAnswer(
        "copying_score",
        "topk",
        """
        def copying_score(circuit, k=1):
            best = circuit.AB.topk(k, dim=-1).indices
            own = torch.arange(len(best), device=best.device)[:, None]
            return (best == own).any(dim=-1).float().mean().item()
        """,
    ),
    RightAnswer(
        "copying_score",
        "sorted row by row in Python",
        """
        def copying_score(circuit, k=1):
            hits = 0
            for word in range(circuit.shape[0]):
                row = (circuit.A[word] @ circuit.B).tolist()
                hits += word in sorted(range(len(row)), key=lambda out: -row[out])[:k]
            return hits / circuit.shape[0]
        """,
    ),
    RightAnswer(
        "copying_score",
        "the diagonal against the k-th value of its row",
        """
        def copying_score(circuit, k=1):
            logits = (circuit.A @ circuit.B).double()
            size = logits.shape[1]
            kth_highest = logits.kthvalue(size - k + 1, dim=1).values
            return torch.mean((logits.diagonal() >= kth_highest).double()).item()
        """,
    ),
    RightAnswer(
        "eigenvalue_copying_score",
        "the factored matrix knows its eigenvalues",
        """
        def eigenvalue_copying_score(circuit):
            values = circuit.eigenvalues
            return float(values.sum().real / values.abs().sum())
        """,
    ),
    RightAnswer(
        "eigenvalue_copying_score",
        "the trace of the whole product, lengths by hand",
        """
        def eigenvalue_copying_score(circuit):
            dense = circuit.AB.double()
            values = torch.linalg.eigvals(dense).tolist()
            lengths = sum(math.hypot(value.real, value.imag) for value in values)
            return dense.trace().item() / lengths
        """,
    ),
    RightAnswer(
        "eigenvalue_copying_score",
        "the whole matrix in complex numbers, largest eigenvalues only",
        """
        def eigenvalue_copying_score(circuit):
            A, B = circuit.A.to(torch.complex128), circuit.B.to(torch.complex128)
            values = torch.linalg.eig(torch.einsum("iw,wj->ij", B, A)).eigenvalues
            lengths = torch.sqrt(values.real**2 + values.imag**2)
            return torch.real(values).sum().div(lengths.sum()).item()
        """,
    ),
    RightAnswer(
        "previous_token_circuit",
        "factored, one query at a time",
        """
        def previous_token_circuit(model, layer, head, ln_scale=1.0):
            W_QK = FactoredMatrix(model.W_Q[layer, head], model.W_K[layer, head].T)
            scores = (model.W_pos @ W_QK @ model.W_pos.T).AB / (ln_scale**2 * model.W_Q.shape[-1] ** 0.5)
            pattern = torch.zeros_like(scores)
            for query in range(len(scores)):
                pattern[query, : query + 1] = F.softmax(scores[query, : query + 1], dim=0)
            return pattern
        """,
    ),
    RightAnswer(
        "previous_token_circuit",
        "exponentials, in float64",
        """
        def previous_token_circuit(model, layer, head, ln_scale=1.0):
            W_pos = model.W_pos.double() / ln_scale
            q = torch.einsum("pm,md->pd", W_pos, model.W_Q[layer, head].double())
            k = torch.einsum("pm,md->pd", W_pos, model.W_K[layer, head].double())
            weights = (q @ k.T * model.cfg.d_head**-0.5).exp().tril()
            return weights / weights.sum(-1, keepdim=True)
        """,
    ),
    RightAnswer(
        "previous_token_circuit",
        "two loops",
        """
        def previous_token_circuit(model, layer, head, ln_scale=1.0):
            n_ctx, root = model.W_pos.shape[0], math.sqrt(model.W_Q.shape[-1])
            q = [position / ln_scale @ model.W_Q[layer, head] for position in model.W_pos]
            k = [position / ln_scale @ model.W_K[layer, head] for position in model.W_pos]
            rows = []
            for query in range(n_ctx):
                scores = torch.stack([torch.dot(q[query], k[key]) / root for key in range(query + 1)])
                rows.append(F.pad(torch.softmax(scores, dim=0), (0, n_ctx - query - 1)))
            return torch.stack(rows)
        """,
    ),
    RightAnswer(
        "decompose_resid",
        "TransformerLens' head results, the bias as what is left",
        """
        def decompose_resid(cache, layer):
            model, shape = cache.model, cache["embed"].shape
            parts = [cache["embed"][None], cache["pos_embed"].expand(shape)[None]]
            for earlier in range(layer):
                z = cache[f"blocks.{earlier}.attn.hook_z"]
                heads = torch.einsum("bphd,hdm->hbpm", z, model.blocks[earlier].attn.W_O)
                parts += [heads, (cache["attn_out", earlier] - heads.sum(0))[None]]
                if f"blocks.{earlier}.hook_mlp_out" in cache.keys():
                    parts.append(cache[f"blocks.{earlier}.hook_mlp_out"][None])
            return torch.cat(parts)
        """,
    ),
    RightAnswer(
        "decompose_resid",
        "loops over heads, in a list",
        """
        def decompose_resid(cache, layer):
            model = cache.model
            parts = [cache["hook_embed"], cache["hook_pos_embed"]]
            for l in range(layer):
                for h in range(model.cfg.n_heads):
                    parts.append(cache["z", l][:, :, h] @ model.W_O[l, h])
                parts.append(torch.zeros_like(parts[0]) + model.b_O[l])
                if "mlp_out" in "".join(name for name in cache.keys() if name.startswith(f"blocks.{l}.")):
                    parts.append(cache["resid_post", l] - cache["resid_mid", l])
            return torch.stack(parts, dim=0)
        """,
    ),
    RightAnswer(
        "decompose_resid",
        "written into room of the right size",
        """
        def decompose_resid(cache, layer):
            model, embed = cache.model, cache["hook_embed"]
            has_mlp = not model.cfg.attn_only
            each = model.cfg.n_heads + 1 + has_mlp
            room = embed.new_zeros((2 + each * layer, *embed.shape))
            room[0], room[1] = embed, cache["hook_pos_embed"]
            for earlier in range(layer):
                start = 2 + each * earlier
                for head in range(model.cfg.n_heads):
                    room[start + head] = cache["z", earlier][..., head, :].matmul(model.W_O[earlier, head])
                room[start + model.cfg.n_heads] += model.b_O[earlier]
                if has_mlp:
                    room[start + each - 1] = cache[f"blocks.{earlier}.hook_mlp_out"]
            return room
        """,
    ),
    RightAnswer(
        "attention_scores_by_input",
        "pair by pair",
        """
        def attention_scores_by_input(model, cache, layer, head):
            scale = (cache["resid_pre", layer].var(-1, unbiased=False, keepdim=True) + model.cfg.eps).sqrt()
            parts = list(decompose_resid(cache, layer))
            like = cache["q", layer][:, :, head]
            q = [part / scale @ model.W_Q[layer, head] for part in parts] + [model.b_Q[layer, head].expand_as(like)]
            k = [part / scale @ model.W_K[layer, head] for part in parts] + [model.b_K[layer, head].expand_as(like)]
            rows = [torch.stack([a @ b.transpose(1, 2) / model.cfg.d_head**0.5 for b in k]) for a in q]
            return torch.stack(rows)
        """,
    ),
    RightAnswer(
        "attention_scores_by_input",
        "through W_QK, the biases by what they add",
        """
        def attention_scores_by_input(model, cache, layer, head):
            x = decompose_resid(cache, layer) / cache[f"blocks.{layer}.ln1.hook_scale"]
            W_Q, W_K = model.W_Q[layer, head], model.W_K[layer, head]
            b_Q, b_K = model.b_Q[layer, head], model.b_K[layer, head]
            n, batch, pos, _ = x.shape
            scores = x.new_zeros(n + 1, n + 1, batch, pos, pos)
            scores[:n, :n] = torch.einsum("ibqm,mn,jbkn->ijbqk", x, W_Q @ W_K.T, x)
            scores[:n, n] = (x @ W_Q @ b_K)[..., None]
            scores[n, :n] = (x @ W_K @ b_Q)[..., None, :]
            scores[n, n] = b_Q @ b_K
            return scores / W_Q.shape[1] ** 0.5
        """,
    ),
    RightAnswer(
        "attention_scores_by_input",
        "the bias as one more part that is read as 1",
        """
        def attention_scores_by_input(model, cache, layer, head):
            parts = decompose_resid(cache, layer)
            parts = parts / cache[f"blocks.{layer}.ln1.hook_scale"]
            ones = torch.ones(1, *parts.shape[1:-1], 1, device=parts.device)
            padded = torch.cat([F.pad(parts, (0, 1)), F.pad(ones, (parts.shape[-1], 0))])
            q = padded @ torch.cat([model.W_Q[layer, head], model.b_Q[layer, head][None]])
            k = padded @ torch.cat([model.W_K[layer, head], model.b_K[layer, head][None]])
            return torch.einsum("ibqd,jbkd->ijbqk", q, k).div(model.cfg.d_head**0.5)
        """,
    ),
    RightAnswer(
        "composition_score",
        "sums of squares",
        """
        def composition_score(W_A, W_B):
            product = torch.einsum("ab,bc->ac", W_A, W_B)
            return math.sqrt(product.pow(2).sum() / (W_A.pow(2).sum() * W_B.pow(2).sum()))
        """,
    ),
    RightAnswer(
        "composition_score",
        "norms first, as a tensor's float",
        """
        def composition_score(W_A, W_B):
            W_A, W_B = W_A.double(), W_B.double()
            W_A, W_B = W_A / torch.linalg.matrix_norm(W_A), W_B / torch.linalg.matrix_norm(W_B)
            return float(torch.linalg.matrix_norm(W_A @ W_B, ord="fro"))
        """,
    ),
    RightAnswer(
        "composition_score",
        "loops over the rows of the product",
        """
        def frobenius(matrix):
            return math.sqrt(sum(entry * entry for row in matrix.tolist() for entry in row))

        def composition_score(W_A, W_B):
            product = torch.stack([row @ W_B for row in W_A])
            return frobenius(product) / frobenius(W_A) / frobenius(W_B)
        """,
    ),
    RightAnswer(
        "composition_scores",
        "all pairs at once",
        """
        def composition_scores(model, kind):
            W_OV = model.W_V @ model.W_O
            W_QK = model.W_Q @ model.W_K.transpose(-2, -1)
            if kind == "Q":
                reads = W_QK[1]
            elif kind == "K":
                reads = W_QK[1].transpose(-2, -1)
            elif kind == "V":
                reads = W_OV[1]
            else:
                raise ValueError(f"no kind of composition: {kind}")
            products = torch.einsum("eab,lbc->elac", W_OV[0], reads)
            return products.norm(dim=(-2, -1)) / (W_OV[0].norm(dim=(-2, -1))[:, None] * reads.norm(dim=(-2, -1)))
        """,
    ),
    RightAnswer(
        "composition_scores",
        "a list of lists",
        """
        def composition_scores(model, kind):
            heads = range(model.cfg.n_heads)
            left, right = {"Q": ("W_Q", "W_K"), "K": ("W_K", "W_Q"), "V": ("W_V", "W_O")}.get(kind, (None, None))
            if left is None:
                raise ValueError("kind is Q, K or V, not " + repr(kind))
            def read(head):
                a, b = getattr(model, left)[1, head], getattr(model, right)[1, head]
                return a @ (b if kind == "V" else b.T)
            rows = [[composition_score(model.W_V[0, e] @ model.W_O[0, e], read(l)) for l in heads] for e in heads]
            return torch.tensor(rows, device=model.W_E.device)
        """,
    ),
    RightAnswer(
        "composition_scores",
        "factored matrices of TransformerLens",
        """
        def composition_scores(model, kind):
            earlier = [FactoredMatrix(model.W_V[0, head], model.W_O[0, head]) for head in range(model.cfg.n_heads)]

            def reads(head):
                W_QK = FactoredMatrix(model.W_Q[1, head], model.W_K[1, head].T)
                W_OV = FactoredMatrix(model.W_V[1, head], model.W_O[1, head])
                match kind:
                    case "Q":
                        return W_QK
                    case "K":
                        return W_QK.T
                    case "V":
                        return W_OV
                raise ValueError(f"{kind!r} is none of Q, K, V")

            later = [reads(head) for head in range(model.cfg.n_heads)]
            norms = [[(a @ b).norm() / (a.norm() * b.norm()) for b in later] for a in earlier]
            return torch.stack([torch.stack(row) for row in norms])
        """,
    ),
    RightAnswer(
        "skip_trigrams",
        "all triples at once",
        """
        def skip_trigrams(model, layer, head, k, ln_scale=1.0):
            x = model.W_E / ln_scale
            q, key, v = (x @ W[layer, head] for W in (model.W_Q, model.W_K, model.W_V))
            pattern = F.softmax(q @ key.T / model.cfg.d_head**0.5, dim=1)
            writes = v @ (model.W_O[layer, head] @ model.W_U)
            table = torch.einsum("ds,so->sdo", pattern, writes)
            d_vocab, flat = len(x), table.reshape(-1)
            order = flat.argsort(descending=True)[:k].tolist()
            return [(i // d_vocab**2, i // d_vocab % d_vocab, i % d_vocab, flat[i].item()) for i in order]
        """,
    ),
    RightAnswer(
        "skip_trigrams",
        "loops and a sort, entries as lists",
        """
        def skip_trigrams(model, layer, head, k, ln_scale=1.0):
            writes = ov_circuit(model, layer, head).AB / ln_scale
            W_QK = model.W_Q[layer, head] @ model.W_K[layer, head].T
            found = []
            for destination, row in enumerate(model.W_E):
                scores = model.W_E @ (row @ W_QK) / ln_scale**2 / math.sqrt(model.W_Q.shape[-1])
                shares = scores.softmax(0)
                for source in range(len(scores)):
                    best = (shares[source] * writes[source]).sort(descending=True)
                    found += [[source, destination, o, s] for s, o in zip(best.values.tolist(), best.indices.tolist())][:k]
            return sorted(found, key=lambda entry: entry[3], reverse=True)[:k]
        """,
    ),
    RightAnswer(
        "skip_trigrams",
        "a heap of the k best, source by source",
        """
        def skip_trigrams(model, layer, head, k, ln_scale=1.0):
            import heapq

            words = model.W_E.double() / ln_scale
            W_Q, W_K, W_V, W_O = (weights[layer, head].double() for weights in (model.W_Q, model.W_K, model.W_V, model.W_O))
            scores = torch.einsum("dm,mh,nh,sn->ds", words, W_Q, W_K, words) * model.cfg.d_head**-0.5
            shares = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
            heap = []
            for source in range(len(words)):
                written = words[source] @ W_V @ W_O @ model.W_U.double()
                strengths = torch.outer(shares[:, source], written)
                best = strengths.flatten().topk(min(k, strengths.numel()))
                for value, place in zip(best.values.tolist(), best.indices.tolist()):
                    heapq.heappush(heap, (value, source, *divmod(place, strengths.shape[1])))
                heap = heapq.nlargest(k, heap)
                heapq.heapify(heap)
            return [(source, destination, out, value) for value, source, destination, out in heapq.nlargest(k, heap)]
        """,
    ),
    RightAnswer(
        "in_context_learning_score",
        "means of the columns in float64",
        """
        def in_context_learning_score(losses, early, late):
            means = losses.double().mean(dim=0)
            return float(means[late] - means[early])
        """,
    ),
    RightAnswer(
        "in_context_learning_score",
        "a sum in Python",
        """
        def in_context_learning_score(losses, early, late):
            total = 0.0
            for text in losses.tolist():
                total += text[late] - text[early]
            return total / len(losses)
        """,
    ),
    RightAnswer(
        "in_context_learning_score",
        "einops, and a tensor that holds one number",
        """
        def in_context_learning_score(losses, early, late):
            by_place = einops.reduce(losses, "batch pos -> pos", "mean")
            return by_place[[early, late]].diff()[0]
        """,
    ),
    RightAnswer(
        "scores_along_training",
        "a function for one model, induction by hooks, a table at the end",
        """
        def scores_along_training(steps, load, tokens, length):
            def measure(model):
                losses = model(tokens, return_type="loss", loss_per_token=True)
                previous = []

                def keep(pattern, hook):
                    previous.append(previous_token_score(pattern).max().item())

                names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
                model.run_with_hooks(tokens, fwd_hooks=[(name, keep) for name in names])
                return [
                    losses[:, 1:length].mean().item(),
                    losses[:, length + 1 :].mean().item(),
                    induction_scores(model, tokens, length).max().item(),
                    max(previous),
                ]

            table = torch.tensor([measure(load(step)) for step in steps], device=tokens.device, dtype=torch.float64)
            names = ["loss, first half", "loss, second half", "induction", "previous token"]
            return dict(zip(names, table.T))
        """,
    ),
    RightAnswer(
        "scores_along_training",
        "filled in place, with diagonals and cross-entropy of its own",
        """
        def scores_along_training(steps, load, tokens, length):
            names = ("previous token", "induction", "loss, second half", "loss, first half")
            result = {name: torch.zeros(len(steps), device=tokens.device, dtype=torch.float64) for name in names}
            for index, step in enumerate(steps):
                model = load(step)
                logits, cache = model.run_with_cache(tokens)
                loss = F.cross_entropy(logits[:, :-1].mT, tokens[:, 1:], reduction="none")
                result["loss, first half"][index] = loss[:, 1:length].mean()
                result["loss, second half"][index] = loss[:, 1 - length :].mean()
                for layer in range(model.cfg.n_layers):
                    pattern = cache["pattern", layer].mean(dim=0)
                    previous = torch.diagonal(pattern, -1, 1, 2).mean(-1).max()
                    copied = torch.diagonal(pattern, 1 - length, 1, 2)[:, -length:].mean(-1).max()
                    result["previous token"][index] = torch.maximum(result["previous token"][index], previous)
                    result["induction"][index] = torch.maximum(result["induction"][index], copied)
            return result
        """,
    ),
    RightAnswer(
        "scores_along_training",
        "one list of rows, stacked and unbound",
        """
        def scores_along_training(steps, load, tokens, length):
            def best(score, cache, layers, *args):
                return torch.cat([score(cache["pattern", layer], *args) for layer in range(layers)]).amax()

            def halves(logits):
                losses = -torch.log_softmax(logits[:, :-1].double(), dim=-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
                return losses[:, 1:length].mean(), losses[:, length + 1 : 2 * length].mean()

            rows = []
            for step in steps:
                model = load(step)
                logits, cache = model.run_with_cache(tokens)
                n = model.cfg.n_layers
                induction = best(induction_score, cache, n, length)
                rows.append(torch.stack([*halves(logits), induction, best(previous_token_score, cache, n)]))
            columns = torch.stack(rows).unbind(dim=1)
            return dict(zip(("loss, first half", "loss, second half", "induction", "previous token"), columns))
        """,
    ),
]
