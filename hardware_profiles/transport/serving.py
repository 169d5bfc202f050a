"""The loop that every measuring process runs: reads a request, has it answered, writes the answer."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

from ..errors import ParefrontError
from .hang_up import end_with_client
from .line_stream import ConnectionLostError, LineStream, NoAnswerError
from .messages import Message, check_request, decode, encode, failure

LEASE_SILENCE_S = 60.0
"""A client from elsewhere that holds the device sends a request every few seconds; one that is silent for so long is
gone, even where the network does not say so."""


def standard_streams() -> LineStream:
    """Takes stdin and stdout for messages; whatever a library prints goes to stderr from now on.

    The process ends with its client, even where it hangs in a measurement then.
    """
    answers = os.dup(1)
    os.dup2(2, 1)
    end_with_client(0)
    return LineStream(0, answers)


def serve(stream: LineStream, handle: Callable[[Message], Message], silence_s: float | None = None) -> None:
    """Answers requests until the client is gone. What breaks a rule is answered with the rule, and the next is read.

    Args:
        stream: The client.
        handle: Answers a request that was checked; any exception becomes an answer.
        silence_s: How long a client that holds the device may send nothing, in s; for ever where it is None.
    """
    had_collector = gc.isenabled()
    gc.disable()  # A collection within a burst would be counted as inference.
    try:
        _answer_all(stream, handle, silence_s)
    finally:
        if had_collector:
            gc.enable()


def _answer_all(stream: LineStream, handle: Callable[[Message], Message], silence_s: float | None) -> None:
    is_leased = False
    while True:
        limit = time.monotonic() + silence_s if is_leased and silence_s is not None else None
        request: Message = {}
        try:
            try:
                request = decode(stream.receive(limit))
                check_request(request)
                answer = handle(request)
            except (ConnectionLostError, NoAnswerError):
                raise
            except Exception as error:  # Whatever a runtime raises must reach the asking side as an answer.
                answer = failure(
                    str(error) if isinstance(error, ParefrontError) else f"{type(error).__name__}: {error}"
                )
            is_leased = _may_hold_device(request, answer, is_leased)
            # Before the answer: once it is sent, another process may measure on the same cores.
            gc.collect()
            stream.send(encode(answer), None if silence_s is None else time.monotonic() + silence_s)
        except (ConnectionLostError, NoAnswerError):
            return


def _may_hold_device(request: Message, answer: Message, before: bool) -> bool:
    """Whether the worker may hold its cores after an answer."""
    if request.get("type") == "begin" and answer["ok"]:
        return True
    return before and request.get("type") != "end"
