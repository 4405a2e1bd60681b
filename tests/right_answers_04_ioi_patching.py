"""This file knows right answers to chapter 4 that are written in other ways than the solutions: the checkers accept them."""

from utils.checking import RightAnswer

RIGHT_ANSWERS = [
    # 4.1
    RightAnswer(
        "name_positions",
        "with index and count of the list",
        """
        def name_positions(str_tokens, io, s):
            words = list(str_tokens)
            if words.count(" " + io) != 1:
                raise ValueError(f"there must be one {io}, there are {words.count(' ' + io)}")
            if words.count(" " + s) != 2:
                raise ValueError(f"there must be two of {s}, there are {words.count(' ' + s)}")
            first = words.index(" " + s)
            return {
                "END": len(words) - 1,
                "IO": words.index(" " + io),
                "S1": first,
                "S2": words.index(" " + s, first + 1),
                "S1+1": first + 1,
            }
        """,
    ),
    RightAnswer(
        "name_positions",
        "one walk over the tokens, and numpy",
        """
        def name_positions(str_tokens, io, s):
            import numpy

            words = numpy.array(list(str_tokens), dtype=object)
            at_io = numpy.flatnonzero(words == f" {io}")
            at_s = numpy.flatnonzero(words == f" {s}")
            if at_io.size != 1:
                raise ValueError(f"{io}: {at_io.size} places")
            if at_s.size != 2:
                raise ValueError(f"{s}: {at_s.size} places")
            one, two = at_s.tolist()
            return dict(zip(("IO", "S1", "S1+1", "S2", "END"), (int(at_io[0]), one, one + 1, two, words.size - 1)))
        """,
    ),
    RightAnswer(
        "name_positions",
        "a dictionary of all words and their places",
        """
        def name_positions(str_tokens, io, s):
            places = {}
            for place, token in enumerate(str_tokens):
                places.setdefault(token, []).append(place)
            match places.get(f" {io}", []), places.get(f" {s}", []):
                case [at_io], [s1, s2]:
                    return {"IO": at_io, "S1": s1, "S2": s2, "S1+1": s1 + 1, "END": place}
                case [_], _:
                    raise ValueError(f"{s} does not stand twice")
            raise ValueError(f"{io} does not stand once")
        """,
    ),
    # 4.2
    RightAnswer(
        "ioi_prompts",
        "all texts first, then a tensor of BOS that is filled row by row",
        """
        def ioi_prompts(model, templates, pairs, nouns, generator):
            def draw(words):
                return words[torch.randperm(len(words), generator=generator)[0]]

            cases = []
            for number, template in enumerate(templates):
                for io, s in pairs:
                    half = {field: draw(words) for field, words in nouns.items()}
                    cases.append((number, io, s, template.format(A=io, B=s, S=s, **half)))
                    cases.append((number, io, s, template.format(A=s, B=io, S=s, **half)))
            rows = [model.to_tokens(text)[0] for *_, text in cases]
            longest = max(map(len, rows))
            tokens = rows[0].new_full((len(rows), longest), model.tokenizer.bos_token_id)
            for place, row in enumerate(rows):
                tokens[place, : len(row)] = row
            io = torch.tensor([name_token(model, case[1]) for case in cases], device=tokens.device)
            s = torch.tensor([name_token(model, case[2]) for case in cases], device=tokens.device)
            found = [name_positions(model.to_str_tokens(case[3]), case[1], case[2]) for case in cases]
            positions = {role: torch.tensor([each[role] for each in found]).to(tokens.device) for role in found[0]}
            return Prompts(
                texts=[case[3] for case in cases],
                tokens=tokens,
                io=io,
                s=s,
                positions=positions,
                templates=[case[0] for case in cases],
            )
        """,
    ),
    RightAnswer(
        "ioi_prompts",
        "without name_token and name_positions, places found in the tokens",
        """
        def ioi_prompts(model, templates, pairs, nouns, generator):
            ids = {}
            for name in {name for pair in pairs for name in pair}:
                pieces = model.to_str_tokens(" " + name, prepend_bos=False)
                if len(pieces) != 1 or pieces[0] != " " + name:
                    raise ValueError("not a single token: " + name + " is " + " + ".join(pieces))
                ids[name] = int(model.to_tokens(" " + name, prepend_bos=False)[0, 0])
            texts, numbers, ios, ss = [], [], [], []
            for number in range(len(templates)):
                for io, s in pairs:
                    noun = {}
                    for field in nouns:
                        place = torch.rand((), generator=generator).item() * len(nouns[field])
                        noun[field] = nouns[field][min(int(place), len(nouns[field]) - 1)]
                    for names in ({"A": io, "B": s}, {"A": s, "B": io}):
                        texts.append(templates[number].format(S=s, **names, **noun))
                        numbers.append(number)
                        ios.append(ids[io])
                        ss.append(ids[s])
            encoded = [model.to_tokens(text)[0].tolist() for text in texts]
            width = max(len(row) for row in encoded)
            bos = model.tokenizer.bos_token_id
            tokens = torch.tensor([row + [bos] * (width - len(row)) for row in encoded], device=model.W_E.device)
            io, s = torch.tensor(ios, device=tokens.device), torch.tensor(ss, device=tokens.device)
            at_s = (tokens == s[:, None]).int()
            s1 = at_s.argmax(dim=1)
            s2 = tokens.shape[1] - 1 - at_s.flip(1).argmax(dim=1)
            end = torch.tensor([len(row) - 1 for row in encoded], device=tokens.device)
            at_io = (tokens == io[:, None]).int().argmax(dim=1)
            return Prompts(texts, tokens, io, s, {"IO": at_io, "S1": s1, "S1+1": s1 + 1, "S2": s2, "END": end}, numbers)
        """,
    ),
    RightAnswer(
        "ioi_prompts",
        "all texts through to_tokens at once, and what it fills up with overwritten",
        """
        def ioi_prompts(model, templates, pairs, nouns, generator):
            texts, numbers, names = [], [], []
            for number, template in enumerate(templates):
                for io, s in pairs:
                    words = {field: each[torch.randint(len(each), (1,), generator=generator).item()] for field, each in nouns.items()}
                    texts += [template.format(A=io, B=s, S=s, **words), template.format(A=s, B=io, S=s, **words)]
                    numbers += [number] * 2
                    names += [(io, s)] * 2
            answers = torch.tensor([[name_token(model, name) for name in pair] for pair in names])
            tokens = model.to_tokens(texts, padding_side="right").clone()
            answers = answers.to(tokens.device)
            positions = {}
            for text, pair in zip(texts, names):
                for role, place in name_positions(model.to_str_tokens(text), *pair).items():
                    positions.setdefault(role, []).append(place)
            positions = {role: torch.tensor(places).to(tokens) for role, places in positions.items()}
            after = torch.arange(tokens.shape[1], device=tokens.device) > positions["END"][:, None]
            tokens[after] = model.tokenizer.bos_token_id
            return Prompts(texts, tokens, answers[:, 0], answers[:, 1], positions, numbers)
        """,
    ),
    # 4.3
    RightAnswer(
        "abc_twins",
        "scores for every name, the row's own ruled out, the three highest taken",
        """
        def abc_twins(model, prompts, names, generator):
            ids = torch.tensor([name_token(model, name) for name in names])
            held = (prompts.tokens.cpu()[:, :, None] == ids).any(dim=1)
            if (len(names) - held.sum(dim=1)).min() < 3:
                raise ValueError("fewer than three names are left")
            scores = torch.rand(held.shape, generator=generator).masked_fill(held, -1.0)
            chosen = ids[scores.topk(3, dim=1).indices].to(prompts.tokens.device)
            return with_names(model, prompts, dict(zip(("S2", "IO", "S1"), chosen.T)))
        """,
    ),
    RightAnswer(
        "abc_twins",
        "one name after the other, and an object made anew",
        """
        def abc_twins(model, prompts, names, generator):
            tokens, texts = prompts.tokens.clone(), []
            for row in range(tokens.shape[0]):
                left = {name_token(model, name) for name in names} - set(prompts.tokens[row].tolist())
                left = sorted(left)
                if len(left) < 3:
                    raise ValueError(f"{len(left)} names are too few")
                for role in ("IO", "S1", "S2"):
                    new = left.pop(int(torch.randint(0, len(left), (1,), generator=generator)))
                    tokens[row, prompts.positions[role][row]] = new
                texts.append(model.tokenizer.decode(tokens[row, 1 : int(prompts.positions["END"][row]) + 1]))
            return Prompts(texts, tokens, prompts.io, prompts.s, dict(prompts.positions), list(prompts.templates))
        """,
    ),
    RightAnswer(
        "abc_twins",
        "all rows in one draw, by torch.multinomial",
        """
        def abc_twins(model, prompts, names, generator):
            ids = torch.tensor([name_token(model, name) for name in names], device=prompts.tokens.device)
            free = torch.stack([~torch.isin(ids, row) for row in prompts.tokens])
            if bool((free.sum(dim=1) < 3).any()):
                raise ValueError("a text leaves fewer than three names")
            chosen = ids[torch.multinomial(free.float().cpu(), 3, generator=generator).to(ids.device)]
            return with_names(model, prompts, {role: chosen[:, place] for place, role in enumerate(("IO", "S1", "S2"))})
        """,
    ),
    # 4.4
    RightAnswer(
        "s2_twins",
        "scattered into the tokens",
        """
        def s2_twins(model, prompts, names=None, generator=None):
            new = prompts.io
            if names is not None:
                ids = torch.tensor([name_token(model, name) for name in names])
                held = (prompts.tokens.cpu()[:, :, None] == ids).any(dim=1)
                if held.all(dim=1).any():
                    raise ValueError("no name is left")
                weights = (~held).float()
                new = ids[torch.multinomial(weights, 1, generator=generator)[:, 0]].to(prompts.io.device)
            tokens = prompts.tokens.scatter(1, prompts.positions["S2"][:, None], new[:, None])
            ends = (prompts.positions["END"] + 1).tolist()
            texts = ["".join(model.to_str_tokens(row[1:end])) for row, end in zip(tokens, ends)]
            return replace(prompts, tokens=tokens, texts=[text.strip() for text in texts])
        """,
    ),
    RightAnswer(
        "s2_twins",
        "row by row, with a list of names",
        """
        def s2_twins(model, prompts, names=None, generator=None):
            new = []
            for row in range(len(prompts.texts)):
                if names is None:
                    new.append(int(prompts.io[row]))
                    continue
                words = model.to_str_tokens(prompts.tokens[row])
                free = [name for name in names if f" {name}" not in words]
                if len(free) == 0:
                    raise ValueError(f"no name is left for {prompts.texts[row]}")
                new.append(name_token(model, free[torch.randperm(len(free), generator=generator)[0].item()]))
            return with_names(model, prompts, {"S2": torch.tensor(new).to(prompts.io)})
        """,
    ),
    RightAnswer(
        "s2_twins",
        "all names in random order for each row, the first that is free",
        """
        def s2_twins(model, prompts, names=None, generator=None):
            new = prompts.io.clone()
            for row, tokens in enumerate(prompts.tokens):
                if names is not None:
                    order = [names[place] for place in torch.randperm(len(names), generator=generator).tolist()]
                    ids = (name_token(model, name) for name in order)
                    free = next((each for each in ids if not (tokens == each).any()), None)
                    if free is None:
                        raise ValueError(f"nobody is left for text {row}")
                    new[row] = free
            return with_names(model, prompts, dict(S2=new))
        """,
    ),
    # 4.5
    RightAnswer(
        "logit_difference",
        "by gather, from log-probabilities",
        """
        def logit_difference(logits, prompts):
            index = prompts.positions["END"][:, None, None].expand(-1, 1, logits.shape[-1])
            at_end = logits.log_softmax(dim=-1).gather(1, index)[:, 0]
            io, s = at_end.gather(1, torch.stack([prompts.io, prompts.s], dim=1)).unbind(dim=1)
            return io - s
        """,
    ),
    RightAnswer(
        "logit_difference",
        "text by text",
        """
        def logit_difference(logits, prompts):
            return torch.stack(
                [
                    logits[row, prompts.positions["END"][row], prompts.io[row]]
                    - logits[row, prompts.positions["END"][row], prompts.s[row]]
                    for row in range(logits.shape[0])
                ]
            )
        """,
    ),
    RightAnswer(
        "logit_difference",
        "with one-hot directions",
        """
        def logit_difference(logits, prompts):
            direction = F.one_hot(prompts.io, logits.shape[-1]) - F.one_hot(prompts.s, logits.shape[-1])
            here = F.one_hot(prompts.positions["END"], logits.shape[1])
            return torch.einsum("bpv,bp,bv->b", logits, here.to(logits), direction.to(logits))
        """,
    ),
    # 4.6
    RightAnswer(
        "normalised_metric",
        "as one minus what is missing",
        """
        def normalised_metric(difference, clean, corrupted):
            high, low, mean = clean.mean(), corrupted.mean(), difference.mean()
            if (high - low).abs() < 1e-6:
                raise ValueError("there is no difference between clean and corrupted runs")
            return 1 - (high - mean) / (high - low)
        """,
    ),
    RightAnswer(
        "normalised_metric",
        "sums over texts",
        """
        def normalised_metric(difference, clean, corrupted):
            low = torch.sum(corrupted) / len(corrupted)
            way = torch.sum(clean) / len(clean) - low
            if float(way) == 0.0:
                raise ValueError(f"both means are {float(low)}")
            return (torch.sum(difference) / len(difference)).sub(low).div(way)
        """,
    ),
    RightAnswer(
        "normalised_metric",
        "paired differences, in double precision",
        """
        def normalised_metric(difference, clean, corrupted):
            whole = (clean.double() - corrupted.double()).mean()
            if abs(whole.item()) < 1e-9:
                raise ValueError("clean and corrupted runs agree on average")
            return ((difference.double() - corrupted.double()).mean() / whole).to(difference.dtype)
        """,
    ),
    # 4.7
    RightAnswer(
        "logit_difference_by_component",
        "everything at all positions, END last",
        """
        def logit_difference_by_component(model, cache, prompts):
            embed = cache["hook_embed"]
            writes = [embed, torch.zeros_like(embed) + cache["hook_pos_embed"]]
            for layer in range(model.cfg.n_layers):
                z = cache[f"blocks.{layer}.attn.hook_z"]
                writes += [z[:, :, head] @ model.W_O[layer, head] for head in range(model.cfg.n_heads)]
                writes += [torch.zeros_like(embed) + model.b_O[layer]]
                if f"blocks.{layer}.hook_mlp_out" in cache:
                    writes += [cache[f"blocks.{layer}.hook_mlp_out"]]
            stack = torch.stack(writes)
            if "ln_final.hook_scale" in cache:
                stack = stack / cache["ln_final.hook_scale"]
            logits = stack @ model.W_U
            logits = torch.cat([logits, (torch.zeros_like(logits[0]) + model.b_U)[None]])
            return torch.stack(
                [
                    logits[:, row, end, io] - logits[:, row, end, s]
                    for row, (end, io, s) in enumerate(zip(prompts.positions["END"], prompts.io, prompts.s))
                ],
                dim=1,
            )
        """,
    ),
    RightAnswer(
        "logit_difference_by_component",
        "text by text, heads from their own rows of W_O side by side",
        """
        def logit_difference_by_component(model, cache, prompts):
            columns = []
            for row in range(len(prompts.io)):
                end, io, s = int(prompts.positions["END"][row]), int(prompts.io[row]), int(prompts.s[row])
                direction = model.W_U[:, io] - model.W_U[:, s]
                scale = cache["ln_final.hook_scale"][row, end, 0] if model.cfg.normalization_type else 1.0
                position = cache["pos_embed"][row if cache["pos_embed"].shape[0] > 1 else 0, end]
                column = [cache["embed"][row, end] @ direction / scale, position @ direction / scale]
                for layer in range(model.cfg.n_layers):
                    for head in range(model.cfg.n_heads):
                        column.append(cache["z", layer][row, end, head] @ (model.W_O[layer, head] @ direction) / scale)
                    column.append(model.b_O[layer] @ direction / scale)
                    if not model.cfg.attn_only:
                        column.append(cache["mlp_out", layer][row, end] @ direction / scale)
                column.append(model.b_U[io] - model.b_U[s])
                columns.append(torch.stack(column))
            return torch.stack(columns, dim=-1)
        """,
    ),
    RightAnswer(
        "logit_difference_by_component",
        "embeddings from the weights, W_O and W_U multiplied first",
        """
        def logit_difference_by_component(model, cache, prompts):
            ends, text = prompts.positions["END"], range(len(prompts.io))
            at_end = prompts.tokens.gather(1, ends[:, None])[:, 0]
            u = (model.W_U[:, prompts.io] - model.W_U[:, prompts.s]).T
            if model.cfg.normalization_type is not None:
                u = u / cache["ln_final.hook_scale"][text, ends]
            rows = [(model.W_E[at_end] * u).sum(-1), (model.W_pos[ends] * u).sum(-1)]
            for layer in range(model.cfg.n_layers):
                read = torch.einsum("hdm,bm->bhd", model.W_O[layer], u)
                by_head = (cache[f"blocks.{layer}.attn.hook_z"][text, ends] * read).sum(-1)
                rows.extend(by_head.unbind(dim=1))
                rows.append(u @ model.b_O[layer])
                if not model.cfg.attn_only:
                    rows.append(torch.linalg.vecdot(cache[f"blocks.{layer}.hook_mlp_out"][text, ends], u))
            rows.append(model.b_U.index_select(0, prompts.io) - model.b_U.index_select(0, prompts.s))
            return torch.vstack(rows)
        """,
    ),
    # 4.8
    RightAnswer(
        "logit_difference_by_layer",
        "all streams at once, by gather",
        """
        def logit_difference_by_layer(model, cache, prompts):
            names = [f"blocks.{layer}.hook_resid_pre" for layer in range(model.cfg.n_layers)]
            names.append(f"blocks.{model.cfg.n_layers - 1}.hook_resid_post")
            streams = torch.stack([cache[name] for name in names])
            rows = torch.arange(streams.shape[1], device=streams.device)
            logits = model.unembed(model.ln_final(streams))[:, rows, prompts.positions["END"]]
            return logits[:, rows, prompts.io] - logits[:, rows, prompts.s]
        """,
    ),
    RightAnswer(
        "logit_difference_by_layer",
        "LayerNorm written out, on the direction of IO less S",
        """
        def logit_difference_by_layer(model, cache, prompts):
            rows, ends = torch.arange(len(prompts.io), device=prompts.io.device), prompts.positions["END"]
            direction = model.W_U[:, prompts.io].T - model.W_U[:, prompts.s].T
            bias = model.b_U[prompts.io] - model.b_U[prompts.s]
            results = []
            for layer in range(model.cfg.n_layers + 1):
                full = cache["resid_pre", layer] if layer < model.cfg.n_layers else cache["resid_post", layer - 1]
                stream = full[rows, ends]
                if model.cfg.normalization_type is not None:
                    stream = stream - stream.mean(dim=-1, keepdim=True)
                    stream = stream / (stream.var(dim=-1, keepdim=True, unbiased=False) + model.cfg.eps).sqrt()
                results.append((stream * direction).sum(dim=-1) + bias)
            return torch.stack(results)
        """,
    ),
    RightAnswer(
        "logit_difference_by_layer",
        "text by text and stream by stream, END alone",
        """
        def logit_difference_by_layer(model, cache, prompts):
            n_layers = model.cfg.n_layers
            result = torch.zeros(n_layers + 1, len(prompts.io), dtype=model.W_U.dtype, device=model.W_U.device)
            for row in range(len(prompts.io)):
                end = int(prompts.positions["END"][row])
                for layer in range(n_layers + 1):
                    stream = cache["resid_pre", layer] if layer < n_layers else cache["resid_post", n_layers - 1]
                    logits = model.unembed(model.ln_final(stream[row : row + 1, end : end + 1]))[0, 0]
                    result[layer, row] = logits[prompts.io[row]] - logits[prompts.s[row]]
            return result
        """,
    ),
    RightAnswer(
        "patch_residual",
        "in place in the hook, text by text, nothing returned",
        """
        def patch_residual(model, tokens, source, layer, pos):
            places = [pos] * len(tokens) if isinstance(pos, int) else pos.tolist()

            def patch(resid, hook):
                for text, place in enumerate(places):
                    resid[text, place, :] = source["blocks.%d.hook_resid_pre" % layer][text, place, :]

            with torch.no_grad():
                return model.run_with_hooks(tokens, fwd_hooks=[("blocks.%d.hook_resid_pre" % layer, patch)])
        """,
    ),
    RightAnswer(
        "patch_residual",
        "torch.where over a mask of positions, blocks called one by one",
        """
        def patch_residual(model, tokens, source, layer, pos):
            name = f"blocks.{layer}.hook_resid_pre"
            _, own = model.run_with_cache(tokens)
            here = torch.arange(tokens.shape[1], device=tokens.device)[None] == torch.as_tensor(pos, device=tokens.device).reshape(-1, 1)
            stream = torch.where(here[..., None], source[name], own[name])
            for number in range(layer, model.cfg.n_layers):
                stream = model.blocks[number](stream)
                stream = stream[0] if type(stream) is tuple else stream
            return model.unembed(model.ln_final(stream))
        """,
    ),
    RightAnswer(
        "patch_residual",
        "a scatter along positions, in the context of model.hooks",
        """
        def patch_residual(model, tokens, source, layer, pos):
            name = f"blocks.{layer}.hook_resid_pre"

            def exchange(stream, hook):
                index = torch.as_tensor(pos, device=stream.device).expand(len(stream))
                index = einops.repeat(index, "batch -> batch 1 d", d=stream.shape[-1])
                return stream.scatter(1, index, source[name].gather(1, index))

            with model.hooks(fwd_hooks=[(name, exchange)]):
                return model(tokens)
        """,
    ),
    RightAnswer(
        "patch_residual",
        "a hook put on by hand and taken off again, the source found by the hook's own name",
        """
        def patch_residual(model, tokens, source, layer, pos):
            places = torch.as_tensor(pos, device=tokens.device).expand(len(tokens))

            def exchange(stream, hook):
                stream[range(len(tokens)), places] = source[hook.name][range(len(tokens)), places]

            model.add_hook(f"blocks.{layer}.hook_resid_pre", exchange)
            try:
                return model(tokens)
            finally:
                model.reset_hooks()
        """,
    ),
    RightAnswer(
        "patch_head",
        "text by text and position by position, in place",
        """
        def patch_head(model, tokens, source, layer, head, what="z", pos=None):
            if what not in {"q", "k", "v", "z", "pattern"}:
                raise ValueError("what is " + repr(what))
            name = f"blocks.{layer}.attn.hook_{what}"
            n_texts, n_pos = tokens.shape

            def patch(x, hook):
                for text in range(n_texts):
                    places = range(n_pos) if pos is None else [pos if isinstance(pos, int) else int(pos[text])]
                    for place in places:
                        spot = (text, head, place) if what == "pattern" else (text, place, head)
                        x[spot] = source[name][spot]

            with torch.no_grad():
                return model.run_with_hooks(tokens, fwd_hooks=[(name, patch)])
        """,
    ),
    RightAnswer(
        "patch_head",
        "torch.where over masks of heads and positions",
        """
        def patch_head(model, tokens, source, layer, head, what="z", pos=None):
            if what in ("z", "q", "k", "v"):
                axes = "batch pos head -> batch pos head 1"
            elif what == "pattern":
                axes = "batch pos head -> batch head pos 1"
            else:
                raise ValueError(f"{what!r} is no activation of a head")
            this_head = torch.arange(model.cfg.n_heads, device=tokens.device) == head
            these = torch.ones_like(tokens, dtype=torch.bool)
            if pos is not None:
                these = torch.arange(tokens.shape[1], device=tokens.device) == torch.as_tensor(pos, device=tokens.device).view(-1, 1)
                these = these.expand(tokens.shape)
            mask = einops.rearrange(these[..., None] & this_head, axes)
            hook = lambda x, hook: torch.where(mask, source[f"blocks.{layer}.attn.hook_{what}"], x)
            with model.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_{what}", hook)]):
                return model(tokens)
        """,
    ),
    RightAnswer(
        "patch_head",
        "the head's axis moved to the front, in place, a hook taken off again",
        """
        def patch_head(model, tokens, source, layer, head, what="z", pos=None):
            axis = {"z": 2, "q": 2, "k": 2, "v": 2, "pattern": 1}.get(what)
            if axis is None:
                raise ValueError(f"{what} is none of z, q, k, v and pattern")

            def exchange(x, hook):
                mine, theirs = x.movedim(axis, 0)[head], source[hook.name].movedim(axis, 0)[head]
                if pos is None:
                    mine.copy_(theirs)
                elif isinstance(pos, int):
                    mine[:, pos] = theirs[:, pos]
                else:
                    for one, other, place in zip(mine, theirs, pos):
                        one[place] = other[place]
                return x

            model.add_hook(f"blocks.{layer}.attn.hook_{what}", exchange)
            logits = model(tokens)
            model.reset_hooks()
            return logits
        """,
    ),
    RightAnswer(
        "residual_sweep",
        "layer by layer without hooks, from the stream of the own run",
        """
        def residual_sweep(model, tokens, source, metric, rows_at_once=512):
            n_texts, n_pos = tokens.shape
            _, own = model.run_with_cache(tokens)
            size = max(rows_at_once // n_texts, 1)
            result = torch.zeros(model.cfg.n_layers, n_pos, device=tokens.device)
            with torch.no_grad():
                for layer in range(model.cfg.n_layers):
                    for some in torch.arange(n_pos).split(size):
                        stream = torch.stack([own["resid_pre", layer]] * len(some))
                        for copy, place in zip(stream, some.tolist()):
                            copy[:, place] = source[f"blocks.{layer}.hook_resid_pre"][:, place]
                        stream = stream.flatten(0, 1)
                        logits = run_from(model, stream, layer)
                        result[layer, some] = torch.stack([metric(part).mean() for part in logits.split(n_texts)])
            return result
        """,
    ),
    RightAnswer(
        "residual_sweep",
        "index tensors for all rows of a layer at once",
        """
        def residual_sweep(model, tokens, source, metric, rows_at_once=512):
            n_layers, (n_texts, n_pos) = model.cfg.n_layers, tokens.shape
            layers = torch.arange(n_layers, device=tokens.device).repeat_interleave(n_pos)
            places = torch.arange(n_pos, device=tokens.device).repeat(n_layers)
            size = 1 if rows_at_once < n_texts else rows_at_once // n_texts
            values = []
            for of_layer, of_pos in zip(layers.split(size), places.split(size)):
                def patch(resid, hook):
                    resid = resid.unflatten(0, (-1, n_texts)).clone()
                    cells = (of_layer == hook.layer()).nonzero()[:, 0]
                    theirs = source[f"blocks.{hook.layer()}.hook_resid_pre"]
                    resid[cells, :, of_pos[cells]] = theirs[:, of_pos[cells]].transpose(0, 1)
                    return resid.flatten(0, 1)

                rows = einops.repeat(tokens, "text pos -> (cell text) pos", cell=len(of_pos))
                names = [f"blocks.{layer}.hook_resid_pre" for layer in set(of_layer.tolist())]
                with model.hooks(fwd_hooks=[(name, patch) for name in names]):
                    logits = model(rows)
                values += [sum(metric(logits[i * n_texts : (i + 1) * n_texts])) / n_texts for i in range(len(of_pos))]
            return torch.stack(values).view(n_layers, n_pos)
        """,
    ),
    RightAnswer(
        "residual_sweep",
        "torch.where over masks of rows and positions, a hook for each layer of the group",
        """
        def residual_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            where = tokens.device
            layers, places = torch.arange(model.cfg.n_layers, device=where), torch.arange(n_pos, device=where)
            results = []
            for cells in torch.cartesian_prod(layers, places).split(max(1, rows_at_once // batch)):
                hooks = []
                for layer in cells[:, 0].unique().tolist():
                    name = f"blocks.{layer}.hook_resid_pre"
                    mask = (cells[:, :1] == layer) & (cells[:, 1:] == places)
                    mask = einops.repeat(mask, "cell pos -> (cell batch) pos 1", batch=batch)
                    theirs = source[name].repeat(len(cells), 1, 1)
                    hooks.append((name, lambda x, hook, mask=mask, theirs=theirs: torch.where(mask, theirs, x)))
                with model.hooks(fwd_hooks=hooks):
                    logits = model(torch.cat([tokens] * len(cells)))
                results += [float(metric(part).mean()) for part in logits.chunk(len(cells))]
            return torch.tensor(results, device=where).reshape(model.cfg.n_layers, n_pos)
        """,
    ),
    RightAnswer(
        "head_sweep",
        "layer by layer, a mask over heads",
        """
        def head_sweep(model, tokens, source, metric, what="z", rows_at_once=512):
            if what not in "z q k v pattern".split():
                raise ValueError(f"no sweep of {what!r}")
            n_texts, n_heads = len(tokens), model.cfg.n_heads
            size = max(1, rows_at_once // n_texts)
            rows = []
            for layer in range(model.cfg.n_layers):
                name, row = f"blocks.{layer}.attn.hook_{what}", []
                for heads in torch.eye(n_heads, dtype=torch.bool, device=tokens.device).split(size):
                    shape = "cell head -> cell 1 head 1 1" if what == "pattern" else "cell head -> cell 1 1 head 1"
                    mask = einops.rearrange(heads, shape)

                    def exchange(x, hook):
                        x = x.unflatten(0, (len(mask), n_texts))
                        return torch.where(mask, source[name], x).flatten(0, 1)

                    logits = model.run_with_hooks(torch.cat([tokens] * len(heads)), fwd_hooks=[(name, exchange)])
                    row += [metric(part).mean() for part in logits.chunk(len(heads))]
                rows.append(torch.stack(row))
            return torch.stack(rows)
        """,
    ),
    RightAnswer(
        "head_sweep",
        "cells counted by one number, in place",
        """
        def head_sweep(model, tokens, source, metric, what="z", rows_at_once=512):
            if what not in ("z", "q", "k", "v", "pattern"):
                raise ValueError(what)
            n, heads, total = tokens.shape[0], model.cfg.n_heads, model.cfg.n_layers * model.cfg.n_heads
            result = torch.full((total,), torch.nan, device=tokens.device)
            step = rows_at_once // n or 1
            with torch.no_grad():
                for first in range(0, total, step):
                    numbers = range(first, min(first + step, total))

                    def change(x, hook):
                        for i, number in enumerate(numbers):
                            if number // heads == hook.layer():
                                axis = 1 if what == "pattern" else 2
                                theirs = source[f"blocks.{hook.layer()}.attn.hook_{what}"]
                                x[i * n : i * n + n].select(axis, number % heads).copy_(theirs.select(axis, number % heads))

                    logits = model.run_with_hooks(
                        tokens.repeat(len(numbers), 1),
                        fwd_hooks=[(lambda name: name.endswith("attn.hook_" + what), change)],
                    )
                    for i, number in enumerate(numbers):
                        result[number] = metric(logits[n * i : n * (i + 1)]).mean()
            return result.reshape(-1, heads)
        """,
    ),
    RightAnswer(
        "head_sweep",
        "cells split into pieces and written into, one hook for each layer of the group",
        """
        def head_sweep(model, tokens, source, metric, what="z", rows_at_once=512):
            if what not in "z q k v pattern".split():
                raise ValueError(f"what={what!r} is no activation of a head")
            axis, n_heads = 1 if what == "pattern" else 2, model.cfg.n_heads
            batch, means = len(tokens), []
            for cells in torch.arange(model.cfg.n_layers * n_heads).split(max(1, rows_at_once // batch)):
                cells = [divmod(cell, n_heads) for cell in cells.tolist()]

                def exchange(x, hook, cells=cells):
                    pieces = x.clone().split(batch)
                    for piece, (layer, head) in zip(pieces, cells):
                        if layer == hook.layer():
                            piece.select(axis, head).copy_(source[hook.name].select(axis, head))
                    return torch.cat(pieces)

                hooks = [(f"blocks.{layer}.attn.hook_{what}", exchange) for layer in {layer for layer, _ in cells}]
                logits = model.run_with_hooks(tokens.repeat(len(cells), 1), fwd_hooks=hooks)
                means += [metric(piece).mean() for piece in logits.split(batch)]
            return einops.rearrange(torch.stack(means), "(layer head) -> layer head", head=n_heads)
        """,
    ),
    RightAnswer(
        "head_position_sweep",
        "whole runs with nothing left out",
        """
        def head_position_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            shape = (model.cfg.n_layers, model.cfg.n_heads, n_pos)
            cells = torch.cartesian_prod(*[torch.arange(size) for size in shape]).tolist()
            size = max(1, rows_at_once // batch)
            values = []
            while cells:
                group, cells = cells[:size], cells[size:]

                def patch(z, hook):
                    z = z.clone()
                    for i, (layer, head, pos) in enumerate(group):
                        if hook.layer() == layer:
                            z[batch * i : batch * (i + 1), pos, head] = source[f"blocks.{layer}.attn.hook_z"][:, pos, head]
                    return z

                hooks = [(f"blocks.{layer}.attn.hook_z", patch) for layer in range(shape[0])]
                logits = model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=hooks)
                values.extend(metric(part).mean() for part in logits.split(batch))
            return torch.stack(values).reshape(shape)
        """,
    ),
    RightAnswer(
        "head_position_sweep",
        "what the patch writes is added to what the layer writes",
        """
        def head_position_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            _, own = model.run_with_cache(tokens)
            result = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, n_pos, device=tokens.device)
            for layer in range(model.cfg.n_layers):
                name = f"blocks.{layer}.attn.hook_z"
                change = einops.einsum(source[name] - own[name], model.blocks[layer].attn.W_O, "b p h d, h d m -> b p h m")
                cells = [(head, pos) for head in range(model.cfg.n_heads) for pos in range(n_pos)]
                for first in range(0, len(cells), max(1, rows_at_once // batch)):
                    some = cells[first : first + max(1, rows_at_once // batch)]
                    added = torch.zeros(len(some), *own["resid_pre", layer].shape, device=tokens.device)
                    for i, (head, pos) in enumerate(some):
                        added[i, :, pos] = change[:, pos, head].detach()

                    def add(out, hook):
                        return out + added.flatten(0, 1)

                    hooks = [(f"blocks.{layer}.hook_attn_out", add)]
                    logits = model.run_with_hooks(tokens.repeat(len(some), 1), fwd_hooks=hooks)
                    for (head, pos), part in zip(some, logits.split(batch)):
                        result[layer, head, pos] = metric(part).mean()
            return result
        """,
    ),
    RightAnswer(
        "head_position_sweep",
        "indices of all cells in one assignment, one hook by a filter of names",
        """
        def head_position_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            sizes = model.cfg.n_layers, model.cfg.n_heads, n_pos
            values = []
            for cells in torch.cartesian_prod(*map(torch.arange, sizes)).split(max(1, rows_at_once // batch)):
                def exchange(z, hook, cells=cells):
                    z = z.unflatten(0, (len(cells), batch)).clone()
                    (here,) = (cells[:, 0] == hook.layer()).nonzero(as_tuple=True)
                    _, head, pos = cells[here].T
                    z[here, :, pos, head] = source[hook.name][:, pos, head].transpose(0, 1)
                    return z.flatten(0, 1)

                hooks = [(lambda name: name.endswith("attn.hook_z"), exchange)]
                logits = model.run_with_hooks(tokens.repeat(len(cells), 1), fwd_hooks=hooks)
                values += [metric(part).mean() for part in logits.split(batch)]
            return torch.stack(values).view(sizes)
        """,
    ),
    RightAnswer(
        "head_position_sweep",
        "one hook for each cell, in place, results in a dictionary",
        """
        def head_position_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
            waiting = [(layer, head, pos) for layer in range(n_layers) for pos in range(n_pos) for head in range(n_heads)]
            done = {}
            while waiting:
                now = [waiting.pop() for _ in range(min(len(waiting), max(1, rows_at_once // batch)))]
                hooks = []
                for place, (layer, head, pos) in enumerate(now):
                    def exchange(z, hook, rows=slice(place * batch, (place + 1) * batch), head=head, pos=pos):
                        z[rows, pos, head] = source[hook.name][:, pos, head]

                    hooks.append((f"blocks.{layer}.attn.hook_z", exchange))
                logits = model.run_with_hooks(torch.cat([tokens for _ in now]), fwd_hooks=hooks)
                done |= {cell: metric(part).mean().item() for cell, part in zip(now, logits.split(batch))}
            result = torch.empty(n_layers, n_heads, n_pos, device=tokens.device)
            for cell, value in done.items():
                result[cell] = value
            return result
        """,
    ),
    RightAnswer(
        "attribution_sweep",
        "retain_grad on z itself, and weights cleaned afterwards",
        """
        def attribution_sweep(model, tokens, source, metric):
            kept = {}

            def keep(z, hook):
                z.retain_grad()
                kept[hook.layer()] = z
                return z

            with torch.enable_grad():
                metric(model.run_with_hooks(tokens, fwd_hooks=[(lambda name: name.endswith("attn.hook_z"), keep)])).sum().backward()
            model.zero_grad(set_to_none=True)
            result = []
            for layer in range(model.cfg.n_layers):
                z = kept[layer]
                product = (source[f"blocks.{layer}.attn.hook_z"] - z.detach()) * z.grad
                result.append(product.sum(dim=-1).mean(dim=0).T)
            return torch.stack(result)
        """,
    ),
    RightAnswer(
        "attribution_sweep",
        "a second run for the own z, gradients with respect to z",
        """
        def attribution_sweep(model, tokens, source, metric):
            _, own = model.run_with_cache(tokens)
            layers, passed = range(model.cfg.n_layers), {}

            def note(z, hook):
                passed[hook.layer()] = z
                return z

            with torch.enable_grad(), model.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_z", note) for layer in layers]):
                scores = metric(model(tokens))
            slopes = torch.autograd.grad(scores, [passed[layer] for layer in layers], torch.ones_like(scores))
            steps = [source[f"blocks.{layer}.attn.hook_z"] - own["z", layer] for layer in layers]
            products = torch.stack([step.detach() * slope for step, slope in zip(steps, slopes)])
            return einops.reduce(products.sum(-1), "layer batch pos head -> layer head pos", "mean")
        """,
    ),
    RightAnswer(
        "attribution_sweep",
        "backward into zeros alone, while no weight asks for a gradient",
        """
        def attribution_sweep(model, tokens, source, metric):
            names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
            _, own = model.run_with_cache(tokens, names_filter=names)
            extra = {name: torch.zeros_like(own[name]).requires_grad_() for name in names}
            asking = [weight for weight in model.parameters() if weight.requires_grad]
            for weight in asking:
                weight.requires_grad_(False)
            try:
                with torch.enable_grad(), model.hooks(fwd_hooks=[(name, lambda z, hook: z + extra[hook.name]) for name in names]):
                    metric(model(tokens)).sum().backward()
            finally:
                for weight in asking:
                    weight.requires_grad_(True)
            products = [((source[name] - own[name]) * extra[name].grad).sum(dim=-1) for name in names]
            return einops.reduce(torch.stack(products), "layer batch pos head -> layer head pos", "mean")
        """,
    ),
    RightAnswer(
        "path_patch_to_logits",
        "only later layers' heads are set, in one hook that looks at its layer",
        """
        def path_patch_to_logits(model, tokens, source, layer, head, freeze_mlps=False):
            _, mine = model.run_with_cache(tokens)

            def heads(z, hook):
                here = hook.layer()
                if here < layer:
                    return z
                if here > layer:
                    return mine["z", here]
                mixed = z.clone()
                mixed[..., head, :] = source[f"blocks.{layer}.attn.hook_z"][..., head, :]
                return mixed

            with model.hooks(fwd_hooks=[(lambda name: name.endswith("attn.hook_z"), heads)]):
                if not freeze_mlps:
                    return model(tokens)
                keep = [
                    (f"blocks.{each}.hook_mlp_out", partial(lambda out, hook, each: mine["mlp_out", each], each=each))
                    for each in range(model.cfg.n_layers)
                    if not model.cfg.attn_only
                ]
                with model.hooks(fwd_hooks=keep):
                    return model(tokens)
        """,
    ),
    RightAnswer(
        "path_patch_to_logits",
        "the stream carried on by hand: frozen heads only add what they wrote",
        """
        def path_patch_to_logits(model, tokens, source, layer, head, freeze_mlps=False):
            _, cache = model.run_with_cache(tokens)
            name = f"blocks.{layer}.attn.hook_z"
            change = einops.einsum(
                source[name][:, :, head] - cache[name][:, :, head],
                model.W_O[layer, head],
                "batch pos d_head, d_head d_model -> batch pos d_model",
            )
            if not (freeze_mlps or model.cfg.attn_only):
                for each in range(layer, model.cfg.n_layers):
                    block = model.blocks[each]
                    change = change + block.mlp(block.ln2(cache["resid_mid", each] + change)) - cache["mlp_out", each]
            last = cache["resid_post", model.cfg.n_layers - 1]
            return model.unembed(model.ln_final(last + change))
        """,
    ),
    RightAnswer(
        "path_patch_to_logits",
        "by what attention writes, with hooks added and taken off",
        """
        def path_patch_to_logits(model, tokens, source, layer, head, freeze_mlps=False):
            _, run = model.run_with_cache(tokens)
            wrote = {each: run[f"blocks.{each}.hook_attn_out"].clone() for each in range(model.cfg.n_layers)}
            z = source["blocks." + str(layer) + ".attn.hook_z"] - run["z", layer]
            wrote[layer] += z[:, :, head] @ model.W_O[layer][head]
            try:
                for each in wrote:
                    model.add_hook(f"blocks.{each}.hook_attn_out", lambda out, hook, each=each: wrote[each])
                    if freeze_mlps and f"blocks.{each}.hook_mlp_out" in model.hook_dict:
                        model.add_hook(f"blocks.{each}.hook_mlp_out", lambda out, hook, each=each: run["mlp_out", each])
                return model(tokens)
            finally:
                model.reset_hooks()
        """,
    ),
    RightAnswer(
        "path_patch_to_heads",
        "in the words of the paper, with caches for everything and torch.where",
        """
        def path_patch_to_heads(model, tokens, source, sender, receivers, what, freeze_mlps=False):
            if what not in {"q", "k", "v"}:
                raise ValueError("no such input: " + what)
            _, orig = model.run_with_cache(tokens)
            n_heads = model.cfg.n_heads

            def one_hot(head):
                return (torch.arange(n_heads, device=tokens.device) == head)[:, None]

            def freeze(z, hook):
                layer = hook.layer()
                new = source[f"blocks.{layer}.attn.hook_z"]
                return torch.where(one_hot(sender[1]), new, orig["z", layer]) if layer == sender[0] else orig["z", layer]

            hooks = [(f"blocks.{layer}.attn.hook_z", freeze) for layer in range(model.cfg.n_layers)]
            if freeze_mlps and not model.cfg.attn_only:
                hooks += [
                    (f"blocks.{layer}.hook_mlp_out", lambda out, hook, layer=layer: orig["mlp_out", layer])
                    for layer in range(model.cfg.n_layers)
                ]
            saved = {}

            def save(value, hook, layer):
                saved[layer] = value

            hooks += [(f"blocks.{layer}.attn.hook_{what}", partial(save, layer=layer)) for layer in {of for of, _ in receivers}]
            model.run_with_hooks(tokens, fwd_hooks=hooks)

            def put(value, hook, layer, head):
                return torch.where(one_hot(head), saved[layer], value)

            last = [(f"blocks.{layer}.attn.hook_{what}", partial(put, layer=layer, head=head)) for layer, head in receivers]
            return model.run_with_hooks(tokens, fwd_hooks=last)
        """,
    ),
    RightAnswer(
        "path_patch_to_heads",
        "what arrives computed from the stream and the weights, without a second run",
        """
        def path_patch_to_heads(model, tokens, source, sender, receivers, what, freeze_mlps=False):
            weights = {"q": (model.W_Q, model.b_Q), "k": (model.W_K, model.b_K), "v": (model.W_V, model.b_V)}
            if what not in weights:
                raise ValueError(f"what is {what!r}")
            W, b = weights[what]
            _, cache = model.run_with_cache(tokens)
            first, number = sender
            z = f"blocks.{first}.attn.hook_z"
            change = (source[z] - cache[z])[:, :, number] @ model.W_O[first, number]
            arrived = {}
            for layer in range(first, model.cfg.n_layers):
                block = model.blocks[layer]
                if layer > first:
                    read = cache["resid_pre", layer] + change
                    if model.cfg.normalization_type:
                        read = block.ln1(read)
                    for of, head in receivers:
                        if of == layer:
                            arrived[of, head] = read @ W[of, head] + b[of, head]
                if not (freeze_mlps or model.cfg.attn_only):
                    change = change + block.mlp(block.ln2(cache["resid_mid", layer] + change)) - cache["mlp_out", layer]

            def put(value, hook, place):
                value = value.clone()
                value[:, :, place[1]] = arrived[place]
                return value

            return model.run_with_hooks(
                tokens, fwd_hooks=[(f"blocks.{place[0]}.attn.hook_{what}", partial(put, place=place)) for place in arrived]
            )
        """,
    ),
    RightAnswer(
        "path_patch_to_heads",
        "each run no longer than it must be: the first ends after the receivers, the second begins at them",
        """
        def path_patch_to_heads(model, tokens, source, sender, receivers, what, freeze_mlps=False):
            match what:
                case "q" | "k" | "v":
                    pass
                case other:
                    raise ValueError(f"heads have no input called {other}")
            by_layer = {}
            for layer, head in receivers:
                by_layer.setdefault(layer, []).append(head)
            first, last = min(by_layer), max(by_layer)
            hooks = path_hooks(model, tokens, source, sender, freeze_mlps)
            arrived = {}
            for layer in by_layer:
                hooks.append((f"blocks.{layer}.attn.hook_{what}", lambda x, hook: arrived.update({hook.layer(): x.clone()})))
            model.run_with_hooks(tokens, fwd_hooks=hooks, stop_at_layer=last + 1)

            def receive(x, hook):
                for head in by_layer[hook.layer()]:
                    x[..., head, :] = arrived[hook.layer()][..., head, :]
                return x

            _, own = model.run_with_cache(tokens, names_filter=f"blocks.{first}.hook_resid_pre")
            with model.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_{what}", receive) for layer in by_layer]):
                return run_from(model, own["resid_pre", first], first)
        """,
    ),
    RightAnswer(
        "path_sweep_to_logits",
        "senders as rows of whole runs, with all heads hooked",
        """
        def path_sweep_to_logits(model, tokens, source, metric, rows_at_once=512):
            batch, n_layers, n_heads = len(tokens), model.cfg.n_layers, model.cfg.n_heads
            names = [f"blocks.{layer}.attn.hook_z" for layer in range(n_layers)]
            _, own = model.run_with_cache(tokens, names_filter=names)
            senders = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
            at_once = max(1, rows_at_once // batch)
            effects = []

            def put_back(z: Float[Tensor, "row pos head d_head"], hook, frozen: Tensor) -> Tensor:
                return frozen

            for start in range(0, len(senders), at_once):
                chunk = senders[start : start + at_once]
                frozen = {name: own[name].repeat(len(chunk), 1, 1, 1) for name in names}
                for number, (layer, head) in enumerate(chunk):
                    rows = slice(number * batch, (number + 1) * batch)
                    frozen[names[layer]][rows, :, head] = source[names[layer]][:, :, head]
                hooks = [(name, partial(put_back, frozen=frozen[name])) for name in names]
                logits = model.run_with_hooks(tokens.repeat(len(chunk), 1), fwd_hooks=hooks)
                effects += [metric(block).mean() for block in logits.split(batch)]
            return torch.stack(effects).reshape(n_layers, n_heads)
        """,
    ),
    RightAnswer(
        "path_sweep_to_logits",
        "senders and texts as two axes, flattened by einops, each row's sender chosen by a mask",
        """
        def path_sweep_to_logits(model, tokens, source, metric, rows_at_once=512):
            n_layers, n_heads, batch = model.cfg.n_layers, model.cfg.n_heads, tokens.shape[0]
            _, cache = model.run_with_cache(tokens)
            own = torch.stack([cache["z", layer] for layer in range(n_layers)])
            new = torch.stack([source[f"blocks.{layer}.attn.hook_z"] for layer in range(n_layers)])
            result = torch.empty(n_layers * n_heads, device=tokens.device)
            for numbers in torch.arange(n_layers * n_heads, device=tokens.device).split(max(rows_at_once // batch, 1)):
                def put(z, hook, layer):
                    is_sender = numbers[:, None] == layer * n_heads + torch.arange(n_heads, device=z.device)
                    mixed = torch.where(is_sender[:, None, None, :, None], new[layer], own[layer])
                    return einops.rearrange(mixed, "sender batch pos head d_head -> (sender batch) pos head d_head")

                rows = einops.repeat(tokens, "batch pos -> (sender batch) pos", sender=len(numbers))
                with model.hooks(fwd_hooks=[(f"blocks.{l}.attn.hook_z", partial(put, layer=l)) for l in range(n_layers)]):
                    logits = model(rows)
                blocks = einops.rearrange(logits, "(sender batch) pos vocab -> sender batch pos vocab", batch=batch)
                result[numbers] = torch.stack([metric(block) for block in blocks]).mean(-1)
            return result.view(n_layers, n_heads)
        """,
    ),
    RightAnswer(
        "path_sweep_to_logits",
        "without attention: the stream of each layer's senders carried through the MLPs by hand",
        """
        def path_sweep_to_logits(model, tokens, source, metric, rows_at_once=512):
            _, cache = model.run_with_cache(tokens)
            n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
            sweep = torch.zeros(n_layers, n_heads, device=tokens.device)
            for layer in range(n_layers):
                for heads in torch.arange(n_heads).split(max(1, rows_at_once // len(tokens))):
                    z = source[f"blocks.{layer}.attn.hook_z"] - cache["z", layer]
                    change = torch.einsum("bphd,hdm->hbpm", z[:, :, heads], model.W_O[layer, heads])
                    if not model.cfg.attn_only:
                        for later in range(layer, n_layers):
                            block = model.blocks[later]
                            stream = (cache["resid_mid", later] + change).flatten(0, 1)
                            out = block.mlp(block.ln2(stream)).unflatten(0, (len(heads), -1))
                            change = change + out - cache["mlp_out", later]
                    final = cache["resid_post", n_layers - 1] + change
                    for head, stream in zip(heads.tolist(), final):
                        sweep[layer, head] = metric(model.unembed(model.ln_final(stream))).mean()
            return sweep
        """,
    ),
    RightAnswer(
        "path_sweep_to_logits",
        "by what attention writes, the changes in float64",
        """
        def path_sweep_to_logits(model, tokens, source, metric, rows_at_once=512):
            _, own = model.run_with_cache(tokens)
            n_layers, n_heads, batch = model.cfg.n_layers, model.cfg.n_heads, tokens.shape[0]
            changes = []
            for layer in range(n_layers):
                z = source[f"blocks.{layer}.attn.hook_z"].double() - own["z", layer].double()
                changes.append(torch.einsum("bphd,hdm->hbpm", z, model.W_O[layer].double()))
            changes = torch.cat(changes).float()
            values = []
            for first, some in zip(range(0, len(changes), max(1, rows_at_once // batch)), changes.split(max(1, rows_at_once // batch))):
                layers = (first + torch.arange(len(some), device=tokens.device)) // n_heads

                def write(out, hook, some=some, layers=layers):
                    mine = (layers == hook.layer()).view(-1, 1, 1, 1)
                    return (own[hook.name] + some * mine).flatten(0, 1)

                hooks = [(f"blocks.{layer}.hook_attn_out", write) for layer in range(n_layers)]
                logits = model.run_with_hooks(tokens.repeat(len(some), 1), fwd_hooks=hooks)
                values += [metric(each).mean().item() for each in logits.unflatten(0, (len(some), batch))]
            return torch.tensor(values, device=tokens.device).view(n_layers, n_heads)
        """,
    ),
    RightAnswer(
        "path_sweep_to_heads",
        "senders and texts as two axes, flattened by einops, receivers chosen by a mask",
        """
        def path_sweep_to_heads(model, tokens, source, metric, receivers, what, rows_at_once=512):
            n_layers, n_heads, batch = model.cfg.n_layers, model.cfg.n_heads, tokens.shape[0]
            logits, cache = model.run_with_cache(tokens)
            last = max(receivers)[0]
            result = torch.full((n_layers * n_heads,), metric(logits).mean().item(), device=tokens.device)
            mask = torch.zeros(n_layers, n_heads, dtype=torch.bool, device=tokens.device)
            for receiver in receivers:
                mask[receiver] = True
            for numbers in torch.arange(last * n_heads, device=tokens.device).split(max(rows_at_once // batch, 1)):
                arrived = {}

                def freeze(z, hook):
                    layer = hook.layer()
                    is_sender = numbers[:, None] == layer * n_heads + torch.arange(n_heads, device=z.device)
                    new = source[f"blocks.{layer}.attn.hook_z"]
                    return torch.where(is_sender[:, None, None, :, None], new, cache["z", layer]).flatten(0, 1)

                def keep(value, hook):
                    arrived[hook.layer()] = value

                def put(value, hook):
                    return torch.where(mask[hook.layer()][:, None], arrived[hook.layer()], value)

                rows = einops.repeat(tokens, "batch pos -> (sender batch) pos", sender=len(numbers))
                layers = sorted({layer for layer, _ in receivers})
                hooks = [(f"blocks.{layer}.attn.hook_z", freeze) for layer in range(n_layers)]
                hooks += [(f"blocks.{layer}.attn.hook_{what}", keep) for layer in layers]
                model.run_with_hooks(rows, fwd_hooks=hooks)
                logits = model.run_with_hooks(rows, fwd_hooks=[(f"blocks.{layer}.attn.hook_{what}", put) for layer in layers])
                result[numbers] = torch.stack([metric(part).mean() for part in logits.chunk(len(numbers))])
            return result.view(n_layers, n_heads)
        """,
    ),
    RightAnswer(
        "path_sweep_to_heads",
        "a list of rows, text by text, in blocks of the free run",
        """
        def path_sweep_to_heads(model, tokens, source, metric, receivers, what, rows_at_once=512):
            B = tokens.size(0)
            last = max(l for l, _ in receivers)
            effects = {}
            todo = [(l, h) for l in range(last) for h in range(model.cfg.n_heads)]
            clean = model.run_with_cache(tokens)[1]
            while todo:
                now, todo = todo[: max(1, rows_at_once // B)], todo[max(1, rows_at_once // B) :]
                z = {l: torch.cat([clean["z", l]] * len(now)) for l in range(model.cfg.n_layers)}
                for i, (l, h) in enumerate(now):
                    z[l].unflatten(0, (len(now), B))[i, :, :, h] = source[f"blocks.{l}.attn.hook_z"][:, :, h]
                text = torch.cat([tokens] * len(now))
                with model.hooks(fwd_hooks=[(f"blocks.{l}.attn.hook_z", lambda _, hook, l=l: z[l]) for l in z]):
                    sent = model.run_with_cache(text)[1]

                def put(x, hook, l, h):
                    x = x.clone()
                    x[:, :, h] = sent[what, l][:, :, h]
                    return x

                out = model.run_with_hooks(
                    text, fwd_hooks=[(f"blocks.{l}.attn.hook_{what}", partial(put, l=l, h=h)) for l, h in receivers]
                )
                effects |= {head: metric(logits).mean() for head, logits in zip(now, out.split(B))}
            missing = metric(model(tokens)).mean()
            return torch.stack(
                [
                    torch.stack([effects.get((l, h), missing) for h in range(model.cfg.n_heads)])
                    for l in range(model.cfg.n_layers)
                ]
            )
        """,
    ),
    RightAnswer(
        "path_sweep_to_heads",
        "all heads as senders, in runs that end after the receivers and begin at them",
        """
        def path_sweep_to_heads(model, tokens, source, metric, receivers, what, rows_at_once=512):
            cfg, batch = model.cfg, tokens.shape[0]
            _, own = model.run_with_cache(tokens)
            by_layer = {layer: [head for of, head in receivers if of == layer] for layer, _ in receivers}
            first, last = min(by_layer), max(by_layer)
            at_once = max(1, rows_at_once // batch)
            values = []
            for start in range(0, cfg.n_layers * cfg.n_heads, at_once):
                group = [divmod(i, cfg.n_heads) for i in range(start, min(start + at_once, cfg.n_layers * cfg.n_heads))]
                z = {layer: own["z", layer].repeat(len(group), 1, 1, 1) for layer in range(cfg.n_layers)}
                for i, (layer, head) in enumerate(group):
                    z[layer][i * batch : (i + 1) * batch, :, head] = source[f"blocks.{layer}.attn.hook_z"][:, :, head]
                got = {}
                hooks = [(f"blocks.{layer}.attn.hook_z", lambda _, hook, z=z: z[hook.layer()]) for layer in z]
                hooks += [
                    (f"blocks.{layer}.attn.hook_{what}", lambda x, hook, got=got: got.update({hook.name: x.clone()}))
                    for layer in by_layer
                ]
                model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=hooks, stop_at_layer=last + 1)

                def put(x, hook, got=got):
                    x = x.clone()
                    heads = by_layer[hook.layer()]
                    x[:, :, heads] = got[hook.name][:, :, heads]
                    return x

                with model.hooks(fwd_hooks=[(name, put) for name in got]):
                    logits = run_from(model, own["resid_pre", first].repeat(len(group), 1, 1), first)
                values += [metric(part).mean() for part in logits.split(batch)]
            return torch.stack(values).view(cfg.n_layers, cfg.n_heads)
        """,
    ),
    RightAnswer(
        "trace_circuit",
        "layer by layer from the last, since a head's receivers stand in later layers",
        """
        def trace_circuit(effects_on, threshold):
            edges = {(sender, "logits"): effect for sender, effect in effects_on("logits").items() if abs(effect) > threshold}
            done = set()
            while heads := {sender for sender, _ in edges if not isinstance(sender, str)} - done:
                head = max(heads)
                done.add(head)
                for letter in "vkq":
                    receiver = (head[0], head[1], letter)
                    for sender, effect in effects_on(receiver).items():
                        if effect > threshold or effect < -threshold:
                            edges[sender, receiver] = effect
            return edges
        """,
    ),
    RightAnswer(
        "trace_circuit",
        "depth first, by a function that calls itself",
        """
        def trace_circuit(effects_on, threshold):
            edges, seen = {}, set()

            def follow(receiver):
                if receiver in seen:
                    return
                seen.add(receiver)
                for sender, effect in effects_on(receiver).items():
                    if max(effect, -effect) > threshold:
                        edges[(sender, receiver)] = effect
                        if type(sender) is not str:
                            for letter in ["k", "q", "v"]:
                                follow((*sender, letter))

            follow("logits")
            return edges
        """,
    ),
    RightAnswer(
        "trace_circuit",
        "a set of receivers at a time, less those that were asked",
        """
        def trace_circuit(effects_on, threshold):
            asked, now = {}, {"logits"}
            while now:
                asked |= {
                    receiver: {sender: e for sender, e in effects_on(receiver).items() if e > threshold or e < -threshold}
                    for receiver in now
                }
                heads = {sender for senders in asked.values() for sender in senders if type(sender) is tuple}
                now = {head + (letter,) for head in heads for letter in "qkv"} - asked.keys()
            return {(sender, receiver): e for receiver, senders in asked.items() for sender, e in senders.items()}
        """,
    ),
    RightAnswer(
        "name_copying_score",
        "name by name, with a sorted list",
        """
        def name_copying_score(model, layer, head, names, k=5, negative=False):
            W_OV = model.W_V[layer, head] @ model.W_O[layer, head]
            copied = []
            for name in names.tolist():
                x = model.W_E[name].view(1, 1, -1)
                if layer and not model.cfg.attn_only:
                    x = x + model.blocks[0].mlp(model.blocks[0].ln2(x))
                out = (x @ W_OV @ model.W_U).flatten() * (-1 if negative else 1)
                copied.append(sum(1 for value in out.tolist() if value >= out[name].item()) < k + 1)
            return sum(copied) / len(copied)
        """,
    ),
    RightAnswer(
        "name_copying_score",
        "by the rank in an argsort, ties told apart by hand",
        """
        def name_copying_score(model, layer, head, names, k=5, negative=False):
            read = model.W_E[names].unsqueeze(0)
            if not (layer == 0 or model.cfg.attn_only):
                read = read + model.blocks[0].mlp(model.blocks[0].ln2(read))
            out = einops.einsum(
                read, model.W_V[layer, head], model.W_O[layer, head], model.W_U, "one n m, m d, d r, r v -> n v"
            )
            out = out if not negative else out.neg()
            mine = torch.stack([row[name] for row, name in zip(out, names)])
            higher = out.gt(mine.unsqueeze(1)).sum(1)
            equal = out.eq(mine.unsqueeze(1)).sum(1) - 1
            return float((higher + equal < k).double().mean())
        """,
    ),
    RightAnswer(
        "name_copying_score",
        "above the logit of place k + 1, through W_OV in float64",
        """
        def name_copying_score(model, layer, head, names, k=5, negative=False):
            x = model.embed(names[None])[0]
            if layer >= 1 and not model.cfg.attn_only:
                first = model.blocks[0]
                x = x + first.mlp(first.ln2(x[:, None]))[:, 0]
            W_OV = model.W_V[layer, head].double() @ model.W_O[layer, head].double()
            logits = (1 - 2 * negative) * (x.double() @ W_OV @ model.W_U.double())
            own = torch.tensor([row[name] for row, name in zip(logits.tolist(), names.tolist())], dtype=torch.float64)
            barrier = logits.sort(dim=-1, descending=True).values[:, k]
            return (own.to(barrier.device) > barrier).double().mean().item()
        """,
    ),
    RightAnswer(
        "attention_and_projection",
        "text by text",
        """
        def attention_and_projection(model, cache, prompts, layer, head):
            looks, writes = [], []
            for row in range(len(prompts)):
                end = prompts.positions["END"][row].item()
                out = cache[f"blocks.{layer}.attn.hook_z"][row, end, head] @ model.blocks[layer].attn.W_O[head]
                if model.cfg.normalization_type:
                    out = out / cache["ln_final.hook_scale"][row, end].squeeze()
                looks.append(torch.stack([cache["pattern", layer][row, head, end, prompts.positions[r][row]] for r in ("IO", "S1")]))
                writes.append(torch.stack([F.linear(out, model.W_U[:, token]) for token in (prompts.io[row], prompts.s[row])]))
            return torch.stack(looks, dim=1), torch.stack(writes, dim=1)
        """,
    ),
    RightAnswer(
        "attention_and_projection",
        "by gather, all logits first",
        """
        def attention_and_projection(model, cache, prompts, layer, head):
            last = prompts.positions["END"]
            batch = torch.arange(len(last), device=last.device)
            wrote = cache["z", layer][:, :, head] @ model.W_O[layer, head]
            if model.cfg.normalization_type is not None:
                wrote = wrote / cache["ln_final.hook_scale"]
            logits = (wrote @ model.W_U)[batch, last]
            roles = torch.stack([prompts.positions["IO"], prompts.positions["S1"]], dim=-1)
            attended = cache["pattern", layer][:, head][batch, last].gather(-1, roles)
            return attended.T, logits.gather(-1, torch.stack([prompts.io, prompts.s], dim=-1)).T
        """,
    ),
    RightAnswer(
        "attention_and_projection",
        "with one-hot rows in float64",
        """
        def attention_and_projection(model, cache, prompts, layer, head):
            pattern = cache[f"blocks.{layer}.attn.hook_pattern"][:, head].double()
            at = {role: F.one_hot(places, pattern.shape[-1]).double() for role, places in prompts.positions.items()}
            keys = torch.stack([at["IO"], at["S1"]])
            attention = einops.einsum(pattern, at["END"], keys, "b query key, b query, role b key -> role b")
            z = einops.einsum(cache[f"blocks.{layer}.attn.hook_z"][:, :, head].double(), at["END"], "b pos d, b pos -> b d")
            if model.cfg.normalization_type is not None:
                scale = cache["ln_final.hook_scale"].squeeze(-1).double()
                z = z / (scale * at["END"]).sum(dim=-1, keepdim=True)
            W_U = model.W_U.double()
            directions = torch.stack([W_U[:, prompts.io], W_U[:, prompts.s]])
            projection = einops.einsum(z, model.W_O[layer, head].double(), directions, "b d, d m, role m b -> role b")
            return attention, projection
        """,
    ),
    RightAnswer(
        "attention_by_role",
        "loops over layers, roles and texts",
        """
        def attention_by_role(model, cache, prompts, query="END"):
            tables = []
            for wanted in (True, False):
                rows = [row for row in range(len(prompts)) if bool(prompts.positions["IO"][row] < prompts.positions["S1"][row]) == wanted]
                layers = []
                for layer in range(model.cfg.n_layers):
                    pattern = cache[f"blocks.{layer}.attn.hook_pattern"]
                    roles = [
                        sum(pattern[row, :, prompts.positions[query][row], places[row]] for row in rows) / len(rows)
                        for places in prompts.positions.values()
                    ]
                    layers.append(torch.stack(roles, dim=-1))
                tables.append(torch.stack(layers))
            return torch.stack(tables)
        """,
    ),
    RightAnswer(
        "attention_by_role",
        "with one-hot rows and keys",
        """
        def attention_by_role(model, cache, prompts, query="END"):
            patterns = torch.stack([cache["pattern", layer] for layer in range(model.cfg.n_layers)])
            keys = F.one_hot(torch.stack(list(prompts.positions.values())), patterns.shape[-1]).to(patterns)
            asks = F.one_hot(prompts.positions[query], patterns.shape[-1]).to(patterns)
            first = io_first(prompts)
            shares = torch.stack([first / first.sum(), ~first / (~first).sum()]).to(patterns)
            return einops.einsum(
                patterns, asks, keys, shares, "layer b head q k, b q, role b k, order b -> order layer head role"
            )
        """,
    ),
    RightAnswer(
        "attention_by_role",
        "a gather for the query and one for the keys, and shares of the texts",
        """
        def attention_by_role(model, cache, prompts, query="END"):
            keys = torch.stack(list(prompts.positions.values()), dim=1)
            tables = []
            for layer in range(model.cfg.n_layers):
                pattern = cache["pattern", layer]
                batch, n_heads, _, n_keys = pattern.shape
                asks = prompts.positions[query].view(batch, 1, 1, 1).expand(batch, n_heads, 1, n_keys)
                row = pattern.gather(2, asks).squeeze(2)
                tables.append(row.gather(2, keys.unsqueeze(1).expand(batch, n_heads, -1)))
            abba = io_first(prompts).float()
            shares = torch.stack([abba / abba.sum(), (1 - abba) / (1 - abba).sum()])
            return torch.tensordot(shares, torch.stack(tables, dim=1), dims=1)
        """,
    ),
    RightAnswer(
        "token_and_position_signal",
        "four texts written with with_names",
        """
        def token_and_position_signal(model, prompts, heads):
            io, s = prompts.io, prompts.s
            messages = [
                prompts,
                with_names(model, prompts, {"IO": s, "S1": io}),
                with_names(model, prompts, {"IO": s, "S1": io, "S2": io}),
                with_names(model, prompts, {"S2": io}),
            ]
            ends, batch = prompts.positions["END"], torch.arange(len(io), device=io.device)
            found = []
            for message in messages:
                cache = model.run_with_cache(message.tokens)[1]

                def hook_of(layer, numbers):
                    def put(z, hook):
                        z = z.clone()
                        for number in numbers:
                            z[batch, ends, number] = cache["z", layer][batch, ends, number]
                        return z
                    return (f"blocks.{layer}.attn.hook_z", put)

                hooks = [hook_of(layer, [h for of, h in heads if of == layer]) for layer in {of for of, _ in heads}]
                found.append(logit_difference(model.run_with_hooks(prompts.tokens, fwd_hooks=hooks), prompts).mean())
            return torch.stack(found).reshape(2, 2)
        """,
    ),
    RightAnswer(
        "token_and_position_signal",
        "all four messages side by side in two runs",
        """
        def token_and_position_signal(model, prompts, heads):
            at = prompts.positions
            batch = torch.arange(len(prompts), device=prompts.tokens.device)
            versions = []
            for names in ("is", "si"):
                for places in (("IO", "S1"), ("S1", "IO")):
                    one, two = (prompts.io, prompts.s) if names == "is" else (prompts.s, prompts.io)
                    text = prompts.tokens.clone()
                    text[batch, at[places[0]]], text[batch, at[places[1]]], text[batch, at["S2"]] = one, two, two
                    versions.append(text)
            _, cache = model.run_with_cache(torch.cat(versions))
            rows, ends = torch.arange(4 * len(prompts), device=batch.device), at["END"].repeat(4)

            def put(z, hook):
                new = z.clone()
                chosen = [head for layer, head in heads if f"blocks.{layer}.attn.hook_z" == hook.name]
                for head in chosen:
                    new[rows, ends, head] = cache[hook.name][rows, ends, head]
                return new

            with model.hooks(fwd_hooks=[(lambda name: name.endswith("attn.hook_z"), put)]):
                logits = model(prompts.tokens.repeat(4, 1))
            means = [logit_difference(block, prompts).mean() for block in logits.chunk(4)]
            return torch.stack(means).view(2, 2)
        """,
    ),
    RightAnswer(
        "token_and_position_signal",
        "from a table of names, with a mask of END and a hook for each head",
        """
        def token_and_position_signal(model, prompts, heads):
            io, s = prompts.io, prompts.s
            table = [[(io, s, s), (s, io, s)], [(s, io, io), (io, s, io)]]
            places = torch.arange(prompts.tokens.shape[1], device=io.device)
            is_end = (places == prompts.positions["END"][:, None])[:, :, None]
            means = []
            for names in [line for row in table for line in row]:
                text = prompts.tokens
                for role, name in zip(("IO", "S1", "S2"), names):
                    text = torch.where(places == prompts.positions[role][:, None], name[:, None], text)
                _, there = model.run_with_cache(text)

                def say(z, hook, head, there=there):
                    said = z.clone()
                    said[:, :, head] = torch.where(is_end, there[hook.name][:, :, head], z[:, :, head])
                    return said

                with model.hooks(fwd_hooks=[(f"blocks.{layer}.attn.hook_z", partial(say, head=head)) for layer, head in heads]):
                    means.append(logit_difference(model(prompts.tokens), prompts).double().mean())
            return torch.stack(means).unflatten(0, (2, 2))
        """,
    ),
    RightAnswer(
        "mean_by_template",
        "template by template, each in a run of its own",
        """
        def mean_by_template(model, reference):
            means = {}
            for number in dict.fromkeys(reference.templates):
                rows = [row for row, of in enumerate(reference.templates) if of == number]
                _, cache = model.run_with_cache(reference.tokens[rows])
                means[number] = torch.stack(
                    [einops.reduce(cache["z", layer], "b p h d -> p h d", "mean") for layer in range(model.cfg.n_layers)]
                )
            return means
        """,
    ),
    RightAnswer(
        "mean_by_template",
        "with hooks that collect, and shares of the rows",
        """
        def mean_by_template(model, reference):
            seen = {}
            layers = range(model.cfg.n_layers)
            collect = [(f"blocks.{layer}.attn.hook_z", lambda z, hook: seen.__setitem__(hook.layer(), z.clone())) for layer in layers]
            model.run_with_hooks(reference.tokens, fwd_hooks=collect)
            result = {}
            for number in reference.templates:
                share = torch.tensor([float(of == number) for of in reference.templates], device=reference.tokens.device)
                share = share / share.sum()
                result[number] = torch.stack([torch.tensordot(share, seen[layer], dims=1) for layer in sorted(seen)])
            return result
        """,
    ),
    RightAnswer(
        "mean_by_template",
        "sums that grow text by text, in float64",
        """
        def mean_by_template(model, reference):
            sums, counts = {}, {}
            for row, number in enumerate(reference.templates):
                _, cache = model.run_with_cache(reference.tokens[row : row + 1])
                z = torch.cat([cache["z", layer] for layer in range(model.cfg.n_layers)]).double()
                sums[number] = sums[number] + z if number in sums else z
                counts[number] = counts.get(number, 0) + 1
            return {number: (total / counts[number]).float() for number, total in sums.items()}
        """,
    ),
    RightAnswer(
        "ablate_all_but",
        "a mask over heads and torch.where",
        """
        def ablate_all_but(model, prompts, circuit, means):
            keep = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, dtype=torch.bool, device=prompts.tokens.device)
            for layer, head in circuit:
                keep[layer, head] = True

            def hook_z(z, hook):
                own = torch.stack([means[number][hook.layer()] for number in prompts.templates])
                return torch.where(keep[hook.layer()][None, None, :, None], z, own)

            with model.hooks(fwd_hooks=[(lambda name: name.endswith("hook_z"), hook_z)]):
                return model(prompts.tokens)
        """,
    ),
    RightAnswer(
        "ablate_all_but",
        "row by row, head by head",
        """
        def ablate_all_but(model, prompts, circuit, means):
            inside = list(circuit)

            def make(layer):
                def replace_heads(z, hook):
                    new = z.clone()
                    for row, number in enumerate(prompts.templates):
                        for head in range(z.shape[2]):
                            if inside.count((layer, head)) == 0:
                                new[row, :, head, :] = means[number][layer][:, head]
                    return new
                return replace_heads

            hooks = [(f"blocks.{layer}.attn.hook_z", make(layer)) for layer in range(model.cfg.n_layers)]
            return model.run_with_hooks(prompts.tokens, fwd_hooks=hooks)
        """,
    ),
    RightAnswer(
        "ablate_all_but",
        "template by template, each in a run of its own",
        """
        def ablate_all_but(model, prompts, circuit, means):
            circuit = frozenset(circuit)
            n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
            result = [None] * len(prompts)
            for number in set(prompts.templates):
                rows = [row for row, of in enumerate(prompts.templates) if of == number]
                hooks = []
                for layer in range(n_layers):
                    gone = [head for head in range(n_heads) if (layer, head) not in circuit]

                    def put(z, hook, gone=gone, mean=means[number][layer]):
                        z = z.clone()
                        z[:, :, gone] = mean[:, gone]
                        return z

                    hooks.append((f"blocks.{layer}.attn.hook_z", put))
                for row, logits in zip(rows, model.run_with_hooks(prompts.tokens[rows], fwd_hooks=hooks)):
                    result[row] = logits
            return torch.stack(result)
        """,
    ),
    RightAnswer(
        "ablate_all_but",
        "what attention writes is corrected",
        """
        def ablate_all_but(model, prompts, circuit, means):
            keep = set(map(tuple, circuit))
            other = torch.stack([means[number] for number in prompts.templates])
            own = {}

            def look(z, hook):
                own[hook.layer()] = z

            def correct(out, hook):
                layer = hook.layer()
                for head in {head for head in range(model.cfg.n_heads) if (layer, head) not in keep}:
                    out = out + (other[:, layer, :, head] - own[layer][:, :, head]) @ model.W_O[layer, head]
                return out

            layers = range(model.cfg.n_layers)
            hooks = [(f"blocks.{layer}.attn.hook_z", look) for layer in layers]
            hooks += [(f"blocks.{layer}.hook_attn_out", correct) for layer in layers]
            return model.run_with_hooks(prompts.tokens, fwd_hooks=hooks)
        """,
    ),
    RightAnswer(
        "faithfulness",
        "names for the three scores, one after the other",
        """
        def faithfulness(circuit, everything, score):
            F_M = score(frozenset(everything))
            F_C = score(frozenset(circuit))
            floor = score(frozenset())
            gap = F_M - F_C
            return dict(gap=gap, ratio=1 - gap / F_M, recovered=1 - gap / (F_M - floor))
        """,
    ),
    RightAnswer(
        "faithfulness",
        "in a tensor",
        """
        def faithfulness(circuit, everything, score):
            sets = [frozenset(heads) for heads in ((), circuit, everything)]
            base, part, whole = torch.tensor([score(heads) for heads in sets], dtype=torch.float64).tolist()
            return {"recovered": (base - part) / (base - whole), "gap": -(part - whole), "ratio": part / whole}
        """,
    ),
    RightAnswer(
        "faithfulness",
        "a function of sets, and shares by what is lost",
        """
        def faithfulness(circuit, everything, score):
            F_of = {name: score(frozenset(tuple(pair) for pair in heads)) for name, heads in zip("CM0", (circuit, everything, []))}

            def share(below):
                return 1 - (F_of["M"] - F_of["C"]) / (F_of["M"] - below)

            figures = {}
            figures["gap"] = F_of["M"] - F_of["C"]
            figures["ratio"] = share(0.0)
            figures["recovered"] = share(F_of["0"])
            return figures
        """,
    ),
    RightAnswer(
        "completeness",
        "with comprehensions",
        """
        def completeness(circuit, subset, everything, score):
            out = list(subset)
            values = [score(frozenset(head for head in heads if head not in out)) for heads in (circuit, everything)]
            return max(values) - min(values)
        """,
    ),
    RightAnswer(
        "completeness",
        "with difference and a root",
        """
        def completeness(circuit, subset, everything, score):
            K = set(subset)
            gap = score(frozenset(set(circuit).difference(K))) - score(frozenset(set(everything).difference(K)))
            return (gap * gap) ** 0.5
        """,
    ),
    RightAnswer(
        "completeness",
        "in a tensor, with sets from which heads are discarded",
        """
        def completeness(circuit, subset, everything, score):
            inside, outside = set(circuit), set(everything)
            for head in subset:
                inside.discard(head)
                outside.discard(head)
            scores = torch.tensor([score(frozenset(inside)), score(frozenset(outside))], dtype=torch.float64)
            return scores.diff().abs().item()
        """,
    ),
    RightAnswer(
        "minimality",
        "the union written out",
        """
        def minimality(circuit, head, subset, score):
            K = frozenset(subset)
            C = frozenset(circuit)
            return abs(score(C - (K | frozenset({head}))) - score(C - K))
        """,
    ),
    RightAnswer(
        "minimality",
        "with comprehensions",
        """
        def minimality(circuit, head, subset, score):
            gone = set(subset)
            left = [each for each in circuit if each not in gone]
            with_it, without_it = score(frozenset(left)), score(frozenset(each for each in left if each != head))
            return max(with_it - without_it, without_it - with_it)
        """,
    ),
    RightAnswer(
        "minimality",
        "heads discarded one by one, and a number out of a tensor",
        """
        def minimality(circuit, head, subset, score):
            left = dict.fromkeys(circuit)
            for away in subset:
                left.pop(away, None)
            with_head = score(frozenset(left))
            left.pop(head, None)
            return torch.tensor(score(frozenset(left)) - with_head, dtype=torch.float64).abs()
        """,
    ),
    RightAnswer(
        "greedy_circuit",
        "by recursion",
        """
        def greedy_circuit(everything, score, tolerance):
            whole = score(frozenset(everything := frozenset(everything)))

            def prune(kept):
                if not kept:
                    return kept
                smaller = min((kept - {head} for head in sorted(kept)), key=lambda heads: abs(score(heads) - whole))
                return prune(smaller) if abs(score(smaller) - whole) <= tolerance * abs(whole) else kept

            return sorted(prune(everything))
        """,
    ),
    RightAnswer(
        "greedy_circuit",
        "with a list of candidates, sorted",
        """
        def greedy_circuit(everything, score, tolerance):
            kept = sorted(set(everything))
            goal = score(frozenset(kept))
            for _ in range(len(kept)):
                ranked = []
                for place, head in enumerate(kept):
                    rest = kept[:place] + kept[place + 1 :]
                    ranked.append((abs(goal - score(frozenset(rest))), head))
                distance, head = sorted(ranked)[0]
                if distance > abs(goal) * tolerance:
                    return kept
                kept.remove(head)
            return kept
        """,
    ),
    RightAnswer(
        "greedy_circuit",
        "with a score that remembers, and the place of the least distance in a list",
        """
        def greedy_circuit(everything, score, tolerance):
            kept = sorted(everything)
            F_of = functools.cache(score)
            goal = F_of(frozenset(kept))
            while True:
                distances = [abs(F_of(frozenset(kept) - {head}) - goal) for head in kept]
                if not distances or min(distances) > tolerance * max(goal, -goal):
                    return kept
                del kept[distances.index(min(distances))]
        """,
    ),
]
