"""Finds the classes that a package defines, so that none can be forgotten."""

import importlib
import inspect
import pkgutil
from types import ModuleType


def classes_of(package: ModuleType) -> list[type]:
    """Every class that is defined in a module below the package, by the name of its module; no protocols."""
    names = [module.name for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return [
        member
        for name in sorted(names)
        for _, member in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if member.__module__ == name and not getattr(member, "_is_protocol", False)
    ]
