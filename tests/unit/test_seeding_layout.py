"""Random streams and the mapping between theta and parameter blocks."""

import numpy as np
import pytest

from bnn.core.seeding import ChainRandom, Stream, chain_rng
from bnn.model.layout import ParameterLayout

SHAPES = {"weight_0": (4, 3), "bias_0": (3,), "weight_1": (3, 2), "bias_1": (2,), "log_noise_scale": ()}


def test_streams_differ_by_purpose_chain_and_seed_and_repeat():
    draws = {
        (seed, stream, chain): chain_rng(seed, stream, chain).standard_normal(4).tobytes()
        for seed in (1, 2)
        for stream in Stream
        for chain in range(3)
    }
    assert len(set(draws.values())) == len(draws)
    assert chain_rng(2, Stream.SAMPLE, 1).standard_normal(4).tobytes() == draws[2, Stream.SAMPLE, 1]


def test_a_chain_draws_the_same_numbers_in_any_batch():
    alone = ChainRandom.of_chains(7, Stream.SAMPLE, [3])
    together = ChainRandom.of_chains(7, Stream.SAMPLE, [0, 1, 2, 3])
    for _ in range(3):
        assert np.array_equal(alone.standard_normal(5)[0], together.standard_normal(5)[3])
        assert alone.uniform()[0] == together.uniform()[3]


@pytest.mark.parametrize("lead", [(), (7,), (2, 5)])
def test_pack_and_unpack_are_inverses(lead):
    layout = ParameterLayout(SHAPES)
    theta = np.random.default_rng(0).standard_normal((*lead, layout.n_params))
    blocks = layout.unpack(theta)
    assert {name: block.shape for name, block in blocks.items()} == {n: lead + s for n, s in SHAPES.items()}
    assert np.array_equal(layout.pack(blocks), theta)


def test_blocks_lie_one_after_the_other_in_the_order_given():
    layout = ParameterLayout(SHAPES)
    blocks = layout.unpack(np.arange(layout.n_params, dtype=float))
    assert np.array_equal(blocks["weight_0"], np.arange(12.0).reshape(4, 3))
    assert np.array_equal(blocks["bias_0"], [12.0, 13.0, 14.0])
    assert np.array_equal(blocks["weight_1"], np.arange(15.0, 21.0).reshape(3, 2))
    assert blocks["log_noise_scale"] == 23.0


def test_views_are_read_only_and_theta_stays_writable():
    layout = ParameterLayout(SHAPES)
    theta = np.zeros((2, layout.n_params))
    with pytest.raises(ValueError, match="read-only"):
        layout.unpack(theta)["bias_0"][0, 0] = 1.0
    theta[0, 0] = 1.0


def test_add_to_equals_adding_the_packed_blocks():
    layout = ParameterLayout(SHAPES)
    rng = np.random.default_rng(1)
    theta, more = rng.standard_normal((2, 3, layout.n_params))
    total = theta.copy()
    layout.add_to(total, layout.unpack(more))
    assert np.array_equal(total, theta + more)


def test_layout_survives_being_text():
    layout = ParameterLayout(SHAPES)
    again = ParameterLayout.from_json(layout.to_json())
    assert again == layout
    assert hash(again) == hash(layout)
    assert again != ParameterLayout(dict(reversed(SHAPES.items())))


def test_wrong_shapes_and_names_are_refused():
    layout = ParameterLayout(SHAPES)
    blocks = layout.unpack(np.zeros(layout.n_params))
    with pytest.raises(ValueError, match="theta"):
        layout.unpack(np.zeros(23))
    with pytest.raises(ValueError, match="bias_0"):
        layout.pack({**blocks, "bias_0": np.zeros(2)})
    with pytest.raises(ValueError, match="layout"):
        layout.pack({"weight_0": np.zeros((4, 3))})
    with pytest.raises(ValueError, match="layout"):
        ParameterLayout({})
