"""What the Lambda service refuses; each error is an exception of its API, by name and status."""

from __future__ import annotations

from typing import ClassVar


class Refused(Exception):
    """The invocation was not run; the message is for the caller."""

    code: ClassVar[str]
    status: ClassVar[int]
    headers: ClassVar[tuple[tuple[str, str], ...]] = ()

    def fields(self) -> dict[str, str]:
        """The members of the exception, as the API spells them."""
        return {"Type": "User", "Message": str(self)}


class NoSuchFunction(Refused):
    """There is no function of this name."""

    code = "ResourceNotFoundException"
    status = 404


class AccessDenied(Refused):
    """The request is not signed as it has to be, or comes from where nobody asks."""

    code = "AccessDeniedException"
    status = 403


class Throttled(Refused):
    """Every environment that may run is busy. `reason` is Lambda's word for the limit."""

    code = "TooManyRequestsException"
    status = 429
    headers = (("Retry-After", "1"),)

    def __init__(self, reason: str) -> None:
        super().__init__("Rate Exceeded.")
        self.reason = reason

    def fields(self) -> dict[str, str]:
        return {"Reason": self.reason, "Type": "User", "message": str(self)}


class RecursionStopped(Refused):
    """The function has been invoked too often in this chain of invocations."""

    code = "RecursiveInvocationException"
    status = 400


class EventTooLarge(Refused):
    """The event is over the limit of its kind of invocation."""

    code = "RequestTooLargeException"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation")

    def fields(self) -> dict[str, str]:
        return {"Type": "User", "message": str(self)}


class InvalidRequest(Refused):
    """The request makes no sense to the service."""

    code = "InvalidParameterValueException"
    status = 400

    def fields(self) -> dict[str, str]:
        return {"Type": "User", "message": str(self)}


class NotJson(Refused):
    """The event is no JSON."""

    code = "InvalidRequestContentException"
    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(f"Could not parse request body into json: {reason}")

    def fields(self) -> dict[str, str]:
        return {"Type": "User", "message": str(self)}
