"""Discovery of the classes of a package, so that the tests include all of them."""

import importlib
import inspect
import pkgutil
from types import ModuleType


def classes_of(package: ModuleType) -> list[type]:
    """Return the classes that are defined in modules of the package, without protocols."""
    names = [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [
        member
        for name in sorted(names)
        for _, member in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if member.__module__ == name and not getattr(member, "_is_protocol", False)
    ]
