"""Spaces: every supported one both ways, scaling at the ends and in the middle, descriptions, refusals."""

import json
import pickle
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from triax.spaces import (
    LARGEST_CHOICE,
    BinaryLeaf,
    BoxLeaf,
    DiscreteLeaf,
    ImageLeaf,
    Role,
    SpaceSpec,
    UnsupportedSpace,
    space_spec,
)

Space = gymnasium.Space[Any]

BOOLS = spaces.Box(0, 1, (2,), dtype=np.bool_)  # type: ignore[arg-type]


def float_box(low: Any, high: Any, *, dtype: type[np.floating[Any]] = np.float32) -> spaces.Box:
    return spaces.Box(np.asarray(low, dtype), np.asarray(high, dtype), dtype=dtype)


def outside(spec: SpaceSpec, *values: Any) -> list[Any]:
    """Convert single inside values; each is given a batch axis and they are stacked."""
    return spec.unstack_to_outside(jax.tree.map(lambda *parts: np.stack(parts), *values))


# Scaling


@pytest.mark.parametrize(
    ("low", "high"), [(-2.0, 2.0), (-3.0, 1.0), (0.0, 10.0), (5.0, 6.5), (-1e6, 1e6), (0.1, 0.3), (-1.0, 1.0)]
)
def test_trap_07_both_ends_and_the_middle_of_a_box(low: float, high: float) -> None:
    space = float_box([low], [high])
    spec = space_spec(space=space, role="action")
    ends = spec.batch_to_outside(np.array([[-1.0], [0.0], [1.0]], np.float32))
    assert ends[0, 0] == np.float32(low)
    assert ends[2, 0] == np.float32(high)
    assert ends[1, 0] == pytest.approx((low + high) / 2, rel=1e-6, abs=1e-6)
    back = spec.batch_to_inside(np.array([[low], [(low + high) / 2], [high]], np.float32))
    np.testing.assert_allclose(back, [[-1.0], [0.0], [1.0]], atol=2e-6)
    # An off-centre point, with the formula of the conversion: low + (a + 1)/2 · (high − low).
    quarter = spec.batch_to_outside(np.array([[-0.5]], np.float32))
    assert quarter[0, 0] == pytest.approx(low + 0.25 * (high - low), rel=1e-6)


def test_trap_07_pendulum_and_a_box_with_different_bounds_for_each_component() -> None:
    pendulum = gymnasium.make("Pendulum-v1").action_space
    spec = space_spec(space=pendulum, role="action")
    np.testing.assert_array_equal(
        spec.batch_to_outside(np.array([[-1.0], [0.0], [1.0]], np.float32)), [[-2.0], [0.0], [2.0]]
    )
    spec = space_spec(space=float_box([[-3.0, 0.0], [10.0, -2.0]], [[1.0, 5.0], [20.0, -1.0]]), role="action")
    inside = np.array([[[-1.0, 1.0], [0.5, 0.0]]], np.float32)
    # −3; 5; 10 + 1.5/2 · 10 = 17.5; the middle of [−2, −1].
    np.testing.assert_array_equal(spec.batch_to_outside(inside), [[[-3.0, 5.0], [17.5, -1.5]]])
    np.testing.assert_array_equal(spec.batch_to_inside([[[-3.0, 5.0], [17.5, -1.5]]]), inside)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounding_never_leaves_the_space(dtype: type[np.floating[Any]]) -> None:
    generator = np.random.default_rng(1)
    low = generator.normal(size=1000) * 10.0 ** generator.integers(-4, 4, size=1000)
    high = low + np.exp(generator.normal(size=1000)) * 10.0 ** generator.integers(-2, 3, size=1000)
    space = float_box(low, high, dtype=dtype)
    fine = space.high > space.low
    space = spaces.Box(space.low[fine], space.high[fine], dtype=dtype)
    spec = space_spec(space=space, role="action")
    for value in (-1.0, np.nextafter(np.float32(-1), np.float32(0)), np.nextafter(np.float32(1), np.float32(0)), 1.0):
        (converted,) = outside(spec, np.full(space.shape, value, np.float32))
        assert converted.dtype == dtype
        assert space.contains(converted)
    # Even from slightly outside of [−1, 1].
    (converted,) = outside(spec, np.full(space.shape, 1.0001, np.float32))
    assert space.contains(converted)


