"""This file knows right answers to chapter 3 that are written in other ways than the solutions: the checkers accept them."""

from utils.checking import RightAnswer

RIGHT_ANSWERS = [
    # 3.1
    RightAnswer(
        "coherence",
        "pair by pair, with F.cosine_similarity",
        """
        def coherence(vectors):
            worst = 0.0
            for i in range(len(vectors)):
                for j in range(i + 1, len(vectors)):
                    worst = max(worst, abs(F.cosine_similarity(vectors[i], vectors[j], dim=0).item()))
            return worst
        """,
    ),
    RightAnswer(
        "coherence",
        "dot products divided by the product of the lengths, upper triangle",
        """
        def coherence(vectors):
            lengths = vectors.norm(dim=1)
            cosines = einops.einsum(vectors, vectors, "i d, j d -> i j") / torch.outer(lengths, lengths)
            i, j = torch.triu_indices(len(vectors), len(vectors), offset=1)
            return float(torch.amax(torch.abs(cosines[i, j])))
        """,
    ),
    RightAnswer(
        "coherence",
        "minus the unit matrix, as a tensor that holds one number",
        """
        def coherence(vectors):
            u = vectors / vectors.pow(2).sum(-1, keepdim=True).sqrt()
            gram = u.matmul(u.transpose(0, 1))
            return (gram - torch.eye(gram.shape[0], device=gram.device)).abs().max()
        """,
    ),
    RightAnswer(
        "coherence",
        "the second largest of each row",
        """
        def coherence(vectors):
            u = F.normalize(vectors, dim=-1)
            return (u @ u.T).abs().topk(2, dim=-1).values[:, 1].max().item()
        """,
    ),
    # 3.2
    RightAnswer(
        "nearly_orthogonal",
        "gradient by hand, back to the sphere after each step",
        """
        def nearly_orthogonal(n_vectors, dim, steps, generator):
            v = torch.randn(n_vectors, dim, generator=generator, device=generator.device).to(device)
            v = v / v.norm(dim=1, keepdim=True)
            for step in range(steps):
                gram = v @ v.T
                gram.fill_diagonal_(0)
                v = v - 0.1 * (4 * gram**3) @ v
                v = v / v.norm(dim=1, keepdim=True)
            return v
        """,
    ),
    RightAnswer(
        "nearly_orthogonal",
        "pairs above the diagonal, sixth powers, vectors of any length, another optimizer",
        """
        def nearly_orthogonal(n_vectors, dim, steps, generator):
            p = nn.Parameter(torch.randn((n_vectors, dim), generator=generator).to(device))
            opt = torch.optim.AdamW([p], lr=0.05, weight_decay=0.0)
            i, j = torch.triu_indices(n_vectors, n_vectors, 1, device=device)
            for _ in range(steps):
                opt.zero_grad()
                F.cosine_similarity(p[i], p[j], dim=-1).pow(6).sum().backward()
                opt.step()
            with torch.no_grad():
                return F.normalize(p, dim=1)
        """,
    ),
    RightAnswer(
        "nearly_orthogonal",
        "diagonal kept, as it is constant, and a mean",
        """
        def nearly_orthogonal(n_vectors, dim, steps, generator):
            vectors = torch.randn(n_vectors, dim, generator=generator, device=generator.device).to(device)
            vectors.requires_grad_()
            optimizer = torch.optim.Adam([vectors], lr=0.1)
            for _ in range(steps):
                unit = vectors / vectors.norm(dim=-1, keepdim=True)
                loss = einops.einsum(unit, unit, "i d, j d -> i j").pow(4).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return (vectors / vectors.norm(dim=-1, keepdim=True)).detach()
        """,
    ),
    # 3.3
    RightAnswer(
        "random_packing_bound",
        "counted up",
        """
        def random_packing_bound(dim, eps):
            n = 1
            while (n + 1) * n * math.exp(-dim * eps**2 / 2) < 1:
                n += 1
            return n
        """,
    ),
    RightAnswer(
        "random_packing_bound",
        "halving an interval, with logarithms",
        """
        def random_packing_bound(dim, eps):
            room = dim * eps * eps / 2
            low, high = 1, 2
            fits = lambda n: math.log(n) + math.log(n - 1) < room
            while fits(high):
                low, high = high, 2 * high
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if fits(middle) else (low, middle)
            return low
        """,
    ),
    RightAnswer(
        "random_packing_bound",
        "solved in torch, as an int",
        """
        def random_packing_bound(dim, eps):
            E = torch.tensor(dim * eps**2 / 2, dtype=torch.float64).exp()
            return int((0.5 + (0.25 + E).sqrt()).floor().item())
        """,
    ),
    # 3.4
    RightAnswer(
        "generate_batch",
        "torch.bernoulli, strengths drawn first",
        """
        def generate_batch(batch, n_features, feature_probability, generator):
            p = einops.repeat(feature_probability.to(generator.device), "i -> b i f", b=batch, f=n_features)
            strengths = torch.rand(p.shape, generator=generator, device=generator.device)
            present = torch.bernoulli(p, generator=generator)
            return (strengths * present).to(feature_probability)
        """,
    ),
    RightAnswer(
        "generate_batch",
        "instance after instance, with torch.where",
        """
        def generate_batch(batch, n_features, feature_probability, generator):
            made = []
            for p in feature_probability:
                draws = torch.rand(2, batch, n_features, generator=generator, device=generator.device)
                draws = draws.to(device=p.device, dtype=p.dtype)
                made.append(torch.where(draws[0] < p, draws[1], torch.zeros_like(draws[1])))
            return torch.stack(made, dim=1)
        """,
    ),
    RightAnswer(
        "generate_batch",
        "masked where chance is not below, filled in place",
        """
        def generate_batch(batch, n_features, feature_probability, generator):
            n_instances = feature_probability.shape[0]
            x = torch.empty(batch, n_instances, n_features, device=generator.device).uniform_(generator=generator)
            drawn = torch.empty_like(x).uniform_(generator=generator)
            x, drawn = x.to(feature_probability), drawn.to(feature_probability)
            absent = drawn >= feature_probability.reshape(1, n_instances, 1)
            return x.masked_fill(absent, 0.0)
        """,
    ),
    RightAnswer(
        "generate_batch",
        "one draw, stretched where it is below p",
        """
        def generate_batch(batch, n_features, feature_probability, generator):
            p = feature_probability[None, :, None]
            shape = (batch, len(feature_probability), n_features)
            u = torch.rand(shape, generator=generator, device=generator.device).to(p)
            return torch.where(u < p, u / p, torch.zeros_like(u)).to(p.dtype)
        """,
    ),
    # 3.5
    RightAnswer(
        "ToyModel",
        "instance after instance, with matrix products",
        """
        class ToyModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                W = torch.randn(n_instances, d_hidden, n_features, generator=generator, device=generator.device)
                self.W = nn.Parameter((W / math.sqrt(n_features)).to(device))
                self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))

            def forward(self, x):
                outs = []
                for W, b, own in zip(self.W, self.b, x.unbind(dim=1)):
                    outs.append(torch.relu(own @ W.T @ W + b))
                return torch.stack(outs, dim=1)
        """,
    ),
    RightAnswer(
        "ToyModel",
        "both products at once, and bmm",
        """
        class ToyModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                start = torch.empty(n_instances, d_hidden, n_features, device=generator.device)
                self.W = nn.Parameter(start.normal_(0, 0.3, generator=generator).to(device))
                self.b = nn.Parameter(torch.zeros((n_instances, n_features), device=device))

            def forward(self, x):
                gram = torch.bmm(self.W.transpose(1, 2), self.W)
                return torch.bmm(x.transpose(0, 1), gram).transpose(0, 1).add(self.b).clamp(min=0)
        """,
    ),
    RightAnswer(
        "ToyModel",
        "one einsum of three",
        """
        class ToyModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                W = torch.randn(n_instances, d_hidden, n_features, generator=generator, device=generator.device)
                self.W = nn.Parameter((W / math.sqrt(n_features)).to(device))
                self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))
                self.act = nn.ReLU()

            def forward(self, features):
                read = torch.einsum("bif,ihf,ihg->big", features, self.W, self.W)
                return self.act(read + self.b[None])
        """,
    ),
    # 3.6
    RightAnswer(
        "importance_weighted_loss",
        "loops over instances and F.mse_loss with weights",
        """
        def importance_weighted_loss(x_hat, x, importance):
            roots = importance.sqrt()
            return torch.stack(
                [F.mse_loss(roots[i] * x_hat[:, i], roots[i] * x[:, i]) for i in range(x.shape[1])]
            )
        """,
    ),
    RightAnswer(
        "importance_weighted_loss",
        "one einsum, divided by hand",
        """
        def importance_weighted_loss(x_hat, x, importance):
            d = x_hat - x
            return einops.einsum(d, d, importance, "b i f, b i f, i f -> i") / (d.shape[0] * d.shape[2])
        """,
    ),
    RightAnswer(
        "importance_weighted_loss",
        "batch first, then features",
        """
        def importance_weighted_loss(x_hat, x, importance):
            per_feature = F.mse_loss(x_hat, x, reduction="none").mean(0)
            return einops.reduce(per_feature * importance, "instance feature -> instance", "mean")
        """,
    ),
    # 3.7
    RightAnswer(
        "train_toy_models",
        "a tensor of losses, filled row by row",
        """
        def train_toy_models(model, make_batch, importance, steps, optimizer):
            kept = torch.zeros(steps, len(importance), device=importance.device)
            for i in range(steps):
                batch = make_batch()
                own = importance_weighted_loss(model(batch), batch, importance)
                kept[i] = own.detach()
                own.sum().backward()
                optimizer.step()
                optimizer.zero_grad()
            return kept
        """,
    ),
    RightAnswer(
        "train_toy_models",
        "upstream gradients of 1 in place of a sum",
        """
        def train_toy_models(model, make_batch, importance, steps, optimizer):
            history = []
            while len(history) < steps:
                optimizer.zero_grad(set_to_none=False)
                x = make_batch()
                losses = importance_weighted_loss(x=x, x_hat=model(x), importance=importance)
                losses.backward(torch.ones_like(losses))
                optimizer.step()
                history.append(losses.detach().clone())
            return torch.stack(history, dim=0)
        """,
    ),
    RightAnswer(
        "train_toy_models",
        "the loss written out, and a closure for the optimizer",
        """
        def train_toy_models(model, make_batch, importance, steps, optimizer):
            rows = []
            for _ in range(steps):
                x = make_batch()

                def closure():
                    optimizer.zero_grad()
                    loss = (importance * (model(x) - x).square()).mean(dim=0).mean(dim=-1)
                    rows.append(loss.detach())
                    total = loss.sum()
                    total.backward()
                    return total

                optimizer.step(closure)
            return torch.stack(rows)
        """,
    ),
    # 3.8
    RightAnswer(
        "feature_dimensionality",
        "loops over instances and features",
        """
        def feature_dimensionality(W):
            D = torch.zeros(W.shape[0], W.shape[2], dtype=W.dtype, device=W.device)
            for k, weights in enumerate(W):
                for i in range(weights.shape[1]):
                    own = weights[:, i]
                    length = torch.linalg.vector_norm(own)
                    if length > 0:
                        D[k, i] = length**2 / ((own / length) @ weights).pow(2).sum()
            return D
        """,
    ),
    RightAnswer(
        "feature_dimensionality",
        "the fourth power over the Gram matrix",
        """
        def feature_dimensionality(W):
            gram = W.mT @ W
            squared = torch.diagonal(gram, dim1=-2, dim2=-1)
            shared = torch.linalg.vector_norm(gram, dim=-1) ** 2
            absent = squared == 0
            return torch.where(absent, torch.zeros_like(squared), squared**2 / torch.where(absent, 1, shared))
        """,
    ),
    RightAnswer(
        "feature_dimensionality",
        "instance by instance, cosines times lengths",
        """
        def feature_dimensionality(W):
            shares = []
            for weights in W.unbind(0):
                vectors = weights.T
                lengths = (vectors * vectors).sum(-1).sqrt()
                cosines = F.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
                room = ((cosines * lengths) ** 2).sum(1)
                shares.append((lengths**2 / room).nan_to_num(0.0))
            return torch.stack(shares)
        """,
    ),
    # 3.9
    RightAnswer(
        "expected_interference",
        "through all products of two features",
        """
        def expected_interference(W, probability):
            n = W.shape[-1]
            a = (W.mT @ W).masked_fill(torch.eye(n, dtype=torch.bool, device=W.device), 0.0)
            p = probability.to(W)
            moments = (p**2 / 4)[:, None, None].expand(-1, n, n).clone()
            moments.diagonal(dim1=1, dim2=2).copy_((p / 3)[:, None].expand(-1, n))
            return torch.einsum("kij,kjl,kil->ki", a, moments, a)
        """,
    ),
    RightAnswer(
        "expected_interference",
        "the own part subtracted from all sums",
        """
        def expected_interference(W, probability):
            gram = torch.einsum("khi,khj->kij", W, W)
            own = gram.diagonal(dim1=-2, dim2=-1)
            squares = (gram**2).sum(2) - own**2
            total = gram.sum(2) - own
            p = probability.reshape(-1, 1)
            return p / 3 * squares + p * p / 4 * (total**2 - squares)
        """,
    ),
    RightAnswer(
        "expected_interference",
        "feature by feature",
        """
        def expected_interference(W, probability):
            found = torch.empty(W.shape[0], W.shape[2], dtype=W.dtype, device=W.device)
            for instance in range(W.shape[0]):
                p = probability[instance]
                for i in range(W.shape[2]):
                    keep = torch.arange(W.shape[2], device=W.device) != i
                    a = W[instance, :, i] @ W[instance][:, keep]
                    found[instance, i] = (p / 3 - p * p / 4) * (a @ a) + (p / 2 * a.sum()) ** 2
            return found
        """,
    ),
    # 3.10
    RightAnswer(
        "phase",
        "instance by instance",
        """
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            kinds = []
            for weights in W:
                own = weights[:, feature]
                length = own.norm()
                if length < min_norm:
                    kinds.append(0)
                    continue
                others = torch.cat([weights[:, :feature], weights[:, feature + 1 :]], dim=1)
                company = ((own / length) @ others).square().sum()
                kinds.append(2 if company > max_overlap else 1)
            return torch.tensor(kinds, device=W.device)
        """,
    ),
    RightAnswer(
        "phase",
        "counted from booleans",
        """
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            gram = W.mT @ W[:, :, [feature]]
            square = gram[:, feature, 0]
            others = gram[:, :, 0].square().sum(-1) - square**2
            there = square.sqrt() >= min_norm
            shared = others > max_overlap * square
            return there.long() + (there & shared).long()
        """,
    ),
    RightAnswer(
        "phase",
        "in float64, from the Gram matrix of unit directions",
        """
        def phase(W, feature, *, min_norm=0.5, max_overlap=0.25):
            W = W.double()
            lengths = W.square().sum(dim=1).sqrt()
            unit = W[..., feature] / lengths[:, feature, None].clamp(min=1e-30)
            along = torch.bmm(unit[:, None], W)[:, 0] ** 2
            along[:, feature] = 0
            result = torch.ones(len(W), dtype=torch.long, device=W.device)
            result[along.sum(1) > max_overlap] = 2
            result[lengths[:, feature] < min_norm] = 0
            return result
        """,
    ),
    # 3.11
    RightAnswer(
        "solution_losses",
        "sum over who is there",
        """
        def solution_losses(probability, importance):
            p, both = probability, probability.square()
            # guessing p/2: right off by x - p/2 when there, by p/2 when not
            guess = p * (1 / 3 - p / 2 + p**2 / 4) + (1 - p) * p**2 / 4
            first, second = torch.ones_like(importance), importance
            losses = [(0 * first, guess * second), (guess * first, 0 * second), (both / 6 * first, both / 6 * second)]
            return torch.stack([(a + b) / 2 for a, b in losses], dim=0)
        """,
    ),
    RightAnswer(
        "solution_losses",
        "filled row by row",
        """
        def solution_losses(probability, importance):
            losses = probability.new_empty(3, *probability.shape)
            losses[1] = probability * (4 - 3 * probability) / 24
            losses[0] = importance * losses[1]
            losses[2] = torch.addcmul(torch.ones_like(importance), importance, torch.ones_like(importance)) * probability**2 / 12
            return losses
        """,
    ),
    RightAnswer(
        "solution_losses",
        "moments of a uniform number, as fractions",
        """
        from fractions import Fraction

        def solution_losses(probability, importance):
            mean, square = Fraction(1, 2), Fraction(1, 3)
            # the smaller of two: its density is 2 (1 - m)
            clash = 2 * (Fraction(1, 3) - Fraction(1, 4))
            missing = float(square) * probability - (float(mean) * probability).pow(2)
            one = torch.full_like(importance, 1.0)
            rows = [importance * missing, one * missing, (one + importance) * float(clash) * probability.pow(2)]
            return torch.cat([row.unsqueeze(0) for row in rows]).mul(0.5)
        """,
    ),
    # 3.12
    RightAnswer(
        "correlated_batch",
        "written pair by pair",
        """
        def correlated_batch(batch, n_pairs, probability, generator):
            n = len(probability)
            x = torch.zeros(batch, n, 2 * n_pairs, dtype=probability.dtype, device=probability.device)
            for k in range(n_pairs):
                coin = torch.rand(batch, n, generator=generator, device=generator.device).to(probability)
                for member in (0, 1):
                    size = torch.rand(batch, n, generator=generator, device=generator.device).to(probability)
                    x[:, :, 2 * k + member] = torch.where(coin < probability, size, torch.zeros_like(size))
            return x
        """,
    ),
    RightAnswer(
        "correlated_batch",
        "masks repeated for both members",
        """
        def correlated_batch(batch, n_pairs, probability, generator):
            everywhere = einops.repeat(probability, "i -> b i k", b=batch, k=n_pairs)
            mask = torch.bernoulli(everywhere.to(generator.device), generator=generator).to(probability)
            sizes = torch.empty(batch, len(probability), 2 * n_pairs, device=generator.device)
            sizes = sizes.uniform_(generator=generator).to(probability)
            return sizes * mask.repeat_interleave(2, dim=-1)
        """,
    ),
    RightAnswer(
        "correlated_batch",
        "strengths first, then what is not there set to 0 in place",
        """
        def correlated_batch(batch, n_pairs, probability, generator):
            n_instances, where = probability.shape[0], generator.device
            x = torch.rand((batch, n_instances, n_pairs, 2), generator=generator, device=where)
            chance = torch.rand((batch, n_instances, n_pairs), generator=generator, device=where)
            absent = chance >= probability.to(where)[None, :, None]
            x[absent] = 0.0
            return einops.rearrange(x, "b i k two -> b i (k two)").to(probability)
        """,
    ),
    # 3.13
    RightAnswer(
        "anticorrelated_batch",
        "first whether one is there, then which",
        """
        def anticorrelated_batch(batch, n_pairs, probability, generator):
            if probability.max() > 0.5:
                raise ValueError(f"probability {probability.max().item()} is above 0.5")
            size = (batch, len(probability), n_pairs)
            def draw():
                return torch.rand(size, generator=generator, device=generator.device).to(probability)
            one = draw() < 2 * probability.reshape(1, -1, 1)
            side = draw() < 0.5
            x = torch.zeros(batch, len(probability), 2 * n_pairs, dtype=probability.dtype, device=probability.device)
            x[:, :, 0::2] = draw() * (one & side)
            x[:, :, 1::2] = draw() * (one & ~side)
            return x
        """,
    ),
    RightAnswer(
        "anticorrelated_batch",
        "the side as an index",
        """
        def anticorrelated_batch(batch, n_pairs, probability, generator):
            for p in probability.tolist():
                if p > 0.5:
                    raise ValueError(f"{p:.4f}: with more than one half, two features must meet")
            p = einops.rearrange(probability, "i -> 1 i 1")
            which = (uniform_like(probability, batch, len(probability), n_pairs, generator=generator) / p).floor()
            sizes = uniform_like(probability, batch, len(probability), n_pairs, 2, generator=generator)
            chosen = which[..., None] == torch.arange(2, device=probability.device)
            return einops.rearrange(torch.where(chosen, sizes, 0.0), "b i k two -> b i (k two)")
        """,
    ),
    RightAnswer(
        "anticorrelated_batch",
        "from both ends of the chance, strengths masked in place",
        """
        def anticorrelated_batch(batch, n_pairs, probability, generator):
            if not torch.all(2 * probability <= 1):
                raise ValueError(f"the probability {max(probability.tolist())} is more than a half")
            n = len(probability)
            u = uniform_like(probability, batch, n, n_pairs, generator=generator)
            p = probability.view(1, -1, 1)
            s = uniform_like(probability, batch, n, 2*n_pairs, generator=generator)
            s[..., 0::2] *= (u < p)
            s[..., 1::2] *= ((u > 1 - p))
            return s
        """,
    ),
    RightAnswer(
        "anticorrelated_batch",
        "limits of both as a tensor, and a probability rounded in the message",
        """
        def anticorrelated_batch(batch, n_pairs, probability, generator):
            for p in probability.tolist():
                if p > 0.5:
                    raise ValueError(f"p = {p:.2f} is above 0.5")
            n = len(probability)
            u = uniform_like(probability, batch, n, n_pairs, 1, generator=generator)
            p = probability[None, :, None, None]
            lo = torch.tensor([0.0, 1.0]).to(probability) * p
            there = (u >= lo) & (u < lo + p)
            return (there * uniform_like(probability, batch, n, n_pairs, 2, generator=generator)).reshape(batch, n, -1)
        """,
    ),
    # 3.14
    RightAnswer(
        "ToyNeuronModel",
        "batched matrix products",
        """
        class ToyNeuronModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                W = torch.randn(n_instances, d_hidden, n_features, generator=generator, device=generator.device)
                self.W = nn.Parameter(W.to(device))
                self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))

            def forward(self, x):
                rows = x.transpose(0, 1)
                neurons = torch.bmm(rows, self.W.mT).clamp(min=0)
                return (torch.bmm(neurons, self.W) + self.b[:, None]).clamp(min=0).transpose(0, 1)
        """,
    ),
    RightAnswer(
        "ToyNeuronModel",
        "instance by instance",
        """
        class ToyNeuronModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                start = torch.randn(n_instances, d_hidden, n_features, generator=generator)
                self.W = nn.Parameter(0.5 * start.to(device))
                self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device))

            def forward(self, x):
                outputs = []
                for k in range(len(self.W)):
                    h = torch.relu(x[:, k] @ self.W[k].T)
                    outputs.append(torch.relu(torch.addmm(self.b[k], h, self.W[k])))
                return torch.stack(outputs, dim=1)
        """,
    ),
    RightAnswer(
        "ToyNeuronModel",
        "vmap over instances",
        """
        class ToyNeuronModel(nn.Module):
            def __init__(self, n_instances, n_features, d_hidden, generator):
                super().__init__()
                self.W = nn.Parameter(torch.empty(n_instances, d_hidden, n_features))
                self.b = nn.Parameter(torch.zeros(n_instances, n_features))
                with torch.no_grad():
                    self.W.copy_(torch.randn(self.W.shape, generator=generator, device=generator.device) * 0.3)
                self.to(device)

            @staticmethod
            def one(x, W, b):
                neurons = torch.maximum(x @ W.T, torch.zeros(()).to(x))
                return torch.nn.functional.threshold(neurons @ W + b, 0.0, 0.0)

            def forward(self, x):
                return torch.vmap(self.one, in_dims=(1, 0, 0), out_dims=1)(x, self.W, self.b)
        """,
    ),
    # 3.15
    RightAnswer(
        "SAE",
        "by F.linear and clamp",
        """
        class SAE(nn.Module):
            def __init__(self, d_in, d_sae, generator):
                super().__init__()
                rows = F.normalize(torch.randn(d_sae, d_in, generator=generator), dim=-1)
                self.W_enc, self.W_dec = nn.Parameter(rows.mT.clone()), nn.Parameter(rows)
                self.b_enc, self.b_dec = nn.Parameter(torch.zeros(d_sae)), nn.Parameter(torch.zeros(d_in))

            def encode(self, x):
                return F.linear(x, self.W_enc.mT, self.b_enc).clamp(min=0)

            def decode(self, f):
                return F.linear(f, self.W_dec.mT, self.b_dec)

            def forward(self, x):
                features = self.encode(x)
                return self.decode(features), features
        """,
    ),
    RightAnswer(
        "SAE",
        "by einops, everything in forward",
        """
        class SAE(nn.Module):
            def __init__(self, d_in, d_sae, generator):
                super().__init__()
                self.b_dec = nn.Parameter(torch.zeros(d_in))
                self.b_enc = nn.Parameter(torch.zeros(d_sae))
                self.W_dec = nn.Parameter(torch.randn(d_sae, d_in, generator=generator))
                self.W_enc = nn.Parameter(self.W_dec.detach().T.clone())

            def encode(self, x):
                pre = einops.einsum(x, self.W_enc, "... d_in, d_in d_sae -> ... d_sae") + self.b_enc
                return torch.where(pre > 0, pre, torch.zeros_like(pre))

            def decode(self, f):
                return self.b_dec + einops.einsum(f, self.W_dec, "... d_sae, d_sae d_in -> ... d_in")

            def forward(self, x):
                f = torch.maximum(x @ self.W_enc + self.b_enc, torch.zeros_like(self.b_enc))
                return f @ self.W_dec + self.b_dec, f
        """,
    ),
    RightAnswer(
        "SAE",
        "feature after feature",
        """
        class SAE(nn.Module):
            def __init__(self, d_in, d_sae, generator):
                super().__init__()
                self.W_enc = nn.Parameter(torch.randn(d_in, d_sae, generator=generator))
                self.b_enc = nn.Parameter(torch.zeros(d_sae))
                self.W_dec = nn.Parameter(torch.randn(d_sae, d_in, generator=generator))
                self.b_dec = nn.Parameter(torch.zeros(d_in))

            def encode(self, x):
                pairs = zip(self.W_enc.T, self.b_enc)
                return torch.stack([((x * column).sum(-1) + bias).relu() for column, bias in pairs], dim=-1)

            def decode(self, f):
                x_hat = self.b_dec.expand(*f.shape[:-1], -1)
                for i, row in enumerate(self.W_dec):
                    x_hat = x_hat + f[..., i, None] * row
                return x_hat

            def forward(self, x):
                f = self.encode(x)
                x_hat = self.decode(f)
                return x_hat, f
        """,
    ),
    # 3.16
    RightAnswer(
        "sae_loss",
        "two means",
        """
        def sae_loss(x, x_hat, f, l1):
            distance = torch.linalg.vector_norm(x_hat - x, dim=-1) ** 2
            return distance.mean() + l1 * torch.linalg.vector_norm(f, ord=1, dim=-1).mean()
        """,
    ),
    RightAnswer(
        "sae_loss",
        "sums divided by the number of examples",
        """
        def sae_loss(x, x_hat, f, l1):
            examples = math.prod(x.shape[:-1])
            return (F.mse_loss(x_hat, x, reduction="sum") + l1 * f.sum()) / examples
        """,
    ),
    RightAnswer(
        "sae_loss",
        "means rescaled",
        """
        def sae_loss(x, x_hat, f, l1):
            error = einops.reduce((x - x_hat) ** 2, "... d_in -> ...", "sum")
            return error.mean() + l1 * f.abs().mean() * f.shape[-1]
        """,
    ),
    # 3.17
    RightAnswer(
        "normalize_decoder",
        "through .data",
        """
        def normalize_decoder(sae):
            sae.W_dec.data = F.normalize(sae.W_dec.data, dim=-1)
        """,
    ),
    RightAnswer(
        "normalize_decoder",
        "row after row",
        """
        @torch.no_grad()
        def normalize_decoder(sae):
            for row in sae.W_dec:
                row.div_(row.pow(2).sum().sqrt())
        """,
    ),
    RightAnswer(
        "normalize_decoder",
        "copied back",
        """
        def normalize_decoder(sae):
            rows = sae.W_dec.detach()
            with torch.no_grad():
                sae.W_dec.copy_(rows / torch.linalg.vector_norm(rows, dim=1)[:, None])
        """,
    ),
    # 3.18
    RightAnswer(
        "remove_parallel_gradient",
        "divided by the squared length",
        """
        @torch.no_grad()
        def remove_parallel_gradient(sae):
            W, g = sae.W_dec, sae.W_dec.grad
            share = einops.einsum(g, W, "d_sae d_in, d_sae d_in -> d_sae") / W.pow(2).sum(-1)
            sae.W_dec.grad = g - einops.einsum(share, W, "d_sae, d_sae d_in -> d_sae d_in")
        """,
    ),
    RightAnswer(
        "remove_parallel_gradient",
        "row after row",
        """
        def remove_parallel_gradient(sae):
            for row, g in zip(sae.W_dec.detach(), sae.W_dec.grad):
                unit = row / row.norm()
                g.sub_(torch.dot(g, unit) * unit)
        """,
    ),
    RightAnswer(
        "remove_parallel_gradient",
        "a projection matrix for each row",
        """
        def remove_parallel_gradient(sae):
            unit = F.normalize(sae.W_dec.detach(), dim=1)
            keep = torch.eye(unit.shape[1]).to(unit) - unit[:, :, None] * unit[:, None, :]
            sae.W_dec.grad.copy_((keep @ sae.W_dec.grad[:, :, None]).squeeze(-1))
        """,
    ),
    # 3.19
    RightAnswer(
        "sae_step",
        "gradients zeroed at the end",
        """
        def sae_step(sae, optimizer, x, l1):
            x_hat, f = sae(x)
            loss = sae_loss(x, x_hat, f, l1)
            loss.backward()
            remove_parallel_gradient(sae)
            optimizer.step()
            normalize_decoder(sae)
            optimizer.zero_grad()
            return loss.detach().item()
        """,
    ),
    RightAnswer(
        "sae_step",
        "everything written out",
        """
        def sae_step(sae, optimizer, x, l1):
            optimizer.zero_grad(set_to_none=True)
            f = sae.encode(x)
            loss = (sae.decode(f) - x).square().sum(-1).mean() + l1 * f.sum(-1).mean()
            loss.backward()
            with torch.no_grad():
                unit = sae.W_dec / sae.W_dec.norm(dim=-1, keepdim=True)
                sae.W_dec.grad.sub_((sae.W_dec.grad * unit).sum(-1, keepdim=True) * unit)
                before = float(loss)
                optimizer.step()
                sae.W_dec.copy_(F.normalize(sae.W_dec, dim=-1))
            return before
        """,
    ),
    RightAnswer(
        "sae_step",
        "gradients by autograd.grad, put in place by hand",
        """
        def sae_step(sae, optimizer, x, l1):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            reconstruction, features = sae(x)
            loss = sae_loss(x, reconstruction, features, l1)
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
                parameter.grad = gradient
            remove_parallel_gradient(sae)
            optimizer.step()
            normalize_decoder(sae)
            return loss.item()
        """,
    ),
    # 3.20
    RightAnswer(
        "mean_max_cosine",
        "cosine_similarity by broadcasting",
        """
        def mean_max_cosine(truth, found):
            return float(F.cosine_similarity(truth[:, None, :], found[None, :, :], dim=-1).max(dim=1).values.mean())
        """,
    ),
    RightAnswer(
        "mean_max_cosine",
        "one true feature at a time",
        """
        def mean_max_cosine(truth, found):
            lengths = found.norm(dim=-1).clamp(min=1e-12)
            best = [((found @ t) / (lengths * t.norm())).max().item() for t in truth]
            return sum(best) / len(best)
        """,
    ),
    RightAnswer(
        "mean_max_cosine",
        "a tensor with one number",
        """
        def mean_max_cosine(truth, found):
            products = einops.einsum(truth, found, "feature d_in, d_sae d_in -> feature d_sae")
            lengths = torch.outer(torch.linalg.vector_norm(truth, dim=1), torch.linalg.vector_norm(found, dim=1))
            return torch.nan_to_num(products / lengths, nan=0.0).sort(dim=-1, descending=True).values[:, 0].mean()
        """,
    ),
    # 3.21
    RightAnswer(
        "resample_dead",
        "feature after feature",
        """
        @torch.no_grad()
        def resample_dead(sae, x, dead, generator):
            places = dead.nonzero().flatten().tolist()
            alive = [i for i in range(len(dead)) if i not in set(places)] or list(range(len(dead)))
            length = sae.W_enc[:, alive].norm(dim=0).mean() / 5
            weights = ((sae.decode(sae.encode(x)) - x).square().sum(-1) ** 2).to(generator.device)
            for i in places:
                example = x[torch.multinomial(weights, 1, generator=generator).item()] - sae.b_dec
                sae.W_dec[i] = example / example.norm()
                sae.W_enc[:, i] = length * sae.W_dec[i]
                sae.b_enc[i] = 0.0
        """,
    ),
    RightAnswer(
        "resample_dead",
        "by the cumulative distribution",
        """
        def resample_dead(sae, x, dead, generator):
            count = int(dead.sum())
            if count == 0:
                return
            x_hat = sae(x)[0].detach()
            share = (x - x_hat).pow(2).sum(-1).pow(2).double().cumsum(0)
            ticks = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device).to(x.device)
            rows = x[torch.searchsorted(share / share[-1], ticks, right=True)] - sae.b_dec.detach()
            rows = rows / rows.norm(dim=1, keepdim=True)
            norms = sae.W_enc.detach().norm(dim=0)
            living = norms[~dead] if bool((~dead).any()) else norms
            sae.W_dec.data[dead] = rows
            sae.W_enc.data.T[dead] = 0.2 * living.mean() * rows
            sae.b_enc.data.masked_fill_(dead, 0.0)
        """,
    ),
    RightAnswer(
        "resample_dead",
        "drawn for all, taken where dead",
        """
        def resample_dead(sae, x, dead, generator):
            with torch.no_grad():
                weights = (sae(x)[0] - x).norm(dim=-1)**4
                pick = torch.multinomial(weights.to(generator.device), len(dead), replacement=True, generator=generator).to(x.device)
                new = F.normalize(x[pick] - sae.b_dec, dim=-1)
                norms = sae.W_enc.norm(dim=0)
                alive = norms[~dead] if not dead.all() else norms
                sae.W_dec.copy_(torch.where(dead[:, None], new, sae.W_dec))
                sae.W_enc.copy_(torch.where(dead, 0.2 * alive.mean() * new.T, sae.W_enc))
                sae.b_enc.masked_fill_(dead, 0.0)
        """,
    ),
    # 3.22
    RightAnswer(
        "topk_activation",
        "by rank",
        """
        def topk_activation(pre, k):
            if not k <= pre.shape[-1]:
                raise ValueError(f"d_sae is {pre.shape[-1]}, so k cannot be {k}")
            rank = pre.argsort(dim=-1, descending=True).argsort(dim=-1)
            return torch.where(rank < k, pre.clamp(min=0), torch.zeros_like(pre))
        """,
    ),
    RightAnswer(
        "topk_activation",
        "through a mask of one-hots",
        """
        def topk_activation(pre, k):
            d_sae = pre.shape[-1]
            if k > d_sae:
                raise ValueError("k = %d is more than the %d features" % (k, d_sae))
            kept = F.one_hot(torch.topk(pre, k).indices, d_sae).sum(dim=-2)
            return F.relu(pre) * kept.to(pre.dtype)
        """,
    ),
    RightAnswer(
        "topk_activation",
        "the winner taken k times",
        """
        def topk_activation(pre, k):
            if k > pre.shape[-1]:
                raise ValueError(f"{k} of {pre.shape[-1]} features cannot be kept")
            left, kept = pre.detach().clone(), torch.zeros_like(pre, dtype=torch.bool)
            for _ in range(k):
                winner = left.argmax(dim=-1, keepdim=True)
                kept.scatter_(-1, winner, True)
                left.scatter_(-1, winner, -torch.inf)
            return F.relu(pre).masked_fill(~kept, 0.0)
        """,
    ),
    # 3.23
    RightAnswer(
        "GatedSAE",
        "read once, rescaled afterwards",
        """
        class GatedSAE(nn.Module):
            def __init__(self, d_in, d_sae, generator):
                super().__init__()
                rows = F.normalize(torch.randn(d_sae, d_in, generator=generator), dim=-1)
                self.W_gate, self.W_dec = nn.Parameter(rows.mT.clone()), nn.Parameter(rows)
                for name in ("b_gate", "r_mag", "b_mag"):
                    setattr(self, name, nn.Parameter(torch.zeros(d_sae)))
                self.b_dec = nn.Parameter(torch.zeros(d_in))

            def gate(self, x):
                return einops.einsum(x, self.W_gate, "... d_in, d_in d_sae -> ... d_sae") + self.b_gate

            def encode(self, x):
                read = x @ self.W_gate
                magnitude = (torch.exp(self.r_mag) * read + self.b_mag).clamp(min=0)
                return torch.where(read + self.b_gate > 0, magnitude, torch.zeros_like(magnitude))

            def decode(self, f):
                return f @ self.W_dec + self.b_dec

            def forward(self, x):
                f = self.encode(x)
                return self.decode(f), f
        """,
    ),
    RightAnswer(
        "GatedSAE",
        "a masked magnitude",
        """
        class GatedSAE(nn.Module):
            def __init__(self, d_in, d_sae, generator):
                super().__init__()
                self.W_gate = nn.Parameter(torch.randn(d_in, d_sae, generator=generator))
                self.b_gate, self.r_mag, self.b_mag = (nn.Parameter(torch.zeros(d_sae)) for _ in range(3))
                self.W_dec = nn.Parameter(torch.randn(d_sae, d_in, generator=generator))
                self.b_dec = nn.Parameter(torch.zeros(d_in))

            def gate(self, x):
                return F.linear(x, self.W_gate.T, self.b_gate)

            def encode(self, x):
                W_mag = self.W_gate @ torch.diag(self.r_mag.exp())
                return F.relu(x @ W_mag + self.b_mag).masked_fill(self.gate(x) <= 0, 0.0)

            def decode(self, f):
                return F.linear(f, self.W_dec.T, self.b_dec)

            def forward(self, x):
                f = self.encode(x)
                return self.decode(f), f
        """,
    ),
    RightAnswer(
        "GatedSAE",
        "features on by index, magnitudes with einsum",
        """
        class Parameters(nn.Module):
            def __init__(self, d_in, d_sae, generator):
                super().__init__()
                start = F.normalize(torch.randn(d_sae, d_in, generator=generator, device=generator.device), dim=1)
                self.W_dec = nn.Parameter(start.clone())
                self.W_gate = nn.Parameter(start.t().contiguous())
                self.b_dec = nn.Parameter(torch.zeros(d_in, device=generator.device))
                self.b_gate = nn.Parameter(torch.zeros(d_sae, device=generator.device))
                self.b_mag = nn.Parameter(torch.zeros(d_sae, device=generator.device))
                self.r_mag = nn.Parameter(torch.zeros(d_sae, device=generator.device))

        class GatedSAE(Parameters):
            def gate(self, x):
                return torch.einsum("...d,ds->...s", x, self.W_gate).add(self.b_gate)

            def encode(self, x):
                scaled = torch.einsum("...d,ds,s->...s", x, self.W_gate, torch.exp(self.r_mag))
                magnitude = torch.relu(scaled + self.b_mag)
                on = torch.heaviside(self.gate(x).detach(), torch.zeros((), device=x.device, dtype=x.dtype))
                return magnitude * on

            def decode(self, f):
                return torch.einsum("...s,sd->...d", f, self.W_dec).add(self.b_dec)

            def forward(self, x):
                f = self.encode(x)
                return self.decode(f), f
        """,
    ),
    # 3.24
    RightAnswer(
        "gated_loss",
        "term by term, by sae_loss",
        """
        def gated_loss(sae, x, l1):
            W_dec, b_dec = sae.W_dec.detach(), sae.b_dec.detach()
            opened = sae.gate(x).clamp(min=0)
            plain = sae_loss(x, sae.decode(sae.encode(x)), opened, l1)
            return plain + sae_loss(x, F.linear(opened, W_dec.T, b_dec), opened, 0.0)
        """,
    ),
    RightAnswer(
        "gated_loss",
        "from the weights, parameters frozen by hand",
        """
        def gated_loss(sae, x, l1):
            pre = x @ sae.W_gate + sae.b_gate
            f = (pre > 0).to(x.dtype) * F.relu((x @ sae.W_gate) * sae.r_mag.exp() + sae.b_mag)
            frozen = {name: parameter.clone().detach() for name, parameter in sae.named_parameters()}
            examples = math.prod(x.shape[:-1])
            loss = l1 * F.relu(pre).sum()
            for code, W, b in ((f, sae.W_dec, sae.b_dec), (F.relu(pre), frozen["W_dec"], frozen["b_dec"])):
                loss = loss + F.mse_loss(code @ W + b, x, reduction="sum")
            return loss / examples
        """,
    ),
    RightAnswer(
        "gated_loss",
        "with a frozen copy of the whole SAE",
        """
        def gated_loss(sae, x, l1):
            import copy
            frozen = copy.deepcopy(sae).requires_grad_(False)
            x_hat, f = sae(x)
            g = sae.gate(x).clamp(min=0)
            return sae_loss(x, x_hat, g, l1) + sae_loss(x, frozen.decode(g), g, 0.0)
        """,
    ),
    # 3.25
    RightAnswer(
        "JumpReLU",
        "with setup_context",
        """
        class JumpReLU(torch.autograd.Function):
            @staticmethod
            def forward(z, threshold, bandwidth):
                return torch.where(z > threshold, z, torch.zeros_like(z))

            @staticmethod
            def setup_context(ctx, inputs, output):
                z, threshold, bandwidth = inputs
                ctx.save_for_backward(z, threshold, output)
                ctx.epsilon = bandwidth

            @staticmethod
            def backward(ctx, grad):
                z, threshold, output = ctx.saved_tensors
                scaled = (z - threshold) / ctx.epsilon
                window = (scaled > -0.5) & (scaled < 0.5)
                estimate = einops.reduce(window * grad, "... d_sae -> d_sae", "sum")
                return grad.masked_fill(z <= threshold, 0.0), -threshold * estimate / ctx.epsilon, None
        """,
    ),
    RightAnswer(
        "JumpReLU",
        "unsummed, which autograd reduces",
        """
        class JumpReLU(torch.autograd.Function):
            @staticmethod
            def forward(ctx, pre, theta, width):
                mask = pre > theta
                ctx.save_for_backward(mask, (pre - theta).abs().mul(2) < width, theta)
                ctx.width = width
                return F.relu(pre) * mask

            @staticmethod
            def backward(ctx, g):
                mask, close, theta = ctx.saved_tensors
                return g * mask, torch.where(close, -theta / ctx.width * g, torch.zeros_like(g)), None
        """,
    ),
    RightAnswer(
        "JumpReLU",
        "reduced with einops",
        """
        class JumpReLU(torch.autograd.Function):
            @staticmethod
            def forward(ctx, z, threshold, bandwidth):
                ctx.save_for_backward(z, threshold)
                ctx.bandwidth = bandwidth
                return z * (z > threshold)
            @staticmethod
            def backward(ctx, upstream):
                z, threshold = ctx.saved_tensors
                window = ((z - threshold).abs() < ctx.bandwidth / 2).to(z.dtype)
                gt = einops.reduce(-threshold / ctx.bandwidth * window * upstream, '... d -> d', 'sum')
                return upstream * (z > threshold), gt, None
        """,
    ),
    # 3.26
    RightAnswer(
        "Step",
        "zeros for z, summed with einsum",
        """
        class Step(torch.autograd.Function):
            @staticmethod
            def forward(ctx, pre, theta, width):
                ctx.save_for_backward(pre, theta)
                ctx.width = width
                return torch.heaviside(pre - theta, torch.zeros((), dtype=pre.dtype, device=pre.device))

            @staticmethod
            def backward(ctx, g):
                pre, theta = ctx.saved_tensors
                window = ((pre - theta).abs() * 2 < ctx.width).to(g.dtype)
                return torch.zeros_like(pre), -torch.einsum("...s,...s->s", window, g) / ctx.width, None
        """,
    ),
    RightAnswer(
        "Step",
        "example after example",
        """
        class Step(torch.autograd.Function):
            @staticmethod
            def forward(z, threshold, bandwidth):
                return torch.where(z > threshold, torch.ones_like(z), torch.zeros_like(z))

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.z, ctx.threshold, ctx.bandwidth = inputs

            @staticmethod
            def backward(ctx, upstream):
                z, threshold, total = ctx.z, ctx.threshold, torch.zeros_like(ctx.threshold)
                flat = zip(z.reshape(-1, z.shape[-1]), upstream.reshape(-1, z.shape[-1]))
                for example, sent in flat:
                    near = (example > threshold - ctx.bandwidth / 2) & (example < threshold + ctx.bandwidth / 2)
                    total = total - sent * near / ctx.bandwidth
                return None, total, None
        """,
    ),
    RightAnswer(
        "Step",
        "by heaviside and sum_to_size",
        """
        class Step(torch.autograd.Function):
            @staticmethod
            def forward(ctx, z, threshold, bandwidth):
                ctx.save_for_backward(z, threshold)
                ctx.bandwidth = bandwidth
                return torch.heaviside(z - threshold, torch.zeros_like(z))
            @staticmethod
            def backward(ctx, upstream):
                z, threshold = ctx.saved_tensors
                window = ((z - threshold).abs() < ctx.bandwidth / 2).to(z.dtype)
                return None, -(window * upstream / ctx.bandwidth).sum_to_size(threshold.shape), None
        """,
    ),
    # 3.27
    RightAnswer(
        "gather_activations",
        "from a cache of one name, text after text",
        """
        @torch.no_grad()
        def gather_activations(model, tokens, hook_name, batch_size=64):
            found = []
            for start in range(0, len(tokens), batch_size):
                _, cache = model.run_with_cache(tokens[start : start + batch_size], names_filter=lambda n: n == hook_name)
                found.extend(cache[hook_name])
            return torch.stack(found)
        """,
    ),
    RightAnswer(
        "gather_activations",
        "batches of even size, each cloned from a hook in a context",
        """
        def gather_activations(model, tokens, hook_name, batch_size=64):
            found = []
            with torch.no_grad():
                for part in tokens.tensor_split(math.ceil(len(tokens) / batch_size)):
                    with model.hooks(fwd_hooks=[(hook_name, lambda act, hook: found.append(act.clone()))]):
                        model(part)
            return torch.vstack(found)
        """,
    ),
    RightAnswer(
        "gather_activations",
        "written into a tensor made beforehand, hooks in a context",
        """
        def gather_activations(model, tokens, hook_name, batch_size=64):
            out = torch.empty(*tokens.shape, model.cfg.d_model, device=tokens.device)
            begin = 0

            def fill(acts, hook):
                out[begin : begin + len(acts)] = acts.detach()

            with model.hooks(fwd_hooks=[(hook_name, fill)]):
                while begin < len(tokens):
                    model(tokens[begin : begin + batch_size])
                    begin += batch_size
            return out
        """,
    ),
    RightAnswer(
        "gather_activations",
        "detached in the hook, logits in a variable",
        """
        def gather_activations(model, tokens, hook_name, batch_size=64):
            parts = []
            for i in range(math.ceil(len(tokens) / batch_size)):
                part = tokens[i * batch_size : (i + 1) * batch_size]
                logits = model.run_with_hooks(part, fwd_hooks=[(hook_name, lambda x, hook: parts.append(x.detach()))])
                assert len(logits) == len(part)
            return torch.concat(parts)
        """,
    ),
    RightAnswer(
        "gather_activations",
        "a generator of batches, a permanent hook taken off again",
        """
        def batches(model, tokens, hook_name, batch_size):
            seen = {}
            model.add_hook(hook_name, lambda acts, hook: seen.__setitem__(hook_name, acts.detach().clone()))
            try:
                with torch.inference_mode():
                    for start in range(0, tokens.shape[0], batch_size):
                        model(tokens[start : start + batch_size], return_type=None)
                        yield seen.pop(hook_name)
            finally:
                model.reset_hooks()

        def gather_activations(model, tokens, hook_name, batch_size=64):
            return torch.cat(list(batches(model, tokens, hook_name, batch_size)), dim=0).clone()
        """,
    ),
    # 3.28
    RightAnswer(
        "l0",
        "norm of order 0",
        """
        def l0(f):
            return f.reshape(-1, f.shape[-1]).norm(p=0, dim=1).mean().item()
        """,
    ),
    RightAnswer(
        "l0",
        "all that is not 0, over the number of examples",
        """
        def l0(f):
            return torch.count_nonzero(f).item() / (f.numel() // f.shape[-1])
        """,
    ),
    RightAnswer(
        "l0",
        "loop over examples, a tensor comes back",
        """
        def l0(f):
            counts = [example.gt(0).sum() for example in f.flatten(end_dim=-2)]
            return torch.stack(counts).to(torch.float64).mean()
        """,
    ),
    # 3.29
    RightAnswer(
        "explained_variance",
        "variances of dimensions",
        """
        def explained_variance(x, x_hat):
            rows, guesses = einops.rearrange([x, x_hat], "two ... d -> two (...) d")
            return float(1 - F.mse_loss(guesses, rows) / rows.var(dim=0, correction=0).mean())
        """,
    ),
    RightAnswer(
        "explained_variance",
        "mean over named axes, example by example",
        """
        def explained_variance(x, x_hat):
            centre = x.mean(dim=tuple(range(x.ndim - 1)), keepdim=True)
            unexplained = torch.linalg.vector_norm(x_hat - x) ** 2
            everything = torch.linalg.vector_norm(x - centre) ** 2
            return ((everything - unexplained) / everything).item()
        """,
    ),
    RightAnswer(
        "explained_variance",
        "sums of squares in one pass, in float64",
        """
        def explained_variance(x, x_hat):
            rows = x.reshape(-1, x.shape[-1]).double()
            error = rows - x_hat.reshape(rows.shape).double()
            about_mean = torch.einsum("nd,nd->", rows, rows) - len(rows) * rows.mean(0).pow(2).sum()
            return 1.0 - torch.einsum("nd,nd->", error, error).item() / about_mean.item()
        """,
    ),
    # 3.30
    RightAnswer(
        "dead_fraction",
        "largest activation of each feature",
        """
        def dead_fraction(f):
            largest = einops.reduce(f, "... d_sae -> d_sae", "max")
            return (largest == 0).float().mean().item()
        """,
    ),
    RightAnswer(
        "dead_fraction",
        "loop over features",
        """
        def dead_fraction(f):
            n = f.shape[-1]
            return sum(1 for feature in range(n) if not f[..., feature].any()) / n
        """,
    ),
    RightAnswer(
        "dead_fraction",
        "counted from the places that are not 0",
        """
        def dead_fraction(f):
            active = torch.nonzero(f)[:, -1].unique()
            return 1 - active.numel() / f.shape[-1]
        """,
    ),
    # 3.31
    RightAnswer(
        "loss_recovered",
        "activations worked out first, then put in",
        """
        def loss_recovered(model, sae, hook_name, tokens):
            with torch.no_grad():
                _, cache = model.run_with_cache(tokens, names_filter=lambda name: name == hook_name)
                x = cache[hook_name]
                versions = []
                for inside in (x[:, 1:], sae(x[:, 1:])[0], einops.reduce(x[:, 1:], "b p d -> 1 1 d", "mean")):
                    version = x.clone()
                    version[:, 1:] = inside
                    versions.append(version)
                losses = []
                for version in versions:
                    with model.hooks(fwd_hooks=[(hook_name, lambda _, hook, version=version: version)]):
                        log_probs = model(tokens).log_softmax(-1)
                    losses.append(-log_probs[:, :-1].gather(-1, tokens[:, 1:, None]).sum().item())
            clean, with_sae, ablated = losses
            return 1 - (with_sae - clean) / (ablated - clean)
        """,
    ),
    RightAnswer(
        "loss_recovered",
        "changed in place in a copy",
        """
        def loss_recovered(model, sae, hook_name, tokens):
            def nats(kind):
                def hook_fn(acts, hook):
                    acts = acts.clone()
                    rest = acts[:, 1:]
                    if kind == "sae":
                        acts[:, 1:] = sae.decode(sae.encode(rest))
                    elif kind == "mean":
                        acts[:, 1:] = rest.reshape(-1, rest.shape[-1]).mean(0)
                    return acts

                logits = model.run_with_hooks(tokens, fwd_hooks=[(hook_name, hook_fn)])
                return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:]).item()

            return (nats("mean") - nats("sae")) / (nats("mean") - nats("clean"))
        """,
    ),
    RightAnswer(
        "loss_recovered",
        "the model's own loss, changed in place",
        """
        @torch.no_grad()
        def loss_recovered(model, sae, hook_name, tokens):
            def ce(change=None):
                def hook_fn(x, hook):
                    if change is not None:
                        x[:, 1:] = change(x[:, 1:])
                    return x

                return model.run_with_hooks(tokens, return_type="loss", fwd_hooks=[(hook_name, hook_fn)]).double()

            worst = ce(lambda x: x.mean(dim=0).mean(dim=0))
            return (worst - ce(lambda x: sae(x)[0])) / (worst - ce())
        """,
    ),
    RightAnswer(
        "loss_recovered",
        "three kinds of replacement in a dictionary, permanent hooks taken off again",
        """
        def loss_recovered(model, sae, hook_name, tokens):
            replacements = {
                "clean": lambda x: x,
                "sae": lambda x: sae(x)[0],
                "mean": lambda x: x.flatten(0, 1).mean(0).repeat(*x.shape[:2], 1),
            }
            losses = {}
            for kind, replace in replacements.items():
                def hook_fn(resid, hook, replace=replace):
                    first, rest = resid.split([1, resid.shape[1] - 1], dim=1)
                    return torch.hstack([first, replace(rest)])

                model.add_hook(hook_name, hook_fn)
                try:
                    with torch.no_grad():
                        losses[kind] = model(tokens, return_type="loss").double().item()
                finally:
                    model.reset_hooks()
            return (losses["mean"] - losses["sae"]) / (losses["mean"] - losses["clean"])
        """,
    ),
    # 3.32
    RightAnswer(
        "top_examples",
        "topk of texts",
        """
        def top_examples(f, feature, k):
            column = f[..., feature]
            strength = column.amax(dim=1)
            values, texts = strength.topk(min(k, len(f)))
            texts = texts[values > 0]
            return torch.stack((texts, column[texts].argmax(dim=1)), dim=-1)
        """,
    ),
    RightAnswer(
        "top_examples",
        "going down a sorted list of all places",
        """
        def top_examples(f, feature, k):
            flat = f[:, :, feature].flatten()
            taken = {}
            for place in flat.argsort(descending=True).tolist():
                text, position = divmod(place, f.shape[1])
                if len(taken) < k and flat[place] > 0:
                    taken.setdefault(text, position)
            return torch.tensor(list(taken.items()), dtype=torch.long, device=f.device).reshape(-1, 2)
        """,
    ),
    RightAnswer(
        "top_examples",
        "a list of tuples, sorted in Python",
        """
        def top_examples(f, feature, k):
            rows = []
            for text, strengths in enumerate(f[..., feature].tolist()):
                strongest = max(strengths)
                if strongest > 0:
                    rows.append((strongest, text, strengths.index(strongest)))
            rows.sort(reverse=True)
            return torch.tensor([[text, position] for _, text, position in rows[:k]], device=f.device)
        """,
    ),
    RightAnswer(
        "top_examples",
        "text by text over Python numbers",
        """
        def top_examples(f, feature, k):
            found = []
            for text, row in enumerate(f[..., feature].tolist()):
                strength = max(row)
                if strength > 0:
                    found.append((strength, text, row.index(strength)))
            found.sort(key=lambda entry: -entry[0])
            pairs = [[text, position] for _, text, position in found[:k]]
            return torch.tensor(pairs, dtype=torch.int64, device=f.device).view(-1, 2)
        """,
    ),
    # 3.33
    RightAnswer(
        "logit_effect",
        "both means by einsum and keepdim",
        """
        def logit_effect(model, sae, feature):
            written = sae.W_dec[feature : feature + 1]
            written = written - written.mean(dim=-1, keepdim=True)
            logits = einops.einsum(written, model.W_U, "one d_model, d_model d_vocab -> d_vocab")
            return logits - logits.mean(-1)
        """,
    ),
    RightAnswer(
        "logit_effect",
        "the matrix centred in place of the vectors",
        """
        def logit_effect(model, sae, feature):
            matrix = model.W_U.detach()
            matrix = matrix - matrix.mean(dim=0, keepdim=True)
            matrix = matrix - matrix.mean(dim=1, keepdim=True)
            return F.linear(sae.W_dec[feature], matrix.T)
        """,
    ),
    RightAnswer(
        "logit_effect",
        "what the unembedding makes of it, less what it makes of nothing",
        """
        def logit_effect(model, sae, feature):
            d = sae.W_dec[feature]
            d = (d - d.mean()).reshape(1, 1, -1)
            logits = (model.unembed(d) - model.unembed(torch.zeros_like(d))).flatten()
            return logits - logits.mean()
        """,
    ),
    RightAnswer(
        "logit_effect",
        "word by word, differences of dot products",
        """
        def logit_effect(model, sae, feature):
            direction = sae.W_dec[feature].double()
            n = direction.shape[0]
            centre = torch.eye(n, dtype=torch.double, device=direction.device) - 1 / n
            written = centre @ direction
            logits = torch.stack([torch.dot(written, column.double()) for column in model.W_U.T])
            return logits.sub(logits.sum() / len(logits))
        """,
    ),
    # 3.34
    RightAnswer(
        "ablate_feature",
        "reconstruction without it plus error",
        """
        def ablate_feature(model, sae, hook_name, tokens, feature):
            def hook_fn(resid, hook):
                acts = sae.encode(resid[:, 1:])
                error = resid[:, 1:] - sae.decode(acts)
                without = acts.clone()
                without[..., feature] = 0.0
                new = resid.clone()
                new[:, 1:] = sae.decode(without) + error
                return new

            with model.hooks(fwd_hooks=[(hook_name, hook_fn)]):
                return model(tokens)
        """,
    ),
    RightAnswer(
        "ablate_feature",
        "outer product with a mask of positions",
        """
        def ablate_feature(model, sae, hook_name, tokens, feature):
            counted = (torch.arange(tokens.shape[1], device=tokens.device) > 0).float()

            def hook_fn(resid, hook):
                strength = sae.encode(resid)[:, :, feature] * counted
                return resid - einops.einsum(strength, sae.W_dec[feature], "b p, d -> b p d")

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, hook_fn)])
        """,
    ),
    RightAnswer(
        "ablate_feature",
        "the SAE run without the feature, the difference added",
        """
        def ablate_feature(model, sae, hook_name, tokens, feature):
            def difference(resid):
                f = sae.encode(resid)
                off = f.index_fill(-1, torch.tensor([feature], device=f.device), 0.0)
                return sae.decode(off) - sae.decode(f)

            def hook_fn(resid, hook):
                changed = resid + difference(resid)
                keep = torch.zeros(resid.shape[1], 1, dtype=torch.bool, device=resid.device)
                keep[0] = True
                return torch.where(keep, resid, changed)

            model.add_hook(hook_name, hook_fn)
            try:
                return model(tokens)
            finally:
                model.reset_hooks()
        """,
    ),
    # 3.35
    RightAnswer(
        "steer",
        "reconstruction with it plus error",
        """
        def steer(model, sae, hook_name, tokens, feature, strength):
            def hook_fn(resid, hook):
                acts = sae.encode(resid)
                error = resid - sae.decode(acts)
                changed = acts.clone()
                changed[..., feature] = strength
                return torch.cat([resid[:, :1], (sae.decode(changed) + error)[:, 1:]], dim=1)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, hook_fn)])
        """,
    ),
    RightAnswer(
        "steer",
        "ablated first, then added",
        """
        def steer(model, sae, hook_name, tokens, feature, strength):
            direction = sae.W_dec[feature]

            def hook_fn(resid, hook):
                new = resid.clone()
                new[:, 1:] -= torch.outer(sae.encode(resid[:, 1:])[..., feature].flatten(), direction).view_as(new[:, 1:])
                new[:, 1:] += strength * direction
                return new

            with model.hooks(fwd_hooks=[(hook_name, hook_fn)]):
                return model(tokens)
        """,
    ),
    RightAnswer(
        "steer",
        "the difference of two sets of features through W_dec, in float64",
        """
        @torch.no_grad()
        def steer(model, sae, hook_name, tokens, feature, strength):
            def hook_fn(x, hook):
                before = sae.encode(x)
                after = before.clone()
                after[:, 1:, feature] = strength
                return (x.double() + (after - before).double() @ sae.W_dec.double()).to(x.dtype)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, hook_fn)])
        """,
    ),
    RightAnswer(
        "steer",
        "position by position",
        """
        def steer(model, sae, hook_name, tokens, feature, strength):
            def hook_fn(resid, hook):
                columns = [resid[:, 0]]
                for position in range(1, resid.shape[1]):
                    at = resid[:, position]
                    active = sae.encode(at)[:, feature]
                    columns.append(at + torch.outer(strength - active, sae.W_dec[feature]))
                return torch.stack(columns, dim=1)

            return model.run_with_hooks(tokens, fwd_hooks=[(hook_name, hook_fn)])
        """,
    ),
    # 3.36
    RightAnswer(
        "feature_f1",
        "from the three counts",
        """
        def feature_f1(f, truth, threshold=0.0):
            yes, true = f.gt(threshold).float(), truth.float()
            tp, fp, fn = true @ yes, (1 - true) @ yes, true @ (1 - yes)
            return torch.nan_to_num(2 * tp / (2 * tp + fp + fn))
        """,
    ),
    RightAnswer(
        "feature_f1",
        "harmonic mean, feature by feature",
        """
        def feature_f1(f, truth, threshold=0.0):
            scores = []
            for column in f.T:
                yes = column > threshold
                hits = (yes & truth).sum().item()
                if hits == 0:
                    scores.append(0.0)
                    continue
                precision, recall = hits / yes.sum().item(), hits / truth.sum().item()
                scores.append(2 / (1 / precision + 1 / recall))
            return torch.tensor(scores, device=f.device)
        """,
    ),
    RightAnswer(
        "feature_f1",
        "a little added below the line",
        """
        def feature_f1(f, truth, threshold=0.0):
            yes, t = (f > threshold).float(), truth.float()
            return 2 * einops.einsum(yes, t, "example d_sae, example -> d_sae") / (yes.sum(0) + t.sum() + 1e-9)
        """,
    ),
    RightAnswer(
        "feature_f1",
        "from a table of counts, in whole numbers until the end",
        """
        def feature_f1(f, truth, threshold=0.0):
            said = torch.where(f > threshold, 1, 0)
            counts = torch.einsum("ef,e->f", said, truth.long())
            together = said.sum(0) + int(truth.sum())
            return torch.where(together > 0, counts * 2 / together, torch.zeros(f.shape[1], device=f.device))
        """,
    ),
    # 3.37
    RightAnswer(
        "feature_splits",
        "cosine_similarity and sorted",
        """
        def feature_splits(narrow, wide, threshold):
            lists = []
            for direction in narrow:
                cosines = F.cosine_similarity(direction[None], wide, dim=-1).tolist()
                near = [index for index, cosine in enumerate(cosines) if cosine >= threshold]
                lists.append(sorted(near, key=cosines.__getitem__, reverse=True))
            return lists
        """,
    ),
    RightAnswer(
        "feature_splits",
        "sorted at once, counted",
        """
        def feature_splits(narrow, wide, threshold):
            a = narrow / narrow.norm(dim=1, keepdim=True)
            b = wide / wide.norm(dim=1, keepdim=True)
            values, indices = einops.einsum(a, b, "n d, w d -> n w").sort(dim=1, descending=True)
            counts = (values >= threshold).sum(dim=1)
            return [row[:count] for row, count in zip(indices.tolist(), counts.tolist())]
        """,
    ),
    RightAnswer(
        "feature_splits",
        "going down each row, the indices still tensors",
        """
        def feature_splits(narrow, wide, threshold):
            found = []
            for a in narrow.double():
                cosines = torch.stack([a @ b / (a.norm() * b.norm()) for b in wide.double()])
                found.append([index for index in cosines.argsort(descending=True) if cosines[index] >= threshold])
            return found
        """,
    ),
    RightAnswer(
        "feature_splits",
        "angles by loops over pairs",
        """
        def feature_splits(narrow, wide, threshold):
            def cosine(a, b):
                return (torch.dot(a, b) / math.sqrt(torch.dot(a, a) * torch.dot(b, b))).item()

            result = []
            for a in narrow.double():
                near = {j: cosine(a, b) for j, b in enumerate(wide.double())}
                near = {j: c for j, c in near.items() if c >= threshold}
                result.append([j for j, _ in sorted(near.items(), key=lambda item: item[1], reverse=True)])
            return result
        """,
    ),
    # 3.38
    RightAnswer(
        "absorption_rate",
        "loop over recognised examples",
        """
        def absorption_rate(f, W_dec, probe, recognised, main, share=0.5):
            if not recognised.any():
                return 0.0
            projections = einops.einsum(W_dec, probe, "d_sae d_in, d_in -> d_sae")
            absorbed = 0
            for example in f[recognised]:
                parts = example * projections
                rest = torch.cat([parts[:main], parts[main + 1 :]])
                if example[main] == 0 and parts.sum() > 0 and rest.max() >= share * parts.sum():
                    absorbed += 1
            return absorbed / int(recognised.sum())
        """,
    ),
    RightAnswer(
        "absorption_rate",
        "main left in, since it is silent where it counts",
        """
        def absorption_rate(f, W_dec, probe, recognised, main, share=0.5):
            f = f[recognised]
            if len(f) == 0:
                return 0.0
            parts = einops.einsum(f, W_dec, probe, "e s, s d, d -> e s")
            silent = f[:, main] == 0
            sums = parts.sum(1)
            found = silent & (sums > 0) & (parts.max(1).values / sums.clamp(min=1e-12) >= share)
            return found.float().mean().item()
        """,
    ),
    RightAnswer(
        "absorption_rate",
        "one table of who carries what",
        """
        def absorption_rate(f, W_dec, probe, recognised, main, share=0.5):
            c = einops.einsum(f.double(), W_dec.double(), probe.double(), "e s, s d, d -> e s")
            total = c.sum(dim=1, keepdim=True)
            other = torch.arange(f.shape[1], device=f.device) != main
            carries = (c / total >= share) & (total > 0) & other
            return (carries.any(dim=1) & ~(f[:, main] > 0))[recognised].sum() / max(int(recognised.sum()), 1)
        """,
    ),
    RightAnswer(
        "absorption_rate",
        "contributions sorted, the best that is not main",
        """
        def absorption_rate(f, W_dec, probe, recognised, main, share=0.5):
            n = int(recognised.sum())
            if n == 0:
                return 0.0
            parts = torch.einsum("es,sd,d->es", f.double(), W_dec.double(), probe.double())[recognised]
            keep = torch.arange(parts.shape[1], device=f.device) != main
            best = parts[:, keep].topk(1, dim=1).values.squeeze(1)
            total = parts.sum(dim=1)
            silent = ~(f[recognised][:, main] > 0)
            return float(torch.count_nonzero(silent & (total > 0) & (best >= share * total))) / n
        """,
    ),
]
