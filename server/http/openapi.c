// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GET /api/v1/openapi.json: the API as OpenAPI 3.1 (whose schemas are JSON Schema 2020-12), made from the table of
 * routes and their schemas.
 */
#include "http/routes.h"

#include "http/auth.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SCHEMAS_PATH "#/components/schemas/"

static json_t *ref_to(const struct schema *schema)
{
	char path[128];

	snprintf(path, sizeof(path), SCHEMAS_PATH "%s", schema->name);
	return json_pack("{s:s}", "$ref", path);
}

static json_t *schema_json(const struct schema *schema, json_t *schemas);

/* A reference to a schema, which is described once, under components. */
static json_t *use_schema(const struct schema *schema, json_t *schemas)
{
	if (!json_object_get(schemas, schema->name)) {
		json_object_set_new(schemas, schema->name, json_null()); /* it may name itself */
		json_object_set_new(schemas, schema->name, schema_json(schema, schemas));
	}
	return ref_to(schema);
}

/* {"type": [...]} of the kinds that need no schema of their own. */
static json_t *scalar_json(unsigned kinds)
{
	static const struct {
		unsigned kind;
		const char *type;
	} types[] = { { TEXT, "string" }, { NUMBER, "integer" }, { BOOL, "boolean" }, { NOTHING, "null" } };
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (kinds & types[i].kind)
			json_array_append_new(list, json_string(types[i].type));
	return json_pack("{s:o}", "type", list);
}

static json_t *kinds_json(const struct schema_member *member, json_t *schemas)
{
	json_t *of = member->of ? use_schema(member->of, schemas) : scalar_json(TEXT | NUMBER), *json;

	if (member->kinds & LIST)
		return json_pack("{s:s, s:o}", "type", "array", "items", of);
	if (member->kinds & MAP)
		return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", of);
	if (!(member->kinds & OBJECT)) {
		json_decref(of);
		return scalar_json(member->kinds);
	}
	if (!(member->kinds & NOTHING))
		return of;
	json = json_pack("{s:[o, {s:s}]}", "anyOf", of, "type", "null");
	return json;
}

struct describing {
	json_t *properties, *required, *schemas;
};

static void add_property(void *arg, const struct schema_member *member)
{
	struct describing *describing = arg;
	json_t *json = kinds_json(member, describing->schemas);

	if (member->help)
		json_object_set_new(json, "description", json_string(member->help));
	json_object_set_new(describing->properties, member->name, json);
	if (!(member->kinds & OPTIONAL))
		json_array_append_new(describing->required, json_string(member->name));
}

static json_t *schema_json(const struct schema *schema, json_t *schemas)
{
	struct describing describing = { json_object(), json_array(), schemas };
	json_t *json;

	schema_each(schema, add_property, &describing);
	json = json_pack("{s:s, s:o, s:o, s:o}", "type", "object", "properties", describing.properties, "required",
			 describing.required, "additionalProperties",
			 schema->open ? scalar_json(SCALAR | NOTHING) : json_false());
	if (schema->example)
		json_object_set_new(json, "examples", json_pack("[o]", json_loads(schema->example, 0, NULL)));
	return json;
}

static json_t *content_json(const struct schema *schema, json_t *schemas)
{
	return json_pack("{s:{s:o}}", "application/json", "schema",
			 schema->name ? use_schema(schema, schemas) : json_pack("{s:s}", "type", "object"));
}

struct parameters {
	json_t *list, *schemas;
};

static void add_query(void *arg, const struct schema_member *member)
{
	struct parameters *parameters = arg;

	json_array_append_new(parameters->list,
			      json_pack("{s:s, s:s, s:s, s:o}", "name", member->name, "in", "query", "description",
					member->help, "schema", kinds_json(member, parameters->schemas)));
}

/* What the path names, and what the query may hold. */
static json_t *parameters_json(const struct route *route, json_t *schemas)
{
	struct parameters parameters = { json_array(), schemas };

	for (const char *at = strchr(route->pattern, '{'); at; at = strchr(at + 1, '{'))
		json_array_append_new(parameters.list,
				      json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", at + 1, strcspn(at + 1, "}"), "in",
						"path", "required", 1, "schema", "type", "string"));
	if (!strcmp(route->method, "GET"))
		schema_each(route->takes, add_query, &parameters);
	return parameters.list;
}

/* "handle_machine_set" is not known here: "patchMachinesMachine" names an operation as well. */
static void operation_id(const struct route *route, const char *method, char *out, size_t out_size)
{
	size_t len = (size_t)snprintf(out, out_size, "%s", method);
	bool begins = true;

	for (const char *c = route->pattern + strlen(API_PATH); *c && len + 1 < out_size; c++) {
		if (!isalnum((unsigned char)*c)) {
			begins = true;
			continue;
		}
		out[len++] = begins ? (char)toupper((unsigned char)*c) : *c;
		begins = false;
	}
	out[len] = '\0';
}

static void add_route(const struct route *route, json_t *paths, json_t *schemas)
{
	json_t *path = json_object_get(paths, route->pattern), *operation, *answer;
	char method[8] = "", id[96], status[8];

	for (size_t i = 0; route->method[i] && i + 1 < sizeof(method); i++)
		method[i] = (char)tolower((unsigned char)route->method[i]);
	operation_id(route, method, id, sizeof(id));
	if (!path) {
		path = json_object();
		json_object_set_new(paths, route->pattern, path);
	}
	answer = json_pack("{s:s, s:o}", "description", "done", "content", content_json(route->answer, schemas));
	snprintf(status, sizeof(status), "%u", route->status);
	operation = json_pack("{s:s, s:s, s:o, s:{s:o, s:{s:s}}}", "operationId", id, "summary", route->does,
			      "parameters", parameters_json(route, schemas), "responses", status, answer, "default",
			      "$ref", "#/components/responses/Error");
	if (route->takes->name && strcmp(route->method, "GET"))
		json_object_set_new(operation, "requestBody",
				    json_pack("{s:o}", "content", content_json(route->takes, schemas)));
	if (route->access == ACCESS_PUBLIC)
		json_object_set_new(operation, "security", json_array());
	json_object_set_new(path, method, operation);
}

void handle_openapi(struct request *request)
{
	static const char about[] = "What sanbootctl can do, this API can do. The control socket needs no login.";
	json_t *paths = json_object(), *schemas = json_object(), *error = content_json(&schema_error, schemas);

	for (const struct route *route = request->http->routes; route->pattern; route++)
		if (route->answer)
			add_route(route, paths, schemas);
	reply_json(request, 200,
		   json_pack("{s:s, s:{s:s, s:s, s:s}, s:o, s:[{s:[]}, {s:[]}],"
			     " s:{s:o, s:{s:{s:s, s:o}}, s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}}}",
			     "openapi", "3.1.0", "info", "title", "sanbootd", "version", SANBOOTD_VERSION,
			     "description", about, "paths", paths, "security", "token", "cookie", "components",
			     "schemas", schemas, "responses", "Error", "description",
			     "refused or failed: why, and what to do", "content", error, "securitySchemes", "token",
			     "type", "http", "scheme", "bearer", "cookie", "type", "apiKey", "in", "cookie", "name",
			     AUTH_COOKIE));
}
