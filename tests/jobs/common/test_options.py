"""An option that can't work is refused by name before anything is read or started."""

import pytest

from fromage_model.errors import ConfigError
from jobs.caption.job import CaptionArgs
from jobs.embed.job import EmbedArgs


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        (EmbedArgs, {"shard_rows": 0}, "shard_rows is 0; expected 1 or more"),
        (EmbedArgs, {"batch_size": 0}, "batch_size is 0; expected 1 or more"),
        (EmbedArgs, {"crops": -1}, "crops is -1; expected 0 or more"),
        (EmbedArgs, {"max_failed": 1.5}, "max_failed is 1.5; expected 0 to 1"),
        (CaptionArgs, {"shard_rows": 0}, "shard_rows is 0; expected 1 or more"),
        (CaptionArgs, {"batch_size": -4}, "batch_size is -4; expected 1 or more"),
        (CaptionArgs, {"max_new_tokens": 0}, "max_new_tokens is 0; expected 1 or more"),
        (CaptionArgs, {"limit": -1}, "limit is -1; expected 0 or more"),
        (CaptionArgs, {"workers": 0}, "workers is 0; expected 1 or more"),
        (CaptionArgs, {"max_failed": -0.1}, "max_failed is -0.1; expected 0 to 1"),
    ],
)
def test_a_number_that_can_not_work_is_named_with_what_would(options, given, message):
    with pytest.raises(ConfigError, match=message):
        options(**given)


def test_what_is_left_out_is_no_number_that_can_not_work():
    assert CaptionArgs(max_new_tokens=None, limit=0).max_new_tokens is None
    assert EmbedArgs(crops=0, num_gpus=0.0).crops == 0
