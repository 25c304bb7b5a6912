"""What the native library of a wheel needs and offers, as its ELF file says."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from packaging.utils import parse_wheel_filename

from tests.package.distribution import LIBRARY


@dataclass(frozen=True)
class NativeLibrary:
    machine: str
    libraries: set[str]
    glibc: tuple[int, int]
    """The oldest version that has all symbols."""
    of_the_process: set[str]
    """The symbols that no library is said to have: the process must."""
    offered: set[str]
    search_path: bool
    executable_stack: bool


def platform_of(wheel: Path) -> str:
    _, _, _, (tag,) = parse_wheel_filename(wheel.name)
    assert (tag.interpreter, tag.abi) == ("py3", "none")
    return tag.platform


def read_library(wheel: Path) -> NativeLibrary:
    with zipfile.ZipFile(wheel) as archive:
        elf = ELFFile(io.BytesIO(archive.read(f"router_backend/{LIBRARY}")))
    dynamic = [*elf.get_section_by_name(".dynamic").iter_tags()]
    segments = {segment["p_type"]: segment["p_flags"] for segment in elf.iter_segments()}
    return NativeLibrary(
        machine=elf.get_machine_arch(),
        libraries={tag.needed for tag in dynamic if tag.entry.d_tag == "DT_NEEDED"},
        glibc=max(_glibc_versions(elf)),
        of_the_process={name for name, defined, versioned in _symbols(elf) if not defined and not versioned},
        offered={name for name, defined, _ in _symbols(elf) if defined},
        search_path=any(tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH") for tag in dynamic),
        executable_stack=bool(segments["PT_GNU_STACK"] & 1),
    )


def _glibc_versions(elf: ELFFile) -> list[tuple[int, int]]:
    needed = elf.get_section_by_name(".gnu.version_r").iter_versions()
    names = [version.name for _, versions in needed for version in versions]
    assert {name.partition("_")[0] for name in names} == {"GLIBC"}
    numbers = [name.removeprefix("GLIBC_").split(".") for name in names]
    return [(int(major), int(minor)) for major, minor, *_ in numbers]


def _symbols(elf: ELFFile) -> list[tuple[str, bool, bool]]:
    """The strong symbols: name, whether it is defined here, and whether it has a library's version."""
    versions = elf.get_section_by_name(".gnu.version")
    return [
        (symbol.name, symbol["st_shndx"] != "SHN_UNDEF", isinstance(versions.get_symbol(number)["ndx"], int))
        for number, symbol in enumerate(elf.get_section_by_name(".dynsym").iter_symbols())
        if symbol["st_info"]["bind"] == "STB_GLOBAL"
    ]
