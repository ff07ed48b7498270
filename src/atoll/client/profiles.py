"""Profiles: the sections of the AWS configuration files, as the SDKs and the AWS CLI read them.

~/.aws/credentials   [NAME]            access keys                       (AWS_SHARED_CREDENTIALS_FILE)
~/.aws/config        [profile NAME]    region, endpoint, access keys     (AWS_CONFIG_FILE)
                     [services NAME]   endpoints by service
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

from atoll.client.failures import Misconfigured

Sections = dict[str, dict[str, str]]

DEFAULT = "default"


class Profile:
    """One profile. `named` is the profile that the user asks for; "" means that of AWS_PROFILE, or the default."""

    def __init__(self, environment: Mapping[str, str], named: str = "") -> None:
        wanted = named or environment.get("AWS_PROFILE", "")
        self.name = wanted or DEFAULT
        credentials = _read(environment.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
        self._config = _read(environment.get("AWS_CONFIG_FILE", "~/.aws/config"))
        of_config = self._config.get(self.name if self.name == DEFAULT else f"profile {self.name}")
        of_credentials = credentials.get(self.name)
        if wanted and of_config is None and of_credentials is None and wanted != DEFAULT:
            raise Misconfigured(f"The config profile ({wanted}) could not be found")
        self.values: dict[str, str] = {**(of_config or {}), **(of_credentials or {})}

    def endpoint(self, service: str) -> str:
        """The URL for a service such as `dynamodb`, or ""."""
        services = self._config.get(f"services {self.values.get('services', '')}", {})
        of_service = _nested(services.get(service, ""))
        return of_service.get("endpoint_url") or self.values.get("endpoint_url", "")


def _read(path: str) -> Sections:
    parser = configparser.RawConfigParser(default_section="", strict=False)
    try:
        parser.read_string(Path(path).expanduser().read_text(encoding="utf-8-sig"), source=path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RuntimeError) as error:
        raise Misconfigured(f"{path}: {error}") from None
    except configparser.ParsingError as error:  # its text quotes the line, which may be a secret
        if isinstance(error, configparser.MissingSectionHeaderError):
            number = error.lineno
        else:
            number = error.errors[0][0]
        raise Misconfigured(f"{path}: line {number} is neither [a section] nor name = value") from None
    except configparser.Error as error:
        raise Misconfigured(" ".join(str(error).split())) from None
    return {" ".join(name.replace('"', "").split()): dict(parser.items(name)) for name in parser.sections()}


def _nested(text: str) -> dict[str, str]:
    """The indented lines under a key, as in `dynamodb =\\n  endpoint_url = ...`."""
    pairs = [line.partition("=") for line in text.splitlines()]
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}
