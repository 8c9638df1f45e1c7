"""The folder of an export: what is replaced, what is refused, and how the model in it is called."""

from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

pytest.importorskip("tensorflow")

from zorro_keras.applications.pipelines.faults import ConfigError
from zorro_keras.applications.training import export, saved_model
from zorro_keras.applications.training.export import export_task
from zorro_keras.layers import kernels

pytestmark = pytest.mark.tensorflow


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """An export of a few names: what is in its files is tested elsewhere."""

    def write(model, partial, preset, wanted):
        model = partial / wanted["name"] / "1" if wanted["format"] == "tf_serving" else partial
        model.mkdir(parents=True)
        (model / "saved_model.pb").touch()
        (partial / export.LABELS).parent.mkdir()
        (partial / export.LABELS).write_text("{}")

    monkeypatch.setattr(export, "endpoints_of", lambda model: [])
    monkeypatch.setattr(export, "_write_in_tensorflow", write)
    monkeypatch.setattr(export, "parity_report", lambda *given, **options: {"endpoints": {}})


@pytest.mark.parametrize("format", ["saved_model", "tf_serving"])
@pytest.mark.parametrize("name", ["clips", "served"])
def test_an_export_within_an_export_is_not_lost(format, name, tmp_path):
    served = tmp_path / "served"
    export_task(None, served)
    export_task(None, served / name, format=format)
    with pytest.raises(ConfigError, match=f"nothing else that would be lost. Received a folder with: {name}"):
        export_task(None, served)
    assert (served / name / "parity.json").exists() and (served / "saved_model.pb").exists()


@pytest.mark.parametrize("first", ["saved_model", "tf_serving"])
@pytest.mark.parametrize("second", ["saved_model", "tf_serving"])
def test_an_earlier_export_of_any_format_is_replaced(first, second, tmp_path):
    export_task(None, tmp_path / "served", format=first)
    export_task(None, tmp_path / "served", format=second)
    model = {"saved_model": "saved_model.pb", "tf_serving": "served"}[second]
    assert {path.name for path in (tmp_path / "served").iterdir()} == {model, "assets", "parity.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


def test_a_version_of_ones_own_beside_the_model_is_not_lost(tmp_path):
    export_task(None, tmp_path / "served", format="tf_serving")
    (tmp_path / "served" / "served" / "2").mkdir()
    with pytest.raises(ConfigError, match="Received a folder with: served"):
        export_task(None, tmp_path / "served")


def test_the_folder_one_is_in_has_a_name_too(tmp_path, monkeypatch):
    (tmp_path / "clips" / "within").mkdir(parents=True)
    (tmp_path / "served").mkdir()
    for here, out in ((tmp_path / "served", "."), (tmp_path / "clips" / "within", "../../clips/within")):
        monkeypatch.chdir(here)
        for _ in range(2):
            export_task(None, out, format="tf_serving")
        assert Path.cwd() == here and here.samefile(".")
        assert (here / here.name / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize("enabled", [True, False])
def test_an_endpoint_is_traced_without_the_kernels_of_this_device(enabled, tmp_path, monkeypatch):
    """Those of a TPU or a GPU would not be there where it is served; afterwards all is as it was."""
    seen = []

    class Archive:
        def track(self, model):
            pass

        def add_endpoint(self, *given, **options):
            seen.append(kernels.has_fused_attention())

        def write_out(self, folder, **options):
            Path(folder).mkdir()

    endpoint = SimpleNamespace(name="serve", serves=None, inputs={}, answer=None, limits={}, kind="serve")
    monkeypatch.setattr(saved_model, "endpoints_of", lambda model: [endpoint])
    monkeypatch.setattr(keras.export, "ExportArchive", Archive)
    monkeypatch.setattr(kernels, "_jax_finds", lambda kind: kind == "tpu")
    if not enabled:
        keras.config.disable_flash_attention()
    try:
        saved_model.write_saved_model(None, tmp_path / "served")
        assert seen == [False] and kernels.has_fused_attention() is enabled
    finally:
        keras.config.enable_flash_attention()
