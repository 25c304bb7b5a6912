import json
from pathlib import Path

import pytest

from tests.unit.config.routing_documents import FULL
from tests.unit.router_tools.config_check.checking import TENSORS, add_model, parameter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "routing.json"
    path.parent.mkdir()
    path.write_text(json.dumps(FULL))
    return path


@pytest.fixture
def repository(tmp_path: Path, file: Path) -> Path:
    """Two routers, one of them in the plain form, that follow one file, and their variant."""
    folder = tmp_path / "models"
    add_model(folder, "a_cpu", TENSORS + parameter("device", "cpu"))
    rules = parameter("variants", "a_cpu") + parameter("routing_config", "../../rules/routing.json")
    add_model(folder, "resnet50", 'backend: "router_backend"\n' + rules)
    add_model(folder, "vgg", 'backend: "python"\n' + rules + parameter("policy", "p2c"))
    return folder