def test_components_without_finite_bounds_stay_in_their_own_units() -> None:
    space = float_box([-np.inf, 0.0, -4.0, -3.4e38, 2.0, -1e7], [np.inf, np.inf, 4.0, 3.4e38, 2.0, 1e7])
    spec = space_spec(space=space, role="observation")
    value = np.array([[1e3, 7.0, 2.0, -250.0, 2.0, 123.0]], np.float32)
    expected = np.array([[1e3, 7.0, 0.5, -250.0, 2.0, 123.0]], np.float32)
    np.testing.assert_array_equal(spec.batch_to_inside(value), expected)
    np.testing.assert_array_equal(spec.batch_to_outside(expected), value)


def test_observations_beyond_their_bounds_are_kept() -> None:
    spec = space_spec(space=float_box([0.0], [2.0]), role="observation")
    np.testing.assert_array_equal(spec.batch_to_inside([[3.0]]), [[2.0]])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint16, np.uint64])
def test_whole_numbers_come_back_whole(dtype: type[np.integer[Any]]) -> None:
    low, high = (0, 100) if np.dtype(dtype).kind == "u" else (-30, 70)
    space = spaces.Box(low, high, (101,), dtype=dtype)
    spec = space_spec(space=space, role="observation")
    everything = np.arange(low, high + 1, dtype=dtype)
    inside = spec.batch_to_inside(everything)
    assert inside.dtype == np.float32
    assert inside.min() == -1.0
    assert inside.max() == 1.0
    back = spec.batch_to_outside(inside)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, everything)
    np.testing.assert_array_equal(
        spec.batch_to_outside(np.array([-1.01, 1.01], np.float32)[:, None].repeat(101, 1))[:, 0], [low, high]
    )


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int32])
def test_whole_numbers_up_to_the_dtype_limits_do_not_wrap_around(dtype: type[np.integer[Any]]) -> None:
    limits = np.iinfo(dtype)
    space = spaces.Box(limits.min, limits.max, (3,), dtype=dtype)
    spec = space_spec(space=space, role="observation")
    inside = spec.batch_to_inside(np.array([limits.min, 5, limits.max], dtype))
    back = spec.batch_to_outside(inside)
    assert back[0] == limits.min
    assert back[1] == 5
    assert back[2] >= limits.max - limits.max // 10**6
    assert space.contains(back)


def test_a_box_of_bools_as_an_observation() -> None:
    space = BOOLS
    spec = space_spec(space=space, role="observation")
    np.testing.assert_array_equal(spec.batch_to_inside(np.array([False, True])), [-1.0, 1.0])
    (back,) = outside(spec, np.array([-1.0, 1.0], np.float32))
    assert space.contains(back)
    np.testing.assert_array_equal(back, [False, True])


# The other leaves


def test_discrete_starts_at_its_own_number() -> None:
    space = spaces.Discrete(4, start=-2)
    spec = space_spec(space=space, role="action")
    assert spec.tree == DiscreteLeaf(shape=(), sizes=(4,), start=(-2,))
    inside = spec.stack_to_inside([np.int64(-2), np.int64(1), 0])
    assert inside.dtype == np.int32
    np.testing.assert_array_equal(inside, [0, 3, 2])
    back = spec.unstack_to_outside(inside)
    assert back == [-2, 1, 0]
    assert all(space.contains(value) for value in back)
    # A scalar, since environments look choices up in dicts.
    assert {-2: "left", 1: "right"}[back[0]] == "left"


def test_multi_discrete_with_two_axes_and_starts() -> None:
    space = spaces.MultiDiscrete(np.array([[2, 3, 4], [5, 6, 7]]), start=np.array([[0, 10, -1], [5, -5, 100]]))
    spec = space_spec(space=space, role="action")
    assert spec.tree == DiscreteLeaf(shape=(2, 3), sizes=(2, 3, 4, 5, 6, 7), start=(0, 10, -1, 5, -5, 100))
    last = np.array([[1, 12, 2], [9, 0, 106]])
    np.testing.assert_array_equal(spec.stack_to_inside([last]), [[[1, 2, 3], [4, 5, 6]]])
    (back,) = spec.unstack_to_outside(np.array([[[1, 2, 3], [4, 5, 6]]], np.int32))
    np.testing.assert_array_equal(back, last)
    assert space.contains(back)


