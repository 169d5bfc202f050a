import copy
import json

import pytest
import torch
from torch import nn

from parefront.evaluators.packed_network import pack_network, read_network
from parefront.hardware_profiles.errors import PackingError
from parefront.hardware_profiles.precision import PrecisionPlan
from parefront.packing import CodedWeight, account, pack, unpack
from parefront.spaces import Configuration, Finished, Network, finish, prepare, simulate, trace
from parefront.spaces.quantize import quantize_blocks
from parefront.spaces.rebuild import sizes_of

INPUTS = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def outputs(finished: Finished, state: dict[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """What is deployed of a network with another state."""
    module = copy.deepcopy(finished.module)
    module.load_state_dict(state)
    with torch.no_grad():
        return simulate(module, finished.plan)(inputs)


def assert_same_when_deployed(finished: Finished, inputs: torch.Tensor) -> None:
    found = read_network(pack_network(finished))
    assert found.plan == finished.plan
    assert found.sizes == sizes_of(finished.module)
    expected = outputs(finished, finished.module.state_dict(), inputs)
    assert torch.equal(outputs(finished, dict(found.state), inputs), expected)
    # Once more from what was read: the same bytes.
    module = copy.deepcopy(finished.module)
    module.load_state_dict(dict(found.state))
    assert pack_network(Finished(module, found.plan, found.stored)) == pack_network(finished)


def test_a_float_network_comes_back_to_the_last_bit(tiny_network: Network) -> None:
    finished = finish(prepare(tiny_network, Configuration.of({})), Configuration.of({}), INPUTS)
    found = read_network(pack_network(finished, {"task": "tiny"}))
    state = finished.module.state_dict()
    assert list(found.state) == list(state)
    assert all(torch.equal(value, found.state[name]) for name, value in state.items())
    assert (found.plan, found.stored, found.facts) == (finished.plan, {}, {"task": "tiny"})


def test_integers_are_stored_as_such(tiny_network: Network) -> None:
    layers = [layer.name for layer in tiny_network.layers]
    configuration = Configuration.of({f"bits/{name}": 8 for name in layers})
    finished = finish(prepare(tiny_network, configuration), configuration, INPUTS)
    # A channel of nearly no weight beside a large bias executes with a wider scale than the plan's.
    with torch.no_grad():
        finished.module.get_submodule(layers[0]).bias[0] = 1e9  # type: ignore[index,operator]
    assert_same_when_deployed(finished, INPUTS)
    shares = {each.name: each for each in account(pack_network(finished))}
    for name in finished.plan.layers:
        n_weights = finished.module.get_submodule(name).weight.numel()  # type: ignore[operator,union-attr]
        assert shares[f"{name}.weight"].parts["indices"] <= n_weights


def test_a_network_in_blocks_and_in_half_precision() -> None:
    model = nn.Sequential(nn.Linear(72, 40), nn.ReLU(), nn.Linear(40, 4))
    network = trace(model.eval(), torch.zeros(2, 72))
    module = prepare(network, Configuration.of({}))
    weight = module.get_submodule("0").weight
    assert isinstance(weight, torch.Tensor)
    plan = PrecisionPlan({"0.weight": quantize_blocks(weight.detach(), 4)}, {"2": "bf16"})
    finished = Finished(module, plan)
    assert_same_when_deployed(finished, torch.randn(8, 72, generator=torch.Generator().manual_seed(1)))
    shares = {each.name: each.n_bytes for each in account(pack_network(finished))}
    assert shares["2.weight"] <= 2 * 4 * 40
    assert shares["0.weight"] <= 40 * 96 // 2 + 4 * 40 * 3  # 4 bits, the last block of 32 filled up, 3 scales a row


def test_sparse_layers_come_back_as_such(tiny_network: Network) -> None:
    finished = finish(prepare(tiny_network, Configuration.of({})), Configuration.of({}), INPUTS)
    assert_same_when_deployed(Finished(finished.module, PrecisionPlan(sparse=("hidden",))), INPUTS)


def test_stored_codes_come_before_executed_ones(tiny_network: Network) -> None:
    configuration = Configuration.of({"bits/stem": 8})
    finished = finish(prepare(tiny_network, configuration), configuration, INPUTS)
    stem = finished.module.get_submodule("stem")
    assert isinstance(stem.weight, torch.Tensor)
    coded = CodedWeight((stem.weight > 0).byte(), torch.tensor([-0.1, 0.1]))
    with torch.no_grad():
        stem.weight.copy_(coded.decode())
    finished = Finished(finished.module, finished.plan, {"stem": coded})
    assert_same_when_deployed(finished, INPUTS)
    found = read_network(pack_network(finished)).stored["stem"]
    assert isinstance(found, CodedWeight)
    assert torch.equal(found.indices, coded.indices)


def test_a_file_of_something_else_is_refused(tiny_network: Network) -> None:
    finished = finish(prepare(tiny_network, Configuration.of({})), Configuration.of({}), INPUTS)
    whole = unpack(pack_network(finished))
    network = whole.facts["network"]
    for other in (
        {},
        {"schema": 2},
        {**network, "plan": []},
        {**network, "stored": ["stem"]},
        {**network, "sizes": {"stem": {"groups": "x"}}},
    ):
        with pytest.raises(PackingError) as refused:
            read_network(pack(whole.tensors, {"network": json.loads(json.dumps(other))}))
        assert "\n" not in str(refused.value)
    with pytest.raises(PackingError, match="must say how it is built, but: KeyError: 'network'"):
        read_network(pack(whole.tensors, {}))
    with pytest.raises(PackingError, match="facts must be plain JSON"):
        pack_network(finished, {"path": object()})
