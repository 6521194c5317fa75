"""Published checkpoints of the peers: every known layout loads, gives the peers' map, and each wrong file is named."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from tests.helpers.data_sample import sample
from tests.helpers.values import normal, random, recipe, reference_json
from uspl.baselines import published
from uspl.cli import main
from uspl.data import AVSBench, collate
from uspl.metrics import localization

NAMES = ["EZ-VSL", "FNAC", "SLAVC", "LVS"]


def layout(name: str) -> dict[str, list[int]]:
    """Name -> shape, as the file has it without "module."."""
    return next(v for k, v in reference_json("checkpoint_keys").items() if k.startswith(name))


def weights(name: str) -> dict[str, Tensor]:
    empty = {
        k: torch.zeros(s, dtype=torch.long if k.endswith("tracked") else torch.float32) for k, s in layout(name).items()
    }
    return recipe(empty)


def flat(name: str) -> dict[str, Tensor]:
    """All of the layout's shapes in a file of a few bytes: one number, repeated."""
    return {k: torch.zeros(()).expand(s) for k, s in layout(name).items()}


def write(path: Path, state: dict[str, Tensor], *, lvs: bool = False, prefix: str = "module.") -> Path:
    adam = torch.optim.Adam([nn.Parameter(torch.ones(2))])
    beside = {"optimizer": adam.state_dict(), "epoch": 3, "best_cIoU": np.float64(0.38), "best_Auc": 0.4}
    torch.save({"model_state_dict" if lvs else "model": {prefix + k: v for k, v in state.items()}, **beside}, path)
    return path


