"""Probe heads: from the backbone's time-mean hidden states to one logit for each label.

The head is the probe of MERT's evaluation: a learnt convex combination of the hidden states, then one linear layer, or
one hidden layer of 512 as in MARBLE's constrained track (Yuan et al. 2023, arXiv:2306.10548).
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn

UNTRAINED_LOGIT = -30.0
"""The logit of a label that wasn't trained: a score of 1e-13, below any label that was."""


class ProbeHead(nn.Module):
    """`[B, L, D] -> [B, K]` logits: a softmax-weighted sum over the L hidden states, dropout in training, then linear;
    or linear, ReLU, linear.

    The logit of an untrained label is `UNTRAINED_LOGIT` whatever the input (see `BundleLabel.untrained_reason`).
    """

    def __init__(
        self,
        layer_count: int,
        hidden_size: int,
        label_count: int,
        *,
        untrained: Collection[int] = (),
        dropout: float = 0.0,
        inner: int = 0,
    ):
        """Args:
        layer_count: L, the number of hidden states.
        hidden_size: D, their width.
        label_count: K, the number of labels.
        untrained: The indices of the labels that aren't trained, in [0, K). Raises `IndexError` outside.
        dropout: The probability with which training drops an input of the linear layer.
        inner: The width of a layer between; 0 for none.
        """
        super().__init__()
        self.layer_count, self.hidden_size = layer_count, hidden_size
        self.layer_logits = nn.Parameter(torch.zeros(layer_count))
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.Sequential(nn.Linear(hidden_size, inner), nn.ReLU()) if inner else nn.Identity()
        self.linear = nn.Linear(inner or hidden_size, label_count)
        self.register_buffer("untrained", torch.zeros(label_count, dtype=torch.bool))
        for index in untrained:
            self.untrained[index] = True

    def forward(self, hidden_states: Tensor) -> Tensor:
        weights = torch.softmax(self.layer_logits, dim=0)
        combined = torch.einsum("l,bld->bd", weights, hidden_states)
        logits = self.linear(self.inner(self.dropout(combined)))
        return logits.masked_fill(self.untrained, UNTRAINED_LOGIT)
