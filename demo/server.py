"""Start a ComfyUI server and make sure that it ends: `with Server(...) as server: ComfyClient(server.url)`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from .cache import SetupError
from .environment import Environment, child_environment

HOST = "127.0.0.1"
START_SECONDS = 180.0  # the first start on a slow disk reads gigabytes of libraries


class Server:
    """A ComfyUI process with its own process group. A context manager that starts and stops it."""

    def __init__(
        self, environment: Environment, log: Path | None, port: int | None = None, arguments: Sequence[str] = ()
    ) -> None:
        """`log` is the file for the server's output; None leaves it on the terminal. `port` None takes a free one."""
        self._environment = environment
        self._log = log
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self.port = _free_port() if port is None else _check_port(port)

    @property
    def url(self) -> str:
        """The address of the server, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Server:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it answers. Raises SetupError with the end of its log when it does not."""
        self._output = self._log.open("wb") if self._log else None
        self._process = subprocess.Popen(
            self._command(),
            cwd=self._environment.comfyui,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT if self._output else None,
            # Its own group: Ctrl-C reaches us alone, and stopping reaches whatever the server may have started.
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:
                raise SetupError(f"ComfyUI ended with status {self._process.returncode} while starting.\n{self.tail()}")
            if time.monotonic() > end:
                raise SetupError(f"ComfyUI did not answer within {START_SECONDS:.0f} s.\n{self.tail()}")
            time.sleep(0.1)

    def wait(self) -> int:
        """Wait until the process ends by itself; returns its status."""
        return self._process.wait() if self._process else 0

    def stop(self) -> None:
        """End the process and everything it started; does nothing when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._output is not None:
            self._output.close()

    def tail(self, lines: int = 25) -> str:
        """The last lines of the server's log."""
        if self._log is None or not self._log.is_file():
            return ""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) + f"\nThe whole log: {self._log}"

    def _command(self) -> list[str]:
        command = [str(self._environment.python), "main.py", "--listen", HOST, "--port", str(self.port)]
        command += ["--base-directory", str(self._environment.base), "--database-url", "sqlite:///:memory:"]
        command += ["--disable-api-nodes", "--disable-auto-launch", *self._arguments]
        return command if _has_gpu(self._environment.python) else [*command, "--cpu"]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/queue", timeout=5.0):
                return True
        except (urllib.error.URLError, OSError):
            return False


def _has_gpu(python: Path) -> bool:
    """Whether torch finds a GPU of NVIDIA, AMD or Apple. Asked in another process: this one may have no torch."""
    code = "import sys, torch; sys.exit(not (torch.cuda.is_available() or torch.backends.mps.is_available()))"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _check_port(port: int) -> int:
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would let us bind a port in use; here it skips ports just released
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise SetupError(f"Port {port} cannot be used ({error}). Choose another one with --port.") from error
    return port


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process group to end, and end it by force when it has not after five seconds."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
        process.wait()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