def peers_map(state: dict[str, Tensor], image: Tensor, sound: Tensor, pair: str, prefix: str = "") -> Tensor:
    """The map as EZ-VSL, FNAC and SLAVC compute it: torchvision's own forward with other poolings."""
    nets = []
    for name, pool in (("imgnet", nn.Identity()), ("audnet", nn.AdaptiveMaxPool2d(1))):
        net = resnet18(weights=None)
        net.avgpool, net.fc = pool, nn.Identity()
        if name == "audnet":
            net.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        start = f"{prefix}{name}."
        net.load_state_dict({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
        nets.append(net.eval())
    f_v = nets[0](image).unflatten(1, (512, 7, 7))
    f_v = F.conv2d(f_v, state[f"{prefix}img_proj{pair}.weight"], state[f"{prefix}img_proj{pair}.bias"])
    f_a = F.linear(nets[1](sound / 12), state[f"{prefix}aud_proj{pair}.weight"], state[f"{prefix}aud_proj{pair}.bias"])
    return torch.einsum("bchw,bc->bhw", F.normalize(f_v, dim=1), F.normalize(f_a, dim=1))


@pytest.mark.parametrize("name", NAMES)
def test_loads_what_the_layout_says(tmp_path: Path, name: str) -> None:
    state = weights(name)
    net = published.load(write(tmp_path / "best.pth", state, lvs=name == "LVS"))
    image, sound = normal(0, 2, 3, 224, 224), -12 * random(1, 2, 1, 257, 200)
    with torch.no_grad():
        m = net.score(image, sound)
        assert m.shape == ((2, 14, 14) if name == "LVS" else (2, 7, 7))
        assert -1 <= m.min() < m.max() <= 1
        if name == "LVS":
            assert torch.equal(net.audnet.conv1.weight, state["audnet.conv1_a.weight"])
            assert torch.equal(net.imgnet.conv1.weight, state["imgnet.conv1.weight"])
            return
        expected = torch.stack([peers_map(state, image, sound, p) for p in (("1", "2") if name == "SLAVC" else ("",))])
        torch.testing.assert_close(m, expected.mean(0), rtol=0, atol=1e-4)
        if name == "SLAVC":
            net = published.load(tmp_path / "best.pth", momentum=True)
            expected = torch.stack([peers_map(state, image, sound, p, "momentum_") for p in ("1", "2")]).mean(0)
            torch.testing.assert_close(net.score(image, sound), expected, rtol=0, atol=1e-4)
    assert not net.training


def test_a_published_file_is_scored_by_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "best.pth", weights("EZ-VSL"))
    out = tmp_path / "told.json"
    given = ["--data", str(sample()), "--split", "test", "--protocol", "vggss-half", "--out", str(out)]
    main.main(["evaluate", "--published", str(path), *given])
    assert "vggss-half" in capsys.readouterr().out
    told = json.loads(out.read_text())
    assert (told["config"]["front_end"], told["config"]["seconds"]) == ("peers", 3.0)
    found = told["protocols"]["vggss-half"]["scores"]
    assert list(found) == ["m"]
    net, clips = published.load(path), AVSBench(sample(), "test", size=224, seconds=3.0)
    batch = collate([clips[i] for i in range(len(clips))], front_end="peers")
    assert batch.sound.shape[1:] == (1, 257, 200)
    with torch.no_grad():
        m = net.predict_maps(batch.image, {"own": batch.sound}, ("m",))["own"]["m"]
    assert (m.amin((1, 2)).max(), m.amax((1, 2)).min()) == (0, 1)
    cious = localization.ciou(m, batch.mask, rule="half")
    assert found["m"]["auc"]["value"] == pytest.approx(localization.auc(cious), abs=1e-6)
    with pytest.raises(SystemExit):
        main.main(["evaluate", "--published", str(path), "--checkpoint", str(tmp_path), *given])
    assert "`published` and `checkpoint` name two models" in capsys.readouterr().err


def test_the_prefix_may_be_missing(tmp_path: Path) -> None:
    net = published.load(write(tmp_path / "best.pth", flat("EZ-VSL"), prefix=""))
    assert net.method == "ez-vsl or fnac"


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("EZ-VSL", {"aud_proj.bias": None}, "`aud_proj.bias` (512,) of ez-vsl or fnac; it is missing"),
        ("EZ-VSL", {"imgnet.fc.bias": [1000]}, "nothing foreign to ez-vsl or fnac; got `imgnet.fc.bias` (1000,)"),
        ("EZ-VSL", {"img_proj.bias": [256]}, "`img_proj.bias` in 'best.pth' must have the shape (512,); got (256,)"),
        ("SLAVC", {"aud_proj2.bias": None}, "`aud_proj2.bias` (512,) of slavc; it is missing"),
        ("SLAVC", {"aud_proj3.bias": [512]}, "nothing foreign to slavc; got `aud_proj3.bias` (512,)"),
        ("LVS", {"audnet.conv1_a.weight": [64, 3, 7, 7]}, "must have the shape (64, 1, 7, 7); got (64, 3, 7, 7)"),
        ("LVS", {"img_net.fc.bias": [3]}, "nothing foreign to lvs; got `img_net.fc.bias` (3,)"),
    ],
)
def test_names_the_tensor(tmp_path: Path, name: str, change: dict[str, Any], sentence: str) -> None:
    state = flat(name)
    for key, shape in change.items():
        state.pop(key, None)
        if shape is not None:
            state[key] = torch.zeros(shape)
    with pytest.raises(ValueError, match=re.escape(sentence)):
        published.load(write(tmp_path / "best.pth", state, lvs=name == "LVS"))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.pth"
    with pytest.raises(FileNotFoundError, match=r"`path` must name a file; '.*' is not there"):
        published.load(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(
        ValueError, match=r"'best.pth' must be a PyTorch file of tensors and numbers; it cannot be read"
    ):
        published.load(path)
    torch.save({"model": Path("code")}, path)
    with pytest.raises(ValueError, match="it cannot be read"):
        published.load(path)
    torch.save({"state_dict": flat("EZ-VSL")}, path)
    with pytest.raises(ValueError, match=r"must hold tensors under 'model' or 'model_state_dict'; got 'state_dict'"):
        published.load(path)
    write(path, {"resnet.conv1.weight": torch.zeros(1)})
    with pytest.raises(
        ValueError, match=r"must hold a model of EZ-VSL, FNAC, SLAVC or LVS; got .* 'resnet.conv1.weight'"
    ):
        published.load(path)
    with pytest.raises(ValueError, match="`momentum` must be False but for a file of SLAVC; got True for one of lvs"):
        published.load(write(path, flat("LVS"), lvs=True), momentum=True)