def test_multi_binary_images_and_boxes_without_axes() -> None:
    bits = spaces.MultiBinary((2, 2))
    spec = space_spec(space=bits, role="action")
    assert spec.tree == BinaryLeaf(shape=(2, 2))
    (back,) = outside(spec, np.array([[0, 1], [1, 0]], np.int8))
    assert bits.contains(back)
    image = spaces.Box(0, 255, (4, 5, 3), dtype=np.uint8)
    spec = space_spec(space=image, role="observation")
    assert spec.tree == ImageLeaf(shape=(4, 5, 3))
    value = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    inside = spec.stack_to_inside([value, value])
    assert inside.dtype == np.uint8
    np.testing.assert_array_equal(inside[1], value)
    assert image.contains(spec.unstack_to_outside(inside)[0])
    flags = space_spec(space=spaces.Box(0, 1, (2,), dtype=np.uint8), role="observation")
    assert flags.tree == ImageLeaf(shape=(2,), high=1)
    assert SpaceSpec.from_description(flags.describe()) == flags
    with pytest.warns(UserWarning, match=r"4 × 84 pixels with 84 channels.*numpy.moveaxis"):
        space_spec(space=spaces.Box(0, 255, (4, 84, 84), dtype=np.uint8), role="observation")
    scalar = spaces.Box(0.0, 4.0, ())
    spec = space_spec(space=scalar, role="action")
    (back,) = outside(spec, np.asarray(0.5, np.float32))
    assert isinstance(back, np.ndarray)
    assert back == 3.0
    assert scalar.contains(back)


def test_what_an_environment_is_given_is_its_own() -> None:
    space = spaces.Dict(
        bits=spaces.MultiBinary(3), box=spaces.Box(-1.0, 1.0, (2,)), choice=spaces.MultiDiscrete([2, 2])
    )
    spec = space_spec(space=space, role="action")
    inside = jax.tree.map(np.asarray, spec.zeros(batch_shape=(2,)))
    for leaf in jax.tree.leaves(inside):
        leaf.flags.writeable = False
    for value in spec.unstack_to_outside(inside):
        for part in value.values():
            part += 1
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(inside))


def test_dtypes_of_the_environment_come_back() -> None:
    space = spaces.Tuple(
        [
            spaces.Box(-1.0, 1.0, (2,), dtype=np.float64),
            spaces.Discrete(3, dtype=np.int8),
            spaces.MultiDiscrete([2, 3], dtype=np.int32),
        ]
    )
    spec = space_spec(space=space, role="action")
    (value,) = outside(spec, (np.zeros(2, np.float32), np.int32(1), np.zeros(2, np.int32)))
    assert [part.dtype for part in value] == [np.float64, np.int8, np.int32]
    assert space.contains(value)


# Trees

NESTED = spaces.Dict(
    zebra=spaces.Tuple(
        [
            spaces.Dict(z=spaces.Discrete(3, start=1), a=spaces.Box(-3.0, 1.0, (2,))),
            spaces.MultiBinary(2),
            spaces.Tuple([spaces.MultiDiscrete(np.array([[2, 3], [4, 5]]))]),
        ]
    ),
    ant=spaces.Dict(deep=spaces.Dict(b=spaces.Box(0.0, 5.0, (1, 2)), a=spaces.Discrete(2))),
)


def test_a_nested_space_both_ways() -> None:
    spec = space_spec(space=NESTED, role="action")
    # JAX sorts the keys of dicts: ant.deep.a, ant.deep.b, zebra[0].a, zebra[0].z, zebra[1], zebra[2][0].
    assert [type(leaf).__name__ for leaf in spec.leaves()] == [
        "DiscreteLeaf", "BoxLeaf", "BoxLeaf", "DiscreteLeaf", "BinaryLeaf", "DiscreteLeaf",
    ]  # fmt: skip
    members = [
        {
            "zebra": ({"z": np.int64(3), "a": np.array([-3.0, 0.0], np.float32)}, np.array([0, 1], np.int8),
                      (np.array([[0, 1], [2, 3]]),)),
            "ant": {"deep": {"b": np.array([[0.0, 5.0]], np.float32), "a": np.int64(1)}},
        },
        {
            "zebra": ({"z": np.int64(1), "a": np.array([1.0, -1.0], np.float32)}, np.array([1, 1], np.int8),
                      (np.array([[1, 2], [3, 4]]),)),
            "ant": {"deep": {"b": np.array([[2.5, 1.25]], np.float32), "a": np.int64(0)}},
        },
    ]  # fmt: skip
    assert all(NESTED.contains(member) for member in members)
    inside = spec.stack_to_inside(members)
    np.testing.assert_array_equal(inside["zebra"][0]["z"], [2, 0])
    np.testing.assert_array_equal(inside["zebra"][0]["a"], [[-1.0, 0.5], [1.0, 0.0]])
    np.testing.assert_array_equal(inside["ant"]["deep"]["b"], [[[-1.0, 1.0]], [[0.0, -0.5]]])
    np.testing.assert_array_equal(inside["ant"]["deep"]["a"], [1, 0])
    for leaf, array in zip(spec.leaves(), jax.tree.leaves(inside), strict=True):
        assert array.dtype == leaf.dtype
        assert array.shape == (2, *leaf.shape)
    back = spec.unstack_to_outside(inside)
    for member, again in zip(members, back, strict=True):
        assert NESTED.contains(again)
        jax.tree.map(np.testing.assert_array_equal, member, again)


