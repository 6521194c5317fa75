"""VGGish with weights that every implementation can make."""

import pytest
import torch

from tests.helpers.values import recipe
from uspl import encoders


@pytest.fixture(scope="module")
def vggish() -> encoders.VGGish:
    with torch.device("meta"):
        net = encoders.VGGish()
    net.load_state_dict(recipe(net.state_dict()), assign=True)
    return net.eval()
