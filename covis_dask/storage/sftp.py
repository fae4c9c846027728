"""SFTP with host keys verified; fsspec's own accepts any server. Needs the extra ``sftp`` (paramiko)."""

from pathlib import Path
from typing import Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from catalog.answers import AccessRefused

__all__ = ["VerifiedSftp"]

_SYSTEM_KEYS = Path("/etc/ssh/ssh_known_hosts")
_TIMEOUT = 10.0
_SILENCE = 60.0


class VerifiedSftp(SFTPFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """Files on an SSH server whose key is known; an unknown or changed key is refused.

    Parameters
    ----------
    host : str
    known_hosts : str, optional
        File of host keys; ``~/.ssh/known_hosts`` and the system's when not given.
    **ssh_kwargs
        As paramiko's ``SSHClient.connect`` takes them: port, username, password, key_filename ...
    """

    cachable = False  # a connection that broke must not come back from a cache

    def __init__(self, host: str, known_hosts: str | None = None, **ssh_kwargs: Any) -> None:
        self._known_hosts = known_hosts
        ssh_kwargs.setdefault("timeout", _TIMEOUT)
        super().__init__(host, **ssh_kwargs)

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        if self._known_hosts is not None:
            self.client.load_system_host_keys(str(Path(self._known_hosts).expanduser()))
        else:
            self.client.load_system_host_keys()
            if _SYSTEM_KEYS.is_file():
                self.client.load_host_keys(str(_SYSTEM_KEYS))
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()
        except paramiko.BadHostKeyException as error:
            self.client.close()
            raise AccessRefused(
                f"the SSH server {self.host} shows a host key other than the known one: find out why before "
                "correcting known_hosts"
            ) from error
        except paramiko.AuthenticationException as error:
            self.client.close()
            raise AccessRefused(f"the SSH server {self.host} refuses this account: {error}") from error
        except paramiko.SSHException as error:
            self.client.close()
            if "not found in known_hosts" in str(error):
                raise AccessRefused(
                    f"the host key of SSH server {self.host} is unknown: verify it, then add it to "
                    "known_hosts (ssh-keyscan)"
                ) from error
            raise
        channel = self.ftp.get_channel()
        if channel is not None:
            channel.settimeout(_SILENCE)
