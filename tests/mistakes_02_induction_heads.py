"""This file knows the mistakes that people make in chapter 2, each with the one sentence that they are told."""

from utils.checking import Mistake

MISTAKES = [
    # 2.1
    Mistake(
        "pattern_from_cache",
        "the cached pattern",
        "the pattern is taken from the cache ready-made; compute it from cache['q', layer] and cache['k', layer]",
        write="""
        def pattern_from_cache(cache, layer):
            return cache["pattern", layer]
        """,
    ),
    Mistake(
        "pattern_from_cache",
        "no scale",
        "the dot products go into softmax as they are; divide them by √d_head first",
        change=[("scores = scores / math.sqrt(q.shape[-1])", "scores = scores / 1")],
    ),
    Mistake(
        "pattern_from_cache",
        "scale by d_head",
        "the dot products are divided by d_head; divide them by its root",
        change=[("math.sqrt(q.shape[-1])", "q.shape[-1]")],
    ),
    Mistake(
        "pattern_from_cache",
        "scale by the number of heads",
        "the dot products are divided by the root of the number of heads; d_head is the last axis of q: q.shape[-1]",
        change=[("math.sqrt(q.shape[-1])", "math.sqrt(q.shape[-2])")],
    ),
    Mistake(
        "pattern_from_cache",
        "scale of one model",
        "the dot products are divided by √16, which fits attn-only-2l only; d_head is the last axis of q: q.shape[-1]",
        change=[("math.sqrt(q.shape[-1])", "math.sqrt(16)")],
    ),
    Mistake(
        "pattern_from_cache",
        "no mask",
        "nothing is masked, so queries read later keys; put minus infinity above the diagonal before softmax",
        change=[('scores.masked_fill(future, float("-inf")).softmax', "scores.softmax")],
    ),
    Mistake(
        "pattern_from_cache",
        "mask transposed",
        "the mask is on the wrong side: earlier keys are hidden and later ones are read; mask the upper triangle",
        change=[("triu(diagonal=1)", "tril(diagonal=-1)")],
    ),
    Mistake(
        "pattern_from_cache",
        "mask after softmax",
        "later keys are set to 0 after softmax, so rows no longer sum to 1; set their scores to -inf before it",
        change=[
            (
                'scores.masked_fill(future, float("-inf")).softmax(dim=-1)',
                "scores.softmax(dim=-1).masked_fill(future, 0.0)",
            )
        ],
    ),
    Mistake(
        "pattern_from_cache",
        "masked with 0",
        "later keys get the score 0, which is an ordinary score; only minus infinity leaves nothing after softmax",
        change=[('float("-inf")', "0.0")],
    ),
    Mistake(
        "pattern_from_cache",
        "mask excludes the diagonal",
        "the mask hides each query's own position too, so query 0 has nothing left and becomes NaN; begin it at diagonal=1",
        change=[("triu(diagonal=1)", "triu(diagonal=0)")],
    ),
    Mistake(
        "pattern_from_cache",
        "softmax over queries",
        "softmax runs over queries, so columns sum to 1; each query divides its attention over keys, the last axis",
        change=[("softmax(dim=-1)", "softmax(dim=-2)")],
    ),
    Mistake(
        "pattern_from_cache",
        "softmax over heads",
        "softmax runs over axis 1, the heads (F.softmax without dim does that to four axes): say dim=-1, the keys",
        change=[("softmax(dim=-1)", "softmax(dim=1)")],
    ),
    Mistake(
        "pattern_from_cache",
        "no softmax",
        "the masked scores come back as they are; softmax over the last axis makes shares of them",
        change=[(".softmax(dim=-1)", "")],
    ),
    Mistake(
        "pattern_from_cache",
        "q and k exchanged",
        "keys stand in the rows and queries in the columns; name q's position query and k's position key in the einsum",
        change=[("q, k = cache", "k, q = cache")],
    ),
    Mistake(
        "pattern_from_cache",
        "always layer 0",
        "q and k are those of layer 0 whichever layer is asked for; use the argument: cache['q', layer]",
        change=[('cache["q", layer], cache["k", layer]', 'cache["q", 0], cache["k", 0]')],
    ),
    Mistake(
        "pattern_from_cache",
        "keys of layer 0",
        "the keys are those of layer 0; both come from the layer that is asked for",
        change=[('cache["k", layer]', 'cache["k", 0]')],
    ),
    Mistake(
        "pattern_from_cache",
        "head after query",
        "the axes come back as batch query head key; the pattern has the head second: batch head query key",
        change=[(".softmax(dim=-1)", ".softmax(dim=-1).transpose(1, 2)")],
    ),
    Mistake(
        "pattern_from_cache",
        "heads paired with heads",
        "q @ k.transpose(-1, -2) multiplies heads with heads, which stand next to d_head; name the axes with einsum",
        write="""
        def pattern_from_cache(cache, layer):
            q, k = cache["q", layer], cache["k", layer]
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(diagonal=1)
            return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        """,
    ),
    Mistake(
        "pattern_from_cache",
        "values for keys",
        "the queries meet the values; a pattern is made of queries and keys, cache['k', layer]",
        change=[('cache["k", layer]', 'cache["v", layer]')],
    ),
    Mistake(
        "pattern_from_cache",
        "softmax by hand",
        "softmax is written as exp over its sum, and exp overflows for large scores; use .softmax(dim=-1)",
        change=[
            (
                'return scores.masked_fill(future, float("-inf")).softmax(dim=-1)',
                'parts = scores.masked_fill(future, float("-inf")).exp()\n    return parts / parts.sum(dim=-1, keepdim=True)',
            )
        ],
    ),
    # 2.2
    Mistake(
        "current_token_score",
        "query 0 counted",
        "query 0 is counted, which looks at itself because it must; leave out the diagonal's first entry",
        change=[("own[..., 1:].mean", "own.mean")],
    ),
    Mistake(
        "current_token_score",
        "sum of queries",
        "the entries are summed over queries, so a longer text gives a larger score; take their mean",
        change=[("own[..., 1:].mean(dim=(0, -1))", "own[..., 1:].sum(dim=-1).mean(dim=0)")],
    ),
    Mistake(
        "current_token_score",
        "sum of queries and texts",
        "the entries are summed over texts and queries; take their mean",
        change=[("own[..., 1:].mean(dim=(0, -1))", "own[..., 1:].sum(dim=(0, -1))")],
    ),
    Mistake(
        "current_token_score",
        "sum divided by all positions",
        "the sum over queries 1, 2, … is divided by the number of all positions; query 0 does not count: divide by pos - 1",
        change=[("own[..., 1:].mean(dim=(0, -1))", "own[..., 1:].sum(dim=-1).mean(dim=0) / own.shape[-1]")],
    ),
    Mistake(
        "current_token_score",
        "one before",
        "this is the diagonal below, the attention to the token before; the query's own position is the main diagonal",
        write="""
        def current_token_score(pattern):
            return pattern.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=(0, -1))
        """,
    ),
    Mistake(
        "current_token_score",
        "last query left out",
        "the last query is left out in place of the first; own[..., 1:] drops query 0",
        change=[("own[..., 1:]", "own[..., :-1]")],
    ),
    Mistake(
        "current_token_score",
        "diagonal of text and head",
        "diagonal without dim1 and dim2 takes the first two axes, text and head; say dim1=-2, dim2=-1",
        write="""
        def current_token_score(pattern):
            own = pattern.diagonal()
            return own[1:].mean(dim=(0, 1))
        """,
    ),
    Mistake(
        "current_token_score",
        "only the first text",
        "only text 0 is counted; average over the batch as well",
        change=[("own[..., 1:].mean(dim=(0, -1))", "own[0, :, 1:].mean(dim=-1)")],
    ),
    Mistake(
        "current_token_score",
        "highest in place of mean",
        "the highest attention is taken; the score is the mean over texts and queries",
        change=[("own[..., 1:].mean(dim=(0, -1))", "own[..., 1:].amax(dim=(0, -1))")],
    ),
    Mistake(
        "current_token_score",
        "averaged over heads",
        "the mean runs over heads, and one number for each text is left; average over dim=(0, -1), texts and queries",
        change=[("own[..., 1:].mean(dim=(0, -1))", "own[..., 1:].mean(dim=(1, -1))")],
    ),
    Mistake(
        "current_token_score",
        "one number for all",
        "the mean runs over everything, heads included; name the axes: dim=(0, -1)",
        change=[("own[..., 1:].mean(dim=(0, -1))", "own[..., 1:].mean()")],
    ),
    Mistake(
        "current_token_score",
        "share of queries that look there most",
        "this counts how often the largest attention is on the query itself; the score is the mean of the attention",
        write="""
        def current_token_score(pattern):
            most = pattern.argmax(dim=-1) == torch.arange(pattern.shape[-1], device=pattern.device)
            return most[..., 1:].to(pattern.dtype).mean(dim=(0, -1))
        """,
    ),
    # 2.3
    Mistake(
        "previous_token_score",
        "above the diagonal",
        "offset=1 is above the diagonal, where a causal pattern is 0; the previous token is below it: offset=-1",
        change=[("offset=-1", "offset=1")],
    ),
    Mistake(
        "previous_token_score",
        "the query itself",
        "this is the main diagonal, the attention to the query's own position; one before it is offset=-1",
        change=[("offset=-1", "offset=0")],
    ),
    Mistake(
        "previous_token_score",
        "two before",
        "offset=-2 is the token before the previous one; one before is offset=-1",
        change=[("offset=-1", "offset=-2")],
    ),
    Mistake(
        "previous_token_score",
        "sum of queries",
        "the entries are summed over queries, so a longer text gives a larger score; take their mean",
        change=[(".mean(dim=(0, -1))", ".sum(dim=-1).mean(dim=0)")],
    ),
    Mistake(
        "previous_token_score",
        "sum of queries and texts",
        "the entries are summed over texts and queries; take their mean",
        change=[(".mean(dim=(0, -1))", ".sum(dim=(0, -1))")],
    ),
    Mistake(
        "previous_token_score",
        "query 0 counted as 0",
        "the sum is divided by the number of all positions, as if query 0 had a previous token; divide by pos - 1",
        change=[(".mean(dim=(0, -1))", ".sum(dim=-1).mean(dim=0) / pattern.shape[-1]")],
    ),
    Mistake(
        "previous_token_score",
        "one query too many left out",
        "the diagonal below begins with query 1, and its first entry is dropped as well; all of it counts",
        change=[(".mean(dim=(0, -1))", "[..., 1:].mean(dim=(0, -1))")],
    ),
    Mistake(
        "previous_token_score",
        "diagonal of text and head",
        "diagonal without dim1 and dim2 takes the first two axes, text and head; say dim1=-2, dim2=-1",
        change=[("offset=-1, dim1=-2, dim2=-1).mean(dim=(0, -1))", "offset=-1).mean(dim=(0, 1))")],
    ),
    Mistake(
        "previous_token_score",
        "only the first text",
        "only text 0 is counted; average over the batch as well",
        change=[(".mean(dim=(0, -1))", "[0].mean(dim=-1)")],
    ),
    Mistake(
        "previous_token_score",
        "highest in place of mean",
        "the highest attention is taken; the score is the mean over texts and queries",
        change=[(".mean(dim=(0, -1))", ".amax(dim=(0, -1))")],
    ),
    Mistake(
        "previous_token_score",
        "averaged over heads",
        "the mean runs over heads, and one number for each text is left; average over dim=(0, -1), texts and queries",
        change=[(".mean(dim=(0, -1))", ".mean(dim=(1, -1))")],
    ),
    # 2.4
    Mistake(
        "first_token_score",
        "query 0 counted",
        "query 0 is counted, which looks at position 0 because it must; begin with query 1",
        change=[("pattern[:, :, 1:, 0]", "pattern[:, :, :, 0]")],
    ),
    Mistake(
        "first_token_score",
        "row in place of column",
        "this is row 0, what the first query looks at; the attention to the first token is column 0: pattern[:, :, 1:, 0]",
        change=[("pattern[:, :, 1:, 0]", "pattern[:, :, 0, 1:]")],
    ),
    Mistake(
        "first_token_score",
        "whole row in place of column",
        "this is all of row 0, what the first query looks at; the attention to the first token is column 0: pattern[:, :, 1:, 0]",
        change=[("pattern[:, :, 1:, 0]", "pattern[:, :, 0]")],
    ),
    Mistake(
        "first_token_score",
        "key 1",
        "this is the attention to position 1; BOS stands at position 0",
        change=[("pattern[:, :, 1:, 0]", "pattern[:, :, 1:, 1]")],
    ),
    Mistake(
        "first_token_score",
        "sum of queries",
        "the entries are summed over queries, so a longer text gives a larger score; take their mean",
        change=[(".mean(dim=(0, -1))", ".sum(dim=-1).mean(dim=0)")],
    ),
    Mistake(
        "first_token_score",
        "sum divided by all positions",
        "the sum over queries 1, 2, … is divided by the number of all positions; query 0 does not count: divide by pos - 1",
        change=[(".mean(dim=(0, -1))", ".sum(dim=-1).mean(dim=0) / pattern.shape[-1]")],
    ),
    Mistake(
        "first_token_score",
        "head 0",
        "the index picks head 0, not key 0: the keys are the last axis, pattern[:, :, 1:, 0]",
        change=[("pattern[:, :, 1:, 0]", "pattern[:, 0, 1:]")],
    ),
    Mistake(
        "first_token_score",
        "only the first text",
        "only text 0 is counted; average over the batch as well",
        change=[("pattern[:, :, 1:, 0].mean(dim=(0, -1))", "pattern[0, :, 1:, 0].mean(dim=-1)")],
    ),
    Mistake(
        "first_token_score",
        "highest in place of mean",
        "the highest attention is taken; the score is the mean over texts and queries",
        change=[(".mean(dim=(0, -1))", ".amax(dim=(0, -1))")],
    ),
    Mistake(
        "first_token_score",
        "averaged over heads",
        "the mean runs over heads, and one number for each text is left; average over dim=(0, -1), texts and queries",
        change=[(".mean(dim=(0, -1))", ".mean(dim=(1, -1))")],
    ),
    # 2.5
    Mistake(
        "repeated_tokens",
        "two segments",
        "the second half is drawn anew, so nothing repeats; draw one segment and put it there twice",
        write="""
        def repeated_tokens(d_vocab, batch, length, bos, generator):
            halves = torch.randint(0, d_vocab - 1, (batch, 2 * length), generator=generator)
            halves = halves + (halves >= bos)
            return torch.cat([torch.full((batch, 1), bos), halves], dim=1)
        """,
    ),
    Mistake(
        "repeated_tokens",
        "a draw for each half",
        "each half has a call of randint of its own, so nothing repeats; call it once, and put what it gives there twice",
        write="""
        def repeated_tokens(d_vocab, batch, length, bos, generator):
            halves = [torch.randint(0, d_vocab - 1, (batch, length), generator=generator) for _ in range(2)]
            first, second = (half + (half >= bos) for half in halves)
            return torch.cat([torch.full((batch, 1), bos), first, second], dim=1)
        """,
    ),
    Mistake(
        "repeated_tokens",
        "BOS among the random tokens",
        "BOS is drawn like any other token; draw from one token fewer, and raise those that are bos or larger by one",
        change=[
            ("torch.randint(0, d_vocab - 1,", "torch.randint(0, d_vocab,"),
            ("    segment = segment + (segment >= bos)\n", ""),
        ],
    ),
    Mistake(
        "repeated_tokens",
        "BOS taken to be 0",
        "tokens are drawn from 1 up, as if BOS were always 0; it is the argument bos, and in GPT-2 it is 50256",
        change=[
            ("torch.randint(0, d_vocab - 1,", "torch.randint(1, d_vocab,"),
            ("    segment = segment + (segment >= bos)\n", ""),
        ],
    ),
    Mistake(
        "repeated_tokens",
        "0 in front",
        "position 0 holds 0 whatever bos is; put the argument bos there",
        change=[("torch.full_like(segment[:, :1], bos)", "torch.full_like(segment[:, :1], 0)")],
    ),
    Mistake(
        "repeated_tokens",
        "BOS before both halves",
        "BOS stands before the second half too; it comes once, at position 0",
        change=[("[start, segment, segment]", "[start, segment, start, segment]")],
    ),
    Mistake(
        "repeated_tokens",
        "no BOS",
        "BOS is missing in front; the model was trained with it, and its heads rest there",
        change=[("[start, segment, segment]", "[segment, segment]")],
    ),
    Mistake(
        "repeated_tokens",
        "BOS drawn, then replaced by its neighbour",
        "where BOS comes up it becomes its neighbour, which is then twice as likely; draw from one token fewer",
        change=[
            ("torch.randint(0, d_vocab - 1,", "torch.randint(0, d_vocab,"),
            ("segment + (segment >= bos)", "torch.where(segment == bos, (bos + 1) % d_vocab, segment)"),
        ],
    ),
    Mistake(
        "repeated_tokens",
        "tokens as floats",
        "token ids have type int64, as torch.randint gives them; a BOS of torch.ones makes all tokens floats: use torch.full",
        change=[("torch.full_like(segment[:, :1], bos)", "torch.ones(batch, 1, device=segment.device) * bos")],
    ),
    Mistake(
        "repeated_tokens",
        "no word twice in a half",
        "tokens are drawn without replacement, so none comes up twice in a half, and long ones cannot be made; use randint",
        write="""
        def repeated_tokens(d_vocab, batch, length, bos, generator):
            rows = [torch.randperm(d_vocab - 1, generator=generator)[:length] for _ in range(batch)]
            segment = torch.stack(rows)
            segment = segment + (segment >= bos)
            return torch.cat([torch.full((batch, 1), bos), segment, segment], dim=1)
        """,
    ),
    Mistake(
        "repeated_tokens",
        "one token too few",
        "the last token never comes up: randint excludes its upper end already",
        change=[("torch.randint(0, d_vocab - 1,", "torch.randint(0, d_vocab - 2,")],
    ),
    Mistake(
        "repeated_tokens",
        "one token too many",
        "the id d_vocab comes up, which no token has; before room is made for BOS there are d_vocab - 1 to draw from",
        change=[("torch.randint(0, d_vocab - 1,", "torch.randint(0, d_vocab,")],
    ),
    Mistake(
        "repeated_tokens",
        "only larger ones raised",
        "tokens larger than bos are raised by one, but the one that equals bos is not; use >=",
        change=[("segment >= bos", "segment > bos")],
    ),
    Mistake(
        "repeated_tokens",
        "one segment for all texts",
        "all texts hold the same words; draw a segment of shape batch length",
        change=[
            ("(batch, length)", "(1, length)"),
            ("segment = segment + (segment >= bos)", "segment = (segment + (segment >= bos)).expand(batch, length)"),
        ],
    ),
    Mistake(
        "repeated_tokens",
        "every word twice in a row",
        "each word stands twice in a row; the segment as a whole comes again after its end",
        change=[
            (
                "torch.cat([start, segment, segment], dim=1)",
                "torch.cat([start, segment.repeat_interleave(2, dim=1)], dim=1)",
            )
        ],
    ),
    Mistake(
        "repeated_tokens",
        "second half backwards",
        "the second half runs backwards; it holds the same tokens in the same order",
        change=[("[start, segment, segment]", "[start, segment, segment.flip(1)]")],
    ),
    Mistake(
        "repeated_tokens",
        "generator not used",
        "torch's global generator is used in place of the one handed in; give randint generator=generator",
        change=[("generator=generator, ", "")],
    ),
    Mistake(
        "repeated_tokens",
        "a seed of its own",
        "the generator handed in is seeded anew, so that every call gives the same; use it as it comes",
        change=[("generator=generator, ", "generator=generator.manual_seed(0), ")],
    ),
    # 2.6
    Mistake(
        "per_token_log_probs",
        "not shifted",
        "logits and token of the same position are held together; the logits are about the next token: logits[:, :-1]",
        change=[("logits[:, :-1]", "logits[:, 1:]")],
    ),
    Mistake(
        "per_token_log_probs",
        "not shifted, last token left out",
        "tokens[:, :-1] are what the logits have just read; the ones that they predict are tokens[:, 1:]",
        change=[("tokens[:, 1:, None]", "tokens[:, :-1, None]")],
    ),
    Mistake(
        "per_token_log_probs",
        "shifted the wrong way",
        "the logits are held against the token before; they are about the next one: logits[:, :-1] with tokens[:, 1:]",
        change=[("logits[:, :-1]", "logits[:, 1:]"), ("tokens[:, 1:, None]", "tokens[:, :-1, None]")],
    ),
    Mistake(
        "per_token_log_probs",
        "logits as they are",
        "the logits themselves are returned, not log-probabilities; take log_softmax over the vocabulary first",
        change=[(".log_softmax(dim=-1)", "")],
    ),
    Mistake(
        "per_token_log_probs",
        "probabilities",
        "these are probabilities; their logs are asked for: log_softmax in place of softmax",
        change=[(".log_softmax(dim=-1)", ".softmax(dim=-1)")],
    ),
    Mistake(
        "per_token_log_probs",
        "log of a softmax",
        "the log of a softmax is minus infinity where the probability is too small for float32; log_softmax is not",
        change=[(".log_softmax(dim=-1)", ".softmax(dim=-1).log()")],
    ),
    Mistake(
        "per_token_log_probs",
        "softmax over positions",
        "log_softmax runs over positions; at each position it is the vocabulary that shares out the probability: dim=-1",
        change=[(".log_softmax(dim=-1)", ".log_softmax(dim=1)")],
    ),
    Mistake(
        "per_token_log_probs",
        "softmax over texts",
        "log_softmax runs over the batch; at each position it is the vocabulary that shares out the probability: dim=-1",
        change=[(".log_softmax(dim=-1)", ".log_softmax(dim=0)")],
    ),
    Mistake(
        "per_token_log_probs",
        "losses",
        "these are losses, log-probabilities with the sign turned round; a log-probability is 0 or less",
        change=[("return log_probs", "return -log_probs")],
    ),
    Mistake(
        "per_token_log_probs",
        "in bits",
        "these are logs to the base 2; the course counts in nats, the natural log",
        change=[(".squeeze(-1)", ".squeeze(-1) / math.log(2)")],
    ),
    Mistake(
        "per_token_log_probs",
        "axis left over",
        "the axis of size 1 that gather needed is still there; take it off with squeeze(-1)",
        change=[(".squeeze(-1)", "")],
    ),
    Mistake(
        "per_token_log_probs",
        "kept away from zero",
        "a small number is added before the log, which makes unlikely tokens likelier than they are; use log_softmax",
        change=[(".log_softmax(dim=-1)", ".softmax(dim=-1).add(1e-10).log()")],
    ),
    Mistake(
        "per_token_log_probs",
        "the likeliest token",
        "this is the log-probability of the likeliest token; the one of the token that comes next is asked for",
        change=[("log_probs.gather(-1, tokens[:, 1:, None]).squeeze(-1)", "log_probs.amax(dim=-1)")],
    ),
    Mistake(
        "per_token_log_probs",
        "every axis of size 1 gone",
        "squeeze() drops the batch too where it is one text, and a single position; drop the last axis alone: squeeze(-1)",
        change=[(".squeeze(-1)", ".squeeze()")],
    ),
    # 2.7
    Mistake(
        "induction_score",
        "the first occurrence itself",
        "this is the attention to the first occurrence of the same token, length before; the token after it is length - 1 before",
        change=[("offset=1 - length", "offset=-length")],
    ),
    Mistake(
        "induction_score",
        "one too far back",
        "this is length + 1 before, the token in front of the first occurrence; the one after it is length - 1 before",
        change=[("offset=1 - length", "offset=-length - 1")],
    ),
    Mistake(
        "induction_score",
        "two after the first occurrence",
        "this is length - 2 before, two after the first occurrence; the token right after it is length - 1 before",
        change=[("offset=1 - length", "offset=2 - length")],
    ),
    Mistake(
        "induction_score",
        "above the diagonal",
        "a positive offset is above the diagonal, where a causal pattern is 0; earlier keys have a negative one: 1 - length",
        change=[("offset=1 - length", "offset=length - 1")],
    ),
    Mistake(
        "induction_score",
        "the whole diagonal",
        "the whole diagonal is averaged, but its first two queries belong to the first half; keep the last `length` entries",
        change=[("stripe[..., -length:]", "stripe")],
    ),
    Mistake(
        "induction_score",
        "one query of the first half",
        "the last query of the first half is counted; the second half has the last `length` entries of the diagonal",
        change=[("stripe[..., -length:]", "stripe[..., -length - 1 :]")],
    ),
    Mistake(
        "induction_score",
        "the first of the diagonal",
        "the first `length` entries of the diagonal are taken; the queries of the second half are the last ones",
        change=[("stripe[..., -length:]", "stripe[..., :length]")],
    ),
    Mistake(
        "induction_score",
        "first query of the second half left out",
        "the first query of the second half is left out; its token is the first that comes again, and it counts",
        change=[("stripe[..., -length:]", "stripe[..., 1 - length :]")],
    ),
    Mistake(
        "induction_score",
        "last query left out",
        "the last query is left out; the token after its first occurrence opens the second half, and it counts",
        change=[("stripe[..., -length:]", "stripe[..., -length:-1]")],
    ),
    Mistake(
        "induction_score",
        "averaged over the whole pattern",
        "the stripe's sum is divided by the number of all entries of the pattern; divide by the `length` queries of the second half",
        change=[
            (
                "stripe[..., -length:].mean(dim=(0, -1))",
                "stripe[..., -length:].sum(dim=-1).mean(dim=0) / pattern[0, 0].numel()",
            )
        ],
    ),
    Mistake(
        "induction_score",
        "divided by all queries",
        "the sum is divided by the number of all queries; those of the first half cannot look ahead and do not count",
        change=[
            (
                "stripe[..., -length:].mean(dim=(0, -1))",
                "stripe[..., -length:].sum(dim=-1).mean(dim=0) / pattern.shape[-1]",
            )
        ],
    ),
    Mistake(
        "induction_score",
        "sum of queries",
        "the stripe is summed over queries; take its mean, so that the score is a share",
        change=[("stripe[..., -length:].mean(dim=(0, -1))", "stripe[..., -length:].sum(dim=-1).mean(dim=0)")],
    ),
    Mistake(
        "induction_score",
        "only the first text",
        "only text 0 is counted; average over the batch as well",
        change=[("stripe[..., -length:].mean(dim=(0, -1))", "stripe[0, :, -length:].mean(dim=-1)")],
    ),
    Mistake(
        "induction_score",
        "averaged over heads",
        "the mean runs over heads, and one number for each text is left; average over dim=(0, -1), texts and queries",
        change=[("mean(dim=(0, -1))", "mean(dim=(1, -1))")],
    ),
    Mistake(
        "induction_score",
        "one number for all",
        "the mean runs over everything, heads included; name the axes: dim=(0, -1)",
        change=[("mean(dim=(0, -1))", "mean()")],
    ),
    # 2.8
    Mistake(
        "induction_scores",
        "a hook that returns",
        "the hook returns a tensor, which takes the pattern's place in the rest of the run; a hook that only reads returns nothing",
        change=[
            (
                "scores[hook.layer()] = induction_score(pattern, length)\n",
                "scores[hook.layer()] = induction_score(pattern, length)\n        return torch.zeros_like(pattern)\n",
            )
        ],
    ),
    Mistake(
        "induction_scores",
        "hooks left on the model",
        "the hooks are added with add_hook and stay on the model; use run_with_hooks, or call reset_hooks at the end",
        change=[
            (
                "model.run_with_hooks(tokens, return_type=None, fwd_hooks=[",
                "for name, hook in [",
            ),
            (
                'hook_pattern"), store)])',
                'hook_pattern"), store)]:\n        model.add_hook(name, hook)\n    model(tokens)',
            ),
        ],
    ),
    Mistake(
        "induction_scores",
        "all hooks fill the last layer",
        "only the last row is filled: hooks look up a loop variable when they run, after the loop; ask hook.layer() or use partial",
        write="""
        def induction_scores(model, tokens, length):
            scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)
            hooks = []
            for layer in range(model.cfg.n_layers):

                def store(pattern, hook):
                    scores[layer] = induction_score(pattern, length)

                hooks.append((f"blocks.{layer}.attn.hook_pattern", store))
            model.run_with_hooks(tokens, return_type=None, fwd_hooks=hooks)
            return scores
        """,
    ),
    Mistake(
        "induction_scores",
        "only the first layer hooked",
        "only layer 0 has a hook, and the rows of all others stay 0; hook the pattern of every layer",
        change=[('lambda name: name.endswith("hook_pattern")', '"blocks.0.attn.hook_pattern"')],
    ),
    Mistake(
        "induction_scores",
        "the hook fills every row",
        "each hook writes to all rows, so that only the last layer's scores are left; write to the row of hook.layer()",
        change=[("scores[hook.layer()] =", "scores[:] =")],
    ),
    Mistake(
        "induction_scores",
        "layers counted from 1",
        "layer l is stored one row too far, and the last one comes first; hook.layer() counts from 0, as rows do",
        change=[("scores[hook.layer()] =", "scores[(hook.layer() + 1) % model.cfg.n_layers] =")],
    ),
    Mistake(
        "induction_scores",
        "length off by one",
        "induction_score is given length - 1; it takes the length itself and does the subtraction",
        change=[("induction_score(pattern, length)", "induction_score(pattern, length - 1)")],
    ),
    Mistake(
        "induction_scores",
        "the previous-token score",
        "the hook stores the previous-token score; the induction score is asked for",
        change=[("induction_score(pattern, length)", "previous_token_score(pattern)")],
    ),
    Mistake(
        "induction_scores",
        "only the first text",
        "only the first text is run; the score is the mean over all of them",
        change=[("run_with_hooks(tokens, return", "run_with_hooks(tokens[:1], return")],
    ),
    Mistake(
        "induction_scores",
        "only the last text counts",
        "the texts are run one by one and each overwrites the scores of the one before; run them all at once",
        change=[
            (
                "model.run_with_hooks(tokens, return_type",
                "for text in tokens:\n        model.run_with_hooks(text[None], return_type",
            )
        ],
    ),
    Mistake(
        "induction_scores",
        "heads first",
        "the axes come back as head layer; layer is the first",
        change=[("return scores", "return scores.T")],
    ),
    Mistake(
        "induction_scores",
        "one number for each layer",
        "the scores of a layer's heads are averaged; keep one number for each head",
        change=[("return scores", "return scores.mean(dim=-1)")],
    ),
    Mistake(
        "induction_scores",
        "second half only",
        "the model is run on one half, in which nothing repeats; give it all tokens",
        write="""
        def induction_scores(model, tokens, length):
            scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)

            def store(pattern, hook):
                stripe = pattern.diagonal(offset=1 - length, dim1=-2, dim2=-1)
                scores[hook.layer()] = stripe[..., -length:].mean(dim=(0, -1))

            model.run_with_hooks(
                tokens[:, : length + 1],
                return_type=None,
                fwd_hooks=[(lambda name: name.endswith("hook_pattern"), store)],
            )
            return scores
        """,
    ),
    # 2.9
    Mistake(
        "logit_lens",
        "final LayerNorm skipped",
        "the streams go into the unembedding as they are; what it was trained to read has gone through ln_final first",
        change=[("model.unembed(model.ln_final(torch.stack(streams)))", "model.unembed(torch.stack(streams))")],
    ),
    Mistake(
        "logit_lens",
        "one layer late",
        "row 0 is the stream after layer 0, and the embeddings have no row; read resid_pre of each layer, then resid_post of the last",
        change=[
            ('cache["resid_pre", layer]', 'cache["resid_post", layer]'),
            ('    streams.append(cache["resid_post", model.cfg.n_layers - 1])\n', ""),
        ],
    ),
    Mistake(
        "logit_lens",
        "the end left out",
        "the stream after the last layer has no row, so the model's own logits are missing; append resid_post of the last layer",
        change=[('    streams.append(cache["resid_post", model.cfg.n_layers - 1])\n', "")],
    ),
    Mistake(
        "logit_lens",
        "the last layer missing at the end",
        "the last row is the stream before the last layer once more; the end of the stream is resid_post of that layer",
        change=[('cache["resid_post", model.cfg.n_layers - 1]', 'cache["resid_pre", model.cfg.n_layers - 1]')],
    ),
    Mistake(
        "logit_lens",
        "the parts in place of the sum",
        "each row reads what one layer writes, alone; the lens reads the whole stream, the sum of everything written so far",
        write="""
        def logit_lens(model, tokens):
            _, cache = model.run_with_cache(tokens)
            rows = [cache["resid_pre", 0]]
            for layer in range(model.cfg.n_layers):
                rows.append(cache["resid_post", layer] - cache["resid_pre", layer])
            return model.unembed(model.ln_final(torch.stack(rows)))
        """,
    ),
    Mistake(
        "logit_lens",
        "the scale of the end for all",
        "every row is divided by the scale of the final stream; here each stream is read anew, with its own: call ln_final on each",
        write="""
        def logit_lens(model, tokens):
            _, cache = model.run_with_cache(tokens)
            rows = [cache["resid_pre", layer] for layer in range(model.cfg.n_layers)]
            rows.append(cache["resid_post", model.cfg.n_layers - 1])
            stack = torch.stack(rows)
            if "ln_final.hook_scale" in cache:
                stack = stack / cache["ln_final.hook_scale"]
            return model.unembed(stack)
        """,
    ),
    Mistake(
        "logit_lens",
        "bias of the unembedding left out",
        "W_U is applied without b_U, which compatibility mode has filled with what ln_final's bias did; call model.unembed",
        change=[
            ("model.unembed(model.ln_final(torch.stack(streams)))", "model.ln_final(torch.stack(streams)) @ model.W_U")
        ],
    ),
    Mistake(
        "logit_lens",
        "log-probabilities",
        "the rows are log-probabilities; return the logits as the unembedding gives them",
        change=[
            (
                "model.unembed(model.ln_final(torch.stack(streams)))",
                "model.unembed(model.ln_final(torch.stack(streams))).log_softmax(dim=-1)",
            )
        ],
    ),
    Mistake(
        "logit_lens",
        "positions left out of the first row",
        "row 0 reads the token embeddings alone; the stream before layer 0 holds the position embeddings too",
        change=[
            (
                "    streams.append(",
                '    streams[0] = cache["embed"]\n    streams.append(',
            )
        ],
    ),
    Mistake(
        "logit_lens",
        "batch first",
        "the rows are stacked on the second axis; layer is the first axis, before batch",
        change=[
            (
                "model.unembed(model.ln_final(torch.stack(streams)))",
                "model.unembed(model.ln_final(torch.stack(streams, dim=1)))",
            )
        ],
    ),
    # 2.10
    Mistake(
        "logit_attribution",
        "rows of the embedding",
        "the writes are projected on the next token's row of W_E; logits are made by W_U, whose column is another vector",
        change=[("model.W_U.T[answers]", "model.W_E[answers]")],
    ),
    Mistake(
        "logit_attribution",
        "scale of each part",
        "every part goes through a LayerNorm of its own, so that short and long writes count alike; divide all by the real run's scale",
        change=[
            (
                'torch.stack(writes) / cache["ln_final.hook_scale"]',
                "F.layer_norm(torch.stack(writes), (embed.shape[-1],), eps=model.cfg.eps)",
            )
        ],
    ),
    Mistake(
        "logit_attribution",
        "LayerNorm left out",
        "the writes are projected as they stand in the stream; the unembedding reads them divided by ln_final's scale",
        change=[(' / cache["ln_final.hook_scale"]', "")],
    ),
    Mistake(
        "logit_attribution",
        "scale of another LayerNorm",
        "the writes are divided by the scale of the last layer's ln1; the logits are read through ln_final",
        change=[('cache["ln_final.hook_scale"]', 'cache[f"blocks.{model.cfg.n_layers - 1}.ln1.hook_scale"]')],
    ),
    Mistake(
        "logit_attribution",
        "scale of the next position",
        "each position's writes are divided by the scale of the position after it; position p predicts token p + 1 with its own scale",
        change=[
            (
                'torch.stack(writes) / cache["ln_final.hook_scale"]',
                'torch.stack(writes) / cache["ln_final.hook_scale"].roll(-1, dims=1)',
            )
        ],
    ),
    Mistake(
        "logit_attribution",
        "bias of the unembedding forgotten",
        "b_U is not among the components, so the sum falls short of the logit; it is the last one",
        change=[("torch.cat([contributions, model.b_U[answers][None]])", "contributions")],
    ),
    Mistake(
        "logit_attribution",
        "bias of the unembedding scaled",
        "b_U is divided by LayerNorm's scale; it is added after LayerNorm and counts as it is",
        change=[
            (
                "model.b_U[answers][None]",
                '(model.b_U[answers] / cache["ln_final.hook_scale"][:, :-1, 0])[None]',
            )
        ],
    ),
    Mistake(
        "logit_attribution",
        "biases of attention left out",
        "b_O of the attention layers is not among the components; it belongs to no head, but it is written too",
        change=[("[*heads, model.b_O[layer].expand_as(embed)]", "[*heads]")],
    ),
    Mistake(
        "logit_attribution",
        "bias shared out among heads",
        "each head got its share of b_O and the bias' own entry is 0; a head writes z times W_O and nothing else",
        change=[
            (
                "[*heads, model.b_O[layer].expand_as(embed)]",
                "[*(heads + model.b_O[layer] / model.cfg.n_heads), torch.zeros_like(embed)]",
            )
        ],
    ),
    Mistake(
        "logit_attribution",
        "bias in every head",
        "b_O is added to every head and has an entry as well; it is written once, and belongs to no head",
        change=[("[*heads,", "[*(heads + model.b_O[layer]),")],
    ),
    Mistake(
        "logit_attribution",
        "the present token",
        "this is the logit of the token that stands at the position; position p predicts the token at p + 1",
        change=[("answers = tokens[:, 1:]", "answers = tokens[:, :-1]")],
    ),
    Mistake(
        "logit_attribution",
        "read one position late",
        "the writes are taken at the position of the predicted token itself; what predicts it stands one position before",
        change=[("normalised[:, :, :-1]", "normalised[:, :, 1:]")],
    ),
    Mistake(
        "logit_attribution",
        "MLPs left out",
        "what the MLPs write is missing; a model that is not attn_only has one in each layer, after attention",
        change=[
            (
                '        if not model.cfg.attn_only:\n            writes.append(cache["mlp_out", layer])\n',
                "",
            )
        ],
    ),
    Mistake(
        "logit_attribution",
        "positions left out",
        "the position embeddings have no entry of their own; the components begin with embed and pos_embed",
        change=[('writes = [embed, cache["pos_embed"].expand_as(embed)]', "writes = [embed]")],
    ),
    Mistake(
        "logit_attribution",
        "streams in place of writes",
        "the first entries are streams: embed holds the positions as well; an entry is what one component writes",
        change=[("writes = [embed,", 'writes = [cache["resid_pre", 0],')],
    ),
    Mistake(
        "logit_attribution",
        "heads of all layers before the biases",
        "all heads come first and all biases after them; the order is that of the forward pass, layer by layer",
        change=[
            (
                "        writes += [*heads, model.b_O[layer].expand_as(embed)]\n",
                "        later = [] if layer == 0 else later\n        writes += [*heads]\n"
                "        later.append(model.b_O[layer].expand_as(embed))\n",
            ),
            (
                'writes.append(cache["mlp_out", layer])\n',
                'later.append(cache["mlp_out", layer])\n    writes += later\n',
            ),
        ],
    ),
    Mistake(
        "logit_attribution",
        "grouped by kind",
        "first come all heads, then all b_O, then all MLPs; go layer by layer: its heads, its b_O, its MLP",
        change=[
            ("        writes += [*heads, model.b_O[layer].expand_as(embed)]\n", "        writes += [*heads]\n"),
            ('        if not model.cfg.attn_only:\n            writes.append(cache["mlp_out", layer])\n', ""),
            (
                "    normalised =",
                "    writes += [bias.expand_as(embed) for bias in model.b_O]\n"
                "    if not model.cfg.attn_only:\n"
                '        writes += [cache["mlp_out", layer] for layer in range(model.cfg.n_layers)]\n'
                "    normalised =",
            ),
        ],
    ),
    Mistake(
        "logit_attribution",
        "bias before its heads",
        "b_O stands before the heads of its layer; the labels have it after them",
        change=[
            (
                "[*heads, model.b_O[layer].expand_as(embed)]",
                "[model.b_O[layer].expand_as(embed), *heads]",
            )
        ],
    ),
    Mistake(
        "logit_attribution",
        "TransformerLens' decomposition as it comes",
        "get_full_resid_decomposition puts the embeddings after the heads and adds all b_O up; follow component_labels(model)",
        write="""
        def logit_attribution(model, cache, tokens):
            writes = cache.get_full_resid_decomposition(layer=-1, expand_neurons=False)
            answers = tokens[:, 1:]
            normalised = writes[:, :, :-1] / cache["ln_final.hook_scale"][:, :-1]
            contributions = (normalised * model.W_U.T[answers]).sum(dim=-1)
            return torch.cat([contributions, model.b_U[answers][None]])
        """,
    ),
    Mistake(
        "logit_attribution",
        "heads with another layer's W_O",
        "the z of every layer is multiplied with W_O of layer 0; each layer has its own, model.W_O[layer]",
        change=[("model.W_O[layer],", "model.W_O[0],")],
    ),
    # 2.11
    Mistake(
        "ablate_head",
        "all heads of the layer",
        "the whole z of the layer is replaced, so that all its heads fall silent; choose one head on axis 2: z[:, :, head]",
        change=[
            (
                'z[:, :, head] = 0.0 if how == "zero" else z[:, :, head].mean(dim=(0, 1))',
                'z[:] = 0.0 if how == "zero" else z.mean(dim=(0, 1))',
            )
        ],
    ),
    Mistake(
        "ablate_head",
        "nothing returned",
        "the hook changes a copy of z and does not return it, so the run goes on with the old z; end the hook with return z",
        change=[("        return z\n", "")],
    ),
    Mistake(
        "ablate_head",
        "a position for a head",
        "axis 1 of z is the position, so one position of all heads is replaced; the heads are axis 2: z[:, :, head]",
        change=[
            (
                'z[:, :, head] = 0.0 if how == "zero" else z[:, :, head].mean(dim=(0, 1))',
                'z[:, head] = 0.0 if how == "zero" else z[:, head].mean(dim=(0, 1))',
            )
        ],
    ),
    Mistake(
        "ablate_head",
        "what the layer writes",
        "attention's output is replaced after the heads were summed, so all of them are gone, and the bias too; go to hook_z",
        write="""
        def ablate_head(model, tokens, layer, head, how="zero"):
            if how not in ("zero", "mean"):
                raise ValueError(f'how must be "zero" or "mean", but it is "{how}"')

            def ablate(out, hook):
                return torch.zeros_like(out) if how == "zero" else out.mean(dim=(0, 1), keepdim=True).expand_as(out)

            return model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.hook_attn_out", ablate)])
        """,
    ),
    Mistake(
        "ablate_head",
        "the head of every layer",
        "the head of this number is ablated in all layers; the hook belongs to blocks.{layer} alone",
        change=[
            (
                '[(f"blocks.{layer}.attn.hook_z", ablate)]',
                '[(f"blocks.{each}.attn.hook_z", ablate) for each in range(model.cfg.n_layers)]',
            )
        ],
    ),
    Mistake(
        "ablate_head",
        "mean over the batch",
        "the mean is taken over the batch alone, so each position keeps its own; one vector serves all positions: mean over axes 0 and 1",
        change=[("mean(dim=(0, 1))", "mean(dim=0)")],
    ),
    Mistake(
        "ablate_head",
        "mean over positions",
        "the mean is taken over positions alone, so each text keeps its own and with it what the text says; mean over axes 0 and 1",
        change=[("z[:, :, head].mean(dim=(0, 1))", "z[:, :, head].mean(dim=1, keepdim=True)")],
    ),
    Mistake(
        "ablate_head",
        "mean over everything",
        "one number is put into all of z: the mean over d_head, too; each of the d_head numbers has a mean of its own",
        change=[("mean(dim=(0, 1))", "mean()")],
    ),
    Mistake(
        "ablate_head",
        "mean of all heads",
        "the head gets the mean over all heads; it should go on writing what it writes itself on average",
        change=[("z[:, :, head].mean(dim=(0, 1))", "z.mean(dim=(0, 1, 2))")],
    ),
    Mistake(
        "ablate_head",
        "mean by the number of texts",
        "the sum over batch and positions is divided by the batch only; divide by the number of positions as well",
        change=[("z[:, :, head].mean(dim=(0, 1))", "z[:, :, head].sum(dim=(0, 1)) / len(z)")],
    ),
    Mistake(
        "ablate_head",
        "always zero",
        '`how` is not looked at and the head is always set to zero; with "mean" it gets its mean',
        change=[(' if how == "zero" else z[:, :, head].mean(dim=(0, 1))', "")],
    ),
    Mistake(
        "ablate_head",
        "zero and mean swapped",
        '"zero" gives the mean and "mean" gives zero',
        change=[('0.0 if how == "zero"', '0.0 if how == "mean"')],
    ),
    Mistake(
        "ablate_head",
        "any other how",
        "a `how` that means nothing is taken for the mean; raise ValueError and say in it what `how` was",
        change=[
            (
                '    if how not in ("zero", "mean"):\n        raise ValueError(f\'how must be "zero" or "mean", but it is "{how}"\')\n',
                "",
            )
        ],
    ),
    Mistake(
        "ablate_head",
        "the error does not say what how was",
        "ValueError is raised, but its text does not say what `how` was; who reads it wants to know",
        change=[(', but it is "{how}"\')', "')")],
    ),
    Mistake(
        "ablate_head",
        "hooks left on the model",
        "the hook stays on the model and ablates in every later run too; use run_with_hooks, or reset_hooks afterwards",
        change=[
            (
                'return model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", ablate)])',
                'model.add_hook(f"blocks.{layer}.attn.hook_z", ablate)\n    return model(tokens)',
            )
        ],
    ),
    Mistake(
        "ablate_head",
        "the weights overwritten",
        "the head's rows of W_O were set to zero in the model itself, which stays so; an experiment leaves the model as it was",
        write="""
        @torch.no_grad()
        def ablate_head(model, tokens, layer, head, how="zero"):
            if how not in ("zero", "mean"):
                raise ValueError(f'how must be "zero" or "mean", but it is "{how}"')
            _, cache = model.run_with_cache(tokens)
            W_O, b_O = model.blocks[layer].attn.W_O, model.blocks[layer].attn.b_O
            if how == "mean":
                b_O += cache["z", layer][:, :, head].mean(dim=(0, 1)) @ W_O[head]
            W_O[head] = 0.0
            return model(tokens)
        """,
    ),
    Mistake(
        "ablate_head",
        "head and position mixed up",
        "z[:, head] is a position of all heads; the axes of z are batch, pos, head, d_head, so the head is on axis 2",
        change=[
            (
                'z[:, :, head] = 0.0 if how == "zero" else z[:, :, head].mean(dim=(0, 1))',
                'z[:, head] = 0.0 if how == "zero" else z[:, head].mean(dim=0)',
            )
        ],
    ),
    Mistake(
        "ablate_head",
        "values in place of z",
        "the values are replaced before attention mixes them; the mean to write is that of z, what the head really brings back",
        change=[('attn.hook_z", ablate)', 'attn.hook_v", ablate)')],
    ),
    Mistake(
        "ablate_head",
        "the effect in place of the logits",
        "the difference that the ablation makes is returned; return the logits of the ablated run",
        change=[("return model.run_with_hooks(", "return -model(tokens) + model.run_with_hooks(")],
    ),
    # 2.12
    Mistake(
        "ablation_scores",
        "sign",
        "a head that is needed gets a negative score; it is the loss with the head ablated minus the loss without",
        change=[
            (
                "second_half_loss(ablate_head(model, tokens, layer, head, how)) - whole",
                "whole - second_half_loss(ablate_head(model, tokens, layer, head, how))",
            )
        ],
    ),
    Mistake(
        "ablation_scores",
        "the loss in place of its rise",
        "this is the loss with the head ablated; subtract the loss of the whole model",
        change=[(" - whole", "")],
    ),
    Mistake(
        "ablation_scores",
        "the whole text",
        "the loss is taken over the whole text; copying is possible in the second half only, at losses length + 1 and later",
        change=[("[:, length + 1 : 2 * length]", "")],
    ),
    Mistake(
        "ablation_scores",
        "the first half",
        "the loss is taken over the first half, where there is nothing to copy yet",
        change=[("length + 1 : 2 * length", "1:length")],
    ),
    Mistake(
        "ablation_scores",
        "the first word of the second half counted",
        "the second half's first word is counted, which nobody can know; its second word is at index length + 1 of the losses",
        change=[("length + 1 : 2 * length", "length : 2 * length")],
    ),
    Mistake(
        "ablation_scores",
        "one word too few",
        "the second word of the second half is left out; losses begin with the token at position 1, so it is at index length + 1",
        change=[("length + 1 : 2 * length", "length + 2 : 2 * length")],
    ),
    Mistake(
        "ablation_scores",
        "the last loss left out",
        "the loss of the last word is left out; a slice excludes its end, and the last index is 2 * length - 1: length + 1 : 2 * length",
        change=[("length + 1 : 2 * length", "length + 1 : 2 * length - 1")],
    ),
    Mistake(
        "ablation_scores",
        "how not passed on",
        "`how` does not reach ablate_head, so every head is set to zero whatever was asked for",
        change=[("layer, head, how))", "layer, head))")],
    ),
    Mistake(
        "ablation_scores",
        "sum in place of mean",
        "the losses are summed; in nats per token they are averaged over texts and tokens",
        change=[("length + 1 : 2 * length].mean()", "length + 1 : 2 * length].sum()")],
    ),
    Mistake(
        "ablation_scores",
        "probabilities",
        "the fall of the right word's probability is scored; the loss is minus its logarithm",
        change=[
            (
                "return -per_token_log_probs(logits, tokens)[:, length + 1 : 2 * length].mean()",
                "return -per_token_log_probs(logits, tokens).exp()[:, length + 1 : 2 * length].mean()",
            )
        ],
    ),
    Mistake(
        "ablation_scores",
        "the head of another layer",
        "every row holds the scores of layer 0; pass the layer on to ablate_head",
        change=[("tokens, layer, head, how", "tokens, 0, head, how")],
    ),
    Mistake(
        "ablation_scores",
        "ablations pile up",
        "a head stays ablated while the next ones are scored; each is ablated alone, and everything else is as it was",
        write="""
        def ablation_scores(model, tokens, length, how="zero"):
            def loss():
                return -per_token_log_probs(model(tokens), tokens)[:, length + 1 : 2 * length].mean()

            scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, device=tokens.device)
            whole = loss()
            for layer in range(model.cfg.n_layers):
                for head in range(model.cfg.n_heads):
                    def ablate(z, hook, head=head):
                        z = z.clone()
                        z[:, :, head] = 0.0 if how == "zero" else z[:, :, head].mean(dim=(0, 1))
                        return z

                    model.add_hook(f"blocks.{layer}.attn.hook_z", ablate)
                    scores[layer, head] = loss() - whole
            model.reset_hooks()
            return scores
        """,
    ),
    Mistake(
        "ablation_scores",
        "heads as rows",
        "the axes are swapped: rows are layers, columns are heads",
        change=[("    return scores\n", "    return scores.T\n")],
    ),
    # 2.13
    Mistake(
        "ov_circuit",
        "multiplied out",
        "all four matrices are multiplied before FactoredMatrix gets them; give it two thin factors and let it stand for the product",
        write="""
        def ov_circuit(model, layer, head):
            dense = model.W_E @ model.W_V[layer, head] @ model.W_O[layer, head] @ model.W_U
            return FactoredMatrix(dense, torch.eye(dense.shape[1], device=dense.device))
        """,
    ),
    Mistake(
        "ov_circuit",
        "a plain tensor",
        "the product itself comes back, with d_vocab times d_vocab numbers; return the FactoredMatrix, without .AB",
        change=[("model.W_O[layer, head] @ model.W_U)", "model.W_O[layer, head] @ model.W_U).AB")],
    ),
    Mistake(
        "ov_circuit",
        "the embedding as unembedding",
        "words are written out with the transpose of W_E; the logits are made by W_U",
        change=[("model.W_O[layer, head] @ model.W_U", "model.W_O[layer, head] @ model.W_E.T")],
    ),
    Mistake(
        "ov_circuit",
        "the unembedding as embedding",
        "words are read in with the transpose of W_U; what the head meets in the stream is a row of W_E",
        change=[("model.W_E @ model.W_V[layer, head]", "model.W_U.T @ model.W_V[layer, head]")],
    ),
    Mistake(
        "ov_circuit",
        "turned round",
        "rows are words written and columns words looked at: the circuit is transposed; W_E comes first, on the left",
        change=[("model.W_O[layer, head] @ model.W_U)", "model.W_O[layer, head] @ model.W_U).T")],
    ),
    Mistake(
        "ov_circuit",
        "keys in place of values",
        "the left factor uses W_K, which says where a word can be found; what is moved is its value: W_V",
        change=[("model.W_V[layer, head]", "model.W_K[layer, head]")],
    ),
    Mistake(
        "ov_circuit",
        "the QK circuit",
        "this is W_E W_Q W_Kᵀ W_Eᵀ, which says where a word looks; the OV circuit is W_E W_V W_O W_U",
        write="""
        def ov_circuit(model, layer, head):
            return FactoredMatrix(model.W_E @ model.W_Q[layer, head], (model.W_E @ model.W_K[layer, head]).T)
        """,
    ),
    Mistake(
        "ov_circuit",
        "from direction to direction",
        "W_V W_O alone leads from directions of the stream to directions; put W_E before it and W_U behind it",
        change=[
            ("model.W_E @ model.W_V[layer, head]", "model.W_V[layer, head]"),
            ("model.W_O[layer, head] @ model.W_U", "model.W_O[layer, head]"),
        ],
    ),
    Mistake(
        "ov_circuit",
        "all heads of the layer",
        "there is a circuit for every head of the layer; index W_V and W_O by the head too",
        change=[("model.W_V[layer, head]", "model.W_V[layer]"), ("model.W_O[layer, head]", "model.W_O[layer]")],
    ),
    Mistake(
        "ov_circuit",
        "always the first layer",
        "the layer is not used: the circuit is always that of layer 0",
        change=[("model.W_V[layer, head]", "model.W_V[0, head]"), ("model.W_O[layer, head]", "model.W_O[0, head]")],
    ),
    # 2.14
    Mistake(
        "copying_score",
        "columns compared",
        "a word's logit is compared with its column, the logits that other words write to it; compare with its row",
        write="""
        def copying_score(circuit, k=1):
            logits = circuit.AB
            return ((logits > logits.diagonal()).sum(dim=0) < k).float().mean().item()
        """,
    ),
    Mistake(
        "copying_score",
        "one place too many",
        "a word passes with k logits above its own, so that k = 1 lets second places count; fewer than k may be higher",
        change=[(".sum(dim=-1) < k)", ".sum(dim=-1) <= k)")],
    ),
    Mistake(
        "copying_score",
        "its own logit counted",
        ">= counts the word's own logit among the higher ones, so that for k = 1 no word passes; count with >",
        change=[("(logits > own)", "(logits >= own)")],
    ),
    Mistake(
        "copying_score",
        "sizes compared",
        "absolute values are compared, so a head that strongly lowers its word counts as copying it; keep the sign",
        change=[("logits = circuit.A[rows] @ circuit.B", "logits = (circuit.A[rows] @ circuit.B).abs()")],
    ),
    Mistake(
        "copying_score",
        "the lowest",
        "words count whose own logit is among the k lowest; topk sorts from the highest, argsort and sort from the lowest",
        change=[("(logits > own)", "(logits < own)")],
    ),
    Mistake(
        "copying_score",
        "any rise counts",
        "every word whose own logit is above 0 counts; it has to be among the k highest of its row",
        write="""
        def copying_score(circuit, k=1):
            return (circuit.AB.diagonal() > 0).float().mean().item()
        """,
    ),
    Mistake(
        "copying_score",
        "k not used",
        "only the highest logit of each row counts, whatever k is; let the k highest count",
        change=[(".sum(dim=-1) < k)", ".sum(dim=-1) < 1)")],
    ),
    Mistake(
        "copying_score",
        "a number, not a share",
        "the number of words comes back; divide by how many words there are",
        change=[("return copied / circuit.shape[0]", "return float(copied)")],
    ),
    Mistake(
        "copying_score",
        "divided by k",
        "the share is divided by k; a word counts once, however many places may count",
        change=[("return copied / circuit.shape[0]", "return copied / (k * circuit.shape[0])")],
    ),
    Mistake(
        "copying_score",
        "down the columns",
        "each row's own logit is there, but the higher ones are counted down the columns; count along the row: sum(dim=-1)",
        change=[(".sum(dim=-1) < k)", ".sum(dim=0) < k)")],
    ),
    Mistake(
        "copying_score",
        "compared with the other words' own",
        "an entry is compared with the own logit of its column; give the diagonal an axis, [:, None], so that a row meets its own",
        write="""
        def copying_score(circuit, k=1):
            logits = circuit.AB
            return ((logits > logits.diagonal()).sum(dim=-1) < k).float().mean().item()
        """,
    ),
    Mistake(
        "copying_score",
        "gathered down the columns",
        "gather along axis 0 takes each row's logit of word 0; a word's own logit lies along its row: gather(-1, …)",
        change=[("logits.gather(-1, rows[:, None])", "logits.gather(0, rows[:, None])")],
    ),
    Mistake(
        "copying_score",
        "a word for its rank",
        "argsort says which word stands at each place, not at which place each word stands; argsort once more gives that",
        write="""
        def copying_score(circuit, k=1):
            order = circuit.AB.argsort(dim=-1, descending=True)
            return (order.diagonal() < k).float().mean().item()
        """,
    ),
    Mistake(
        "copying_score",
        "entries counted, not words",
        "the entries that are not higher are counted; first count the higher ones of each row, then compare that number with k",
        change=[("(logits > own).sum(dim=-1) < k", "(logits > own) < k")],
    ),
    # 2.15
    Mistake(
        "eigenvalue_copying_score",
        "lengths of the real parts",
        "only real parts count below, and a complex eigenvalue is larger than its real part; divide by the sum of its .abs()",
        change=[("eigenvalues.abs().sum()", "eigenvalues.real.abs().sum()")],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "no sign",
        "the absolute value of the whole sum is taken, so lowering looks like copying; the sum of real parts keeps its sign",
        change=[("eigenvalues.real.sum() /", "eigenvalues.sum().abs() /")],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "singular values below",
        "below stands the sum of the circuit's singular values, which is too large; use the lengths of the eigenvalues",
        change=[("eigenvalues.abs().sum()", "torch.linalg.svdvals(circuit.AB).sum()")],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "singular values of the small product",
        "below stand the singular values of B A; only the eigenvalues of B A are those of the circuit, so sum their lengths",
        change=[("eigenvalues.abs().sum()", "torch.linalg.svdvals(circuit.B @ circuit.A).sum()")],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "counted, not weighed",
        "positive eigenvalues are counted; the score weighs each by its size: real parts summed over lengths summed",
        change=[
            (
                "return (eigenvalues.real.sum() / eigenvalues.abs().sum()).item()",
                "return (eigenvalues.real > 0).float().mean().item()",
            )
        ],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "mean of the signs",
        "every eigenvalue is divided by its own length and then averaged, so tiny ones count as much as large ones; divide sum by sum",
        change=[
            (
                "return (eigenvalues.real.sum() / eigenvalues.abs().sum()).item()",
                "return (eigenvalues.real / eigenvalues.abs()).mean().item()",
            )
        ],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "as if symmetric",
        "eigvalsh takes the matrix to be symmetric, and reads one triangle of it; use eigvals",
        change=[("torch.linalg.eigvals(circuit.B @ circuit.A)", "torch.linalg.eigvalsh(circuit.B @ circuit.A)")],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "not divided",
        "the sum of eigenvalues comes back, which grows with the weights; divide by the sum of their absolute values",
        change=[(" / eigenvalues.abs().sum()", "")],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "entries, not eigenvalues",
        "the entries of B A are summed; take its eigenvalues first, with torch.linalg.eigvals",
        change=[("torch.linalg.eigvals(circuit.B @ circuit.A)", "(circuit.B @ circuit.A)")],
    ),
    Mistake(
        "eigenvalue_copying_score",
        "sum over mean",
        "a sum is divided by a mean, so the score grows with the number of eigenvalues; divide sum by sum",
        change=[("eigenvalues.abs().sum()", "eigenvalues.abs().mean()")],
    ),
    # 2.16
    Mistake(
        "previous_token_circuit",
        "scores not scaled",
        "the scores are not divided by the root of d_head",
        change=[(" / math.sqrt(model.cfg.d_head)", "")],
    ),
    Mistake(
        "previous_token_circuit",
        "scaled by d_head",
        "the scores are divided by d_head; divide by its root",
        change=[("math.sqrt(model.cfg.d_head)", "model.cfg.d_head")],
    ),
    Mistake(
        "previous_token_circuit",
        "no mask",
        "queries see keys that come after them; put -inf there before the softmax",
        change=[("scores.masked_fill(later, -torch.inf).softmax(dim=-1)", "scores.softmax(dim=-1)")],
    ),
    Mistake(
        "previous_token_circuit",
        "mask on the wrong side",
        "earlier keys are masked, so that every query looks ahead; mask the triangle above the diagonal",
        change=[(".triu(1)", ".tril(-1)")],
    ),
    Mistake(
        "previous_token_circuit",
        "mask after the softmax",
        "later keys are set to 0 after the softmax, so rows no longer sum to 1; put -inf into the scores",
        change=[
            (
                "scores.masked_fill(later, -torch.inf).softmax(dim=-1)",
                "scores.softmax(dim=-1).masked_fill(later, 0.0)",
            )
        ],
    ),
    Mistake(
        "previous_token_circuit",
        "softmax over queries",
        "the softmax runs over queries; each query shares its attention out over keys, the last axis",
        change=[(".softmax(dim=-1)", ".softmax(dim=0)")],
    ),
    Mistake(
        "previous_token_circuit",
        "queries and keys swapped",
        "W_K makes the queries and W_Q the keys; it is the other way round",
        change=[
            (
                "read @ model.W_Q[layer, head], read @ model.W_K[layer, head]",
                "read @ model.W_K[layer, head], read @ model.W_Q[layer, head]",
            )
        ],
    ),
    Mistake(
        "previous_token_circuit",
        "words in place of positions",
        "this is the pattern of word embeddings; take W_pos, not W_E",
        change=[("model.W_pos / ln_scale", "model.W_E / ln_scale")],
    ),
    Mistake(
        "previous_token_circuit",
        "biases in it",
        "b_Q and b_K are added; this circuit is of position embeddings alone",
        change=[
            (
                "read @ model.W_Q[layer, head], read @ model.W_K[layer, head]",
                "read @ model.W_Q[layer, head] + model.b_Q[layer, head], read @ model.W_K[layer, head] + model.b_K[layer, head]",
            )
        ],
    ),
    Mistake(
        "previous_token_circuit",
        "scale on one side only",
        "ln_scale divides only once; queries and keys both read through LayerNorm, so divide W_pos for both",
        change=[("read @ model.W_K[layer, head]", "model.W_pos @ model.W_K[layer, head]")],
    ),
    Mistake(
        "previous_token_circuit",
        "scale ignored",
        "ln_scale is not used; W_pos is divided by it before queries and keys are made, as LayerNorm would divide the stream",
        change=[("model.W_pos / ln_scale", "model.W_pos")],
    ),
    Mistake(
        "previous_token_circuit",
        "a LayerNorm for each position",
        "each row of W_pos goes through LayerNorm by itself; all of W_pos is divided by one number, ln_scale",
        change=[("model.W_pos / ln_scale", "F.layer_norm(model.W_pos, (model.cfg.d_model,), eps=model.cfg.eps)")],
    ),
    Mistake(
        "previous_token_circuit",
        "scores, not a pattern",
        "the scores come back without a softmax (0 where masked); a pattern's rows are shares that sum to 1",
        change=[("scores.masked_fill(later, -torch.inf).softmax(dim=-1)", "scores.masked_fill(later, 0.0)")],
    ),
    # 2.17
    Mistake(
        "decompose_resid",
        "one layer too far",
        "the layer's own writes are among the parts; what it reads was written by the layers before it",
        change=[("range(layer)", "range(layer + 1)")],
    ),
    Mistake(
        "decompose_resid",
        "attention bias left out",
        "b_O is missing: each earlier layer adds it once, and it belongs to no head",
        change=[("[*heads, model.b_O[earlier].expand_as(parts[0])]", "[*heads]")],
    ),
    Mistake(
        "decompose_resid",
        "bias in every head",
        "every head carries the layer's b_O, which is added once per layer; give it a part of its own",
        change=[
            (
                "[*heads, model.b_O[earlier].expand_as(parts[0])]",
                "[*(heads + model.b_O[earlier]), model.b_O[earlier].expand_as(parts[0])]",
            )
        ],
    ),
    Mistake(
        "decompose_resid",
        "bias shared out",
        "b_O is shared out over the heads in equal parts; it belongs to none of them and is a part of its own",
        change=[
            (
                "[*heads, model.b_O[earlier].expand_as(parts[0])]",
                "[*(heads + model.b_O[earlier] / len(heads))]",
            )
        ],
    ),
    Mistake(
        "decompose_resid",
        "positions left out",
        "the position embeddings are missing; the stream begins as embed plus pos_embed",
        change=[('[cache["embed"], cache["pos_embed"]]', '[cache["embed"]]')],
    ),
    Mistake(
        "decompose_resid",
        "attention in one part",
        "a layer's attention is one part; take its heads apart, and its bias",
        change=[
            ("[*heads, model.b_O[earlier].expand_as(parts[0])]", '[cache["attn_out", earlier]]'),
        ],
    ),
    Mistake(
        "decompose_resid",
        "attention in one part, and its bias again",
        "attn_out is one part and b_O another, though attn_out holds b_O; in its place goes z times W_O, head by head",
        change=[("[*heads, model.b_O[earlier]", '[cache["attn_out", earlier], model.b_O[earlier]')],
    ),
    Mistake(
        "decompose_resid",
        "W_O of the reading layer",
        "each head's z is multiplied with the W_O of `layer`; take that of the head's own layer",
        change=[("model.W_O[earlier]", "model.W_O[layer]")],
    ),
    Mistake(
        "decompose_resid",
        "parts normalised",
        "the parts are divided by LayerNorm's scale; these are the parts of what goes into ln1, as they stand in the stream",
        change=[("return torch.stack(parts)", 'return torch.stack(parts) / cache["scale", layer, "ln1"]')],
    ),
    Mistake(
        "decompose_resid",
        "MLPs left out",
        "the earlier MLPs' writes are missing; they come after the biases of their layers",
        change=[("if not model.cfg.attn_only:", "if False:")],
    ),
    Mistake(
        "decompose_resid",
        "running totals",
        "every entry is the sum of all parts so far; an entry is what one component added",
        change=[("return torch.stack(parts)", "return torch.stack(parts).cumsum(0)")],
    ),
    # 2.18
    Mistake(
        "attention_scores_by_input",
        "LayerNorm ignored",
        "the parts are not divided by LayerNorm's scale, though the head reads through ln1",
        change=[(' / cache["scale", layer, "ln1"]', "")],
    ),
    Mistake(
        "attention_scores_by_input",
        "LayerNorm on one side only",
        "only the queries are divided by LayerNorm's scale; keys are read through ln1 too",
        change=[
            (
                'parts = decompose_resid(cache, layer) / cache["scale", layer, "ln1"]',
                'raw = decompose_resid(cache, layer)\n    parts = raw / cache["scale", layer, "ln1"]',
            ),
            ("parts @ model.W_K[layer, head]", "raw @ model.W_K[layer, head]"),
        ],
    ),
    Mistake(
        "attention_scores_by_input",
        "every part with a scale of its own",
        "each part is divided by its own spread; LayerNorm divides all of a position by one number, that of the whole stream",
        change=[
            (
                'parts = decompose_resid(cache, layer) / cache["scale", layer, "ln1"]',
                "parts = decompose_resid(cache, layer)\n"
                "    parts = parts / (parts.var(-1, unbiased=False, keepdim=True) + model.cfg.eps).sqrt()",
            )
        ],
    ),
    Mistake(
        "attention_scores_by_input",
        "the scale of the other LayerNorm",
        "the parts are divided by the scale of ln_final; heads read through ln1 of their own layer",
        change=[('cache["scale", layer, "ln1"]', 'cache["ln_final.hook_scale"]')],
    ),
    Mistake(
        "attention_scores_by_input",
        "biases left out",
        "b_Q and b_K are missing; they come last, as one more component on each side",
        change=[
            (
                "torch.cat([parts @ model.W_Q[layer, head], b_Q.expand(1, batch, pos, -1)])",
                "parts @ model.W_Q[layer, head]",
            ),
            (
                "torch.cat([parts @ model.W_K[layer, head], b_K.expand(1, batch, pos, -1)])",
                "parts @ model.W_K[layer, head]",
            ),
        ],
    ),
    Mistake(
        "attention_scores_by_input",
        "b_Q on both sides",
        "the keys' last component is b_Q as well; on the side of the key it is b_K",
        change=[("b_K.expand(1, batch, pos, -1)", "b_Q.expand(1, batch, pos, -1)")],
    ),
    Mistake(
        "attention_scores_by_input",
        "biases in every part",
        "every part carries the bias, so that it counts many times; it is one component of its own",
        change=[
            ("[parts @ model.W_Q[layer, head],", "[parts @ model.W_Q[layer, head] + b_Q,"),
            ("[parts @ model.W_K[layer, head],", "[parts @ model.W_K[layer, head] + b_K,"),
        ],
    ),
    Mistake(
        "attention_scores_by_input",
        "biases first",
        "the biases are the first component; they come last, so that the others keep the places they have in decompose_resid",
        change=[
            (
                "torch.cat([parts @ model.W_Q[layer, head], b_Q.expand(1, batch, pos, -1)])",
                "torch.cat([b_Q.expand(1, batch, pos, -1), parts @ model.W_Q[layer, head]])",
            ),
            (
                "torch.cat([parts @ model.W_K[layer, head], b_K.expand(1, batch, pos, -1)])",
                "torch.cat([b_K.expand(1, batch, pos, -1), parts @ model.W_K[layer, head]])",
            ),
        ],
    ),
    Mistake(
        "attention_scores_by_input",
        "not over the root of d_head",
        "the products are not divided by the root of d_head",
        change=[(" / math.sqrt(model.cfg.d_head)", "")],
    ),
    Mistake(
        "attention_scores_by_input",
        "components swapped",
        "the first axis holds the keys' components and the second the queries'; the query's come first",
        change=[
            (
                '" -> query_component key_component batch query key"',
                '" -> key_component query_component batch query key"',
            )
        ],
    ),
    Mistake(
        "attention_scores_by_input",
        "queries and keys swapped",
        "the last two axes are key and query; rows are queries",
        change=[
            (
                '" -> query_component key_component batch query key"',
                '" -> query_component key_component batch key query"',
            )
        ],
    ),
    Mistake(
        "attention_scores_by_input",
        "masked",
        "keys after the query were set to 0; these are the scores before the mask",
        change=[("return scores / math.sqrt(model.cfg.d_head)", "return scores.tril() / math.sqrt(model.cfg.d_head)")],
    ),
    # 2.19
    Mistake(
        "composition_score",
        "norm of the sum",
        "this is the norm of W_A + W_B; composition is the product W_A W_B",
        change=[("(W_A @ W_B).norm()", "(W_A + W_B).norm()")],
    ),
    Mistake(
        "composition_score",
        "the later one first",
        "the product is W_B W_A; rows are what goes in, so the earlier W_A stands on the left",
        change=[("(W_A @ W_B).norm()", "(W_B @ W_A).norm()")],
    ),
    Mistake(
        "composition_score",
        "entry by entry",
        "the matrices are multiplied entry by entry (*); the matrix product is @",
        change=[("(W_A @ W_B).norm()", "(W_A * W_B).norm()")],
    ),
    Mistake(
        "composition_score",
        "not divided",
        "the norm of the product is not divided by the norms of W_A and W_B, so it grows with the weights",
        change=[(" / (W_A.norm() * W_B.norm())", "")],
    ),
    Mistake(
        "composition_score",
        "divided by one of them",
        "only the norm of W_A is divided by: without brackets, a / b * c is (a / b) times c",
        change=[("/ (W_A.norm() * W_B.norm())", "/ W_A.norm() * W_B.norm()")],
    ),
    Mistake(
        "composition_score",
        "divided by the sum of norms",
        "the norms of W_A and W_B are added below; multiply them",
        change=[("W_A.norm() * W_B.norm()", "W_A.norm() + W_B.norm()")],
    ),
    Mistake(
        "composition_score",
        "spectral norm",
        "these are largest singular values (matrix_norm with ord=2); the Frobenius norm is W.norm()",
        write="""
        def composition_score(W_A, W_B):
            norm = partial(torch.linalg.matrix_norm, ord=2)
            return (norm(W_A @ W_B) / (norm(W_A) * norm(W_B))).item()
        """,
    ),
    Mistake(
        "composition_score",
        "squared",
        "squared norms are divided; take roots, or one root at the end",
        change=[("(W_A.norm() * W_B.norm())).item()", "(W_A.norm() * W_B.norm())).item() ** 2")],
    ),
    Mistake(
        "composition_score",
        "second matrix transposed",
        "W_B is transposed before the product; whoever calls has put it the right way round",
        change=[("(W_A @ W_B).norm()", "(W_A @ W_B.T).norm()")],
    ),
    Mistake(
        "composition_score",
        "divided by the norm of W_A alone",
        "the norm of W_B is missing below, so the score grows with W_B; divide by both norms",
        change=[("(W_A.norm() * W_B.norm())", "W_A.norm()")],
    ),
    Mistake(
        "composition_score",
        "divided by the norm of W_B alone",
        "the norm of W_A is missing below, so the score grows with W_A; divide by both norms",
        change=[("(W_A.norm() * W_B.norm())", "W_B.norm()")],
    ),
    # 2.20
    Mistake(
        "composition_scores",
        "Q and K mixed up",
        "W_QK and its transpose are mixed up: Q-composition meets W_Q W_Kᵀ from the query's side, K-composition its transpose",
        change=[('{"Q": W_Q @ W_K.T, "K": W_K @ W_Q.T,', '{"Q": W_K @ W_Q.T, "K": W_Q @ W_K.T,')],
    ),
    Mistake(
        "composition_scores",
        "no transpose",
        "K-composition uses the same W_QK as Q-composition; from the key's side it is its transpose, W_K W_Qᵀ",
        change=[('"K": W_K @ W_Q.T', '"K": W_Q @ W_K.T')],
    ),
    Mistake(
        "composition_scores",
        "V reads the unembedded side",
        "for V-composition the later head's W_OV is transposed; values are read by W_V, then W_O",
        change=[('"V": W_V @ W_O', '"V": (W_V @ W_O).T')],
    ),
    Mistake(
        "composition_scores",
        "later heads in rows",
        "rows are heads of layer 1; rows are the earlier heads, of layer 0",
        change=[("scores[earlier, later] =", "scores[later, earlier] =")],
    ),
    Mistake(
        "composition_scores",
        "arguments swapped",
        "composition_score gets the later head's matrix first; its first argument writes: W_OV of the earlier head",
        change=[
            (
                "composition_score(model.W_V[0, earlier] @ model.W_O[0, earlier], reads)",
                "composition_score(reads, model.W_V[0, earlier] @ model.W_O[0, earlier])",
            )
        ],
    ),
    Mistake(
        "composition_scores",
        "layer 1 into layer 0",
        "layers are swapped: what layer 1 writes cannot reach layer 0",
        change=[
            ("weights[1, later]", "weights[0, later]"),
            ("model.W_V[0, earlier] @ model.W_O[0, earlier]", "model.W_V[1, earlier] @ model.W_O[1, earlier]"),
        ],
    ),
    Mistake(
        "composition_scores",
        "within one layer",
        "both heads are of layer 0; heads of one layer read the same stream and cannot compose, so the later one is of layer 1",
        change=[("weights[1, later]", "weights[0, later]")],
    ),
    Mistake(
        "composition_scores",
        "the earlier head's QK",
        "the earlier head enters with W_QK, which says where it looks; what it writes is W_OV = W_V W_O",
        change=[("model.W_V[0, earlier] @ model.W_O[0, earlier]", "model.W_Q[0, earlier] @ model.W_K[0, earlier].T")],
    ),
    Mistake(
        "composition_scores",
        "any kind is V",
        "every other kind is taken for V; raise a ValueError that names the kind before anything else",
        change=[
            (
                """    if kind not in ("Q", "K", "V"):
        raise ValueError(f'the kind of composition must be "Q", "K" or "V", but got {kind!r}')
""",
                "",
            ),
            ("[kind]", ".get(kind, W_V @ W_O)"),
        ],
    ),
    Mistake(
        "composition_scores",
        "W_Q alone",
        "for Q-composition the later head enters with W_Q alone; what is searched for meets keys too: W_Q @ W_K.T",
        change=[('"Q": W_Q @ W_K.T', '"Q": W_Q')],
    ),
    Mistake(
        "composition_scores",
        "W_K alone",
        "for K-composition the later head enters with W_K alone; a key meets queries too: W_K @ W_Q.T",
        change=[('"K": W_K @ W_Q.T', '"K": W_K')],
    ),
    Mistake(
        "composition_scores",
        "W_V alone",
        "for V-composition the later head enters with W_V alone; what it brings back is written by W_O: W_V @ W_O",
        change=[('"V": W_V @ W_O', '"V": W_V')],
    ),
    Mistake(
        "composition_scores",
        "W_O alone",
        "the earlier head enters with W_O alone; what it makes of the stream is W_OV = W_V @ W_O",
        change=[("model.W_V[0, earlier] @ model.W_O[0, earlier]", "model.W_O[0, earlier]")],
    ),
    # 2.21
    Mistake(
        "skip_trigrams",
        "direct path left in",
        "W_E W_U of the destination is added; the direct path belongs to no head and is left out",
        write="""
        def skip_trigrams(model, layer, head, k, ln_scale=1.0):
            read = model.W_E / ln_scale
            pattern = ((read @ model.W_Q[layer, head]) @ (read @ model.W_K[layer, head]).T / model.cfg.d_head**0.5).softmax(-1)
            written = read @ model.W_V[layer, head] @ model.W_O[layer, head] @ model.W_U
            strengths = einops.einsum(pattern, written, "destination source, source out -> source destination out")
            strengths = strengths + model.W_E @ model.W_U
            best = strengths.flatten().topk(min(k, strengths.numel()))
            places = zip(*(axis.tolist() for axis in torch.unravel_index(best.indices, strengths.shape)))
            return [(*place, value) for place, value in zip(places, best.values.tolist())]
        """,
    ),
    Mistake(
        "skip_trigrams",
        "softmax over destinations",
        "the softmax runs over destinations; each destination shares its attention out over sources",
        change=[("scores.softmax(dim=-1)", "scores.softmax(dim=0)")],
    ),
    Mistake(
        "skip_trigrams",
        "scores in place of attention",
        "the raw score is multiplied with what is written; attention is the softmax of the scores",
        change=[
            ("attention_to_source = scores.softmax(dim=-1)", "attention_to_source = scores"),
            ("topk(min(k, model.cfg.d_vocab), dim=-1)", "topk(model.cfg.d_vocab, dim=-1)"),
        ],
    ),
    Mistake(
        "skip_trigrams",
        "not over the root of d_head",
        "the scores are not divided by the root of d_head before the softmax",
        change=[(" / math.sqrt(model.cfg.d_head)", "")],
    ),
    Mistake(
        "skip_trigrams",
        "source and destination swapped in the scores",
        "the source asks and the destination is asked: queries belong to the destination, keys to the source",
        change=[
            (
                "(read @ model.W_Q[layer, head]) @ (read @ model.W_K[layer, head]).T",
                "(read @ model.W_K[layer, head]) @ (read @ model.W_Q[layer, head]).T",
            )
        ],
    ),
    Mistake(
        "skip_trigrams",
        "the destination is written",
        "what is written depends on the destination here; the head moves the source's value",
        change=[
            (
                '"destination source, source rank -> source destination rank"',
                '"destination source, destination rank -> source destination rank"',
            ),
            ("outs[source, rank]", "outs[destination, rank]"),
        ],
    ),
    Mistake(
        "skip_trigrams",
        "destination first",
        "entries begin with the destination; the order is source, destination, out, strength",
        change=[
            (
                "(source, destination, outs[source, rank].item(), strength)",
                "(destination, source, outs[source, rank].item(), strength)",
            )
        ],
    ),
    Mistake(
        "skip_trigrams",
        "the rank for the word",
        "the third number is a place among the source's best, not the word there; look the word up in the indices of topk",
        change=[("outs[source, rank].item()", "rank")],
    ),
    Mistake(
        "skip_trigrams",
        "lowered words too",
        "the largest absolute values come back, words that are lowered among them; the strongest are the highest, with sign",
        change=[
            ("topk(min(k, model.cfg.d_vocab), dim=-1)", "topk(model.cfg.d_vocab, dim=-1)"),
            (
                "strengths.flatten().topk(min(k, strengths.numel()))",
                "strengths.flatten().abs().topk(min(k, strengths.numel()))",
            ),
        ],
    ),
    Mistake(
        "skip_trigrams",
        "words masked like positions",
        "a causal mask is laid over the vocabulary; word numbers have no order in time, every word may be a source",
        change=[
            (
                "scores.softmax(dim=-1)",
                "scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf).softmax(dim=-1)",
            )
        ],
    ),
    Mistake(
        "skip_trigrams",
        "scale forgotten in what is written",
        "ln_scale divides what queries and keys read, but not what values read; a head reads everything through LayerNorm",
        change=[("read @ model.W_V[layer, head]", "model.W_E @ model.W_V[layer, head]")],
    ),
    Mistake(
        "skip_trigrams",
        "scale forgotten in the scores",
        "ln_scale divides what values read, but not what queries and keys read; a head reads everything through LayerNorm",
        change=[
            (
                "(read @ model.W_Q[layer, head]) @ (read @ model.W_K[layer, head]).T",
                "(model.W_E @ model.W_Q[layer, head]) @ (model.W_E @ model.W_K[layer, head]).T",
            )
        ],
    ),
    Mistake(
        "skip_trigrams",
        "scale ignored",
        "ln_scale is not used; W_E is divided by it wherever the head reads: for queries, keys and values",
        change=[("model.W_E / ln_scale", "model.W_E")],
    ),
    Mistake(
        "skip_trigrams",
        "a LayerNorm for each word",
        "each row of W_E goes through LayerNorm by itself; all of W_E is divided by one number, ln_scale",
        change=[("model.W_E / ln_scale", "F.layer_norm(model.W_E, (model.cfg.d_model,), eps=model.cfg.eps)")],
    ),
    Mistake(
        "skip_trigrams",
        "one word for each source",
        "of each source only its best word is taken; its second best may be stronger than what others write: let k of each compete",
        change=[("topk(min(k, model.cfg.d_vocab), dim=-1)", "topk(1, dim=-1)")],
    ),
    Mistake(
        "skip_trigrams",
        "scores of the best words only",
        "the raw score is multiplied with what the best words get; attention is the softmax of the scores",
        change=[("attention_to_source = scores.softmax(dim=-1)", "attention_to_source = scores")],
    ),
    Mistake(
        "skip_trigrams",
        "queries twice",
        "both sides of the score are queries; the source offers a key: W_K",
        change=[
            (
                "(read @ model.W_Q[layer, head]) @ (read @ model.W_K[layer, head]).T",
                "(read @ model.W_Q[layer, head]) @ (read @ model.W_Q[layer, head]).T",
            )
        ],
    ),
    Mistake(
        "skip_trigrams",
        "keys twice",
        "both sides of the score are keys; the destination asks with a query: W_Q",
        change=[
            (
                "(read @ model.W_Q[layer, head]) @ (read @ model.W_K[layer, head]).T",
                "(read @ model.W_K[layer, head]) @ (read @ model.W_K[layer, head]).T",
            )
        ],
    ),
    Mistake(
        "skip_trigrams",
        "over d_head",
        "the scores are divided by d_head; divide by its root",
        change=[("math.sqrt(model.cfg.d_head)", "model.cfg.d_head")],
    ),
    Mistake(
        "skip_trigrams",
        "multiplied by the scale",
        "W_E is multiplied by ln_scale; LayerNorm divides by it",
        change=[("model.W_E / ln_scale", "model.W_E * ln_scale")],
    ),
    Mistake(
        "skip_trigrams",
        "left in the stream",
        "what is written stays a direction of the stream, and its largest components are taken for words; W_U makes logits of it",
        change=[(" @ model.W_O[layer, head] @ model.W_U", " @ model.W_O[layer, head]")],
    ),
    Mistake(
        "skip_trigrams",
        "attention turned round",
        "the attention that the source pays to the destination is taken; it is the destination that looks: rows are destinations",
        change=[
            (
                '"destination source, source rank -> source destination rank"',
                '"source destination, source rank -> source destination rank"',
            )
        ],
    ),
    Mistake(
        "skip_trigrams",
        "indices taken in another order",
        "strengths lie as destination, source, rank, but their indices are taken for source, destination, rank; let both have one order",
        change=[("-> source destination rank", "-> destination source rank")],
    ),
    # 2.22
    Mistake(
        "in_context_learning_score",
        "sign",
        "the early loss minus the late one is positive when context helps; subtract the early loss from the late",
        change=[("losses[:, late] - losses[:, early]", "losses[:, early] - losses[:, late]")],
    ),
    Mistake(
        "in_context_learning_score",
        "size alone",
        "the sign is taken away, so that a context that hurts looks like one that helps; leave the difference as it is",
        change=[(".mean().item()", ".mean().abs().item()")],
    ),
    Mistake(
        "in_context_learning_score",
        "places counted from 1",
        "the columns before `late` and `early` are taken; both are indices, which count from 0",
        change=[("losses[:, late] - losses[:, early]", "losses[:, late - 1] - losses[:, early - 1]")],
    ),
    Mistake(
        "in_context_learning_score",
        "everything between",
        "this is the mean from index late on minus the mean up to early; one column is taken at each place",
        change=[
            (
                "(losses[:, late] - losses[:, early]).mean().item()",
                "(losses[:, late:].mean() - losses[:, : early + 1].mean()).item()",
            )
        ],
    ),
    Mistake(
        "in_context_learning_score",
        "sum in place of mean",
        "the differences are summed over the texts, so that more texts give a larger score; take the mean",
        change=[(".mean().item()", ".sum().item()")],
    ),
    Mistake(
        "in_context_learning_score",
        "ratio",
        "the late loss is divided by the early one; the score is their difference, in nats",
        change=[("(losses[:, late] - losses[:, early]).mean()", "(losses[:, late].mean() / losses[:, early].mean())")],
    ),
    Mistake(
        "in_context_learning_score",
        "one text",
        "only the first text is looked at; the score is the mean over all texts of the batch",
        change=[("(losses[:, late] - losses[:, early]).mean()", "(losses[0, late] - losses[0, early])")],
    ),
    Mistake(
        "in_context_learning_score",
        "batch and position mixed up",
        "rows are taken for columns; the axes of losses are batch and pos, and early and late are places: losses[:, late]",
        write="""
        def in_context_learning_score(losses, early, late):
            rows = losses[[late % len(losses), early % len(losses)]]
            return (rows[0] - rows[1]).mean().item()
        """,
    ),
    Mistake(
        "in_context_learning_score",
        "early not subtracted",
        "this is the mean late loss alone; subtract the mean early loss",
        change=[("losses[:, late] - losses[:, early]", "losses[:, late]")],
    ),
    # 2.23
    Mistake(
        "scores_along_training",
        "mean over heads",
        "the scores are averaged over all heads, among which one strong head is lost; keep the highest",
        change=[
            (
                "torch.stack([induction_score(pattern, length) for pattern in patterns]).max()",
                "torch.stack([induction_score(pattern, length) for pattern in patterns]).mean()",
            ),
            (
                "torch.stack([previous_token_score(pattern) for pattern in patterns]).max()",
                "torch.stack([previous_token_score(pattern) for pattern in patterns]).mean()",
            ),
        ],
    ),
    Mistake(
        "scores_along_training",
        "the last layer only",
        "only heads of the last layer are looked at; the highest score may be in any layer, that of the previous token in an early one",
        change=[("for layer in range(model.cfg.n_layers)]", "for layer in [model.cfg.n_layers - 1]]")],
    ),
    Mistake(
        "scores_along_training",
        "the halves swapped",
        "the loss of the first half stands under the name of the second, and the other way round",
        change=[
            (
                'rows["loss, first half"].append(losses[:, 1:length].mean())',
                'rows["loss, second half"].append(losses[:, 1:length].mean())',
            ),
            (
                'rows["loss, second half"].append(losses[:, length + 1 : 2 * length].mean())',
                'rows["loss, first half"].append(losses[:, length + 1 : 2 * length].mean())',
            ),
        ],
    ),
    Mistake(
        "scores_along_training",
        "the first words counted",
        "each half is counted from its first word; neither can be known, and both halves begin with their second: 1 and length + 1",
        change=[("losses[:, 1:length]", "losses[:, :length]"), ("length + 1 : 2 * length", "length : 2 * length")],
    ),
    Mistake(
        "scores_along_training",
        "the first word of the second half counted",
        "the second half is counted from its first word, which nobody can know; begin at index length + 1 of the losses",
        change=[("length + 1 : 2 * length", "length : 2 * length")],
    ),
    Mistake(
        "scores_along_training",
        "the first word of the first half counted",
        "the first half is counted from its first word, unlike the second; begin at index 1 of the losses",
        change=[("losses[:, 1:length]", "losses[:, :length]")],
    ),
    Mistake(
        "scores_along_training",
        "the last loss left out",
        "the loss of the last word is left out; a slice excludes its end, and the last index is 2 * length - 1: length + 1 : 2 * length",
        change=[("length + 1 : 2 * length", "length + 1 : 2 * length - 1")],
    ),
    Mistake(
        "scores_along_training",
        "the last loss of each half left out",
        "the loss of each half's last word is left out; a slice excludes its end: 1 : length and length + 1 : 2 * length",
        change=[
            ("losses[:, 1:length]", "losses[:, 1 : length - 1]"),
            ("length + 1 : 2 * length", "length + 1 : 2 * length - 1"),
        ],
    ),
    Mistake(
        "scores_along_training",
        "log-probabilities",
        "the entries are log-probabilities, which are negative; the loss is minus that",
        change=[("losses = -per_token_log_probs", "losses = per_token_log_probs")],
    ),
    Mistake(
        "scores_along_training",
        "one checkpoint for all",
        "the same checkpoint is measured at every step; call load(step) inside the loop",
        change=[("model = load(step)", "model = load(steps[-1])")],
    ),
    Mistake(
        "scores_along_training",
        "sorted",
        "the steps are sorted first, so that the entries no longer belong to the steps as they were given",
        change=[("for step in steps:", "for step in sorted(steps):")],
    ),
    Mistake(
        "scores_along_training",
        "the scores swapped",
        "the previous-token score stands under induction, and the induction score under the previous token",
        change=[
            ('rows["induction"].append(', 'rows["previous token"].insert(len(rows["previous token"]), '),
            ('rows["previous token"].append(', 'rows["induction"].append('),
        ],
    ),
    Mistake(
        "scores_along_training",
        "the same word in place of the next",
        "induction is scored at a distance of length, the same word earlier; an induction head looks at the word after it, length - 1 back",
        change=[
            (
                "induction_score(pattern, length) for pattern",
                "pattern.diagonal(-length, -2, -1)[..., -length:].mean(dim=(0, -1)) for pattern",
            )
        ],
    ),
    Mistake(
        "scores_along_training",
        "the highest attention of any text",
        "the maximum is taken over texts and places, too; a score is a mean over these, and the maximum is over heads alone",
        write="""
        def scores_along_training(steps, load, tokens, length):
            rows = {name: [] for name in ("loss, first half", "loss, second half", "induction", "previous token")}
            for step in steps:
                model = load(step)
                logits, cache = model.run_with_cache(tokens)
                losses = -per_token_log_probs(logits, tokens)
                patterns = torch.cat([cache["pattern", layer] for layer in range(model.cfg.n_layers)])
                rows["loss, first half"].append(losses[:, 1:length].mean())
                rows["loss, second half"].append(losses[:, length + 1 : 2 * length].mean())
                rows["induction"].append(patterns.diagonal(1 - length, -2, -1)[..., -length:].max())
                rows["previous token"].append(patterns.diagonal(-1, -2, -1).max())
            return {name: torch.stack(values) for name, values in rows.items()}
        """,
    ),
    Mistake(
        "scores_along_training",
        "lists",
        "each entry is a list of numbers; make a tensor of it",
        change=[("name: torch.stack(values) for", "name: [value.item() for value in values] for")],
    ),
]
