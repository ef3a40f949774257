"""Talk to a running ComfyUI server: queue a prompt, follow it, fetch what it made. Standard library only."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .websocket import WebSocket
from .workflow import WorkflowError, workflow_to_prompt

__all__ = ["ComfyClient", "PromptError", "WorkflowError", "workflow_to_prompt"]

TRACEBACK_FRAMES = 3  # the last ones; the server's log has all of them
Progress = Callable[[str, int, int], None]  # node id, step, steps


class PromptError(RuntimeError):
    """The server refused a prompt or failed at it. The message names the node and the reason."""


class ComfyClient:
    """A client of the server at `base_url`, like http://127.0.0.1:8188."""

    def __init__(self, base_url: str, timeout: float = 60.0) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.client_id = uuid.uuid4().hex

    def get(self, path: str) -> bytes:
        """The body of a GET request."""
        with urllib.request.urlopen(self.base_url + path, timeout=self.timeout) as answer:
            return answer.read()

    def get_json(self, path: str) -> Any:
        """The parsed body of a GET request."""
        return json.loads(self.get(path))

    def object_info(self) -> dict[str, Any]:
        """Every node type of the server with its inputs."""
        return self.get_json("/object_info")

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """The record of a finished prompt: `outputs` by node id, `status`. None while it is not finished."""
        return self.get_json(f"/history/{prompt_id}").get(prompt_id)

    def view(self, file: Mapping[str, str]) -> bytes:
        """The content of a file named in a prompt's outputs (`filename`, `subfolder`, `type`)."""
        query = {key: file.get(key, "") for key in ("filename", "subfolder", "type")}
        return self.get(f"/view?{urllib.parse.urlencode(query)}")

    def queue(self, prompt: Mapping[str, Any]) -> str:
        """Queue a prompt and return its id.

        Raises: PromptError when the server refuses it: unknown nodes, values out of range, files that are not there.
        """
        body = json.dumps({"prompt": prompt, "client_id": self.client_id}).encode()
        request = urllib.request.Request(
            f"{self.base_url}/prompt", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                result = json.load(answer)
        except urllib.error.HTTPError as error:
            raise PromptError(_refusal(error.read(), prompt)) from None
        if result.get("node_errors"):
            raise PromptError(_node_errors(result["node_errors"], prompt))
        return result["prompt_id"]

    def run(
        self, prompt: Mapping[str, Any], on_progress: Progress | None = None, timeout: float = 600.0
    ) -> dict[str, Any]:
        """Queue a prompt, follow it to its end, and return its outputs by node id.

        Raises: PromptError when it is refused, fails, is interrupted, or takes longer than `timeout` seconds.
        """
        with self._socket() as socket:  # connected first, or the first messages would be missed
            return self._follow(socket, self.queue(prompt), on_progress, timeout)

    def wait(self, prompt_id: str, on_progress: Progress | None = None, timeout: float = 600.0) -> dict[str, Any]:
        """Follow a queued prompt to its end and return its outputs by node id. Raises PromptError as `run` does."""
        with self._socket() as socket:
            return self._follow(socket, prompt_id, on_progress, timeout)

    def _socket(self) -> WebSocket:
        parts = urllib.parse.urlsplit(self.base_url)
        return WebSocket(parts.hostname or "127.0.0.1", parts.port or 80, f"/ws?clientId={self.client_id}", self.timeout)

    def _follow(
        self, socket: WebSocket, prompt_id: str, on_progress: Progress | None, timeout: float
    ) -> dict[str, Any]:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            # The record decides, not the messages: those sent before the socket was open are lost.
            record = self.history(prompt_id)
            if record is not None:
                return _outputs(record)
            self._listen(socket, prompt_id, on_progress)
        raise PromptError(f"The graph was to finish within {timeout:.0f} s and has not. See the server's log.")

    def _listen(self, socket: WebSocket, prompt_id: str, on_progress: Progress | None) -> None:
        """Pass progress on until the prompt ends, or half a second passes without a message."""
        while True:
            text = socket.read_text(timeout=0.5)
            if text is None:
                return
            message = json.loads(text) if text else {}
            data = message.get("data") or {}
            if data.get("prompt_id") != prompt_id:
                continue
            if message["type"] == "progress" and on_progress is not None:
                on_progress(str(data.get("node")), int(data["value"]), int(data["max"]))
            if message["type"] in ("execution_success", "execution_error", "execution_interrupted"):
                return


def _outputs(record: Mapping[str, Any]) -> dict[str, Any]:
    status = record.get("status") or {}
    if status.get("status_str") == "success":
        return record["outputs"]
    for kind, data in status.get("messages", []):
        if kind == "execution_error":
            reason = f"{data.get('exception_type')}: {str(data.get('exception_message')).strip()}"
            trace = "".join(data.get("traceback", [])[-TRACEBACK_FRAMES:]).rstrip()
            raise PromptError(f"Node {data.get('node_id')} ({data.get('node_type')}) failed: {reason}\n{trace}")
        if kind == "execution_interrupted":
            raise PromptError(f"The graph was interrupted at node {data.get('node_id')} ({data.get('node_type')}).")
    raise PromptError(f"The graph failed and the server gave no reason: {status}")


def _refusal(body: bytes, prompt: Mapping[str, Any]) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return f"The server refused the graph:\n{body.decode('utf-8', 'replace')[:2000]}"
    error = answer.get("error") or {}
    reason = error if isinstance(error, str) else f"{error.get('message', '')} {error.get('details', '')}".strip()
    details = _node_errors(answer.get("node_errors") or {}, prompt)
    return f"The server refused the graph: {reason}\n{details}".rstrip()


def _node_errors(errors: Mapping[str, Any], prompt: Mapping[str, Any]) -> str:
    """One line per mistake: the node by its number, type and title, and what is wrong with which input."""
    lines = []
    for node_id, node_error in errors.items():
        title = prompt.get(node_id, {}).get("_meta", {}).get("title", "")
        for error in node_error.get("errors", []):
            text = f"{error.get('message')}: {error.get('details')}"
            lines.append(f"  node {node_id} {node_error.get('class_type')} ({title}): {text}")
    return "\n".join(lines)
