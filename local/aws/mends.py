"""What moto lacks that a deployment by Chalice meets; each is put right in moto's own classes.

Call `install` once, before moto answers anything.
"""

from __future__ import annotations

import copy
import json
from typing import Any, Final
from urllib.parse import unquote

from moto.apigateway.models import APIGatewayBackend
from moto.awslambda import urls as lambda_urls
from moto.awslambda.models import EventSourceMapping, LambdaBackend
from moto.awslambda.responses import LambdaResponse
from moto.core.config import default_user_config
from moto.kinesis.models import Stream
from moto.sqs.models import Queue

_RECURSION: Final = r"{0}/(?P<api_version>[^/]+)/functions/(?P<function_name>[\w_:%-]+)/recursion-config/?$"

_LOOPS: Final = ("Allow", "Terminate")


def install() -> None:
    """Mend moto, in this process."""
    # Functions are kept, not run: whoever wants them run does so (local/).
    default_user_config["lambda"] = {"use_docker": False}
    _take_swagger_documents()
    _keep_recursion_settings()
    _take_new_rules_for_events()
    _leave_messages_to_whoever_polls()


def _take_swagger_documents() -> None:
    """API Gateway takes Swagger 2.0, which is what Chalice writes; moto takes OpenAPI 3 alone."""
    backend: Any = APIGatewayBackend
    import_rest_api, put_rest_api = backend.import_rest_api, backend.put_rest_api

    def import_swagger(self: Any, api_doc: dict[str, Any], fail_on_warnings: bool) -> Any:
        return import_rest_api(self, _as_openapi(api_doc), fail_on_warnings)

    def put_swagger(
        self: Any,
        function_id: str,
        api_doc: dict[str, Any],
        fail_on_warnings: bool = False,
        mode: str = "merge",
    ) -> Any:
        return put_rest_api(self, function_id, _as_openapi(api_doc), fail_on_warnings, mode)

    backend.import_rest_api, backend.put_rest_api = import_swagger, put_swagger


def _as_openapi(document: dict[str, Any]) -> dict[str, Any]:
    """The same document, so that moto reads it."""
    mended = copy.deepcopy(document)
    mended.pop("swagger", None)
    mended["openapi"] = "3.0.1"
    mended.setdefault("info", {}).setdefault("description", "")
    for methods in mended.get("paths", {}).values():
        for method in methods.values():
            integration = method.get("x-amazon-apigateway-integration", {})
            if integration.get("type") == "mock":  # Chalice's answers to preflight requests
                integration.setdefault("uri", "")
    return mended


def _keep_recursion_settings() -> None:
    """PutFunctionRecursionConfig and GetFunctionRecursionConfig, which moto answers with 404."""

    def put_function_recursion_config(self: Any) -> Any:
        loop = json.loads(self.body).get("RecursiveLoop")
        if loop not in _LOOPS:
            refusal = {"status": "400", "x-amzn-errortype": "InvalidParameterValueException"}
            return 400, refusal, "{}"
        _function(self).recursive_loop = loop
        return _recursion_of(self)

    def get_function_recursion_config(self: Any) -> Any:
        return _recursion_of(self)

    responses: Any = LambdaResponse
    responses.put_function_recursion_config = put_function_recursion_config
    responses.get_function_recursion_config = get_function_recursion_config
    lambda_urls.url_paths[_RECURSION] = LambdaResponse.dispatch


def _function(response: Any) -> Any:
    return response.backend.get_function(unquote(response.path.rstrip("/").split("/")[-2]))


def _recursion_of(response: Any) -> tuple[int, dict[str, str], str]:
    loop = getattr(_function(response), "recursive_loop", "Terminate")
    return 200, {"status": "200"}, json.dumps({"RecursiveLoop": loop})


def _take_new_rules_for_events() -> None:
    """PutFunctionEventInvokeConfig replaces what was there; moto would answer with the first for ever."""
    backend: Any = LambdaBackend
    put_config = backend.put_function_event_invoke_config

    def put_function_event_invoke_config(self: Any, function_name: str, config: dict[str, Any]) -> Any:
        response = put_config(self, function_name, config)
        del self.get_function(function_name).event_invoke_config[:-1]
        return response

    backend.put_function_event_invoke_config = put_function_event_invoke_config


def _leave_messages_to_whoever_polls() -> None:
    """An event source mapping is kept and listed, but moto would take the messages and run nothing."""
    sources: tuple[Any, ...] = (Queue, Stream)
    for source in sources:
        source.lambda_event_source_mappings = _Unused()


class _Unused:
    """An attribute that always is an empty dict of mappings, whatever is put into it."""

    def __get__(self, _source: Any, _owner: Any = None) -> dict[str, EventSourceMapping]:
        return {}

    def __set__(self, _source: Any, _value: Any) -> None:
        pass
