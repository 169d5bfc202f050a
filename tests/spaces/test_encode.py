import torch
from torch import Tensor, nn

from parefront.hardware_profiles.profile import Capabilities
from parefront.packing import CodedWeight
from parefront.spaces import CompressionOptions, Configuration, Network, find_space, finish, prepare, trace
from parefront.spaces.compress import encode
from parefront.spaces.encode import Encode

IMAGES = torch.randn(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Normed(nn.Module):
    """A convolution in front of a BatchNorm that multiplies one channel by -3, a second one without."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 16, 3, bias=False)
        self.norm = nn.BatchNorm2d(16, eps=0.0)
        self.last = nn.Conv2d(16, 32, 3)
        with torch.no_grad():
            self.norm.weight[0] = -3.0

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.conv(x))))


def network() -> Network:
    return trace(Normed().eval(), IMAGES[:2])


def test_layers_with_few_weights_are_left_alone() -> None:
    small = trace(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 64)), torch.zeros(2, 4))
    found = Encode().find_sites(small, Capabilities())
    assert [site.name for site in found.sites] == ["code/2"]
    assert [(each.name, each.reason) for each in found.left_alone] == [
        ("0", "it has 32 weights, of 256 on their storage is worth a decision")
    ]


def test_a_transposed_convolution_is_left_alone() -> None:
    upwards = trace(nn.Sequential(nn.ConvTranspose2d(8, 8, 3)), torch.zeros(2, 8, 4, 4))
    found = Encode().find_sites(upwards, Capabilities())
    assert not found.sites
    assert "another axis" in found.left_alone[0].reason


def test_storage_is_offered_only_where_it_counts() -> None:
    def techniques(options: CompressionOptions) -> set[str]:
        return {site.technique for site in find_space(network(), Capabilities(), options).sites}

    assert not techniques(CompressionOptions()) & {"code", "sparsity"}
    assert techniques(CompressionOptions(has_stored=True)) >= {"code", "sparsity"}


def test_a_folded_norm_becomes_the_scale_of_the_codes() -> None:
    configuration = Configuration.of({"code/conv": "clusters:3"})
    finished = finish(prepare(network(), configuration), configuration, IMAGES)
    coded = finished.stored["conv"]
    assert isinstance(coded, CodedWeight)
    assert len(coded.codebook) == 8
    assert coded.scale is not None
    assert coded.scale[:2].tolist() == [-3.0, 1.0]  # a fresh norm has mean 0 and variance 1
    weight = finished.module.get_submodule("conv").weight
    assert isinstance(weight, Tensor)
    assert torch.equal(weight, coded.decode())


def test_codes_that_a_training_found_are_kept() -> None:
    configuration = Configuration.of({"code/last": "uniform:1"})
    prepared = prepare(network(), configuration)
    indices = torch.zeros(32, 16, 3, 3, dtype=torch.uint8)
    trained = CodedWeight(indices, torch.tensor([0.25, 1.0]))
    finished = finish(prepared, configuration, IMAGES, stored={"last": trained})
    assert finished.stored == {"last": trained}
    assert bool((finished.module.get_submodule("last").weight == 0.25).all())


def test_neighbours_in_int8_are_not_equalised_with_a_coded_layer() -> None:
    """Equalising would scale the inputs of a layer apart, and with them its shared values."""
    configuration = Configuration.of({"code/last": "clusters:2", "bits/conv": 8, "bits/last": 8})
    finished = finish(prepare(network(), configuration), configuration, IMAGES)
    assert len(torch.unique(finished.module.get_submodule("last").weight)) == 4  # type: ignore[arg-type]  # a tensor


def test_encoding_a_prepared_network_gives_what_finish_takes() -> None:
    configuration = Configuration.of({"code/conv": "uniform:2", "code/last": "clusters:4"})
    prepared = prepare(network(), configuration)
    stored = encode(prepared, configuration)
    assert set(stored) == {"conv", "last"}
    assert all(torch.equal(prepared.get_submodule(name).weight, each.decode()) for name, each in stored.items())