def test_a_batch_and_single_values_convert_alike() -> None:
    spec = space_spec(space=NESTED, role="action")
    NESTED.seed(3)
    members = [NESTED.sample() for _ in range(5)]
    stacked = jax.tree.map(lambda *parts: np.stack(parts), *[{**member} for member in members])
    inside = spec.stack_to_inside(members)
    jax.tree.map(np.testing.assert_array_equal, spec.batch_to_inside(stacked), inside)
    rows = spec.unstack_to_outside(inside)
    batch = spec.batch_to_outside(inside)
    for index, row in enumerate(rows):
        jax.tree.map(np.testing.assert_array_equal, row, jax.tree.map(lambda leaf, index=index: leaf[index], batch))
    # Further leading axes.
    twice = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), stacked)
    jax.tree.map(lambda leaf, one: np.testing.assert_array_equal(leaf[1], one), spec.batch_to_inside(twice), inside)


def test_a_spec_in_any_order_of_keys_is_the_same_spec() -> None:
    box = BoxLeaf(shape=(1,), low=(0.0,), high=(10.0,))
    choice = DiscreteLeaf(shape=(), sizes=(3,), start=(5,))
    one = SpaceSpec(tree={"b": box, "a": choice})
    other = SpaceSpec(tree={"a": choice, "b": box})
    assert one == other
    assert hash(one) == hash(other)
    inside = one.batch_to_inside({"a": np.array([5]), "b": np.array([[10.0]], np.float32)})
    np.testing.assert_array_equal(inside["a"], [0])
    np.testing.assert_array_equal(inside["b"], [[1.0]])
    assert one.leaves() == [choice, box]


def test_zeros_and_map_leaves_follow_the_structure() -> None:
    spec = space_spec(space=NESTED, role="action")
    zeros = spec.zeros(batch_shape=(4, 2))
    assert zeros["ant"]["deep"]["b"].shape == (4, 2, 1, 2)
    shapes = spec.map_leaves(lambda leaf, value: (leaf.shape, value.shape), zeros)
    assert shapes["zebra"][2][0] == ((2, 2), (4, 2, 2, 2))


def test_a_spec_can_be_pickled_after_use() -> None:
    spec = space_spec(space=NESTED, role="action")
    spec.unstack_to_outside(spec.zeros(batch_shape=(1,)))
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec
    assert again.unstack_to_outside(spec.zeros(batch_shape=(1,)))[0]["ant"]["deep"]["a"] == 0


# Descriptions


@pytest.mark.parametrize(
    ("space", "role"),
    [
        (NESTED, "action"),
        (float_box([-np.inf, 0.0, -1.0], [np.inf, np.inf, 0.1]), "observation"),
        (spaces.Box(0, 255, (3, 3, 1), dtype=np.uint8), "observation"),
        (spaces.Dict(Dict=spaces.Discrete(2), BoxLeaf=spaces.Dict(Tuple=spaces.MultiBinary(1))), "observation"),
        (spaces.Box(0.0, 1.0, ()), "action"),
    ],
)
def test_a_description_comes_back_from_strict_json(space: Space, role: Role) -> None:
    spec = space_spec(space=space, role=role)
    text = json.dumps(spec.describe(), allow_nan=False, sort_keys=True)
    again = SpaceSpec.from_description(json.loads(text))
    assert again == spec
    assert again.leaves() == spec.leaves()
    assert json.dumps(again.describe(), allow_nan=False, sort_keys=True) == text


