"""Options of environments that interpret specs: what is no text, no path or no size is one sentence."""

import json
import re

import pytest

from jaxrl_envs import make
from jaxrl_envs.specs import record, tech_tree


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"spec": {"height": 3}}, "spec of specs/file is an object; it must be JSON text, such as json.dumps makes of data"),
        ({"spec": None}, "spec of specs/file is null; it must be JSON text, such as json.dumps makes of data"),
        ({"path": 3}, "path of specs/file is 3; it must be the path of a file, as text"),
        ({"path": None}, "path of specs/file is null; it must be the path of a file, as text"),
        (
            {"spec": json.dumps(tech_tree.spec_data()), "size": ["small"]},
            "size of specs/file is a list of 1; it must be one of small, medium, large",
        ),
    ],
)  # fmt: skip
def test_options_of_another_kind_are_one_sentence(options, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        make("specs/file", **options)
    if "path" in options:
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            record.with_spec(options)


def test_the_size_of_a_world_of_another_kind_is_one_sentence():
    pytest.importorskip("craftax")
    said = r"size of specs/craftax is \['small'\]; it must be one of small, medium, large"
    with pytest.raises(ValueError, match=said):
        make("specs/craftax", size=["small"])
