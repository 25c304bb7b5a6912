/* The functions of a backend that Triton calls. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define EXPORT __attribute__((visibility("default")))

Server* server;

static Error* unavailable(const char* reason) { return TRITONSERVER_ErrorNew(ERROR_UNAVAILABLE, reason); }

/* Return a setting of --backend-config=router_backend from Triton's JSON, to be freed; NULL if it is not set. */
static char* setting_of(const char* settings_json, const char* key) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
  const char* found = strstr(settings_json, quoted);
  if (found == NULL) return NULL;
  char* value = strdup(found + strlen(quoted));
  char* to = value;
  for (const char* from = value; *from != '\0' && *from != '"'; from++) {
    if (*from == '\\' && from[1] != '\0') from++;
    *to++ = *from;
  }
  *to = '\0';
  return value;
}

static Error* check_version(void) {
  uint32_t major, minor;
  char reason[256];
  Error* error = TRITONBACKEND_ApiVersion(&major, &minor);
  if (error != NULL || (major == API_MAJOR && minor >= API_MINOR)) return error;
  snprintf(reason, sizeof reason,
           "router_backend: expected version %d.%d or later 1.x of Triton's backend API, found %u.%u: use a Triton from "
           "24.01 on, or set runtime: \"model.py\" in the config.pbtxt of router models",
           API_MAJOR, API_MINOR, major, minor);
  return unavailable(reason);
}

static Error* start_host(const char* folder, const char* settings_json) {
  char reason[1024];
  char* python = setting_of(settings_json, "python");
  bool started = host_start(python != NULL ? python : "python3", folder, reason, sizeof reason);
  free(python);
  return started ? requests_start() : unavailable(reason);
}

EXPORT Error* TRITONBACKEND_Initialize(Backend* backend) {
  Error* error = check_version();
  int type;
  const char *folder, *settings;
  size_t size;
  Message* message;
  if (error == NULL) error = TRITONBACKEND_BackendArtifacts(backend, &type, &folder);
  if (error == NULL) error = TRITONBACKEND_BackendConfig(backend, &message);
  if (error == NULL) error = TRITONSERVER_MessageSerializeToJson(message, &settings, &size);
  if (error != NULL) return error;
  char* settings_json = strndup(settings, size);
  error = start_host(folder, settings_json);
  free(settings_json);
  return error;
}

/* One instance without a GPU serves any number of requests. */
EXPORT Error* TRITONBACKEND_GetBackendAttribute(Backend* backend, void* attributes) {
  (void)backend;
  return TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(attributes, INSTANCE_CPU, 1, NULL, 0);
}

static Error* set_config(BackendModel* backend_model, const char* json) {
  Message* message;
  Error* error = TRITONSERVER_MessageNewFromSerializedJson(&message, json, strlen(json));
  if (error != NULL) return error;
  error = TRITONBACKEND_ModelSetConfig(backend_model, CONFIG_VERSION, message);
  failed(TRITONSERVER_MessageDelete(message));
  return error;
}

static Error* load(BackendModel* backend_model, const char* config, const char* folder, bool completes) {
  char *completed, *reason;
  Model* model = calloc(1, sizeof *model);
  atomic_init(&model->references, 1);
  if (!host_load(model, config, folder, completes, &completed, &reason)) {
    Error* error = TRITONSERVER_ErrorNew(ERROR_INTERNAL, reason);
    free(reason);
    free(model);
    return error;
  }
  Error* error = completes ? set_config(backend_model, completed) : NULL;
  if (error == NULL) error = TRITONBACKEND_ModelSetState(backend_model, model);
  free(completed);
  if (error != NULL) host_close(model);
  return error;
}

EXPORT Error* TRITONBACKEND_ModelInitialize(BackendModel* backend_model) {
  int type;
  const char *folder, *config;
  size_t size;
  Message* message;
  bool completes = false;
  Error* error = TRITONBACKEND_ModelServer(backend_model, &server);
  if (error == NULL) error = TRITONBACKEND_ModelRepository(backend_model, &type, &folder);
  if (error == NULL) error = TRITONBACKEND_ModelAutoCompleteConfig(backend_model, &completes);
  if (error == NULL) error = TRITONBACKEND_ModelConfig(backend_model, CONFIG_VERSION, &message);
  if (error != NULL) return error;
  error = TRITONSERVER_MessageSerializeToJson(message, &config, &size);
  char* config_json = error == NULL ? strndup(config, size) : NULL;
  failed(TRITONSERVER_MessageDelete(message));
  if (error == NULL) error = load(backend_model, config_json, folder, completes);
  free(config_json);
  return error;
}

EXPORT Error* TRITONBACKEND_ModelFinalize(BackendModel* backend_model) {
  void* model = NULL;
  Error* error = TRITONBACKEND_ModelState(backend_model, &model);
  if (error != NULL || model == NULL) return error;
  host_close(model);
  return NULL;
}

EXPORT Error* TRITONBACKEND_ModelInstanceInitialize(Instance* instance) {
  BackendModel* backend_model;
  void* model;
  const char* name;
  Error* error = TRITONBACKEND_ModelInstanceModel(instance, &backend_model);
  if (error == NULL) error = TRITONBACKEND_ModelState(backend_model, &model);
  if (error == NULL) error = TRITONBACKEND_ModelInstanceName(instance, &name);
  if (error == NULL) error = TRITONBACKEND_ModelInstanceSetState(instance, model);
  if (error != NULL) return error;
  if (!atomic_exchange(&((Model*)model)->started, true)) host_start_model(model, name); /* its instances share it */
  return NULL;
}

EXPORT Error* TRITONBACKEND_ModelInstanceExecute(Instance* instance, Request** requests, uint32_t count) {
  void* model;
  Error* error = TRITONBACKEND_ModelInstanceState(instance, &model);
  if (error == NULL) requests_arrived(model, instance, requests, count);
  return error;
}
