"""This file knows the mistakes that people make in chapter 4, each with the one sentence that they are told."""

from utils.checking import Mistake

# 4.9 to 4.14: activation patching

PATCHING_ONE_RUN_PER_CELL = (
    "the model is run once for every cell; lay as many cells as fit side by side, as rows of one forward pass"
)
PATCHING_BUDGET_IGNORED = (
    "all cells go through the model at once, whatever rows_at_once says; take as many at a time as have room"
)
PATCHING_BUDGET_IN_CELLS = (
    "rows_at_once is taken as a number of cells, but each cell has one row per text: divide by the batch"
)
PATCHING_LEFT_OVER = "the cells that do not fill a whole group are never run and stay 0; the last group may be smaller"
PATCHING_SUMMED = "the metric is summed over the texts, so the map grows with their number; average"
PATCHING_FIRST_TEXT = "only the first text's metric goes into the map; it is the mean over all texts of the batch"
PATCHING_ROWS_BY_TEXT = (
    "repeat_interleave lays the cells of one text side by side, not the texts of one cell; use tokens.repeat(cells, 1)"
)
PATCHING_REFUSAL = """    if what not in ("z", "q", "k", "v", "pattern"):
        raise ValueError(f'what must be "z", "q", "k", "v" or "pattern", but it is "{what}"')
"""
PATCHING_RUN_GROUP = """        logits = model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=[(name, patch) for name in names])
"""
PATCHING_RUN_GROUP_HOOKED_FOR_GOOD = """        model.reset_hooks()
        for name in names:
            model.add_hook(name, patch)
        logits = model(tokens.repeat(len(group), 1))
"""
PATCHING_EVERY_ROW = (
    "the hook patches every row, so that each cell has the patches of its whole group; patch the rows of that cell only"
)
PATCHING_EVERY_LAYER = "each cell is patched in every layer; in the hook of a layer, patch only the cells of that layer"
PATCHING_CHANGE_NOT_VALUE = (
    "the metric of the unpatched run was subtracted; the map holds the metric itself, from which anyone can take it"
)
PATCHING_SWEEP_HOOKS_STAY = (
    "the hooks stay on the model and patch every later run; use run_with_hooks, which takes them off again"
)

PATH_RUN = """return model.run_with_hooks(tokens, fwd_hooks=[(name, lambda _, hook, name=name: frozen[name]) for name in names])"""
PATH_REFUSE = """    if what not in ("q", "k", "v"):
        raise ValueError(f'what must be "q", "k" or "v", but it is "{what}"')
"""

PATH_MLPS = """    if not model.cfg.attn_only:
        {} += [f"blocks.{{layer}}.hook_mlp_out" for layer in range(n_layers)]
"""

PATH_ROWS = """
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
"""

