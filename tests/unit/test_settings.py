"""Settings: each value that cannot be used is refused with its name and what it may be."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import (
    BadSetting,
    Settings,
    http_address,
    listens_beyond_loopback,
    load,
    require_home,
    variables,
    without_user_info,
)
from tests.servers import ROOT, clean_environment

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MODELDECK_HOME", "relative/folder", "must be an absolute path"),
        ("MLFLOW_TRACKING_URI", "ftp://server", r"must be http\(s\)"),
        ("MLFLOW_TRACKING_URI", "http://[half", r"must be http\(s\)"),
        ("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db", "whole path, with four slashes"),
        ("MLFLOW_TRACKING_URI", "sqlite:///:memory:", "whole path, with four slashes"),
        ("MLFLOW_TRACKING_URI", "sqlite://", "whole path, with four slashes"),
        ("MLFLOW_REGISTRY_URI", "databricks-uc://main", r"must be http\(s\)"),
        ("MODELDECK_LEDGER_URI", "mysql://ledger", "must be sqlite:////… or postgresql://…"),
        ("MODELDECK_LEDGER_URI", "sqlite:///ledger.db", "whole path, with four slashes"),
        ("MODELDECK_PORT", "0", "greater than or equal to 1"),
        ("MODELDECK_PORT", "65536", "less than or equal to 65535"),
        ("MODELDECK_PORT", "http", "valid integer"),
        ("MODELDECK_IDENTITY", "everyone", "'local'"),
        ("MODELDECK_ALLOW_LOCAL_BEYOND_LOOPBACK", "perhaps", "boolean"),
        ("MODELDECK_WORKER", "none", "'auto' or 'external'"),
        ("MODELDECK_JOB_SLOTS", "0", "greater than or equal to 1"),
        ("MODELDECK_DATA_ROOTS", "/data,relative", "must be absolute paths"),
        ("MODELDECK_METADATA_DEADLINE", "0", "greater than 0"),
        ("MODELDECK_METADATA_DEADLINE", "nan", "equal to 60"),
        ("MODELDECK_PAGE_DEADLINE", "-1", "greater than 0"),
        ("MODELDECK_ARTIFACT_DEADLINE", "inf", "less than or equal to 600"),
        ("MODELDECK_UPLOAD_MB", "0", "greater than or equal to 1"),
        ("MODELDECK_PREDICT_ROWS", "1e3", "valid integer"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_it_may_be(
    name: str, value: str, words: str
) -> None:
    with pytest.raises(BadSetting, match=words) as refusal:
        load({name: value})
    said = str(refusal.value)
    assert said.startswith(f"{name} is '")
    field = next(field for field, variable in variables().items() if variable == name)
    assert str(Settings.model_fields[field].description) in said


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(BadSetting) as refusal:
        load({"MODELDECK_PORT": "x", "MODELDECK_WORKER": "y"})
    assert len(str(refusal.value).splitlines()) == 2


def test_a_name_that_does_not_exist_is_refused_with_a_suggestion() -> None:
    with pytest.raises(BadSetting, match=r"did you mean MODELDECK_PORT\?"):
        load({"MODELDECK_PROT": "8501"})
    with pytest.raises(BadSetting) as refusal:
        load({"MODELDECK_XYZZY": "1"})
    assert str(refusal.value) == "MODELDECK_XYZZY is no setting of Modeldeck"


def test_an_empty_value_is_the_default() -> None:
    assert load({"MODELDECK_PORT": "", "MLFLOW_TRACKING_URI": ""}) == load({})


def test_derived_defaults_are_filled_in(tmp_path: Path) -> None:
    settings = load({"MODELDECK_HOME": str(tmp_path)})
    assert settings.embedded
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.ledger_file == tmp_path / "ledger.db"
    assert settings.endpoint_address == settings.endpoint_bind == "127.0.0.1"
    assert settings.node
    assert settings.artifact_root.is_relative_to(tmp_path)


def test_lists_are_separated_by_commas() -> None:
    settings = load({"MODELDECK_ALLOWED_HOSTS": " a.example , b.example ,"})
    assert settings.allowed_hosts == ("a.example", "b.example")


def test_postgresql_is_reached_by_the_driver_that_is_installed() -> None:
    settings = load({"MODELDECK_LEDGER_URI": "postgresql://u@h/db"})
    assert settings.ledger_uri == "postgresql+psycopg://u@h/db"
    assert settings.ledger_file is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}).port = 1


@pytest.mark.parametrize(
    ("uri", "plain"),
    [
        (f"http://user:{SECRET}@host:5000/x?token={SECRET}#{SECRET}", "http://host:5000/x"),
        (f"postgresql+psycopg://user:{SECRET}@host/db", "postgresql+psycopg://host/db"),
        (f"postgresql://user:{SECRET}/9@host/db", "postgresql://host/db"),
        (f"http://user:{SECRET}@@host", "http://host"),
        (f"user:{SECRET}@host:5000", "host:5000"),
        (f"htp//user:{SECRET}@host", "host"),
        (f"http://[half:{SECRET}@host", "http://host"),
        ("http://host:5000", "http://host:5000"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("file:///home/a@b/mlruns", "file:///home/a@b/mlruns"),
        ("/home/a@b/mlruns", "/home/a@b/mlruns"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_user_info(uri: str, plain: str) -> None:
    assert without_user_info(uri) == plain


@pytest.mark.parametrize("scheme", ["ftp://", "postgres://", "", "http//"])
def test_a_refusal_does_not_print_the_password(scheme: str) -> None:
    with pytest.raises(BadSetting) as refusal:
        load({"MODELDECK_LEDGER_URI": f"{scheme}user:{SECRET}@host/db"})
    assert SECRET not in str(refusal.value)
    assert "host/db" in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "beyond"),
    [
        ("127.0.0.1", False),
        ("127.0.0.2", False),
        ("localhost", False),
        ("::1", False),
        ("0.0.0.0", True),
        ("::", True),
        ("", True),
        ("192.168.1.5", True),
        ("127.evil.example", True),
        ("host.example", True),
    ],
)
def test_what_others_can_reach(address: str, beyond: bool) -> None:
    assert listens_beyond_loopback(address) is beyond


def test_a_home_that_cannot_be_made_is_named() -> None:
    with pytest.raises(BadSetting, match=r"MODELDECK_HOME is '/dev/null/home': must be a folder"):
        require_home(load({"MODELDECK_HOME": "/dev/null/home"}))


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MODELDECK_HOST", "0.0.0.0", "MODELDECK_ALLOW_LOCAL_BEYOND_LOOPBACK=true"),
        ("MODELDECK_PROT", "1", "did you mean MODELDECK_PORT?"),
        ("MODELDECK_HOME", "/dev/null/home", "must be a folder to write to"),
    ],
)
def test_the_application_does_not_start_and_says_why(
    tmp_path: Path, variable: str, value: str, words: str
) -> None:
    environment = clean_environment({"MODELDECK_HOME": str(tmp_path / "home"), variable: value})
    done = subprocess.run(
        [sys.executable, "-m", "core", "run"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_streamlit_started_by_hand_is_refused_beyond_loopback_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address=0.0.0.0"]
    done = subprocess.run(
        [*command, "--server.headless=true"],
        env=clean_environment({"MODELDECK_HOME": str(tmp_path / "home")}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "MODELDECK_ALLOW_LOCAL_BEYOND_LOOPBACK=true" in done.stdout + done.stderr


@pytest.mark.parametrize("variable", ["HOST", "ENDPOINT_BIND", "ENDPOINT_ADDRESS"])
@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("127.0.0.1", True), ("::1", True), ("::", True), ("localhost", True), ("a-b.c", True),
        ("worker_1", True), ("127.0.0", False), ("256.0.0.1", False), ("http://a", False),
        ("[::1]", False), ("a b", False), ("a/", False), ("a..b", False), ("-a", False),
        ("a:80", False), ("a\n", False),
    ],
)  # fmt: skip
def test_addresses_to_listen_on_are_addresses_or_names(
    home: Path, variable: str, host: str, good: bool
) -> None:
    environment = {"MODELDECK_HOME": str(home), f"MODELDECK_{variable}": host}
    if good:
        assert getattr(load(environment), variable.lower()) == host
    else:
        with pytest.raises(BadSetting, match=variable):
            load(environment)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert http_address("::1", 80) == "http://[::1]:80"
    assert http_address("worker", 80) == "http://worker:80"
