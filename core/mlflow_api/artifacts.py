"""Artifacts and the metadata of models: listed, read up to a size, downloaded; never loaded."""

import json
import stat
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from core import formats
from core.errors import InvalidInput, NotAllowed, NotFound, TooLarge
from core.mlflow_api import convert, ids
from core.mlflow_api.gateway import Gateway, Kind
from core.mlflow_api.nouns import ArtifactFile, ModelInfo, ModelVersion
from core.mlflow_api.pool import ContextPool
from core.settings import without_user_info
from core.texts import t

_METADATA_CAP = 20_000_000
_FILES_AT_ONCE = 4
_LOCAL = ("", "file")
_PROXIED = ("mlflow-artifacts", "http", "https")
_CLOUD = ("s3", "gs", "wasbs", "abfss", "azfs", "hdfs", "dbfs")


class Artifacts:
    """Artifact stores, by the URI that runs and models carry.

    Args:
        gateway: the door to MLflow, which also names the tracking server for proxied artifacts.
        roots: folders (paths or ``file:`` URIs) that local artifacts may be read from.
    """

    def __init__(self, gateway: Gateway, roots: Sequence[str]) -> None:
        self._gateway = gateway
        self._roots = tuple(_local_path(root) for root in roots)

    def through(self, gateway: Gateway) -> "Artifacts":
        """The same artifacts through another door."""
        return Artifacts(gateway, [str(root) for root in self._roots])

    def list(self, uri: str, path: str = "") -> list[ArtifactFile]:
        """Files and folders directly under ``path``, folders first."""
        inner = _inner(path)
        found = self._gateway.read(
            t("mlflow.action.artifacts"),
            lambda _: [
                convert.artifact(a) for a in self._repository(uri).list_artifacts(inner or None)
            ],
            Kind.ARTIFACT,
        )
        return sorted(found, key=lambda a: (not a.is_dir, a.path))

    def walk(
        self, uri: str, most: int, check: Callable[[], object] = lambda: None
    ) -> tuple[ArtifactFile, ...]:
        """All files below ``uri``, by path; folders are entered and left out.

        Args:
            most: most files and folders.
            check: called before each folder; what it raises rises.

        Raises:
            TooLarge: there are more than ``most``.
        """
        files: list[ArtifactFile] = []
        folders, seen = [""], 0
        while folders:
            check()
            inside = self.list(uri, folders.pop())
            seen += len(inside)
            if seen > most:
                raise TooLarge(t("errors.file.too_many", uri=without_user_info(uri), most=most))
            folders += [f.path for f in inside if f.is_dir]
            files += [f for f in inside if not f.is_dir]
        return tuple(sorted(files, key=lambda f: f.path))

    def fetch(
        self,
        uri: str,
        path: str,
        target: Path,
        cap: int | None = None,
        check: Callable[[], object] = lambda: None,
    ) -> Path:
        """One file into the folder ``target``, and where it lies there.

        Args:
            cap: most bytes to fetch.
            check: called now and then; what it raises ends the fetching, and rises.

        Raises:
            TooLarge: the file is larger than ``cap``.
        """
        inner = _inner(path)
        self._fetch(uri, inner, target, cap, check)
        return target / inner

    def read(self, uri: str, path: str, cap: int) -> bytes:
        """The bytes of one file.

        Args:
            cap: most bytes to read.

        Raises:
            TooLarge: the file is larger than ``cap``.
            NotFound: there is no such file.
        """
        inner = _inner(path)
        parent = str(PurePosixPath(inner).parent)
        files = {f.path: f for f in self.list(uri, "" if parent == "." else parent)}
        if inner not in files or files[inner].is_dir:
            raise NotFound(t("errors.file.missing", path=inner))
        known = files[inner].size
        if known is not None and known > cap:
            raise _too_large(inner, known, cap)
        with tempfile.TemporaryDirectory(prefix="modeldeck-") as folder:
            target = Path(folder)
            self._fetch(uri, inner, target, cap)
            return (target / inner).read_bytes()

    def download(
        self,
        uri: str,
        target: Path,
        cap: int | None = None,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """Everything under ``uri`` into the folder ``target``.

        Args:
            cap: most bytes to fetch.
            check: called now and then; what it raises ends the download, and rises.

        Raises:
            TooLarge: there is more than ``cap``; a part of it is in ``target``.
        """
        target.mkdir(parents=True, exist_ok=True)
        self._fetch(uri, "", target, cap, check)

    def model_uri(self, version: ModelVersion) -> str:
        """Where the files of a version lie."""
        name, number = ids.model_name(version.model), ids.version(version.version)
        uri: str = self._gateway.read(
            t("mlflow.action.model_info"),
            lambda c: c.get_model_version_download_uri(name, str(number)),
        )
        return self.resolve(uri)

    def resolve(self, uri: str) -> str:
        """``models:/m-…`` and ``runs:/…`` as the address of the artifact store behind them."""
        if uri.startswith("models:/m-"):
            model_id = ids.run_id(uri.removeprefix("models:/").split("/")[0])
            return self._gateway.read(
                t("mlflow.action.logged_model"),
                lambda c: str(c.get_logged_model(model_id).artifact_location),
            )
        if uri.startswith("runs:/"):
            run_id, _, inner = uri.removeprefix("runs:/").partition("/")
            checked = ids.run_id(run_id)
            root = self._gateway.read(
                t("mlflow.action.run"), lambda c: str(c.get_run(checked).info.artifact_uri)
            )
            return f"{root.rstrip('/')}/{inner}"
        return uri

    def model_info(self, uri: str) -> ModelInfo:
        """What a model's own files say about it. Runs nothing of the model.

        Args:
            uri: the model's folder, as ``model_uri`` or ``resolve`` give it.

        Raises:
            InvalidInput: its files are not as MLflow writes them.
        """
        from mlflow.exceptions import MlflowException

        odd = (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, MlflowException)
        try:
            return self._model_info(uri)
        except odd as error:
            raise InvalidInput(t("mlflow.unreadable_model", uri=without_user_info(uri))) from error

    def _model_info(self, uri: str) -> ModelInfo:
        from mlflow.models import ModelSignature

        data = yaml.safe_load(self.read(uri, "MLmodel", _METADATA_CAP)) or {}
        names = {f.path for f in self.list(uri)}
        example = None
        if "serving_input_example.json" in names:
            example = json.loads(self.read(uri, "serving_input_example.json", _METADATA_CAP))
        requirements: tuple[str, ...] | None = None
        if "requirements.txt" in names:
            text = self.read(uri, "requirements.txt", _METADATA_CAP).decode("utf-8", "replace")
            requirements = tuple(line.strip() for line in text.splitlines() if line.strip())
        signature = data.get("signature")
        python = data.get("flavors", {}).get("python_function", {})
        return ModelInfo(
            signature=convert.signature(ModelSignature.from_dict(signature)) if signature else None,
            example=example,
            flavors=tuple(sorted(data.get("flavors", {}))),
            mlflow_version=str(data.get("mlflow_version", "")),
            created_at=_created(data.get("utc_time_created")),
            size_bytes=data.get("model_size_bytes"),
            requirements=requirements or (),
            has_requirements=requirements is not None,
            python=str(python.get("python_version") or ""),
            loader_module=str(python.get("loader_module") or ""),
            code=str(python.get("code") or ""),
        )

    def _fetch(
        self,
        uri: str,
        inner: str,
        target: Path,
        cap: int | None,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        pool = ContextPool(_FILES_AT_ONCE, "mlflow-artifact")

        def progress() -> int:
            check()
            size = _bytes_under(target)
            if cap is not None and size > cap:
                raise _too_large(inner or without_user_info(uri), size, cap)
            return size

        try:
            self._gateway.read(
                t("mlflow.action.download" if not inner else "mlflow.action.artifact"),
                lambda _: self._repository(uri, pool).download_artifacts(inner, str(target)),
                Kind.ARTIFACT,
                progress=progress,
            )
            progress()  # it may have been over before anybody looked
        finally:
            pool.shutdown()  # begin no further file where nobody waits any more

    def _repository(self, uri: str, pool: ContextPool | None = None) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._admit(uri)
        repository = get_artifact_repository(
            uri,
            tracking_uri=self._gateway.tracking_uri,
            registry_uri=self._gateway.registry_uri,
        )
        # MLflow downloads in threads of its own, which would lose the caller's context.
        repository.thread_pool = pool or ContextPool(_FILES_AT_ONCE, "mlflow-artifact")
        return repository

    def _admit(self, uri: str) -> None:
        scheme = urlsplit(uri).scheme
        # Whoever makes an experiment chooses where its artifacts lie, and MLflow sends the tracking
        # server's credential to every such address: no other server may get it.
        if scheme in _PROXIED and _host(uri) in ("", _host(self._gateway.tracking_uri)):
            return
        if scheme in _CLOUD:
            return
        if scheme in _LOCAL:
            path = _local_path(uri)
            if any(path == root or root in path.parents for root in self._roots):
                return
        raise NotAllowed(
            t("errors.file.scheme", uri=without_user_info(uri)), t("errors.file.scheme_next")
        )


def _host(uri: str) -> str:
    return urlsplit(uri).netloc.rpartition("@")[2].lower()


def _local_path(uri: str) -> Path:
    parts = urlsplit(uri)
    text = unquote(parts.path) if parts.scheme == "file" else uri
    return Path(text).resolve()  # follows links: one inside a root must not lead out of it


def _inner(path: str) -> str:
    """A path below an artifact root, refused where it would lead out of it."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\x00" in path or "\\" in path:
        raise InvalidInput(t("errors.file.bad_path", path=path[:80]))
    return "" if str(pure) == "." else str(pure)


def _too_large(path: str, size: int, cap: int) -> TooLarge:
    return TooLarge(
        t("errors.file.too_large", path=path, size=formats.size(size), cap=formats.size(cap))
    )


def _bytes_under(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            found = file.stat()
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
        except FileNotFoundError:  # a part file that was renamed meanwhile
            continue
    return total


def _created(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None
