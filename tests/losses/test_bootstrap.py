from __future__ import annotations

import naive
import pytest
import torch

from anchorrec_graph.losses.bootstrap import bootstrap_distance


def rows(seed: int) -> torch.Tensor:
    return torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_equals_the_loop() -> None:
    online, target = rows(0), rows(1)
    target[2] = 0
    cosines = [naive.cosine(o, t) for o, t in zip(online.numpy(), target.numpy(), strict=True)]
    assert float(bootstrap_distance(online, target)) == pytest.approx(1 - sum(cosines) / 6)


def test_counts_stand_for_repeated_rows() -> None:
    online, target, count = rows(0), rows(1), torch.tensor([1, 3, 1, 2, 5, 1])
    repeated = [x.repeat_interleave(count, dim=0) for x in (online, target)]
    torch.testing.assert_close(bootstrap_distance(online, target, count), bootstrap_distance(*repeated))


def test_only_the_online_side_learns() -> None:
    online, target = rows(0).requires_grad_(), rows(1).requires_grad_()
    bootstrap_distance(online, target).backward()
    assert target.grad is None
    assert torch.autograd.gradcheck(lambda x: bootstrap_distance(x, target.detach()), online)
