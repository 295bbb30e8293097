"""PyTorch: the loop that everybody writes, and torch.func's vmap."""

import os

import torch

from experiments.benchmarks.side_by_side.torch_networks import loss_of, tensors


def fused(case):
    """A loop over trials and steps; Adam in one kernel."""
    return loop(case, fused=True)


def foreach(case):
    """The same; Adam over lists of tensors."""
    return loop(case, foreach=True)


def loop(case, **how):
    """``zero_grad``, ``backward``, ``step``; a process has one thread for each core it may use."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    weights, x, y, order = tensors(case)
    loss = loss_of(case.workload)

    def run():
        curves = []
        for rate, seed in zip(case.rates.tolist(), case.seeds, strict=True):
            w = {path: leaf[seed].clone().requires_grad_() for path, leaf in weights.items()}
            optimizer, losses = torch.optim.Adam(w.values(), lr=rate, **how), []
            for rows in order[seed]:
                optimizer.zero_grad()
                value = loss(w, x[rows], y[rows])
                value.backward()
                optimizer.step()
                losses.append(value.detach())
            curves.append(torch.stack(losses))
        return torch.stack(curves).numpy()

    return run


def vmap(case):
    """torch.func: gradients of many models at once, Adam by hand on the stacked weights."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    weights, x, y, order = tensors(case)
    gradients = torch.func.vmap(torch.func.grad_and_value(loss_of(case.workload)))
    most = 64 if case.workload.chunk > 1 else 8

    def train(rates, seeds):
        w = [leaf[seeds].clone() for leaf in weights.values()]
        m, v = ([torch.zeros_like(leaf) for leaf in w] for _ in range(2))
        rates = [rates.reshape(-1, *[1] * (leaf.ndim - 1)) for leaf in w]
        losses = []
        for t, rows in enumerate(order[seeds].unbind(1), start=1):
            g, value = gradients(dict(zip(weights, w, strict=True)), x[rows], y[rows])
            g = list(g.values())
            torch._foreach_lerp_(m, g, 0.1)
            torch._foreach_mul_(v, 0.999)
            torch._foreach_addcmul_(v, g, g, 0.001)
            below = torch._foreach_sqrt(torch._foreach_div(v, 1 - 0.999**t))
            torch._foreach_add_(below, 1e-8)
            steps = torch._foreach_div(m, below)
            torch._foreach_mul_(steps, rates)
            torch._foreach_sub_(w, steps, alpha=1 / (1 - 0.9**t))
            losses.append(value)
        return torch.stack(losses, 1)

    def run():
        rates, seeds = torch.from_numpy(case.rates), torch.from_numpy(case.seeds)
        plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
        with torch.no_grad(), plain:  # the fused attention has no rule for vmap
            parts = [
                train(*part) for part in zip(rates.split(most), seeds.split(most), strict=True)
            ]
        return torch.cat(parts).numpy()

    return run
