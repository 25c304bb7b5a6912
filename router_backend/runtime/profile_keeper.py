"""Keeps what a router has learned in a file, so that it need not learn it again after a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from router_backend.config.load import RouterSetup
from router_backend.core.model.logical_model import LogicalModel
from router_backend.core.records.learned import LearnedModel
from router_backend.path_kind import path_kind
from router_backend.runtime.hardware import describe_hardware
from router_backend.runtime.model_files import fingerprint
from router_backend.runtime.profile_file import (
    SavedProfiles,
    SavedVariant,
    UnusableFileError,
    read_profiles,
    set_aside,
    write_profiles,
)

DAY_S = 24.0 * 3600.0


class ProfileKeeper:
    """Saves what one instance of a router has learned, at an interval and at its end, and restores it.

    Each instance has a file of its own, with the hardware in its name: those of several machines may be in
    one folder. A new instance begins with the newest one of its router.

    Nothing that is wrong with the folder or a file keeps the router from serving.

    Args:
        folder: the folder of the files.
        setup: the router model.
        logical: its logical model.
        instance_name: the name of Triton's instance.
        inform: writes a line to Triton's log.
        warn: writes a warning there.
    """

    INTERVAL_S = 60.0
    MAX_AGE_S = 30.0 * DAY_S
    SUFFIX = ".profiles"

    def __init__(
        self,
        folder: Path,
        setup: RouterSetup,
        logical: LogicalModel,
        instance_name: str,
        inform: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._router = setup.name
        self._logical = logical
        self._inform, self._warn = inform, warn
        self._hardware = describe_hardware()
        self._files = {variant.name: fingerprint(setup.repository / variant.name) for variant in setup.usable}
        machine = blake2b(self._hardware.encode(errors="replace"), digest_size=4).hexdigest()
        self._ending = f".{machine}{self.SUFFIX}"
        self._path = folder / f"{setup.name}.{instance_name}{self._ending}"
        self._answers = 0
        self._fails = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-profiles", daemon=True)

    def restore(self) -> None:
        """Start the router from what was saved, if there is something for its variants and this machine."""
        if not self._folder.is_dir():
            self._warn(
                f"router '{self._router}': parameter 'profile_folder': expected a folder, found "
                f"{path_kind(self._folder)} at '{self._folder}'; create it: until then, it keeps nothing"
            )
            self._fails = True
            return
        for path in self._saved_files():
            try:
                saved = read_profiles(path)
                self._check(saved)
                self._use(saved)
                return
            except FileNotFoundError:
                continue
            except UnusableFileError as error:
                aside = set_aside(path)
                where = f", and the file is now {aside.name}" if aside is not None else ""
                self._warn(
                    f"router '{self._router}': {path}: expected profiles that it has saved, found {error}; "
                    f"it learns again{where}"
                )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and save for the last time."""
        self._ended.set()
        self._thread.join()
        self._save()

    def _run(self) -> None:
        while not self._ended.wait(self.INTERVAL_S):
            self._save()

    def _saved_files(self) -> list[Path]:
        """Return the file of this instance, then those of others, the newest first."""
        start = f"{self._router}.{self._router}_"
        try:
            others = [path for path in self._folder.iterdir() if path.name.startswith(start)]
            others = [path for path in others if path.name.endswith(self._ending) and path != self._path]
            others.sort(key=lambda path: path.lstat().st_mtime, reverse=True)
        except OSError:
            others = []
        return [self._path, *others]

    def _check(self, saved: SavedProfiles) -> None:
        """Reject what another router has learned, or this one elsewhere or too long ago.

        Raises:
            UnusableFileError: it was.
        """
        if saved.router != self._router:
            raise UnusableFileError(f"those of router '{saved.router}'")
        if saved.hardware != self._hardware:
            raise UnusableFileError(f"those of another machine, {saved.hardware}")
        age_s = time.time() - saved.saved_s
        if not -DAY_S < age_s < self.MAX_AGE_S:
            raise UnusableFileError(f"some that are {age_s / DAY_S:.0f} days old")

    def _use(self, saved: SavedProfiles) -> None:
        known = {name: each for name, each in saved.variants.items() if name in self._files}
        same = {name: each.learned for name, each in known.items() if each.files == self._files[name]}
        absent_s = max(0.0, time.time() - saved.saved_s)
        self._logical.restore(LearnedModel(saved.reference_elements, same), absent_s)
        changed = ", ".join(known.keys() - same.keys())
        apart = f"; not with those of {changed}, whose files have changed" if changed else ""
        found = ", ".join(same) or "no variant"
        self._inform(
            f"router '{self._router}' starts with the profiles of {found}, saved {absent_s:.0f} s ago{apart}"
        )

    def _save(self) -> None:
        """Save what is known; log only the first of several failures in a row."""
        answers = sum(state.answers for state in self._logical.states.values())
        if answers == self._answers:
            return
        learned = self._logical.learned()
        variants = {
            name: SavedVariant(self._files[name], each)
            for name, each in learned.variants.items()
            if name in self._files
        }
        saved = SavedProfiles(self._router, self._hardware, time.time(), learned.reference_elements, variants)
        try:
            write_profiles(self._path, saved)
            self._answers, self._fails = answers, False
        except OSError as error:
            if not self._fails:
                self._warn(
                    f"router '{self._router}': parameter 'profile_folder': expected a folder in which "
                    f"'{self._path}' can be written, found {error.strerror}; it learns again after a restart"
                )
            self._fails = True
