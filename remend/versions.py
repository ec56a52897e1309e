"""Controller versions in a git repository: `<home>/versions.git`, bare.

    refs/artefacts/<2 hex>/<62 hex>   one per artefact, deployed or not; points at the tree with its files
    refs/heads/robots/<robot>         one branch per robot: the artefacts that became its committed controller, in order

Write order, so that a kill at any moment is harmless: objects, then the ref, then (by the caller) the database row that
names the artefact. What a kill leaves behind is an object or a ref that nobody asks for.

Git is the history, and where a candidate is read from. No rollback waits for it: the robot does that alone.
"""

from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pygit2
from pygit2.enums import FileMode

from controllers.signature import FILE_NAME, artefact_sha
from core.clock import Clock, SystemClock
from core.durable import sync_folder
from core.errors import BadInput, Conflict, Refused
from core.ids import sha256_of
from remend.home import exclusive

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHA = re.compile(r"[0-9a-f]{64}")
_GIT_ERRORS = (pygit2.GitError, KeyError, ValueError, OSError)  # what libgit2's failures arrive as

G = TypeVar("G", pygit2.Commit, pygit2.Tree, pygit2.Blob)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One committed controller of a robot."""

    commit: str  # git commit id
    artefact_sha: str
    message: str
    author: str
    at_s: int  # UTC [s]


class Versions:
    """All controller versions of one home folder. Create it with `open`; safe for several processes at once."""

    def __init__(self, folder: Path, repository: pygit2.Repository, clock: Clock) -> None:
        self._folder = folder
        self._repository = repository
        self._clock = clock

    @classmethod
    def open(cls, home: Path, clock: Clock | None = None) -> Versions:
        """Open the repository in `home`, created if it is not there.

        Raises:
            BadInput: the folder is there but is not a git repository.
        """
        folder = home / "versions.git"
        with exclusive(home):
            if not folder.exists():
                _create(folder)
        try:
            return cls(folder, pygit2.Repository(folder), clock or SystemClock())
        except _GIT_ERRORS as error:
            raise BadInput(f"{folder} is not a readable git repository; restore it from a backup") from error

    def keep(self, files: Mapping[str, bytes]) -> str:
        """Store an artefact and return its sha; the same files again change nothing.

        Call it before any record names the artefact.

        Raises:
            BadInput: no files, or a file name that is not plain.
            Refused: the repository holds a damaged copy of one of the files, or cannot be written.
        """
        with exclusive(self._folder):
            return self._keep(files)

    def commit(
        self, robot_id: str, artefact_files: Mapping[str, bytes], parent_sha: str | None, message: str, author: str
    ) -> str:
        """Make an artefact the newest version of a robot and return the commit id.

        Committing what is the newest version already changes nothing, so a repeat after a crash is harmless.

        Args:
            parent_sha: artefact that must be the newest version now; None for the first version.

        Raises:
            BadInput: no files, or a file name that is not plain.
            Conflict: another artefact is the newest version.
            Refused: the repository is damaged or cannot be written.
        """
        name = branch(robot_id)
        with exclusive(self._folder):
            sha = self._keep(artefact_files)
            head = self._repository.references.get(name)
            tip = self._object(head.target, pygit2.Commit) if head else None
            newest = artefact_sha(self._files_of_tree(tip.tree_id)) if tip else None
            if tip and newest == sha:
                return str(tip.id)
            if newest != parent_sha:
                raise Conflict(f"the newest version of {robot_id} is {_short(newest)}, not {_short(parent_sha)}")
            signature = self._signature(author)
            parents = [tip.id] if tip else []
            try:
                tree = self._repository.references[_artefact_ref(sha)].target
                made = self._repository.create_commit(None, signature, signature, message, tree, parents)
                self._point(name, self._require_whole(made))
            except _GIT_ERRORS as error:
                raise Refused(f"the version of {robot_id} could not be written to {self._folder}: {error}") from error
            return str(made)

    def read(self, sha: str) -> dict[str, bytes]:
        """The files of an artefact, checked against its sha.

        Raises:
            BadInput: no such artefact.
            Refused: the stored files are damaged.
        """
        files = self._files_of_tree(self._tree_of(sha))
        if artefact_sha(files) != sha:
            raise Refused(self._damaged(sha))
        return files

    def history(self, robot_id: str) -> tuple[Version, ...]:
        """Committed versions of a robot, newest first; empty if it has none.

        Raises:
            Refused: a stored version is damaged.
        """
        head = self._repository.references.get(branch(robot_id))
        if head is None:
            return ()
        commits = [self._object(head.target, pygit2.Commit)]
        while parents := commits[-1].parent_ids:
            commits.append(self._object(parents[0], pygit2.Commit))
        return tuple(
            Version(
                commit=str(commit.id),
                artefact_sha=artefact_sha(self._files_of_tree(commit.tree_id)),
                message=commit.message,
                author=commit.author.name,
                at_s=commit.commit_time,
            )
            for commit in commits
        )

    def diff(self, base_sha: str, result_sha: str) -> str:
        """Unified diff between two artefacts; empty if they are equal.

        Raises:
            BadInput: no such artefact.
            Refused: the stored files are damaged.
        """
        for sha in (base_sha, result_sha):
            self.read(sha)  # an operator must not judge a diff of damaged files
        before, after = (self._object(self._tree_of(sha), pygit2.Tree) for sha in (base_sha, result_sha))
        parts = [patch.data.decode(errors="replace") for patch in before.diff_to_tree(after) if patch is not None]
        return "".join(parts)

    def _keep(self, files: Mapping[str, bytes]) -> str:
        if not files:
            raise BadInput("an artefact needs at least one file")
        for name in files:
            if not FILE_NAME.fullmatch(name):
                raise BadInput(f"{name!r} cannot be a file of an artefact; use letters, digits, dots, dashes")
        sha = artefact_sha(files)
        try:
            if _artefact_ref(sha) not in self._repository.references:
                builder = self._repository.TreeBuilder()
                for name, data in files.items():
                    builder.insert(name, self._require_whole(self._repository.create_blob(data)), FileMode.BLOB)
                self._point(_artefact_ref(sha), self._require_whole(builder.write()))
        except _GIT_ERRORS as error:
            raise Refused(f"the artefact could not be written to {self._folder}: {error}") from error
        self.read(sha)  # git does not rewrite an object that exists, so a damaged one would stay
        return sha

    def _point(self, name: str, target: pygit2.Oid) -> None:
        # the caller holds the folder, so a lock file can only be left by a process that was killed while it wrote
        (self._folder / f"{name}.lock").unlink(missing_ok=True)
        reference = self._repository.references.get(name)
        if reference is None:
            self._repository.references.create(name, target)
        else:
            reference.set_target(target)  # libgit2 refuses if the ref on disk is not the one just read

    def _tree_of(self, sha: str) -> pygit2.Oid:
        reference = self._repository.references.get(_artefact_ref(sha)) if _SHA.fullmatch(sha) else None
        if reference is None:
            raise BadInput(f"there is no controller version {_short(sha)} in {self._folder}")
        target = reference.target
        assert isinstance(target, pygit2.Oid)
        return target

    def _files_of_tree(self, tree_id: pygit2.Oid | str) -> dict[str, bytes]:
        tree = self._object(tree_id, pygit2.Tree)
        return {str(entry.name): self._object(entry.id, pygit2.Blob).data for entry in tree}

    def _object(self, name: pygit2.Oid | str, kind: type[G]) -> G:
        oid = self._require_whole(pygit2.Oid(hex=str(name)))
        try:
            found = self._repository[oid]  # libgit2 compares the content with its name
        except _GIT_ERRORS as error:
            raise Refused(self._damaged(str(oid))) from error
        if not isinstance(found, kind):
            raise Refused(self._damaged(str(oid)))
        return found

    def _require_whole(self, oid: pygit2.Oid) -> pygit2.Oid:
        # libgit2 1.9 never returns from reading a loose object that was cut short, as a power cut can leave it
        path = self._folder / "objects" / str(oid)[:2] / str(oid)[2:]
        try:
            stream = zlib.decompressobj()
            stream.decompress(path.read_bytes())
            whole = stream.eof
        except FileNotFoundError:
            whole = True  # packed, or missing: libgit2 can tell
        except (OSError, zlib.error):
            whole = False
        if not whole:
            raise Refused(self._damaged(str(oid)))
        return oid

    def _damaged(self, name: str) -> str:
        return f"version {_short(name)} in {self._folder} is damaged; restore the folder from a backup"

    def _signature(self, author: str) -> pygit2.Signature:
        name = re.sub(r"[<>\n\x00]", " ", author).strip() or "unknown"
        return pygit2.Signature(name, "remend@localhost", self._clock.wall_ns() // 10**9, 0)


def branch(robot_id: str) -> str:
    """Full ref name of a robot's branch. Ids that git would not take get a hash, so that no two robots share one."""
    if _PLAIN_NAME.fullmatch(robot_id):
        return f"refs/heads/robots/{robot_id}"
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", robot_id)[:40].strip("-") or "robot"
    return f"refs/heads/robots/{plain}.{sha256_of(robot_id)[:8]}"


def _create(folder: Path) -> None:
    # built aside and renamed: a kill halfway must not leave a folder that looks like a repository
    draft = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    repository = pygit2.init_repository(draft, bare=True)
    repository.config["core.fsyncObjectFiles"] = True  # objects and refs survive a power cut
    repository.free()
    draft.rename(folder)
    sync_folder(folder.parent)


def _artefact_ref(sha: str) -> str:
    return f"refs/artefacts/{sha[:2]}/{sha[2:]}"


def _short(sha: str | None) -> str:
    return sha[:12] if sha else "none"
