"""Hatchling's hook: wheels and editable installations get the native library if there is a C compiler."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.append(str(Path(__file__).parent))  # hatchling loads this file by its path
from native_library import LIBRARY, PACKAGE, NoCompilerError, compile_library, find_compiler, wheel_tag


class NativeLibraryHook(BuildHookInterface[Any]):
    """Compiles the library, and tags the wheel with what it needs; without a compiler, it is pure Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before hatchling collects the files; `version` is "standard" or "editable"."""
        try:
            compiler = find_compiler()
        except NoCompilerError as error:
            self.app.display_warning(f"without the native library: {error}")
            return
        if version == "editable":
            compile_library(compiler, PACKAGE / LIBRARY)
        else:
            self._include(compiler, build_data)

    def _include(self, compiler: list[str], build_data: dict[str, Any]) -> None:
        # Not the one beside model.py, which may be for another machine or have sanitizers.
        library = Path(self.root) / "build" / "native" / LIBRARY
        compile_library(compiler, library)
        build_data["force_include"][str(library)] = f"{PACKAGE.name}/{LIBRARY}"
        build_data["pure_python"] = False
        build_data["tag"] = wheel_tag(library)
