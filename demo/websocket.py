"""Just enough of RFC 6455 to listen to ComfyUI's progress messages: connect, read messages, answer pings."""

from __future__ import annotations

import base64
import os
import socket
import struct

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class WebSocket:
    """A client connection that reads messages. A context manager."""

    def __init__(self, host: str, port: int, path: str, timeout: float = 30.0) -> None:
        self._socket = socket.create_connection((host, port), timeout=timeout)
        try:
            self._buffer = b""
            self._shake_hands(host, port, path)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read_text(self, timeout: float) -> str | None:
        """The next text message; None when `timeout` seconds have passed without one.

        ComfyUI's binary messages are pictures and texts on nodes; an empty text stands for "nothing to read".
        Raises ConnectionError when the server has closed the connection.
        """
        message = self.read(timeout)
        return "" if isinstance(message, bytes) else message

    def read(self, timeout: float) -> str | bytes | None:
        """The next message, text or binary; None when `timeout` seconds have passed without one.

        Raises ConnectionError when the server has closed the connection.
        """
        if not self._buffer:
            self._socket.settimeout(timeout)
            try:
                self._receive()
            except TimeoutError:
                return None
        self._socket.settimeout(30.0)  # a message that has begun comes to its end, or the connection is dead
        message, begun = b"", TEXT
        while True:
            final, kind, payload = self._read_frame()
            if kind == CLOSE:
                raise ConnectionError("The server closed the connection.")
            if kind == PING:
                self._send_frame(PONG, payload)
                continue
            begun = kind or begun  # the frames that go on with a message have no kind of their own
            message += payload
            if final:
                return message.decode("utf-8") if begun == TEXT else message

    def _shake_hands(self, host: str, port: int, path: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        )
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status = answer.split(b"\r\n")[0].decode("latin-1")
        if " 101 " not in status:
            raise ConnectionError(f"The server refused a websocket: {status}")

    def _read_frame(self) -> tuple[bool, int, bytes]:
        head = self._read(2)
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._read(8))
        return bool(head[0] & 0x80), head[0] & 0x0F, self._read(length)

    def _read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("The server closed the connection.")
        self._buffer += data

    def _send_frame(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload[:125]))
        self._socket.sendall(bytes((0x80 | kind, 0x80 | len(masked))) + mask + masked)
