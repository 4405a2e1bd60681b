"""This file knows the mistakes that people make in chapter 3, each with the one sentence that they are told."""

from utils.checking import Mistake

NEARLY_START = """
        def nearly_orthogonal(n_vectors, dim, steps, generator):
            start = torch.randn(n_vectors, dim, generator=generator, device=generator.device)"""

BATCH_DRAWS = """
        def generate_batch(batch, n_features, feature_probability, generator):
            shape = (batch, len(feature_probability), n_features)"""

MISTAKES = [
    # 3.1
    Mistake(
        "coherence",
        "self-products counted",
        "every vector is compared with itself, so the result is always 1; take out the diagonal before max",
        change=[("overlaps.fill_diagonal_(0).max()", "overlaps.max()")],
    ),
    Mistake(
        "coherence",
        "no absolute value",
        "the largest cosine is taken with its sign, so opposite directions count as harmless; take .abs(), and before max",
        change=[(".abs()", "")],
    ),
    Mistake(
        "coherence",
        "not normalised",
        "these are dot products of the vectors as they come, so long vectors look bad; bring each to length 1 first",
        change=[("F.normalize(vectors, dim=-1)", "vectors")],
    ),
    Mistake(
        "coherence",
        "columns normalised",
        "the columns are brought to length 1, not the vectors, which are rows: F.normalize(vectors, dim=-1)",
        change=[("dim=-1", "dim=0")],
    ),
    Mistake(
        "coherence",
        "divided by the norm of the whole matrix",
        "everything is divided by one number, the norm of the whole matrix; each row has a length of its own: dim=-1",
        change=[("F.normalize(vectors, dim=-1)", "vectors / vectors.norm()")],
    ),
    Mistake(
        "coherence",
        "pairs of columns",
        "the columns are compared with each other; the vectors are the rows: unit @ unit.T",
        change=[("F.normalize(vectors, dim=-1)", "F.normalize(vectors.T, dim=-1)")],
    ),
    Mistake(
        "coherence",
        "mean of the cosines",
        "this is the mean over all pairs; the coherence is that of the worst pair, the maximum",
        write="""
        def coherence(vectors):
            unit = F.normalize(vectors, dim=-1)
            overlaps = (unit @ unit.T).abs().fill_diagonal_(0)
            return overlaps.sum().item() / (len(unit) * (len(unit) - 1))
        """,
    ),
    Mistake(
        "coherence",
        "neighbours only",
        "only vectors that stand next to each other are compared; every pair counts: unit @ unit.T",
        write="""
        def coherence(vectors):
            return F.cosine_similarity(vectors[1:], vectors[:-1], dim=-1).abs().max().item()
        """,
    ),
    Mistake(
        "coherence",
        "only the first vector",
        "only the first vector is compared with the others; every pair counts: unit @ unit.T",
        write="""
        def coherence(vectors):
            return F.cosine_similarity(vectors[:1], vectors[1:], dim=-1).abs().max().item()
        """,
    ),
    Mistake(
        "coherence",
        "squared",
        "this is the square of the largest cosine; leave it as it is",
        change=[("(unit @ unit.T).abs()", "(unit @ unit.T) ** 2")],
    ),
    Mistake(
        "coherence",
        "smallest cosine",
        "this is the best pair, not the worst: take max",
        write="""
        def coherence(vectors):
            unit = F.normalize(vectors, dim=-1)
            return (unit @ unit.T).abs().min().item()
        """,
    ),
    Mistake(
        "coherence",
        "everything near 1 left out",
        "whatever is near 1 is taken for a vector with itself, so two vectors on one line are missed; leave out the diagonal by its place",
        change=[("overlaps.fill_diagonal_(0).max()", "overlaps[overlaps < 1 - 1e-5].max()")],
    ),
    Mistake(
        "coherence",
        "the angle",
        "this is the angle of the worst pair, in radians; the coherence is its cosine",
        change=[("overlaps.fill_diagonal_(0).max().item()", "overlaps.fill_diagonal_(0).max().acos().item()")],
    ),
    # 3.2
    Mistake(
        "nearly_orthogonal",
        "not normalised at the end",
        "the vectors come back with whatever length the descent gave them; F.normalize(vectors, dim=-1) at the end",
        change=[("return F.normalize(vectors.detach(), dim=-1)", "return vectors.detach()")],
    ),
    Mistake(
        "nearly_orthogonal",
        "columns normalised",
        "the columns are brought to length 1, not the vectors, which are rows: dim=-1",
        change=[("F.normalize(vectors.detach(), dim=-1)", "F.normalize(vectors.detach(), dim=0)")],
    ),
    Mistake(
        "nearly_orthogonal",
        "squares",
        "the loss is the sum of squares, which is smallest also where vectors are twins; take fourth powers",
        change=[("** 4", "** 2")],
    ),
    Mistake(
        "nearly_orthogonal",
        "cosines summed with their signs",
        "the loss adds up cosines with their signs, so opposite vectors, the worst of all, look best; take fourth powers",
        change=[(" ** 4", "")],
    ),
    Mistake(
        "nearly_orthogonal",
        "cubes",
        "the loss is the sum of third powers, which reward opposite directions; the power must be even: 4",
        change=[("** 4", "** 3")],
    ),
    Mistake(
        "nearly_orthogonal",
        "climbing",
        "the loss has the wrong sign, so vectors are drawn together; minimise the sum of fourth powers",
        change=[("loss.backward()", "(-loss).backward()")],
    ),
    Mistake(
        "nearly_orthogonal",
        "no descent",
        "these are the random directions of the start, for any number of steps; optimizer.step() must come in the loop",
        change=[("optimizer.step()", "pass")],
    ),
    Mistake(
        "nearly_orthogonal",
        "gradients pile up",
        "gradients of earlier steps stay in the sum; call optimizer.zero_grad() in each step, before backward",
        change=[("        optimizer.zero_grad()\n", "")],
    ),
    Mistake(
        "nearly_orthogonal",
        "steps too small",
        "with a learning rate of 0.001 a hundred steps lead nowhere; take 0.05",
        change=[("lr=0.05", "lr=0.001")],
    ),
    Mistake(
        "nearly_orthogonal",
        "absolute values",
        "the loss is the sum of absolute values, which likes few large overlaps as much as many small ones; take fourth powers",
        change=[("(unit @ unit.T) ** 4", "(unit @ unit.T).abs()")],
    ),
    Mistake(
        "nearly_orthogonal",
        "steps ignored",
        "the number of steps is always the same; use the argument: range(steps)",
        change=[("range(steps)", "range(100)")],
    ),
    Mistake(
        "nearly_orthogonal",
        "start in one octant",
        "the start is drawn with torch.rand, so all entries are positive and all vectors point the same way; use torch.randn",
        change=[("torch.randn(", "torch.rand(")],
    ),
    Mistake(
        "nearly_orthogonal",
        "torch's own random numbers",
        "the start comes from torch's global generator; give torch.randn generator=generator",
        change=[("generator=generator, device=generator.device", "device=generator.device")],
    ),
    Mistake(
        "nearly_orthogonal",
        "a seed of its own",
        "the generator is seeded inside the function, so every call gives the same vectors; draw from the one handed in",
        change=[("generator=generator", "generator=generator.manual_seed(0)")],
    ),
    Mistake(
        "nearly_orthogonal",
        "dot products of raw vectors, diagonal included",
        "the loss is made of the vectors as they are, diagonal included, and shrinks them to 0 in place of turning them; "
        "normalise inside the loop and leave the diagonal out",
        change=[
            ("unit = F.normalize(vectors, dim=-1)", "unit = vectors"),
            ("others * (unit @ unit.T) ** 4", "(unit @ unit.T) ** 4"),
        ],
    ),
    Mistake(
        "nearly_orthogonal",
        "columns pushed apart",
        "the columns are made orthogonal to each other, not the vectors: the pairs are those of unit @ unit.T",
        write=NEARLY_START
        + """
            vectors = F.normalize(start.to(device), dim=-1).requires_grad_()
            optimizer = torch.optim.Adam([vectors], lr=0.05)
            others = 1 - torch.eye(dim, device=device)
            for _ in range(steps):
                unit = F.normalize(vectors, dim=-1)
                loss = (others * (unit.T @ unit) ** 4).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return F.normalize(vectors.detach(), dim=-1)
        """,
    ),
    Mistake(
        "nearly_orthogonal",
        "orthogonalised, not packed",
        "QR gives orthogonal columns, which works only while there are no more vectors than dimensions; descend",
        write=NEARLY_START
        + """
            if steps == 0 or n_vectors > dim:
                return F.normalize(start.to(device), dim=-1)
            return torch.linalg.qr(start.T)[0].T.to(device)
        """,
    ),
    Mistake(
        "nearly_orthogonal",
        "dot products of raw vectors",
        "these are dot products of the raw vectors, so descent makes them short; bring them to length 1 inside the loss",
        change=[("unit = F.normalize(vectors, dim=-1)", "unit = vectors")],
    ),
    Mistake(
        "nearly_orthogonal",
        "start in a cube",
        "the start fills a cube, which has more room near its diagonals; draw from a normal distribution: torch.randn",
        change=[
            (
                "start = torch.randn(n_vectors, dim, generator=generator, device=generator.device)",
                "start = 2 * torch.rand(n_vectors, dim, generator=generator, device=generator.device) - 1",
            )
        ],
    ),
    Mistake(
        "nearly_orthogonal",
        "start by columns",
        "the start is divided by the lengths of its columns, which makes few vectors too even; divide each vector by its own: dim=-1",
        change=[("F.normalize(start.to(device), dim=-1)", "F.normalize(start.to(device), dim=0)")],
    ),
    Mistake(
        "nearly_orthogonal",
        "the graph of the last step",
        "what comes back hangs on the graph of the last step; detach the vectors: vectors.detach()",
        change=[("F.normalize(vectors.detach(), dim=-1)", "F.normalize(vectors, dim=-1)")],
    ),
    # 3.3
    Mistake(
        "random_packing_bound",
        "N squared",
        "this counts N² pairs; a vector is not paired with itself, so solve N (N - 1) = E",
        change=[("math.floor((1 + math.sqrt(1 + 4 * pairs)) / 2)", "math.floor(math.sqrt(pairs))")],
    ),
    Mistake(
        "random_packing_bound",
        "one side only",
        "the factor 2 for the opposite cap is missing: a pair is bad with probability 2 exp(-dim eps² / 2) at most",
        change=[("pairs = math.exp", "pairs = 2 * math.exp")],
    ),
    Mistake(
        "random_packing_bound",
        "every pair twice",
        "every pair is counted twice: N vectors have N (N - 1) / 2 pairs, and with the 2 of each this is N (N - 1)",
        change=[("pairs = math.exp", "pairs = 0.5 * math.exp")],
    ),
    Mistake(
        "random_packing_bound",
        "exponent without the half",
        "the exponent is dim · eps²; the cap bound has half of it: dim · eps² / 2",
        change=[("dim * eps**2 / 2)", "dim * eps**2)")],
    ),
    Mistake(
        "random_packing_bound",
        "eps not squared",
        "the exponent is dim · eps / 2; eps is squared in it",
        change=[("eps**2", "eps")],
    ),
    Mistake(
        "random_packing_bound",
        "dim squared with eps",
        "the whole product is squared, (dim · eps)² / 2; only eps is",
        change=[("dim * eps**2 / 2", "min((dim * eps) ** 2 / 2, 700)")],
    ),
    Mistake(
        "random_packing_bound",
        "sign of the exponent",
        "E has a minus in its exponent, so nothing fits; from N (N - 1) exp(-…) < 1 follows N (N - 1) < exp(+…)",
        change=[("math.exp(dim", "math.exp(-dim")],
    ),
    Mistake(
        "random_packing_bound",
        "rounded up",
        "the solution is rounded up, to the first number for which the inequality fails; round down",
        change=[("math.floor", "math.ceil")],
    ),
    Mistake(
        "random_packing_bound",
        "rounded to the nearest",
        "the solution is rounded to the nearest whole number, which may be one too many; round down",
        change=[("math.floor", "round")],
    ),
    Mistake(
        "random_packing_bound",
        "not a whole number",
        "the positive solution comes back as it is; a number of vectors is its floor",
        change=[("math.floor", "")],
    ),
    Mistake(
        "random_packing_bound",
        "the other solution",
        "of the two solutions this is the one with the minus, which is not positive; take the plus",
        change=[("(1 + math.sqrt", "(1 - math.sqrt")],
    ),
    Mistake(
        "random_packing_bound",
        "one vector against the others",
        "only the pairs of one vector with the N - 1 others are counted; any of N (N - 1) / 2 pairs may be bad",
        write="""
        def random_packing_bound(dim, eps):
            return math.floor(math.exp(dim * eps**2 / 2) / 2) + 1
        """,
    ),
    Mistake(
        "random_packing_bound",
        "4 left out of the root",
        "the root is taken of 1 + E; the solution of N² - N - E = 0 has 1 + 4 E there",
        change=[("1 + 4 * pairs", "1 + pairs")],
    ),
    Mistake(
        "random_packing_bound",
        "minus in front",
        "this solves N² + N = E; in N² - N - E = 0 the sign of N turns round: (1 + √…) / 2",
        change=[("(1 + math.sqrt", "(-1 + math.sqrt")],
    ),
    Mistake(
        "random_packing_bound",
        "not halved",
        "the last division by 2 of the solution is missing: N = (1 + √(1 + 4 E)) / 2",
        change=[("math.floor((1 + math.sqrt(1 + 4 * pairs)) / 2)", "math.floor(1 + math.sqrt(1 + 4 * pairs))")],
    ),
    Mistake(
        "random_packing_bound",
        "float32",
        "float32 keeps seven digits, so large numbers come out a little wrong; use math.exp and math.sqrt, or float64",
        change=[
            ("pairs = math.exp(dim * eps**2 / 2)", "pairs = torch.exp(torch.tensor(dim * eps**2 / 2))"),
            ("math.sqrt(1 + 4 * pairs)", "torch.sqrt(1 + 4 * pairs)"),
        ],
    ),
    Mistake(
        "random_packing_bound",
        "no exponential",
        "E is dim eps² / 2 itself here; it is the exponential of that: math.exp",
        change=[("math.exp(dim * eps**2 / 2)", "(dim * eps**2 / 2)")],
    ),
    Mistake(
        "random_packing_bound",
        "no root",
        "the root of 1 + 4 E is not taken: math.sqrt",
        change=[("math.sqrt(1 + 4 * pairs)", "(1 + 4 * pairs)")],
    ),
    Mistake(
        "random_packing_bound",
        "1 left out of the root",
        "the root is taken of 4 E; the solution of N² - N - E = 0 has 1 + 4 E there",
        change=[("1 + 4 * pairs", "4 * pairs")],
    ),
    Mistake(
        "random_packing_bound",
        "eps times 2",
        "eps is multiplied by 2 where it is to be squared: eps**2",
        change=[("eps**2", "eps * 2")],
    ),
    # 3.4
    Mistake(
        "generate_batch",
        "probability of absence",
        "features are there with 1 - p; torch.rand is below p with probability p, so compare with <",
        change=[("chance < feature", "chance > feature")],
    ),
    Mistake(
        "generate_batch",
        "probability of absence, strengths drawn first",
        "features are there with 1 - p; torch.rand is below p with probability p, so what is below p stays",
        write=BATCH_DRAWS
        + """
            strength = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
            chance = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
            return strength * (chance > feature_probability[:, None])
        """,
    ),
    Mistake(
        "generate_batch",
        "always there",
        "every feature is there in every example, whatever its probability; set it to 0 where chance is not below p",
        change=[(" * (chance < feature_probability[:, None])", "")],
    ),
    Mistake(
        "generate_batch",
        "a single draw, nothing absent",
        "every feature is there in every example, as if p were 1; a second draw has to decide what is there",
        write=BATCH_DRAWS
        + """
            return torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
        """,
    ),
    Mistake(
        "generate_batch",
        "noise",
        "this is normal noise, in which nothing is ever absent; draw what is there, and strengths uniform in [0, 1]",
        write=BATCH_DRAWS
        + """
            return torch.randn(shape, generator=generator, device=generator.device).to(feature_probability)
        """,
    ),
    Mistake(
        "generate_batch",
        "scaled by the probability",
        "strengths are multiplied by p, so all features are there, weakly; a feature is there in full with probability p, or 0",
        change=[("(chance < feature_probability[:, None])", "feature_probability[:, None]")],
    ),
    Mistake(
        "generate_batch",
        "all strengths 1",
        "a feature that is there always has the strength 1; draw its strength from torch.rand",
        change=[
            ("strength * (chance < feature_probability[:, None])", "(chance < feature_probability[:, None]).to(chance)")
        ],
    ),
    Mistake(
        "generate_batch",
        "one draw for both",
        "one draw decides what is there and how strongly, so strengths never exceed p; draw twice",
        change=[("return strength", "return chance")],
    ),
    Mistake(
        "generate_batch",
        "normal strengths",
        "the strengths are normal noise, of both signs; they are uniform in [0, 1]: torch.rand",
        change=[("strength = torch.rand(", "strength = torch.randn(")],
    ),
    Mistake(
        "generate_batch",
        "strengths from -1 to 1",
        "strengths run from -1 to 1; they are uniform in [0, 1], as torch.rand gives them",
        change=[("return strength", "return (2 * strength - 1)")],
    ),
    Mistake(
        "generate_batch",
        "strengths added to the mask",
        "what is there is added to the strengths, not multiplied with them, so that nothing is ever 0",
        change=[("strength * (chance", "strength + (chance")],
    ),
    Mistake(
        "generate_batch",
        "all features together",
        "one draw decides for all features of an example, so they come and go together; draw one for each",
        write=BATCH_DRAWS
        + """
            chance = torch.rand((*shape[:2], 1), generator=generator, device=generator.device).to(feature_probability)
            strength = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
            return strength * (chance < feature_probability[:, None])
        """,
    ),
    Mistake(
        "generate_batch",
        "one draw for all instances",
        "all instances share one draw of what is there; draw for each of them",
        write=BATCH_DRAWS
        + """
            chance = torch.rand((batch, 1, n_features), generator=generator, device=generator.device)
            strength = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
            return strength * (chance.to(feature_probability) < feature_probability[:, None])
        """,
    ),
    Mistake(
        "generate_batch",
        "one draw for all examples",
        "what is there is drawn once and is the same in every example; draw for each of them",
        write=BATCH_DRAWS
        + """
            chance = torch.rand(shape[1:], generator=generator, device=generator.device).to(feature_probability)
            strength = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
            return strength * (chance < feature_probability[:, None])
        """,
    ),
    Mistake(
        "generate_batch",
        "one strength for all features",
        "all features of an example have the same strength; draw one for each",
        write=BATCH_DRAWS
        + """
            chance = torch.rand(shape, generator=generator, device=generator.device).to(feature_probability)
            strength = torch.rand((*shape[:2], 1), generator=generator, device=generator.device).to(feature_probability)
            return strength * (chance < feature_probability[:, None])
        """,
    ),
    Mistake(
        "generate_batch",
        "first probability for all",
        "all instances have the probability of the first; put the probabilities along the instance axis: [:, None]",
        change=[("< feature_probability[:, None]", "< feature_probability[0]")],
    ),
    Mistake(
        "generate_batch",
        "torch's own random numbers",
        "the draws come from torch's global generator; give both generator=generator",
        write=BATCH_DRAWS
        + """
            chance = torch.rand(shape).to(feature_probability)
            strength = torch.rand(shape).to(feature_probability)
            return strength * (chance < feature_probability[:, None])
        """,
    ),
    Mistake(
        "generate_batch",
        "a seed of its own",
        "the generator is seeded inside, so every batch is the same; draw from the one handed in as it is",
        change=[("    chance = torch", "    generator.manual_seed(0)\n    chance = torch")],
    ),
    Mistake(
        "generate_batch",
        "instances first",
        "the axes come as instance batch feature; examples come first: batch instance feature",
        change=[
            (
                "return strength * (chance < feature_probability[:, None])",
                "return (strength * (chance < feature_probability[:, None])).transpose(0, 1)",
            )
        ],
    ),
    Mistake(
        "generate_batch",
        "always float32",
        "the batch is float32 whatever the dtype of the probabilities; move the draws with .to(feature_probability)",
        write=BATCH_DRAWS
        + """
            to = feature_probability.device
            chance = torch.rand(shape, generator=generator, device=generator.device).to(to)
            strength = torch.rand(shape, generator=generator, device=generator.device).to(to)
            return strength * (chance < feature_probability[:, None])
        """,
    ),
    Mistake(
        "generate_batch",
        "nothing",
        "all features are 0 in every example; a model learns nothing from that",
        write=BATCH_DRAWS
        + """
            return torch.zeros(shape).to(feature_probability)
        """,
    ),
    # 3.5
    Mistake(
        "ToyModel",
        "no ReLU",
        "what is read comes out with its sign; ReLU goes over everything at the end",
        change=[("F.relu(out + self.b)", "out + self.b")],
    ),
    Mistake(
        "ToyModel",
        "no bias",
        "the bias is left out; add self.b before ReLU",
        change=[("F.relu(out + self.b)", "F.relu(out)")],
    ),
    Mistake(
        "ToyModel",
        "neither bias nor ReLU",
        "this is Wᵀ W x alone; add self.b, and ReLU over it",
        change=[("F.relu(out + self.b)", "out")],
    ),
    Mistake(
        "ToyModel",
        "bias after ReLU",
        "the bias is added after ReLU, where it can no longer hold back weak readings; add it before",
        change=[("F.relu(out + self.b)", "F.relu(out) + self.b")],
    ),
    Mistake(
        "ToyModel",
        "bias subtracted",
        "the bias is subtracted; add it",
        change=[("out + self.b", "out - self.b")],
    ),
    Mistake(
        "ToyModel",
        "ReLU in the middle too",
        "the hidden numbers go through ReLU as well, which makes them positive; this model has it at the end only",
        change=[
            ('d_hidden feature -> batch instance d_hidden")', 'd_hidden feature -> batch instance d_hidden").relu()')
        ],
    ),
    Mistake(
        "ToyModel",
        "weights of the first instance",
        "all instances use the weights of the first; `instance` must stand in both inputs of each einsum",
        write="""
        class ToyModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                W = torch.randn(n_instances, d_hidden, n_features, generator=generator, device=generator.device)
                self.W = nn.Parameter((W / math.sqrt(n_features)).to(device))
                self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))

            def forward(self, x):
                h = x @ self.W[0].T
                return F.relu(h @ self.W[0] + self.b)
        """,
    ),
    Mistake(
        "ToyModel",
        "bias of the first instance",
        "all instances have the bias of the first; self.b has a row for each and broadcasts over the batch as it is",
        change=[("out + self.b", "out + self.b[0]")],
    ),
    Mistake(
        "ToyModel",
        "instances mixed",
        "the hidden numbers of all instances are added up; `instance` must stay, to the right of the arrow as well",
        change=[
            ('d_hidden feature -> batch instance d_hidden")', 'd_hidden feature -> batch d_hidden")'),
            ('h, self.W, "batch instance d_hidden, instance', 'h, self.W, "batch d_hidden, instance'),
        ],
    ),
    Mistake(
        "ToyModel",
        "another nonlinearity",
        "the end is GELU; this model has ReLU, which gives exactly 0 for negative readings",
        change=[("F.relu(", "F.gelu(")],
    ),
    Mistake(
        "ToyModel",
        "absolute value",
        "negative readings come out as positive ones; ReLU makes them 0",
        change=[("F.relu(out + self.b)", "(out + self.b).abs()")],
    ),
    Mistake(
        "ToyModel",
        "bias added before the way back",
        "the bias is subtracted from the input; it belongs to the output, added before ReLU",
        change=[("(x, self.W", "(x - self.b, self.W"), ("out + self.b", "out")],
    ),
    Mistake(
        "ToyModel",
        "no gradient on the way back",
        "the weights of the way back are detached, so half of their gradient is missing; use self.W as it is in both products",
        change=[("einsum(h, self.W,", "einsum(h, self.W.detach(),")],
    ),
    Mistake(
        "ToyModel",
        "no gradient on the way in",
        "the weights of the way in are detached, so half of their gradient is missing; use self.W as it is in both products",
        change=[("einsum(x, self.W,", "einsum(x, self.W.detach(),")],
    ),
    Mistake(
        "ToyModel",
        "all weights 0",
        "W starts at 0, and from there no gradient leads away; let it start random, as __init__ was given",
        change=[("(W / math.sqrt(n_features))", "(0 * W)")],
    ),
    Mistake(
        "ToyModel",
        "columns normalised",
        "the columns of W are brought to length 1 on the way; a feature writes with the length that it has",
        write="""
        class ToyModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                W = torch.randn(n_instances, d_hidden, n_features, generator=generator, device=generator.device)
                self.W = nn.Parameter((W / math.sqrt(n_features)).to(device))
                self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))

            def forward(self, x):
                W = F.normalize(self.W, dim=1)
                h = einops.einsum(W, x, "i h f, b i f -> b i h")
                return F.relu(einops.einsum(W, h, "i h f, b i h -> b i f") + self.b)
        """,
    ),
    # 3.6
    Mistake(
        "importance_weighted_loss",
        "importance squared",
        "the importance is squared along with the error; multiply after squaring",
        change=[("importance * (x - x_hat) ** 2", "(importance * (x - x_hat)) ** 2")],
    ),
    Mistake(
        "importance_weighted_loss",
        "no importance",
        "all features count the same; multiply the squared error by the importance",
        change=[("importance * (x - x_hat) ** 2", "(x - x_hat) ** 2")],
    ),
    Mistake(
        "importance_weighted_loss",
        "summed over features",
        "errors are summed over the features and averaged over the batch only; take the mean over both",
        change=[(".mean(dim=(0, 2))", ".sum(dim=2).mean(dim=0)")],
    ),
    Mistake(
        "importance_weighted_loss",
        "summed over the batch",
        "errors are summed over the batch and averaged over the features only; take the mean over both",
        change=[(".mean(dim=(0, 2))", ".mean(dim=2).sum(dim=0)")],
    ),
    Mistake(
        "importance_weighted_loss",
        "summed over both",
        "errors are summed over batch and features; take the mean over both",
        change=[(".mean(dim=(0, 2))", ".sum(dim=(0, 2))")],
    ),
    Mistake(
        "importance_weighted_loss",
        "one number for all",
        "the instances are averaged too; each keeps a loss of its own: mean over dim=(0, 2)",
        change=[(".mean(dim=(0, 2))", ".mean()")],
    ),
    Mistake(
        "importance_weighted_loss",
        "features kept apart",
        "the mean runs over the batch only, so every feature has a loss; average over the features too: dim=(0, 2)",
        change=[(".mean(dim=(0, 2))", ".mean(dim=0)")],
    ),
    Mistake(
        "importance_weighted_loss",
        "examples kept apart",
        "the instances are averaged away and the examples stay; it is the other way round: mean over dim=(0, 2)",
        change=[(".mean(dim=(0, 2))", ".mean(dim=(1, 2))")],
    ),
    Mistake(
        "importance_weighted_loss",
        "absolute error",
        "the error counts by its size, not by its square",
        change=[("(x - x_hat) ** 2", "(x - x_hat).abs()")],
    ),
    Mistake(
        "importance_weighted_loss",
        "root of the mean",
        "the root of the mean is taken; leave the squares as they are",
        change=[(".mean(dim=(0, 2))", ".mean(dim=(0, 2)).sqrt()")],
    ),
    Mistake(
        "importance_weighted_loss",
        "weighted mean",
        "the loss is divided by the sum of the importances; divide by the number of features, as a mean does",
        change=[(".mean(dim=(0, 2))", ".mean(dim=0).sum(dim=-1) / importance.sum(dim=-1)")],
    ),
    Mistake(
        "importance_weighted_loss",
        "half of it",
        "the loss is half of what it should be; there is no 1/2 in this formula",
        change=[("importance * (x", "0.5 * importance * (x")],
    ),
    Mistake(
        "importance_weighted_loss",
        "no gradient",
        "no gradient can flow back to the output, since it is detached; use x_hat as it comes",
        change=[("importance * (x - x_hat) ** 2", "importance * (x - x_hat.detach()) ** 2")],
    ),
    Mistake(
        "importance_weighted_loss",
        "not squared",
        "the errors are averaged with their signs, so that they cancel; square each, then average",
        change=[("(x - x_hat) ** 2", "(x - x_hat)")],
    ),
    # 3.7
    Mistake(
        "train_toy_models",
        "mean of the instances",
        "backward runs on the mean over instances, so each learns more slowly the more there are; take the sum",
        change=[("loss.sum().backward()", "loss.mean().backward()")],
    ),
    Mistake(
        "train_toy_models",
        "gradients pile up",
        "gradients of earlier steps stay in the sum; call optimizer.zero_grad() in each step, before backward",
        change=[("        optimizer.zero_grad()\n", "")],
    ),
    Mistake(
        "train_toy_models",
        "no step",
        "the model never changes: optimizer.step() is missing, or zero_grad() stands between backward and step",
        change=[("        optimizer.step()\n", "")],
    ),
    Mistake(
        "train_toy_models",
        "loss after the step",
        "the losses are taken after the step on their batch; keep those from before it",
        change=[
            (
                "losses.append(loss.detach())",
                "losses.append(importance_weighted_loss(model(x), x, importance).detach())",
            )
        ],
    ),
    Mistake(
        "train_toy_models",
        "two batches a step",
        "the output for one batch is compared with another batch; call make_batch() once per step and keep what it gives",
        change=[
            (
                "importance_weighted_loss(model(x), x, importance)",
                "importance_weighted_loss(model(x), make_batch(), importance)",
            )
        ],
    ),
    Mistake(
        "train_toy_models",
        "always the same batch",
        "make_batch is called once, before the loop, so every step sees the same examples; call it in each step",
        change=[
            ("    losses = []\n", "    losses = []\n    x = make_batch()\n"),
            ("        x = make_batch()\n        loss", "        loss"),
        ],
    ),
    Mistake(
        "train_toy_models",
        "importance left out",
        "every feature counts the same in this training; hand importance to importance_weighted_loss",
        change=[("x, importance)", "x, torch.ones_like(importance))")],
    ),
    Mistake(
        "train_toy_models",
        "first instance only",
        "only the loss of the first instance goes backward, and the others learn nothing; take the sum of all",
        change=[("loss.sum()", "loss[0]")],
    ),
    Mistake(
        "train_toy_models",
        "an optimizer of its own",
        "another optimizer is made inside and used in place of the one that is handed in",
        change=[
            ("    losses = []\n", "    losses = []\n    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)\n")
        ],
    ),
    Mistake(
        "train_toy_models",
        "one number a step",
        "only the sum of the losses is kept; keep one for each instance and stack them: step instance",
        change=[("loss.detach()", "loss.sum().detach()")],
    ),
    Mistake(
        "train_toy_models",
        "instances first",
        "the axes come as instance step; steps come first: torch.stack(losses) as it is",
        change=[("torch.stack(losses)", "torch.stack(losses, dim=1)")],
    ),
    Mistake(
        "train_toy_models",
        "last losses only",
        "only the losses of the last step come back; collect those of every step",
        change=[("torch.stack(losses)", "losses[-1]")],
    ),
    Mistake(
        "train_toy_models",
        "a step too many",
        "there is one step more than asked for: range(steps)",
        change=[("range(steps)", "range(steps + 1)")],
    ),
    Mistake(
        "train_toy_models",
        "a step too few",
        "there is one step fewer than asked for: range(steps)",
        change=[("range(steps)", "range(steps - 1)")],
    ),
    Mistake(
        "train_toy_models",
        "a copy is trained",
        "a copy is trained and the model that was handed in stays as it was; use model itself",
        change=[
            (
                "    losses = []\n",
                "    import copy\n\n    losses = []\n    model = copy.deepcopy(model)\n"
                "    optimizer = type(optimizer)(model.parameters(), **optimizer.defaults)\n",
            )
        ],
    ),
    Mistake(
        "train_toy_models",
        "losses with their graph",
        "the losses that come back hang on the graphs of their steps; keep loss.detach()",
        change=[("losses.append(loss.detach())", "losses.append(loss)")],
    ),
    # 3.8
    Mistake(
        "feature_dimensionality",
        "direction not normalised",
        "both vectors of the overlap have their own length; the feature's own direction must have length 1: F.normalize(W, dim=1)",
        change=[("unit = F.normalize(W, dim=1)", "unit = W")],
    ),
    Mistake(
        "feature_dimensionality",
        "both directions normalised",
        "both vectors of the overlap are normalised, so a faint neighbour counts as much as a strong one; only the feature's own is",
        change=[("einops.einsum(unit, W,", "einops.einsum(unit, unit,")],
    ),
    Mistake(
        "feature_dimensionality",
        "the neighbours normalised",
        "the sum runs over the normalised features, so the neighbours count with length 1 and the feature itself as it is; sum over j",
        change=[("room = overlaps.square().sum(dim=-1)", "room = overlaps.square().sum(dim=-2)")],
    ),
    Mistake(
        "feature_dimensionality",
        "normalised over features",
        "W is normalised over the features; a feature's vector lies along d_hidden, which is axis 1",
        change=[("F.normalize(W, dim=1)", "F.normalize(W, dim=2)")],
    ),
    Mistake(
        "feature_dimensionality",
        "own term left out",
        "the sum leaves out the feature itself; it runs over all j, and the term j = i is ‖W_i‖²",
        change=[
            (
                "room = overlaps.square().sum(dim=-1)",
                "room = overlaps.square().sum(dim=-1) - W.square().sum(dim=1)",
            )
        ],
    ),
    Mistake(
        "feature_dimensionality",
        "length for its square",
        "the numerator is the length of the vector; it is its square",
        change=[("W.square().sum(dim=1) /", "W.norm(dim=1) /")],
    ),
    Mistake(
        "feature_dimensionality",
        "overlaps not squared",
        "the overlaps are added up without squares; square each before the sum",
        change=[("overlaps.square().sum(dim=-1)", "overlaps.abs().sum(dim=-1)")],
    ),
    Mistake(
        "feature_dimensionality",
        "signed overlaps",
        "the overlaps are added up with their signs, and the sum is squared, so opposite ones cancel; square each before the sum",
        change=[("overlaps.square().sum(dim=-1)", "overlaps.sum(dim=-1).square()")],
    ),
    Mistake(
        "feature_dimensionality",
        "upside down",
        "the fraction is upside down: how many features share the direction; the squared length stands above",
        change=[
            (
                "return W.square().sum(dim=1) / room.clamp_min(torch.finfo(W.dtype).tiny)",
                "return room / W.square().sum(dim=1).clamp_min(torch.finfo(W.dtype).tiny)",
            )
        ],
    ),
    Mistake(
        "feature_dimensionality",
        "0/0",
        "a vector of 0 gives 0/0, which is NaN; keep the divisor above 0, so that 0 comes out",
        change=[
            ("unit = F.normalize(W, dim=1)", "unit = W / W.norm(dim=1, keepdim=True)"),
            (".clamp_min(torch.finfo(W.dtype).tiny)", ""),
        ],
    ),
    Mistake(
        "feature_dimensionality",
        "absent features have a dimension",
        "a vector of 0 gets dimensionality 1; what is not represented has 0",
        change=[
            (
                "return W.square().sum(dim=1) / room.clamp_min(torch.finfo(W.dtype).tiny)",
                "return (W.square().sum(dim=1) / room).nan_to_num(nan=1.0)",
            )
        ],
    ),
    Mistake(
        "feature_dimensionality",
        "mean over features",
        "the denominator is the mean over features; it is the sum",
        change=[("overlaps.square().sum(dim=-1)", "overlaps.square().mean(dim=-1)")],
    ),
    Mistake(
        "feature_dimensionality",
        "feature first",
        "the axes come back as feature instance; instances come first",
        change=[
            (
                "return W.square().sum(dim=1) / room.clamp_min(torch.finfo(W.dtype).tiny)",
                "return (W.square().sum(dim=1) / room.clamp_min(torch.finfo(W.dtype).tiny)).T",
            )
        ],
    ),
    Mistake(
        "feature_dimensionality",
        "NaN of one feature reaches all",
        "a vector of 0 divided by its length is NaN, which the sum spreads to every other feature; divide without 0/0, with F.normalize",
        change=[
            ("unit = F.normalize(W, dim=1)", "unit = W / W.norm(dim=1, keepdim=True)"),
            ("overlaps.square().sum(dim=-1)", "overlaps.square().sum(dim=1)"),
            (
                "W.square().sum(dim=1) / room.clamp_min(torch.finfo(W.dtype).tiny)",
                "torch.nan_to_num(W.square().sum(dim=1) / room)",
            ),
        ],
    ),
    # 3.9
    Mistake(
        "expected_interference",
        "own feature counted",
        "the feature's own part is counted as interference; set the diagonal of WᵀW to 0",
        change=[("(1 - torch.eye(W.shape[-1], dtype=W.dtype, device=W.device))", "1")],
    ),
    Mistake(
        "expected_interference",
        "mean left out",
        "this is the variance of the interference; its mean square has the squared mean on top, (p/2 · Σ a_j)²",
        change=[(" + (mean * others.sum(dim=-1)) ** 2", "")],
    ),
    Mistake(
        "expected_interference",
        "mean square for variance",
        "the first part uses E[x²] = p/3, which has the squared mean in it already; there the variance belongs, p/3 - p²/4",
        change=[("p / 3 - p**2 / 4", "p / 3")],
    ),
    Mistake(
        "expected_interference",
        "means squared one by one",
        "the mean of each other feature is squared by itself; the means add up first, and their sum is squared",
        change=[
            ("(mean * others.sum(dim=-1)) ** 2", "(mean[..., None] * others).square().sum(dim=-1)"),
        ],
    ),
    Mistake(
        "expected_interference",
        "strength 1",
        "features are taken to be 1 whenever they are there; they are uniform in [0, 1]: mean p/2, variance p/3 - p²/4",
        change=[("p / 2, p / 3 - p**2 / 4", "p, p - p**2")],
    ),
    Mistake(
        "expected_interference",
        "always there",
        "the variance is p/12, a uniform number's times p; that a feature may be absent makes it p/3 - p²/4",
        change=[("p / 3 - p**2 / 4", "p / 12")],
    ),
    Mistake(
        "expected_interference",
        "mean without the half",
        "the mean of a feature is taken to be p; when it is there, it is 1/2 on average: p/2",
        change=[("mean, variance = p / 2,", "mean, variance = p,")],
    ),
    Mistake(
        "expected_interference",
        "cosines",
        "the overlaps are cosines; interference is made of the vectors as they are, with their lengths",
        change=[
            (
                "overlaps = einops.einsum(W, W,",
                "overlaps = einops.einsum(F.normalize(W, dim=1), F.normalize(W, dim=1),",
            )
        ],
    ),
    Mistake(
        "expected_interference",
        "all rise and fall together",
        "the overlaps are added up before the variance is taken, as if all features rose and fell together; variances add: Σ a_j²",
        change=[("others.square().sum(dim=-1)", "others.sum(dim=-1).square()")],
    ),
    Mistake(
        "expected_interference",
        "one probability for all",
        "all instances have the mean probability; each has its own: probability[:, None]",
        change=[("p = probability[:, None]", "p = probability.mean()")],
    ),
    Mistake(
        "expected_interference",
        "its root",
        "the root is taken at the end; asked for is the mean square itself",
        change=[
            (
                "return variance * others.square().sum(dim=-1) + (mean * others.sum(dim=-1)) ** 2",
                "return (variance * others.square().sum(dim=-1) + (mean * others.sum(dim=-1)) ** 2).sqrt()",
            )
        ],
    ),
    Mistake(
        "expected_interference",
        "own direction normalised",
        "the feature's own vector is brought to length 1, as for D_i; here both vectors are used as they are",
        write="""
        def expected_interference(W, probability):
            a = F.normalize(W, dim=1).mT @ W
            a = a - torch.diag_embed(a.diagonal(dim1=-2, dim2=-1))
            p = probability[:, None]
            return (p / 3 - p**2 / 4) * a.square().sum(dim=-1) + (p / 2 * a.sum(dim=-1)) ** 2
        """,
    ),
    Mistake(
        "expected_interference",
        "p/2 not squared",
        "only the sum of the overlaps is squared; the square takes in p/2 as well: (p/2 · Σ a_j)²",
        write="""
        def expected_interference(W, probability):
            a = W.mT @ W
            a = a - torch.diag_embed(a.diagonal(dim1=-2, dim2=-1))
            p = probability[:, None]
            return (p / 3 - p**2 / 4) * a.square().sum(dim=-1) + p / 2 * a.sum(dim=-1) ** 2
        """,
    ),
    Mistake(
        "expected_interference",
        "mean not squared",
        "the mean is added as it is; the mean of a square is the variance plus the mean squared",
        write="""
        def expected_interference(W, probability):
            a = W.mT @ W
            a = a - torch.diag_embed(a.diagonal(dim1=-2, dim2=-1))
            p = probability[:, None]
            return (p / 3 - p**2 / 4) * a.square().sum(dim=-1) + p / 2 * a.sum(dim=-1)
        """,
    ),
    Mistake(
        "expected_interference",
        "overlaps of the variance not squared",
        "the variance of a_j x_j is a_j² times that of x_j; the first sum runs over squares",
        write="""
        def expected_interference(W, probability):
            a = W.mT @ W
            a = a - torch.diag_embed(a.diagonal(dim1=-2, dim2=-1))
            p = probability[:, None]
            return (p / 3 - p**2 / 4) * a.sum(dim=-1) + (p / 2 * a.sum(dim=-1)) ** 2
        """,
    ),
    Mistake(
        "expected_interference",
        "means without signs",
        "the overlaps of the mean lose their signs, so neighbours on either side no longer cancel; leave out abs",
        write="""
        def expected_interference(W, probability):
            a = W.mT @ W
            a = a - torch.diag_embed(a.diagonal(dim1=-2, dim2=-1))
            p = probability[:, None]
            return (p / 3 - p**2 / 4) * a.square().sum(dim=-1) + (p / 2 * a.abs().sum(dim=-1)) ** 2
        """,
    ),
    Mistake(
        "expected_interference",
        "variance with a plus",
        "the variance is the mean square minus the squared mean: p/3 - p²/4",
        change=[("p / 3 - p**2 / 4", "p / 3 + p**2 / 4")],
    ),
    Mistake(
        "expected_interference",
        "variance left out",
        "only the squared mean is there; the variance adds to it: (p/3 - p²/4) · Σ a_j²",
        change=[("variance * others.square().sum(dim=-1) + ", "")],
    ),
    Mistake(
        "expected_interference",
        "mean subtracted",
        "the squared mean is subtracted; a mean square is the variance plus the squared mean",
        change=[(".sum(dim=-1) + (mean", ".sum(dim=-1) - (mean")],
    ),
    Mistake(
        "expected_interference",
        "mean of the squares",
        "the squared overlaps are averaged over the features; the variances of all others add up: sum",
        change=[("others.square().sum(dim=-1)", "others.square().mean(dim=-1)")],
    ),
    Mistake(
        "expected_interference",
        "mean of the overlaps",
        "the overlaps are averaged over the features; the means of all others add up: sum",
        change=[("others.sum(dim=-1)", "others.mean(dim=-1)")],
    ),
    Mistake(
        "expected_interference",
        "the own feature only",
        "the diagonal is kept and all else dropped, the wrong way round: multiply with 1 minus the unit matrix",
        change=[
            (
                "(1 - torch.eye(W.shape[-1], dtype=W.dtype, device=W.device))",
                "torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)",
            )
        ],
    ),
    # 3.10
    Mistake(
        "phase",
        "the feature in its own company",
        "the sum of overlaps has the feature itself in it, so every represented feature seems to share; leave out j = i",
        change=[(" - norm.square()", "")],
    ),
    Mistake(
        "phase",
        "direction not normalised",
        "the feature's own vector is not normalised, so a long one seems to have more company; take its unit direction",
        change=[("F.normalize(own, dim=-1), W,", "own, W,"), (" - norm.square()", " - norm**4")],
    ),
    Mistake(
        "phase",
        "cosines",
        "the others are normalised too, so a faint neighbour counts as much as a strong one; only the feature's own direction is",
        change=[
            ("F.normalize(own, dim=-1), W,", "F.normalize(own, dim=-1), F.normalize(W, dim=1),"),
            (" - norm.square()", " - F.normalize(own, dim=-1).square().sum(dim=-1)"),
        ],
    ),
    Mistake(
        "phase",
        "company asked first",
        "a feature that is hardly represented counts as superposition when it lies along another; ask for its length first",
        change=[
            (
                "torch.where(norm < min_norm, 0, torch.where(company > max_overlap, 2, 1))",
                "torch.where(company > max_overlap, 2, torch.where(norm < min_norm, 0, 1))",
            )
        ],
    ),
    Mistake(
        "phase",
        "1 and 2 exchanged",
        "the numbers are exchanged: 1 is a dimension of its own, 2 is superposition",
        change=[("torch.where(company > max_overlap, 2, 1)", "torch.where(company > max_overlap, 1, 2)")],
    ),
    Mistake(
        "phase",
        "squared length",
        "min_norm is compared with the squared length; it is a bound on the length",
        change=[("norm < min_norm", "norm.square() < min_norm")],
    ),
    Mistake(
        "phase",
        "always feature 0",
        "it is always feature 0 that is looked at; use the argument: W[:, :, feature]",
        change=[("own = W[:, :, feature]", "own = W[:, :, 0]")],
    ),
    Mistake(
        "phase",
        "fixed thresholds",
        "the thresholds are always 0.5 and 0.25; use min_norm and max_overlap as they are handed in",
        change=[("norm < min_norm", "norm < 0.5"), ("company > max_overlap", "company > 0.25")],
    ),
    Mistake(
        "phase",
        "the nearest neighbour only",
        "only the largest overlap is looked at; several small ones make company as well: sum their squares",
        write="""
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            own = W[:, :, feature]
            norm = own.norm(dim=-1)
            overlaps = torch.einsum("ih,ihf->if", F.normalize(own, dim=-1), W).square()
            overlaps[:, feature] = 0
            company = overlaps.amax(dim=-1)
            return torch.where(norm < min_norm, 0, torch.where(company > max_overlap, 2, 1))
        """,
    ),
    Mistake(
        "phase",
        "overlaps not squared",
        "the sizes of the overlaps are added up; their squares are what max_overlap bounds",
        write="""
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            own = W[:, :, feature]
            norm = own.norm(dim=-1)
            overlaps = torch.einsum("ih,ihf->if", F.normalize(own, dim=-1), W).abs()
            company = overlaps.sum(dim=-1) - norm
            return torch.where(norm < min_norm, 0, torch.where(company > max_overlap, 2, 1))
        """,
    ),
    Mistake(
        "phase",
        "square of the sum",
        "the projections are summed before they are squared, so opposite neighbours cancel; square each, then sum",
        write="""
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            rest = torch.arange(W.shape[-1], device=W.device) != feature
            projections = (F.normalize(W, dim=1).mT @ W)[:, feature]
            company = projections[:, rest].sum(dim=-1).square()
            return torch.where(W[..., feature].norm(dim=-1) < min_norm, 0, torch.where(company > max_overlap, 2, 1))
        """,
    ),
    Mistake(
        "phase",
        "the neighbours normalised",
        "the other features are brought to length 1, and the feature itself is not; it is its direction that they are projected on",
        write="""
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            rest = torch.arange(W.shape[-1], device=W.device) != feature
            projections = (W.mT @ F.normalize(W, dim=1))[:, feature]
            company = projections[:, rest].square().sum(dim=-1)
            return torch.where(W[..., feature].norm(dim=-1) < min_norm, 0, torch.where(company > max_overlap, 2, 1))
        """,
    ),
    Mistake(
        "phase",
        "mean of the company",
        "the squared projections are averaged over the other features; they are summed",
        write="""
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            rest = torch.arange(W.shape[-1], device=W.device) != feature
            projections = (F.normalize(W, dim=1).mT @ W)[:, feature]
            company = projections[:, rest].square().mean(dim=-1)
            return torch.where(W[..., feature].norm(dim=-1) < min_norm, 0, torch.where(company > max_overlap, 2, 1))
        """,
    ),
    Mistake(
        "phase",
        "one norm for all instances",
        "this is one length, that of the vectors of all instances together; each instance has its own: own.norm(dim=-1)",
        change=[("own.norm(dim=-1)", "own.norm()")],
    ),
    Mistake(
        "phase",
        "length in place of its square",
        "the length is taken off the sum, where the feature itself has put its square: norm.square()",
        change=[(" - norm.square()", " - norm")],
    ),
    Mistake(
        "phase",
        "direction not normalised, square taken off",
        "the feature's own vector is taken as it is, and its square off the sum; the overlaps are with its unit direction: F.normalize",
        change=[("F.normalize(own, dim=-1), W,", "own, W,")],
    ),
    Mistake(
        "phase",
        "normalised over instances",
        "the direction is divided by lengths over the instances; each instance has a vector of its own, along the last axis: dim=-1",
        change=[("F.normalize(own, dim=-1), W,", "F.normalize(own, dim=0), W,")],
    ),
    Mistake(
        "phase",
        "long features are not represented",
        "the comparison of the length is the wrong way round: *below* min_norm it is 0",
        change=[("norm < min_norm", "norm > min_norm")],
    ),
    Mistake(
        "phase",
        "thresholds exchanged",
        "the two thresholds are exchanged: the length is compared with min_norm, the company with max_overlap",
        change=[("norm < min_norm", "norm < max_overlap"), ("company > max_overlap", "company > min_norm")],
    ),
    Mistake(
        "phase",
        "company compared with min_norm",
        "the company is compared with min_norm; its own threshold is max_overlap",
        change=[("company > max_overlap", "company > min_norm")],
    ),
    Mistake(
        "phase",
        "length compared with max_overlap",
        "the length is compared with max_overlap; its own threshold is min_norm",
        change=[("norm < min_norm", "norm < max_overlap")],
    ),
    Mistake(
        "phase",
        "just min_norm is too short",
        "a length of just min_norm counts as too short; shorter than min_norm is not represented: <",
        change=[("norm < min_norm", "norm <= min_norm")],
    ),
    Mistake(
        "phase",
        "just max_overlap is company",
        "company of just max_overlap counts as superposition; it takes more than that: >",
        change=[("company > max_overlap", "company >= max_overlap")],
    ),
    # 3.11
    Mistake(
        "solution_losses",
        "output 0 for what is not represented",
        "what is not represented is answered by 0, which costs p/3; the bias answers by the mean, which costs the variance",
        change=[("variance = probability / 3 - probability**2 / 4", "variance = probability / 3")],
    ),
    Mistake(
        "solution_losses",
        "variance of a feature that is always there",
        "the variance is p/12, a uniform number's times p; that a feature may be absent makes it p/3 - p²/4",
        change=[("variance = probability / 3 - probability**2 / 4", "variance = probability / 12")],
    ),
    Mistake(
        "solution_losses",
        "sum over features",
        "the two features' losses are added up; the loss is their mean, half of that",
        change=[
            (
                "torch.stack([importance * variance / 2, variance / 2, (1 + importance) * clash / 2])",
                "torch.stack([importance * variance, variance, (1 + importance) * clash])",
            )
        ],
    ),
    Mistake(
        "solution_losses",
        "p for both",
        "an antipodal pair errs only when both features are there, which has the probability p², not p",
        change=[("clash = probability**2 / 6", "clash = probability / 6")],
    ),
    Mistake(
        "solution_losses",
        "no ReLU",
        "the antipodal pair errs whenever the other feature is there, as without ReLU; where a feature is absent, ReLU makes 0 of it",
        change=[("clash = probability**2 / 6", "clash = probability / 3")],
    ),
    Mistake(
        "solution_losses",
        "the mean squared",
        "the smaller of two uniform numbers is 1/3 on average, and this squares that average; the mean of its square is 1/6",
        change=[("probability**2 / 6", "probability**2 / 9")],
    ),
    Mistake(
        "solution_losses",
        "error of a whole feature",
        "when both are there, the error is a whole feature's mean square, 1/3; both outputs are off by the smaller one only, 1/6",
        change=[("probability**2 / 6", "probability**2 / 3")],
    ),
    Mistake(
        "solution_losses",
        "only the second errs",
        "in the antipodal pair only the second feature's error is counted; the first, of importance 1, is off by as much",
        change=[("(1 + importance) * clash", "importance * clash")],
    ),
    Mistake(
        "solution_losses",
        "importance left out of the clash",
        "both errors of the antipodal pair have importance 1; the second has `importance`",
        change=[("(1 + importance) * clash", "2 * clash")],
    ),
    Mistake(
        "solution_losses",
        "first and second exchanged",
        "the first two solutions are exchanged: first the one in which the second feature is not represented, which costs importance",
        change=[("[importance * variance / 2, variance / 2,", "[variance / 2, importance * variance / 2,")],
    ),
    Mistake(
        "solution_losses",
        "importance squared",
        "the importance is squared; it multiplies the squared error as it is",
        change=[("importance * variance / 2", "importance**2 * variance / 2"), ("1 + importance", "1 + importance**2")],
    ),
    Mistake(
        "solution_losses",
        "solutions last",
        "the three solutions stand on the last axis; they come first",
        change=[("(1 + importance) * clash / 2])", "(1 + importance) * clash / 2], dim=-1)")],
    ),
    Mistake(
        "solution_losses",
        "half of a clash",
        "a clash costs half of what it should: both outputs are off, each by the smaller number, and its mean square is 1/6, not 1/12",
        write="""
        def solution_losses(probability, importance):
            variance = probability / 3 - probability**2 / 4
            clash = (1 + importance) * probability**2 / 6 / 2
            return torch.stack([importance * variance, variance, clash]) / 2
        """,
    ),
    Mistake(
        "solution_losses",
        "the larger of the two",
        "the error in a clash is taken to be the larger of the two numbers; ReLU leaves their difference, so both are off by the smaller",
        write="""
        def solution_losses(probability, importance):
            variance = probability / 3 - probability**2 / 4
            clash = (1 + importance) * probability**2 / 2
            return torch.stack([importance * variance, variance, clash]) / 2
        """,
    ),
    Mistake(
        "solution_losses",
        "variance p(1 - p)/3",
        "p(1 - p)/3 is not the variance; it is the mean of the square, p/3, minus the square of the mean, p²/4",
        write="""
        def solution_losses(probability, importance):
            variance = probability * (1 - probability) / 3
            clash = (1 + importance) * probability**2 / 6
            return torch.stack([importance * variance, variance, clash]) / 2
        """,
    ),
    Mistake(
        "solution_losses",
        "a clash if one is there",
        "1 - p stands in the probability of a clash; both must be there, p²",
        write="""
        def solution_losses(probability, importance):
            variance = probability / 3 - probability**2 / 4
            clash = (1 + importance) * probability * (1 - probability) / 6
            return torch.stack([importance * variance, variance, clash]) / 2
        """,
    ),
    # 3.12
    Mistake(
        "correlated_batch",
        "independent",
        "each feature has a chance of its own, so one of a pair can be there without the other; both share one chance",
        change=[
            (
                "uniform_like(probability, *shape, generator=generator) < probability[:, None]",
                "uniform_like(probability, *shape, 2, generator=generator) < probability[:, None, None]",
            ),
            ("there[..., None]", "there"),
        ],
    ),
    Mistake(
        "correlated_batch",
        "one strength for both",
        "both of a pair have the same strength; each has its own",
        change=[
            (
                "uniform_like(probability, *shape, 2, generator=generator)",
                "uniform_like(probability, *shape, 1, generator=generator).expand(*shape, 2)",
            )
        ],
    ),
    Mistake(
        "correlated_batch",
        "strength 1",
        "features that are there are always 1; their strengths are uniform in [0, 1]",
        change=[("(strength * there[..., None])", "(torch.ones_like(strength) * there[..., None])")],
    ),
    Mistake(
        "correlated_batch",
        "noise",
        "no feature is ever absent; a pair is 0 unless its chance is below the probability",
        change=[("(strength * there[..., None])", "strength")],
    ),
    Mistake(
        "correlated_batch",
        "partners far apart",
        "partners stand n_pairs apart, the first members of all pairs and then the second ones; features 2k and 2k + 1 are a pair",
        change=[(".flatten(-2)", ".transpose(-1, -2).flatten(-2)")],
    ),
    Mistake(
        "correlated_batch",
        "one chance for all pairs",
        "all pairs of an input are there or none is; every pair has a chance of its own",
        change=[
            (
                "uniform_like(probability, *shape, generator=generator) < probability[:, None]",
                "(uniform_like(probability, *shape[:2], 1, generator=generator) < probability[:, None]).expand(shape)",
            )
        ],
    ),
    Mistake(
        "correlated_batch",
        "one chance for all instances",
        "all instances share their chances, so they see nearly the same inputs; draw for each instance",
        change=[
            (
                "uniform_like(probability, *shape, generator=generator) < probability[:, None]",
                "uniform_like(probability, batch, 1, n_pairs, generator=generator) < probability[:, None]",
            )
        ],
    ),
    Mistake(
        "correlated_batch",
        "one input over and over",
        "one set of chances is used for the whole batch; every input has its own",
        change=[
            (
                "uniform_like(probability, *shape, generator=generator) < probability[:, None]",
                "(uniform_like(probability, *shape[1:], generator=generator) < probability[:, None]).expand(shape)",
            )
        ],
    ),
    Mistake(
        "correlated_batch",
        "there with probability 1 - p",
        "a pair is there when its chance is above the probability, so with 1 - p; it has to be below",
        change=[("generator=generator) < probability[:, None]", "generator=generator) > probability[:, None]")],
    ),
    Mistake(
        "correlated_batch",
        "normal strengths",
        "strengths are normal numbers without their sign, which are often above 1; torch.rand is uniform in [0, 1]",
        change=[
            (
                "strength = uniform_like(probability, *shape, 2, generator=generator)",
                "strength = torch.randn(*shape, 2, generator=generator).abs().to(probability)",
            )
        ],
    ),
    Mistake(
        "correlated_batch",
        "generator not used",
        "numbers come from torch's global generator; hand the one that is given to every draw",
        write="""
        def correlated_batch(batch, n_pairs, probability, generator):
            shape = (batch, len(probability), n_pairs)
            there = torch.rand(shape).to(probability) < probability[:, None]
            strength = torch.rand(*shape, 2).to(probability)
            return (strength * there[..., None]).flatten(-2)
        """,
    ),
    Mistake(
        "correlated_batch",
        "a chance for each, both needed",
        "each of a pair draws a chance of its own and both must come up, which is p²; draw one chance for the pair",
        write="""
        def correlated_batch(batch, n_pairs, probability, generator):
            chance = uniform_like(probability, batch, len(probability), n_pairs, 2, generator=generator)
            there = (chance < probability[:, None, None]).all(dim=-1, keepdim=True)
            strength = uniform_like(probability, batch, len(probability), n_pairs, 2, generator=generator)
            return (strength * there).flatten(-2)
        """,
    ),
    # 3.13
    Mistake(
        "anticorrelated_batch",
        "each has half the probability",
        "a pair is there with probability p, and then one of its two; each feature itself must have p, so the pair has 2p",
        change=[
            (
                "[chance < p, (chance >= p) & (chance < 2 * p)]",
                "[chance < p / 2, (chance >= p / 2) & (chance < p)]",
            )
        ],
    ),
    Mistake(
        "anticorrelated_batch",
        "both there",
        "the second mask holds the first, so both can be there at once; the second begins where the first ends, at p",
        change=[("(chance >= p) & (chance < 2 * p)", "chance < 2 * p")],
    ),
    Mistake(
        "anticorrelated_batch",
        "correlated",
        "both of a pair are there together, as in the exercise before; here at most one is",
        change=[("(chance >= p) & (chance < 2 * p)", "chance < p")],
    ),
    Mistake(
        "anticorrelated_batch",
        "independent, and the second dropped",
        "both are drawn independently, and the second is dropped where both came up, so it is there with p(1 - p) only",
        change=[
            (
                "chance = uniform_like(probability, *shape, generator=generator)",
                "chance = uniform_like(probability, 2, *shape, generator=generator)",
            ),
            (
                "[chance < p, (chance >= p) & (chance < 2 * p)]",
                "[chance[0] < p, (chance[0] >= p) & (chance[1] < p)]",
            ),
        ],
    ),
    Mistake(
        "anticorrelated_batch",
        "one side for all pairs",
        "all pairs of an input share their chance; every pair has its own",
        change=[
            (
                "chance = uniform_like(probability, *shape, generator=generator)",
                "chance = uniform_like(probability, *shape[:2], 1, generator=generator).expand(shape)",
            )
        ],
    ),
    Mistake(
        "anticorrelated_batch",
        "one chance for all instances",
        "all instances share their chances, so they see nearly the same inputs; draw for each instance",
        change=[
            (
                "chance = uniform_like(probability, *shape, generator=generator)",
                "chance = uniform_like(probability, batch, 1, n_pairs, generator=generator).expand(shape)",
            )
        ],
    ),
    Mistake(
        "anticorrelated_batch",
        "strength 1",
        "features that are there are always 1; their strengths are uniform in [0, 1]",
        change=[("(uniform_like(probability, *shape, 2, generator=generator) * there)", "there.to(probability)")],
    ),
    Mistake(
        "anticorrelated_batch",
        "the chance as strength",
        "the chance itself is used as the strength, which is below 2p; draw strengths by themselves",
        change=[("uniform_like(probability, *shape, 2, generator=generator) * there", "chance[..., None] * there")],
    ),
    Mistake(
        "anticorrelated_batch",
        "not refused",
        "a probability above 0.5 is let through, and the second of a pair is then there too seldom; raise a ValueError",
        change=[("(probability > 0.5).any()", "False")],
    ),
    Mistake(
        "anticorrelated_batch",
        "clamped",
        "a probability above 0.5 is silently made 0.5; raise a ValueError, since what was asked for cannot be had",
        change=[("if (probability > 0.5).any():", "probability = probability.clamp(max=0.5)\n    if False:")],
    ),
    Mistake(
        "anticorrelated_batch",
        "only refused if all are too large",
        "it is only refused when every probability is above 0.5; one is enough: .any()",
        change=[("(probability > 0.5).any()", "(probability > 0.5).all()")],
    ),
    Mistake(
        "anticorrelated_batch",
        "partners far apart",
        "partners stand n_pairs apart, the first members of all pairs and then the second ones; features 2k and 2k + 1 are a pair",
        change=[("* there).flatten(-2)", "* there).transpose(-1, -2).flatten(-2)")],
    ),
    Mistake(
        "anticorrelated_batch",
        "the second whenever the first is not there",
        "everything above p is given to the second, so that one of the two is always there; the second ends at 2p",
        write="""
        def anticorrelated_batch(batch, n_pairs, probability, generator):
            if (probability > 0.5).any():
                raise ValueError(f"a probability of {probability.max().item()} is above 0.5")
            chance = uniform_like(probability, batch, len(probability), n_pairs, generator=generator)
            p = probability[:, None]
            there = torch.stack([chance < p, chance >= p], dim=-1).flatten(-2)
            return there * uniform_like(probability, batch, len(probability), 2 * n_pairs, generator=generator)
        """,
    ),
    # 3.14
    Mistake(
        "ToyNeuronModel",
        "no ReLU on the neurons",
        "the hidden layer is linear, as in ToyModel; each neuron goes through ReLU before the way back",
        change=[("F.relu(pre)", "pre")],
    ),
    Mistake(
        "ToyNeuronModel",
        "no ReLU at the output",
        "the output has no ReLU, so features come out negative; there is a second ReLU, after the bias",
        change=[("return F.relu(out + self.b)", "return out + self.b")],
    ),
    Mistake(
        "ToyNeuronModel",
        "no bias",
        "the bias is missing; add b to the output, before the last ReLU",
        change=[("F.relu(out + self.b)", "F.relu(out)")],
    ),
    Mistake(
        "ToyNeuronModel",
        "bias after the ReLU",
        "the bias is added after the last ReLU; it comes before, so that a negative one can switch a feature off",
        change=[("F.relu(out + self.b)", "F.relu(out) + self.b")],
    ),
    Mistake(
        "ToyNeuronModel",
        "bias taken from the input too",
        "the bias is subtracted from the input, as in some autoencoders; here b is added to the output only",
        change=[('einops.einsum(x, self.W, "batch', 'einops.einsum(x - self.b, self.W, "batch')],
    ),
    Mistake(
        "ToyNeuronModel",
        "ReLU on the input",
        "the input goes through ReLU, and the neurons do not; the ReLU belongs behind W x",
        change=[("einops.einsum(x, self.W,", "einops.einsum(F.relu(x), self.W,"), ("F.relu(pre)", "pre")],
    ),
    Mistake(
        "ToyNeuronModel",
        "the size of a neuron",
        "neurons pass on the size of what they read, without the sign; ReLU passes on what is above 0 and cuts off what is below",
        change=[("F.relu(pre)", "pre.abs()")],
    ),
    Mistake(
        "ToyNeuronModel",
        "gelu",
        "the neurons have a GELU; this model has ReLUs",
        change=[("F.relu(pre)", "F.gelu(pre)")],
    ),
    Mistake(
        "ToyNeuronModel",
        "instances mixed",
        "every output is the sum over all instances' neurons; the instance axis stays through both products",
        change=[
            (
                'F.relu(pre), self.W, "batch instance d_hidden, instance d_hidden feature -> batch instance feature"',
                'F.relu(pre).sum(1), self.W, "batch d_hidden, instance d_hidden feature -> batch instance feature"',
            )
        ],
    ),
    Mistake(
        "ToyNeuronModel",
        "the weights of one instance",
        "all instances use the weights of instance 0; each has its own",
        change=[
            (
                'einops.einsum(x, self.W, "batch instance feature, instance',
                'einops.einsum(x, self.W[0], "batch instance feature,',
            ),
            (
                'F.relu(pre), self.W, "batch instance d_hidden, instance',
                'F.relu(pre), self.W[0], "batch instance d_hidden,',
            ),
        ],
    ),
    Mistake(
        "ToyNeuronModel",
        "all weights 0",
        "W starts at 0, and from there no gradient leads away; let it start random, as __init__ was given",
        change=[
            ("nn.Parameter((W / math.sqrt(n_features)).to(device))", "nn.Parameter(torch.zeros_like(W).to(device))")
        ],
    ),
    # 3.15
    Mistake(
        "SAE",
        "no encoder bias",
        "b_enc is not used, so no feature can have a threshold; encode adds it before the ReLU",
        change=[("F.relu(x @ self.W_enc + self.b_enc)", "F.relu(x @ self.W_enc)")],
    ),
    Mistake(
        "SAE",
        "no decoder bias",
        "b_dec is not used; decode adds it to the sum of the rows",
        change=[("return f @ self.W_dec + self.b_dec", "return f @ self.W_dec")],
    ),
    Mistake(
        "SAE",
        "no biases",
        "neither b_enc nor b_dec is used; encode adds the one before its ReLU, decode the other at its end",
        change=[
            ("F.relu(x @ self.W_enc + self.b_enc)", "F.relu(x @ self.W_enc)"),
            ("return f @ self.W_dec + self.b_dec", "return f @ self.W_dec"),
        ],
    ),
    Mistake(
        "SAE",
        "no ReLU",
        "the features may be negative, since encode has no ReLU; without it the whole SAE is one linear map",
        change=[("F.relu(x @ self.W_enc + self.b_enc)", "(x @ self.W_enc + self.b_enc)")],
    ),
    Mistake(
        "SAE",
        "bias after the ReLU",
        "b_enc is added after the ReLU, so silent features are not 0; add it before",
        change=[("F.relu(x @ self.W_enc + self.b_enc)", "F.relu(x @ self.W_enc) + self.b_enc")],
    ),
    Mistake(
        "SAE",
        "absolute value",
        "negative pre-activations are turned into positive ones; ReLU makes them 0",
        change=[("F.relu(x @ self.W_enc + self.b_enc)", "(x @ self.W_enc + self.b_enc).abs()")],
    ),
    Mistake(
        "SAE",
        "sigmoid",
        "a sigmoid is never 0 and never above 1; features need ReLU, which gives both silence and strength",
        change=[("F.relu(x @ self.W_enc + self.b_enc)", "(x @ self.W_enc + self.b_enc).sigmoid()")],
    ),
    Mistake(
        "SAE",
        "ReLU on the reconstruction",
        "the reconstruction goes through a ReLU, but hidden vectors have negative components too; decode ends with the bias",
        change=[("return f @ self.W_dec + self.b_dec", "return F.relu(f @ self.W_dec + self.b_dec)")],
    ),
    Mistake(
        "SAE",
        "encoder's transpose decodes",
        "decode uses W_enc transposed; the two are equal at the start only, and W_dec has the directions that are written",
        change=[("return f @ self.W_dec + self.b_dec", "return f @ self.W_enc.T + self.b_dec")],
    ),
    Mistake(
        "SAE",
        "decoder's transpose encodes",
        "encode uses W_dec transposed; the two are equal at the start only, and W_enc has the directions that are read",
        change=[("F.relu(x @ self.W_enc + self.b_enc)", "F.relu(x @ self.W_dec.T + self.b_enc)")],
    ),
    Mistake(
        "SAE",
        "decoder bias subtracted from the input",
        "encode subtracts b_dec from x, as Bricken et al. do; here b_enc does that work, and x is read as it is",
        change=[("F.relu(x @ self.W_enc + self.b_enc)", "F.relu((x - self.b_dec) @ self.W_enc + self.b_enc)")],
    ),
    Mistake(
        "SAE",
        "rows normalised on the way",
        "decode divides the rows of W_dec by their lengths; they are used as they are, and normalised after each step",
        change=[
            ("return f @ self.W_dec + self.b_dec", "return f @ F.normalize(self.W_dec, dim=-1) + self.b_dec"),
        ],
    ),
    Mistake(
        "SAE",
        "pair exchanged",
        "forward returns the features first; the pair is (x_hat, f)",
        change=[("return self.decode(f), f", "return f, self.decode(f)")],
    ),
    Mistake(
        "SAE",
        "reconstruction alone",
        "forward returns the reconstruction alone; the loss needs the features too: return the pair (x_hat, f)",
        change=[("return self.decode(f), f", "return self.decode(f)")],
    ),
    Mistake(
        "SAE",
        "features detached",
        "the features are detached, so the encoder is never trained; let the gradient through",
        change=[("f = self.encode(x)", "f = self.encode(x).detach()")],
    ),
    Mistake(
        "SAE",
        "pre-activations returned",
        "the second result of forward are the pre-activations, negative ones among them; return the features",
        change=[("return self.decode(f), f", "return self.decode(f), x @ self.W_enc + self.b_enc")],
    ),
    # 3.16
    Mistake(
        "sae_loss",
        "mean over the components",
        "the squared error is averaged over d_in, which makes it d_in times too small against the penalty; sum over d_in",
        change=[("(x - x_hat).pow(2).sum(dim=-1)", "(x - x_hat).pow(2).mean(dim=-1)")],
    ),
    Mistake(
        "sae_loss",
        "mean over the features",
        "the activations are averaged over d_sae, so a wider SAE is penalised less; sum over d_sae",
        change=[("f.abs().sum(dim=-1)", "f.abs().mean(dim=-1)")],
    ),
    Mistake(
        "sae_loss",
        "mean over everything",
        "both terms are averaged over their last axis too; sum over that axis, and average over examples only",
        change=[
            ("(x - x_hat).pow(2).sum(dim=-1)", "(x - x_hat).pow(2).mean(dim=-1)"),
            ("f.abs().sum(dim=-1)", "f.abs().mean(dim=-1)"),
        ],
    ),
    Mistake(
        "sae_loss",
        "sum over examples",
        "the examples are summed, so a larger batch has a larger loss; take their mean",
        change=[("(error + l1 * sparsity).mean()", "(error + l1 * sparsity).sum()")],
    ),
    Mistake(
        "sae_loss",
        "averaged over the first axis only",
        "the mean runs over the first axis and the others are summed; average over all leading axes",
        change=[
            (
                "(error + l1 * sparsity).mean()",
                "(error + l1 * sparsity).sum() / (x.shape[0] if x.ndim > 1 else 1)",
            )
        ],
    ),
    Mistake(
        "sae_loss",
        "distance not squared",
        "the error is the distance itself, not its square; leave out the root",
        change=[("(x - x_hat).pow(2).sum(dim=-1)", "((x - x_hat).pow(2).sum(dim=-1) + 1e-12).sqrt()")],
    ),
    Mistake(
        "sae_loss",
        "absolute differences",
        "the differences are not squared but taken absolutely; the first term is the sum of their squares",
        change=[("(x - x_hat).pow(2)", "(x - x_hat).abs()")],
    ),
    Mistake(
        "sae_loss",
        "squared activations",
        "the penalty is the sum of squares, which hardly presses on small activations and leaves nothing at 0; L1 has no square",
        change=[("f.abs().sum(dim=-1)", "f.pow(2).sum(dim=-1)")],
    ),
    Mistake(
        "sae_loss",
        "norm of the activations",
        "the penalty is the length of f, the root of the sum of squares; the L1 norm is the sum of absolute values",
        change=[("f.abs().sum(dim=-1)", "(f.pow(2).sum(dim=-1) + 1e-12).sqrt()")],
    ),
    Mistake(
        "sae_loss",
        "L0 in place of L1",
        "the penalty counts the features that are on, which has no gradient; L1 adds up how strong they are",
        change=[("f.abs().sum(dim=-1)", "((f != 0).to(f.dtype) + 0 * f).sum(dim=-1)")],
    ),
    Mistake(
        "sae_loss",
        "penalty without l1",
        "the penalty is added as it is; multiply it by l1",
        change=[("l1 * sparsity", "sparsity")],
    ),
    Mistake(
        "sae_loss",
        "no penalty",
        "only the reconstruction counts; add l1 times the sum of the activations",
        change=[("(error + l1 * sparsity).mean()", "(error + 0 * sparsity).mean()")],
    ),
    Mistake(
        "sae_loss",
        "l1 on both terms",
        "l1 multiplies the reconstruction too; it weighs the penalty only",
        change=[("(error + l1 * sparsity)", "l1 * (error + sparsity)")],
    ),
    Mistake(
        "sae_loss",
        "penalty subtracted",
        "the penalty is subtracted, which rewards features for being on; add it",
        change=[("error + l1", "error - l1")],
    ),
    Mistake(
        "sae_loss",
        "one number for each example",
        "there is one loss for each example; the loss is their mean, a single number",
        change=[("(error + l1 * sparsity).mean()", "error + l1 * sparsity")],
    ),
    Mistake(
        "sae_loss",
        "penalty summed over examples",
        "the penalty is summed over all examples, and only the error is averaged; average both",
        write="""
        def sae_loss(x, x_hat, f, l1):
            error = (x - x_hat).pow(2).sum(dim=-1)
            return error.mean() + l1 * f.abs().sum()
        """,
    ),
    Mistake(
        "sae_loss",
        "sum of the activations squared",
        "the L1 norm is squared; the penalty is the sum of activations as it is",
        write="""
        def sae_loss(x, x_hat, f, l1):
            error = (x - x_hat).pow(2).sum(dim=-1)
            return (error + l1 * f.abs().sum(dim=-1) ** 2).mean()
        """,
    ),
    Mistake(
        "sae_loss",
        "half the error",
        "the error is halved, as in many textbooks; here it counts in full",
        write="""
        def sae_loss(x, x_hat, f, l1):
            error = (x - x_hat).pow(2).sum(dim=-1)
            return (0.5 * error + l1 * f.abs().sum(dim=-1)).mean()
        """,
    ),
    Mistake(
        "sae_loss",
        "activations detached",
        "the activations are detached, so the penalty pushes nothing; let their gradient through",
        write="""
        def sae_loss(x, x_hat, f, l1):
            error = (x - x_hat).pow(2).sum(dim=-1)
            return (error + l1 * f.detach().abs().sum(dim=-1)).mean()
        """,
    ),
    # 3.17
    Mistake(
        "normalize_decoder",
        "columns in place of rows",
        "the columns are normalised; a feature's direction is a row, so the norm runs over the last axis",
        change=[("norm(dim=-1, keepdim=True)", "norm(dim=0, keepdim=True)")],
    ),
    Mistake(
        "normalize_decoder",
        "one norm for the whole matrix",
        "all rows are divided by one number, the norm of the whole matrix; each row is divided by its own",
        change=[("sae.W_dec.norm(dim=-1, keepdim=True)", "sae.W_dec.norm()")],
    ),
    Mistake(
        "normalize_decoder",
        "the mean length",
        "all rows are divided by the mean of their lengths; each row is divided by its own",
        change=[("sae.W_dec.norm(dim=-1, keepdim=True)", "sae.W_dec.norm(dim=-1).mean()")],
    ),
    Mistake(
        "normalize_decoder",
        "squared norm",
        "the rows are divided by the square of their norm; take the root",
        change=[("sae.W_dec.norm(dim=-1, keepdim=True)", "sae.W_dec.pow(2).sum(dim=-1, keepdim=True)")],
    ),
    Mistake(
        "normalize_decoder",
        "L1 norm",
        "the rows are divided by the sum of their absolute values; the norm is the root of the sum of squares",
        change=[("sae.W_dec.norm(dim=-1, keepdim=True)", "sae.W_dec.abs().sum(dim=-1, keepdim=True)")],
    ),
    Mistake(
        "normalize_decoder",
        "only long rows",
        "only rows longer than 1 are changed; short ones are stretched to norm 1 as well",
        change=[("norm(dim=-1, keepdim=True)", "norm(dim=-1, keepdim=True).clamp(min=1)")],
    ),
    Mistake(
        "normalize_decoder",
        "the encoder instead",
        "W_enc is normalised and W_dec is not; it is the decoder's rows that must have norm 1",
        change=[
            ("sae.W_dec /= sae.W_dec.norm(dim=-1, keepdim=True)", "sae.W_enc /= sae.W_enc.norm(dim=0, keepdim=True)")
        ],
    ),
    Mistake(
        "normalize_decoder",
        "the encoder as well",
        "W_enc is normalised too; only W_dec changes",
        change=[
            (
                "sae.W_dec /= sae.W_dec.norm(dim=-1, keepdim=True)",
                "sae.W_dec /= sae.W_dec.norm(dim=-1, keepdim=True)\n"
                "        sae.W_enc /= sae.W_enc.norm(dim=0, keepdim=True)",
            )
        ],
    ),
    Mistake(
        "normalize_decoder",
        "lengths moved to the encoder",
        "the lengths of the rows are multiplied into W_enc and b_enc; only W_dec changes, or the loophole stays open",
        write="""
        def normalize_decoder(sae):
            with torch.no_grad():
                norms = sae.W_dec.norm(dim=-1)
                sae.W_dec /= norms[:, None]
                sae.W_enc *= norms
                sae.b_enc *= norms
        """,
    ),
    Mistake(
        "normalize_decoder",
        "a new parameter",
        "W_dec is replaced by a new parameter, which the optimiser does not know; change the old one in place",
        write="""
        def normalize_decoder(sae):
            sae.W_dec = nn.Parameter(F.normalize(sae.W_dec.detach(), dim=-1))
        """,
    ),
    Mistake(
        "normalize_decoder",
        "nothing written back",
        "the normalised rows are computed and then forgotten; write them into W_dec",
        write="""
        def normalize_decoder(sae):
            rows = F.normalize(sae.W_dec.detach(), dim=-1)
        """,
    ),
    # 3.18
    Mistake(
        "remove_parallel_gradient",
        "rows taken to have norm 1",
        "the rows are used without dividing them by their lengths; the formula needs the unit direction of each",
        change=[("F.normalize(sae.W_dec, dim=-1)", "sae.W_dec")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "only half normalised",
        "g · u is computed with the unit row, but multiplied with the row itself; both are the unit direction",
        change=[("sae.W_dec.grad -= along * unit", "sae.W_dec.grad -= along * sae.W_dec")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "columns in place of rows",
        "the projection is on the columns of W_dec; a feature's direction is a row, along the last axis",
        change=[
            ("F.normalize(sae.W_dec, dim=-1)", "F.normalize(sae.W_dec, dim=0)"),
            ("sum(dim=-1, keepdim=True)", "sum(dim=0, keepdim=True)"),
        ],
    ),
    Mistake(
        "remove_parallel_gradient",
        "summed over features",
        "the dot products are summed over the features; each row has its own, the sum over d_in",
        change=[("sum(dim=-1, keepdim=True)", "sum(dim=0, keepdim=True)")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "the matrix as one vector",
        "one dot product is taken for the whole matrix; each row is projected on its own",
        change=[
            ("F.normalize(sae.W_dec, dim=-1)", "sae.W_dec / sae.W_dec.norm()"),
            ("sum(dim=-1, keepdim=True)", "sum()"),
        ],
    ),
    Mistake(
        "remove_parallel_gradient",
        "only the parallel part kept",
        "what is left is the part along the rows; that is the one to take out",
        change=[("sae.W_dec.grad -= along * unit", "sae.W_dec.grad = along * unit")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "added",
        "the part along the row is added once more; subtract it",
        change=[("sae.W_dec.grad -= along", "sae.W_dec.grad += along")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "subtracted twice",
        "the part along the row is subtracted twice, which turns it round; once is enough",
        change=[("sae.W_dec.grad -= along * unit", "sae.W_dec.grad -= 2 * along * unit")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "without the direction",
        "the number g · u is subtracted from every component; multiply it with the unit direction first",
        change=[("along * unit", "along")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "weights changed",
        "the projection is taken out of W_dec itself; take it out of W_dec.grad",
        change=[("sae.W_dec.grad -= along * unit", "sae.W_dec -= along * unit")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "nothing written back",
        "the new gradient is computed and then forgotten; write it into sae.W_dec.grad",
        change=[("sae.W_dec.grad -= along * unit", "gradient = sae.W_dec.grad - along * unit")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "weight projected on the gradient",
        "what is removed is parallel to the gradient and not to the row; project g on u, not u on g",
        change=[
            ("F.normalize(sae.W_dec, dim=-1)", "F.normalize(sae.W_dec.grad, dim=-1)"),
            ("(sae.W_dec.grad * unit)", "(F.normalize(sae.W_dec, dim=-1) * unit)"),
        ],
    ),
    Mistake(
        "remove_parallel_gradient",
        "projected on all rows",
        "each gradient is projected on the rows of all features, as by grad @ unit.T @ unit; each has to do with its own row only",
        change=[
            ("sae.W_dec.grad -= along * unit", "sae.W_dec.grad -= sae.W_dec.grad @ unit.T @ unit"),
            ("along = (sae.W_dec.grad * unit).sum(dim=-1, keepdim=True)\n", "\n"),
        ],
    ),
    Mistake(
        "remove_parallel_gradient",
        "products not summed",
        "grad * unit is left unsummed, component by component; g · u is one number for each row: .sum(dim=-1, keepdim=True)",
        change=[(".sum(dim=-1, keepdim=True)", "")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "on the direction of the gradient",
        "the gradient is projected on its own direction, which leaves nothing of it; the direction is that of the row of W_dec",
        change=[("unit = F.normalize(sae.W_dec, dim=-1)", "unit = F.normalize(sae.W_dec.grad, dim=-1)")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "columns brought to length 1",
        "the columns of W_dec are brought to length 1; a feature's direction is a row: dim=-1",
        change=[("F.normalize(sae.W_dec, dim=-1)", "F.normalize(sae.W_dec, dim=0)")],
    ),
    Mistake(
        "remove_parallel_gradient",
        "products averaged",
        "the products are averaged over the components of a row; a dot product is their sum",
        change=[(".sum(dim=-1, keepdim=True)", ".mean(dim=-1, keepdim=True)")],
    ),
    # 3.19
    Mistake(
        "sae_step",
        "gradients not zeroed",
        "gradients are never set to zero, so each batch adds to the ones before; call optimizer.zero_grad() before backward",
        change=[("    optimizer.zero_grad()\n", "")],
    ),
    Mistake(
        "sae_step",
        "zeroed after backward",
        "the gradients are set to zero between backward and step, so nothing moves; zero them before backward",
        change=[
            (
                "    optimizer.zero_grad()\n    loss.backward()\n    remove_parallel_gradient(sae)\n",
                "    loss.backward()\n    remove_parallel_gradient(sae)\n    optimizer.zero_grad(set_to_none=False)\n",
            )
        ],
    ),
    Mistake(
        "sae_step",
        "parallel part left in",
        "the optimiser steps with the gradient along the rows still in it; call remove_parallel_gradient between backward and step",
        change=[("    remove_parallel_gradient(sae)\n", "")],
    ),
    Mistake(
        "sae_step",
        "rows not normalised",
        "the rows of W_dec are not normalised, so their lengths drift; call normalize_decoder after the step",
        change=[("    normalize_decoder(sae)\n", "")],
    ),
    Mistake(
        "sae_step",
        "normalised before the step",
        "the rows are normalised before the step, which makes them longer again; normalise after it",
        change=[
            (
                "    optimizer.step()\n    normalize_decoder(sae)\n",
                "    normalize_decoder(sae)\n    optimizer.step()\n",
            )
        ],
    ),
    Mistake(
        "sae_step",
        "no step",
        "optimizer.step() is missing: gradients are computed and never used",
        change=[("    optimizer.step()\n", "")],
    ),
    Mistake(
        "sae_step",
        "no penalty",
        "l1 does not get into the loss; hand it to sae_loss",
        change=[("sae_loss(x, x_hat, f, l1)", "sae_loss(x, x_hat, f, 0.0)")],
    ),
    Mistake(
        "sae_step",
        "loss after the step",
        "what comes back is the loss after the step; return the one that was differentiated",
        change=[("return loss.item()", "return sae_loss(x, *sae(x), l1).item()")],
    ),
    Mistake(
        "sae_step",
        "loss without the penalty returned",
        "what comes back is the squared error alone; return the loss, the penalty included",
        change=[("return loss.item()", "return (x - x_hat).pow(2).sum(dim=-1).mean().item()")],
    ),
    Mistake(
        "sae_step",
        "an optimiser of its own",
        "the step is made by a new optimiser; use the one that is handed in, which knows its rate and its past",
        change=[("    optimizer.step()\n", "    torch.optim.SGD(sae.parameters(), lr=0.01).step()\n")],
    ),
    # 3.20
    Mistake(
        "mean_max_cosine",
        "mean over the found",
        "for each found feature the nearest true one is taken; the mean runs over the true features, the maximum over the found",
        change=[("amax(dim=-1)", "amax(dim=0)")],
    ),
    Mistake(
        "mean_max_cosine",
        "absolute cosines",
        "a row that points the opposite way counts as a find; take the cosines with their sign",
        change=[("cosines.amax", "cosines.abs().amax")],
    ),
    Mistake(
        "mean_max_cosine",
        "dot products",
        "dot products are compared, so long directions look similar; divide both by their lengths",
        change=[("F.normalize(truth, dim=-1) @ F.normalize(found, dim=-1).T", "truth @ found.T")],
    ),
    Mistake(
        "mean_max_cosine",
        "truth not normalised",
        "the true directions are not divided by their lengths; both are",
        change=[("F.normalize(truth, dim=-1)", "truth")],
    ),
    Mistake(
        "mean_max_cosine",
        "found not normalised",
        "the found directions are not divided by their lengths; both are",
        change=[("F.normalize(found, dim=-1)", "found")],
    ),
    Mistake(
        "mean_max_cosine",
        "columns normalised",
        "the columns are divided by their lengths; a direction is a row, along the last axis",
        change=[
            (
                "F.normalize(truth, dim=-1) @ F.normalize(found, dim=-1)",
                "F.normalize(truth, dim=0) @ F.normalize(found, dim=0)",
            )
        ],
    ),
    Mistake(
        "mean_max_cosine",
        "mean of all cosines",
        "all cosines are averaged; take the largest of each true feature first",
        change=[("cosines.amax(dim=-1).mean()", "cosines.mean()")],
    ),
    Mistake(
        "mean_max_cosine",
        "the best of all",
        "only the best-found feature counts; average the largest cosines of all true features",
        change=[("cosines.amax(dim=-1).mean()", "cosines.amax()")],
    ),
    Mistake(
        "mean_max_cosine",
        "the worst found",
        "what comes back is the feature that was found worst; take the mean over the true features",
        change=[("cosines.amax(dim=-1).mean()", "cosines.amax(dim=-1).min()")],
    ),
    Mistake(
        "mean_max_cosine",
        "sum over the true features",
        "the largest cosines are added up; take their mean",
        change=[("cosines.amax(dim=-1).mean()", "cosines.amax(dim=-1).sum()")],
    ),
    Mistake(
        "mean_max_cosine",
        "negative cosines cut off",
        "cosines below 0 are cut off at 0; where nothing better was found, a negative one counts as it is",
        change=[("cosines.amax", "cosines.relu().amax")],
    ),
    Mistake(
        "mean_max_cosine",
        "rows of zeros left out",
        "rows of zeros are left out; their cosine with anything counts as 0, which may be the largest",
        change=[("F.normalize(found, dim=-1)", "F.normalize(found[found.norm(dim=-1) > 0], dim=-1)")],
    ),
    Mistake(
        "mean_max_cosine",
        "median",
        "this is the median over the true features, which does not notice the ones that were missed; take the mean",
        change=[("cosines.amax(dim=-1).mean()", "cosines.amax(dim=-1).median()")],
    ),
    Mistake(
        "mean_max_cosine",
        "columns of truth normalised",
        "the columns of truth are divided by their lengths; a direction is a row: dim=-1",
        change=[("F.normalize(truth, dim=-1)", "F.normalize(truth, dim=0)")],
    ),
    Mistake(
        "mean_max_cosine",
        "columns of found normalised",
        "the columns of found are divided by their lengths; a direction is a row: dim=-1",
        change=[("F.normalize(found, dim=-1)", "F.normalize(found, dim=0)")],
    ),
    # 3.21
    Mistake(
        "resample_dead",
        "all examples alike",
        "every example is equally likely to be drawn; weigh them with their squared loss",
        change=[("weights = loss.pow(2).to", "weights = torch.ones_like(loss).to")],
    ),
    Mistake(
        "resample_dead",
        "by the loss, not its square",
        "examples are drawn in proportion to their loss; Bricken et al. take its square, which favours bad examples more",
        change=[("loss.pow(2).to(", "loss.to(")],
    ),
    Mistake(
        "resample_dead",
        "squared once too often",
        "examples are drawn in proportion to the fourth power of the loss; its square is right",
        change=[("loss.pow(2).to(", "loss.pow(4).to(")],
    ),
    Mistake(
        "resample_dead",
        "one example for all",
        "one example is drawn and all dead features get it, so they are all the same; draw one for each",
        change=[
            ("torch.multinomial(weights, int(dead.sum()),", "torch.multinomial(weights, 1,"),
            ("generator=generator).to(x.device)", "generator=generator).to(x.device).repeat(int(dead.sum()))"),
        ],
    ),
    Mistake(
        "resample_dead",
        "the worst example for all",
        "all dead features get the example with the largest loss; draw one for each, by chance",
        change=[
            (
                "torch.multinomial(weights, int(dead.sum()), replacement=True, generator=generator).to(x.device)",
                "loss.argmax().repeat(int(dead.sum()))",
            )
        ],
    ),
    Mistake(
        "resample_dead",
        "global randomness",
        "the draw does not use the generator that is handed in; pass generator=generator",
        change=[(", generator=generator)", ")")],
    ),
    Mistake(
        "resample_dead",
        "random directions",
        "the new directions are random and have nothing to do with the data; take those of drawn examples",
        change=[
            (
                "F.normalize(x[chosen] - sae.b_dec, dim=-1)",
                "F.normalize(torch.randn(len(chosen), x.shape[-1], generator=generator).to(x), dim=-1)",
            )
        ],
    ),
    Mistake(
        "resample_dead",
        "decoder bias not subtracted",
        "the direction is that of x itself; the decoder adds b_dec in any case, so take x - b_dec",
        change=[("F.normalize(x[chosen] - sae.b_dec, dim=-1)", "F.normalize(x[chosen], dim=-1)")],
    ),
    Mistake(
        "resample_dead",
        "direction of the error",
        "the direction is that of the error x - x_hat; after Bricken et al. it is that of the example, x - b_dec",
        change=[("F.normalize(x[chosen] - sae.b_dec, dim=-1)", "F.normalize(x[chosen] - x_hat[chosen], dim=-1)")],
    ),
    Mistake(
        "resample_dead",
        "direction not normalised",
        "the example itself is put into W_dec; divide it by its length, rows have norm 1",
        change=[("F.normalize(x[chosen] - sae.b_dec, dim=-1)", "x[chosen] - sae.b_dec")],
    ),
    Mistake(
        "resample_dead",
        "encoder at full length",
        "the new columns of W_enc have the mean length of the living; they get 0.2 times that, to start softly",
        change=[("length = 0.2 *", "length = 1.0 *")],
    ),
    Mistake(
        "resample_dead",
        "encoder at length 0.2",
        "the new columns of W_enc have the length 0.2; it is 0.2 times the mean length of the living columns",
        change=[("length = 0.2 * (norms.mean() if dead.all() else norms[~dead].mean())", "length = 0.2")],
    ),
    Mistake(
        "resample_dead",
        "the dead counted",
        "the mean length is taken over all columns, the dead ones included; take it over the living",
        change=[("(norms.mean() if dead.all() else norms[~dead].mean())", "norms.mean()")],
    ),
    Mistake(
        "resample_dead",
        "length of the dead",
        "the mean length is that of the dead columns; take it over the living",
        change=[("norms[~dead].mean()", "norms[dead].mean()")],
    ),
    Mistake(
        "resample_dead",
        "rows of the encoder measured",
        "the norms are those of the rows of W_enc; a feature reads with a column, so take the norm over d_in, dim=0",
        change=[
            (
                "length = 0.2 * (norms.mean() if dead.all() else norms[~dead].mean())",
                "length = 0.2 * sae.W_enc.norm(dim=1).mean()",
            )
        ],
    ),
    Mistake(
        "resample_dead",
        "NaN where all are dead",
        "if every feature is dead, the mean over the living is a mean of nothing, NaN; take it over all columns then",
        change=[("(norms.mean() if dead.all() else norms[~dead].mean())", "norms[~dead].mean()")],
    ),
    Mistake(
        "resample_dead",
        "encoder not reset",
        "the columns of W_enc stay as they were, so the dead features go on reading what never comes; set them too",
        change=[("        sae.W_enc[:, dead] = length * directions.T\n", "")],
    ),
    Mistake(
        "resample_dead",
        "bias not reset",
        "b_enc of the dead features stays, and may hold them down; set it to 0",
        change=[("        sae.b_enc[dead] = 0\n", "")],
    ),
    Mistake(
        "resample_dead",
        "all biases reset",
        "b_enc of every feature is set to 0, which disturbs the living; only that of the dead is",
        change=[("sae.b_enc[dead] = 0", "sae.b_enc[:] = 0")],
    ),
    Mistake(
        "resample_dead",
        "decoder not reset",
        "the rows of W_dec stay as they were; they get the new directions",
        change=[("        sae.W_dec[dead] = directions\n", "")],
    ),
    Mistake(
        "resample_dead",
        "the living resampled",
        "the living features are replaced and the dead ones left: the mask is turned round",
        write="""
        def resample_dead(sae, x, dead, generator):
            if not dead.any():
                return
            with torch.no_grad():
                loss = (x - sae(x)[0]).pow(2).sum(dim=-1)
                alive = ~dead if not dead.all() else dead
                weights = loss.pow(2).to(generator.device)
                chosen = torch.multinomial(weights, int(alive.sum()), replacement=True, generator=generator).to(x.device)
                directions = F.normalize(x[chosen] - sae.b_dec, dim=-1)
                length = 0.2 * sae.W_enc.norm(dim=0)[alive].mean()
                sae.W_dec[alive] = directions
                sae.W_enc[:, alive] = length * directions.T
                sae.b_enc[alive] = 0
        """,
    ),
    Mistake(
        "resample_dead",
        "absolute error",
        "the loss is the sum of absolute differences; here it is the squared distance, and its square is the weight",
        write="""
        def resample_dead(sae, x, dead, generator):
            with torch.no_grad():
                n = int(dead.sum())
                if n == 0:
                    return
                x_hat, _ = sae(x)
                loss = (x - x_hat).abs().sum(-1)
                idx = torch.multinomial((loss**2).to(generator.device), n, replacement=True, generator=generator).to(x.device)
                d = F.normalize(x[idx] - sae.b_dec, dim=-1)
                alive = ~dead if (~dead).any() else torch.ones_like(dead)
                norm = sae.W_enc[:, alive].norm(dim=0).mean()
                sae.W_dec[dead] = d
                sae.W_enc[:, dead] = 0.2 * norm * d.T
                sae.b_enc[dead] = 0.0
        """,
    ),
    Mistake(
        "resample_dead",
        "length 1 where all are dead",
        "where all are dead the mean length is taken to be 1; it is then that of all columns",
        write="""
        def resample_dead(sae, x, dead, generator):
            with torch.no_grad():
                n = int(dead.sum())
                if n == 0:
                    return
                x_hat, _ = sae(x)
                loss = (x - x_hat).pow(2).sum(-1)
                idx = torch.multinomial((loss**2).to(generator.device), n, replacement=True, generator=generator).to(x.device)
                d = F.normalize(x[idx] - sae.b_dec, dim=-1)
                norm = sae.W_enc[:, ~dead].norm(dim=0).mean() if (~dead).any() else 1.0
                sae.W_dec[dead] = d
                sae.W_enc[:, dead] = 0.2 * norm * d.T
                sae.b_enc[dead] = 0.0
        """,
    ),
    Mistake(
        "resample_dead",
        "rows of the decoder measured",
        "the length comes from the rows of W_dec; it is that of the columns of W_enc that counts",
        write="""
        def resample_dead(sae, x, dead, generator):
            with torch.no_grad():
                n = int(dead.sum())
                if n == 0:
                    return
                x_hat, _ = sae(x)
                loss = (x - x_hat).pow(2).sum(-1)
                idx = torch.multinomial((loss**2).to(generator.device), n, replacement=True, generator=generator).to(x.device)
                d = F.normalize(x[idx] - sae.b_dec, dim=-1)
                alive = ~dead if (~dead).any() else torch.ones_like(dead)
                norm = sae.W_dec[alive].norm(dim=1).mean()
                sae.W_dec[dead] = d
                sae.W_enc[:, dead] = 0.2 * norm * d.T
                sae.b_enc[dead] = 0.0
        """,
    ),
    Mistake(
        "resample_dead",
        "the mean vector measured",
        "the columns are averaged before the norm is taken, so they cancel; take the norm of each, then the mean",
        write="""
        def resample_dead(sae, x, dead, generator):
            with torch.no_grad():
                n = int(dead.sum())
                if n == 0:
                    return
                x_hat, _ = sae(x)
                loss = (x - x_hat).pow(2).sum(-1)
                idx = torch.multinomial((loss**2).to(generator.device), n, replacement=True, generator=generator).to(x.device)
                d = F.normalize(x[idx] - sae.b_dec, dim=-1)
                alive = ~dead if (~dead).any() else torch.ones_like(dead)
                norm = sae.W_enc[:, alive].mean(dim=1).norm()
                sae.W_dec[dead] = d
                sae.W_enc[:, dead] = 0.2 * norm * d.T
                sae.b_enc[dead] = 0.0
        """,
    ),
    Mistake(
        "resample_dead",
        "norm of the whole block",
        "this is one norm of all living columns together; take that of each column, dim=0, then the mean",
        write="""
        def resample_dead(sae, x, dead, generator):
            with torch.no_grad():
                n = int(dead.sum())
                if n == 0:
                    return
                x_hat, _ = sae(x)
                loss = (x - x_hat).pow(2).sum(-1)
                idx = torch.multinomial((loss**2).to(generator.device), n, replacement=True, generator=generator).to(x.device)
                d = F.normalize(x[idx] - sae.b_dec, dim=-1)
                alive = ~dead if (~dead).any() else torch.ones_like(dead)
                norm = sae.W_enc[:, alive].norm()
                sae.W_dec[dead] = d
                sae.W_enc[:, dead] = 0.2 * norm * d.T
                sae.b_enc[dead] = 0.0
        """,
    ),
    Mistake(
        "resample_dead",
        "softmax for the weights",
        "a softmax of the squared losses gives nearly everything to the worst; multinomial takes the weights as they are",
        write="""
        def resample_dead(sae, x, dead, generator):
            with torch.no_grad():
                n = int(dead.sum())
                if n == 0:
                    return
                x_hat, _ = sae(x)
                loss = (x - x_hat).pow(2).sum(-1)
                idx = torch.multinomial((loss**2).softmax(0).to(generator.device), n, replacement=True, generator=generator).to(x.device)
                d = F.normalize(x[idx] - sae.b_dec, dim=-1)
                alive = ~dead if (~dead).any() else torch.ones_like(dead)
                norm = sae.W_enc[:, alive].norm(dim=0).mean()
                sae.W_dec[dead] = d
                sae.W_enc[:, dead] = 0.2 * norm * d.T
                sae.b_enc[dead] = 0.0
        """,
    ),
    Mistake(
        "resample_dead",
        "drawn without replacement",
        "no example is drawn twice; each dead feature draws from all of them, whatever the others got: replacement=True",
        change=[("replacement=True", "replacement=int(dead.sum()) > len(x)")],  # False raises where there are too few
    ),
    # 3.22
    Mistake(
        "topk_activation",
        "k of the batch axis",
        "the k largest are sought along the first axis, so examples compete for each feature; each example keeps its own, dim=-1",
        change=[("pre.topk(k, dim=-1)", "pre.topk(k, dim=0)"), ("scatter(-1, places", "scatter(0, places")],
    ),
    Mistake(
        "topk_activation",
        "k per example of the whole batch",
        "the k · batch largest of the whole batch are kept, which is BatchTopK; here each example keeps just its own k",
        write="""
        def topk_activation(pre, k):
            if k > pre.shape[-1]:
                raise ValueError(f"k must be at most d_sae, but {k} > {pre.shape[-1]}")
            flat = pre.flatten()
            values, places = flat.topk(k * (flat.numel() // pre.shape[-1]))
            return torch.zeros_like(flat).scatter(0, places, F.relu(values)).reshape(pre.shape)
        """,
    ),
    Mistake(
        "topk_activation",
        "k of everything",
        "only k activations of the whole batch are kept; each example keeps k",
        write="""
        def topk_activation(pre, k):
            if k > pre.shape[-1]:
                raise ValueError(f"k must be at most d_sae, but {k} > {pre.shape[-1]}")
            values, places = pre.flatten().topk(k)
            return torch.zeros_like(pre).flatten().scatter(0, places, F.relu(values)).reshape(pre.shape)
        """,
    ),
    Mistake(
        "topk_activation",
        "no ReLU",
        "a negative pre-activation that is among the k largest is kept as it is; cut it off at 0",
        change=[("F.relu(values)", "values")],
    ),
    Mistake(
        "topk_activation",
        "largest in absolute value",
        "the k largest in absolute value are sought, so strongly negative ones take the places; compare the values themselves",
        change=[
            (
                "values, places = pre.topk(k, dim=-1)",
                "places = pre.abs().topk(k, dim=-1).indices\n    values = pre.gather(-1, places)",
            )
        ],
    ),
    Mistake(
        "topk_activation",
        "the smallest",
        "the k smallest are kept; topk gives the largest unless told otherwise",
        change=[("pre.topk(k, dim=-1)", "pre.topk(k, dim=-1, largest=False)")],
    ),
    Mistake(
        "topk_activation",
        "equals kept as well",
        "everything as large as the k-th is kept, and of equals that may be more than k; keep the places that topk gives",
        change=[
            (
                "return torch.zeros_like(pre).scatter(-1, places, F.relu(values))",
                "return F.relu(pre) * (pre >= values[..., -1:])",
            )
        ],
    ),
    Mistake(
        "topk_activation",
        "one too few",
        "only what is larger than the k-th is kept, which is one too few; the k-th belongs to them",
        change=[
            (
                "return torch.zeros_like(pre).scatter(-1, places, F.relu(values))",
                "return F.relu(pre) * (pre > values[..., -1:])",
            )
        ],
    ),
    Mistake(
        "topk_activation",
        "only the values",
        "the k values come back without their places; put them back among zeros, in the shape of pre",
        change=[("torch.zeros_like(pre).scatter(-1, places, F.relu(values))", "F.relu(values)")],
    ),
    Mistake(
        "topk_activation",
        "first places",
        "the k values stand in the first k places, in order of size; scatter them to where they came from",
        change=[
            (
                "torch.zeros_like(pre).scatter(-1, places, F.relu(values))",
                "F.pad(F.relu(values), (0, pre.shape[-1] - k))",
            )
        ],
    ),
    Mistake(
        "topk_activation",
        "ones in place of values",
        "what is kept becomes 1; a feature is kept with its strength",
        change=[("F.relu(values))", "(values > 0).to(pre.dtype) + 0 * values)")],
    ),
    Mistake(
        "topk_activation",
        "too large a k goes through",
        "a k above d_sae is cut down in silence; raise a ValueError that names both numbers",
        change=[('raise ValueError(f"k must be at most d_sae, but {k} > {pre.shape[-1]}")', "k = pre.shape[-1]")],
    ),
    Mistake(
        "topk_activation",
        "k of d_sae refused",
        "k = d_sae is refused or cut down, but then all features are simply kept; only a larger k is an error",
        write="""
        def topk_activation(pre, k):
            if k > pre.shape[-1]:
                raise ValueError(f"k must be at most d_sae, but {k} > {pre.shape[-1]}")
            values, places = pre.topk(min(k, pre.shape[-1] - 1), dim=-1)
            return torch.zeros_like(pre).scatter(-1, places, F.relu(values))
        """,
    ),
    Mistake(
        "topk_activation",
        "gradient to what was dropped",
        "a gradient goes to features that were dropped too (a straight-through trick); only what is kept gets one",
        change=[
            (
                "return torch.zeros_like(pre).scatter(-1, places, F.relu(values))",
                "return F.relu(pre) + (torch.zeros_like(pre).scatter(-1, places, F.relu(values)) - F.relu(pre)).detach()",
            )
        ],
    ),
    # 3.23
    Mistake(
        "GatedSAE",
        "no gate",
        "encode gives the magnitudes without looking at the gate; they count only where the gate is above 0",
        change=[("return (self.gate(x) > 0) * magnitude", "return magnitude")],
    ),
    Mistake(
        "GatedSAE",
        "no magnitude",
        "encode gives the ReLU of the gate; the gate only says whether, the magnitude how strongly",
        change=[("return (self.gate(x) > 0) * magnitude", "return F.relu(self.gate(x))")],
    ),
    Mistake(
        "GatedSAE",
        "gate multiplied in",
        "the magnitude is multiplied with the gate's value; only whether that is above 0 counts",
        change=[("(self.gate(x) > 0) * magnitude", "F.relu(self.gate(x)) * magnitude")],
    ),
    Mistake(
        "GatedSAE",
        "soft gate",
        "the gate is a sigmoid, so that nothing is ever quite off; it is 1 above 0 and 0 elsewhere",
        change=[("(self.gate(x) > 0) * magnitude", "self.gate(x).sigmoid() * magnitude")],
    ),
    Mistake(
        "GatedSAE",
        "gate turned round",
        "features are on where the gate is negative; it lets through where it is above 0",
        change=[("(self.gate(x) > 0)", "(self.gate(x) < 0)")],
    ),
    Mistake(
        "GatedSAE",
        "ReLU in the gate",
        "gate returns its ReLU; the loss and the comparison need the pre-activation, negative values and all",
        change=[("return x @ self.W_gate + self.b_gate", "return F.relu(x @ self.W_gate + self.b_gate)")],
    ),
    Mistake(
        "GatedSAE",
        "no bias in the gate",
        "b_gate is not used; the gate's pre-activation is x W_gate + b_gate",
        change=[("return x @ self.W_gate + self.b_gate", "return x @ self.W_gate")],
    ),
    Mistake(
        "GatedSAE",
        "biases exchanged",
        "the gate uses b_mag and the magnitude b_gate; each has its own",
        change=[
            ("x @ self.W_gate + self.b_gate", "x @ self.W_gate + self.b_mag"),
            ("exp()) + self.b_mag)", "exp()) + self.b_gate)"),
        ],
    ),
    Mistake(
        "GatedSAE",
        "gate's bias in the magnitude",
        "the magnitude uses b_gate; it has a bias of its own, b_mag",
        change=[("exp()) + self.b_mag)", "exp()) + self.b_gate)")],
    ),
    Mistake(
        "GatedSAE",
        "no bias in the magnitude",
        "b_mag is not used; the magnitude is ReLU(x W_mag + b_mag)",
        change=[("exp()) + self.b_mag)", "exp()))")],
    ),
    Mistake(
        "GatedSAE",
        "no exponential",
        "the columns are multiplied with r_mag itself, which is 0 at the start and may be negative; with exp(r_mag)",
        change=[("self.r_mag.exp()", "self.r_mag")],
    ),
    Mistake(
        "GatedSAE",
        "no rescaling",
        "r_mag is not used: W_mag is W_gate with each column times exp(r_mag)",
        change=[("(self.W_gate * self.r_mag.exp())", "self.W_gate")],
    ),
    Mistake(
        "GatedSAE",
        "bias rescaled as well",
        "the bias of the magnitude is multiplied with exp(r_mag) too; only the columns of W_gate are",
        change=[
            (
                "F.relu(x @ (self.W_gate * self.r_mag.exp()) + self.b_mag)",
                "F.relu((x @ self.W_gate + self.b_mag) * self.r_mag.exp())",
            )
        ],
    ),
    Mistake(
        "GatedSAE",
        "gate rescaled",
        "the gate reads with the rescaled directions; it uses W_gate as it is",
        change=[("return x @ self.W_gate + self.b_gate", "return x @ (self.W_gate * self.r_mag.exp()) + self.b_gate")],
    ),
    Mistake(
        "GatedSAE",
        "no ReLU on the magnitude",
        "magnitudes may be negative; cut them off with a ReLU",
        change=[
            (
                "magnitude = F.relu(x @ (self.W_gate * self.r_mag.exp()) + self.b_mag)",
                "magnitude = x @ (self.W_gate * self.r_mag.exp()) + self.b_mag",
            )
        ],
    ),
    Mistake(
        "GatedSAE",
        "decoder bias subtracted",
        "b_dec is subtracted from x, as in the paper; in this course the encoder's own biases do that work",
        write="""
        class GatedSAE(nn.Module):
            def __init__(self, d_in, d_sae, generator):
                super().__init__()
                self.W_gate = nn.Parameter(torch.randn(d_in, d_sae, generator=generator))
                self.b_gate, self.r_mag, self.b_mag = (nn.Parameter(torch.zeros(d_sae)) for _ in range(3))
                self.W_dec = nn.Parameter(torch.randn(d_sae, d_in, generator=generator))
                self.b_dec = nn.Parameter(torch.zeros(d_in))

            def gate(self, x):
                return (x - self.b_dec) @ self.W_gate + self.b_gate

            def encode(self, x):
                magnitude = F.relu((x - self.b_dec) @ (self.W_gate * self.r_mag.exp()) + self.b_mag)
                return (self.gate(x) > 0) * magnitude

            def decode(self, f):
                return f @ self.W_dec + self.b_dec

            def forward(self, x):
                f = self.encode(x)
                return self.decode(f), f
        """,
    ),
    Mistake(
        "GatedSAE",
        "a gate at 0 lets through",
        "a gate of exactly 0 counts as open; on means above 0: > in place of >=",
        change=[("self.gate(x) > 0", "self.gate(x) >= 0")],
    ),
    Mistake(
        "GatedSAE",
        "sign of the gate",
        "torch.sign is -1 for a closed gate, so its feature comes out negative; 0 is right there: gate > 0",
        change=[("(self.gate(x) > 0) * magnitude", "self.gate(x).sign() * magnitude")],
    ),
    Mistake(
        "GatedSAE",
        "directions of the magnitude detached",
        "W_gate is detached in the magnitude, so the reconstruction cannot turn it; only the step itself is without a gradient",
        change=[("(self.W_gate * self.r_mag.exp())", "(self.W_gate.detach() * self.r_mag.exp())")],
    ),
    # 3.24
    Mistake(
        "gated_loss",
        "penalty on the features",
        "the L1 penalty is on f, so that the magnitudes shrink; it is on ReLU(gate) only",
        change=[("x_hat, _ = sae(x)", "x_hat, f = sae(x)"), ("l1 * opened.sum(dim=-1)", "l1 * f.sum(dim=-1)")],
    ),
    Mistake(
        "gated_loss",
        "penalty on the whole gate",
        "the penalty adds up negative gates too, which rewards closing them ever further; it is on their ReLU",
        change=[("l1 * opened.sum(dim=-1)", "l1 * sae.gate(x).sum(dim=-1)")],
    ),
    Mistake(
        "gated_loss",
        "second reconstruction without ReLU",
        "the second reconstruction is made of the gates with their negative values; take their ReLU",
        change=[("x_hat_gate = opened @", "x_hat_gate = sae.gate(x) @")],
    ),
    Mistake(
        "gated_loss",
        "no second reconstruction",
        "the gate has no reconstruction of its own, so that the penalty alone drives it and closes it; add the third term",
        change=[("opened.sum(dim=-1) + error_gate)", "opened.sum(dim=-1) + 0 * error_gate)")],
    ),
    Mistake(
        "gated_loss",
        "decoder not frozen",
        "the second reconstruction trains the decoder; detach W_dec and b_dec there",
        change=[("opened @ sae.W_dec.detach() + sae.b_dec.detach()", "opened @ sae.W_dec + sae.b_dec")],
    ),
    Mistake(
        "gated_loss",
        "decoder bias not frozen",
        "b_dec is trained by the second reconstruction; detach it there, as W_dec",
        change=[("sae.b_dec.detach()", "sae.b_dec")],
    ),
    Mistake(
        "gated_loss",
        "decoder matrix not frozen",
        "W_dec is trained by the second reconstruction; detach it there, as b_dec",
        change=[("sae.W_dec.detach()", "sae.W_dec")],
    ),
    Mistake(
        "gated_loss",
        "gate frozen",
        "the gate is detached in the second reconstruction, which then trains nothing; freeze the decoder, not the gate",
        change=[("opened @ sae.W_dec.detach() + sae.b_dec.detach()", "(opened @ sae.W_dec + sae.b_dec).detach()")],
    ),
    Mistake(
        "gated_loss",
        "decoder frozen everywhere",
        "the first reconstruction is made with a frozen decoder too, so nothing trains it; freeze it in the second only",
        change=[("x_hat, _ = sae(x)", "x_hat = sae.encode(x) @ sae.W_dec.detach() + sae.b_dec.detach()")],
    ),
    Mistake(
        "gated_loss",
        "l1 on the second reconstruction",
        "l1 multiplies the second reconstruction as well; it weighs the opened gates only",
        change=[("(error + l1 * opened.sum(dim=-1) + error_gate)", "(error + l1 * (opened.sum(dim=-1) + error_gate))")],
    ),
    Mistake(
        "gated_loss",
        "mean over components and features",
        "the terms are averaged over their last axis; sum over it, and average over examples only",
        change=[
            ("error = (x - x_hat).pow(2).sum(dim=-1)", "error = (x - x_hat).pow(2).mean(dim=-1)"),
            ("error_gate = (x - x_hat_gate).pow(2).sum(dim=-1)", "error_gate = (x - x_hat_gate).pow(2).mean(dim=-1)"),
            ("opened.sum(dim=-1) + error", "opened.mean(dim=-1) + error"),
        ],
    ),
    Mistake(
        "gated_loss",
        "sum over examples",
        "the examples are summed; take their mean",
        change=[("+ error_gate).mean()", "+ error_gate).sum()")],
    ),
    Mistake(
        "gated_loss",
        "gates reconstruct what the features do",
        "the gates are compared with x_hat; their reconstruction, too, has to come near x",
        change=[("error_gate = (x - x_hat_gate)", "error_gate = (x_hat.detach() - x_hat_gate)")],
    ),
    Mistake(
        "gated_loss",
        "second reconstruction without the bias",
        "the second reconstruction leaves out b_dec; it goes through the whole decoder, frozen",
        change=[(" + sae.b_dec.detach()", "")],
    ),
    Mistake(
        "gated_loss",
        "features penalised as well",
        "the features pay a penalty too, which shrinks them; l1 is for the gates only",
        change=[("l1 * opened.sum(dim=-1)", "l1 * (opened + sae.encode(x)).sum(dim=-1)")],
    ),
    Mistake(
        "gated_loss",
        "second error averaged over components",
        "the second error is averaged over d_in and the first is summed; sum both",
        change=[("(x - x_hat_gate).pow(2).sum(dim=-1)", "(x - x_hat_gate).pow(2).mean(dim=-1)")],
    ),
    Mistake(
        "gated_loss",
        "divided by the first axis",
        "the sum is divided by the first axis only; average over all leading axes",
        change=[
            (
                "(error + l1 * opened.sum(dim=-1) + error_gate).mean()",
                "(error + l1 * opened.sum(dim=-1) + error_gate).sum() / x.shape[0]",
            )
        ],
    ),
    Mistake(
        "gated_loss",
        "features in place of the gates",
        "the second reconstruction is made of the features; it is ReLU(gate) that has to suffice",
        change=[("x_hat_gate = opened @", "x_hat_gate = sae.encode(x) @")],
    ),
    Mistake(
        "gated_loss",
        "first error averaged over components",
        "the first error is averaged over d_in and the second is summed; sum both",
        change=[("(x - x_hat).pow(2).sum(dim=-1)", "(x - x_hat).pow(2).mean(dim=-1)")],
    ),
    Mistake(
        "gated_loss",
        "no first reconstruction",
        "the error of x_hat is left out, so nothing trains the decoder; add the first term",
        change=[("return (error + l1", "return (0 * error + l1")],
    ),
    Mistake(
        "gated_loss",
        "no penalty",
        "the loss has no penalty, so nothing closes a gate: add l1 · Σ ReLU(gate)",
        change=[("l1 * opened.sum(dim=-1) + ", "")],
    ),
    Mistake(
        "gated_loss",
        "penalty without l1",
        "the penalty is not multiplied by l1",
        change=[("l1 * opened.sum", "opened.sum")],
    ),
    Mistake(
        "gated_loss",
        "penalty averaged over features",
        "the opened gates are averaged over the features; the L1 norm is their sum",
        change=[("opened.sum(dim=-1)", "opened.mean(dim=-1)")],
    ),
    Mistake(
        "gated_loss",
        "penalty summed over the batch",
        "the opened gates of all examples are summed; sum over the last axis, and average over examples at the end",
        change=[("opened.sum(dim=-1)", "opened.sum()")],
    ),
    Mistake(
        "gated_loss",
        "penalty subtracted",
        "the penalty is subtracted, so the more gates are open the better; add it",
        change=[("error + l1 * opened", "error - l1 * opened")],
    ),
    Mistake(
        "gated_loss",
        "both errors averaged over components",
        "both errors are averaged over d_in, as mse_loss does; a squared distance is a sum",
        change=[
            ("error = (x - x_hat).pow(2).sum(dim=-1)", "error = (x - x_hat).pow(2).mean(dim=-1)"),
            ("error_gate = (x - x_hat_gate).pow(2).sum(dim=-1)", "error_gate = (x - x_hat_gate).pow(2).mean(dim=-1)"),
        ],
    ),
    Mistake(
        "gated_loss",
        "gates as 0 or 1",
        "an open gate counts as 1, however far it is open; take ReLU of the gate",
        change=[("opened = F.relu(sae.gate(x))", "opened = (sae.gate(x) > 0).to(x.dtype)")],
    ),
    # 3.25
    Mistake(
        "JumpReLU",
        "threshold subtracted",
        "the threshold is subtracted from what passes, which is the shrinkage that we want to avoid; z passes as it is",
        change=[("return z * (z > threshold)", "return (z - threshold) * (z > threshold)")],
    ),
    Mistake(
        "JumpReLU",
        "ones in place of values",
        "what is above its threshold becomes 1; it passes with its value (1 is what Step gives)",
        change=[("return z * (z > threshold)", "return (z > threshold).to(z.dtype)")],
    ),
    Mistake(
        "JumpReLU",
        "threshold ignored",
        "this is ReLU: what is above 0 passes; only what is above its threshold may",
        change=[("return z * (z > threshold)", "return z * (z > 0)")],
    ),
    Mistake(
        "JumpReLU",
        "at the threshold on",
        "z equal to the threshold passes; above means larger than",
        change=[("return z * (z > threshold)", "return z * (z >= threshold)")],
    ),
    Mistake(
        "JumpReLU",
        "no gradient to the threshold",
        "the threshold gets no gradient, so it never moves; give it the estimate from the window",
        change=[("-(threshold / ctx.bandwidth)", "-(0 * threshold / ctx.bandwidth)")],
    ),
    Mistake(
        "JumpReLU",
        "gradient of a step",
        "the gradient of the threshold lacks the factor threshold: the output jumps by as much as the threshold, not by 1",
        change=[("-(threshold / ctx.bandwidth)", "-(1 / ctx.bandwidth)")],
    ),
    Mistake(
        "JumpReLU",
        "sign of the threshold's gradient",
        "the gradient of the threshold has the wrong sign: raising it lets less through",
        change=[("-(threshold / ctx.bandwidth)", "(threshold / ctx.bandwidth)")],
    ),
    Mistake(
        "JumpReLU",
        "not divided by the bandwidth",
        "the gradient of the threshold is not divided by the bandwidth; a count in a window over its width is a density",
        change=[("-(threshold / ctx.bandwidth)", "-threshold")],
    ),
    Mistake(
        "JumpReLU",
        "window twice as wide",
        "the window reaches a whole bandwidth to either side; half of it to either side makes it one bandwidth wide",
        change=[("< ctx.bandwidth / 2", "< ctx.bandwidth")],
    ),
    Mistake(
        "JumpReLU",
        "window on one side",
        "only z above the threshold counts; the window reaches half a bandwidth to either side",
        change=[
            (
                "near = (z - threshold).abs() < ctx.bandwidth / 2",
                "near = (z > threshold) & (z - threshold < ctx.bandwidth / 2)",
            )
        ],
    ),
    Mistake(
        "JumpReLU",
        "window ignored",
        "every example moves the threshold; only those with z near it, within half a bandwidth, do",
        change=[("near = (z - threshold).abs() < ctx.bandwidth / 2", "near = torch.ones_like(z)")],
    ),
    Mistake(
        "JumpReLU",
        "upstream left out of the threshold's gradient",
        "the gradient of the threshold is not multiplied with upstream; the chain rule needs it in both",
        change=[("-(threshold / ctx.bandwidth) * near * upstream", "-(threshold / ctx.bandwidth) * near")],
    ),
    Mistake(
        "JumpReLU",
        "mean over examples",
        "the gradients of the threshold are averaged over examples; one threshold serves all of them, so they are summed",
        change=[
            ("to_threshold.reshape(-1, z.shape[-1]).sum(dim=0)", "to_threshold.reshape(-1, z.shape[-1]).mean(dim=0)")
        ],
    ),
    Mistake(
        "JumpReLU",
        "gradient to everything",
        "z gets a gradient where it is below its threshold too; nothing passes there, so 0 is right",
        change=[("return upstream * (z > threshold), ", "return upstream * torch.ones_like(z), ")],
    ),
    Mistake(
        "JumpReLU",
        "upstream left out of the gradient of z",
        "the gradient of z is the local derivative alone; multiply it with upstream",
        change=[("return upstream * (z > threshold), ", "return (z > threshold).to(z.dtype), ")],
    ),
    Mistake(
        "JumpReLU",
        "gradient of ReLU to z",
        "z gets a gradient wherever it is above 0; above its threshold is right",
        change=[("return upstream * (z > threshold), ", "return upstream * (z > 0), ")],
    ),
    Mistake(
        "JumpReLU",
        "window in the gradient of z",
        "the window's estimate is sent to z as well; z has a true gradient, 1 above its threshold and 0 elsewhere",
        change=[
            (
                "return upstream * (z > threshold), ",
                "return upstream * ((z > threshold) + threshold / ctx.bandwidth * near), ",
            )
        ],
    ),
    Mistake(
        "JumpReLU",
        "window without abs",
        "everything below the window counts too, as abs is missing: |z - threshold| < bandwidth / 2",
        change=[("(z - threshold).abs() <", "(z - threshold) <")],
    ),
    Mistake(
        "JumpReLU",
        "multiplied by the bandwidth",
        "it is multiplied by the bandwidth; the count in a window is divided by its width",
        change=[("(threshold / ctx.bandwidth)", "(threshold * ctx.bandwidth)")],
    ),
    Mistake(
        "JumpReLU",
        "one number for all thresholds",
        "the sum runs over the features as well; each threshold hears of its own feature only",
        change=[("to_threshold.reshape(-1, z.shape[-1]).sum(dim=0)", "to_threshold.sum().expand_as(threshold)")],
    ),
    Mistake(
        "JumpReLU",
        "z in place of the threshold",
        "the factor is z of each example; in the window z is near the threshold, and the estimate takes the threshold itself",
        change=[("(threshold / ctx.bandwidth)", "(z / ctx.bandwidth)")],
    ),
    Mistake(
        "JumpReLU",
        "edges of the window counted",
        "z just half a bandwidth from the threshold counts as near; |z - threshold| is to be smaller than that: <",
        change=[(".abs() < ctx.bandwidth", ".abs() <= ctx.bandwidth")],
    ),
    Mistake(
        "JumpReLU",
        "gradient at the threshold",
        "z equal to the threshold gets a gradient, though it does not pass; its gradient is upstream where z > threshold",
        change=[("return upstream * (z > threshold)", "return upstream * (z >= threshold)")],
    ),
    # 3.26
    Mistake(
        "Step",
        "values in place of ones",
        "what is above its threshold keeps its value, as in JumpReLU; a step is 1 there",
        change=[("return (z > threshold).to(z.dtype)", "return z * (z > threshold)")],
    ),
    Mistake(
        "Step",
        "at the threshold on",
        "z equal to the threshold gives 1; above means larger than",
        change=[("return (z > threshold).to(z.dtype)", "return (z >= threshold).to(z.dtype)")],
    ),
    Mistake(
        "Step",
        "threshold ignored",
        "the step is at 0; it is at the threshold of each feature",
        change=[("return (z > threshold).to(z.dtype)", "return (z > 0).to(z.dtype)")],
    ),
    Mistake(
        "Step",
        "soft step",
        "the step is smoothed already in forward; forward is exactly 0 or 1, and only backward looks at the bandwidth",
        change=[("return (z > threshold).to(z.dtype)", "return ((z - threshold) / bandwidth).sigmoid()")],
    ),
    Mistake(
        "Step",
        "sign",
        "the gradient of the threshold has the wrong sign: raising it lets less through",
        change=[("-(1 / ctx.bandwidth)", "(1 / ctx.bandwidth)")],
    ),
    Mistake(
        "Step",
        "gradient of JumpReLU",
        "the gradient of the threshold has the factor threshold, as in JumpReLU; a step jumps by 1",
        change=[("-(1 / ctx.bandwidth)", "-(threshold / ctx.bandwidth)")],
    ),
    Mistake(
        "Step",
        "not divided by the bandwidth",
        "the gradient of the threshold is not divided by the bandwidth; a count in a window over its width is a density",
        change=[("-(1 / ctx.bandwidth)", "-1.0")],
    ),
    Mistake(
        "Step",
        "no gradient to the threshold",
        "the threshold gets no gradient, so the penalty has no effect; give it the estimate from the window",
        change=[("-(1 / ctx.bandwidth)", "-(0 / ctx.bandwidth)")],
    ),
    Mistake(
        "Step",
        "window twice as wide",
        "the window reaches a whole bandwidth to either side; half of it to either side makes it one bandwidth wide",
        change=[("< ctx.bandwidth / 2", "< ctx.bandwidth")],
    ),
    Mistake(
        "Step",
        "window ignored",
        "every example moves the threshold; only those with z near it, within half a bandwidth, do",
        change=[("near = (z - threshold).abs() < ctx.bandwidth / 2", "near = torch.ones_like(z)")],
    ),
    Mistake(
        "Step",
        "upstream left out",
        "the gradient of the threshold is not multiplied with upstream; the chain rule needs it",
        change=[("-(1 / ctx.bandwidth) * near * upstream", "-(1 / ctx.bandwidth) * near.to(z.dtype)")],
    ),
    Mistake(
        "Step",
        "mean over examples",
        "the gradients of the threshold are averaged over examples; one threshold serves all of them, so they are summed",
        change=[
            ("to_threshold.reshape(-1, z.shape[-1]).sum(dim=0)", "to_threshold.reshape(-1, z.shape[-1]).mean(dim=0)")
        ],
    ),
    Mistake(
        "Step",
        "gradient to z",
        "the estimate is sent to z as well, with the sign turned round; the encoder must not hear of the penalty",
        change=[("return None, to_threshold.reshape", "return -to_threshold, to_threshold.reshape")],
    ),
    Mistake(
        "Step",
        "straight through to z",
        "upstream is passed on to z where it is above its threshold; a step sends nothing to z",
        change=[("return None, to_threshold.reshape", "return upstream * (z > threshold), to_threshold.reshape")],
    ),
    Mistake(
        "Step",
        "window without abs",
        "abs is missing, so all that lies below counts as near: |z - threshold| < bandwidth / 2",
        change=[("(z - threshold).abs() <", "(z - threshold) <")],
    ),
    Mistake(
        "Step",
        "multiplied by the bandwidth",
        "the bandwidth multiplies; it divides, as a narrow window counts few",
        change=[("(1 / ctx.bandwidth)", "(1 * ctx.bandwidth)")],
    ),
    Mistake(
        "Step",
        "one number for all thresholds",
        "all thresholds get one and the same sum; sum over the examples, not over d_sae",
        change=[("to_threshold.reshape(-1, z.shape[-1]).sum(dim=0)", "to_threshold.sum().expand_as(threshold)")],
    ),
    Mistake(
        "Step",
        "window on one side",
        "only z above the threshold counts; the window reaches to both sides, by half a bandwidth each",
        change=[
            ("(z - threshold).abs() < ctx.bandwidth / 2", "((z - threshold) >= 0) & ((z - threshold) < ctx.bandwidth)")
        ],
    ),
    Mistake(
        "Step",
        "edges of the window counted",
        "z just half a bandwidth from the threshold counts as near; |z - threshold| is to be smaller than that: <",
        change=[(".abs() < ctx.bandwidth", ".abs() <= ctx.bandwidth")],
    ),
    # 3.27
    Mistake(
        "gather_activations",
        "last batch lost",
        "the texts after the last full batch are left out; the last batch may be smaller than batch_size",
        change=[
            (
                "for part in tokens.split(batch_size):",
                "for part in [part for part in tokens.split(batch_size) if len(part) == batch_size] or [tokens]:",
            )
        ],
    ),
    Mistake(
        "gather_activations",
        "all at once",
        "the model is run on all texts at once; run it on batch_size texts at a time, or memory grows with their number",
        change=[("tokens.split(batch_size)", "[tokens]")],
    ),
    Mistake(
        "gather_activations",
        "only the last batch",
        "each batch replaces the one before, so only the last comes back; keep all of them and concatenate",
        change=[("kept.append(activation)", "kept[:] = [activation]")],
    ),
    Mistake(
        "gather_activations",
        "texts and positions in one axis",
        "texts and positions are flattened into one axis; the result keeps both: batch pos d_model",
        change=[("torch.cat(kept)", "torch.cat(kept).flatten(0, 1)")],
    ),
    Mistake(
        "gather_activations",
        "batches along the positions",
        "the batches are concatenated along the axis of positions; further texts belong on the first axis",
        write="""
        def gather_activations(model, tokens, hook_name, batch_size=64):
            kept = []
            whole = tokens[: len(tokens) // batch_size * batch_size] if len(tokens) > batch_size else tokens
            with torch.no_grad():
                for part in whole.split(batch_size):
                    model.run_with_hooks(part, return_type=None, fwd_hooks=[(hook_name, lambda x, hook: kept.append(x))])
            return torch.cat(kept, dim=1)
        """,
    ),
    Mistake(
        "gather_activations",
        "with gradients",
        "the runs record gradients, and every activation keeps its graph in memory; put them under torch.no_grad()",
        change=[("with torch.no_grad():", "with torch.enable_grad():")],
    ),
    Mistake(
        "gather_activations",
        "hook left on",
        "model.add_hook puts a hook on for good, and later runs still feed it; use run_with_hooks",
        write="""
        def gather_activations(model, tokens, hook_name, batch_size=64):
            kept = []
            model.add_hook(hook_name, lambda x, hook: kept.append(x))
            with torch.no_grad():
                for part in tokens.split(batch_size):
                    model(part)
            return torch.cat(kept)
        """,
    ),
    Mistake(
        "gather_activations",
        "one place for all",
        "the activations are those of blocks.0.hook_resid_post whatever is asked for; use hook_name",
        change=[("fwd_hooks=[(hook_name, keep)]", 'fwd_hooks=[("blocks.0.hook_resid_post", keep)]')],
    ),
    Mistake(
        "gather_activations",
        "position 0 dropped",
        "the first position is left out here already; gather all positions, and leave out what you like afterwards",
        change=[("kept.append(activation)", "kept.append(activation[:, 1:])")],
    ),
    Mistake(
        "gather_activations",
        "number of batches",
        "batch_size is taken for the number of parts, as in chunk; it is the size of a part, as in split",
        change=[("tokens.split(batch_size)", "tokens.chunk(batch_size)")],
    ),
    Mistake(
        "gather_activations",
        "a cache of all places",
        "run_with_cache keeps every activation of every layer; read the one place with a hook",
        write="""
        def gather_activations(model, tokens, hook_name, batch_size=64):
            with torch.no_grad():
                return torch.cat([model.run_with_cache(part)[1][hook_name] for part in tokens.split(batch_size)])
        """,
    ),
    Mistake(
        "gather_activations",
        "a hook more with each batch",
        "each batch adds another hook, so later batches are kept several times; use run_with_hooks, or add one hook before the loop",
        write="""
        def gather_activations(model, tokens, hook_name, batch_size=64):
            kept = []
            with torch.no_grad():
                for part in tokens.split(batch_size):
                    model.add_hook(hook_name, lambda x, hook: kept.append(x))
                    model(part)
            model.reset_hooks()
            return torch.cat(kept)
        """,
    ),
    Mistake(
        "gather_activations",
        "one text at a time",
        "the texts are run one by one, which takes long; run batch_size of them at a time: tokens.split(batch_size)",
        change=[("tokens.split(batch_size)", "tokens.split(1)")],
    ),
    # 3.28
    Mistake(
        "l0",
        "share in place of count",
        "this is the share of features that are active; L0 is their number: sum over the last axis before you average",
        change=[("(f > 0).sum(dim=-1).double().mean()", "(f > 0).double().mean()")],
    ),
    Mistake(
        "l0",
        "total over examples",
        "the active features of all examples are added up; average the counts over the examples",
        change=[(".sum(dim=-1).double().mean()", ".sum()")],
    ),
    Mistake(
        "l0",
        "L1",
        "this sums how strong the features are, which is the L1 norm; L0 counts how many are active",
        change=[("(f > 0).sum(dim=-1)", "f.sum(dim=-1)")],
    ),
    Mistake(
        "l0",
        "weak features lost",
        "activations are made whole numbers, so those below 1 count as silent; compare them with 0",
        change=[("(f > 0)", "(f.long() > 0)")],
    ),
    Mistake(
        "l0",
        "weak features below a threshold",
        "activations below a threshold of your own count as silent; a feature is active where it is above 0",
        change=[("(f > 0)", "(f > 0.1)")],
    ),
    Mistake(
        "l0",
        "at least 0",
        "f >= 0 holds for silent features too, so this is d_sae; use f > 0",
        change=[("(f > 0)", "(f >= 0)")],
    ),
    Mistake(
        "l0",
        "counted over examples",
        "this counts on how many examples a feature is active; count features of an example, along the last axis",
        change=[(".sum(dim=-1)", ".flatten(0, -2).sum(dim=0)")],
    ),
    Mistake(
        "l0",
        "features active anywhere",
        "this counts the features that are active on any example; count those of each example and average",
        change=[("(f > 0).sum(dim=-1).double().mean()", "(f > 0).flatten(0, -2).any(dim=0).sum()")],
    ),
    Mistake(
        "l0",
        "active examples only",
        "examples without any active feature are left out of the mean; they are examples too, with a count of 0",
        write="""
        def l0(f):
            counts = (f > 0).sum(dim=-1).double()
            return (counts.sum() / (counts > 0).sum().clamp(min=1)).item()
        """,
    ),
    Mistake(
        "l0",
        "over the first axis",
        "the active features are divided by the length of the first axis; with texts and positions, all of both are examples",
        change=[("(f > 0).sum(dim=-1).double().mean()", "((f > 0).sum() / len(f))")],
    ),
    Mistake(
        "l0",
        "counted along the first axis",
        "dim=0 counts on how many examples a feature is active; the features of an example are the last axis: dim=-1",
        change=[(".sum(dim=-1)", ".sum(dim=0)")],
    ),
    Mistake(
        "l0",
        "a whole number",
        "the mean is cut off to a whole number; a mean count may have a fraction",
        change=[(".item()", ".long().item()")],
    ),
    # 3.29
    Mistake(
        "explained_variance",
        "about 0",
        "the total is the sum of x², so a large mean counts as explained; measure it about the mean example",
        change=[("(x - x.mean(dim=0)).square()", "x.square()")],
    ),
    Mistake(
        "explained_variance",
        "about one number",
        "x.mean() is one number for all dimensions; the mean example is a vector: x.mean(dim=0)",
        change=[("x.mean(dim=0)", "x.mean()")],
    ),
    Mistake(
        "explained_variance",
        "about each example's own mean",
        "the mean runs over the dimensions of each example, as in LayerNorm; it runs over examples",
        change=[("x.mean(dim=0)", "x.mean(dim=-1, keepdim=True)")],
    ),
    Mistake(
        "explained_variance",
        "a mean for each position",
        "the mean is over the first axis only, so each position has its own; flatten all leading axes first",
        change=[("x, x_hat = x.flatten(0, -2), x_hat.flatten(0, -2)", "x, x_hat = x, x_hat")],
    ),
    Mistake(
        "explained_variance",
        "a mean for each text",
        "each text is measured about a mean of its own, over positions; there is one mean, over all examples",
        change=[
            ("x, x_hat = x.flatten(0, -2), x_hat.flatten(0, -2)", "x, x_hat = x, x_hat"),
            ("x.mean(dim=0)", "(x.mean(dim=-2, keepdim=True) if x.ndim > 2 else x.mean(dim=0))"),
        ],
    ),
    Mistake(
        "explained_variance",
        "the unexplained share",
        "this is the share that is *not* explained; subtract it from 1",
        change=[("(1 - residual / total)", "(residual / total)")],
    ),
    Mistake(
        "explained_variance",
        "mean of ratios over dimensions",
        "a ratio is taken for each dimension and averaged; sum over everything first, then divide once",
        change=[
            ("(x - x_hat).square().sum()", "(x - x_hat).square().sum(dim=0)"),
            ("(x - x.mean(dim=0)).square().sum()", "(x - x.mean(dim=0)).square().sum(dim=0)"),
            ("(1 - residual / total)", "(1 - residual / total).mean()"),
        ],
    ),
    Mistake(
        "explained_variance",
        "mean of ratios over examples",
        "a ratio is taken for each example and averaged; sum over everything first, then divide once",
        change=[
            ("(x - x_hat).square().sum()", "(x - x_hat).square().sum(dim=-1)"),
            ("(x - x.mean(dim=0)).square().sum()", "(x - x.mean(dim=0)).square().sum(dim=-1)"),
            ("(1 - residual / total)", "(1 - residual / total).mean()"),
        ],
    ),
    Mistake(
        "explained_variance",
        "variance of the residual",
        "the residual is measured about its own mean, so a constant error does not count; sum its squares as it is",
        change=[("(x - x_hat).square()", "(x - x_hat - (x - x_hat).mean(dim=0)).square()")],
    ),
    Mistake(
        "explained_variance",
        "variance of the reconstruction",
        "this compares how much x_hat varies with how much x does; what counts is how far x_hat is from x",
        change=[("(1 - residual / total)", "((x_hat - x_hat.mean(dim=0)).square().sum() / total)")],
    ),
    Mistake(
        "explained_variance",
        "about the mean of the reconstruction",
        "the total is measured about the mean of x_hat; the baseline is the mean of x",
        change=[("x.mean(dim=0)", "x_hat.mean(dim=0)")],
    ),
    Mistake(
        "explained_variance",
        "lengths in place of squares",
        "the lengths of the errors are summed; a variance is made of squared lengths",
        change=[
            ("(x - x_hat).square().sum()", "(x - x_hat).norm(dim=-1).sum()"),
            ("(x - x.mean(dim=0)).square().sum()", "(x - x.mean(dim=0)).norm(dim=-1).sum()"),
        ],
    ),
    Mistake(
        "explained_variance",
        "one example less",
        "x.var() divides by one example less than there are, and the mean of squared errors does not; sum both, or correction=0",
        change=[("1 - residual / total", "1 - residual / total * (len(x) - 1) / len(x)")],
    ),
    Mistake(
        "explained_variance",
        "the variance of all numbers",
        "x.var() is measured about one number for all dimensions; the mean example is a vector: x.mean(dim=0)",
        change=[("1 - residual / total", "1 - (residual / x.numel()) / x.var()")],
    ),
    Mistake(
        "explained_variance",
        "a ratio of lengths",
        "the root is taken of both sums before they are divided; a variance is made of squares",
        change=[("1 - residual / total", "1 - residual.sqrt() / total.sqrt()")],
    ),
    Mistake(
        "explained_variance",
        "two kinds of mean",
        "the errors are summed over dimensions and the total is averaged over them; treat both alike",
        change=[("1 - residual / total", "1 - residual / total * x.shape[-1]")],
    ),
    Mistake(
        "explained_variance",
        "nothing below 0",
        "values below 0 are cut off; a reconstruction that is worse than the mean explains less than nothing",
        change=[("(1 - residual / total)", "(1 - residual / total).clamp(min=0)")],
    ),
    Mistake(
        "explained_variance",
        "residual not squared",
        "the errors are summed with their signs, so that they cancel; square each, then sum",
        change=[("(x - x_hat).square().sum()", "(x - x_hat).sum()")],
    ),
    Mistake(
        "explained_variance",
        "a mean over a sum",
        "above the line is a mean, below it a sum; take the same of both",
        change=[("(x - x_hat).square().sum()", "(x - x_hat).square().mean()")],
    ),
    Mistake(
        "explained_variance",
        "a sum over a mean",
        "above the line is a sum, below it a mean; take the same of both",
        change=[("(x - x.mean(dim=0)).square().sum()", "(x - x.mean(dim=0)).square().mean()")],
    ),
    Mistake(
        "explained_variance",
        "not divided",
        "the residual is not divided by the total, so the result depends on the scale of x",
        change=[("1 - residual / total", "1 - residual")],
    ),
    Mistake(
        "explained_variance",
        "the share added",
        "the unexplained share is added to 1; subtract it",
        change=[("1 - residual / total", "1 + residual / total")],
    ),
    # 3.30
    Mistake(
        "dead_fraction",
        "the living",
        "this is the share of features that are alive; take the opposite",
        change=[("(~alive)", "alive")],
    ),
    Mistake(
        "dead_fraction",
        "a number in place of a share",
        "this is how many features are dead; divide by the number of features",
        change=[("(~alive).double().mean()", "(~alive).sum()")],
    ),
    Mistake(
        "dead_fraction",
        "share of zeros",
        "this is the share of zeros in f; a feature is dead only if it is 0 on all examples: any over them first",
        change=[("(f > 0).flatten(0, -2).any(dim=0)", "(f > 0)")],
    ),
    Mistake(
        "dead_fraction",
        "examples without a feature",
        "this is the share of examples on which nothing is active; go over examples for each feature, not the reverse",
        change=[("any(dim=0)", "any(dim=-1)")],
    ),
    Mistake(
        "dead_fraction",
        "judged by the first text",
        "only the first entry of the first axis is looked at; a feature may be active on any example",
        change=[("(f > 0).flatten(0, -2).any(dim=0)", "(f[:1] > 0).flatten(0, -2).any(dim=0)")],
    ),
    Mistake(
        "dead_fraction",
        "each position by itself",
        "any runs over the first axis only, so a feature counts once for each position; flatten all leading axes first",
        change=[(".flatten(0, -2)", "")],
    ),
    Mistake(
        "dead_fraction",
        "always active",
        "all in place of any: a feature that is silent on one example counts as dead",
        change=[("any(dim=0)", "all(dim=0)")],
    ),
    Mistake(
        "dead_fraction",
        "weak on average",
        "features whose mean is small count as dead; one that is active once, and weakly, is alive: any(f > 0)",
        change=[("(f > 0).flatten(0, -2).any(dim=0)", "f.flatten(0, -2).mean(dim=0) > 1e-2")],
    ),
    Mistake(
        "dead_fraction",
        "seldom active",
        "features that are active on less than a hundredth of the examples count as dead; one example is enough to be alive",
        change=[(".any(dim=0)", ".float().mean(dim=0) >= 0.01")],
    ),
    Mistake(
        "dead_fraction",
        "over the examples",
        "the dead features are divided by the number of examples; divide by the number of features",
        change=[("(~alive).double().mean()", "((~alive).sum() / (f.numel() // f.shape[-1]))")],
    ),
    Mistake(
        "dead_fraction",
        "judged by the last text",
        "only the last entry of the first axis is looked at; a feature may be active on any example",
        change=[("(f > 0).flatten(0, -2).any(dim=0)", "(f[-1:] > 0).flatten(0, -2).any(dim=0)")],
    ),
    Mistake(
        "dead_fraction",
        "any at all",
        "`any` runs over the features too, so one active feature makes all of them alive; keep the last axis: any(dim=0)",
        change=[(".any(dim=0)", ".any()")],
    ),
    Mistake(
        "dead_fraction",
        "0 is active",
        "a feature at 0 counts as active, so none is ever dead: f > 0",
        change=[("(f > 0)", "(f >= 0)")],
    ),
    # 3.31
    Mistake(
        "loss_recovered",
        "zero ablation",
        "the baseline is 0, which flatters every SAE (x.mean() over all axes is 0 too, in a centred stream); put the mean vector there",
        change=[("x.mean(dim=(0, 1)).expand_as(x)", "torch.zeros_like(x)")],
    ),
    Mistake(
        "loss_recovered",
        "a mean for each position",
        "the baseline has a mean of its own at each position; average over texts and positions: dim=(0, 1)",
        change=[("x.mean(dim=(0, 1)).expand_as(x)", "x.mean(dim=0, keepdim=True).expand_as(x)")],
    ),
    Mistake(
        "loss_recovered",
        "a mean for each text",
        "the baseline has a mean of its own for each text, and so still says which text it is; average over dim=(0, 1)",
        change=[("x.mean(dim=(0, 1)).expand_as(x)", "x.mean(dim=1, keepdim=True).expand_as(x)")],
    ),
    Mistake(
        "loss_recovered",
        "the SAE's bias as the baseline",
        "the baseline is sae.b_dec, which need not be the mean; take the mean activation of this run",
        change=[("x.mean(dim=(0, 1)).expand_as(x)", "sae.b_dec.expand_as(x)")],
    ),
    Mistake(
        "loss_recovered",
        "position 0 replaced",
        "position 0 is replaced as well; keep x[:, :1] and replace what comes after it",
        change=[("torch.cat([x[:, :1], replace(x[:, 1:])], dim=1)", "replace(x)")],
    ),
    Mistake(
        "loss_recovered",
        "position 0 in the mean",
        "position 0 counts for the mean; take the mean over positions 1, 2, … only",
        write="""
        def loss_recovered(model, sae, hook_name, tokens):
            def loss(replace):
                def splice(x, hook):
                    return torch.cat([x[:, :1], replace(x)[:, 1:]], dim=1)

                logits = model.run_with_hooks(tokens, fwd_hooks=[(hook_name, splice)])
                return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())

            clean, spliced = loss(lambda x: x), loss(lambda x: sae.decode(sae.encode(x)))
            ablated = loss(lambda x: x.mean(dim=(0, 1)).expand_as(x))
            return ((ablated - spliced) / (ablated - clean)).item()
        """,
    ),
    Mistake(
        "loss_recovered",
        "the share lost",
        "this is the share of the loss that is *not* recovered; the numerator is CE ablated minus CE with the SAE",
        change=[("((ablated - spliced)", "((spliced - clean)")],
    ),
    Mistake(
        "loss_recovered",
        "no baseline",
        "this is the ratio of two losses; both are to be measured from the loss of the ablated run",
        change=[("((ablated - spliced) / (ablated - clean))", "(clean / spliced)")],
    ),
    Mistake(
        "loss_recovered",
        "upside down",
        "the fraction is upside down: CE ablated minus CE clean belongs below the line",
        change=[("((ablated - spliced) / (ablated - clean))", "((ablated - clean) / (ablated - spliced))")],
    ),
    Mistake(
        "loss_recovered",
        "not shifted",
        "the logits are compared with the token at their own position; they are about the next one",
        change=[("logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()", "logits.flatten(0, 1), tokens.flatten()")],
    ),
    Mistake(
        "loss_recovered",
        "shifted the wrong way",
        "the logits are compared with the token before; logits[:, :-1] belong to tokens[:, 1:]",
        change=[("logits[:, :-1].flatten(0, 1), tokens[:, 1:]", "logits[:, 1:].flatten(0, 1), tokens[:, :-1]")],
    ),
    Mistake(
        "loss_recovered",
        "error kept",
        "the SAE's error is added to its reconstruction, which is x again; here the reconstruction stands alone",
        change=[("sae.decode(sae.encode(x))", "sae.decode(sae.encode(x)) + (x - sae.decode(sae.encode(x)))")],
    ),
    Mistake(
        "loss_recovered",
        "the mean of the reconstruction",
        "the baseline is the mean of what the SAE reconstructs; take the mean of the activation itself",
        change=[("x.mean(dim=(0, 1)).expand_as(x)", "sae.decode(sae.encode(x)).mean(dim=(0, 1)).expand_as(x)")],
    ),
    Mistake(
        "loss_recovered",
        "nothing replaced",
        "the hook returns nothing, so all three runs are clean, and this is 0/0; return the tensor that is to stand there",
        change=[("            return torch.cat([", "            torch.cat([")],
    ),
    Mistake(
        "loss_recovered",
        "position 0 replaced by the SAE",
        "the SAE's reconstruction stands at position 0 as well; keep x[:, :1] in this run, too",
        write="""
        def loss_recovered(model, sae, hook_name, tokens):
            def loss(splice):
                logits = model.run_with_hooks(tokens, fwd_hooks=[(hook_name, splice)])
                return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())

            def mean(x, hook):
                return torch.cat([x[:, :1], x[:, 1:].mean(dim=(0, 1)).expand_as(x[:, 1:])], dim=1)

            clean, spliced, ablated = loss(lambda x, hook: x), loss(lambda x, hook: sae(x)[0]), loss(mean)
            return ((ablated - spliced) / (ablated - clean)).item()
        """,
    ),
    Mistake(
        "loss_recovered",
        "over the ablated loss",
        "the difference is divided by the loss of the ablated run; divide by what there is to lose: CE ablated minus CE clean",
        change=[("(ablated - clean))", "ablated)")],
    ),
    Mistake(
        "loss_recovered",
        "hooks left on",
        "model.add_hook puts hooks on for good, so each run meets those before it; use run_with_hooks",
        change=[
            (
                "logits = model.run_with_hooks(tokens, fwd_hooks=[(hook_name, splice)])",
                "model.add_hook(hook_name, splice)\n        logits = model(tokens)",
            )
        ],
    ),
    Mistake(
        "loss_recovered",
        "not divided",
        "this is a difference of losses, in nats; divide it by what the ablation costs, CE ablated minus CE clean",
        change=[("((ablated - spliced) / (ablated - clean))", "(ablated - spliced)")],
    ),
    Mistake(
        "loss_recovered",
        "over the clean loss",
        "the difference is divided by the clean loss; below the line is what the ablation costs, CE ablated minus CE clean",
        change=[("/ (ablated - clean)", "/ clean")],
    ),
    Mistake(
        "loss_recovered",
        "perplexities",
        "the three are perplexities, exp(loss); the ratio is one of losses in nats: cross-entropy as it is",
        change=[
            (
                "return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())",
                "return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).exp()",
            )
        ],
    ),
    Mistake(
        "loss_recovered",
        "the last token alone",
        "the losses are those of each text's last token; all predictions count: logits[:, :-1] against tokens[:, 1:]",
        change=[
            (
                "F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())",
                "F.cross_entropy(logits[:, -2], tokens[:, -1])",
            )
        ],
    ),
    Mistake(
        "loss_recovered",
        "another text's activation",
        "the baseline is the activation of another text (resample ablation); what is asked for is the mean vector",
        change=[("x.mean(dim=(0, 1)).expand_as(x)", "x.roll(1, dims=0)")],
    ),
    # 3.32
    Mistake(
        "top_examples",
        "several from one text",
        "the k largest activations of all are taken, so one text can give several; take the best of each text first",
        write="""
        def top_examples(f, feature, k):
            values, flat = f[:, :, feature].flatten().topk(min(k, f.shape[0]))
            flat = flat[values > 0]
            return torch.stack([flat // f.shape[1], flat % f.shape[1]], dim=1)
        """,
    ),
    Mistake(
        "top_examples",
        "position before text",
        "each row is (position, text); the text comes first",
        change=[("torch.stack([rows, places[rows]], dim=1)", "torch.stack([places[rows], rows], dim=1)")],
    ),
    Mistake(
        "top_examples",
        "weakest first",
        "the weakest examples come first; sort in descending order",
        change=[("argsort(descending=True)[:k]\n", "argsort()[:k]\n")],
    ),
    Mistake(
        "top_examples",
        "in the order of texts",
        "the rows are in the order of the texts; the strongest example comes first",
        change=[("rows = rows[best[rows] > 0]", "rows = rows[best[rows] > 0].sort().values")],
    ),
    Mistake(
        "top_examples",
        "silent texts kept",
        "texts in which the feature is nowhere active are no examples of it; leave them out",
        change=[("rows = rows[best[rows] > 0]\n", "\n")],
    ),
    Mistake(
        "top_examples",
        "any feature",
        "the maximum is over all features; only the one asked for counts: f[:, :, feature]",
        change=[("f[:, :, feature].max(dim=1)", "f.amax(dim=-1).max(dim=1)")],
    ),
    Mistake(
        "top_examples",
        "positions of other texts",
        "the positions are still in the order of the texts; reorder them with the rows: places[rows]",
        change=[("torch.stack([rows, places[rows]], dim=1)", "torch.stack([rows, places[: len(rows)]], dim=1)")],
    ),
    Mistake(
        "top_examples",
        "all of them",
        "all texts come back; only the k strongest are asked for",
        change=[("argsort(descending=True)[:k]\n", "argsort(descending=True)\n")],
    ),
    Mistake(
        "top_examples",
        "sorted by mean",
        "texts are sorted by the feature's mean; what counts is where it is strongest",
        change=[("rows = best.argsort", "rows = f[:, :, feature].mean(dim=1).argsort")],
    ),
    Mistake(
        "top_examples",
        "the first active position",
        "the position is the first at which the feature is active; take the one at which it is strongest",
        change=[
            (
                "rows = rows[best[rows] > 0]",
                "rows = rows[best[rows] > 0]\n    places = (f[:, :, feature] > 0).int().argmax(dim=1)",
            )
        ],
    ),
    Mistake(
        "top_examples",
        "fractions",
        "the indices come back as floats, which cannot index; keep them apart from the strengths, or make them long",
        change=[("torch.stack([rows, places[rows]], dim=1)", "torch.stack([rows, places[rows]], dim=1).float()")],
    ),
    Mistake(
        "top_examples",
        "counted among the active texts",
        "the silent texts are left out first, so the numbers count what is left; give each text its own number",
        write="""
        def top_examples(f, feature, k):
            best, places = f[:, :, feature].max(dim=1)
            best, places = best[best > 0], places[best > 0]
            rows = best.argsort(descending=True)[:k]
            return torch.stack([rows, places[rows]], dim=1)
        """,
    ),
    Mistake(
        "top_examples",
        "too few texts",
        "the k largest activations are taken first and then one of each text, so texts are missing; take the best of each text first",
        write="""
        def top_examples(f, feature, k):
            values, flat = f[:, :, feature].flatten().topk(min(k, f[:, :, feature].numel()))
            taken = {}
            for place in flat[values > 0].tolist():
                taken.setdefault(place // f.shape[1], place % f.shape[1])
            return torch.tensor(list(taken.items()), dtype=torch.long, device=f.device).reshape(-1, 2)
        """,
    ),
    # 3.33
    Mistake(
        "logit_effect",
        "what it reads",
        "this is the feature's column of W_enc, what it reads; what it writes is its row of W_dec",
        change=[("sae.W_dec[feature]", "sae.W_enc[:, feature]")],
    ),
    Mistake(
        "logit_effect",
        "with the decoder's bias",
        "b_dec is added, which is there whether the feature is active or not; take the row of W_dec alone",
        change=[("sae.W_dec[feature]", "sae.W_dec[feature] + sae.b_dec")],
    ),
    Mistake(
        "logit_effect",
        "with the unembedding's bias",
        "b_U is added, which has nothing to do with the feature; leave it out",
        change=[("@ model.W_U", "@ model.W_U + model.b_U")],
    ),
    Mistake(
        "logit_effect",
        "not centred over the vocabulary",
        "the effect is not measured from its mean over the vocabulary; subtract effect.mean()",
        change=[("return effect - effect.mean()", "return effect")],
    ),
    Mistake(
        "logit_effect",
        "direction not centred",
        "LayerNorm subtracts the mean over d_model from all that it reads; subtract it from the direction",
        change=[("(direction - direction.mean())", "direction")],
    ),
    Mistake(
        "logit_effect",
        "unit direction",
        "the direction is brought to length 1, so the effect is not that of one unit of this feature; leave it as it is",
        change=[("effect = (direction", "direction = F.normalize(direction, dim=0)\n    effect = (direction")],
    ),
    Mistake(
        "logit_effect",
        "divided by its own scale",
        "the direction is divided by its own spread, as if it were the whole stream; leave LayerNorm's scale out",
        change=[
            (
                "effect = (direction",
                "direction = direction / direction.std(correction=0)\n    effect = (direction",
            )
        ],
    ),
    Mistake(
        "logit_effect",
        "embedding",
        "this uses the embedding W_E, which tells words at the input; the output is made by W_U",
        change=[("@ model.W_U", "@ model.W_E.T")],
    ),
    Mistake(
        "logit_effect",
        "probabilities",
        "softmax makes probabilities of a change of logits, which they are not; return the change itself",
        change=[("return effect - effect.mean()", "return effect.softmax(dim=-1)")],
    ),
    Mistake(
        "logit_effect",
        "divided by the spread",
        "the effect is divided by its standard deviation, so features of all sizes look alike; subtract the mean only",
        change=[("return effect - effect.mean()", "return (effect - effect.mean()) / effect.std()")],
    ),
    Mistake(
        "logit_effect",
        "no mean subtracted",
        "neither mean is subtracted: LayerNorm takes that of the direction, and the effect counts from its own over the vocabulary",
        write="""
        def logit_effect(model, sae, feature):
            return sae.W_dec[feature] @ model.W_U
        """,
    ),
    Mistake(
        "logit_effect",
        "as if it were the stream",
        "ln_final divides by the direction's own spread, and unembed adds b_U; use the centred direction and W_U alone",
        write="""
        def logit_effect(model, sae, feature):
            effect = model.unembed(model.ln_final(sae.W_dec[feature][None, None]))[0, 0]
            return effect - effect.mean()
        """,
    ),
    # 3.34
    Mistake(
        "ablate_feature",
        "error dropped",
        "the reconstruction takes the place of x, and the SAE's error is lost with it; subtract the contribution from x",
        write="""
        def ablate_feature(model, sae, hook_name, tokens, feature):
            def remove(x, hook):
                f = sae.encode(x)
                f[..., feature] = 0
                return torch.cat([x[:, :1], sae.decode(f)[:, 1:]], dim=1)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, remove)])
        """,
    ),
    Mistake(
        "ablate_feature",
        "position 0 too",
        "the feature is taken out at position 0 as well, which stays as it is",
        change=[("        contribution[:, 0] = 0\n", "")],
    ),
    Mistake(
        "ablate_feature",
        "added",
        "the contribution is added, so the feature is doubled; subtract it",
        change=[("return x - contribution", "return x + contribution")],
    ),
    Mistake(
        "ablate_feature",
        "direction projected out",
        "all of x along the direction is removed, which other features and the error wrote, too; remove activation times direction",
        write="""
        def ablate_feature(model, sae, hook_name, tokens, feature):
            unit = F.normalize(sae.W_dec[feature], dim=0)

            def remove(x, hook):
                along = (x @ unit)[..., None] * unit
                along[:, 0] = 0
                return x - along

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, remove)])
        """,
    ),
    Mistake(
        "ablate_feature",
        "what it reads",
        "the feature's column of W_enc is subtracted; what the feature writes is its row of W_dec",
        change=[("sae.W_dec[feature]", "sae.W_enc[:, feature]")],
    ),
    Mistake(
        "ablate_feature",
        "all features",
        "everything that the SAE finds is subtracted and only its error is left; subtract one feature's contribution",
        change=[("sae.encode(x)[..., feature, None] * sae.W_dec[feature]", "sae.decode(sae.encode(x))")],
    ),
    Mistake(
        "ablate_feature",
        "with the decoder's bias",
        "b_dec is subtracted along with the feature (decode adds it); take activation times row of W_dec",
        change=[
            (
                "sae.encode(x)[..., feature, None] * sae.W_dec[feature]",
                "sae.encode(x)[..., feature, None] * sae.W_dec[feature] + sae.b_dec",
            )
        ],
    ),
    Mistake(
        "ablate_feature",
        "unit direction",
        "the direction is brought to length 1 before it is subtracted; the feature writes its row as it is",
        change=[("sae.W_dec[feature]", "F.normalize(sae.W_dec[feature], dim=0)")],
    ),
    Mistake(
        "ablate_feature",
        "set to its mean",
        "the feature is set to its mean over the run, not taken out; to ablate it is to set it to 0",
        change=[
            (
                "contribution[:, 0] = 0",
                "contribution = contribution - contribution[:, 1:].mean(dim=(0, 1))\n        contribution[:, 0] = 0",
            )
        ],
    ),
    Mistake(
        "ablate_feature",
        "last position only",
        "only the last position is changed; the feature goes at every position but 0",
        change=[("contribution[:, 0] = 0", "contribution[:, :-1] = 0")],
    ),
    Mistake(
        "ablate_feature",
        "hook left on",
        "model.add_hook puts the hook on for good, so every later run lacks the feature; use run_with_hooks",
        change=[
            (
                "return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, remove)])",
                "model.add_hook(hook_name, remove)\n    return model(tokens)",
            )
        ],
    ),
    Mistake(
        "ablate_feature",
        "the reconstruction everywhere",
        "the reconstruction takes the place of x, at position 0 as well; keep x, and subtract the contribution from position 1 on",
        write="""
        def ablate_feature(model, sae, hook_name, tokens, feature):
            def remove(x, hook):
                f = sae.encode(x)
                f[..., feature] = 0
                return sae.decode(f)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, remove)])
        """,
    ),
    Mistake(
        "ablate_feature",
        "nothing changed",
        "these are the logits of a clean run: the hook returns nothing, or the error was taken after the feature was set to 0",
        change=[("return x - contribution", "return None")],
    ),
    Mistake(
        "ablate_feature",
        "direction without activation",
        "one whole unit of the direction is subtracted everywhere; what the feature wrote is its activation times the direction",
        change=[("sae.encode(x)[..., feature, None] * sae", "torch.ones_like(x[..., :1]) * sae")],
    ),
    Mistake(
        "ablate_feature",
        "the SAE changed",
        "the feature's weights are set to 0 in the SAE itself, which is then another for whoever uses it next; change the stream only",
        write="""
        def ablate_feature(model, sae, hook_name, tokens, feature):
            def remove(x, hook):
                error = x - sae.decode(sae.encode(x))
                sae.W_dec.data[feature] = 0
                return torch.cat([x[:, :1], (sae.decode(sae.encode(x)) + error)[:, 1:]], dim=1)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, remove)])
        """,
    ),
    Mistake(
        "ablate_feature",
        "the contribution alone",
        "the hook returns what is to be taken out, and the stream is lost; return x minus that",
        change=[("return x - contribution", "return contribution")],
    ),
    # 3.35
    Mistake(
        "steer",
        "added on top",
        "the strength is added to what is there; the feature is to have that strength: add (strength - activation)",
        change=[
            ("(strength - sae.encode(x)[..., feature, None])", "(strength + 0 * sae.encode(x)[..., feature, None])")
        ],
    ),
    Mistake(
        "steer",
        "multiplied",
        "the activation is multiplied by the strength, so a silent feature stays silent; set it to the strength",
        change=[
            (
                "(strength - sae.encode(x)[..., feature, None])",
                "(strength - 1) * sae.encode(x)[..., feature, None]",
            )
        ],
    ),
    Mistake(
        "steer",
        "error dropped",
        "the reconstruction takes the place of x, and the SAE's error is lost with it; add the change to x",
        write="""
        def steer(model, sae, hook_name, tokens, feature, strength):
            def set_feature(x, hook):
                f = sae.encode(x)
                f[..., feature] = strength
                return torch.cat([x[:, :1], sae.decode(f)[:, 1:]], dim=1)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, set_feature)])
        """,
    ),
    Mistake(
        "steer",
        "position 0 too",
        "position 0 is steered as well, which stays as it is",
        change=[("        change[:, 0] = 0\n", "")],
    ),
    Mistake(
        "steer",
        "where it is active only",
        "only positions where the feature is active are changed; it is set to the strength everywhere but at 0",
        change=[
            ("change[:, 0] = 0", "change = change * (sae.encode(x)[..., feature, None] > 0)\n        change[:, 0] = 0")
        ],
    ),
    Mistake(
        "steer",
        "raised only",
        "a feature above the strength is left there; it is set to the strength, up or down",
        change=[
            (
                "(strength - sae.encode(x)[..., feature, None])",
                "(strength - sae.encode(x)[..., feature, None]).clamp(min=0)",
            )
        ],
    ),
    Mistake(
        "steer",
        "unit direction",
        "the direction is brought to length 1 before it is added; a unit of the feature is its row as it is",
        change=[("sae.W_dec[feature]", "F.normalize(sae.W_dec[feature], dim=0)")],
    ),
    Mistake(
        "steer",
        "what it reads",
        "the feature's column of W_enc is added; what the feature writes is its row of W_dec",
        change=[("sae.W_dec[feature]", "sae.W_enc[:, feature]")],
    ),
    Mistake(
        "steer",
        "the wrong way",
        "the change has the wrong sign: it is strength minus activation",
        change=[("return x + change", "return x - change")],
    ),
    Mistake(
        "steer",
        "last position only",
        "only the last position is changed; the feature is set at every position but 0",
        change=[("change[:, 0] = 0", "change[:, :-1] = 0")],
    ),
    Mistake(
        "steer",
        "hook left on",
        "model.add_hook puts the hook on for good, so every later run is steered; use run_with_hooks",
        change=[
            (
                "return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, set_feature)])",
                "model.add_hook(hook_name, set_feature)\n    return model(tokens)",
            )
        ],
    ),
    Mistake(
        "steer",
        "the reconstruction everywhere",
        "the reconstruction takes the place of x, at position 0 as well; keep x, and add the change from position 1 on",
        write="""
        def steer(model, sae, hook_name, tokens, feature, strength):
            def set_feature(x, hook):
                f = sae.encode(x)
                f[..., feature] = strength
                return sae.decode(f)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, set_feature)])
        """,
    ),
    Mistake(
        "steer",
        "nothing changed",
        "these are the logits of a clean run: the hook returns nothing, or the error was taken after the feature was set",
        change=[("return x + change", "return None")],
    ),
    Mistake(
        "steer",
        "with the decoder's bias",
        "b_dec is added along with the change (decode adds it); take the change times the feature's row of W_dec",
        change=[("* sae.W_dec[feature]", "* sae.W_dec[feature] + sae.b_dec")],
    ),
    Mistake(
        "steer",
        "the change alone",
        "the hook returns what is to be added, and the stream is lost; return x plus that",
        change=[("return x + change", "return change")],
    ),
    Mistake(
        "steer",
        "activation added",
        "the activation is added to the strength; what is missing is strength minus activation",
        change=[("(strength - sae.encode", "(strength + sae.encode")],
    ),
    # 3.36
    Mistake(
        "feature_f1",
        "precision",
        "this is precision, the share of yeses that are right; misses must count as well",
        change=[("2 * hits / (said.sum(dim=0) + truth.sum())", "hits / said.sum(dim=0)")],
    ),
    Mistake(
        "feature_f1",
        "recall",
        "this is recall, the share of true examples that are found; false alarms must count as well",
        change=[("2 * hits / (said.sum(dim=0) + truth.sum())", "hits / truth.sum()")],
    ),
    Mistake(
        "feature_f1",
        "accuracy",
        "this is accuracy, which a feature that never says yes can have too; true negatives have no place in F1",
        change=[
            (
                "return 2 * hits / (said.sum(dim=0) + truth.sum()).clamp(min=1)",
                "return (said == truth[:, None]).float().mean(dim=0)",
            )
        ],
    ),
    Mistake(
        "feature_f1",
        "hits once",
        "the hits stand above the line once; F1 is 2 TP over the yeses plus the true examples",
        change=[("2 * hits", "hits")],
    ),
    Mistake(
        "feature_f1",
        "intersection over union",
        "hits are divided by the union of yeses and true examples, TP / (TP + FP + FN); F1 counts the hits twice",
        change=[("2 * hits / (said.sum(dim=0) + truth.sum())", "hits / (said.sum(dim=0) + truth.sum() - hits)")],
    ),
    Mistake(
        "feature_f1",
        "arithmetic mean",
        "precision and recall are averaged as they are; F1 is their harmonic mean",
        change=[
            (
                "return 2 * hits / (said.sum(dim=0) + truth.sum()).clamp(min=1)",
                "return (hits / said.sum(dim=0).clamp(min=1) + hits / truth.sum().clamp(min=1)) / 2",
            )
        ],
    ),
    Mistake(
        "feature_f1",
        "divided by 0",
        "features that never say yes give 0/0; F1 is 0 where there is nothing to divide by",
        change=[
            (
                "return 2 * hits / (said.sum(dim=0) + truth.sum()).clamp(min=1)",
                "precision, recall = hits / said.sum(dim=0), hits / truth.sum()\n"
                "    return 2 * precision * recall / (precision + recall)",
            )
        ],
    ),
    Mistake(
        "feature_f1",
        "at the threshold too",
        "f >= threshold says yes at the threshold itself, and at threshold 0 always; use >",
        change=[("said = f > threshold", "said = f >= threshold")],
    ),
    Mistake(
        "feature_f1",
        "threshold ignored",
        "the comparison is with 0 whatever threshold is given; compare with threshold",
        change=[("said = f > threshold", "said = f > 0")],
    ),
    Mistake(
        "feature_f1",
        "weighted by strength",
        "strong activations count for more than weak ones; a feature says yes or no, so count",
        change=[("said = f > threshold", "said = torch.where(f > threshold, f, 0)"), ("said & truth", "said * truth")],
    ),
    Mistake(
        "feature_f1",
        "the best feature only",
        "only the highest F1 comes back; every feature has one",
        change=[(".clamp(min=1)", ".clamp(min=1)[None].squeeze(0).max() + 0 * hits.sum()")],
    ),
    Mistake(
        "feature_f1",
        "nothing to divide by",
        "with no yes and no true example this is 0/0, and F1 is 0 there; clamp what you divide by",
        change=[(".clamp(min=1)", "")],
    ),
    Mistake(
        "feature_f1",
        "hits once below the line",
        "below the line the hits count once, TP + FP + FN; there, too, they count twice",
        change=[("(said.sum(dim=0) + truth.sum())", "(said.sum(dim=0) + truth.sum() - hits)")],
    ),
    Mistake(
        "feature_f1",
        "hits of all features",
        "the hits of all features are added up; each has its own: sum(dim=0)",
        change=[("(said & truth[:, None]).sum(dim=0)", "(said & truth[:, None]).sum()")],
    ),
    Mistake(
        "feature_f1",
        "predictions of all features",
        "below the line the predictions of all features are added up; each has its own: sum(dim=0)",
        change=[("said.sum(dim=0)", "said.sum()")],
    ),
    Mistake(
        "feature_f1",
        "or in place of and",
        "a hit is said *and* true; this counts what is said or true",
        change=[("said & truth", "said | truth")],
    ),
    # 3.37
    Mistake(
        "feature_splits",
        "dot products",
        "rows are multiplied as they are, so long ones pass and short ones do not; make both sides unit length first",
        change=[("F.normalize(narrow, dim=-1) @ F.normalize(wide, dim=-1).T", "narrow @ wide.T")],
    ),
    Mistake(
        "feature_splits",
        "only narrow normalised",
        "the rows of wide keep their lengths; a cosine needs both sides at unit length",
        change=[("F.normalize(wide, dim=-1)", "wide")],
    ),
    Mistake(
        "feature_splits",
        "only wide normalised",
        "the rows of narrow keep their lengths; a cosine needs both sides at unit length",
        change=[("F.normalize(narrow, dim=-1)", "narrow")],
    ),
    Mistake(
        "feature_splits",
        "columns normalised",
        "normalize runs over dim=0, the columns; a direction is a row: dim=-1",
        change=[
            ("F.normalize(narrow, dim=-1)", "F.normalize(narrow, dim=0)"),
            ("F.normalize(wide, dim=-1)", "F.normalize(wide, dim=0)"),
        ],
    ),
    Mistake(
        "feature_splits",
        "narrow for each wide",
        "there is a list for each wide feature; make one for each narrow feature",
        change=[("for row in cosines:", "for row in cosines.T:")],
    ),
    Mistake(
        "feature_splits",
        "either sign",
        "the opposite direction counts as well; take the cosine, not its absolute value",
        change=[("for row in cosines:", "for row in cosines.abs():")],
    ),
    Mistake(
        "feature_splits",
        "closest last",
        "the closest feature comes last; sort in descending order",
        change=[("row.argsort(descending=True)", "row.argsort()")],
    ),
    Mistake(
        "feature_splits",
        "in the order of the wide features",
        "the lists are in the order of the wide features; the closest comes first",
        change=[("order = row.argsort(descending=True)", "order = torch.arange(len(row), device=row.device)")],
    ),
    Mistake(
        "feature_splits",
        "the closest only",
        "each list has the closest feature at most; all that reach the threshold belong in it",
        change=[(".tolist())", ".tolist()[:1])")],
    ),
    Mistake(
        "feature_splits",
        "those below",
        "the lists hold the features below the threshold; those at or above it are wanted",
        change=[("row[order] >= threshold", "row[order] < threshold")],
    ),
    Mistake(
        "feature_splits",
        "above the threshold only",
        "a cosine of just the threshold is left out; at least the threshold is >=",
        change=[("row[order] >= threshold", "row[order] > threshold")],
    ),
    Mistake(
        "feature_splits",
        "cosines in place of indices",
        "the lists hold cosines; the indices of the wide features are wanted",
        change=[("order[row[order] >= threshold]", "row[order][row[order] >= threshold]")],
    ),
    Mistake(
        "feature_splits",
        "numbers in place of lists",
        "each entry is how many wide features there are; the list of them is wanted",
        change=[(".tolist())", ".numel())")],
    ),
    Mistake(
        "feature_splits",
        "counted among those that pass",
        "the indices count among the cosines that reach the threshold; those of the rows of wide are wanted",
        change=[
            (
                "order = row.argsort(descending=True)",
                "row = row[row >= threshold]\n        order = row.argsort(descending=True)",
            )
        ],
    ),
    Mistake(
        "feature_splits",
        "empty lists left out",
        "narrow features without a counterpart are left out; each has a list, which may be empty",
        change=[("return splits", "return [split for split in splits if split]")],
    ),
    Mistake(
        "feature_splits",
        "each wide feature once",
        "each wide feature goes to the closest narrow one alone; it belongs to every narrow feature that it is close enough to",
        change=[("for row in cosines:", "for row in cosines.where(cosines == cosines.amax(dim=0), -2.0):")],
    ),
    Mistake(
        "feature_splits",
        "columns of narrow normalised",
        "the columns of narrow are divided by their lengths; a direction is a row: dim=-1",
        change=[("F.normalize(narrow, dim=-1)", "F.normalize(narrow, dim=0)")],
    ),
    Mistake(
        "feature_splits",
        "columns of wide normalised",
        "the columns of wide are divided by their lengths; a direction is a row: dim=-1",
        change=[("F.normalize(wide, dim=-1)", "F.normalize(wide, dim=0)")],
    ),
    Mistake(
        "feature_splits",
        "one list for all",
        "the indices of all narrow features are in one list; append a list for each",
        change=[("splits.append(", "splits.extend(")],
    ),
    # 3.38
    Mistake(
        "absorption_rate",
        "silence is enough",
        "every recognised example with a silent main feature counts; another feature must carry the concept as well",
        change=[("(f[:, main] == 0) & carried", "(f[:, main] == 0)")],
    ),
    Mistake(
        "absorption_rate",
        "main may be active",
        "examples with an active main feature count, too; absorbed means that it is silent",
        change=[("(f[:, main] == 0) & carried", "carried")],
    ),
    Mistake(
        "absorption_rate",
        "main must be active",
        "examples with an *active* main feature count; absorbed means that it is silent",
        change=[("(f[:, main] == 0)", "(f[:, main] > 0)")],
    ),
    Mistake(
        "absorption_rate",
        "of all examples",
        "the count is divided by the number of all examples; divide by the number of recognised ones",
        change=[("absorbed.sum() / recognised.sum().clamp(min=1)", "absorbed.float().mean()")],
    ),
    Mistake(
        "absorption_rate",
        "of the silent ones",
        "the count is divided by the recognised examples with a silent main feature; divide by all recognised ones",
        change=[("recognised.sum().clamp(min=1)", "(recognised & (f[:, main] == 0)).sum().clamp(min=1)")],
    ),
    Mistake(
        "absorption_rate",
        "recognised or not",
        "examples that the probe does not recognise count as well; leave them out above and below the line",
        change=[
            ("absorbed = recognised & (f", "absorbed = (f"),
            ("recognised.sum().clamp(min=1)", "len(f)"),
        ],
    ),
    Mistake(
        "absorption_rate",
        "unrecognised above the line",
        "unrecognised examples are left out below the line only; they must not count above it either",
        change=[("absorbed = recognised & (f", "absorbed = (f")],
    ),
    Mistake(
        "absorption_rate",
        "cosines",
        "directions are brought to unit length; a contribution is what the feature really writes along the probe",
        change=[("W_dec @ probe", "F.normalize(W_dec, dim=-1) @ probe")],
    ),
    Mistake(
        "absorption_rate",
        "without the activation",
        "a feature's projection counts wherever it is active, however weakly; multiply by its activation",
        change=[("contributions = f * (W_dec @ probe)", "contributions = (f > 0) * (W_dec @ probe)")],
    ),
    Mistake(
        "absorption_rate",
        "negative sums",
        "examples whose sum of contributions is not positive count, too; there the SAE has lost the concept",
        change=[("(total > 0) & (others", "(others")],
    ),
    Mistake(
        "absorption_rate",
        "absolute contributions",
        "contributions against the probe count like those along it; keep their signs",
        change=[("f * (W_dec @ probe)", "(f * (W_dec @ probe)).abs()")],
    ),
    Mistake(
        "absorption_rate",
        "positive contributions only",
        "the sum leaves out negative contributions; it is that of all features",
        change=[("total = contributions.sum(dim=-1)", "total = contributions.relu().sum(dim=-1)")],
    ),
    Mistake(
        "absorption_rate",
        "always a half",
        "the comparison is with a half whatever share is given; use share",
        change=[("share * total", "0.5 * total")],
    ),
    Mistake(
        "absorption_rate",
        "all others together",
        "the contributions of all other features are added; a single one must carry the share",
        change=[("others[:, main] = -math.inf", "others[:, main] = 0"), ("others.amax(dim=-1)", "others.sum(dim=-1)")],
    ),
    Mistake(
        "absorption_rate",
        "the most active feature",
        "the most active other feature is asked; the one with the largest contribution to the probe is meant",
        change=[
            ("others[:, main] = -math.inf", "others = f.clone()\n    others[:, main] = -1"),
            ("others.amax(dim=-1)", "contributions.gather(-1, others.argmax(dim=-1, keepdim=True)).squeeze(-1)"),
        ],
    ),
    Mistake(
        "absorption_rate",
        "more than the share",
        "a feature that carries just the share is left out; at least the share is >=",
        change=[(">= share * total", "> share * total")],
    ),
    Mistake(
        "absorption_rate",
        "a quotient of any sign",
        "contribution over sum is large also where both are negative or the sum is 0; ask for a positive sum as well",
        change=[("(total > 0) & (others.amax(dim=-1) >= share * total)", "others.amax(dim=-1) / total >= share")],
    ),
    Mistake(
        "absorption_rate",
        "nothing to divide by",
        "without a recognised example this is 0/0; the rate is 0 there",
        change=[(".clamp(min=1)", "")],
    ),
    Mistake(
        "absorption_rate",
        "a count",
        "this is how many examples are absorbed; divide by the number of recognised ones",
        change=[("(absorbed.sum() / recognised.sum().clamp(min=1))", "absorbed.sum()")],
    ),
    Mistake(
        "absorption_rate",
        "one sum for all examples",
        "the contributions of all examples are added up; the sum is that of one example: dim=-1",
        change=[("contributions.sum(dim=-1)", "contributions[recognised].sum()")],
    ),
]
