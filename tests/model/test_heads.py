import pytest
import torch
from conftest import noise

from culturetag_model.heads import UNTRAINED_LOGIT, ProbeHead


def test_logits_are_a_linear_map_of_the_softmax_weighted_layers():
    head = ProbeHead(3, 4, 2)
    with torch.no_grad():
        head.layer_logits.copy_(torch.tensor([0.0, 1.0, 2.0]))
    states = noise(5, 3, 4)

    weights = torch.exp(torch.tensor([0.0, 1.0, 2.0]))
    weights /= weights.sum()
    combined = (states * weights[None, :, None]).sum(dim=1)

    torch.testing.assert_close(head(states), combined @ head.linear.weight.T + head.linear.bias)


def test_a_fresh_head_weighs_all_layers_alike():
    head = ProbeHead(4, 2, 1)

    assert torch.softmax(head.layer_logits, dim=0).tolist() == [0.25] * 4


def test_an_untrained_label_has_a_constant_logit_and_no_gradient():
    head = ProbeHead(2, 4, 3, untrained=[1])

    logits = head(1e4 * noise(6, 2, 4))
    logits.sum().backward()

    assert logits[:, 1].tolist() == [UNTRAINED_LOGIT] * 6
    assert head.linear.weight.grad[1].tolist() == [0.0] * 4
    assert head.linear.weight.grad[0].abs().sum() > 0


def test_dropout_acts_in_training_only():
    head = ProbeHead(2, 64, 1, dropout=0.5)
    states = noise(1, 2, 64)

    assert head.train()(states) != head.eval()(states)
    assert head.eval()(states) == head.eval()(states)


def test_an_untrained_index_past_the_labels_is_refused():
    with pytest.raises(IndexError):
        ProbeHead(2, 4, 3, untrained=[3])


def test_an_inner_layer_stands_between_the_layers_sum_and_the_labels():
    head = ProbeHead(3, 4, 2, inner=8)
    states = noise(5, 3, 4)

    inner = torch.relu(states.mean(dim=1) @ head.inner[0].weight.T + head.inner[0].bias)

    torch.testing.assert_close(head(states), inner @ head.linear.weight.T + head.linear.bias)
