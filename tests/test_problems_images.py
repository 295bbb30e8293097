"""The notes' networks for images: those of Keras and PyTorch, and the tasks made of them."""

import dataclasses
import json
import math
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden import images
from long_form import every

import jaxopt_course as joc
from jaxopt_course.problems import downloads, openml
from jaxopt_course.problems.downloads import IMAGE_TASKS, image_task, network
from jaxopt_course.problems.networks import functional
from jaxopt_course.studies import resume
from jaxopt_course.tables.columns import check_columns

GOLDEN = json.loads((Path(__file__).parent / "golden" / "images.json").read_text())


def asked(name):
    base, like, _ = downloads.split_name(name)
    return base, like


def as_params(name):
    """The golden weights as the network's parameters."""
    flat = images.weights(name)
    layers = [
        {"kernel": kernel, "bias": bias} for kernel, bias in zip(flat[::2], flat[1::2], strict=True)
    ]
    number = len(images.NAMES[name][1])
    parts = {"convolutions": layers[:number], "dense": layers[number:]}
    return {part: dict(enumerate(given)) for part, given in parts.items() if given}


@pytest.mark.parametrize("name", every(2, images.NAMES))
def test_the_networks_are_those_of_the_framework(name):
    """Weights go in as they are: only PyTorch's own are turned, in ``golden/images.py``."""
    golden, params = GOLDEN[name], as_params(name)
    net = functional(network(*asked(name)), None)
    shapes = jax.eval_shape(net.init, jax.random.key(0))[0]
    assert jax.tree.map(np.shape, params) == jax.tree.map(lambda leaf: leaf.shape, shapes)
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == golden["parameters"]
    x, y = images.pixels(name)

    def loss(params):
        logits = net.apply(params, {}, jnp.asarray(x))
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(y)), y]), logits

    (value, logits), slopes = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(logits, golden["logits"], rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(value, golden["loss"], rtol=1e-6)
    if "gradient_norms" in golden:
        layers = [layer for part in slopes.values() for layer in part.values()]
        norms = [jnp.linalg.norm(layer[k]) for layer in layers for k in ("kernel", "bias")]
        np.testing.assert_allclose(norms, golden["gradient_norms"], rtol=1e-4)


@pytest.mark.parametrize("like", ["keras", "torch"])
def test_weights_start_as_the_frameworks_start_theirs(like):
    """All uniform, so the bound and the second moment tell: Glorot's, or 1 / √fan-in."""
    net = functional(network("mnist_cnn", like), None)
    params, _ = net.init(jax.random.key(0))
    layers = [layer for part in params.values() for layer in part.values()]
    for layer in layers:
        kernel = np.asarray(layer["kernel"])
        inputs, cells = math.prod(kernel.shape[:-1]), math.prod(kernel.shape[:-2])
        outputs = cells * kernel.shape[-1]
        bound = math.sqrt(6 / (inputs + outputs)) if like == "keras" else 1 / math.sqrt(inputs)
        assert bound * 0.97 < abs(kernel).max() <= bound
        assert kernel.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        if like == "keras":
            assert not layer["bias"].any()
        else:
            assert 0 < abs(layer["bias"]).max() <= bound


def test_pixels_of_any_integer_type_are_scaled_and_reals_are_not():
    net = joc.ImageMLP((2, 2, 1), (3,), rngs=nnx.Rngs(0))
    x = np.arange(8).reshape(2, 2, 2, 1) * 36
    wanted = net(jnp.asarray(x / 255, jnp.float32))
    for dtype in (jnp.uint8, jnp.int32):
        np.testing.assert_allclose(net(jnp.asarray(x, dtype)), wanted, rtol=1e-5)


def test_what_the_networks_refuse():
    with pytest.raises(ValueError, match=r"5 x 9 are too small: .* convolution 2 of 2"):
        joc.CNN((5, 9, 1), (4, 4), (3,), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="it is an ImageMLP"):
        joc.CNN((8, 8, 1), (), (3,), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"all at least 1; got \(8, 8\) and \(3,\)"):
        joc.ImageMLP((8, 8), (3,), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="unknown framework 'Keras'; did you mean 'keras'"):
        joc.ImageMLP((8, 8, 1), (3,), like="Keras", rngs=nnx.Rngs(0))


# The tasks, on sets that are small and otherwise like the real ones


@pytest.fixture
def small(monkeypatch):
    """60 training images, of which 20 are held out, and 20 of test; each says its own number."""
    monkeypatch.setattr(downloads, "HELD_OUT", 20)
    for name in ("mnist", "cifar10"):
        source = openml.SOURCES[name]._replace(train=60, test=(2,) * 10)
        monkeypatch.setitem(openml.SOURCES, name, source)

    def pixels(name, data_home=None):
        channels, height, width = openml.SOURCES[name].shape
        numbers = np.arange(80)
        shape = (80, height, width, channels)
        values = np.broadcast_to(numbers[:, None, None, None], shape).astype(np.uint8)
        return values, (numbers % 10).astype(np.int32)

    monkeypatch.setattr(openml, "pixels", pixels)


def numbers(part):
    assert part["inputs"].dtype == np.uint8 and part["targets"].dtype == np.int32
    np.testing.assert_array_equal(part["targets"], part["inputs"][:, 0, 0, 0] % 10)
    return part["inputs"][:, 0, 0, 0].tolist()


def test_the_parts_are_the_official_ones_and_the_last_of_training_is_held_out(small):
    task = joc.load_task("mnist_cnn")
    assert task.name == "mnist_cnn" and task.split_seed is None
    found = [numbers(part) for part in (task.train, task.valid, task.test)]
    assert found == [[*range(40)], [*range(40, 60)], [*range(60, 80)]]
    assert list(task.metrics) == ["accuracy", "loss"]


def test_a_number_takes_images_at_equal_distances(small):
    task = joc.load_task("cifar10_cnn-torch-20")
    assert task.name == "cifar10_cnn-torch-20"
    assert task.train["inputs"].shape == (20, 32, 32, 3)
    assert task.description.endswith("32x32; convolutions 32-64, dense 128-10")
    found = [numbers(part) for part in (task.train, task.valid, task.test)]
    assert found == [[*range(0, 40, 2)], [40, 45, 50, 55], [60, 65, 70, 75]]
    again = image_task("cifar10_cnn", examples=20, like="torch")
    assert again.split_sha256 == task.split_sha256


def test_what_the_tasks_refuse(small):
    with pytest.raises(ValueError, match=r"unknown task 'mnist_cmn'; did you mean 'mnist_cnn'"):
        joc.load_task("mnist_cmn")
    with pytest.raises(ValueError, match=r"unknown task 'mnist'; did you mean 'mnist_"):
        joc.load_task("mnist")
    with pytest.raises(ValueError, match=r"unknown task 'bank_marketing-100'"):
        joc.load_task("bank_marketing-100")
    with pytest.raises(ValueError, match=r"mnist_cnn can have from 5 to 40 training .*, not 41"):
        joc.load_task("mnist_cnn-41")
    with pytest.raises(ValueError, match=r"training images, not 10.5"):
        image_task("mnist_cnn", examples=10.5)
    with pytest.raises(ValueError, match=r"unknown framework 'jax'"):
        image_task("mnist_cnn", like="jax")
    with pytest.raises(ValueError, match=r"unknown task of images 'digits'"):
        image_task("digits")


def test_another_order_is_told_and_one_by_class_is_refused(small, monkeypatch):
    values, labels = openml.pixels("mnist")
    given = lambda labels: lambda *_: (values[: len(labels)], labels)
    monkeypatch.setattr(openml, "pixels", given(np.roll(labels, 5)))
    with warnings.catch_warnings():  # as many of each class: nothing to see
        warnings.simplefilter("error")
        joc.load_task("mnist_dense")
    swapped = labels.copy()
    swapped[[0, 61]] = labels[[61, 0]]
    monkeypatch.setattr(openml, "pixels", given(swapped))
    with pytest.warns(UserWarning, match=r"not in the official order: .* first 60 .*\(3, 1, 2,"):
        assert joc.load_task("mnist_dense").examples["test"] == 20
    monkeypatch.setattr(openml, "pixels", given(np.sort(labels)))
    with pytest.raises(ConnectionError, match=r"not in the official order: .* yourself"):
        joc.load_task("mnist_dense")
    monkeypatch.setattr(openml, "pixels", given(labels[:-1]))
    with pytest.raises(ConnectionError, match="has 79 images, not 60 of training and 20 of test"):
        joc.load_task("mnist_dense")


def test_the_official_parts_are_the_published_ones():
    """MNIST: LeCun et al.; CIFAR-10: 1,000 images of each class in the test part."""
    for name, train in (("mnist", 60_000), ("cifar10", 50_000)):
        source = openml.SOURCES[name]
        assert (source.train, sum(source.test), len(source.test)) == (train, 10_000, 10)


@pytest.mark.parametrize("name", images.NAMES)
def test_the_recipes_are_rows_that_a_sweep_takes(name):
    base, like = asked(name)
    recipe = IMAGE_TASKS[base].recipes[like]
    for row in recipe.trials:
        columns = check_columns(joc.grid(seed=[0], **{k: [v] for k, v in row.items()}), None, 10)
        assert columns.optimizers == (row["optimizer"],)


@pytest.mark.long
def test_training_takes_the_name_and_so_does_a_study_that_is_opened_again(small):
    """Numbers by their brightness: not learned in six steps, but the loss falls."""
    fitted = joc.fit("mnist_dense-30", joc.adam(1e-2), steps=12, batch_size=10, record_every=6)
    losses = fitted.curves["train_loss"].values
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    task = joc.load_task("mnist_dense-30")
    was = {"name": task.name, "split_sha256": task.split_sha256, "metrics": dict(task.metrics)}
    assert resume._task(was, None, {}, None, {}, "").split_sha256 == task.split_sha256
    with pytest.raises(ValueError, match="an own task"):
        resume._task(was | {"name": "mnist_dense-30-30"}, None, {}, None, {}, "")


# Bytes


def test_bytes_stay_bytes_only_where_they_are_asked_for():
    x, y = np.arange(40, dtype=np.uint8).reshape(20, 2), np.uint8(np.arange(20) % 2)
    make = lambda rngs: nnx.Linear(2, 2, rngs=rngs)
    for uint8, dtype in ((False, np.int32), (True, np.uint8)):
        task = joc.Task.from_flax(make, x, y, loss="softmax_cross_entropy", uint8=uint8)
        assert task.train["inputs"].dtype == dtype and task.train["targets"].dtype == np.int32
        assert not task.train["inputs"].flags.writeable
        again = dataclasses.replace(task, name="again")
        assert again.split_sha256 == task.split_sha256
