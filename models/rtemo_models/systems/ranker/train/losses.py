"""RankList: preference learning on ordered lists, with comparisons at every distance in one log-sum-exp.

After Naini, Diaz and Busso (2025, "RankList", arXiv:2508.09826), whose equations were rebuilt from the idea. With items
ordered by label, d(i) = s(i+1) - s(i) and neighbours compared as RankNet compares a pair, the likelihood of the order
is Π 1 / (1 + e^d(i)). Its inverse expands into a sum over subsets of neighbours, in which a run of neighbours
telescopes to e^(s(j) - s(i)): the comparison of items that are not neighbours. Keeping these runs gives

    L = 1/β · log(1 + Σ_{i before j} exp(β · (s(j) - s(i) + m · (y(i) - y(j)))))

with a temperature β and a margin m of score per label. L is at most the local likelihood's negative logarithm, which is
at most the sum of RankNet's loss over all pairs. Its gradient is a softmax over violations, so hard pairs lead, and it
does not grow with the square of the list.

Throughout: scores float32 [lists, n], labels float32 [lists, n], NaN where there is no item. Items whose labels differ
by no more than `gap` are ties or near ties and carry no constraint: the mean of a few listeners' ratings, or a point
that stands for a category, is no finer. Every loss gives one value per list, [lists], 0 for a list without comparisons.
"""

from typing import Literal

import torch
from torch import Tensor

Direction = Literal["near_first", "far_first"]


def comparisons(labels: Tensor, gap: float) -> Tensor:
    """Which items should stand before which, bool [lists, n, n]: [l, i, j] where label i exceeds label j by the gap."""
    return labels[:, :, None] > labels[:, None, :] + gap


def levels(labels: Tensor) -> Tensor:
    """How many distinct labels of its list lie below each item's, int64 [lists, n]; -1 where there is no item."""
    known = ~labels.isnan()
    order = torch.where(known, labels, torch.full_like(labels, -torch.inf)).argsort(1)
    ascending = labels.gather(1, order)
    is_new = torch.zeros_like(known)
    is_new[:, 1:] = (ascending[:, 1:] > ascending[:, :-1]) & known.gather(1, order)[:, :-1]
    found = torch.empty_like(order).scatter_(1, order, is_new.long().cumsum(1))
    return torch.where(known, found, torch.full_like(found, -1))


def violations(scores: Tensor, labels: Tensor, temperature: float, margin: float) -> Tensor:
    """β · (s(j) - s(i) + m · (y(i) - y(j))), float32 [lists, n, n] with i before j."""
    moved = scores - margin * labels.nan_to_num()
    return temperature * (moved[:, None, :] - moved[:, :, None])


def log_one_plus_sum(values: Tensor, mask: Tensor) -> Tensor:
    """log(1 + Σ exp(value)) over the masked values of each list, [lists]; stable for values of any size."""
    hidden = values.masked_fill(~mask, -torch.inf).flatten(1)
    return torch.logsumexp(torch.cat([torch.zeros_like(hidden[:, :1]), hidden], 1), 1)


def rank_list(
    scores: Tensor, labels: Tensor, gap: float = 0.0, temperature: float = 1.0, margin: float = 0.0
) -> Tensor:
    """The loss in its plain form, of n² comparisons."""
    values = violations(scores, labels, temperature, margin)
    return log_one_plus_sum(values, comparisons(labels, gap)) / temperature


def rank_list_running(
    scores: Tensor, labels: Tensor, gap: float = 0.0, temperature: float = 1.0, margin: float = 0.0
) -> Tensor:
    """The same value in time n after sorting: Σ_j e^{s(j)} · Σ_{i before j} e^{-s(i)} with a running log-sum-exp.

    All items that stand before item j come first in the order of labels, so the inner sum is one running sum, read
    where the labels have fallen to that of j plus the gap.
    """
    known = ~labels.isnan()
    floor = torch.where(known, labels, torch.full_like(labels, -torch.inf))
    descending, order = floor.sort(1, descending=True)
    moved = temperature * (scores - margin * labels.nan_to_num()).gather(1, order)
    running = torch.logcumsumexp(torch.where(descending.isinf(), torch.full_like(moved, -1e30), -moved), 1)
    before = torch.searchsorted(-descending, -(descending + gap), right=False)  # how many labels are above j's + gap
    sums = moved + running.gather(1, (before - 1).clamp_min(0))
    compared = (before > 0) & ~descending.isinf()
    return log_one_plus_sum(sums, compared) / temperature


def skip_wise(
    scores: Tensor,
    labels: Tensor,
    done: float,
    direction: Direction,
    gap: float = 0.0,
    temperature: float = 1.0,
    margin: float = 0.0,
) -> Tensor:
    """A curriculum: the mean of one log-sum-exp per distance in the list, over the distances that are visible yet.

    Distances are counted in distinct labels, which for lists without ties is the distance in the list.

    Args:
        scores: float32 [lists, n].
        labels: float32 [lists, n].
        done: Share of the curriculum that is behind, 0 to 1; from 1 on all distances count.
        direction: `near_first` begins with neighbours, which are the finest comparisons; `far_first` with the ends of
            the list, which are the easiest.
        gap: As above.
        temperature: As above.
        margin: As above.
    """
    values = violations(scores, labels, temperature, margin)
    level = levels(labels)
    distance = level[:, :, None] - level[:, None, :]
    compared = comparisons(labels, gap)
    longest = max(1, int(distance.max()))
    reach = 1 + int((longest - 1) * min(1.0, max(0.0, done)))
    visible = range(1, reach + 1) if direction == "near_first" else range(longest - reach + 1, longest + 1)
    total, count = torch.zeros_like(scores[:, 0]), torch.zeros_like(scores[:, 0])
    for k in visible:
        mask = compared & (distance == k)
        total = total + log_one_plus_sum(values, mask) / temperature
        count = count + mask.flatten(1).any(1)
    return total / count.clamp_min(1)