MISTAKES = [
    # 4.1
    Mistake(
        "name_positions",
        "BOS not counted",
        "the first word counts as 0; BOS is number 0, so every position is one higher",
        change=[
            (
                'return {"IO": at_io, "S1": s1, "S1+1": s1 + 1, "S2": s2, "END": len(str_tokens) - 1}',
                'return {"IO": at_io - 1, "S1": s1 - 1, "S1+1": s1, "S2": s2 - 1, "END": len(str_tokens) - 2}',
            )
        ],
    ),
    Mistake(
        "name_positions",
        "END after the last token",
        "END is the number of tokens, one past the last; it is the last token, where the next one is predicted",
        change=[('"END": len(str_tokens) - 1', '"END": len(str_tokens)')],
    ),
    Mistake(
        "name_positions",
        "S1 and S2 exchanged",
        "S1 and S2 are exchanged: S1 is the first mention of S, S2 the second",
        change=[("(at_io,), (s1, s2) = places[io], places[s]", "(at_io,), (s2, s1) = places[io], places[s]")],
    ),
    Mistake(
        "name_positions",
        "S1+1 after S2",
        "S1+1 is the word after the second mention; it is the word after the first, s1 + 1",
        change=[('"S1+1": s1 + 1', '"S1+1": s2 + 1')],
    ),
    Mistake(
        "name_positions",
        "IO and S exchanged",
        "the giver, who stands twice, is taken for IO: the first name of the call is io, the second s",
        write="""
        def name_positions(str_tokens, io, s):
            found = {
                name: [place for place, token in enumerate(str_tokens) if token == f" {name}"] for name in (io, s)
            }
            for name, times in ((io, 1), (s, 2)):
                if len(found[name]) != times:
                    raise ValueError(f"{name!r} stands {len(found[name])} times in {str_tokens}")
            s1, s2 = found[s]
            return {"IO": s1, "S1": found[io][0], "S1+1": found[io][0] + 1, "S2": s2, "END": len(str_tokens) - 1}
        """,
    ),
    Mistake(
        "name_positions",
        "IO is the first name",
        "the name that stands first is taken for IO; in half of all texts S stands first: look for each name by itself",
        change=[
            (
                "(at_io,), (s1, s2) = places[io], places[s]",
                "at_io, s1, s2 = sorted(places[io] + places[s])",
            )
        ],
    ),
    Mistake(
        "name_positions",
        "part of a word",
        "a token that merely contains the name counts as the name, so that Anna is Ann; compare the whole token with a space and the name",
        change=[('if token == f" {name}"', "if name in token")],
    ),
    Mistake(
        "name_positions",
        "space not compared",
        'the name without its space counts too; "Zoe" and " Zoe" are two tokens, and only the second is looked for',
        change=[('if token == f" {name}"', "if token.strip() == name")],
    ),
    Mistake(
        "name_positions",
        "only too few refused",
        "a name that stands too often is not refused; IO must stand exactly once, and S exactly twice",
        write="""
        def name_positions(str_tokens, io, s):
            at_io = [place for place, token in enumerate(str_tokens) if token == f" {io}"]
            at_s = [place for place, token in enumerate(str_tokens) if token == f" {s}"]
            for name, places, times in ((io, at_io, 1), (s, at_s, 2)):
                if len(places) < times:
                    raise ValueError(f"{name!r} stands {len(places)} times in {str_tokens}")
            return {"IO": at_io[0], "S1": at_s[0], "S1+1": at_s[0] + 1, "S2": at_s[1], "END": len(str_tokens) - 1}
        """,
    ),
    Mistake(
        "name_positions",
        "nothing refused",
        "a text without the names gets positions nevertheless (-1); raise a ValueError with the name that is missing or there too often",
        write="""
        def name_positions(str_tokens, io, s):
            at_io = [place for place, token in enumerate(str_tokens) if token == f" {io}"] or [-1]
            at_s = [place for place, token in enumerate(str_tokens) if token == f" {s}"] or [-1]
            s1, s2 = at_s[0], at_s[1] if len(at_s) > 1 else -1
            return {"IO": at_io[0], "S1": s1, "S1+1": s1 + 1, "S2": s2, "END": len(str_tokens) - 1}
        """,
    ),
    Mistake(
        "name_positions",
        "END is -1",
        "END is -1; positions are counted from BOS, so that they can be compared, and a padded row's last column is not END",
        change=[('"END": len(str_tokens) - 1', '"END": -1')],
    ),
    Mistake(
        "name_positions",
        "names counted without BOS",
        "the names are looked for in the tokens after BOS and counted from 0 there; BOS is number 0, so each is one higher",
        change=[("in enumerate(str_tokens) if", "in enumerate(str_tokens[1:]) if")],
    ),
    Mistake(
        "name_positions",
        "IO too often not refused",
        "a text in which IO stands twice gets positions; such a text gives the answer away: IO must stand exactly once",
        change=[
            (
                "if len(places[name]) != times:",
                "if len(places[name]) < times or name == s and len(places[name]) > times:",
            ),
            ("(at_io,), (s1, s2) = places[io], places[s]", "at_io, (s1, s2) = places[io][0], places[s]"),
        ],
    ),
    Mistake(
        "name_positions",
        "S three times not refused",
        "a text in which S stands three times gets positions, of which one is arbitrary; S must stand exactly twice",
        change=[
            (
                "if len(places[name]) != times:",
                "if len(places[name]) < times or name == io and len(places[name]) > times:",
            ),
            ("(at_io,), (s1, s2) = places[io], places[s]", "(at_io,), (s1, s2) = places[io], places[s][:2]"),
        ],
    ),
    Mistake(
        "name_positions",
        "the error does not say which name",
        "a ValueError is raised, but its text does not have the name in it; who reads it wants to know which of the two it is",
        change=[
            (
                'raise ValueError(f"{times} of the tokens must be {name!r}, but {len(places[name])} of {str_tokens} are")',
                'raise ValueError("this is not a text of the task")',
            )
        ],
    ),
    # 4.2
    Mistake(
        "ioi_prompts",
        "one order only",
        "every text has IO first; make each also with S first, so that no place gives the answer away",
        change=[("for a, b in ((io, s), (s, io)):", "for a, b in ((io, s),):")],
    ),
    Mistake(
        "ioi_prompts",
        "S first, then IO first",
        "of each pair the text with S first comes first; ABBA, IO first, is the earlier row",
        change=[("((io, s), (s, io))", "((s, io), (io, s))")],
    ),
    Mistake(
        "ioi_prompts",
        "roles exchanged in place of the order",
        "the second text of a pair has another giver, not another order; exchange {A} and {B} and keep {S}",
        change=[
            ("text = template.format(A=a, B=b, S=s, **chosen)", "text = template.format(A=io, B=s, S=b, **chosen)"),
            ("name_positions(model.to_str_tokens(text), io, s)", "name_positions(model.to_str_tokens(text), a, b)"),
            ("answers.append((names[io], names[s]))", "answers.append((names[a], names[b]))"),
        ],
    ),
    Mistake(
        "ioi_prompts",
        "all of one order, then all of the other",
        "all texts of a template with IO first come before those with S first; the two orders of a pair stand next to each other",
        write="""
        def ioi_prompts(model, templates, pairs, nouns, generator):
            names = {name: name_token(model, name) for pair in pairs for name in pair}
            texts, rows, positions, answers, numbers = [], [], [], [], []
            for number, template in enumerate(templates):
                drawn = [
                    {field: words[int(torch.randint(len(words), (), generator=generator))] for field, words in nouns.items()}
                    for _ in pairs
                ]
                for first in (True, False):
                    for (io, s), chosen in zip(pairs, drawn):
                        a, b = (io, s) if first else (s, io)
                        texts.append(template.format(A=a, B=b, S=s, **chosen))
                        rows.append(model.to_tokens(texts[-1])[0])
                        positions.append(name_positions(model.to_str_tokens(texts[-1]), io, s))
                        answers.append((names[io], names[s]))
                        numbers.append(number)
            tokens = torch.nn.utils.rnn.pad_sequence(
                rows, batch_first=True, padding_value=model.tokenizer.bos_token_id
            )
            by_role = {role: torch.tensor([p[role] for p in positions], device=tokens.device) for role in positions[0]}
            io_tokens, s_tokens = torch.tensor(answers, device=tokens.device).unbind(-1)
            return Prompts(texts, tokens, io_tokens, s_tokens, by_role, numbers)
        """,
    ),
    Mistake(
        "ioi_prompts",
        "pairs before templates",
        "the rows go pair by pair and in each template by template; templates are the outer loop",
        write="""
        def ioi_prompts(model, templates, pairs, nouns, generator):
            names = {name: name_token(model, name) for pair in pairs for name in pair}
            texts, rows, positions, answers, numbers = [], [], [], [], []
            for io, s in pairs:
                for number, template in enumerate(templates):
                    chosen = {
                        field: words[int(torch.randint(len(words), (), generator=generator))]
                        for field, words in nouns.items()
                    }
                    for a, b in ((io, s), (s, io)):
                        texts.append(template.format(A=a, B=b, S=s, **chosen))
                        rows.append(model.to_tokens(texts[-1])[0])
                        positions.append(name_positions(model.to_str_tokens(texts[-1]), io, s))
                        answers.append((names[io], names[s]))
                        numbers.append(number)
            tokens = torch.nn.utils.rnn.pad_sequence(
                rows, batch_first=True, padding_value=model.tokenizer.bos_token_id
            )
            by_role = {role: torch.tensor([p[role] for p in positions], device=tokens.device) for role in positions[0]}
            io_tokens, s_tokens = torch.tensor(answers, device=tokens.device).unbind(-1)
            return Prompts(texts, tokens, io_tokens, s_tokens, by_role, numbers)
        """,
    ),
    Mistake(
        "ioi_prompts",
        "io and s exchanged",
        "io holds the giver's token and s the receiver's; io is the name that stands once, the first of the pair",
        change=[("answers.append((names[io], names[s]))", "answers.append((names[s], names[io]))")],
    ),
    Mistake(
        "ioi_prompts",
        "first and second name as io and s",
        "io is the first name of each text and s the second; the answer is the name that stands once, in either order",
        change=[("answers.append((names[io], names[s]))", "answers.append((names[a], names[b]))")],
    ),
    Mistake(
        "ioi_prompts",
        "filled up on the left",
        "shorter rows are filled up on the left, so that their positions no longer fit; fill up on the right",
        change=[
            (
                "padding_value=model.tokenizer.bos_token_id)",
                'padding_value=model.tokenizer.bos_token_id, padding_side="left")',
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "filled up with 0",
        "shorter rows are filled up with token 0, which is BOS in some models and a word in others; use model.tokenizer.bos_token_id",
        change=[("padding_value=model.tokenizer.bos_token_id", "padding_value=0")],
    ),
    Mistake(
        "ioi_prompts",
        "END of the longest text for all",
        "END is the last column in every row; a shorter text ends earlier, and what follows is filling",
        change=[
            (
                "io_tokens, s_tokens = torch.tensor(answers",
                'by_role["END"] = torch.full_like(by_role["END"], tokens.shape[1] - 1)\n'
                "    io_tokens, s_tokens = torch.tensor(answers",
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "positions without BOS",
        "the positions are counted in the tokens without BOS, one too low for the rows, which begin with it",
        change=[
            (
                "positions.append(name_positions(model.to_str_tokens(text), io, s))",
                "positions.append(name_positions(model.to_str_tokens(text, prepend_bos=False), io, s))",
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "nouns drawn for each text",
        "a noun is drawn for every text, so the two orders of a pair differ in more than the order; draw before the loop over orders",
        change=[
            (
                "                text = template.format(A=a, B=b, S=s, **chosen)",
                "                chosen = {\n"
                "                    field: words[int(torch.randint(len(words), (), generator=generator))]\n"
                "                    for field, words in nouns.items()\n"
                "                }\n"
                "                text = template.format(A=a, B=b, S=s, **chosen)",
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "always the first noun",
        "the first word of each list is taken every time; draw one with the generator",
        change=[("words[int(torch.randint(len(words), (), generator=generator))]", "words[0]")],
    ),
    Mistake(
        "ioi_prompts",
        "nouns drawn once",
        "the nouns are drawn once, for all texts or all of a template; draw anew for every template and pair",
        change=[
            (
                "            chosen = {\n",
                "            chosen = chosen if texts else {\n",
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "the last noun is never drawn",
        "torch.randint(n) gives 0 up to n - 1 already; with n = len(words) - 1 the last word is never drawn",
        change=[("torch.randint(len(words), ()", "torch.randint(len(words) - 1 or 1, ()")],
    ),
    Mistake(
        "ioi_prompts",
        "generator not used",
        "the nouns come from the global random numbers; pass generator=generator, so that the same seed gives the same prompts",
        change=[("torch.randint(len(words), (), generator=generator)", "torch.randint(len(words), ())")],
    ),
    Mistake(
        "ioi_prompts",
        "template counted per text",
        "templates holds the number of each text; it is the number of its template, the same for all of that template's texts",
        change=[("numbers.append(number)", "numbers.append(len(numbers))")],
    ),
    Mistake(
        "ioi_prompts",
        "names not looked at",
        "a name of several tokens is put in as its first piece; let name_token refuse it",
        write="""
        def ioi_prompts(model, templates, pairs, nouns, generator):
            def first(name):
                return model.to_tokens(f" {name}", prepend_bos=False)[0, 0].item()

            texts, rows, positions, answers, numbers = [], [], [], [], []
            for number, template in enumerate(templates):
                for io, s in pairs:
                    chosen = {
                        field: words[int(torch.randint(len(words), (), generator=generator))]
                        for field, words in nouns.items()
                    }
                    for a, b in ((io, s), (s, io)):
                        texts.append(template.format(A=a, B=b, S=s, **chosen))
                        rows.append(model.to_tokens(texts[-1])[0])
                        listed = rows[-1].tolist()
                        s1, s2 = [place for place, token in enumerate(listed) if token == first(s)][:2]
                        at_io = listed.index(first(io))
                        positions.append({"IO": at_io, "S1": s1, "S1+1": s1 + 1, "S2": s2, "END": len(listed) - 1})
                        answers.append((first(io), first(s)))
                        numbers.append(number)
            tokens = torch.nn.utils.rnn.pad_sequence(
                rows, batch_first=True, padding_value=model.tokenizer.bos_token_id
            )
            by_role = {role: torch.tensor([p[role] for p in positions], device=tokens.device) for role in positions[0]}
            io_tokens, s_tokens = torch.tensor(answers, device=tokens.device).unbind(-1)
            return Prompts(texts, tokens, io_tokens, s_tokens, by_role, numbers)
        """,
    ),
    Mistake(
        "ioi_prompts",
        "pairs taken as (S, IO)",
        "a pair is read as (S, IO), so the wrong one of the two gives in every text; the first of a pair is IO",
        change=[("for io, s in pairs:", "for s, io in pairs:")],
    ),
    Mistake(
        "ioi_prompts",
        "one number for all fields",
        "one number is drawn and used for the words of all fields, so that each place comes with one thing only; draw for every field",
        change=[
            (
                "            chosen = {\n"
                "                field: words[int(torch.randint(len(words), (), generator=generator))] for field, words in nouns.items()\n"
                "            }\n",
                "            number_drawn = int(torch.randint(1000, (), generator=generator))\n"
                "            chosen = {field: words[number_drawn % len(words)] for field, words in nouns.items()}\n",
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "nouns drawn inside the loop over orders",
        "the nouns are drawn inside the loop over orders, so the two orders of a pair differ in more than the order; draw before it",
        change=[
            (
                "            chosen = {\n"
                "                field: words[int(torch.randint(len(words), (), generator=generator))] for field, words in nouns.items()\n"
                "            }\n",
                "",
            ),
            (
                "                text = template.format(A=a, B=b, S=s, **chosen)",
                "                chosen = {\n"
                "                    field: words[int(torch.randint(len(words), (1,), generator=generator))]\n"
                "                    for field, words in nouns.items()\n"
                "                }\n"
                "                text = template.format(A=a, B=b, S=s, **chosen)",
            ),
        ],
    ),
    Mistake(
        "ioi_prompts",
        "names without their space",
        'the token is that of the name without the space before it; GPT-2 has " Mary" and "Mary" as two tokens, and the first is predicted',
        change=[
            (
                "names = {name: name_token(model, name) for pair in pairs for name in pair}",
                "names = {name: model.to_tokens(name, prepend_bos=False)[0, 0].item() for pair in pairs for name in pair}",
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "the positions of the first order for both",
        "both orders of a pair have the positions of the text with IO first; find them in every text anew",
        change=[
            (
                "positions.append(name_positions(model.to_str_tokens(text), io, s))",
                "where = name_positions(model.to_str_tokens(text), io, s) if a == io else where\n"
                "                positions.append(where)",
            )
        ],
    ),
    Mistake(
        "ioi_prompts",
        "the text without a giver",
        "{S} is filled with the second name of the text, so that in the second order IO gives; {S} is the giver in both",
        change=[
            ("text = template.format(A=a, B=b, S=s, **chosen)", "text = template.format(A=a, B=b, S=b, **chosen)"),
            ("name_positions(model.to_str_tokens(text), io, s)", "name_positions(model.to_str_tokens(text), a, b)"),
        ],
    ),
    # 4.3
    Mistake(
        "abc_twins",
        "S1 and S2 alike",
        "S1 and S2 get the same new name, so that the twin still says who stands twice; three different names are needed",
        change=[('{"IO": io, "S1": s1, "S2": s2}', '{"IO": io, "S1": s1, "S2": s1}')],
    ),
    Mistake(
        "abc_twins",
        "S2 is the new IO",
        "IO and S2 get the same new name: that turns the answer round, where ABC has three different names",
        change=[('{"IO": io, "S1": s1, "S2": s2}', '{"IO": io, "S1": s1, "S2": io}')],
    ),
    Mistake(
        "abc_twins",
        "drawn with putting back",
        "the three names are drawn one by one with putting back, so two of them may be the same; torch.randperm draws without",
        change=[
            (
                "torch.randperm(len(free), generator=generator)[:3]",
                "torch.randint(len(free), (3,), generator=generator)",
            )
        ],
    ),
    Mistake(
        "abc_twins",
        "names of the text not left out",
        "the names are drawn from all of `names`, so IO's own may come back; leave out those that the row holds",
        change=[("if token not in row]", "]")],
    ),
    Mistake(
        "abc_twins",
        "IO may come back",
        "only S's name is left out before drawing, so the answer may be in the twin; leave out every name that the row holds",
        write="""
        def abc_twins(model, prompts, names, generator):
            tokens = [name_token(model, name) for name in names]
            chosen = []
            for s in prompts.s.tolist():
                free = [token for token in tokens if token != s]
                if len(free) < 3 or len(names) < 5:
                    raise ValueError("too few names")
                chosen.append([free[place] for place in torch.randperm(len(free), generator=generator)[:3]])
            io, s1, s2 = torch.tensor(chosen, device=prompts.tokens.device).unbind(-1)
            return with_names(model, prompts, {"IO": io, "S1": s1, "S2": s2})
        """,
    ),
    Mistake(
        "abc_twins",
        "bystanders may be drawn",
        "only IO and S are left out before drawing, so a bystander may become one of the three; leave out every name that the row holds",
        write="""
        def abc_twins(model, prompts, names, generator):
            tokens = [name_token(model, name) for name in names]
            chosen = []
            for io, s in zip(prompts.io.tolist(), prompts.s.tolist()):
                free = [token for token in tokens if token not in (io, s)]
                if len(free) < 3:
                    raise ValueError("too few names")
                chosen.append([free[place] for place in torch.randperm(len(free), generator=generator)[:3]])
            io, s1, s2 = torch.tensor(chosen, device=prompts.tokens.device).unbind(-1)
            return with_names(model, prompts, {"IO": io, "S1": s1, "S2": s2})
        """,
    ),
    Mistake(
        "abc_twins",
        "always the first names that are free",
        "the first three free names are taken every time, so that nothing is drawn; use the generator",
        change=[("torch.randperm(len(free), generator=generator)[:3]", "range(3)")],
    ),
    Mistake(
        "abc_twins",
        "only S2 changed",
        "IO and S1 keep their names, so the answer is still there; all three places get new ones",
        change=[('{"IO": io, "S1": s1, "S2": s2}', '{"S2": s2}')],
    ),
    Mistake(
        "abc_twins",
        "S2 forgotten",
        "S2 keeps the old name, which says who the giver is; all three places get new ones",
        change=[('{"IO": io, "S1": s1, "S2": s2}', '{"IO": io, "S1": s1}')],
    ),
    Mistake(
        "abc_twins",
        "io and s are the new names",
        "io and s of the twin are its new names; the twin keeps the clean text's, because it is asked the same question",
        change=[
            (
                'return with_names(model, prompts, {"IO": io, "S1": s1, "S2": s2})',
                'return replace(with_names(model, prompts, {"IO": io, "S1": s1, "S2": s2}), io=io, s=s1)',
            )
        ],
    ),
    Mistake(
        "abc_twins",
        "texts of the clean prompts",
        "the tokens are new but the texts are still the clean ones; with_names writes both",
        change=[
            (
                'return with_names(model, prompts, {"IO": io, "S1": s1, "S2": s2})',
                'return replace(with_names(model, prompts, {"IO": io, "S1": s1, "S2": s2}), texts=prompts.texts)',
            )
        ],
    ),
    Mistake(
        "abc_twins",
        "generator not used",
        "the names come from the global random numbers; pass generator=generator, so that the same seed gives the same twins",
        change=[("torch.randperm(len(free), generator=generator)", "torch.randperm(len(free))")],
    ),
    Mistake(
        "abc_twins",
        "too few names not refused",
        "where fewer than three names are left, one is used twice; raise a ValueError",
        change=[
            (
                'raise ValueError(f"only {len(free)} of {list(names)} do not occur in {text!r}, but 3 are needed")',
                "free = (free * 3)[:3]",
            )
        ],
    ),
    Mistake(
        "abc_twins",
        "the same names for all texts",
        "the names are put in one order once, and every text takes the first free ones of it; draw for every text anew",
        change=[
            (
                "    chosen = []\n",
                "    chosen = []\n    scores = torch.rand(len(names), generator=generator).tolist()\n",
            ),
            (
                "[free[place] for place in torch.randperm(len(free), generator=generator)[:3]]",
                "sorted(free, key=lambda token: scores[tokens.index(token)])[:3]",
            ),
        ],
    ),
    Mistake(
        "abc_twins",
        "the generator set back for each text",
        "every text draws from a generator that begins anew, so that texts with the same names get the same twin; draw on from `generator`",
        change=[
            (
                "torch.randperm(len(free), generator=generator)",
                "torch.randperm(len(free), generator=generator.manual_seed(generator.initial_seed()))",
            )
        ],
    ),
    Mistake(
        "abc_twins",
        "the last name is never drawn",
        "the last of the free names is never drawn; torch.randperm(n) has the numbers 0 to n - 1, so n is len(free)",
        change=[
            (
                "torch.randperm(len(free), generator=generator)",
                "torch.randperm(max(3, len(free) - 1), generator=generator)",
            )
        ],
    ),
    Mistake(
        "abc_twins",
        "S1 keeps its name",
        "S1 keeps the old name, so the giver's name is still in the twin; all three places get new ones",
        change=[('{"IO": io, "S1": s1, "S2": s2}', '{"IO": io, "S2": s2}')],
    ),
    Mistake(
        "abc_twins",
        "IO keeps its name",
        "IO keeps the old name, so the answer is still in the twin; all three places get new ones",
        change=[('{"IO": io, "S1": s1, "S2": s2}', '{"S1": s1, "S2": s2}')],
    ),
    Mistake(
        "abc_twins",
        "the word after S1 changed",
        "a name is put on S1+1, which is a verb; the three places are IO, S1 and S2",
        change=[('{"IO": io, "S1": s1, "S2": s2}', '{"IO": io, "S1+1": s1, "S1": s1, "S2": s2}')],
    ),
    # 4.4
    Mistake(
        "s2_twins",
        "IO becomes S as well",
        "IO's place gets S's name too; only S2 changes, both names stay where they were introduced",
        change=[
            (
                'return with_names(model, prompts, {"S2": prompts.io})',
                'return with_names(model, prompts, {"S2": prompts.io, "IO": prompts.s})',
            )
        ],
    ),
    Mistake(
        "s2_twins",
        "S1 in place of S2",
        "the first mention of S is changed; the second one, S2, says who gives",
        change=[
            (
                'return with_names(model, prompts, {"S2": prompts.io})',
                'return with_names(model, prompts, {"S1": prompts.io})',
            ),
            ('{"S2": torch.tensor(chosen', '{"S1": torch.tensor(chosen'),
        ],
    ),
    Mistake(
        "s2_twins",
        "both mentions of S",
        "both mentions of S are changed, so that a name stands twice or more again; change S2 alone",
        change=[
            (
                'return with_names(model, prompts, {"S2": prompts.io})',
                'return with_names(model, prompts, {"S1": prompts.io, "S2": prompts.io})',
            ),
            (
                'return with_names(model, prompts, {"S2": torch.tensor(chosen, device=prompts.tokens.device)})',
                "new = torch.tensor(chosen, device=prompts.tokens.device)\n"
                '    return with_names(model, prompts, {"S1": new, "S2": new})',
            ),
        ],
    ),
    Mistake(
        "s2_twins",
        "S2 stays S",
        "S's own name is put where it stood, so without names nothing changes; without names S2 becomes IO",
        change=[('{"S2": prompts.io}', '{"S2": prompts.s}')],
    ),
    Mistake(
        "s2_twins",
        "the answer turned round as well",
        "io and s are exchanged; the twin keeps them, because it is asked the same question, and its logit difference turns by itself",
        change=[
            (
                'return with_names(model, prompts, {"S2": prompts.io})',
                'return replace(with_names(model, prompts, {"S2": prompts.io}), io=prompts.s, s=prompts.io)',
            )
        ],
    ),
    Mistake(
        "s2_twins",
        "a third name that is in the text",
        "the third name is drawn from all of `names`, so it may be IO's; leave out those that the row holds",
        change=[("if token not in row]", "]")],
    ),
    Mistake(
        "s2_twins",
        "always the first name that is free",
        "the first free name is taken every time; draw one with the generator",
        change=[("free[int(torch.randint(len(free), (), generator=generator))]", "free[0]")],
    ),
    Mistake(
        "s2_twins",
        "one name for all",
        "one number is drawn for all texts, so they get the same third name; draw for every text anew",
        change=[
            ("    chosen = []\n", "    chosen = []\n    drawn = float(torch.rand((), generator=generator))\n"),
            ("free[int(torch.randint(len(free), (), generator=generator))]", "free[int(drawn * len(free))]"),
        ],
    ),
    Mistake(
        "s2_twins",
        "generator not used",
        "the third name comes from the global random numbers; pass generator=generator, so that the same seed gives the same twins",
        change=[("torch.randint(len(free), (), generator=generator)", "torch.randint(len(free), ())")],
    ),
    Mistake(
        "s2_twins",
        "names ignored",
        "S2 becomes IO even when names are given; with names, a third one is drawn for each text",
        change=[("if names is None:", "if True:")],
    ),
    Mistake(
        "s2_twins",
        "bystanders may be drawn",
        "only IO and S are left out before drawing, so a bystander may become S2 and stand twice; leave out every name that the row holds",
        change=[
            (
                "for row, text in zip(prompts.tokens.tolist(), prompts.texts):",
                "for row in zip(prompts.io.tolist(), prompts.s.tolist()):",
            ),
            (
                'raise ValueError(f"all of {list(names)} occur in {text!r}")',
                'raise ValueError("no name is left")',
            ),
        ],
    ),
    Mistake(
        "s2_twins",
        "IO may be drawn",
        "only S's name is left out before drawing, so that S2 may become IO; leave out every name that the row holds",
        change=[
            (
                "for row, text in zip(prompts.tokens.tolist(), prompts.texts):",
                "for row in prompts.s[:, None].tolist():",
            ),
            (
                'raise ValueError(f"all of {list(names)} occur in {text!r}")',
                'raise ValueError("no name is left")',
            ),
        ],
    ),
    Mistake(
        "s2_twins",
        "no name left is not refused",
        "where the text holds all of `names`, S2 gets one of them nevertheless; raise a ValueError",
        change=[('raise ValueError(f"all of {list(names)} occur in {text!r}")', "free = tokens")],
    ),
    Mistake(
        "s2_twins",
        "the last name is never drawn",
        "torch.randint(n) gives 0 up to n - 1 already; with n = len(free) - 1 the last free name is never drawn",
        change=[("torch.randint(len(free), ()", "torch.randint(len(free) - 1 or 1, ()")],
    ),
    Mistake(
        "s2_twins",
        "texts of the clean prompts",
        "the tokens are new but the texts are still the clean ones; with_names writes both",
        change=[
            (
                'return with_names(model, prompts, {"S2": prompts.io})',
                'return replace(with_names(model, prompts, {"S2": prompts.io}), texts=prompts.texts)',
            )
        ],
    ),
    # 4.5
    Mistake(
        "logit_difference",
        "last column",
        "the logits are read in the last column, which is filling in shorter rows; each row has its own END",
        change=[('logits[rows, prompts.positions["END"]]', "logits[:, -1]")],
    ),
    Mistake(
        "logit_difference",
        "at S2",
        "the logits are read at S2; the missing name is predicted at END",
        change=[('prompts.positions["END"]', 'prompts.positions["S2"]')],
    ),
    Mistake(
        "logit_difference",
        "one position before END",
        "the logits are read one position before END; what stands at END predicts the name",
        change=[('prompts.positions["END"]]', 'prompts.positions["END"] - 1]')],
    ),
    Mistake(
        "logit_difference",
        "END of the first text",
        "END of text 0 is used for all rows; each row has its own",
        change=[('prompts.positions["END"]]', 'prompts.positions["END"][0]]')],
    ),
    Mistake(
        "logit_difference",
        "absolute value",
        "the absolute value is taken, so that a preference for the giver counts as success; keep the sign",
        change=[
            (
                "return at_end[rows, prompts.io] - at_end[rows, prompts.s]",
                "return (at_end[rows, prompts.io] - at_end[rows, prompts.s]).abs()",
            )
        ],
    ),
    Mistake(
        "logit_difference",
        "S less IO",
        "this is S less IO; the right answer, IO, comes first",
        change=[
            (
                "at_end[rows, prompts.io] - at_end[rows, prompts.s]",
                "at_end[rows, prompts.s] - at_end[rows, prompts.io]",
            )
        ],
    ),
    Mistake(
        "logit_difference",
        "probabilities",
        "this is a difference of probabilities; leave out the softmax: it saturates, and a sum over heads it is not",
        change=[('logits[rows, prompts.positions["END"]]', 'logits[rows, prompts.positions["END"]].softmax(dim=-1)')],
    ),
    Mistake(
        "logit_difference",
        "the mean over texts",
        "one number came back for all texts; the mean is for later, here one number for each text",
        change=[
            (
                "return at_end[rows, prompts.io] - at_end[rows, prompts.s]",
                "return (at_end[rows, prompts.io] - at_end[rows, prompts.s]).mean()",
            )
        ],
    ),
    Mistake(
        "logit_difference",
        "every text with every END",
        "logits[:, ends] reads every END in every row, and a table of texts by texts comes back; pair row numbers with positions",
        write="""
        def logit_difference(logits, prompts):
            ends = prompts.positions["END"]
            rows = torch.arange(len(ends), device=ends.device)
            at_ends = logits[:, ends]
            return at_ends[:, rows, prompts.io] - at_ends[:, rows, prompts.s]
        """,
    ),
    Mistake(
        "logit_difference",
        "IO against the mean logit",
        "IO is compared with the mean of all logits; the difference is to the other name of the text, S",
        change=[("at_end[rows, prompts.s]", "at_end.mean(dim=-1)")],
    ),
    Mistake(
        "logit_difference",
        "one position after END",
        "the logits are read one position after END, where shorter rows hold filling; what stands at END predicts the name",
        change=[
            (
                'logits[rows, prompts.positions["END"]]',
                'logits[rows, (prompts.positions["END"] + 1).clamp(max=logits.shape[1] - 1)]',
            )
        ],
    ),
    Mistake(
        "logit_difference",
        "positions taken for tokens",
        "the logits are those of tokens with the numbers at which the names stand; prompts.io and prompts.s are the names' tokens",
        change=[
            ("at_end[rows, prompts.io]", 'at_end[rows, prompts.positions["IO"]]'),
            ("at_end[rows, prompts.s]", 'at_end[rows, prompts.positions["S2"]]'),
        ],
    ),
    Mistake(
        "logit_difference",
        "a column for each text",
        "the result has a second axis of size 1; one number for each text is an axis less",
        change=[
            (
                "return at_end[rows, prompts.io] - at_end[rows, prompts.s]",
                "return (at_end[rows, prompts.io] - at_end[rows, prompts.s])[:, None]",
            )
        ],
    ),
    Mistake(
        "logit_difference",
        "a ratio of probabilities",
        "this is the ratio of the two probabilities; the difference of logits is its logarithm: subtract logits as they are",
        change=[
            (
                "return at_end[rows, prompts.io] - at_end[rows, prompts.s]",
                "return (at_end[rows, prompts.io] - at_end[rows, prompts.s]).exp()",
            )
        ],
    ),
    Mistake(
        "logit_difference",
        "the logit of IO alone",
        "the logit of IO comes back, which is high for any name; subtract that of S",
        change=[("return at_end[rows, prompts.io] - at_end[rows, prompts.s]", "return at_end[rows, prompts.io]")],
    ),
    # 4.6
    Mistake(
        "normalised_metric",
        "from clean to corrupted",
        "0 is as the clean run and 1 as the corrupted one; it is the other way round",
        change=[
            (
                "return (difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())",
                "return (difference.mean() - clean.mean()) / (corrupted.mean() - clean.mean())",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "mean of shares",
        "a share is taken for every text and then the mean; average first, or one text with nearly no difference outvotes all",
        change=[
            (
                "return (difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())",
                "return ((difference - corrupted) / (clean - corrupted)).mean()",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "a share of the clean mean",
        "the mean is divided by the clean one, so that the corrupted run is not 0; subtract the corrupted mean from both",
        change=[
            (
                "(difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())",
                "difference.mean() / clean.mean()",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "corrupted not subtracted above",
        "the corrupted mean is subtracted below the line only; above it too, or the corrupted run does not count 0",
        change=[("(difference.mean() - corrupted.mean()) /", "difference.mean() /")],
    ),
    Mistake(
        "normalised_metric",
        "corrupted not subtracted below",
        "the corrupted mean is subtracted above the line only; below it too, or the clean run does not count 1",
        change=[("/ (clean.mean() - corrupted.mean())", "/ clean.mean()")],
    ),
    Mistake(
        "normalised_metric",
        "clipped",
        "the result is clipped to 0 and 1; more than all and worse than corrupted are findings",
        change=[
            (
                "return (difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())",
                "return ((difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())).clamp(0, 1)",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "distance without direction",
        "distances are compared, without a sign; a run on the far side of the corrupted one is below 0",
        change=[
            (
                "return (difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())",
                "return (difference.mean() - corrupted.mean()).abs() / (clean.mean() - corrupted.mean()).abs()",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "medians",
        "medians are compared; the measure is of means",
        change=[
            (
                "return (difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean())",
                "return (difference.median() - corrupted.median()) / (clean.median() - corrupted.median())",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "no way between refused by nobody",
        "where clean and corrupted agree something is returned nevertheless; there is nothing between them to measure: raise ValueError",
        change=[
            (
                'raise ValueError(f"clean and corrupted runs both have the mean {clean.mean():.4g}: nothing is between them")',
                "return difference.mean() - corrupted.mean()",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "0 divided by 0",
        "where clean and corrupted agree, something is divided by 0 and inf comes back; raise ValueError before that",
        change=[
            (
                'raise ValueError(f"clean and corrupted runs both have the mean {clean.mean():.4g}: nothing is between them")',
                "pass",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "a little added below the line",
        "a small number is added so that nothing is divided by 0, and a huge measure comes back; where there is no way, raise ValueError",
        change=[
            (
                'raise ValueError(f"clean and corrupted runs both have the mean {clean.mean():.4g}: nothing is between them")',
                "return (difference.mean() - corrupted.mean()) / (clean.mean() - corrupted.mean() + 1e-6)",
            )
        ],
    ),
    Mistake(
        "normalised_metric",
        "the way without its sign",
        "the distance from corrupted to clean is taken without its sign; where the clean mean is the lower one, everything turns round",
        change=[("/ (clean.mean() - corrupted.mean())", "/ (clean.mean() - corrupted.mean()).abs()")],
    ),
    Mistake(
        "normalised_metric",
        "one share for each text",
        "a share for each text comes back; average `difference` as well, so that it is one number",
        change=[("return (difference.mean() - corrupted.mean())", "return (difference - corrupted.mean())")],
    ),
    Mistake(
        "normalised_metric",
        "the median of the run",
        "of `difference` the median is taken; all three are means",
        change=[("return (difference.mean()", "return (difference.median()")],
    ),
    Mistake(
        "normalised_metric",
        "not divided by the way",
        "the change from the corrupted mean comes back in logits; divide it by the whole way, clean mean less corrupted mean",
        change=[(") / (clean.mean() - corrupted.mean())", ")")],
    ),
    Mistake(
        "normalised_metric",
        "divided by the corrupted mean",
        "the change is divided by the corrupted mean; the whole way is the clean mean less the corrupted one",
        change=[(") / (clean.mean() - corrupted.mean())", ") / corrupted.mean()")],
    ),
    # 4.7
    Mistake(
        "logit_difference_by_component",
        "the scale left out",
        "the writes are projected as they stand in the stream; the unembedding reads them divided by LayerNorm's scale at END",
        change=[
            (
                'direction = direction / cache["ln_final.hook_scale"][rows, ends]',
                "direction = direction",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the scale of each part",
        "every part goes through a LayerNorm of its own, so that short and long writes count alike; divide all by the run's scale",
        change=[
            (
                'direction = direction / cache["ln_final.hook_scale"][rows, ends]',
                "writes = [write / (write.pow(2).mean(dim=-1, keepdim=True) + model.cfg.eps).sqrt() for write in writes]",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the scale of the last column",
        "the scale is that of the last column, where shorter rows hold filling; take it at END of each row",
        change=[('cache["ln_final.hook_scale"][rows, ends]', 'cache["ln_final.hook_scale"][:, -1]')],
    ),
    Mistake(
        "logit_difference_by_component",
        "the scale of another LayerNorm",
        "the scale is that of the last layer's ln1; the logits are read through ln_final",
        change=[
            (
                'cache["ln_final.hook_scale"][rows, ends]',
                'cache[f"blocks.{model.cfg.n_layers - 1}.ln1.hook_scale"][rows, ends]',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the last column",
        "everything is read in the last column, which is filling in shorter rows; each row has its own END",
        change=[
            (
                'ends = prompts.positions["END"]',
                'ends = torch.full_like(prompts.positions["END"], prompts.tokens.shape[1] - 1)',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "heads at S2",
        "the heads' z is taken at S2; what adds to the logits at END is what is written at END",
        change=[('z = cache["z", layer][rows, ends]', 'z = cache["z", layer][rows, prompts.positions["S2"]]')],
    ),
    Mistake(
        "logit_difference_by_component",
        "S less IO",
        "the direction is S less IO, so that every sign is turned round",
        change=[
            (
                "direction = model.W_U.T[prompts.io] - model.W_U.T[prompts.s]",
                "direction = model.W_U.T[prompts.s] - model.W_U.T[prompts.io]",
            ),
            ("(model.b_U[prompts.io] - model.b_U[prompts.s])", "(model.b_U[prompts.s] - model.b_U[prompts.io])"),
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the logit of IO alone",
        "this is what is written into the logit of IO; subtract the direction, and the bias, of S",
        change=[
            ("model.W_U.T[prompts.io] - model.W_U.T[prompts.s]", "model.W_U.T[prompts.io]"),
            ("(model.b_U[prompts.io] - model.b_U[prompts.s])", "model.b_U[prompts.io]"),
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "biases of attention left out",
        "b_O of the attention layers has no entry; it belongs to no head, but it is written too",
        change=[("        writes.append(model.b_O[layer].expand_as(writes[0]))\n", "")],
    ),
    Mistake(
        "logit_difference_by_component",
        "bias shared out among heads",
        "each head got its share of b_O and the bias' own entry is 0; a head writes z times W_O and nothing else",
        change=[
            (
                '"batch head d_head, head d_head d_model -> head batch d_model")',
                '"batch head d_head, head d_head d_model -> head batch d_model") + model.b_O[layer] / model.cfg.n_heads',
            ),
            ("writes.append(model.b_O[layer].expand_as(writes[0]))", "writes.append(torch.zeros_like(writes[0]))"),
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "W_O of layer 0",
        "the z of every layer is multiplied with W_O of layer 0; each layer has its own, model.W_O[layer]",
        change=[("einops.einsum(z, model.W_O[layer],", "einops.einsum(z, model.W_O[0],")],
    ),
    Mistake(
        "logit_difference_by_component",
        "MLPs left out",
        "what the MLPs write is missing; a model that is not attn_only has one in each layer, after attention",
        change=[
            (
                '        if not model.cfg.attn_only:\n            writes.append(cache["mlp_out", layer][rows, ends])\n',
                "",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "bias of the unembedding forgotten",
        "b_U is not among the components, so the sum falls short; its difference, IO less S, is the last one",
        change=[("torch.cat([parts, (model.b_U[prompts.io] - model.b_U[prompts.s])[None]])", "parts")],
    ),
    Mistake(
        "logit_difference_by_component",
        "bias of the unembedding scaled",
        "b_U is divided by LayerNorm's scale; it is added after LayerNorm and counts as it is",
        change=[
            (
                "(model.b_U[prompts.io] - model.b_U[prompts.s])[None]",
                "((model.b_U[prompts.io] - model.b_U[prompts.s])"
                ' / (cache["ln_final.hook_scale"][rows, ends, 0] if "ln_final.hook_scale" in cache else 1))[None]',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "a stream in place of the embedding",
        "the first entry is the stream before layer 0, which holds the positions as well; an entry is what one component writes",
        change=[("writes = [embed[rows, ends],", 'writes = [cache["resid_pre", 0][rows, ends],')],
    ),
    Mistake(
        "logit_difference_by_component",
        "positions of the first places",
        "the position embedding is that of the row's number, not of its END; index it with END",
        change=[('cache["pos_embed"].expand_as(embed)[rows, ends]', 'cache["pos_embed"].expand_as(embed)[rows, rows]')],
    ),
    Mistake(
        "logit_difference_by_component",
        "the mean over texts",
        "the mean over texts is taken already; one number for each component and text comes back",
        change=[
            (
                "return torch.cat([parts, (model.b_U[prompts.io] - model.b_U[prompts.s])[None]])",
                "return torch.cat([parts, (model.b_U[prompts.io] - model.b_U[prompts.s])[None]]).mean(dim=1)",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the direction S less IO",
        "the direction is S less IO, so that every write has its sign turned round, and only b_U's is right",
        change=[
            (
                "direction = model.W_U.T[prompts.io] - model.W_U.T[prompts.s]",
                "direction = model.W_U.T[prompts.s] - model.W_U.T[prompts.io]",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the direction of IO alone",
        "the writes are projected on IO's direction alone; subtract that of S",
        change=[("model.W_U.T[prompts.io] - model.W_U.T[prompts.s]", "model.W_U.T[prompts.io]")],
    ),
    Mistake(
        "logit_difference_by_component",
        "the direction of S alone",
        "the writes are projected on the unembedding of S alone; the difference takes that of IO less that of S",
        change=[
            ("direction = model.W_U.T[prompts.io] - model.W_U.T[prompts.s]", "direction = model.W_U.T[prompts.s]"),
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "multiplied by the scale",
        "what is written is multiplied by LayerNorm's scale; LayerNorm divides by it",
        change=[('direction / cache["ln_final.hook_scale"]', 'direction * cache["ln_final.hook_scale"]')],
    ),
    Mistake(
        "logit_difference_by_component",
        "bias of IO alone",
        "the last entry is b_U of IO; the bias of S is subtracted in the logit difference too",
        change=[("(model.b_U[prompts.io] - model.b_U[prompts.s])", "model.b_U[prompts.io]")],
    ),
    Mistake(
        "logit_difference_by_component",
        "0 for the bias of the unembedding",
        "b_U has an entry, but it is 0; it is b_U of IO less b_U of S",
        change=[("(model.b_U[prompts.io] - model.b_U[prompts.s])", "(model.b_U[prompts.io] * 0)")],
    ),
    Mistake(
        "logit_difference_by_component",
        "0 for the biases of attention",
        "b_O has an entry in each layer, but it is 0; it is model.b_O[layer], the same for every text before the direction",
        change=[("writes.append(model.b_O[layer].expand_as(writes[0]))", "writes.append(torch.zeros_like(writes[0]))")],
    ),
    Mistake(
        "logit_difference_by_component",
        "the whole attention in place of its bias",
        "the entry after the heads is what the whole layer's attention writes, so its heads count twice; it is b_O alone",
        change=[
            (
                "writes.append(model.b_O[layer].expand_as(writes[0]))",
                'writes.append(cache["attn_out", layer][rows, ends])',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the stream in place of the MLP",
        "the entry of an MLP is the whole stream after its layer, which holds everything before it too; it is mlp_out",
        change=[('cache["mlp_out", layer][rows, ends]', 'cache["resid_post", layer][rows, ends]')],
    ),
    Mistake(
        "logit_difference_by_component",
        "the MLP before the heads",
        "the MLP of a layer comes before its heads; the order is that of component_labels: heads, b_O, MLP",
        change=[
            (
                '        if not model.cfg.attn_only:\n            writes.append(cache["mlp_out", layer][rows, ends])\n',
                "        if not model.cfg.attn_only:\n"
                '            writes.insert(len(writes) - model.cfg.n_heads - 1, cache["mlp_out", layer][rows, ends])\n',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the embedding of the last column",
        "the first entry is the embedding of the last column, which is BOS in shorter rows; it is that of the token at END",
        change=[("writes = [embed[rows, ends],", "writes = [embed[:, -1],")],
    ),
    Mistake(
        "logit_difference_by_component",
        "texts before components",
        "the result has the texts on the first axis; the components come first",
        change=[
            (
                "return torch.cat([parts, (model.b_U[prompts.io] - model.b_U[prompts.s])[None]])",
                "return torch.cat([parts, (model.b_U[prompts.io] - model.b_U[prompts.s])[None]]).T",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_component",
        "the cache divided in place",
        "what is in the cache is divided by the scale in place, so whoever reads it next reads something else; make something new",
        change=[
            (
                '            writes.append(cache["mlp_out", layer][rows, ends])\n',
                '            mlp_out = cache["mlp_out", layer]\n'
                '            mlp_out /= cache["ln_final.hook_scale"]\n'
                '            writes.append(mlp_out[rows, ends] * cache["ln_final.hook_scale"][rows, ends])\n',
            )
        ],
    ),
    # 4.8
    Mistake(
        "logit_difference_by_layer",
        "final LayerNorm skipped",
        "the streams go into the unembedding as they are; what it was trained to read has gone through ln_final first",
        change=[("model.unembed(model.ln_final(stream))", "model.unembed(stream)")],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the scale of the end for all",
        "every stream is divided by the scale of the final one; here each is read anew, with its own: call ln_final on each",
        change=[
            (
                "model.unembed(model.ln_final(stream))",
                'model.unembed(stream / (cache["ln_final.hook_scale"] if "ln_final.hook_scale" in cache else 1))',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_layer",
        "one layer late",
        "row 0 is the stream after layer 0, and the embeddings have no row; read resid_pre of each layer, then resid_post of the last",
        change=[
            (
                '[cache["resid_pre", layer] for layer in range(last + 1)] + [cache["resid_post", last]]',
                '[cache["resid_post", layer] for layer in range(last + 1)]',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the end left out",
        "the stream after the last layer has no row, so the model's own difference is missing; append resid_post of the last layer",
        change=[(' + [cache["resid_post", last]]', "")],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the last layer missing at the end",
        "the last row is the stream before the last layer once more; the end of the stream is resid_post of that layer",
        change=[('cache["resid_post", last]', 'cache["resid_pre", last]')],
    ),
    Mistake(
        "logit_difference_by_layer",
        "what each layer adds",
        "each row reads what one layer writes, alone; the lens reads the whole stream, the sum of everything written so far",
        change=[
            (
                '[cache["resid_pre", layer] for layer in range(last + 1)] + [cache["resid_post", last]]',
                '[cache["resid_pre", 0]] + [cache["resid_post", layer] - cache["resid_pre", layer] for layer in range(last + 1)]',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_layer",
        "bias of the unembedding left out",
        "W_U is applied without b_U, which compatibility mode has filled with what ln_final's bias did; call model.unembed",
        change=[("model.unembed(model.ln_final(stream))", "model.ln_final(stream) @ model.W_U")],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the last column",
        "the streams are read in the last column, which is filling in shorter rows; logit_difference reads at END of each row",
        write="""
        def logit_difference_by_layer(model, cache, prompts):
            last = model.cfg.n_layers - 1
            streams = [cache["resid_pre", layer] for layer in range(last + 1)] + [cache["resid_post", last]]
            rows = torch.arange(len(prompts.io), device=prompts.io.device)
            results = []
            for stream in streams:
                at_end = model.unembed(model.ln_final(stream))[:, -1]
                results.append(at_end[rows, prompts.io] - at_end[rows, prompts.s])
            return torch.stack(results)
        """,
    ),
    Mistake(
        "logit_difference_by_layer",
        "texts first",
        "the rows are stacked on the second axis; the layer is the first axis, before the batch",
        change=[("for stream in streams])", "for stream in streams], dim=1)")],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the mean over texts",
        "the mean over texts is taken already; one number for each stream and text comes back",
        change=[
            (
                "prompts) for stream in streams])",
                "prompts).mean() for stream in streams])",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_layer",
        "what attention adds",
        "row after row reads what one layer's attention writes, alone; the lens reads the whole stream before each layer",
        change=[
            (
                '[cache["resid_pre", layer] for layer in range(last + 1)] + [cache["resid_post", last]]',
                '[cache["attn_out", layer] for layer in range(last + 1)] + [cache["resid_post", last]]',
            )
        ],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the change from row to row",
        "each row is the change since the row before; a row is what the stream gives there, all of it",
        change=[
            (
                "return torch.stack([logit_difference(model.unembed(model.ln_final(stream)), prompts) for stream in streams])",
                "rows = torch.stack([logit_difference(model.unembed(model.ln_final(stream)), prompts) for stream in streams])\n"
                "    return torch.cat([rows[:1], rows.diff(dim=0)])",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the variance with n - 1",
        "LayerNorm is written out with a variance over n - 1; it divides by n: unbiased=False, or call model.ln_final",
        change=[
            (
                "model.unembed(model.ln_final(stream))",
                "model.unembed((stream - stream.mean(-1, keepdim=True)) / stream.std(-1, keepdim=True)"
                " if model.cfg.normalization_type else stream)",
            )
        ],
    ),
    Mistake(
        "logit_difference_by_layer",
        "the final stream for all",
        "every row reads the final stream; each row has its own, resid_pre of its layer",
        change=[
            (
                '[cache["resid_pre", layer] for layer in range(last + 1)]',
                '[cache["resid_post", last] for layer in range(last + 1)]',
            )
        ],
    ),
    # 4.9
    Mistake(
        "patch_residual",
        "all positions",
        "the whole text is patched, so the run is the source's from here on; take only position pos of each text",
        change=[("resid[rows, pos] = source[name][rows, pos]", "resid[rows] = source[name][rows]")],
    ),
    Mistake(
        "patch_residual",
        "all positions but one",
        "everything but position pos comes from the source: own and source are the wrong way round in the tensor that is returned",
        change=[
            (
                "        resid = resid.clone()\n        resid[rows, pos] = source[name][rows, pos]\n        return resid\n",
                "        theirs = source[name].clone()\n        theirs[rows, pos] = resid[rows, pos]\n        return theirs\n",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "everybody's positions",
        "x[:, pos] with a tensor takes all the listed positions of every text; pair them: x[rows, pos], rows = torch.arange(batch)",
        change=[("resid[rows, pos] = source[name][rows, pos]", "resid[:, pos] = source[name][:, pos]")],
    ),
    Mistake(
        "patch_residual",
        "the first text's position",
        "every text is patched at the position of the first; text i has its own, pos[i]",
        change=[
            (
                "    rows = torch.arange(len(tokens), device=tokens.device)\n",
                "    rows = torch.arange(len(tokens), device=tokens.device)\n    pos = int(torch.as_tensor(pos).flatten()[0])\n",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "only the first text",
        "only the first text is patched; all rows are, each at its own position",
        change=[
            (
                "rows = torch.arange(len(tokens), device=tokens.device)",
                "rows = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "after the layer",
        "the stream after the layer is replaced (resid_post); before the layer it is resid_pre",
        change=[('name = f"blocks.{layer}.hook_resid_pre"', 'name = f"blocks.{layer}.hook_resid_post"')],
    ),
    Mistake(
        "patch_residual",
        "before every layer",
        "the stream is replaced before all layers; the hook belongs to blocks.{layer} alone, and later layers compute anew",
        write="""
        def patch_residual(model, tokens, source, layer, pos):
            rows = torch.arange(len(tokens), device=tokens.device)

            def patch(resid, hook):
                name = f"blocks.{hook.layer()}.hook_resid_pre"
                resid = resid.clone()
                if name in dict(source.items()):
                    resid[rows, pos] = source[name][rows, pos]
                return resid

            return model.run_with_hooks(tokens, fwd_hooks=[(lambda name: name.endswith("hook_resid_pre"), patch)])
        """,
    ),
    Mistake(
        "patch_residual",
        "added",
        "the source's stream is added to the run's own; it takes its place",
        change=[
            (
                "resid[rows, pos] = source[name][rows, pos]",
                "resid[rows, pos] = resid[rows, pos] + source[name][rows, pos]",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "nothing returned",
        "the hook changes a copy and does not return it, so the run goes on with the old stream; end the hook with return resid",
        change=[
            (
                "        resid[rows, pos] = source[name][rows, pos]\n        return resid\n",
                "        resid[rows, pos] = source[name][rows, pos]\n",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "written into the source",
        "the run's own stream is written into the source, and the run goes on unpatched; the source stands right of the equals sign",
        change=[
            (
                "        resid = resid.clone()\n        resid[rows, pos] = source[name][rows, pos]\n        return resid\n",
                "        with torch.no_grad():\n            source[name][rows, pos] = resid[rows, pos]\n",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "hooks left on the model",
        "the hook stays on the model and patches every later run too; use run_with_hooks, or reset_hooks afterwards",
        change=[
            (
                "return model.run_with_hooks(tokens, fwd_hooks=[(name, patch)])",
                "model.add_hook(name, patch)\n    return model(tokens)",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "from the position on",
        "the stream is the source's from pos to the end of the text; it is so at pos alone",
        change=[
            (
                "resid[rows, pos] = source[name][rows, pos]",
                "later = torch.arange(tokens.shape[1], device=tokens.device) >= torch.as_tensor(pos, device=tokens.device).view(-1, 1)\n"
                "        resid = torch.where(later[..., None], source[name], resid)",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "up to the position",
        "the stream is the source's from BOS up to pos; it is so at pos alone",
        change=[
            (
                "resid[rows, pos] = source[name][rows, pos]",
                "earlier = torch.arange(tokens.shape[1], device=tokens.device) <= torch.as_tensor(pos, device=tokens.device).view(-1, 1)\n"
                "        resid = torch.where(earlier[..., None], source[name], resid)",
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "the first text's stream",
        "every text gets the stream of the source's first text; text i gets that of row i: source[name][rows, pos]",
        change=[("= source[name][rows, pos]", "= source[name][0, pos]")],
    ),
    Mistake(
        "patch_residual",
        "what attention writes",
        "attention's output is exchanged (hook_attn_out); the stream before the layer is hook_resid_pre",
        change=[('name = f"blocks.{layer}.hook_resid_pre"', 'name = f"blocks.{layer}.hook_attn_out"')],
    ),
    Mistake(
        "patch_residual",
        "the stream of this layer before every later one too",
        "the source's stream of this one layer is put in before all later layers as well; the hook belongs to blocks.{layer} alone",
        change=[
            (
                "fwd_hooks=[(name, patch)]",
                'fwd_hooks=[(f"blocks.{each}.hook_resid_pre", patch) for each in range(layer, model.cfg.n_layers)]',
            )
        ],
    ),
    Mistake(
        "patch_residual",
        "nothing elsewhere",
        "at all other positions the stream has become 0; they keep the run's own: begin with resid.clone()",
        change=[("resid = resid.clone()", "resid = torch.zeros_like(resid)")],
    ),
    Mistake(
        "patch_residual",
        "the logits at the position alone",
        "only the logits at pos come back; return those of the whole text, since the metric reads them at END",
        change=[("fwd_hooks=[(name, patch)])", "fwd_hooks=[(name, patch)])[rows, pos]")],
    ),
    # 4.10
    Mistake(
        "patch_head",
        "always z",
        "`what` is not looked at and z is patched whatever was asked for; it names the hook point: hook_{what}",
        change=[
            ('name = f"blocks.{layer}.attn.hook_{what}"', 'name = f"blocks.{layer}.attn.hook_z"'),
            (
                'return activation[:, head] if what == "pattern" else activation[:, :, head]',
                "return activation[:, :, head]",
            ),
        ],
    ),
    Mistake(
        "patch_head",
        "any other what",
        "a `what` that is none of the five is not refused; raise ValueError and say in it what `what` was",
        change=[
            (
                PATCHING_REFUSAL,
                "",
            ),
        ],
    ),
    Mistake(
        "patch_head",
        "the error does not say what it was",
        "ValueError is raised, but its text does not say what `what` was; who reads it wants to know",
        change=[('f\'what must be "z", "q", "k", "v" or "pattern", but it is "{what}"\'', '"no such activation"')],
    ),
    Mistake(
        "patch_head",
        "the pattern's heads on axis 2",
        "axis 2 of the pattern counts queries, so one query of all heads is patched; there the heads are axis 1: pattern[:, head]",
        change=[
            (
                'return activation[:, head] if what == "pattern" else activation[:, :, head]',
                "return activation[:, :, head]",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "a position for a head",
        "axis 1 of q, k, v and z is the position, so one position of all heads is patched; there the heads are axis 2",
        change=[
            (
                'return activation[:, head] if what == "pattern" else activation[:, :, head]',
                "return activation[:, head]",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "all heads of the layer",
        "all heads of the layer are the source's; take the one head's part out first",
        change=[
            (
                "        part(activation)[index] = part(source[name])[index]\n",
                '        axis = 1 if what == "pattern" else 2\n'
                "        for each in range(model.cfg.n_heads):\n"
                "            activation.select(axis, each)[index] = source[name].select(axis, each)[index]\n",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "pos not used",
        "`pos` is not looked at and all positions are patched; without pos all of them, with pos only those",
        change=[
            (
                "index = slice(None) if pos is None else (torch.arange(len(tokens), device=tokens.device), pos)",
                "index = slice(None)",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "the pattern's keys",
        "with pos, a column of the pattern is patched: who looks at pos; it is to be the row of the query: what pos looks at",
        change=[
            (
                "        part(activation)[index] = part(source[name])[index]\n",
                "        mine, theirs = part(activation), part(source[name])\n"
                '        if what == "pattern":\n            mine, theirs = mine.transpose(1, 2), theirs.transpose(1, 2)\n'
                "        mine[index] = theirs[index]\n",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "everybody's positions",
        "x[:, pos] with a tensor takes all the listed positions of every text; pair them: x[rows, pos], rows = torch.arange(batch)",
        change=[("(torch.arange(len(tokens), device=tokens.device), pos)", "(slice(None), pos)")],
    ),
    Mistake(
        "patch_head",
        "the same head of every layer",
        "the head of this number is patched in all layers; the hook belongs to blocks.{layer} alone",
        write="""
        def patch_head(model, tokens, source, layer, head, what="z", pos=None):
            if what not in ("z", "q", "k", "v", "pattern"):
                raise ValueError(f"what: {what}")
            index = slice(None) if pos is None else (torch.arange(len(tokens), device=tokens.device), pos)

            def patch(activation, hook):
                activation = activation.clone()
                theirs = source[f"blocks.{hook.layer()}.attn.hook_{what}"]
                if what == "pattern":
                    activation[:, head][index] = theirs[:, head][index]
                else:
                    activation[:, :, head][index] = theirs[:, :, head][index]
                return activation

            return model.run_with_hooks(tokens, fwd_hooks=[(lambda name: name.endswith(f"attn.hook_{what}"), patch)])
        """,
    ),
    Mistake(
        "patch_head",
        "nothing returned",
        "the hook changes a copy and does not return it, so the run goes on with the old activation; return it at the end of the hook",
        change=[("        return activation\n\n    return model", "\n    return model")],
    ),
    Mistake(
        "patch_head",
        "hooks left on the model",
        "the hook stays on the model and patches every later run too; use run_with_hooks, or reset_hooks afterwards",
        change=[
            (
                "return model.run_with_hooks(tokens, fwd_hooks=[(name, patch)])",
                "model.add_hook(name, patch)\n    return model(tokens)",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "unknown means z",
        "for a `what` that is none of the five z is patched without a word; raise ValueError and say in it what `what` was",
        change=[
            (
                'raise ValueError(f\'what must be "z", "q", "k", "v" or "pattern", but it is "{what}"\')',
                'what = "z"',
            )
        ],
    ),
    Mistake(
        "patch_head",
        "position 0 taken for none",
        "pos=0 is taken for no position, and the whole text is patched; ask `pos is None`, since 0 counts as false",
        change=[("if pos is None else", "if pos is None or isinstance(pos, int) and not pos else")],
    ),
    Mistake(
        "patch_head",
        "the last position where none is given",
        "without pos only the last position is patched; without pos all of them are",
        change=[
            (
                "index = slice(None) if pos is None else (torch.arange(len(tokens), device=tokens.device), pos)",
                "index = (torch.arange(len(tokens), device=tokens.device), -1 if pos is None else pos)",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "the pattern not patched",
        "for the pattern nothing is exchanged; its hook point is hook_pattern (a change at hook_attn_scores comes too late)",
        change=[("fwd_hooks=[(name, patch)])", 'fwd_hooks=[] if what == "pattern" else [(name, patch)])')],
    ),
    Mistake(
        "patch_head",
        "later heads frozen",
        "all later layers' heads are held at what they say in the unpatched run; whatever comes after the patch is computed anew",
        change=[
            (
                "return model.run_with_hooks(tokens, fwd_hooks=[(name, patch)])",
                "_, own = model.run_with_cache(tokens)\n"
                '    later = [f"blocks.{each}.attn.hook_z" for each in range(layer + 1, model.cfg.n_layers)]\n'
                "    held = [(each, lambda z, hook, each=each: own[each]) for each in later]\n"
                "    return model.run_with_hooks(tokens, fwd_hooks=[(name, patch), *held])",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "one layer early",
        "the head of the layer before is patched; layers count from 0, as hook names do",
        change=[("blocks.{layer}.attn", "blocks.{max(layer - 1, 0)}.attn")],
    ),
    Mistake(
        "patch_head",
        "one head late",
        "the head with the next number is patched; heads count from 0",
        change=[
            (
                "return activation[:, head] if",
                "head_after = (head + 1) % model.cfg.n_heads\n        return activation[:, head_after] if",
            ),
            ("else activation[:, :, head]", "else activation[:, :, head_after]"),
        ],
    ),
    Mistake(
        "patch_head",
        "written into the source",
        "the run's own activation is written into the source, and the run goes on unpatched; the source stands right of the equals sign",
        change=[
            (
                "part(activation)[index] = part(source[name])[index]",
                "part(source[name])[index] = part(activation)[index]",
            )
        ],
    ),
    Mistake(
        "patch_head",
        "the hook always on z",
        "the hook is on z whatever was asked for, and with the pattern's axes for the pattern; it belongs on hook_{what}",
        change=[('name = f"blocks.{layer}.attn.hook_{what}"', 'name = f"blocks.{layer}.attn.hook_z"')],
    ),
    # 4.11
    Mistake(
        "residual_sweep",
        "one run for each cell",
        PATCHING_ONE_RUN_PER_CELL,
        change=[("at_once = max(1, rows_at_once // batch)", "at_once = 1")],
    ),
    Mistake(
        "residual_sweep",
        "the budget in cells",
        PATCHING_BUDGET_IN_CELLS,
        change=[("at_once = max(1, rows_at_once // batch)", "at_once = rows_at_once")],
    ),
    Mistake(
        "residual_sweep",
        "the budget ignored",
        PATCHING_BUDGET_IGNORED,
        change=[("at_once = max(1, rows_at_once // batch)", "at_once = len(cells)")],
    ),
    Mistake(
        "residual_sweep",
        "the last cells left out",
        PATCHING_LEFT_OVER,
        change=[
            ("range(0, len(cells), at_once)", "range(0, len(cells) - at_once + 1, at_once)"),
            (
                "    return torch.stack(values)",
                "    values += [torch.zeros((), device=tokens.device)] * (len(cells) - len(values))\n    return torch.stack(values)",
            ),
        ],
    ),
    Mistake(
        "residual_sweep",
        "summed over texts",
        PATCHING_SUMMED,
        change=[("metric(part).mean()", "metric(part).sum()")],
    ),
    Mistake(
        "residual_sweep",
        "the first text",
        PATCHING_FIRST_TEXT,
        change=[("metric(part).mean()", "metric(part)[0]")],
    ),
    Mistake(
        "residual_sweep",
        "rows of one text together",
        PATCHING_ROWS_BY_TEXT,
        change=[("tokens.repeat(len(group), 1)", "tokens.repeat_interleave(len(group), dim=0)")],
    ),
    Mistake(
        "residual_sweep",
        "every row patched",
        PATCHING_EVERY_ROW,
        change=[
            (
                "resid[place * batch : (place + 1) * batch, pos] = source[names[layer]][:, pos]",
                "resid[:, pos] = source[names[layer]][:, pos].repeat(len(group), 1)",
            )
        ],
    ),
    Mistake(
        "residual_sweep",
        "patched in every layer",
        PATCHING_EVERY_LAYER,
        change=[
            ("                if layer == hook.layer():\n                    resid", "                resid"),
            ("source[names[layer]][:, pos]", "source[names[hook.layer()]][:, pos]"),
        ],
    ),
    Mistake(
        "residual_sweep",
        "positions before layers",
        "cells are run position by position, but the values are put into the map layer by layer; both in the same order",
        change=[
            (
                "cells = [(layer, pos) for layer in range(model.cfg.n_layers) for pos in range(n_pos)]",
                "cells = [(layer, pos) for pos in range(n_pos) for layer in range(model.cfg.n_layers)]",
            )
        ],
    ),
    Mistake(
        "residual_sweep",
        "after the layer",
        "the stream after each layer is replaced (resid_post), so the map is shifted by a layer; before it, it is resid_pre",
        change=[('names = [f"blocks.{layer}.hook_resid_pre"', 'names = [f"blocks.{layer}.hook_resid_post"')],
    ),
    Mistake(
        "residual_sweep",
        "the change of the metric",
        PATCHING_CHANGE_NOT_VALUE,
        change=[
            ("    values = []\n", "    values = []\n    unpatched = metric(model(tokens)).mean()\n"),
            ("metric(part).mean()", "metric(part).mean() - unpatched"),
        ],
    ),
    Mistake(
        "residual_sweep",
        "hooks left on the model",
        PATCHING_SWEEP_HOOKS_STAY,
        change=[
            (
                PATCHING_RUN_GROUP,
                PATCHING_RUN_GROUP_HOOKED_FOR_GOOD,
            )
        ],
    ),
    Mistake(
        "residual_sweep",
        "cells and texts exchanged when taken apart",
        "the logits are taken apart as if the cells of one text lay together; tokens.repeat does not: unflatten(0, (cells, batch))",
        change=[
            ("logits.unflatten(0, (len(group), batch))", "logits.unflatten(0, (batch, len(group))).transpose(0, 1)")
        ],
    ),
    Mistake(
        "residual_sweep",
        "the cells before one layer later",
        "in the hook of a layer the cells of the next one are patched, and those of layer 0 never; compare with hook.layer() as it is",
        change=[
            ("if layer == hook.layer():", "if layer == hook.layer() + 1:"),
            ("source[names[layer]][:, pos]", "source[names[layer - 1]][:, pos]"),
        ],
    ),
    Mistake(
        "residual_sweep",
        "from the position on",
        "each cell is patched from its position to the end of the text; at that position alone",
        change=[
            (
                "resid[place * batch : (place + 1) * batch, pos] = source[names[layer]][:, pos]",
                "resid[place * batch : (place + 1) * batch, pos:] = source[names[layer]][:, pos:]",
            )
        ],
    ),
    Mistake(
        "residual_sweep",
        "the first text's stream",
        "every text gets the stream of the source's first text; row i of a cell gets that of text i",
        change=[("= source[names[layer]][:, pos]", "= source[names[layer]][:1, pos]")],
    ),
    Mistake(
        "residual_sweep",
        "all at once where not one fits",
        "where the budget is smaller than the batch, all cells are run at once; one cell at a time is the least",
        change=[("max(1, rows_at_once // batch)", "rows_at_once // batch or len(cells)")],
    ),
    Mistake(
        "residual_sweep",
        "positions before layers in the map",
        "the map has its axes in the order pos layer; it is to be layer pos",
        change=[("reshape(model.cfg.n_layers, n_pos)", "reshape(model.cfg.n_layers, n_pos).T")],
    ),
    Mistake(
        "residual_sweep",
        "the mean over texts before the metric",
        "the logits are averaged over the texts before the metric; it is the metric that is averaged",
        change=[("metric(part).mean()", "metric(part.mean(dim=0).expand_as(part)).mean()")],
    ),
    Mistake(
        "residual_sweep",
        "written into the source",
        "the run's own stream is written into the source, and the run goes on unpatched; the source stands right of the equals sign",
        change=[
            (
                "resid[place * batch : (place + 1) * batch, pos] = source[names[layer]][:, pos]",
                "source[names[layer]][:, pos] = resid[place * batch : (place + 1) * batch, pos]",
            )
        ],
    ),
    # 4.12
    Mistake(
        "head_sweep",
        "always z",
        "`what` is not looked at and the map is that of z whatever was asked for; it names the hook point: hook_{what}",
        change=[
            ('names = [f"blocks.{layer}.attn.hook_{what}"', 'names = [f"blocks.{layer}.attn.hook_z"'),
            ('if what == "pattern":', "if False:"),
        ],
    ),
    Mistake(
        "head_sweep",
        "any other what",
        "a `what` that is none of the five is not refused; raise ValueError and say in it what `what` was",
        change=[
            (
                PATCHING_REFUSAL,
                "",
            ),
        ],
    ),
    Mistake(
        "head_sweep",
        "the error does not say what it was",
        "ValueError is raised, but its text does not say what `what` was; who reads it wants to know",
        change=[('f\'what must be "z", "q", "k", "v" or "pattern", but it is "{what}"\'', '"no such activation"')],
    ),
    Mistake(
        "head_sweep",
        "the pattern's heads on axis 2",
        "axis 2 of the pattern counts queries, so one query of all heads is patched; there the heads are axis 1",
        change=[('if what == "pattern":', "if False:")],
    ),
    Mistake(
        "head_sweep",
        "a position for a head",
        "axis 1 of q, k, v and z is the position, so one position of all heads is patched; there the heads are axis 2",
        change=[('if what == "pattern":', "if True:")],
    ),
    Mistake(
        "head_sweep",
        "one run for each cell",
        PATCHING_ONE_RUN_PER_CELL,
        change=[("max(1, rows_at_once // batch)", "1")],
    ),
    Mistake(
        "head_sweep",
        "the budget in cells",
        PATCHING_BUDGET_IN_CELLS,
        change=[("max(1, rows_at_once // batch)", "rows_at_once")],
    ),
    Mistake(
        "head_sweep",
        "the budget ignored",
        PATCHING_BUDGET_IGNORED,
        change=[("max(1, rows_at_once // batch)", "len(cells)")],
    ),
    Mistake(
        "head_sweep",
        "the last cells left out",
        PATCHING_LEFT_OVER,
        change=[
            ("range(0, len(cells), at_once)", "range(0, len(cells) - at_once + 1, at_once)"),
            (
                "    return torch.stack(values)",
                "    values += [torch.zeros((), device=tokens.device)] * (len(cells) - len(values))\n    return torch.stack(values)",
            ),
        ],
    ),
    Mistake("head_sweep", "summed over texts", PATCHING_SUMMED, change=[("metric(part).mean()", "metric(part).sum()")]),
    Mistake("head_sweep", "the first text", PATCHING_FIRST_TEXT, change=[("metric(part).mean()", "metric(part)[0]")]),
    Mistake(
        "head_sweep",
        "rows of one text together",
        PATCHING_ROWS_BY_TEXT,
        change=[("tokens.repeat(len(group), 1)", "tokens.repeat_interleave(len(group), dim=0)")],
    ),
    Mistake(
        "head_sweep",
        "patched in every layer",
        PATCHING_EVERY_LAYER,
        change=[
            ("if layer == hook.layer():", "if True:"),
            ("activation[rows, head] = source[names[layer]]", "activation[rows, head] = source[names[hook.layer()]]"),
            (
                "activation[rows, :, head] = source[names[layer]]",
                "activation[rows, :, head] = source[names[hook.layer()]]",
            ),
        ],
    ),
    Mistake(
        "head_sweep",
        "heads before layers",
        "cells are run head by head, but the values are put into the map layer by layer; both in the same order",
        change=[
            (
                "cells = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]",
                "cells = [(layer, head) for head in range(n_heads) for layer in range(n_layers)]",
            )
        ],
    ),
    Mistake(
        "head_sweep",
        "hooks left on the model",
        PATCHING_SWEEP_HOOKS_STAY,
        change=[
            (
                PATCHING_RUN_GROUP,
                PATCHING_RUN_GROUP_HOOKED_FOR_GOOD,
            )
        ],
    ),
    Mistake(
        "head_sweep",
        "unknown means z",
        "for a `what` that is none of the five z is patched without a word; raise ValueError and say in it what `what` was",
        change=[
            (
                'raise ValueError(f\'what must be "z", "q", "k", "v" or "pattern", but it is "{what}"\')',
                'what = "z"',
            )
        ],
    ),
    Mistake(
        "head_sweep",
        "the last position alone",
        "a head is patched at the last position only; in this map it is the source's at all positions",
        change=[
            (
                "activation[rows, :, head] = source[names[layer]][:, :, head]",
                "activation[rows, -1, head] = source[names[layer]][:, -1, head]",
            )
        ],
    ),
    Mistake(
        "head_sweep",
        "all heads of the layer",
        "in the rows of a cell all heads of its layer are the source's, so that a layer's cells are alike; one head only",
        change=[
            ("activation[rows, head] = source[names[layer]][:, head]", "activation[rows] = source[names[layer]]"),
            ("activation[rows, :, head] = source[names[layer]][:, :, head]", "activation[rows] = source[names[layer]]"),
        ],
    ),
    Mistake(
        "head_sweep",
        "every row patched",
        "the hook patches every row, so that each cell has the patches of its whole group; patch the rows of that cell only",
        change=[
            (
                "activation[rows, head] = source[names[layer]][:, head]",
                "activation[:, head] = source[names[layer]][:, head].repeat(len(group), 1, 1)",
            ),
            (
                "activation[rows, :, head] = source[names[layer]][:, :, head]",
                "activation[:, :, head] = source[names[layer]][:, :, head].repeat(len(group), 1, 1)",
            ),
        ],
    ),
    Mistake(
        "head_sweep",
        "heads before layers in the map",
        "the map has its axes in the order head layer; it is to be layer head",
        change=[("reshape(n_layers, n_heads)", "reshape(n_layers, n_heads).T")],
    ),
    Mistake(
        "head_sweep",
        "the change of the metric",
        "the metric of the unpatched run was subtracted; the map holds the metric itself, from which anyone can take it",
        change=[("reshape(n_layers, n_heads)", "reshape(n_layers, n_heads) - metric(model(tokens)).mean()")],
    ),
    Mistake(
        "head_sweep",
        "the pattern not patched",
        "for the pattern nothing is exchanged; its hook point is hook_pattern (a change at hook_attn_scores comes too late)",
        change=[
            (
                "fwd_hooks=[(name, patch) for name in names])",
                'fwd_hooks=[(name, patch) for name in names if what != "pattern"])',
            )
        ],
    ),
    Mistake(
        "head_sweep",
        "the hook always on z",
        "the hook is on z whatever was asked for, and with the pattern's axes for the pattern; it belongs on hook_{what}",
        change=[('f"blocks.{layer}.attn.hook_{what}"', 'f"blocks.{layer}.attn.hook_z"')],
    ),
    Mistake(
        "head_sweep",
        "nothing patched",
        "every cell is the metric of the unpatched run: the hook does not return its changed copy, or its layer never matches",
        change=[("            return activation\n\n", "            return None\n\n")],
    ),
    # 4.13
    Mistake(
        "head_position_sweep",
        "0 where nothing changes",
        "cells that were not run hold 0; a patch that changes nothing leaves the metric of the unpatched run",
        change=[
            (
                "results = metric(logits).mean().repeat(model.cfg.n_layers, model.cfg.n_heads, n_pos)",
                "results = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, n_pos, device=tokens.device)",
            )
        ],
    ),
    Mistake(
        "head_position_sweep",
        "left out by the first text",
        "cells are left out where the first text agrees with the source's; a cell may go only if all texts agree",
        change=[(".any(dim=-1).any(dim=0)", ".any(dim=-1)[0]")],
    ),
    Mistake(
        "head_position_sweep",
        "left out where any text agrees",
        "cells are left out as soon as one text agrees with the source's; a cell may go only if all texts agree",
        change=[(".any(dim=-1).any(dim=0)", ".any(dim=-1).all(dim=0)")],
    ),
    Mistake(
        "head_position_sweep",
        "positions before heads",
        "the map has its axes in the order of z, layer pos head; it is to be layer head pos",
        write="""
        def head_position_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            cells = [(l, p, h) for l in range(model.cfg.n_layers) for p in range(n_pos) for h in range(model.cfg.n_heads)]
            values = []
            for start in range(0, len(cells), max(1, rows_at_once // batch)):
                group = cells[start : start + max(1, rows_at_once // batch)]

                def patch(z, hook):
                    z = z.clone()
                    for place, (layer, pos, head) in enumerate(group):
                        if layer == hook.layer():
                            theirs = source[f"blocks.{layer}.attn.hook_z"]
                            z[place * batch : (place + 1) * batch, pos, head] = theirs[:, pos, head]
                    return z

                hooks = [(f"blocks.{layer}.attn.hook_z", patch) for layer in range(model.cfg.n_layers)]
                logits = model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=hooks)
                values += [metric(part).mean() for part in logits.unflatten(0, (len(group), batch))]
            return torch.stack(values).reshape(model.cfg.n_layers, n_pos, model.cfg.n_heads)
        """,
    ),
    Mistake(
        "head_position_sweep",
        "the axes only renamed",
        "the values lie in the order layer pos head and are reshaped to layer head pos, which mixes them; move the axes (permute)",
        write="""
        def head_position_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            cells = [(l, p, h) for l in range(model.cfg.n_layers) for p in range(n_pos) for h in range(model.cfg.n_heads)]
            values = []
            for start in range(0, len(cells), max(1, rows_at_once // batch)):
                group = cells[start : start + max(1, rows_at_once // batch)]

                def patch(z, hook):
                    z = z.clone()
                    for place, (layer, pos, head) in enumerate(group):
                        if layer == hook.layer():
                            theirs = source[f"blocks.{layer}.attn.hook_z"]
                            z[place * batch : (place + 1) * batch, pos, head] = theirs[:, pos, head]
                    return z

                hooks = [(f"blocks.{layer}.attn.hook_z", patch) for layer in range(model.cfg.n_layers)]
                logits = model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=hooks)
                values += [metric(part).mean() for part in logits.unflatten(0, (len(group), batch))]
            return torch.stack(values).reshape(model.cfg.n_layers, model.cfg.n_heads, n_pos)
        """,
    ),
    Mistake(
        "head_position_sweep",
        "all heads at a position",
        "all heads of the layer are patched at the position of a cell; one head only: z[rows, pos, head]",
        change=[
            (
                "z[place * batch : (place + 1) * batch, pos, head] = source[name][:, pos, head]",
                "z[place * batch : (place + 1) * batch, pos] = source[name][:, pos]",
            )
        ],
    ),
    Mistake(
        "head_position_sweep",
        "a head at all positions",
        "the head is patched at all positions, so that each row of the map is one number; one position only: z[rows, pos, head]",
        change=[
            (
                "z[place * batch : (place + 1) * batch, pos, head] = source[name][:, pos, head]",
                "z[place * batch : (place + 1) * batch, :, head] = source[name][:, :, head]",
            )
        ],
    ),
    Mistake(
        "head_position_sweep",
        "the source's stream",
        "the run goes on from the source's stream before the layer, so that nearly everything is the source's; start from the own run's",
        change=[('own["resid_pre", layer]', 'source["resid_pre", layer]')],
    ),
    Mistake(
        "head_position_sweep",
        "one run for each cell",
        PATCHING_ONE_RUN_PER_CELL,
        change=[("max(1, rows_at_once // batch)", "1")],
    ),
    Mistake(
        "head_position_sweep",
        "the budget in cells",
        PATCHING_BUDGET_IN_CELLS,
        change=[("max(1, rows_at_once // batch)", "rows_at_once")],
    ),
    Mistake(
        "head_position_sweep",
        "the budget ignored",
        PATCHING_BUDGET_IGNORED,
        change=[("max(1, rows_at_once // batch)", "10**9")],
    ),
    Mistake(
        "head_position_sweep",
        "summed over texts",
        PATCHING_SUMMED,
        change=[
            ("results = metric(logits).mean()", "results = metric(logits).sum()"),
            ("results[layer, head, pos] = metric(part).mean()", "results[layer, head, pos] = metric(part).sum()"),
        ],
    ),
    Mistake(
        "head_position_sweep",
        "rows of one text together",
        PATCHING_ROWS_BY_TEXT.replace("tokens.repeat(cells, 1)", "repeat(cells, 1, 1)"),
        change=[(".repeat(len(group), 1, 1)", ".repeat_interleave(len(group), dim=0)")],
    ),
    Mistake(
        "head_position_sweep",
        "hooks left on the model",
        PATCHING_SWEEP_HOOKS_STAY.replace("run_with_hooks, which takes", "`with model.hooks(...)`, which takes"),
        change=[
            (
                "    logits, own = model.run_with_cache(tokens)",
                "    model.reset_hooks()\n    logits, own = model.run_with_cache(tokens)",
            ),
            (
                "            with model.hooks(fwd_hooks=[(name, patch)]):\n                logits",
                "            model.reset_hooks()\n            model.add_hook(name, patch)\n            if True:\n                logits",
            ),
        ],
    ),
    Mistake(
        "head_position_sweep",
        "from the stream after the layer",
        "the run goes on from the stream after the layer, so that the layer runs twice; before it, the stream is resid_pre",
        change=[('own["resid_pre", layer]', 'own["resid_post", layer]')],
    ),
    Mistake(
        "head_position_sweep",
        "one layer too late",
        "the run begins with the layer after the patch, which is never applied; begin with the layer of the patch",
        change=[("repeat(len(group), 1, 1), layer)", "repeat(len(group), 1, 1), layer + 1)")],
    ),
    Mistake(
        "head_position_sweep",
        "from the position on",
        "the head is patched from its position to the end of the text; at that position alone",
        change=[
            (
                "z[place * batch : (place + 1) * batch, pos, head] = source[name][:, pos, head]",
                "z[place * batch : (place + 1) * batch, pos:, head] = source[name][:, pos:, head]",
            )
        ],
    ),
    Mistake(
        "head_position_sweep",
        "the last cells left out",
        "the cells that do not fill a whole group are never run; the last group may be smaller",
        change=[("range(0, len(cells), at_once)", "range(0, len(cells) - at_once + 1, at_once)")],
    ),
    Mistake(
        "head_position_sweep",
        "the change of the metric",
        "the metric of the unpatched run was subtracted; the map holds the metric itself, from which anyone can take it",
        change=[("return results", "return results - metric(model(tokens)).mean()")],
    ),
    Mistake(
        "head_position_sweep",
        "patched in every layer",
        "each cell is patched in every layer; in the hook of a layer, patch only the cells of that layer",
        write="""
        def head_position_sweep(model, tokens, source, metric, rows_at_once=512):
            batch, n_pos = tokens.shape
            n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
            cells = [(layer, head, pos) for layer in range(n_layers) for head in range(n_heads) for pos in range(n_pos)]
            at_once, values = max(1, rows_at_once // batch), []
            for start in range(0, len(cells), at_once):
                group = cells[start : start + at_once]

                def patch(z, hook, group=group):
                    z = z.clone()
                    for place, (layer, head, pos) in enumerate(group):
                        z[place * batch : (place + 1) * batch, pos, head] = source[f"blocks.{hook.layer()}.attn.hook_z"][:, pos, head]
                    return z

                names = [f"blocks.{layer}.attn.hook_z" for layer in range(n_layers)]
                logits = model.run_with_hooks(tokens.repeat(len(group), 1), fwd_hooks=[(name, patch) for name in names])
                values += [metric(part).mean() for part in logits.split(batch)]
            return torch.stack(values).reshape(n_layers, n_heads, n_pos)
        """,
    ),
    # 4.14
    Mistake(
        "attribution_sweep",
        "no difference",
        "the gradient is multiplied by the source's z; the step that a patch makes is source z - own z",
        change=[("source[name] - own[name], gradient", "source[name], gradient")],
    ),
    Mistake(
        "attribution_sweep",
        "the difference turned round",
        "the difference is own z - source z, which is the step away from the source; a patch goes towards it: source z - own z",
        change=[("source[name] - own[name], gradient", "own[name] - source[name], gradient")],
    ),
    Mistake(
        "attribution_sweep",
        "the gradient alone",
        "the gradient was summed as it is; it is the slope, and the effect is slope times step: multiply by source z - own z",
        change=[("source[name] - own[name], gradient", "torch.ones_like(own[name]), gradient")],
    ),
    Mistake(
        "attribution_sweep",
        "the gradient of the source's run",
        "the gradient is taken where all z are the source's already; it belongs to the run on tokens, with its own z",
        change=[("return z + zeros[name]", "return source[name] + zeros[name]")],
    ),
    Mistake(
        "attribution_sweep",
        "later heads cut off",
        "z was detached before it went on, so no gradient comes back by way of later heads; add the zeros to the z that passes",
        change=[("return z + zeros[name]", "return z.detach() + zeros[name]")],
    ),
    Mistake(
        "attribution_sweep",
        "summed over texts",
        "the products are summed over texts; the estimate is of the metric's mean: divide by the number of texts",
        change=[("return torch.stack(estimates) / len(tokens)", "return torch.stack(estimates)")],
    ),
    Mistake(
        "attribution_sweep",
        "divided by the batch twice",
        "the gradient is that of the metric's mean, and the result is averaged over texts once more; take the gradient of the sum",
        change=[("metric(logits).sum()", "metric(logits).mean()")],
    ),
    Mistake(
        "attribution_sweep",
        "averaged before the product",
        "difference and gradient were averaged over texts before they were multiplied; multiply within each text, then average",
        change=[
            (
                'source[name] - own[name], gradient, "batch pos head d_head, batch pos head d_head -> head pos"',
                '(source[name] - own[name]).mean(0), gradient.sum(0), "pos head d_head, pos head d_head -> head pos"',
            )
        ],
    ),
    Mistake(
        "attribution_sweep",
        "without sign",
        "absolute values were taken, so that what lowers the metric looks like what raises it; keep the sign",
        change=[("return torch.stack(estimates) / len(tokens)", "return torch.stack(estimates).abs() / len(tokens)")],
    ),
    Mistake(
        "attribution_sweep",
        "positions before heads",
        "the map has its axes in the order of z, layer pos head; it is to be layer head pos",
        change=[("batch pos head d_head -> head pos", "batch pos head d_head -> pos head")],
    ),
    Mistake(
        "attribution_sweep",
        "gradients left on the weights",
        "backward() fills the .grad of every weight, where they stay; torch.autograd.grad hands gradients back and leaves nothing",
        change=[
            (
                "        gradients = torch.autograd.grad(metric(logits).sum(), [zeros[name] for name in names])\n",
                "        metric(logits).sum().backward()\n        gradients = [zeros[name].grad for name in names]\n",
            )
        ],
    ),
    Mistake(
        "attribution_sweep",
        "hooks left on the model",
        "the hooks stay on the model and every later run keeps their graph; use run_with_hooks, which takes them off again",
        change=[
            (
                "        logits = model.run_with_hooks(tokens, fwd_hooks=[(name, keep) for name in names])\n",
                "        for name in names:\n            model.add_hook(name, keep)\n        logits = model(tokens)\n",
            )
        ],
    ),
    Mistake(
        "attribution_sweep",
        "own z times gradient",
        "the gradient is multiplied by the own z, which says what taking the head away would do; a patch makes the step source z - own z",
        change=[("einops.einsum(source[name] - own[name], gradient,", "einops.einsum(own[name], gradient,")],
    ),
    Mistake(
        "attribution_sweep",
        "the mean over d_head",
        "the products are averaged over d_head; a dot product is their sum",
        change=[
            (
                "return torch.stack(estimates) / len(tokens)",
                "return torch.stack(estimates) / len(tokens) / model.cfg.d_head",
            )
        ],
    ),
    Mistake(
        "attribution_sweep",
        "the value in place of the change",
        "the metric of the unpatched run was added; an estimate is of the change alone",
        change=[
            (
                "return torch.stack(estimates) / len(tokens)",
                "return torch.stack(estimates) / len(tokens) + metric(logits).mean().detach()",
            )
        ],
    ),
    Mistake(
        "attribution_sweep",
        "the gradient of the first text",
        "the gradient is that of the first text's metric; take that of the sum, in which each text has its own row",
        change=[("metric(logits).sum()", "metric(logits)[0]")],
    ),
    Mistake(
        "attribution_sweep",
        "without sign within a head",
        "absolute values of the products were summed; within a head too, what lowers and what raises the metric cancel: keep the sign",
        change=[
            (
                "einops.einsum(source[name] - own[name], gradient,",
                "einops.einsum((source[name] - own[name]).abs(), gradient.abs(),",
            )
        ],
    ),
    Mistake(
        "attribution_sweep",
        "a run for each layer",
        "the texts are run again for every layer; one forward and one backward pass give the gradients of all layers",
        change=[
            (
                "        gradients = torch.autograd.grad(metric(logits).sum(), [zeros[name] for name in names])\n",
                "        gradients = []\n"
                "        for name in names:\n"
                "            logits = model.run_with_hooks(tokens, fwd_hooks=[(each, keep) for each in names])\n"
                "            gradients += torch.autograd.grad(metric(logits).sum(), [zeros[name]])\n",
            )
        ],
    ),
    Mistake(
        "attribution_sweep",
        "gradients left on",
        "torch.set_grad_enabled(True) leaves gradients on for everything that comes later; use `with torch.enable_grad():`",
        change=[("    with torch.enable_grad():\n", "    torch.set_grad_enabled(True)\n    if True:\n")],
    ),
    # 4.15
    Mistake(
        "path_patch_to_logits",
        "only the sender set",
        "no other head is frozen, so later heads react and their effect is counted too; set the z of every layer's heads",
        change=[
            (
                'names = [f"blocks.{each}.attn.hook_z" for each in range(model.cfg.n_layers)]\n',
                'names = [f"blocks.{layer}.attn.hook_z"]\n',
            )
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "frozen at the source",
        "all heads get the z of the source; only the sender does, the others keep that of a run on `tokens`",
        change=[("own[name].clone() for name in names", "source[name].clone() for name in names")],
    ),
    Mistake(
        "path_patch_to_logits",
        "the two runs swapped",
        "the sender keeps its own z and all other heads get the source's; it is the other way round",
        change=[
            ("own[name].clone() for name in names", "source[name].clone() for name in names"),
            ("= source[z][:, :, head]", "= own[z][:, :, head]"),
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "all heads of the layer",
        "every head of the sender's layer gets the z of the source; choose one on axis 2: [:, :, head]",
        change=[("frozen[z][:, :, head] = source[z][:, :, head]", "frozen[z] = source[z].clone()")],
    ),
    Mistake(
        "path_patch_to_logits",
        "a position for a head",
        "axis 1 of z is the position, so all heads are patched at one position; the heads are axis 2: [:, :, head]",
        change=[("frozen[z][:, :, head] = source[z][:, :, head]", "frozen[z][:, head] = source[z][:, head]")],
    ),
    Mistake(
        "path_patch_to_logits",
        "the last position alone",
        "the sender is patched at the last position only; its z of the source goes in at every position",
        change=[("frozen[z][:, :, head] = source[z][:, :, head]", "frozen[z][:, -1, head] = source[z][:, -1, head]")],
    ),
    Mistake(
        "path_patch_to_logits",
        "the head of every layer",
        "the heads of this number are patched in all layers; the sender stands in one: blocks.{layer}",
        change=[
            (
                '    z = f"blocks.{layer}.attn.hook_z"\n    frozen[z][:, :, head] = source[z][:, :, head]\n',
                "    for z in names[: model.cfg.n_layers]:\n        frozen[z][:, :, head] = source[z][:, :, head]\n",
            )
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "zero in place of the source",
        "the sender's z is set to 0, which is ablation; set it to what it is in the source",
        change=[("= source[z][:, :, head]", "= 0.0")],
    ),
    Mistake(
        "path_patch_to_logits",
        "MLPs always frozen",
        "MLPs are frozen although freeze_mlps is False; then they are computed anew, and what the sender writes may pass through them",
        change=[("if freeze_mlps and not model", "if not model")],
    ),
    Mistake(
        "path_patch_to_logits",
        "MLPs never frozen",
        "freeze_mlps is not looked at; with it, hook_mlp_out of every layer is set to that of the run on `tokens` as well",
        change=[("if freeze_mlps and not model.cfg.attn_only:", "if False:")],
    ),
    Mistake(
        "path_patch_to_logits",
        "MLPs of the source",
        "with freeze_mlps the MLPs get what they write in the source's run; freeze them at what they write on `tokens`",
        change=[
            (
                "own[name].clone() for name in names",
                '(source if name.endswith("mlp_out") else own)[name].clone() for name in names',
            )
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "a sum in place of a run",
        "the head's change is put through W_O and W_U alone, but the LayerNorm scale and the MLPs react to it; run the model",
        write="""
        def path_patch_to_logits(model, tokens, source, layer, head, freeze_mlps=False):
            logits, own = model.run_with_cache(tokens)
            z = f"blocks.{layer}.attn.hook_z"
            change = (source[z] - own[z])[:, :, head] @ model.W_O[layer, head]
            if model.cfg.normalization_type is not None:
                change = change / own["ln_final.hook_scale"]
            return logits + change @ model.W_U
        """,
    ),
    Mistake(
        "path_patch_to_logits",
        "one hook function for all layers",
        "every hook returns the last layer's z, as a function made in a loop sees the last `name`; bind it with partial or name=name",
        change=[
            (
                PATH_RUN,
                """hooks = []
    for name in names[: model.cfg.n_layers]:
        hooks.append((name, lambda _, hook: frozen[name]))
    hooks += [(each, lambda _, hook, each=each: frozen[each]) for each in names[model.cfg.n_layers :]]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)""",
            )
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "the difference",
        "what the path changes is returned; return the logits of the patched run",
        change=[("return model.run_with_hooks", "return -model(tokens) + model.run_with_hooks")],
    ),
    Mistake(
        "path_patch_to_logits",
        "hooks left on the model",
        "the hooks stay on the model, whose heads are frozen in every later run; use run_with_hooks, or reset_hooks afterwards",
        change=[
            (
                PATH_RUN,
                """model.reset_hooks()
    for name in names:
        model.add_hook(name, lambda _, hook, name=name: frozen[name])
    return model(tokens)""",
            ),
            ("    _, own = model", "    model.reset_hooks()\n    _, own = model"),
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "the source overwritten",
        "the other heads' z is written into the source's own tensor, which the next call needs as it was; clone before you write",
        change=[
            (
                "    frozen[z][:, :, head] = source[z][:, :, head]\n",
                """    others = [other for other in range(model.cfg.n_heads) if other != head]
    frozen[z] = source[z]
    frozen[z][:, :, others] = own[z][:, :, others]
""",
            )
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "z frozen at the source",
        "z is frozen at that of the source for all heads; only the sender gets that, the others keep that of a run on `tokens`",
        change=[
            (
                "own[name].clone() for name in names",
                '(source if name.endswith("hook_z") else own)[name].clone() for name in names',
            )
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "the two runs' z swapped",
        "the z of the two runs is swapped: the sender keeps its own and all other heads get the source's; it is the other way round",
        change=[
            (
                "own[name].clone() for name in names",
                '(source if name.endswith("hook_z") else own)[name].clone() for name in names',
            ),
            ("= source[z][:, :, head]", "= own[z][:, :, head]"),
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "nothing of the source",
        "nothing of the source gets into run 2, where the sender has its z of the run on `tokens` too; take it from source[z]",
        change=[("= source[z][:, :, head]", "= own[z][:, :, head]")],
    ),
    Mistake(
        "path_patch_to_logits",
        "nothing frozen after the sender's layer",
        "layers after the sender's are not frozen, and it is their heads who would react; set z in every layer",
        change=[
            (
                """    names = [f"blocks.{each}.attn.hook_z" for each in range(model.cfg.n_layers)]
    if""",
                """    names = [f"blocks.{each}.attn.hook_z" for each in range(layer + 1)]
    if""",
            ),
            (
                'f"blocks.{each}.hook_mlp_out" for each in range(model.cfg.n_layers)',
                'f"blocks.{each}.hook_mlp_out" for each in range(layer + 1)',
            ),
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "the other heads ablated",
        "the other heads are set to 0, which is ablation; they keep their z of a run on `tokens`",
        change=[
            (
                "own[name].clone() for name in names",
                'own[name].clone() * (not name.endswith("hook_z")) for name in names',
            )
        ],
    ),
    Mistake(
        "path_patch_to_logits",
        "freeze_mlps the wrong way round",
        "MLPs are frozen where freeze_mlps is False, and computed anew where it is True; it is the other way round",
        change=[("if freeze_mlps and not model", "if not freeze_mlps and not model")],
    ),
    Mistake(
        "path_patch_to_logits",
        "the plain patch of a head",
        "this is the patch of exercise 4.10, which reaches the logits through every later head; freeze all other heads",
        write="""
        def path_patch_to_logits(model, tokens, source, layer, head, freeze_mlps=False):
            return patch_head(model, tokens, source, layer, head)
        """,
    ),
    # 4.16
    Mistake(
        "path_patch_to_heads",
        "other heads not frozen on the way",
        "in run 2 only the sender is set, so what it tells other heads arrives at the receivers too; use all of path_hooks",
        change=[
            (
                "fwd_hooks=path_hooks(model, tokens, source, sender, freeze_mlps)",
                """fwd_hooks=[
            (name, function)
            for name, function in path_hooks(model, tokens, source, sender, freeze_mlps)
            if name == f"blocks.{sender[0]}.attn.hook_z" or "mlp" in name
        ]""",
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "the source's own input",
        "the receivers get their input of the source's run, which all parts contributed to; they get what arrived from the sender in run 2",
        change=[("arrived[names[layer]][:, :, heads", "source[names[layer]][:, :, heads")],
    ),
    Mistake(
        "path_patch_to_heads",
        "the logits of run 2",
        "the logits of the frozen run are returned, in which the receivers cannot react; run 3 has only their input set",
        write="""
        def path_patch_to_heads(model, tokens, source, sender, receivers, what, freeze_mlps=False):
            if what not in ("q", "k", "v"):
                raise ValueError(f'what must be "q", "k" or "v", but it is "{what}"')
            return path_patch_to_logits(model, tokens, source, *sender, freeze_mlps=freeze_mlps)
        """,
    ),
    Mistake(
        "path_patch_to_heads",
        "the sender patched in run 3",
        "the sender still has the z of the source in run 3, so that its other paths count too; there it runs freely",
        change=[
            (
                "    return model.run_with_hooks(tokens, fwd_hooks=hooks)",
                """    z = f"blocks.{sender[0]}.attn.hook_z"
    hooks += [pair for pair in path_hooks(model, tokens, source, sender) if pair[0] == z]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)""",
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "later heads frozen in run 3",
        "all heads but the receivers are frozen in run 3 too, which leaves out whom they tell; there everything runs freely",
        change=[
            (
                "    return model.run_with_hooks(tokens, fwd_hooks=hooks)",
                """    z_names = [f"blocks.{layer}.attn.hook_z" for layer in range(model.cfg.n_layers)]
    _, own = model.run_with_cache(tokens, names_filter=z_names)

    def freeze(z, hook, layer):
        frozen = own[z_names[layer]].clone()
        for of, head in receivers:
            if of == layer:
                frozen[:, :, head] = z[:, :, head]
        return frozen

    hooks += [(name, partial(freeze, layer=layer)) for layer, name in enumerate(z_names)]
    return model.run_with_hooks(tokens, fwd_hooks=hooks)""",
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "all heads of the receivers' layer",
        "every head of the receivers' layers gets what arrived; choose the receivers on axis 2: [:, :, head]",
        change=[
            (
                "value[:, :, heads[layer]] = arrived[names[layer]][:, :, heads[layer]]",
                "value = arrived[names[layer]].clone()",
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "the receivers' numbers in every layer",
        "the receivers' head numbers are set in every layer that has a receiver; each belongs to its own layer: compare layers",
        change=[("[head for of, head in receivers if of == layer]", "[head for _, head in receivers]")],
    ),
    Mistake(
        "path_patch_to_heads",
        "one receiver",
        "only the first receiver gets what arrived; all of them do, in the same run",
        change=[("for of, head in receivers if", "for of, head in receivers[:1] if")],
    ),
    Mistake(
        "path_patch_to_heads",
        "queries, keys and values at once",
        "queries, keys and values of the receivers are all set; only the one that `what` names is",
        write="""
        def path_patch_to_heads(model, tokens, source, sender, receivers, what, freeze_mlps=False):
            if what not in ("q", "k", "v"):
                raise ValueError(f'what must be "q", "k" or "v", but it is "{what}"')
            names = [f"blocks.{layer}.attn.hook_{letter}" for layer, _ in receivers for letter in "qkv"]
            with model.hooks(fwd_hooks=path_hooks(model, tokens, source, sender, freeze_mlps)):
                _, arrived = model.run_with_cache(tokens, names_filter=names)

            def receive(value, hook, layer, letter):
                received = value.clone()
                for of, head in receivers:
                    if of == layer:
                        received[:, :, head] = arrived[f"blocks.{layer}.attn.hook_{letter}"][:, :, head]
                return received

            layers = {layer for layer, _ in receivers}
            hooks = [
                (f"blocks.{layer}.attn.hook_{letter}", partial(receive, layer=layer, letter=letter))
                for layer in layers
                for letter in "qkv"
            ]
            return model.run_with_hooks(tokens, fwd_hooks=hooks)
        """,
    ),
    Mistake(
        "path_patch_to_heads",
        "always the query",
        '`what` is not looked at and the query is always set; "k" and "v" mean hook_k and hook_v',
        change=[('f"blocks.{layer}.attn.hook_{what}"', 'f"blocks.{layer}.attn.hook_q"')],
    ),
    Mistake(
        "path_patch_to_heads",
        "the path is not patched",
        "the sender's change does not reach the receivers: what is put in is what they have without any patching; run 2 needs the hooks",
        change=[("with model.hooks(fwd_hooks=path_hooks(model, tokens, source, sender, freeze_mlps)):", "if True:")],
    ),
    Mistake(
        "path_patch_to_heads",
        "MLPs never frozen",
        "freeze_mlps does not reach run 2; hand it on to path_hooks",
        change=[("source, sender, freeze_mlps)", "source, sender)")],
    ),
    Mistake(
        "path_patch_to_heads",
        "MLPs always frozen",
        "MLPs are frozen in run 2 although freeze_mlps is False; then what the sender writes may pass through them",
        change=[("source, sender, freeze_mlps)", "source, sender, True)")],
    ),
    Mistake(
        "path_patch_to_heads",
        "any other input",
        "an input that does not exist is not refused; raise ValueError and say in it what `what` was",
        change=[(PATH_REFUSE, "")],
    ),
    Mistake(
        "path_patch_to_heads",
        "hooks left on the model",
        "the receivers' hooks stay on the model and change every later run; use run_with_hooks, or reset_hooks afterwards",
        change=[
            (
                "    return model.run_with_hooks(tokens, fwd_hooks=hooks)",
                "    for name, function in hooks:\n        model.add_hook(name, function)\n    return model(tokens)",
            ),
            ("    with model.hooks", "    model.reset_hooks()\n    with model.hooks"),
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "MLPs frozen in run 3",
        "MLPs are frozen in run 3 too; freeze_mlps is for run 2, and in run 3 everything after the receivers reacts",
        change=[
            (
                "    return model.run_with_hooks(tokens, fwd_hooks=hooks)",
                """    frozen = path_hooks(model, tokens, source, sender, freeze_mlps)
    return model.run_with_hooks(tokens, fwd_hooks=hooks + [pair for pair in frozen if "mlp" in pair[0]])""",
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "the sender alone in run 2",
        "run 2 has the sender's z alone, so what it tells other heads arrives at the receivers too; use all of path_hooks",
        change=[
            (
                "fwd_hooks=path_hooks(model, tokens, source, sender, freeze_mlps)",
                'fwd_hooks=[pair for pair in path_hooks(model, tokens, source, sender) if f".{sender[0]}." in pair[0]]',
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "positions for heads",
        "axis 1 is the position, so what arrived is put in at a few positions of all heads; the heads are axis 2: [:, :, heads]",
        change=[
            (
                "value[:, :, heads[layer]] = arrived[names[layer]][:, :, heads[layer]]",
                "value[:, heads[layer]] = arrived[names[layer]][:, heads[layer]]",
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "the last position alone",
        "what arrived is put in at the last position only; the receivers get it at every position",
        change=[
            (
                "value[:, :, heads[layer]] = arrived[names[layer]][:, :, heads[layer]]",
                "value[:, -1, heads[layer]] = arrived[names[layer]][:, -1, heads[layer]]",
            )
        ],
    ),
    Mistake(
        "path_patch_to_heads",
        "one receiver of each layer",
        "of several receivers in one layer only one gets what arrived, as when a dictionary has one head for each layer; keep a list",
        change=[
            ("[head for of, head in receivers if of == layer]", "[head for of, head in receivers if of == layer][-1:]")
        ],
    ),
    # 4.17
    Mistake(
        "path_sweep_to_logits",
        "a run for each head",
        "the values are right, but the model runs anew for every head; put many senders side by side as rows of one run",
        write="""
        def path_sweep_to_logits(model, tokens, source, metric, rows_at_once=512):
            effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)
            for layer in range(model.cfg.n_layers):
                for head in range(model.cfg.n_heads):
                    effects[layer, head] = metric(path_patch_to_logits(model, tokens, source, layer, head)).mean()
            return effects
        """,
    ),
    Mistake(
        "path_sweep_to_logits",
        "other heads not frozen",
        "only the sender's z is set in its rows, so later heads react to it; in every row all heads are set",
        write=PATH_ROWS.replace(
            "hooks = [(name, partial(put_back, frozen=frozen[name])) for name in names]",
            """def set_senders(z, hook, layer):
            z = z.clone()
            for number, (of, head) in enumerate(chunk):
                if of == layer:
                    rows = slice(number * batch, (number + 1) * batch)
                    z[rows, :, head] = frozen[names[layer]][rows, :, head]
            return z

        hooks = [(name, partial(set_senders, layer=layer)) for layer, name in enumerate(names)]""",
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "all heads of the layer",
        "every head of the sender's layer gets the z of the source; each row has one sender: [rows, :, head]",
        write=PATH_ROWS.replace(
            "frozen[names[layer]][rows, :, head] = source[names[layer]][:, :, head]",
            "frozen[names[layer]][rows] = source[names[layer]]",
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "senders that stay patched",
        "a sender stays patched in the rows of all senders after it; its block ends where the next begins: (number + 1) * batch",
        write=PATH_ROWS.replace(
            "frozen[names[layer]][rows, :, head] = source[names[layer]][:, :, head]",
            "for later in range(number, len(chunk)):\n"
            "                frozen[names[layer]][later * batch : (later + 1) * batch, :, head] = source[names[layer]][:, :, head]",
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "texts and blocks do not match",
        "tokens are repeated text by text and z block by block, so that rows mix two texts; repeat both as blocks: tokens.repeat(n, 1)",
        write=PATH_ROWS.replace("tokens.repeat(len(chunk), 1)", "tokens.repeat_interleave(len(chunk), dim=0)"),
    ),
    Mistake(
        "path_sweep_to_logits",
        "heads and layers the wrong way round",
        "the senders go through all layers for each head, but are written out as rows of layers; the layer is the outer loop",
        write=PATH_ROWS.replace(
            "for layer in range(n_layers) for head in range(n_heads)]",
            "for head in range(n_heads) for layer in range(n_layers)]",
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "the last chunk left out",
        "senders that do not fill a whole chunk are left out; the last chunk is shorter, and is run too",
        write=PATH_ROWS.replace("effects = []", "effects = list(tokens.new_zeros(len(senders), dtype=torch.float))")
        .replace("range(0, len(senders), at_once)", "range(0, len(senders) - at_once + 1, at_once)")
        .replace(
            "effects += [metric(block).mean() for block in logits.split(batch)]",
            "effects[start : start + at_once] = [metric(block).mean() for block in logits.split(batch)]",
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "rows_at_once not looked at",
        "all senders go into one run, however many rows these are; in one run there is room for rows_at_once // batch of them",
        write=PATH_ROWS.replace("max(1, rows_at_once // batch)", "len(senders)"),
    ),
    Mistake(
        "path_sweep_to_logits",
        "the change of the metric",
        "the metric without patching is subtracted; the sweep has the mean metric of the patched runs as it is",
        write=PATH_ROWS.replace(
            "return torch.stack(effects)", "return -metric(model(tokens)).mean() + torch.stack(effects)"
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "the sum over texts",
        "the metric is summed over the texts; take the mean",
        write=PATH_ROWS.replace("metric(block).mean()", "metric(block).sum()"),
    ),
    Mistake(
        "path_sweep_to_logits",
        "MLPs frozen",
        "MLPs are frozen or passed by; in the sweep only heads are frozen, and MLPs react to what the sender writes",
        write=PATH_ROWS.replace("    _, own = model", PATH_MLPS.format("names") + "    _, own = model").replace(
            "own[name].repeat(len(chunk), 1, 1, 1)", "torch.cat([own[name]] * len(chunk))"
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "hooks left on the model",
        "the hooks stay on the model, whose heads are frozen in every later run; use run_with_hooks, or reset_hooks afterwards",
        write=PATH_ROWS.replace(
            "logits = model.run_with_hooks(tokens.repeat(len(chunk), 1), fwd_hooks=hooks)",
            """model.reset_hooks()
        for name, function in hooks:
            model.add_hook(name, function)
        logits = model(tokens.repeat(len(chunk), 1))""",
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "MLPs without LayerNorm",
        "the MLPs get the stream as it is; they read it through ln2",
        change=[("out = mlp(ln((", "out = mlp(((")],
    ),
    Mistake(
        "path_sweep_to_logits",
        "the first MLP left out",
        "the MLP of the sender's own layer comes after its heads and reacts too; here only later ones do",
        change=[
            ("sum(of <= layer for", "sum(of < layer for"),
            (
                "            if not model.cfg.attn_only:",
                "            if chunk[0][0] < layer and not model.cfg.attn_only:",
            ),
        ],
    ),
    Mistake(
        "path_sweep_to_logits",
        "logits without the last LayerNorm",
        "the patched stream goes straight to the unembedding; ln_final comes before it",
        change=[("model.unembed(model.ln_final(stream.flatten(0, 1)))", "model.unembed(stream.flatten(0, 1))")],
    ),
    Mistake(
        "path_sweep_to_logits",
        "positions where all texts differ",
        "positions are left out in which only some of the texts differ; one differing text is enough",
        change=[(".any(dim=0) for each in z]", ".all(dim=0) for each in z]")],
    ),
    Mistake(
        "path_sweep_to_logits",
        "no logits where nothing differs",
        "positions that need not be computed have logits of 0; theirs are those of the run on `tokens`",
        change=[("patched = logits.repeat(len(chunk), 1, 1)", "patched = 0 * logits.repeat(len(chunk), 1, 1)")],
    ),
    Mistake(
        "path_sweep_to_logits",
        "frozen at the source",
        "all heads get the z of the source; only the sender does, the others keep that of a run on `tokens`",
        write=PATH_ROWS.replace("own[name].repeat", "source[name].repeat"),
    ),
    Mistake(
        "path_sweep_to_logits",
        "the two runs swapped",
        "the sender keeps its own z and all other heads get the source's; it is the other way round",
        write=PATH_ROWS.replace("own[name].repeat", "source[name].repeat").replace(
            "= source[names[layer]][:, :, head]", "= own[names[layer]][:, :, head]"
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "the head of every layer",
        "the heads of this number are patched in all layers; a sender stands in one, so set it in the z of that layer alone",
        write=PATH_ROWS.replace(
            "frozen[names[layer]][rows, :, head] = source[names[layer]][:, :, head]",
            "for each in names:\n                frozen[each][rows, :, head] = source[each][:, :, head]",
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "the last position alone",
        "the senders are patched at the last position only, which is not END of every text; their z goes in at every position",
        write=PATH_ROWS.replace(
            "[rows, :, head] = source[names[layer]][:, :, head]", "[rows, -1, head] = source[names[layer]][:, -1, head]"
        ),
    ),
    Mistake(
        "path_sweep_to_logits",
        "rows text by text, read in blocks",
        "the rows of one text lie side by side, but the logits are taken apart sender by sender; repeat blocks: tokens.repeat(n, 1)",
        write=PATH_ROWS.replace("tokens.repeat(len(chunk), 1)", "tokens.repeat_interleave(len(chunk), dim=0)")
        .replace("own[name].repeat(len(chunk), 1, 1, 1)", "own[name].repeat_interleave(len(chunk), dim=0)")
        .replace("slice(number * batch, (number + 1) * batch)", "slice(number, None, len(chunk))"),
    ),
    Mistake(
        "path_sweep_to_logits",
        "one less the metric",
        "one less the metric comes back, which is the share that is lost; the sweep has the metric of the patched runs as it is",
        write=PATH_ROWS.replace("return torch.stack(effects)", "return 1 - torch.stack(effects)"),
    ),
    Mistake(
        "path_sweep_to_logits",
        "nothing patched",
        "every head has the metric of the unpatched run: nothing of the sender's z of the source gets into its rows",
        write=PATH_ROWS.replace("= source[names[layer]][:, :, head]", "= own[names[layer]][:, :, head]"),
    ),
    Mistake(
        "path_sweep_to_logits",
        "z of the source added",
        "what the sender adds to the stream is its z of the source times W_O; it replaces the own z: take the difference",
        change=[
            (
                'z = [source[f"blocks.{layer}.attn.hook_z"] - own["z", layer] for',
                'z = [source[f"blocks.{layer}.attn.hook_z"] for',
            )
        ],
    ),
    Mistake(
        "path_sweep_to_logits",
        "MLPs counted twice",
        "what the MLP writes now is added to a stream that has what it wrote before; add the difference of the two",
        change=[(' - own["mlp_out", layer][:, where]', "")],
    ),
    Mistake(
        "path_sweep_to_logits",
        "the change in place of the stream",
        "the final LayerNorm gets the change alone; it reads the run's own stream with the change added",
        change=[('stream = own["resid_post", n_layers - 1][:, where] + change', "stream = change")],
    ),
    Mistake(
        "path_sweep_to_logits",
        "the last LayerNorm frozen",
        "the final LayerNorm divides by the scale of the run on `tokens`; it is computed anew too: ln_final(stream)",
        change=[
            ('kinds = ("attn.hook_z"', 'kinds = ("ln_final.hook_scale", "attn.hook_z"'),
            (
                "        patched[:, where] = model.unembed(model.ln_final(stream.flatten(0, 1)))",
                "        stream = stream - stream.mean(dim=-1, keepdim=True)\n"
                '        stream = stream / own["ln_final.hook_scale"][:, where]\n'
                "        patched[:, where] = model.unembed(stream.flatten(0, 1))",
            ),
        ],
    ),
    # 4.18
    Mistake(
        "path_sweep_to_heads",
        "a run for each sender",
        "the values are right, but the model runs anew for every sender; put many senders side by side as rows of one run",
        write="""
        def path_sweep_to_heads(model, tokens, source, metric, receivers, what, rows_at_once=512):
            effects = metric(model(tokens)).mean().repeat(model.cfg.n_layers, model.cfg.n_heads)
            for layer in range(max(layer for layer, _ in receivers)):
                for head in range(model.cfg.n_heads):
                    logits = path_patch_to_heads(model, tokens, source, (layer, head), receivers, what)
                    effects[layer, head] = metric(logits).mean()
            return effects
        """,
    ),
    Mistake(
        "path_sweep_to_heads",
        "zero where there is no path",
        "heads without a path to the receivers get 0; nothing changes for them, so they get the metric without patching",
        change=[
            ("metric(logits).mean().repeat(n_layers, n_heads)", "torch.zeros(n_layers, n_heads, device=tokens.device)")
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "nan where there is no path",
        "heads without a path to the receivers get nan; nothing changes for them, so they get the metric without patching",
        change=[
            (
                "metric(logits).mean().repeat(n_layers, n_heads)",
                "torch.full((n_layers, n_heads), torch.nan, device=tokens.device)",
            )
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "before all receivers",
        "heads between the first receiver and the last are left out; a sender counts if it is before any of the receivers",
        change=[("range(max(heads)) for head", "range(min(heads)) for head")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "other heads not frozen on the way",
        "in run 2 only the senders are set in their rows, so what they tell other heads arrives too; in every row all heads are set",
        change=[
            (
                "        with model.hooks(fwd_hooks=[(name, partial(put_back, frozen=frozen[name])) for name in z_names]):",
                """
        def set_senders(z, hook, layer):
            z = z.clone()
            for number, (of, head) in enumerate(chunk):
                if of == layer:
                    rows = slice(number * batch, (number + 1) * batch)
                    z[rows, :, head] = frozen[z_names[layer]][rows, :, head]
            return z

        setters = [(name, partial(set_senders, layer=layer)) for layer, name in enumerate(z_names)]
        with model.hooks(fwd_hooks=setters):""",
            )
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "the logits of run 2",
        "the metric is taken of the frozen run, in which the receivers cannot react; run 3 has only their input set",
        change=[
            (
                "logits = model.run_with_hooks(many, fwd_hooks=hooks)",
                "logits = model.run_with_hooks(many, fwd_hooks=[(z, partial(put_back, frozen=frozen[z])) for z in z_names])",
            )
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "senders patched in run 3",
        "the senders still have the z of the source in run 3, so that their other paths count too; there they run freely",
        change=[
            (
                "        logits = model.run_with_hooks(many, fwd_hooks=hooks)",
                """        def set_senders(z, hook, layer):
            z = z.clone()
            for number, (of, head) in enumerate(chunk):
                if of == layer:
                    rows = slice(number * batch, (number + 1) * batch)
                    z[rows, :, head] = frozen[z_names[layer]][rows, :, head]
            return z

        hooks += [(name, partial(set_senders, layer=layer)) for layer, name in enumerate(z_names)]
        logits = model.run_with_hooks(many, fwd_hooks=hooks)""",
            )
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "the source's own input",
        "the receivers get their input of the source's run, which all parts contributed to; they get what arrived from the sender in run 2",
        change=[("arrived=arrived[names[of]]", "arrived=source[names[of]].repeat(len(chunk), 1, 1, 1)")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "all heads of the receivers' layer",
        "every head of the receivers' layers gets what arrived; choose the receivers on axis 2: [:, :, head]",
        change=[("value[:, :, heads] = arrived[:, :, heads]", "value = arrived.clone()")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "one receiver",
        "only the first receiver gets what arrived; all of them do, in the same run",
        change=[("for of, head in receivers if", "for of, head in receivers[:1] if")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "always the query",
        '`what` is not looked at and the query is always set; "k" and "v" mean hook_k and hook_v',
        change=[('f"blocks.{layer}.attn.hook_{what}"', 'f"blocks.{layer}.attn.hook_q"')],
    ),
    Mistake(
        "path_sweep_to_heads",
        "texts and blocks do not match",
        "tokens are repeated text by text and z block by block, so that rows mix two texts; repeat both as blocks: tokens.repeat(n, 1)",
        change=[("tokens.repeat(len(chunk), 1)", "tokens.repeat_interleave(len(chunk), dim=0)")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "the last chunk left out",
        "senders that do not fill a whole chunk are left out, as if they had no path; the last chunk is shorter, and is run too",
        change=[("range(0, len(senders), at_once)", "range(0, len(senders) - at_once + 1, at_once)")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "rows_at_once not looked at",
        "all senders go into one run, however many rows these are; in one run there is room for rows_at_once // batch of them",
        change=[("max(1, rows_at_once // batch)", "len(senders)")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "MLPs frozen",
        "MLPs are frozen in run 2; in the sweep only heads are",
        change=[
            (
                "    logits, own = model",
                PATH_MLPS.format("z_names") + "    logits, own = model",
            ),
            ("own[name].repeat(len(chunk), 1, 1, 1)", "torch.cat([own[name]] * len(chunk))"),
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "the sum over texts",
        "the metric is summed over the texts; take the mean",
        change=[("metric(block).mean()", "metric(block).sum()")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "hooks left on the model",
        "the receivers' hooks stay on the model and change every later run; use run_with_hooks, or reset_hooks afterwards",
        change=[
            (
                "logits = model.run_with_hooks(many, fwd_hooks=hooks)",
                "for name, function in hooks:\n            model.add_hook(name, function)\n        logits = model(many)",
            ),
            ("        many = tokens", "        model.reset_hooks()\n        many = tokens"),
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "1 where there is no path",
        "heads without a path to the receivers get 1, as if the metric were scaled; take the mean metric of the run on `tokens`",
        change=[
            ("metric(logits).mean().repeat(n_layers, n_heads)", "torch.ones(n_layers, n_heads, device=tokens.device)")
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "summed without patching too",
        "the metric is summed over the texts, also where nothing is patched; take the mean",
        change=[
            ("metric(logits).mean().repeat(", "metric(logits).sum().repeat("),
            ("metric(block).mean()", "metric(block).sum()"),
        ],
    ),
    Mistake(
        "path_sweep_to_heads",
        "one less the metric",
        "one less the metric comes back, which is the share that is lost; the sweep has the metric of the patched runs as it is",
        change=[("    return effects\n", "    return 1 - effects\n")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "the path is not patched",
        "nothing of the source gets into run 2, so the receivers are given what they have anyway; set the sender's z in its rows",
        change=[("= source[z_names[layer]][:, :, head]", "= own[z_names[layer]][:, :, head]")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "the receivers' numbers in every layer",
        "the receivers' head numbers are set in every layer that has a receiver; each belongs to its own layer: compare layers",
        change=[("[head for of, head in receivers if of == layer]", "[head for _, head in receivers]")],
    ),
    Mistake(
        "path_sweep_to_heads",
        "the last position alone",
        "what arrived is put in at the last position only; the receivers get it at every position",
        change=[("value[:, :, heads] = arrived[:, :, heads]", "value[:, -1, heads] = arrived[:, -1, heads]")],
    ),
    # 4.19
    Mistake(
        "trace_circuit",
        "only what helps",
        "paths with a negative effect are left out, such as those of negative name movers; compare the size: abs(effect)",
        change=[("if abs(effect) > threshold", "if effect > threshold")],
    ),
    Mistake(
        "trace_circuit",
        "the last step alone",
        "only the logits are asked about; every head that sends along an edge is a receiver in turn",
        change=[('waiting += [(*sender, what) for what in ("q", "k", "v")]', "pass")],
    ),
    Mistake(
        "trace_circuit",
        "two steps",
        "the search ends after the heads that write to the logits were asked about; go on until no new head turns up",
        change=[
            (
                "isinstance(sender, tuple) and sender not in found",
                'receiver == "logits" and isinstance(sender, tuple) and sender not in found',
            )
        ],
    ),
    Mistake(
        "trace_circuit",
        "queries alone",
        "heads are asked about their queries only; keys and values are inputs as well",
        change=[('for what in ("q", "k", "v")', 'for what in ("q",)')],
    ),
    Mistake(
        "trace_circuit",
        "every head followed",
        "heads are followed back although nothing that they send is above the threshold; only a sender of an edge is asked about",
        change=[
            (
                """                edges[sender, receiver] = effect
                if isinstance(sender, tuple) and sender not in found:
                    found.add(sender)
                    waiting +=""",
                """                edges[sender, receiver] = effect
            if isinstance(sender, tuple) and sender not in found:
                    found.add(sender)
                    waiting +=""",
            )
        ],
    ),
    Mistake(
        "trace_circuit",
        "heads asked about again and again",
        "a head is put on the list anew on every way that leads to it, and is asked about each time; remember which heads were found",
        change=[("isinstance(sender, tuple) and sender not in found", "isinstance(sender, tuple)")],
    ),
    Mistake(
        "trace_circuit",
        "sizes for effects",
        "the weights have lost their signs; keep the effect itself, and its size for the comparison alone",
        change=[("edges[sender, receiver] = effect", "edges[sender, receiver] = abs(effect)")],
    ),
    Mistake(
        "trace_circuit",
        "the receiver first",
        "the pairs are (receiver, sender); an edge is (sender, receiver), in the direction in which the model computes",
        change=[("edges[sender, receiver]", "edges[receiver, sender]")],
    ),
    Mistake(
        "trace_circuit",
        "the receiver without its input",
        "queries, keys and values of a receiver are one and the same in the result; the receiver of an edge is (layer, head, input)",
        change=[
            (
                "edges[sender, receiver] = effect",
                'edges[sender, receiver if receiver == "logits" else receiver[:2]] = effect',
            )
        ],
    ),
    Mistake(
        "trace_circuit",
        "queries and keys alone",
        "heads are asked about their queries and keys only; values are inputs as well",
        change=[('for what in ("q", "k", "v")', 'for what in ("q", "k")')],
    ),
    Mistake(
        "trace_circuit",
        "at the threshold too",
        "an effect that is just the threshold makes an edge; an edge has an effect of a size above it: >",
        change=[("if abs(effect) > threshold", "if abs(effect) >= threshold")],
    ),
    Mistake(
        "trace_circuit",
        "one edge for each sender",
        "a sender makes no second edge, as if every head told one receiver only; only what is put on the list depends on who was there",
        change=[("if abs(effect) > threshold:", "if abs(effect) > threshold and sender not in found:")],
    ),
    Mistake(
        "trace_circuit",
        "the embedding left out",
        'edges from senders that are no heads, such as "embed", are left out; they are edges, but are not followed back',
        change=[("if abs(effect) > threshold:", "if abs(effect) > threshold and isinstance(sender, tuple):")],
    ),
    Mistake(
        "trace_circuit",
        "any string but embed taken for a head",
        'only "embed" is kept from being followed back, not other strings; a sender is a head if it is a pair (layer, head)',
        change=[("if isinstance(sender, tuple) and", 'if sender != "embed" and')],
    ),
    # 4.20
    Mistake(
        "name_copying_score",
        "no first MLP",
        "the heads read the embedding alone; a head after layer 0 reads what the first layer's MLP has added to it, too",
        change=[("if layer > 0 and not model.cfg.attn_only:", "if False:")],
    ),
    Mistake(
        "name_copying_score",
        "the MLP for layer 0 too",
        "heads of layer 0 get the first MLP's output, which comes after them; they read the embedding alone",
        change=[("if layer > 0 and not model.cfg.attn_only:", "if not model.cfg.attn_only:")],
    ),
    Mistake(
        "name_copying_score",
        "the MLP in place of the embedding",
        "the MLP's output replaces the embedding; it is added to it, as in the residual stream",
        change=[("resid = resid + block.mlp(", "resid = block.mlp(")],
    ),
    Mistake(
        "name_copying_score",
        "no LayerNorm before the MLP",
        "the MLP reads the embedding as it is; it reads block.ln2 of it",
        change=[("block.mlp(block.ln2(resid))", "block.mlp(resid)")],
    ),
    Mistake(
        "name_copying_score",
        "the MLP of the layer before the head",
        "the MLP of the layer before the head is run; the name has been through the first layer's MLP: block 0",
        change=[("block = model.blocks[0]", "block = model.blocks[layer - 1]")],
    ),
    Mistake(
        "name_copying_score",
        "ties count",
        "tokens with the same logit do not count as before the name, so a head that writes nothing copies everything; compare with >=",
        change=[("((logits >= own).sum(dim=-1) <= k)", "((logits > own).sum(dim=-1) < k)")],
    ),
    Mistake(
        "name_copying_score",
        "one rank too many",
        "a name at place k + 1 counts as among the k highest; >= counts the name itself, so at most k may remain",
        change=[(".sum(dim=-1) <= k)", ".sum(dim=-1) <= k + 1)")],
    ),
    Mistake(
        "name_copying_score",
        "always the five highest",
        "5 is written where k belongs; use the argument",
        change=[(".sum(dim=-1) <= k)", ".sum(dim=-1) <= 5)")],
    ),
    Mistake(
        "name_copying_score",
        "among the names alone",
        "the name is compared with the other names only; it must be among the k highest of all tokens",
        change=[("((logits >= own)", "((logits[:, names] >= own)")],
    ),
    Mistake(
        "name_copying_score",
        "negative left out",
        "`negative` changes nothing; with it, the sign of the logits is turned round before they are compared",
        change=[("    if negative:\n        logits = -logits\n", "")],
    ),
    Mistake(
        "name_copying_score",
        "one less the score for negative",
        "with `negative`, one less the score comes back: names that are not among the highest need not be among the lowest",
        change=[
            ("    if negative:\n        logits = -logits\n", ""),
            (
                "    return ((logits >= own).sum(dim=-1) <= k).float().mean().item()",
                "    share = ((logits >= own).sum(dim=-1) <= k).float().mean().item()\n    return 1 - share if negative else share",
            ),
        ],
    ),
    Mistake(
        "name_copying_score",
        "another head of the layer",
        "W_O is that of head 0; take both W_V and W_O at [layer, head]",
        change=[("model.W_O[layer, head]", "model.W_O[layer, 0]")],
    ),
    Mistake(
        "name_copying_score",
        "with a position",
        "the embedding of a position is added; the name is read by itself, with its token's embedding alone",
        change=[("resid = model.W_E[names][None]", "resid = (model.W_E[names] + model.W_pos[0])[None]")],
    ),
    Mistake(
        "name_copying_score",
        "with the bias of the unembedding",
        "b_U is added (model.unembed does it), which says the same for every name; biases are left out: multiply by W_U",
        change=[("@ model.W_O[layer, head] @ model.W_U", "@ model.W_O[layer, head] @ model.W_U + model.b_U")],
    ),
    Mistake(
        "name_copying_score",
        "the name itself not counted",
        "`>` does not count the name itself, so that with <= k a name at place k + 1 counts, and ties too; compare with >=",
        change=[("(logits >= own)", "(logits > own)")],
    ),
    Mistake(
        "name_copying_score",
        "one rank too few",
        "`>=` counts the name itself, so that with < k a name at place k does not count; at most k may be as high: <= k",
        change=[(".sum(dim=-1) <= k)", ".sum(dim=-1) < k)")],
    ),
    Mistake(
        "name_copying_score",
        "negative by the rank from the top",
        "with `negative`, names count before which all but k tokens come, so that ties count too; turn the sign of the logits round",
        change=[
            ("    if negative:\n        logits = -logits\n", ""),
            (
                "    return ((logits >= own).sum(dim=-1) <= k).float().mean().item()",
                """    rank = (logits >= own).sum(dim=-1)
    rank = logits.shape[-1] - rank + 1 if negative else rank
    return (rank <= k).float().mean().item()""",
            ),
        ],
    ),
    Mistake(
        "name_copying_score",
        "ties in topk",
        "topk takes some of several equal logits, so a head that writes nothing copies; count the logits at least as high as the name's",
        change=[
            (
                "    return ((logits >= own).sum(dim=-1) <= k).float().mean().item()",
                "    return (logits.topk(k).indices == names[:, None]).any(dim=-1).float().mean().item()",
            )
        ],
    ),
    Mistake(
        "name_copying_score",
        "the lowest without being asked",
        "the tokens with lower logits than the name are counted, so the score is that of the lowest; count those at least as high",
        change=[("(logits >= own)", "(logits <= own)")],
    ),
    Mistake(
        "name_copying_score",
        "the number of names",
        "the names that are copied are counted; the score is their share, so divide by the number of names",
        change=[(".float().mean().item()", ".float().sum().item()")],
    ),
    Mistake(
        "name_copying_score",
        "the rank among the names",
        "ranks are counted among the names that are read, not among all tokens; sum along the vocabulary: dim=-1",
        change=[(".sum(dim=-1) <= k", ".sum(dim=0) <= k")],
    ),
    # 4.21
    Mistake(
        "attention_and_projection",
        "the last position for END",
        "the last position of the batch is taken for END; END differs by row: prompts.positions['END']",
        change=[
            (
                'ends = prompts.positions["END"]',
                'ends = torch.full_like(prompts.positions["END"], prompts.tokens.shape[1] - 1)',
            )
        ],
    ),
    Mistake(
        "attention_and_projection",
        "query and key swapped",
        "the pattern is read at query = the name and key = END; END is the query, the third axis",
        change=[
            (
                'looks = cache["pattern", layer][rows, head, ends]',
                'looks = cache["pattern", layer][rows, head, :, ends]',
            ),
        ],
    ),
    Mistake(
        "attention_and_projection",
        "attention to S2",
        "the second row is attention to S2; it is to S1, the first mention",
        change=[('for role in ("IO", "S1")', 'for role in ("IO", "S2")')],
    ),
    Mistake(
        "attention_and_projection",
        "no final scale",
        "the projection is not divided by the final LayerNorm's scale at END, where the model has one",
        change=[("model.cfg.normalization_type is not None", "False")],
    ),
    Mistake(
        "attention_and_projection",
        "the scale of the last position",
        "the final scale is that of the last position; take it at END of each text",
        change=[('cache["ln_final.hook_scale"][rows, ends]', 'cache["ln_final.hook_scale"][rows, -1]')],
    ),
    Mistake(
        "attention_and_projection",
        "all heads' output",
        "the projection is that of all heads of the layer together; take z and W_O of this head alone",
        change=[
            (
                'cache["z", layer][rows, ends, head] @ model.W_O[layer, head]',
                'einops.einsum(cache["z", layer][rows, ends], model.W_O[layer], "b h d, h d m -> b m")',
            )
        ],
    ),
    Mistake(
        "attention_and_projection",
        "names swapped in the projection",
        "the rows of the projection are S and then IO; IO comes first, as in the attention",
        change=[("torch.stack([prompts.io, prompts.s])", "torch.stack([prompts.s, prompts.io])")],
    ),
    Mistake(
        "attention_and_projection",
        "along the embedding",
        "the projection is on the names' embeddings; what makes a logit is the column of W_U",
        change=[("model.W_U.T[torch.stack", "model.W_E[torch.stack")],
    ),
    Mistake(
        "attention_and_projection",
        "names swapped in the attention",
        "the rows of the attention are S1 and then IO; IO comes first",
        change=[('for role in ("IO", "S1")', 'for role in ("S1", "IO")')],
    ),
    Mistake(
        "attention_and_projection",
        "with the bias of the layer",
        "b_O is added to what the head writes; it belongs to the layer, not to one of its heads",
        change=[("@ model.W_O[layer, head]\n", "@ model.W_O[layer, head] + model.b_O[layer]\n")],
    ),
    Mistake(
        "attention_and_projection",
        "through the final LayerNorm",
        "ln_final divides what the head writes by its own scale; divide it by the scale of the whole stream, which the cache has at END",
        change=[('written = written / cache["ln_final.hook_scale"][rows, ends]', "written = model.ln_final(written)")],
    ),
    Mistake(
        "attention_and_projection",
        "the difference of the names",
        "the rows are IO less S, and S less IO; each row is the projection on one name",
        change=[
            (
                "names = model.W_U.T[torch.stack([prompts.io, prompts.s])]",
                """names = model.W_U.T[torch.stack([prompts.io, prompts.s])]
    names = names - names.flip(0)""",
            )
        ],
    ),
    Mistake(
        "attention_and_projection",
        "values in place of z",
        "these are the values at END, before attention mixes positions; what the head writes is made of z",
        change=[('cache["z", layer]', 'cache["v", layer]')],
    ),
    Mistake(
        "attention_and_projection",
        "multiplied by the scale",
        "what the head writes is multiplied by LayerNorm's scale; LayerNorm divides by it",
        change=[('written / cache["ln_final.hook_scale"]', 'written * cache["ln_final.hook_scale"]')],
    ),
    # 4.22
    Mistake(
        "attention_by_role",
        "END whatever is asked",
        "the query is always END; take prompts.positions[query]",
        change=[("queries = prompts.positions[query]", 'queries = prompts.positions["END"]')],
    ),
    Mistake(
        "attention_by_role",
        "the orders swapped",
        "order 0 is that of texts with S first; texts with IO first come first",
        change=[
            (
                "shares[first].mean(dim=0), shares[~first].mean(dim=0)",
                "shares[~first].mean(dim=0), shares[first].mean(dim=0)",
            )
        ],
    ),
    Mistake(
        "attention_by_role",
        "both orders alike",
        "both halves are the mean over all texts; average the texts of each order by themselves",
        change=[("shares[first].mean(dim=0), shares[~first].mean(dim=0)", "shares.mean(dim=0), shares.mean(dim=0)")],
    ),
    Mistake(
        "attention_by_role",
        "every other row an order",
        "every second text is taken for an order; ask io_first(prompts) which texts have IO first",
        change=[("first = io_first(prompts)", "first = torch.arange(len(queries), device=queries.device) % 2 == 0")],
    ),
    Mistake(
        "attention_by_role",
        "query and key swapped",
        "the attention that the query's word receives comes back; the query is the third axis of a pattern, the key the last",
        change=[('cache["pattern", layer][rows, :, queries]', 'cache["pattern", layer][rows, :, :, queries]')],
    ),
    Mistake(
        "attention_by_role",
        "places of the first text",
        "the roles' places are those of the first text; they differ by row",
        change=[("looks[rows, ..., places]", "looks[..., places[0]]")],
    ),
    Mistake(
        "attention_by_role",
        "summed over texts",
        "attention is summed over the texts of an order; take the mean",
        change=[
            (
                "shares[first].mean(dim=0), shares[~first].mean(dim=0)",
                "shares[first].sum(dim=0), shares[~first].sum(dim=0)",
            )
        ],
    ),
    Mistake(
        "attention_by_role",
        "the last position for END",
        "the query is the last position of the batch, whatever text stands there; its place differs by row: prompts.positions[query]",
        change=[
            (
                "queries = prompts.positions[query]",
                "queries = torch.full_like(prompts.positions[query], prompts.tokens.shape[1] - 1)",
            )
        ],
    ),
    Mistake(
        "attention_by_role",
        "the query of the first text",
        "the query stands where it does in the first text; its place differs by row",
        change=[("queries = prompts.positions[query]", "queries = prompts.positions[query][:1].expand(len(prompts))")],
    ),
    Mistake(
        "attention_by_role",
        "divided by all texts",
        "the sum over the texts of one order is divided by the number of all texts; divide by how many there are of this order",
        change=[
            (
                "shares[first].mean(dim=0), shares[~first].mean(dim=0)",
                "shares[first].sum(dim=0) / len(rows), shares[~first].sum(dim=0) / len(rows)",
            )
        ],
    ),
    Mistake(
        "attention_by_role",
        "IO first in both orders",
        "both entries of the first axis are the texts in which IO comes first; order 1 is the others",
        change=[("shares[~first].mean(dim=0)", "shares[first].mean(dim=0)")],
    ),
    Mistake(
        "attention_by_role",
        "the first half an order",
        "the first half of the rows is taken for ABBA and the rest for BABA; ask io_first(prompts) which texts have IO first",
        change=[("first = io_first(prompts)", "first = rows < len(rows) // 2")],
    ),
    # 4.23
    Mistake(
        "token_and_position_signal",
        "rows and columns swapped",
        "rows invert the place and columns the name; row 1 is the token inverted, column 1 the position",
        change=[("result[token, position] =", "result[position, token] =")],
    ),
    Mistake(
        "token_and_position_signal",
        "S2 left as it is",
        "S2 stays what it was when the token is inverted, so no name comes twice there that should; S2 is always who comes twice",
        change=[(', ("S2", twice))', ")")],
    ),
    Mistake(
        "token_and_position_signal",
        "the place not inverted",
        "whoever comes twice stands first at S1's place in all four texts; in column 1 it stands at IO's",
        change=[('("IO", "S1") if position else ("S1", "IO")', '("S1", "IO")')],
    ),
    Mistake(
        "token_and_position_signal",
        "the names not inverted",
        "S comes twice in all four texts; in row 1 it is IO who does",
        change=[("(prompts.io, prompts.s) if token else (prompts.s, prompts.io)", "(prompts.s, prompts.io)")],
    ),
    Mistake(
        "token_and_position_signal",
        "all positions",
        "z is replaced at every position; the message is what the heads say at END",
        change=[
            (
                "z[rows, ends, head] = source[hook.name][rows, ends, head]",
                "z[:, :, head] = source[hook.name][:, :, head]",
            )
        ],
    ),
    Mistake(
        "token_and_position_signal",
        "at S2",
        "z is replaced at S2, where the heads look; the message is what they say at END",
        change=[('ends = prompts.positions["END"]', 'ends = prompts.positions["S2"]')],
    ),
    Mistake(
        "token_and_position_signal",
        "all heads of the layers",
        "every head of these layers is replaced; only the heads asked for carry the message",
        change=[
            (
                "z[rows, ends, head] = source[hook.name][rows, ends, head]",
                "z[rows, ends] = source[hook.name][rows, ends]",
            )
        ],
    ),
    Mistake(
        "token_and_position_signal",
        "run on the other text",
        "the model is run on the text of the message; it is run on the prompts, and only z of these heads comes from the other text",
        change=[("model.run_with_hooks(prompts.tokens, fwd", "model.run_with_hooks(tokens, fwd")],
    ),
    Mistake(
        "token_and_position_signal",
        "the last position for END",
        "z is replaced at the last position of the batch; END differs by row: prompts.positions['END']",
        change=[
            (
                'ends = prompts.positions["END"]',
                'ends = torch.full_like(prompts.positions["END"], prompts.tokens.shape[1] - 1)',
            )
        ],
    ),
    Mistake(
        "token_and_position_signal",
        "every text's END in each text",
        "z[:, ends] is each END of the batch, in every text; pair texts and places: z[rows, ends, head]",
        change=[
            (
                "z[rows, ends, head] = source[hook.name][rows, ends, head]",
                "z[:, ends, head] = source[hook.name][:, ends, head]",
            )
        ],
    ),
    Mistake(
        "token_and_position_signal",
        "the other name at S2",
        "at S2 stands the name that should come once; S2 is always who comes twice",
        change=[('("S2", twice)', '("S2", once)')],
    ),
    Mistake(
        "token_and_position_signal",
        "measured with the names of the message",
        "the difference is taken of the message's names, once less twice; it is always IO less S of the prompts",
        change=[("logit_difference(logits, prompts)", "logit_difference(logits, replace(prompts, io=once, s=twice))")],
    ),
    Mistake(
        "token_and_position_signal",
        "one head of each layer",
        "of several heads in one layer only the last is replaced, as when a dictionary has one head for each layer; go through all pairs",
        change=[("for layer, head in heads:\n", "for layer, head in dict(heads).items():\n")],
    ),
    Mistake(
        "token_and_position_signal",
        "nothing patched",
        "all four entries are those of the unpatched run: the hook changes nothing, or the four texts are the prompts themselves",
        change=[("                return z\n", "                return None\n")],
    ),
    Mistake(
        "token_and_position_signal",
        "the change of the logit difference",
        "the logit difference without patching is subtracted; what is asked for are the four means as they are",
        change=[
            ("    return result\n", "    return result - logit_difference(model(prompts.tokens), prompts).mean()\n")
        ],
    ),
    Mistake(
        "token_and_position_signal",
        "IO twice in both rows",
        "in both rows IO is the name that comes twice; in row 0 it is S, as in the prompts",
        change=[("(prompts.io, prompts.s) if token else (prompts.s, prompts.io)", "(prompts.io, prompts.s)")],
    ),
    Mistake(
        "token_and_position_signal",
        "IO's place first in both columns",
        "in both columns whoever comes twice stands first at IO's place; in column 0 it is S1's, as in the prompts",
        change=[('("IO", "S1") if position else ("S1", "IO")', '("IO", "S1")')],
    ),
    Mistake(
        "token_and_position_signal",
        "the heads in every layer",
        "each head's number is replaced in every layer that has one of the heads; a head is a pair: compare its layer with the hook's",
        change=[("if layer == hook.layer():", "if True:")],
    ),
    # 4.24
    Mistake(
        "mean_by_template",
        "one mean for all templates",
        "every template has the mean over all texts; average the rows of each template by themselves",
        change=[("z[:, numbers == number].mean(dim=1)", "z.mean(dim=1)")],
    ),
    Mistake(
        "mean_by_template",
        "over positions too",
        "the mean is over positions as well, so every word of a template has the same; average over texts only",
        change=[
            (
                "z[:, numbers == number].mean(dim=1)",
                "z[:, numbers == number].mean(dim=(1, 2))[:, None].expand(-1, z.shape[2], -1, -1)",
            )
        ],
    ),
    Mistake(
        "mean_by_template",
        "over heads too",
        "all heads of a layer have the same mean; average over texts only",
        change=[
            (
                "z[:, numbers == number].mean(dim=1)",
                "z[:, numbers == number].mean(dim=1).mean(dim=2, keepdim=True).expand(-1, -1, z.shape[3], -1)",
            )
        ],
    ),
    Mistake(
        "mean_by_template",
        "the first text for the mean",
        "the first text of each template stands for all; take the mean over its texts",
        change=[("z[:, numbers == number].mean(dim=1)", "z[:, numbers == number][:, 0]")],
    ),
    Mistake(
        "mean_by_template",
        "summed over texts",
        "z is summed over the texts of a template; take the mean",
        change=[("z[:, numbers == number].mean(dim=1)", "z[:, numbers == number].sum(dim=1)")],
    ),
    Mistake(
        "mean_by_template",
        "values in place of z",
        "these are means of v, before attention mixes positions; z is what a head has gathered: hook_z",
        change=[
            ('name.endswith("attn.hook_z")', 'name.endswith("attn.hook_v")'),
            ('cache["z", layer]', 'cache["v", layer]'),
        ],
    ),
    Mistake(
        "mean_by_template",
        "columns cut off",
        "the means have fewer positions than reference.tokens, as `select` cuts columns off; average rows of one run on all texts",
        write="""
        def mean_by_template(model, reference):
            means = {}
            for number in sorted(set(reference.templates)):
                texts = select(reference, torch.tensor([of == number for of in reference.templates]))
                _, cache = model.run_with_cache(texts.tokens)
                means[number] = torch.stack([cache["z", layer].mean(dim=0) for layer in range(model.cfg.n_layers)])
            return means
        """,
    ),
    Mistake(
        "mean_by_template",
        "numbered from 0",
        "the means are numbered from 0 in their order; the keys are the template numbers of the texts, as in reference.templates",
        change=[
            (
                "{number: z[:, numbers == number].mean(dim=1) for number in sorted(set(reference.templates))}",
                "{key: z[:, numbers == number].mean(dim=1) for key, number in enumerate(sorted(set(reference.templates)))}",
            )
        ],
    ),
    Mistake(
        "mean_by_template",
        "the filling taken for 0",
        "what stands after END counts as 0; a mean is of z as it is, at every position of reference.tokens",
        change=[
            (
                "    numbers = torch",
                """    places = torch.arange(z.shape[2], device=z.device)
    inside = places <= reference.positions['END'][:, None]
    z = z * inside[:, :, None, None]
    numbers = torch""",
            )
        ],
    ),
    # 4.25
    Mistake(
        "ablate_all_but",
        "the circuit ablated",
        "the heads of the circuit are replaced and the others kept; it is the other way round",
        change=[("if (layer, head) not in kept:", "if (layer, head) in kept:")],
    ),
    Mistake(
        "ablate_all_but",
        "zeros for means",
        "the other heads are set to 0, which takes away what they say in every text; set them to the means",
        change=[("z[:, :, head] = mean[:, layer, :, head]", "z[:, :, head] = 0.0")],
    ),
    Mistake(
        "ablate_all_but",
        "one template's means for all",
        "every text gets the means of the first text's template; each row has its own: means[number] for its number",
        change=[("for number in prompts.templates", "for number in prompts.templates[:1] * len(prompts.templates)")],
    ),
    Mistake(
        "ablate_all_but",
        "the mean of all templates",
        "every text gets the average of all templates' means; each row has its own: means[number] for its number",
        change=[
            (
                "torch.stack([means[number] for number in prompts.templates])",
                "torch.stack(list(means.values())).mean(dim=0).expand(len(prompts.templates), *next(iter(means.values())).shape)",
            )
        ],
    ),
    Mistake(
        "ablate_all_but",
        "the means of layer 0",
        "every layer gets the means of layer 0; take those of the hook's layer",
        change=[("mean[:, layer, :, head]", "mean[:, 0, :, head]")],
    ),
    Mistake(
        "ablate_all_but",
        "END alone",
        "the other heads are replaced at END only, and say at all other positions what they did; replace them everywhere",
        change=[
            (
                "z[:, :, head] = mean[:, layer, :, head]",
                'r, e = torch.arange(len(z), device=z.device), prompts.positions["END"]\n'
                "                z[r, e, head] = mean[r, layer, e, head]",
            )
        ],
    ),
    Mistake(
        "ablate_all_but",
        "layers are forgotten",
        "a head is kept in every layer in which its number occurs; the circuit has pairs (layer, head)",
        change=[("if (layer, head) not in kept:", "if head not in {number for _, number in kept}:")],
    ),
    Mistake(
        "ablate_all_but",
        "a circuit gone through twice",
        "a generator is empty once it has been gone through, so later heads are not found in it; make a set of the circuit first",
        change=[("kept = set(circuit)", "kept = circuit")],
    ),
    Mistake(
        "ablate_all_but",
        "only layers with a circuit head",
        "layers without a head of the circuit are left as they are; put a hook on every layer",
        change=[("for layer in range(model.cfg.n_layers)]", "for layer in sorted({layer for layer, _ in kept})]")],
    ),
    Mistake(
        "ablate_all_but",
        "head and layer swapped",
        "pairs are compared as (head, layer); the circuit has pairs (layer, head)",
        change=[("(layer, head) not in kept", "(head, layer) not in kept")],
    ),
    Mistake(
        "ablate_all_but",
        "nothing ablated",
        "the logits are those of the model as it is: the hook changes a copy that it does not return, or finds every head in the circuit",
        change=[("        return z\n", "        return None\n")],
    ),
    Mistake(
        "ablate_all_but",
        "every head ablated",
        "no head is kept: no pair is found in the circuit, as when [layer, head] or a tensor is looked for among pairs (layer, head)",
        change=[("if (layer, head) not in kept:", "if [layer, head] not in list(kept):")],
    ),
    Mistake(
        "ablate_all_but",
        "the kept heads frozen",
        "heads of the circuit keep their z of the whole model; they run freely, and react to what is missing",
        change=[
            ("layer, z = hook.layer(), z.clone()", 'layer = hook.layer()\n        z = own["z", layer].clone()'),
            ("    names = [f", "    _, own = model.run_with_cache(prompts.tokens)\n    names = [f"),
        ],
    ),
    Mistake(
        "ablate_all_but",
        "the mean of the prompts",
        "the other heads get their mean over these very texts, as they run; `means` has what they are to get",
        change=[("z[:, :, head] = mean[:, layer, :, head]", "z[:, :, head] = z[:, :, head].mean(dim=0)")],
    ),
    Mistake(
        "ablate_all_but",
        "positions for heads",
        "axis 1 of z is the position, so positions are replaced, of all heads; the heads are axis 2: [:, :, head]",
        change=[("z[:, :, head] = mean[:, layer, :, head]", "z[:, head] = mean[:, layer, head]")],
    ),
    # 4.26
    Mistake(
        "faithfulness",
        "the gap without its sign",
        "the gap has lost its sign; it is F(M) - F(C), below 0 where the circuit scores higher",
        change=[('"gap": whole - part', '"gap": abs(whole - part)')],
    ),
    Mistake(
        "faithfulness",
        "the gap turned round",
        "the gap is F(C) - F(M); it is F(M) - F(C)",
        change=[('"gap": whole - part', '"gap": part - whole')],
    ),
    Mistake(
        "faithfulness",
        "the ratio turned round",
        "the ratio is F(M) / F(C); it is F(C) / F(M)",
        change=[('"ratio": part / whole', '"ratio": whole / part')],
    ),
    Mistake(
        "faithfulness",
        "the gap's share for the ratio",
        "the ratio is the share that is missing; it is the share that is there, F(C) / F(M)",
        change=[('"ratio": part / whole', '"ratio": (whole - part) / whole')],
    ),
    Mistake(
        "faithfulness",
        "recovered from 0",
        "`recovered` is the ratio again; it is measured from F(∅), the score with no head kept",
        change=[("(part - nothing) / (whole - nothing)", "part / whole")],
    ),
    Mistake(
        "faithfulness",
        "recovered over the whole score",
        "`recovered` is divided by F(M); what there is to recover is F(M) - F(∅)",
        change=[("(part - nothing) / (whole - nothing)", "(part - nothing) / whole")],
    ),
    Mistake(
        "faithfulness",
        "what is left without the circuit",
        "the heads outside the circuit are kept; F(C) keeps the circuit",
        change=[("score(frozenset(circuit))", "score(frozenset(everything) - frozenset(circuit))")],
    ),
    Mistake(
        "faithfulness",
        "percentages",
        "the ratios are in percent; they are shares, 1 for all of it",
        change=[("part / whole,", "100 * part / whole,"), ("(part - nothing) /", "100 * (part - nothing) /")],
    ),
    Mistake(
        "faithfulness",
        "all but the circuit for no head",
        "F(∅) is taken to be the score without the circuit; it is that of no head at all: score(frozenset())",
        change=[
            ("    whole, part", "    circuit = frozenset(circuit)\n    whole, part"),
            ("score(frozenset())", "score(frozenset(everything) - circuit)"),
        ],
    ),
    Mistake(
        "faithfulness",
        "the circuit's score not measured from F(∅)",
        "F(∅) is subtracted below only; the circuit's score is measured from F(∅) as well: F(C) - F(∅)",
        change=[("(part - nothing) /", "part /")],
    ),
    Mistake(
        "faithfulness",
        "the missing part for recovered",
        "`recovered` is the part that is missing; it is the part that is there, F(C) - F(∅) above",
        change=[("(part - nothing) /", "(whole - part) /")],
    ),
    Mistake(
        "faithfulness",
        "the circuit compared with itself",
        "F(M) is scored on the circuit, so that there is no gap and all is recovered; M is everything",
        change=[("score(frozenset(everything))", "score(frozenset(circuit))")],
    ),
    # 4.27
    Mistake(
        "completeness",
        "with its sign",
        "the difference has its sign; incompleteness is a distance: take abs",
        change=[("return abs(", "return (")],
    ),
    Mistake(
        "completeness",
        "the model left whole",
        "the subset is taken out of the circuit only; it is missing from the whole model too",
        change=[("frozenset(everything) - missing", "frozenset(everything)")],
    ),
    Mistake(
        "completeness",
        "the circuit left whole",
        "the subset is taken out of the model only; it is missing from the circuit too",
        change=[("frozenset(circuit) - missing", "frozenset(circuit)")],
    ),
    Mistake(
        "completeness",
        "the subset kept",
        "the subset itself is compared with the model; what is compared is the circuit without it",
        change=[("frozenset(circuit) - missing", "missing")],
    ),
    Mistake(
        "completeness",
        "with the circuit's complement",
        "the model lacks the whole circuit; it lacks the subset only",
        change=[("frozenset(everything) - missing", "frozenset(everything) - frozenset(circuit)")],
    ),
    Mistake(
        "completeness",
        "a subset gone through twice",
        "a generator is empty once it has been gone through, so only one of the two sets lacks the subset; make a set of it first",
        change=[
            ("missing = frozenset(subset)\n", "\n"),
            ("frozenset(circuit) - missing", "frozenset(circuit) - frozenset(subset)"),
            ("frozenset(everything) - missing", "frozenset(everything) - frozenset(subset)"),
        ],
    ),
    Mistake(
        "completeness",
        "squared",
        "the difference is squared; incompleteness is its size, in logits: take abs",
        change=[
            ("return abs(", "return pow("),
            ("frozenset(everything) - missing))", "frozenset(everything) - missing), 2)"),
        ],
    ),
    Mistake(
        "completeness",
        "the subset added",
        "the subset is added to both sets; both lack it",
        change=[
            ("frozenset(circuit) - missing", "frozenset(circuit) | missing"),
            ("frozenset(everything) - missing", "frozenset(everything) | missing"),
        ],
    ),
    Mistake(
        "completeness",
        "the circuit compared with itself",
        "the same set is scored on both sides, so the result is 0 whatever the circuit; one is C∖K, the other M∖K",
        change=[("score(frozenset(everything) - missing)", "score(frozenset(circuit) - missing)")],
    ),
    Mistake(
        "completeness",
        "the score of the subset",
        "the circuit without K is compared with K by itself; the other side is all heads without K, M∖K",
        change=[("score(frozenset(everything) - missing)", "score(missing)")],
    ),
    Mistake(
        "completeness",
        "the circuit's score alone",
        "F(C∖K) is not compared with anything; take off F(M∖K), the score of all heads without K",
        change=[(" - score(frozenset(everything) - missing)", "")],
    ),
    # 4.28
    Mistake(
        "minimality",
        "with its sign",
        "the difference has its sign; minimality is the size of an effect: take abs",
        change=[("return abs(", "return (")],
    ),
    Mistake(
        "minimality",
        "the subset left in",
        "the subset is not taken out of the circuit; both sets lack it",
        change=[("frozenset(circuit) - frozenset(subset)", "frozenset(circuit)")],
    ),
    Mistake(
        "minimality",
        "against the whole circuit",
        "the circuit without subset and head is compared with the whole circuit; compare it with the circuit without the subset",
        change=[("- score(rest))", "- score(frozenset(circuit)))")],
    ),
    Mistake(
        "minimality",
        "the head by itself",
        "the score of the head alone is taken; what counts is what the circuit loses without it",
        change=[("score(rest - {head}) - score(rest)", "score(frozenset([head])) - score(frozenset())")],
    ),
    Mistake(
        "minimality",
        "the head for the subset",
        "only the head is taken out of one, and only the subset out of the other; both lack the subset",
        change=[("score(rest - {head})", "score(frozenset(circuit) - {head})")],
    ),
    Mistake(
        "minimality",
        "a subset gone through twice",
        "a generator is empty once it has been gone through, so only one of the two sets lacks the subset; make a set of it first",
        change=[
            ("    rest = frozenset(circuit) - frozenset(subset)\n", "    circuit = frozenset(circuit)\n"),
            (
                "score(rest - {head}) - score(rest)",
                "score(circuit - frozenset(subset) - {head}) - score(circuit - frozenset(subset))",
            ),
        ],
    ),
    Mistake(
        "minimality",
        "layer and number for heads",
        "both scores are of the same set; frozenset(head) is a set of two numbers, of which none is a head: take out {head}",
        change=[("rest - {head}", "rest - frozenset(head)")],
    ),
    Mistake(
        "minimality",
        "divided by the score",
        "the effect is divided by the score of what is left; it is a difference of two scores, in logits",
        change=[("- score(rest))", "- score(rest)) / abs(score(rest))")],
    ),
    # 4.29
    Mistake(
        "greedy_circuit",
        "judged once",
        "heads are ranked once, with all others there; judge those that are left anew after each removal",
        write="""
        def greedy_circuit(everything, score, tolerance):
            kept = frozenset(everything)
            whole = score(kept)
            gaps = {head: abs(whole - score(kept - {head})) for head in sorted(kept)}
            for head in sorted(gaps, key=gaps.get):
                if gaps[head] <= tolerance * abs(whole):
                    kept = kept - {head}
            return sorted(kept)
        """,
    ),
    Mistake(
        "greedy_circuit",
        "compared with the step before",
        "each step is compared with the one before, so small steps add up to any distance; compare with the score of all heads",
        change=[("kept = kept - {head}", "kept = kept - {head}\n        whole = score(kept)")],
    ),
    Mistake(
        "greedy_circuit",
        "only losses count",
        "a score that rises counts as no distance; the margin is on either side: take abs",
        change=[("abs(whole - score(kept - {head}))", "whole - score(kept - {head})")],
    ),
    Mistake(
        "greedy_circuit",
        "one too many",
        "the head that leads out of the margin is removed, too; stop before removing it",
        change=[
            (
                "        if gaps[head] > tolerance * abs(whole):\n            break\n        kept = kept - {head}",
                "        kept = kept - {head}\n        if gaps[head] > tolerance * abs(whole):\n            break",
            )
        ],
    ),
    Mistake(
        "greedy_circuit",
        "tolerance in logits",
        "the tolerance is taken as it is; it is a share of the size of F(M)",
        change=[("tolerance * abs(whole)", "tolerance")],
    ),
    Mistake(
        "greedy_circuit",
        "a margin below 0",
        "where F(M) is below 0 the margin is, too, and nothing is ever removed; take tolerance times its size",
        change=[("tolerance * abs(whole)", "tolerance * whole")],
    ),
    Mistake(
        "greedy_circuit",
        "the farthest first",
        "the head that matters most is dropped first; drop the one without which the score stays nearest",
        change=[("min(gaps, key=gaps.get)", "max(gaps, key=gaps.get)")],
    ),
    Mistake(
        "greedy_circuit",
        "the first that may go",
        "the first head that may go is dropped; drop the one without which the score stays nearest",
        change=[
            (
                "head = min(gaps, key=gaps.get)",
                "head = next((h for h in gaps if gaps[h] <= tolerance * abs(whole)), min(gaps))",
            )
        ],
    ),
    Mistake(
        "greedy_circuit",
        "the edge of the margin left out",
        "a score just on the edge of the margin is not accepted; stop only before it would be farther away: >",
        change=[("if gaps[head] > tolerance", "if gaps[head] >= tolerance")],
    ),
    Mistake(
        "greedy_circuit",
        "the margin of what there is to lose",
        "the margin is a share of F(M) - F(∅); it is a share of the size of F(M)",
        change=[("tolerance * abs(whole)", "tolerance * abs(whole - score(frozenset()))")],
    ),
    Mistake(
        "greedy_circuit",
        "the last of two equals",
        "of two heads that are as good the one of the higher layer or number is dropped; the lower one goes first",
        change=[("for head in sorted(kept)}", "for head in sorted(kept, reverse=True)}")],
    ),
    Mistake(
        "greedy_circuit",
        "what was dropped",
        "the heads that were dropped come back; what is left is asked for",
        change=[
            ("    kept = frozenset(everything)\n", "    kept = everything = frozenset(everything)\n"),
            ("return sorted(kept)", "return sorted(everything - kept)"),
        ],
    ),
    Mistake(
        "greedy_circuit",
        "the highest score",
        "the head is dropped without which the score is highest; drop the one without which it stays nearest to F(M), on either side",
        change=[("head = min(gaps, key=gaps.get)", "head = max(sorted(kept), key=lambda each: score(kept - {each}))")],
    ),
    Mistake(
        "greedy_circuit",
        "all heads gone through twice",
        "a generator is empty once it has been gone through, so F(M) is that of no head; make a set of it, once",
        change=[("whole = score(kept)", "whole = score(frozenset(everything))")],
    ),
    Mistake(
        "greedy_circuit",
        "one head stays",
        "the search ends when one head is left, though it may go too; go on while there are heads",
        change=[("while kept:", "while len(kept) > 1:")],
    ),
]
