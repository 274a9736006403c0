"""A server on loopback that answers every request with given bytes, at a given pace."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

Piece = bytes | float  # what is sent, or the seconds of a pause


@contextmanager
def raw_server(*answers: Iterable[Piece]) -> Iterator[str]:
    """Serve the answers, one for each connection, the last one for all that follow; yields the URL."""
    stop, left = threading.Event(), list(answers)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not stop.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    answer = left.pop(0) if len(left) > 1 else left[0]
                    threading.Thread(target=_answer, args=(connection, answer, stop), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _answer(connection: socket.socket, answer: Iterable[Piece], stop: threading.Event) -> None:
    with connection, suppress(OSError):  # the client may go away
        connection.recv(1 << 16)
        for piece in answer:
            if stop.is_set():
                return
            if isinstance(piece, bytes):
                connection.sendall(piece)
            else:
                stop.wait(piece)


def head(status: int = 200, **headers: object) -> bytes:
    """The first lines of an answer; `Content_Length=3` is the header `Content-Length: 3`."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Status\r\nConnection: close\r\n{lines}\r\n".encode()
