"""Every setting of Modeldeck: typed, read once from the environment, passed in from then on."""

import difflib
import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

_PREFIX = "MODELDECK_"
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class BadSetting(Exception):
    """A setting has a value that it may not have; the message names it and what it may be."""


class Settings(BaseSettings):
    """All settings, frozen. Field names are the environment's names in lower case, without
    ``MODELDECK_`` (``MLFLOW_TRACKING_URI`` and ``MLFLOW_REGISTRY_URI`` keep MLflow's names).
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, populate_by_name=True, extra="ignore"
    )

    home: Path = Field(
        default=Path("~/.modeldeck"),
        description="Folder for everything Modeldeck keeps on this machine.",
    )
    tracking_uri: str = Field(
        default="",
        alias="MLFLOW_TRACKING_URI",
        description="MLflow server (http, https) or database (sqlite, postgresql, mysql, mssql). "
        "Empty: a SQLite store under the home folder.",
    )
    registry_uri: str = Field(
        default="",
        alias="MLFLOW_REGISTRY_URI",
        description="Model registry, where it is not the tracking store.",
    )
    ledger_uri: str = Field(
        default="",
        description="Modeldeck's own database, sqlite:/// or postgresql://. "
        "Empty: a SQLite file under the home folder.",
    )
    mirror_uri: str = Field(
        default="",
        description="Database of the tracking server (sqlite:////… or postgresql://…), from which "
        "runs are read in bulk, and which is never written to. Empty: the tracking store itself, "
        "where it is such a database.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the page server listens on.")
    port: int = Field(
        default=8501, ge=1, le=65535, description="Port that the page server listens on."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Host names, besides loopback, that browsers may use; separated by commas.",
    )
    identity: Literal["local", "mlflow", "oidc"] = Field(
        default="local",
        description="How people are known: local (this machine's user, all rights), mlflow "
        "(accounts of the MLflow server), or oidc (a provider, through Streamlit's sign-in).",
    )
    service_user: str = Field(
        default="",
        description="Modeldeck's own account on an MLflow server with accounts.",
    )
    service_password_file: Path | None = Field(
        default=None, description="File that holds the password of that account, and nothing else."
    )
    session_idle_minutes: int = Field(
        default=60, ge=1, le=10_080, description="Minutes without a visit that end a session."
    )
    oidc_name_claim: str = Field(
        default="email",
        min_length=1,
        description="Claim of the identity provider that holds a person's name; email counts only "
        "where the provider verified it.",
    )
    oidc_groups_claim: str = Field(
        default="groups",
        min_length=1,
        description="Claim of the identity provider that holds a person's groups.",
    )
    desk_file: Path | None = Field(
        default=None,
        description="YAML file with the ladder, groups, deciders and gates. Empty: HOME/desk.yaml "
        "where there is one, else what is built in.",
    )
    public_url: str = Field(
        default="",
        description="Address by which people reach Modeldeck, for links in webhooks. "
        "Empty: the page server's own.",
    )
    digest_mb: int = Field(
        default=500,
        ge=0,
        le=1_000_000,
        description="Largest artifacts, in MB, whose content is hashed again before an approval is "
        "applied; above it the listing alone is compared.",
    )
    webhook_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Private networks (10.0.0.0/8, 127.0.0.1/32) that webhooks may reach, "
        "separated by commas.",
    )
    allow_local_beyond_loopback: bool = Field(
        default=False,
        description="Let identity local run although the page server listens beyond loopback.",
    )
    worker: Literal["auto", "external"] = Field(
        default="auto",
        description="auto: the page server starts the worker; external: somebody else does.",
    )
    node: str = Field(
        default="",
        description="Name of this machine in the list of processes. Empty: the host name.",
    )
    job_slots: int = Field(
        default=1, ge=1, le=64, description="Training jobs that one worker runs at a time."
    )
    endpoint_bind: str = Field(
        default="127.0.0.1", description="Address that local endpoints listen on."
    )
    endpoint_address: str = Field(
        default="",
        description="Host name by which others reach local endpoints. Empty: the bind address.",
    )
    data_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders, besides HOME/data, whose files training jobs may read; "
        "separated by commas.",
    )
    artifact_roots: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Folders, besides the embedded store's, that file: artifacts are read from; "
        "separated by commas.",
    )
    metadata_deadline: float = Field(
        default=3.0, gt=0, le=60, description="Seconds that a small answer from MLflow may take."
    )
    page_deadline: float = Field(
        default=30.0, gt=0, le=600, description="Seconds that a page of runs may take."
    )
    artifact_deadline: float = Field(
        default=10.0, gt=0, le=600, description="Seconds an artifact may take without a byte."
    )
    artifact_preview_mb: int = Field(
        default=5, ge=1, le=200, description="Largest artifact that is shown on a page, in MB."
    )
    artifact_download_mb: int = Field(
        default=100, ge=1, le=10_000, description="Largest artifact handed to a browser, in MB."
    )
    model_mb: int = Field(
        default=5000,
        ge=1,
        le=1_000_000,
        description="Largest model that an endpoint or a check fetches, in MB.",
    )
    example_seconds: float = Field(
        default=120.0,
        gt=0,
        le=3_600,
        description="Seconds in which a model has to load and answer its input example in a check.",
    )
    example_mb: int = Field(
        default=4000, ge=100, le=1_000_000, description="Most memory it may take for that, in MB."
    )
    upload_mb: int = Field(
        default=50, ge=1, le=1000, description="Largest file accepted from a browser, in MB."
    )
    predict_rows: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most rows sent in one prediction."
    )
    predict_deadline: float = Field(
        default=30.0, gt=0, le=600, description="Seconds that a prediction may take."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from ``load`` alone: it names each fault by its variable."""
        return (init_settings,)

    @field_validator(
        "allowed_hosts", "data_roots", "artifact_roots", "webhook_networks", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        path = value.expanduser()
        if not path.is_absolute():
            raise ValueError("must be an absolute path")
        return path

    @field_validator("host", "endpoint_bind", "endpoint_address", mode="after")
    @classmethod
    def _host(cls, value: str) -> str:
        if value and not _is_host(value):
            raise ValueError("must be an IP address, without brackets, or a host name")
        return value

    @field_validator("webhook_networks", mode="after")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            try:
                ipaddress.ip_network(name)
            except ValueError:
                raise ValueError("must be networks such as 10.0.0.0/8 or 127.0.0.1/32") from None
        return value

    @field_validator("data_roots", mode="after")
    @classmethod
    def _absolute_roots(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        roots = tuple(path.expanduser() for path in value)
        if any(not root.is_absolute() for root in roots):
            raise ValueError("must be absolute paths")
        return roots

    @field_validator("tracking_uri", "registry_uri", mode="after")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if value and not _scheme(value):
            raise ValueError("must be http(s)://…, or sqlite:////…, postgresql://…, or mysql://…")
        return _absolute_sqlite(value)

    @field_validator("ledger_uri", mode="after")
    @classmethod
    def _ledger_scheme(cls, value: str) -> str:
        if value and _scheme(value) not in ("sqlite", "postgresql"):
            raise ValueError("must be sqlite:////… or postgresql://…")
        # SQLAlchemy would look for psycopg2 under the plain name; psycopg 3 is what is installed.
        return _absolute_sqlite(value.replace("postgresql://", "postgresql+psycopg://", 1))

    @field_validator("mirror_uri", mode="after")
    @classmethod
    def _mirror_scheme(cls, value: str) -> str:
        if value and _scheme(value) not in ("sqlite", "postgresql"):
            raise ValueError("must be sqlite:////… or postgresql://…")
        return _absolute_sqlite(value)

    @model_validator(mode="after")
    def _fill(self) -> Self:
        # Derived defaults are filled here so that readers never see an empty one.
        fill = {
            "tracking_uri": f"sqlite:///{self.home / 'mlflow.db'}",
            "ledger_uri": f"sqlite:///{self.home / 'ledger.db'}",
            "node": socket.gethostname(),
            "endpoint_address": self.endpoint_bind,
        }
        for name, value in fill.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)
        return self

    @cached_property
    def embedded(self) -> bool:
        """Whether the tracking store is the SQLite file under the home folder."""
        return self.tracking_uri == f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def ledger_file(self) -> Path | None:
        """The ledger's file; None where it is a server's database."""
        scheme, _, path = self.ledger_uri.partition(":///")
        return Path(path.partition("?")[0]) if scheme.startswith("sqlite") else None

    @property
    def artifact_root(self) -> Path:
        """Where the embedded store keeps artifacts."""
        return self.home / "artifacts"

    @property
    def readable_roots(self) -> tuple[Path, ...]:
        """Folders whose files training jobs may read."""
        return (self.upload_root, *self.data_roots)

    @property
    def upload_root(self) -> Path:
        """Where files from browsers are kept for training jobs."""
        return self.home / "data"


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from ``environment`` (the process's own where None).

    Raises:
        BadSetting: a value that a setting may not have, or a MODELDECK_ name that does not exist.
    """
    source = dict(os.environ if environment is None else environment)
    _refuse_unknown(source)
    values = {
        name: source[variable]
        for name, variable in variables().items()
        if source.get(variable, "") != ""
    }
    try:
        return Settings.model_validate({_init_name(name): value for name, value in values.items()})
    except ValidationError as error:
        raise BadSetting("\n".join(_sentence(dict(e)) for e in error.errors())) from None


def require_home(settings: Settings) -> None:
    """Make the home folder where there is none.

    Raises:
        BadSetting: it cannot be made, or not be written to.
    """
    why = ""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = str(error.strerror)
    if why or not os.access(settings.home, os.W_OK | os.X_OK):
        why = why or "no permission"
        raise BadSetting(
            f"MODELDECK_HOME is {str(settings.home)!r}: must be a folder to write to ({why})"
        )


def variables() -> dict[str, str]:
    """Each field's name → the environment variable that sets it."""
    return {
        name: field.alias or f"{_PREFIX}{name.upper()}"
        for name, field in Settings.model_fields.items()
    }


def listens_beyond_loopback(address: str) -> bool:
    """Whether a server bound to ``address`` can be reached from another machine."""
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name, or nothing, which means all addresses
        return address != "localhost"


def http_address(host: str, port: int) -> str:
    """The URL of a host's port; an IPv6 address stands in brackets there."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def without_user_info(uri: str) -> str:
    """``uri`` without user name, password and query, fit for a page or a log; any text will do."""
    plain = re.split(r"[?#]", uri, maxsplit=1)[0]
    scheme, mark, rest = plain.partition("://") if "://" in plain else ("", "", plain)
    # As far as the last @: a password may hold one, or a slash, although it should be escaped.
    return scheme + mark + (rest if rest.startswith("/") else rest.rpartition("@")[2])


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.split(".")
        # The last label of a name holds a letter: 127.0.0 is half an address.
        named = re.search(r"[A-Za-z]", labels[-1]) is not None
        return named and all(_LABEL.fullmatch(label) for label in labels)
    return True


def _scheme(uri: str) -> str:
    try:
        scheme = urlsplit(uri).scheme.partition("+")[0]
    except ValueError:
        return ""
    # A folder or file: address is let through: it gets a page that names the migration command.
    known = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "file", "")
    return (scheme or "file") if scheme in known else ""


def _absolute_sqlite(uri: str) -> str:
    # Page server, worker and jobs stand in different folders: each would make a file of its own.
    if re.match(r"sqlite(\+\w+)?:(?!////)", uri):
        raise ValueError("must name the file by its whole path, with four slashes: sqlite:////…")
    return uri


def _init_name(name: str) -> str:
    return Settings.model_fields[name].alias or name


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = set(variables().values())
    words = [name.removeprefix(_PREFIX) for name in known if name.startswith(_PREFIX)]
    for name in environment:
        if name.startswith(_PREFIX) and name not in known:
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), words, 1)
            hint = f"; did you mean {_PREFIX}{near[0]}?" if near else ""
            raise BadSetting(f"{name} is no setting of Modeldeck{hint}")


def _sentence(error: dict[str, object]) -> str:
    location = error["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else "?"
    field = next(
        (n for n, f in Settings.model_fields.items() if name in (n, f.alias)),
        name,
    )
    message = str(error["msg"]).removeprefix("Value error, ")
    what = Settings.model_fields[field].description if field in Settings.model_fields else ""
    variable = variables().get(field, name)
    shown = without_user_info(str(error.get("input", "")))
    return f"{variable} is {shown!r}: {message}. ({what})"
