"""One batch of the sample, with its labels."""

import pytest

from tests.helpers.data_sample import sample
from uspl.data.batch import Batch
from uspl.data.splits import open_set
from uspl.inference import predict


@pytest.fixture(scope="module")
def batch() -> Batch:
    clips = open_set(sample(), "train", size=32)
    found: Batch = next(iter(predict.loader(clips, batch_size=4, front_end="vggish")))
    return found
