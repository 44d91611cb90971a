"""Any MuJoCo model by the same mechanism: each kind of parameter, and what is refused."""

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco import MujocoEnv
from physics_helpers import compiled_value, made, make, running_model, uniform

from triax.environments import dm_control_environment
from triax.environments.physics import PHYSICS_TABLES, PhysicsOverwritten, PhysicsTable, UnknownPhysicsElement
from triax.environments.physics.models import ModelApplier
from triax.environments.physics.running import ModelDiffers
from triax.environments.physics.sources import NoMuJoCoModel

ROBOT = """
<mujoco model="robot">
  <compiler angle="degree" {compiler}/>
  <option timestep="0.01" density="1.2"/>
  <asset>
    <texture name="checks" type="2d" builtin="checker" width="64" height="64" rgb1="1 1 1" rgb2="0 0 0"/>
    <material name="checks" texture="checks"/>
  </asset>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 .1" material="checks"/>
    <body name="torso" pos="0 0 1">
      <freejoint name="root"/>
      <geom name="trunk" type="box" size=".1 .1 .2"/>
      <body name="arm" pos="0 0 .2">
        <joint name="shoulder" axis="0 1 0" range="-90 90" limited="true" damping=".5" stiffness="2"/>
        <geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" friction="1 .005 .0001"/>
        <geom name="bulb" type="sphere" pos=".3 0 0" size=".05"/>
        <geom name="fin" type="capsule" fromto=".1 0 0 .1 0 .2" size=".01"/>
        <site name="tip" pos=".35 0 0"/>
        <site name="half" pos=".15 0 0"/>
        <body name="hand" pos=".35 0 0" euler="0 30 0">
          <joint name="wrist" axis="0 1 0" pos="-.05 0 0"/>
          <geom name="palm" type="box" size=".04 .02 .01"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="shoulder" gear="10" ctrlrange="-1 1"/>
    <position name="turn" joint="wrist" kp="3" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


class Robot(MujocoEnv):
    """A model that no table knows."""

    def __init__(self, path: str) -> None:
        space = gymnasium.spaces.Box(-np.inf, np.inf, (17,), np.float64)
        self.metadata = {"render_modes": ["human", "rgb_array", "depth_array", "rgbd_tuple"], "render_fps": 25}
        super().__init__(model_path=path, frame_skip=4, observation_space=space)

    def step(self, action: Any) -> Any:
        self.do_simulation(action, self.frame_skip)
        return self.state_vector(), 0.0, False, False, {}

    def reset_model(self) -> Any:
        self.set_state(self.init_qpos, self.init_qvel)  # type: ignore[no-untyped-call]
        return self.state_vector()


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    return write_robot(tmp_path)


def write_robot(folder: Path, *, compiler: str = "") -> Robot:
    (folder / "robot.xml").write_text(ROBOT.format(compiler=compiler))
    return Robot(str(folder / "robot.xml"))


@pytest.mark.parametrize(
    ("element", "attribute", "value"),
    [
        ("body hand", "mass", 2.5),
        ("geom arm", "half_length", 0.25),
        ("geom bulb", "size[0]", 0.08),
        ("geom bulb", "friction", 0.3),
        ("geom bulb", "friction[1]", 0.02),
        ("joint shoulder", "damping", 3.0),
        ("joint shoulder", "stiffness", 7.0),
        ("joint shoulder", "frictionloss", 0.2),
        ("joint shoulder", "armature", 0.1),
        ("joint shoulder", "range[1]", 45.0),
        ("actuator shoulder", "gear", 25.0),
        ("actuator turn", "gear[0]", 2.0),
        ("actuator turn", "gainprm[0]", 5.0),
        ("option", "gravity[2]", -3.7),
        ("option", "wind[0]", 2.0),
        ("option", "timestep", 0.005),
        ("option", "viscosity", 0.3),
    ],
)
def test_each_kind_of_parameter_arrives(robot: Robot, element: str, attribute: str, value: float) -> None:
    # The arm and the motor have no names: they are called after the body and the joint.
    default = compiled_value(robot.model, element, attribute)
    low, high = sorted((value, 2 * value))
    applier = ModelApplier(environment=robot, table=(uniform(element, attribute, low, high),))
    name = f"{element} {attribute}"
    model = robot.model
    applier.apply({name: value})
    robot.reset(seed=0)
    applier.check()
    assert robot.model is model
    assert compiled_value(robot.model, element, attribute) == pytest.approx(value, rel=1e-12)
    assert default != pytest.approx(value)
    if attribute == "timestep":
        assert robot.dt == pytest.approx(4 * 0.005)
    applier.apply({})
    assert compiled_value(robot.model, element, attribute) == default


def test_the_running_model_steps_as_one_that_was_compiled_so(robot: Robot, tmp_path: Path) -> None:
    # Everything derived (inertias, weights of constraints, the solver's scales) has to be exchanged as well.
    table = (
        uniform("body hand", "mass", 0.1, 2.0),
        uniform("geom arm", "half_length", 0.1, 0.3),
        uniform("joint shoulder", "stiffness", 0.0, 9.0),
        uniform("option", "gravity[2]", -12.0, -2.0),
        uniform("option", "timestep", 0.002, 0.02),
    )
    values = {row.name: row.distribution.high for row in table}
    applier = ModelApplier(environment=robot, table=table)
    applier.apply(values)
    robot.reset()
    fresh = applier.compile(values)
    data = mujoco.MjData(fresh)
    for step in range(300):
        action = np.array([np.sin(step / 10), np.cos(step / 7)])
        robot.step(action)
        data.ctrl[:] = action
        mujoco.mj_step(fresh, data, nstep=4)
    np.testing.assert_array_equal(robot.data.qpos, data.qpos)
    np.testing.assert_array_equal(robot.data.qvel, data.qvel)
    # By which the solver scales its tolerance.
    assert robot.model.stat.meaninertia == fresh.stat.meaninertia


def test_what_is_attached_to_a_limb_moves_with_it(robot: Robot) -> None:
    # The arm is 0.3 long, from the shoulder along x; with a half length of 0.25, it is 0.2 longer.
    applier = ModelApplier(environment=robot, table=(uniform("geom arm", "half_length", 0.1, 0.25),))
    applier.apply({"geom arm half_length": 0.25})
    model = robot.model
    arm = model.body("arm").geomadr[0]
    np.testing.assert_allclose(model.geom_pos[arm], [0.25, 0, 0], atol=1e-12)
    np.testing.assert_allclose(model.geom("bulb").pos, [0.5, 0, 0], atol=1e-12)
    # Beyond the end: as far as the end itself. The joint of the hand is at the arm's end, though its frame is not.
    np.testing.assert_allclose(model.site("tip").pos, [0.55, 0, 0], atol=1e-12)
    np.testing.assert_allclose(model.body("hand").pos, [0.55, 0, 0], atol=1e-12)
    # In the middle: half as far. The fin stands at a third of the arm.
    np.testing.assert_allclose(model.site("half").pos, [0.25, 0, 0], atol=1e-12)
    np.testing.assert_allclose(model.geom("fin").pos, [0.1 / 0.3 * 0.5, 0, 0.1], atol=1e-12)


@pytest.mark.parametrize("compiler", ["", 'settotalmass="9"', 'inertiafromgeom="true" settotalmass="9"'])
@pytest.mark.filterwarnings("ignore:.*settotalmass.*:UserWarning")
def test_a_mass_is_what_was_asked_for_and_the_others_keep_theirs(tmp_path: Path, compiler: str) -> None:
    robot = write_robot(tmp_path, compiler=compiler)
    before, inertia = robot.model.body_mass.copy(), robot.model.body_inertia.copy()
    hand = robot.model.body("hand").id
    applier = ModelApplier(environment=robot, table=(uniform("body hand", "mass", 0.1, 2.0),))
    applier.apply({"body hand mass": 2.0})
    expected = before.copy()
    expected[hand] = 2.0
    np.testing.assert_allclose(robot.model.body_mass, expected, rtol=1e-12)
    np.testing.assert_allclose(robot.model.body_inertia[hand], inertia[hand] * 2.0 / before[hand], rtol=1e-12)
    # A limb in the same table: the mass is still the one that was asked for.
    table = (uniform("body arm", "mass", 0.1, 2.0), uniform("geom arm", "half_length", 0.1, 0.3))
    ModelApplier(environment=robot, table=table).apply({"body arm mass": 1.5, "geom arm half_length": 0.3})
    assert robot.model.body("arm").mass[0] == pytest.approx(1.5, rel=1e-12)


def test_several_elements_can_share_a_value(robot: Robot) -> None:
    row = uniform(("joint shoulder", "joint wrist"), "damping", 1.0, 2.0)
    assert row.name == "joint shoulder, joint wrist damping"
    ModelApplier(environment=robot, table=(row,)).apply({row.name: 1.25})
    assert compiled_value(robot.model, "joint shoulder", "damping") == 1.25
    assert compiled_value(robot.model, "joint wrist", "damping") == 1.25


@pytest.mark.parametrize(
    ("element", "attribute", "expected"),
    [
        (
            "joint wirst",
            "damping",
            r"no joint 'wirst' in the model 'robot'\. Did you mean 'wrist'\? There are: 'root', ",
        ),
        ("geoms arm", "size[0]", r"no kind of element 'geoms'.*Did you mean 'geom'\?"),
        ("geom", "size[0]", r"no geom '' in the model"),
        ("joint wrist", "dampening", r"no number 'dampening' of 'joint wrist'\. Did you mean 'damping'\?"),
        ("joint wrist", "_info", r"no number '_info'"),
        ("option", "gravity", r"no number 'gravity' of 'option'\. Did you mean 'gravity\[\d\]'"),
        ("geom bulb", "size[3]", r"no number 'size\[3\]' of 'geom bulb'.*'size\[2\]'"),
    ],
)
def test_names_that_are_not_there_are_refused(robot: Robot, element: str, attribute: str, expected: str) -> None:
    with pytest.raises(UnknownPhysicsElement, match=expected):
        ModelApplier(environment=robot, table=(uniform(element, attribute, 0.1, 0.2),))


@pytest.mark.parametrize(
    ("element", "attribute", "expected"),
    [
        # The former trap: a capsule between two ends takes its length from them, and ignores the second size.
        ("geom arm", "size[1]", r"'size\[1\]' would lengthen the geom and leave what is joined.*'half_length'"),
        ("body hand", "inertia[0]", r"'body hand inertia\[0\]' changes nothing in the compiled model 'robot'"),
        ("geom bulb", "half_length", r"'geom bulb' has no length"),
        ("geom floor", "half_length", r"'geom floor' has no length"),
    ],
)
def test_what_mujoco_would_ignore_is_refused(robot: Robot, element: str, attribute: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        ModelApplier(environment=robot, table=(uniform(element, attribute, 0.1, 0.2),))


@pytest.mark.filterwarnings("ignore:.*settotalmass.*:UserWarning")
def test_a_geoms_mass_that_would_be_rescaled_is_refused(tmp_path: Path) -> None:
    robot = write_robot(tmp_path, compiler='settotalmass="9"')
    with pytest.raises(ValueError, match=r"'robot' scales all masses to 9\.0 kg.*'mass' of its body"):
        ModelApplier(environment=robot, table=(uniform("geom bulb", "density", 500, 600),))


def test_an_environment_that_sets_the_number_itself_is_found_out() -> None:
    # dm_control's "finger spin" sets the damping of the hinge in every reset; "turn" does not.
    environment = dm_control_environment(domain="finger", task="spin")
    applier = ModelApplier(environment=environment, table=PHYSICS_TABLES["dm_control/finger"])
    applier.apply({"joint hinge damping": 0.3})
    applier.check()
    environment.reset(seed=0)
    with pytest.raises(PhysicsOverwritten, match="sets 'dof_damping' of its MuJoCo model itself"):
        applier.check()


def test_what_the_environment_changed_in_its_model_stays(robot: Robot) -> None:
    robot.model.geom("bulb").rgba[:] = (1.0, 0.0, 0.0, 1.0)
    robot.model.geom_friction[0, 0] = 0.123
    robot.model.geom("bulb").friction[0] = 0.77
    applier = ModelApplier(environment=robot, table=(uniform("geom bulb", "friction", 0.1, 0.9),))
    applier.apply({"geom bulb friction": 0.5})
    np.testing.assert_array_equal(robot.model.geom("bulb").rgba, (1.0, 0.0, 0.0, 1.0))
    assert robot.model.geom_friction[0, 0] == 0.123
    assert compiled_value(robot.model, "geom bulb", "friction") == 0.5
    applier.apply({})
    assert compiled_value(robot.model, "geom bulb", "friction") == 0.77


def test_another_model_than_that_of_the_file_is_refused(robot: Robot) -> None:
    specification = mujoco.MjSpec.from_file(robot.fullpath)
    specification.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.1, 0, 0])
    robot.model = specification.compile()
    with pytest.raises(ModelDiffers, match="another n"):
        ModelApplier(environment=robot, table=(uniform("geom bulb", "friction", 0.1, 0.9),))


def test_an_environment_without_a_model_is_refused() -> None:
    with pytest.raises(NoMuJoCoModel, match="has no MuJoCo model whose file is known"):
        ModelApplier(environment=make("Pendulum-v1"), table=(uniform("geom bulb", "friction", 0.1, 0.9),))


def test_sites_of_a_limb_given_by_its_ends_move_too() -> None:
    # dm_control's hopper: sensors of touch at both ends of the foot, which reaches from -0.08 to 0.17 of the ankle.
    environment, _ = made("dm_control/hopper")
    applier = ModelApplier(environment=environment, table=(uniform("geom foot", "half_length", 0.1, 0.25),))
    applier.apply({"geom foot half_length": 0.25})
    model = running_model(environment)
    np.testing.assert_allclose(model.site("touch_toe").pos, [0.34, 0, 0], atol=1e-9)
    np.testing.assert_allclose(model.site("touch_heel").pos, [-0.16, 0, 0], atol=1e-9)
    np.testing.assert_allclose(model.geom("foot").pos, [0.09, 0, 0], atol=1e-9)
    applier.apply({})


def test_models_can_be_drawn_while_they_change(robot: Robot) -> None:
    applier: Any = ModelApplier(environment=robot, table=table_of_the_arm())
    shown = mujoco.MjvScene(robot.model, maxgeom=100)
    applier.apply({"geom arm half_length": 0.3})
    robot.reset()
    mujoco.mjv_updateScene(
        robot.model, robot.data, mujoco.MjvOption(), None, mujoco.MjvCamera(), mujoco.mjtCatBit.mjCAT_ALL, shown
    )
    sizes = [shown.geoms[index].size[2] for index in range(shown.ngeom)]
    assert any(size == pytest.approx(0.3) for size in sizes)


def table_of_the_arm() -> PhysicsTable:
    return (uniform("geom arm", "half_length", 0.1, 0.3),)
