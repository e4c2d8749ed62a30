"""An error that an AWS service answers a request with."""


class ServiceError(Exception):
    """A refusal by name (`code`), as the service's API reference lists it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
