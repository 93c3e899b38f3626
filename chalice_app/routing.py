"""Routes: who may call a view, what it is given, and how its errors are answered."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chalice.app import Blueprint, Chalice, Request, Response

from bide.errors import StoreUnavailable
from bide.whose import REQUEST_ID
from chalice_app import auth, problems
from chalice_app.errors import Forbidden, MethodNotAllowed, NotFound
from chalice_app.services import PROVIDER, Services

METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""All that API Gateway passes on."""


_SAFETY: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer, unless its view has set them."""


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request. `tenant` is empty where a route is open to all, unless no keys are needed."""

    request: Request
    services: Services
    tenant: str
    is_operator: bool
    """Whether it may operate the server; where no keys are needed, everybody may."""


View = Callable[..., Response]
"""Takes the Call, and the path's parameters by name."""


class Routes(Blueprint):
    """A blueprint whose views take a Call, and whose errors become problems.

    The name given to Blueprint is "app", not the module's: Lambda then imports app.py,
    where the middleware is.
    """

    def __init__(self) -> None:
        super().__init__("app")

    def get(self, path: str, *, public: bool = False, operator: bool = False) -> Callable[[View], View]:
        """Register a view for GET and HEAD; the HTTP server in front drops the body of the latter.

        public: it is open to all. operator: only an operator's key opens it.
        """
        return self._register(path, ["GET", "HEAD"], public, operator)

    def post(self, path: str, *, operator: bool = False) -> Callable[[View], View]:
        """Register a view for POST."""
        return self._register(path, ["POST"], False, operator)

    def delete(self, path: str, *, operator: bool = False) -> Callable[[View], View]:
        """Register a view for DELETE."""
        return self._register(path, ["DELETE"], False, operator)

    def _register(
        self, path: str, methods: list[str], public: bool, operator: bool
    ) -> Callable[[View], View]:
        def register(view: View) -> View:
            # No content types: Chalice would refuse bodiless requests for theirs.
            self.route(path, methods=methods, content_types=[])(_guarded(self, view, public, operator))
            return view

        return register


def _guarded(routes: Blueprint, view: View, public: bool, operator: bool = False) -> Callable[..., Response]:
    @functools.wraps(view)
    def handler(**parameters: str) -> Response:
        request = routes.current_request
        before = REQUEST_ID.set(str(request.context.get("requestId") or ""))
        caller = auth.NOBODY
        try:
            services = PROVIDER.get()
            auth.check_origin(services.settings, request.headers)
            if services.settings.is_keyless or not public:
                caller = auth.authenticate(services.settings, request.headers)
            else:
                caller = auth.recognised(services.settings, request.headers)
            if operator and not caller.is_operator:
                raise Forbidden
            return view(Call(request, services, caller.tenant, caller.is_operator), **parameters)
        except Exception as error:
            return problems.answer(_fit_for(caller, error), request)
        finally:
            REQUEST_ID.reset(before)

    return handler


def _fit_for(caller: auth.Caller, error: Exception) -> Exception:
    """The error, without its reason where that may name hosts, which are the operator's business alone."""
    if caller.is_operator or not isinstance(error, StoreUnavailable):
        return error
    bare = StoreUnavailable()
    bare.__cause__ = error  # for the log
    return bare


def close_gaps(app: Chalice) -> None:
    """Answer what no route answers: 405 for other methods of a path, 404 for other paths.

    API Gateway calls the handler only for methods and paths that it was told of, and
    answers 403 "Missing Authentication Token" for the rest. Comes after all other routes.
    """
    served = {path: tuple(entries) for path, entries in app.routes.items()}
    gaps = Blueprint("app")

    def refuse_method(call: Call, **_: str) -> Response:
        """Refuse a method."""
        raise MethodNotAllowed(call.request.method, served[call.request.path])

    def refuse_path(_: Call) -> Response:
        """Refuse a path."""
        raise NotFound

    def answer_in_kind(request: Request | None, get_response: Callable[[Any], Response]) -> Response:
        """What Chalice itself answers, too, is a problem (RFC 9457), and nothing is kept or guessed at."""
        allowed = served.get(request.path, ()) if request else ()
        response = problems.rewritten(get_response(request), request, allowed)
        for name, value in _SAFETY.items():
            response.headers.setdefault(name, value)
        return response

    for path, methods in served.items():
        unserved = [method for method in METHODS if method not in methods]
        gaps.route(path, methods=unserved, content_types=[])(_guarded(gaps, refuse_method, public=True))
    gaps.route("/{proxy+}", methods=list(METHODS), content_types=[])(_guarded(gaps, refuse_path, public=True))
    app.register_blueprint(gaps)
    app.register_middleware(answer_in_kind, "http")