@pytest.mark.parametrize(
    "description",
    [
        [],
        {},
        "BoxLeaf",
        {"Graph": {}},
        {"BoxLeaf": {}, "ImageLeaf": {}},
        {"BoxLeaf": {"shape": [1]}},
        {"ImageLeaf": {"shape": [1], "colour": 3}},
        {"ImageLeaf": [1]},
        {"Dict": []},
        {"Tuple": {"a": {"ImageLeaf": {"shape": [1]}}}},
        {"Dict": {"a": {"BoxLeaf": None}}},
    ],
)
def test_what_is_not_a_description_is_refused(description: Any) -> None:
    with pytest.raises(ValueError, match="not the description of a space"):
        SpaceSpec.from_description(description)


# Refusals

REFUSED: list[tuple[str, Space, Role, str]] = [
    ("text", spaces.Text(5), "observation", "Text space has no inside form"),
    ("graph", spaces.Graph(spaces.Discrete(2), None), "observation", "Graph space has no inside form"),
    ("sequence", spaces.Sequence(spaces.Discrete(2)), "observation", "Sequence space has no inside form"),
    ("one of", spaces.OneOf([spaces.Discrete(2), spaces.Discrete(3)]), "action", "OneOf space has no inside form"),
    ("unbounded action", spaces.Box(-np.inf, np.inf, (2,)), "action", "finite bounds"),
    ("half-bounded action", float_box([0.0, -1.0], [1.0, np.inf]), "action", "finite bounds"),
    ("huge action", float_box([-1e7], [1e7]), "action", "bounds must be within"),
    ("fixed action", float_box([0.0, 1.0], [1.0, 1.0]), "action", "upper bounds must lie above"),
    ("integer action", spaces.Box(0, 3, (2,), dtype=np.int32), "action", "MultiDiscrete"),
    ("byte action", spaces.Box(0, 255, (2,), dtype=np.uint8), "action", "MultiDiscrete"),
    ("bool action", BOOLS, "action", "MultiBinary"),
    ("empty box", spaces.Box(-1.0, 1.0, (0,)), "observation", "without components"),
    ("empty image", spaces.Box(0, 255, (0, 3), dtype=np.uint8), "observation", "without components"),
    ("empty dict", spaces.Dict(), "observation", "empty Dict"),
    ("empty tuple", spaces.Tuple([]), "action", "empty Tuple"),
    ("empty multi-discrete", spaces.MultiDiscrete(np.zeros(0, np.int64)), "action", "without components"),
    ("too many options", spaces.Discrete(LARGEST_CHOICE + 1), "observation", "options"),
    ("number keys", spaces.Dict({1: spaces.Discrete(2)}), "observation", "must be strings"),  # type: ignore[dict-item]
]


