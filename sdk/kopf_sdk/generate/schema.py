"""Model classes → structural schemas of apiextensions.k8s.io/v1.

pydantic makes the JSON Schema (and every marker of `kopf_sdk.api` adds to it), this module turns it into what the API
server takes: no references, no titles, no unions, keys in the order in which people write them.
See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import AliasChoices, AliasPath, BaseModel, PydanticUndefinedAnnotation, RootModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kopf_sdk.api import Model
from kopf_sdk.api.markers import NULLABLE
from kopf_sdk.errors import SdkError
from kopf_sdk.generate.structure import problems

__all__ = ["Schema", "structural_schema"]

Schema = dict[str, Any]

# Keys of a structural schema in the order in which they are written. Anything else is an error.
_ORDER = (
    "description",
    "title",
    "type",
    "format",
    "nullable",
    "default",
    "example",
    "enum",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
    "required",
    "properties",
    "additionalProperties",
    "items",
)

# Formats that the API server checks or that say how a number is stored (apiextensions-apiserver, formats.go).
_FORMATS = {
    "string": frozenset(
        {
            *("bsonobjectid", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac"),
            *("uuid", "uuid3", "uuid4", "uuid5", "isbn", "isbn10", "isbn13", "creditcard", "ssn"),
            *("hexcolor", "rgbcolor", "byte", "password", "date", "date-time", "datetime", "duration"),
            *("k8s-short-name", "k8s-long-name"),
        }
    ),
    "integer": frozenset(["int32", "int64"]),
    "number": frozenset(["float", "double"]),
}
_RULE_ORDER = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
_JSON_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}

# Core schemas of what YAML could mean by a key, and Kubernetes does not.
_SCALARS = frozenset(["bool", "date", "datetime", "decimal", "float", "int", "none"])

# Notes from the generator to the normalization; none of them reaches the output.
_MODEL = "x-python-model"
_ENUM = "x-python-enum"
_OPTIONAL = "x-python-optional"
_INVALID = "x-python-invalid"


def structural_schema(model: type[Model]) -> Schema:
    """Return the structural schema of a model.

    Raises
    ------
    SdkError
        A field cannot be expressed. The message names class, field and JSON path, the hint the way out.
    """
    generator = _Generator()
    where = _Where(model=model.__name__, source=model.__module__)
    try:
        model.model_rebuild()
    except PydanticUndefinedAnnotation as error:
        raise where.error(f"{error.name} is not defined", "import it, or define it in the module") from error
    document = generator.generate(model.__pydantic_core_schema__, mode="validation")
    return _Normalization(document.pop("$defs", {}), generator.models).run(document, where)


@dataclass(frozen=True)
class _Where:
    """The place in the source that an error is about."""

    model: str
    source: str
    field: str = ""
    path: str = ""
    open_models: tuple[str, ...] = ()
    correlated: bool = True
    """Whether the API server can tell, on an update, which old value belongs to this one."""

    def error(self, problem: str, hint: str) -> SdkError:
        name = f"{self.model}.{self.field}" if self.field else self.model
        return SdkError(f"{self.source}: {name} ({self.path or 'root'}): {problem}", hint=hint)

    def below(self, step: str, *, correlated: bool = True) -> _Where:
        return replace(self, path=self.path + step, correlated=self.correlated and correlated)


class _Generator(GenerateJsonSchema):
    """pydantic's generator, where Kubernetes means something else than JSON Schema."""

    def __init__(self) -> None:
        super().__init__(by_alias=True)
        self.models: dict[str, type[BaseModel]] = {}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """`X | None` may be absent; only `Nullable[X]` may be null."""
        inner = self.generate_inner(schema["schema"])
        return inner | ({"nullable": True} if schema.get("metadata", {}).get(NULLABLE) else {_OPTIONAL: True})

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:
        """A number or text is one type of its own."""
        choices = [choice[0] if isinstance(choice, tuple) else choice for choice in schema["choices"]]
        rendered = [self.generate_inner(choice) for choice in choices]
        if sorted(str(choice.get("type")) for choice in rendered) == ["integer", "string"]:
            bounds = {key: value for choice in rendered for key, value in choice.items() if key != "type"}
            return {"x-kubernetes-int-or-string": True} | bounds
        return super().union_schema(schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """The name of the Python class is no title; pydantic adds it later."""
        return super().enum_schema(schema) | {_ENUM: schema["cls"].__name__}

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """What pydantic reads, ISO 8601, is not what the API server calls a duration."""
        return {"type": "string", "format": "timedelta"}

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        """A dataclass has neither the JSON names of a Model nor its defaults in the schema."""
        return {_INVALID: f"{schema['cls'].__name__} is a dataclass, not a Model"}

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        """Nor has a TypedDict."""
        return {_INVALID: "a TypedDict is no Model"}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Keys are text to the API server, and a model that wants numbers would refuse all of them."""
        rendered = super().dict_schema(schema)
        keys = schema.get("keys_schema", {"type": "any"})["type"]
        return rendered | ({_INVALID: f"keys of a map are text, not {keys}"} if keys in _SCALARS else {})

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults are taken from the model's fields, where their serializers are known."""
        return self.generate_inner(schema["schema"])

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        rendered = super().model_schema(schema)
        model = cast("type[BaseModel]", schema["cls"])
        if rendered.get("title") == model.__name__:
            del rendered["title"]
        key = f"{model.__module__}.{model.__qualname__}"
        self.models[key] = model
        return rendered | {_MODEL: key}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """Let the normalization report it: it knows the field."""
        return {_INVALID: error_info}


class _Normalization:
    def __init__(self, definitions: dict[str, Schema], models: dict[str, type[BaseModel]]) -> None:
        self._definitions = definitions
        self._models = models

    def run(self, node: Schema, where: _Where) -> Schema:
        node, where = self._resolve(dict(node), where)
        model = self._models.get(node.pop(_MODEL, ""))
        node.pop(_OPTIONAL, None)
        if node.pop(_ENUM, None) == node.get("title"):
            node.pop("title", None)
        _refuse_unions(node, where)
        _spell_as_kubernetes(node, where)
        if "description" in node:
            node["description"] = _description(node["description"])
        if "additionalProperties" in node:
            self._map_values(node, where, is_model=model is not None)
        if "items" in node:
            told_apart = node.get("x-kubernetes-list-type") == "map"
            node["items"] = self._element(node["items"], where.below("[]", correlated=told_apart))
        if "properties" in node:
            node["properties"] = self._properties(node, model, where)
        if rules := node.get("x-kubernetes-validations"):
            node["x-kubernetes-validations"] = [
                {key: rule[key] for key in _RULE_ORDER if key in rule} for rule in rules
            ]
        _require_type(node, where)
        for problem, way_out in problems(node, correlated=where.correlated):
            raise where.error(problem, way_out)
        if unknown := sorted(set(node) - set(_ORDER)):
            raise where.error(f"{', '.join(unknown)} cannot be said in a CRD", "remove it from json_schema_extra")
        return {key: node[key] for key in _ORDER if key in node and node[key] not in (None, [])}

    def _resolve(self, node: Schema, where: _Where) -> tuple[Schema, _Where]:
        """Put the referenced model in place of the reference; what stands beside the reference wins."""
        while "$ref" in node:
            name = node.pop("$ref").removeprefix("#/$defs/")
            rules = "x-kubernetes-validations"
            target = self._definitions[name]
            node = target | node | {rules: [*target.get(rules, []), *node.get(rules, [])]}
        if (model := node.get(_MODEL)) is not None:
            if model in where.open_models:
                raise where.error(
                    f"the model {model.rpartition('.')[2]} contains itself, and a structural schema has no references",
                    "write one class per level, or keep the rest as Annotated[dict[str, Any], PreserveUnknownFields()]",
                )
            cls = self._models[model]
            where = replace(where, open_models=(*where.open_models, model), model=cls.__name__, source=cls.__module__)
        return node, where

    def _properties(self, node: Schema, model: type[BaseModel] | None, where: _Where) -> dict[str, Schema]:
        fields = {_read_as(name, field): (name, field) for name, field in model.model_fields.items()} if model else {}
        told_apart = node.get("x-kubernetes-map-type") != "atomic"
        properties = {}
        for json_name, value in node["properties"].items():
            name, field = fields.get(json_name, (json_name, None))
            step = f".{json_name}".removeprefix("." if not where.path else "")
            place = replace(where.below(step, correlated=told_apart), field=name)
            if field is not None and field.validation_alias != field.serialization_alias:
                raise place.error(
                    f"it is read as {field.validation_alias} and written as {field.serialization_alias}",
                    "a field has one name in JSON: say alias=...",
                )
            if json_name in node.get("required", ()) and value.get(_OPTIONAL):
                raise place.error(
                    "is required, yet may be None: absent and null are the same to the API server",
                    "give it a default of None, or annotate it Nullable[...] when null is a value of its own",
                )
            properties[json_name] = self.run(value, place)
            if model is not None and field is not None:
                _add_from_field(properties[json_name], model, name, field, place)
                properties[json_name] = _sorted(properties[json_name])
        return properties

    def _map_values(self, node: Schema, where: _Where, *, is_model: bool) -> None:
        values = node["additionalProperties"]
        if is_model and values is True:
            del node["additionalProperties"]
            node["x-kubernetes-preserve-unknown-fields"] = True
        elif is_model:
            raise where.error(
                "a model either ignores fields that it does not name or keeps them all",
                'use extra="ignore" (the default: the API server drops such fields) or extra="allow"',
            )
        elif values is True:
            raise where.error("a map of Any has no schema", _ANY_HINT)
        else:
            node["additionalProperties"] = self._element(values, where.below(".*"))

    def _element(self, node: Schema, where: _Where) -> Schema:
        if node.get(_OPTIONAL):
            raise where.error(
                "entries of lists and maps cannot be absent", "annotate them Nullable[...], or drop `| None`"
            )
        return self.run(node, where)


_ANY_HINT = "say PreserveUnknownFields() or EmbeddedResource() in Annotated[...], or give it a type"


def _refuse_unions(node: Schema, where: _Where) -> None:
    if _INVALID in node:
        raise where.error(
            f"has no JSON schema ({node[_INVALID]})",
            "use text, numbers, lists, maps by text, or a Model; or add pydantic's WithJsonSchema",
        )
    for key in ("anyOf", "oneOf", "allOf", "not", "discriminator"):
        if key in node:
            raise where.error(
                "a union of types is not structural",
                "make it a model with one optional field per variant and rules=[exactly_one_of(...)]; "
                "for a number or text use IntOrString, for an amount Quantity",
            )
    for key in ("prefixItems", "patternProperties", "propertyNames"):
        if key in node:
            kind = "a tuple of fixed length" if key == "prefixItems" else "a constraint on the keys of a map"
            raise where.error(
                f"{kind} is not structural",
                "use a model with named fields"
                if key == "prefixItems"
                else 'add Rule("self.all(key, key.matches(...))")',
            )


def _spell_as_kubernetes(node: Schema, where: _Where) -> None:
    """Replace the words of JSON Schema 2020-12 by those of OpenAPI 3.0, in place."""
    if "const" in node:
        node["enum"] = [node.pop("const")]
    for bound in ("Minimum", "Maximum"):
        exclusive, inclusive = f"exclusive{bound}", bound.lower()
        if (value := node.get(exclusive)) is not None and not isinstance(value, bool):
            node[inclusive], node[exclusive] = value, True
    for key in ("minimum", "maximum", "multipleOf"):
        if isinstance(node.get(key), float) and node[key].is_integer():
            node[key] = int(node[key])
    if "examples" in node:
        examples = node.pop("examples")
        node.setdefault("example", examples[0] if examples else None)
    if node.pop("uniqueItems", False):
        raise where.error(
            "the API server has no uniqueItems", "use Annotated[list[...], ListSet()] instead of a Python set"
        )
    if "enum" in node and "type" not in node:
        types = {_JSON_TYPES.get(type(value)) for value in node["enum"]}
        if len(types) != 1 or None in types:
            raise where.error("an enumeration of several types is not structural", "use values of one type")
        node["type"] = types.pop()
    if node.get("format") == "base64":
        node["format"] = "byte"
    known = _FORMATS.get(node.get("type", ""), frozenset())
    if "format" in node and node["format"] not in known and "x-kubernetes-int-or-string" not in node:
        raise where.error(
            f"the API server knows no format {node['format']!r} of {node.get('type', 'this type')}",
            f"use one of {', '.join(sorted(known)) or 'no format'}, a pattern, Duration for spans of time, "
            "or Base64Bytes for binary data",
        )
    for key in ("deprecated", "readOnly", "writeOnly"):
        node.pop(key, None)


def _require_type(node: Schema, where: _Where) -> None:
    if "type" in node or node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields"):
        return
    raise where.error("Any has no schema", _ANY_HINT)


def _add_from_field(schema: Schema, model: type[BaseModel], name: str, field: FieldInfo, where: _Where) -> None:
    """Add the field's default and its deprecation, in place."""
    if isinstance(field.deprecated, str):
        schema["description"] = f"{schema.get('description', '')}\n\nDeprecated: {field.deprecated}".strip()
    elif field.deprecated:
        schema["description"] = f"{schema.get('description', '')}\n\nDeprecated.".strip()
    if "default" in schema or field.is_required() or field.exclude or field.default_factory_takes_validated_data:
        return
    value = field.get_default(call_default_factory=True)
    if value != field.get_default(call_default_factory=True):
        raise where.error(
            "its default is another one each time, and the API server knows one",
            "make it None, and decide when the resource is reconciled, or in a defaulting webhook",
        )
    if isinstance(value, BaseModel) and not isinstance(value, RootModel):
        schema["default"] = _object_default(value, schema)
    elif not _is_empty(value):
        constructed = model.model_construct(**{name: value})
        dumped = constructed.model_dump(mode="json", by_alias=True, include={name}, warnings=False)
        schema["default"] = dumped[_json_name(name, field)]
    if "default" in schema:
        _refuse_default(schema["default"], model, _json_name(name, field), where)


def _refuse_default(default: Any, model: type[BaseModel], json_name: str, where: _Where) -> None:
    """Raise where the field's own type refuses its default, as the API server would."""
    try:
        model.model_validate({json_name: default})
    except ValidationError as error:
        for found in error.errors(include_url=False):
            if found["loc"][:1] == (json_name,):
                problem = f"its own type refuses its default {default!r}: {found['msg']}"
                raise where.error(problem, "correct the default, or the type") from error


def _object_default(value: BaseModel, schema: Schema, *, complete: bool = False) -> Schema:
    """Return what differs from the nested defaults; those apply by themselves once the object is there.

    But the API server checks a default as it is, before nested defaults apply: where that reads fields, all is said.
    """
    complete = complete or "x-kubernetes-validations" in schema or "minProperties" in schema
    default: Schema = {}
    dumped = value.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=not complete)
    for name, field in type(value).model_fields.items():
        json_name, entry = _json_name(name, field), getattr(value, name)
        if json_name not in dumped or _is_empty(entry):
            continue
        default[json_name] = (
            _object_default(entry, schema["properties"][json_name], complete=complete)
            if isinstance(entry, BaseModel) and not isinstance(entry, RootModel)
            else dumped[json_name]
        )
    return default


def _is_empty(value: Any) -> bool:
    """Whether absence says the same: a default would only be written into every stored object."""
    return value is None or value in ([], {}, (), "")


def _sorted(schema: Schema) -> Schema:
    return {key: schema[key] for key in _ORDER if key in schema}


def _json_name(name: str, field: FieldInfo) -> str:
    return field.serialization_alias or field.alias or name


def _read_as(name: str, field: FieldInfo) -> str:
    """Return the name in the schema, which pydantic makes for reading."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return str(alias.path[0]) if isinstance(alias, AliasPath) else alias or name


def _description(text: str) -> str:
    """Return a docstring's prose, without its sections for programmers (numpydoc: Examples, Notes).

    Lines of a paragraph become one: `kubectl explain` breaks them where it likes, and keeps the breaks that it finds.
    """
    text = inspect.cleandoc(text)
    section = re.search(r"^\S.*\n-{3,}$", text, re.MULTILINE)
    prose = (text[: section.start()] if section else text).strip()
    return re.sub(r"(?<!\n)\n(?![\n\s*-])", " ", prose)
