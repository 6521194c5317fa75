"""Models with a calibrated gate: the one that `uspl run` trains, and the one that comes with the library."""

import json
from pathlib import Path

from uspl.config import Config
from uspl.core import files, paths
from uspl.data import splits
from uspl.data.folder import embedded_set
from uspl.model import USPL
from uspl.pretrained import GATE, SHIPPED, read_about
from uspl.train.loop import train_or_load
from uspl.video.gate_calibration import calibrate


def trained(cfg: Config, data: str | Path, *, runs: str | Path | None = None) -> USPL:
    """The model of `train_or_load` with its gate, which is calibrated on validation once and kept beside the weights.

    Raises:
        ValueError: as `train_or_load`.
    """
    model: USPL
    model, values = train_or_load(cfg, data, runs=runs)
    file = Path(values["folder"]) / GATE
    if not file.is_file():
        gate = calibrate(model, splits.training(cfg, data).val)
        name = embedded_set(data) or Path(data).name
        files.write_text(file, json.dumps({"data": name, "gate": gate.as_dict()}, indent=1) + "\n")
    model.about = read_about(Path(values["folder"]))
    return model


def ship() -> Path:
    """`make model`: train the model of photographs and write it to where the library looks for it."""
    model = trained(Config.photos(seed=1), paths.data_folder(None, "sounding-photos"))
    model.about["map"] = "m_fine"  # which validation finds better than SPS
    return model.save_pretrained(SHIPPED / "photos")