@pytest.mark.parametrize(("space", "role", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_refusal_names_space_leaf_and_reason(space: Space, role: Role, reason: str) -> None:
    with pytest.raises(UnsupportedSpace, match=reason) as direct:
        space_spec(space=space, role=role)
    assert f"unsupported {role} space" in str(direct.value)
    assert "the whole space" in str(direct.value)
    whole = spaces.Dict(fine=spaces.Discrete(2), arm=spaces.Tuple([spaces.Discrete(2), space]))
    with pytest.raises(UnsupportedSpace, match=reason) as nested:
        space_spec(space=whole, role=role)
    assert "at ['arm'][1]" in str(nested.value)
    assert str(whole) in str(nested.value)


class UnboundedAction(gymnasium.Env[Any, Any]):
    """An environment that declares no bounds; it keeps the action of its last step."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Box(-np.inf, np.inf, (2,), dtype=np.float64)

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.action = action
        return 0, 0.0, False, False, {}


def test_an_unbounded_action_can_be_learned_with_the_wrapper_that_the_refusal_names() -> None:
    environment = UnboundedAction()
    with pytest.raises(UnsupportedSpace) as refused:
        space_spec(space=environment.action_space, role="action")
    remedy = str(refused.value).partition("by a wrapper: ")[2].removesuffix(".")

    bounded = eval(remedy, {"environment": environment, "gymnasium": gymnasium, "numpy": np})

    (action,) = space_spec(space=bounded.action_space, role="action").batch_to_outside(np.array([[-1.0, 0.5]], "f4"))
    bounded.step(action)
    np.testing.assert_array_equal(environment.action, [-1.0, 0.5])


# Properties of any space


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    size = int(np.prod(shape))
    dtype: Any = draw(st.sampled_from([np.float32, np.float64]))
    bounds = st.floats(-1000.0, 1000.0, width=32)
    low = np.array(draw(st.lists(bounds, min_size=size, max_size=size)))
    widths = draw(st.lists(st.floats(0.015625, 1000.0, width=32), min_size=size, max_size=size))
    return spaces.Box(low.astype(dtype).reshape(shape), (low + widths).astype(dtype).reshape(shape), dtype=dtype)


@st.composite
def multi_discretes(draw: st.DrawFn) -> spaces.MultiDiscrete[Any]:
    shape = draw(st.sampled_from([(1,), (3,), (2, 2)]))
    sizes = draw(st.lists(st.integers(1, 9), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    starts = draw(st.lists(st.integers(-9, 9), min_size=len(sizes), max_size=len(sizes)))
    return spaces.MultiDiscrete(np.reshape(sizes, shape), start=np.reshape(starts, shape))


leaf_spaces: st.SearchStrategy[Space] = st.one_of(
    boxes(),
    multi_discretes(),
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 9), st.integers(-9, 9)),
    st.sampled_from([(1,), (3,), (2, 2)]).map(lambda shape: spaces.MultiBinary(shape)),
)
names = st.text(st.sampled_from("abcXYZ_09 "), min_size=1, max_size=3)
any_space: st.SearchStrategy[Space] = st.recursive(
    leaf_spaces,
    lambda inner: st.one_of(
        st.dictionaries(names, inner, min_size=1, max_size=3).map(spaces.Dict),
        st.lists(inner, min_size=1, max_size=3).map(spaces.Tuple),
    ),
    max_leaves=6,
)
quickly = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)


@quickly
@given(space=any_space, seed=st.integers(0, 2**31 - 1))
def test_any_inside_value_is_a_member_outside(space: Space, seed: int) -> None:
    spec = space_spec(space=space, role="action")
    generator = np.random.default_rng(seed)

    def draw(leaf: Any) -> np.ndarray[Any, Any]:
        if isinstance(leaf, BoxLeaf):
            values = generator.uniform(-1.0, 1.0, (5, *leaf.shape)).astype(np.float32)
            return np.asarray(np.where(generator.random(values.shape) < 0.3, np.sign(values), values))
        if isinstance(leaf, DiscreteLeaf):
            sizes = np.reshape(np.asarray(leaf.sizes), leaf.shape)
            return np.asarray(generator.random((5, *leaf.shape)) * sizes).astype(np.int32)
        return generator.integers(0, 2, (5, *leaf.shape)).astype(np.int8)

    inside = spec.map_leaves(draw)
    members = spec.unstack_to_outside(inside)
    assert len(members) == 5
    for member in members:
        assert space.contains(member)
    again = spec.stack_to_inside(members)
    for leaf, one, other in zip(spec.leaves(), jax.tree.leaves(inside), jax.tree.leaves(again), strict=True):
        assert one.dtype == other.dtype == leaf.dtype
        # In float32, a value near 1000 is known to 6e-5; a width of 1/64 makes that 8e-3 of its half.
        np.testing.assert_allclose(other, one, atol=1e-2 if isinstance(leaf, BoxLeaf) else 0)


@quickly
@given(space=any_space, seed=st.integers(0, 2**31 - 1))
def test_any_member_comes_back_from_inside(space: Space, seed: int) -> None:
    spec = space_spec(space=space, role="observation")
    space.seed(seed)
    members = [space.sample() for _ in range(3)]
    inside = spec.stack_to_inside(members)
    for leaf, array in zip(spec.leaves(), jax.tree.leaves(inside), strict=True):
        assert array.shape == (3, *leaf.shape)
        assert array.dtype == leaf.dtype
        assert not isinstance(leaf, BoxLeaf) or np.all(np.abs(array) <= 1.0)
    for member, again in zip(members, spec.unstack_to_outside(inside), strict=True):
        assert space.contains(again)
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(np.asarray(other), one, rtol=1e-5, atol=1e-3), member, again
        )


@quickly
@given(space=any_space)
def test_any_spec_survives_json(space: Space) -> None:
    spec = space_spec(space=space, role="action")
    again = SpaceSpec.from_description(json.loads(json.dumps(spec.describe(), allow_nan=False)))
    assert again == spec
    assert hash(again) == hash(spec)
    marks = again.map_leaves(lambda leaf: np.zeros((), np.int8))
    numbered = jax.tree.unflatten(jax.tree.structure(marks), list(range(len(spec.leaves()))))
    in_order = spec.map_leaves(lambda leaf, number: (leaf, number), numbered)
    pairs = jax.tree.leaves(in_order, is_leaf=lambda value: isinstance(value, tuple) and isinstance(value[-1], int))
    assert [number for _, number in pairs] == list(range(len(spec.leaves())))
