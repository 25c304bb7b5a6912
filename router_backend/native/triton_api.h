/* The part of Triton's C API that the native host uses.
 *
 * Declared here because no package registry carries Triton's headers. These signatures are stable within
 * version 1 of the API, which `TRITONBACKEND_Initialize` checks. The server exports the functions.
 */
#ifndef ROUTER_TRITON_API_H
#define ROUTER_TRITON_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TRITONSERVER_Error Error;
typedef struct TRITONSERVER_Server Server;
typedef struct TRITONSERVER_Message Message;
typedef struct TRITONSERVER_InferenceRequest ServerRequest;
typedef struct TRITONSERVER_InferenceResponse ServerResponse;
typedef struct TRITONSERVER_InferenceTrace Trace;
typedef struct TRITONSERVER_ResponseAllocator Allocator;
typedef struct TRITONSERVER_Parameter Parameter;
typedef struct TRITONSERVER_MetricFamily MetricFamily;
typedef struct TRITONSERVER_Metric Metric;
typedef struct TRITONBACKEND_Backend Backend;
typedef struct TRITONBACKEND_Model BackendModel;
typedef struct TRITONBACKEND_ModelInstance Instance;
typedef struct TRITONBACKEND_Request Request;
typedef struct TRITONBACKEND_Response Response;
typedef struct TRITONBACKEND_Input Input;
typedef struct TRITONBACKEND_Output Output;

typedef enum {
  ERROR_UNKNOWN,
  ERROR_INTERNAL,
  ERROR_NOT_FOUND,
  ERROR_INVALID_ARG,
  ERROR_UNAVAILABLE,
  ERROR_UNSUPPORTED,
  ERROR_ALREADY_EXISTS,
  ERROR_CANCELLED,
  ERROR_WRONG_ANSWER /* not Triton's: the router reports it to itself */
} ErrorCode;
typedef enum { LOG_INFO, LOG_WARN, LOG_ERROR, LOG_VERBOSE } LogLevel;
typedef enum { MEMORY_CPU, MEMORY_CPU_PINNED, MEMORY_GPU } MemoryType;
typedef enum { PARAMETER_STRING, PARAMETER_INT, PARAMETER_BOOL, PARAMETER_DOUBLE } ParameterType;
typedef enum { METRIC_COUNTER, METRIC_GAUGE } MetricKind;
typedef enum { DATA_TYPE_BYTES = 13 } DataType; /* the only one that the host must know */

enum { API_MAJOR = 1, API_MINOR = 17 };       /* 24.01 is the first release with cancellation */
enum { RELEASE_ALL = 1, RESPONSE_FINAL = 1 };
enum { INSTANCE_CPU = 1 };
enum { LATEST_VERSION = -1, CONFIG_VERSION = 1 };

/* Errors, messages, logs */
Error* TRITONSERVER_ErrorNew(ErrorCode code, const char* message);
void TRITONSERVER_ErrorDelete(Error* error);
ErrorCode TRITONSERVER_ErrorCode(Error* error);
const char* TRITONSERVER_ErrorMessage(Error* error);
Error* TRITONSERVER_LogMessage(LogLevel level, const char* file, int line, const char* message);
Error* TRITONSERVER_MessageNewFromSerializedJson(Message** message, const char* base, size_t byte_size);
Error* TRITONSERVER_MessageSerializeToJson(Message* message, const char** base, size_t* byte_size);
Error* TRITONSERVER_MessageDelete(Message* message);

/* The server */
Error* TRITONSERVER_ServerModelIsReady(Server* server, const char* model, int64_t version, bool* ready);
Error* TRITONSERVER_ServerLoadModel(Server* server, const char* model);
Error* TRITONSERVER_ServerUnloadModel(Server* server, const char* model);
Error* TRITONSERVER_ServerInferAsync(Server* server, ServerRequest* request, Trace* trace);
DataType TRITONSERVER_StringToDataType(const char* name);
const char* TRITONSERVER_DataTypeString(DataType type);

/* Requests to variants */
typedef void (*ReleaseCallback)(ServerRequest* request, uint32_t flags, void* user);
typedef void (*ResponseCallback)(ServerResponse* response, uint32_t flags, void* user);
Error* TRITONSERVER_InferenceRequestNew(ServerRequest** request, Server* server, const char* model, int64_t version);
Error* TRITONSERVER_InferenceRequestDelete(ServerRequest* request);
Error* TRITONSERVER_InferenceRequestCancel(ServerRequest* request);
Error* TRITONSERVER_InferenceRequestSetId(ServerRequest* request, const char* id);
Error* TRITONSERVER_InferenceRequestSetFlags(ServerRequest* request, uint32_t flags);
Error* TRITONSERVER_InferenceRequestSetCorrelationId(ServerRequest* request, uint64_t id);
Error* TRITONSERVER_InferenceRequestSetCorrelationIdString(ServerRequest* request, const char* id);
Error* TRITONSERVER_InferenceRequestPriorityUInt64(ServerRequest* request, uint64_t* priority);
Error* TRITONSERVER_InferenceRequestSetPriorityUInt64(ServerRequest* request, uint64_t priority);
Error* TRITONSERVER_InferenceRequestSetTimeoutMicroseconds(ServerRequest* request, uint64_t timeout_us);
Error* TRITONSERVER_InferenceRequestSetStringParameter(ServerRequest* request, const char* key, const char* value);
Error* TRITONSERVER_InferenceRequestSetIntParameter(ServerRequest* request, const char* key, int64_t value);
Error* TRITONSERVER_InferenceRequestSetBoolParameter(ServerRequest* request, const char* key, bool value);
Error* TRITONSERVER_InferenceRequestSetDoubleParameter(ServerRequest* request, const char* key, double value);
Error* TRITONSERVER_InferenceRequestAddInput(
    ServerRequest* request, const char* name, DataType type, const int64_t* shape, uint64_t dims);
Error* TRITONSERVER_InferenceRequestAppendInputData(
    ServerRequest* request, const char* name, const void* base, size_t byte_size, MemoryType memory, int64_t device);
Error* TRITONSERVER_InferenceRequestAddRequestedOutput(ServerRequest* request, const char* name);
Error* TRITONSERVER_InferenceRequestSetReleaseCallback(ServerRequest* request, ReleaseCallback release, void* user);
Error* TRITONSERVER_InferenceRequestSetResponseCallback(
    ServerRequest* request, Allocator* allocator, void* allocator_user, ResponseCallback respond, void* user);
Error* TRITONSERVER_InferenceTraceSpawnChildTrace(Trace* trace, Trace** child);
Error* TRITONSERVER_InferenceTraceDelete(Trace* trace);

/* Answers of variants */
typedef Error* (*AllocateCallback)(
    Allocator* allocator, const char* tensor, size_t byte_size, MemoryType memory, int64_t device, void* user,
    void** buffer, void** buffer_user, MemoryType* actual_memory, int64_t* actual_device);
typedef Error* (*FreeCallback)(
    Allocator* allocator, void* buffer, void* buffer_user, size_t byte_size, MemoryType memory, int64_t device);
typedef Error* (*StartCallback)(Allocator* allocator, void* user);
Error* TRITONSERVER_ResponseAllocatorNew(
    Allocator** allocator, AllocateCallback allocate, FreeCallback release, StartCallback start);
Error* TRITONSERVER_InferenceResponseDelete(ServerResponse* response);
Error* TRITONSERVER_InferenceResponseError(ServerResponse* response);
Error* TRITONSERVER_InferenceResponseOutputCount(ServerResponse* response, uint32_t* count);
Error* TRITONSERVER_InferenceResponseOutput(
    ServerResponse* response, uint32_t index, const char** name, DataType* type, const int64_t** shape,
    uint64_t* dims, const void** base, size_t* byte_size, MemoryType* memory, int64_t* device, void** user);
Error* TRITONSERVER_InferenceResponseParameterCount(ServerResponse* response, uint32_t* count);
Error* TRITONSERVER_InferenceResponseParameter(
    ServerResponse* response, uint32_t index, const char** name, ParameterType* type, const void** value);

/* Metrics */
Parameter* TRITONSERVER_ParameterNew(const char* name, ParameterType type, const void* value);
void TRITONSERVER_ParameterDelete(Parameter* parameter);
Error* TRITONSERVER_MetricFamilyNew(MetricFamily** family, MetricKind kind, const char* name, const char* help);
Error* TRITONSERVER_MetricNew(Metric** metric, MetricFamily* family, const Parameter** labels, uint64_t count);
Error* TRITONSERVER_MetricIncrement(Metric* metric, double value);
Error* TRITONSERVER_MetricSet(Metric* metric, double value);

/* The backend and its models */
Error* TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(
    void* attributes, int kind, uint64_t count, const uint64_t* devices, uint64_t device_count);
Error* TRITONBACKEND_ApiVersion(uint32_t* major, uint32_t* minor);
Error* TRITONBACKEND_BackendConfig(Backend* backend, Message** config);
Error* TRITONBACKEND_BackendArtifacts(Backend* backend, int* type, const char** location);
Error* TRITONBACKEND_ModelName(BackendModel* model, const char** name);
Error* TRITONBACKEND_ModelRepository(BackendModel* model, int* type, const char** location);
Error* TRITONBACKEND_ModelConfig(BackendModel* model, uint32_t config_version, Message** config);
Error* TRITONBACKEND_ModelSetConfig(BackendModel* model, uint32_t config_version, Message* config);
Error* TRITONBACKEND_ModelAutoCompleteConfig(BackendModel* model, bool* enabled);
Error* TRITONBACKEND_ModelServer(BackendModel* model, Server** server);
Error* TRITONBACKEND_ModelState(BackendModel* model, void** state);
Error* TRITONBACKEND_ModelSetState(BackendModel* model, void* state);
Error* TRITONBACKEND_ModelInstanceName(Instance* instance, const char** name);
Error* TRITONBACKEND_ModelInstanceModel(Instance* instance, BackendModel** model);
Error* TRITONBACKEND_ModelInstanceState(Instance* instance, void** state);
Error* TRITONBACKEND_ModelInstanceSetState(Instance* instance, void* state);
Error* TRITONBACKEND_ModelInstanceReportStatistics(
    Instance* instance, Request* request, bool success, uint64_t exec_start_ns, uint64_t compute_start_ns,
    uint64_t compute_end_ns, uint64_t exec_end_ns);
Error* TRITONBACKEND_ModelInstanceReportBatchStatistics(
    Instance* instance, uint64_t batch_size, uint64_t exec_start_ns, uint64_t compute_start_ns,
    uint64_t compute_end_ns, uint64_t exec_end_ns);

/* Requests of clients */
Error* TRITONBACKEND_RequestId(Request* request, const char** id);
Error* TRITONBACKEND_RequestCorrelationId(Request* request, uint64_t* id);
Error* TRITONBACKEND_RequestCorrelationIdString(Request* request, const char** id);
Error* TRITONBACKEND_RequestFlags(Request* request, uint32_t* flags);
Error* TRITONBACKEND_InferenceRequestTimeoutMicroseconds(Request* request, uint64_t* timeout_us);
Error* TRITONBACKEND_RequestIsCancelled(Request* request, bool* cancelled);
Error* TRITONBACKEND_RequestParameterCount(Request* request, uint32_t* count);
Error* TRITONBACKEND_RequestParameter(
    Request* request, uint32_t index, const char** key, ParameterType* type, const void** value);
Error* TRITONBACKEND_RequestInputCount(Request* request, uint32_t* count);
Error* TRITONBACKEND_RequestInputByIndex(Request* request, uint32_t index, Input** input);
Error* TRITONBACKEND_InputProperties(
    Input* input, const char** name, DataType* type, const int64_t** shape, uint32_t* dims, uint64_t* byte_size,
    uint32_t* buffers);
Error* TRITONBACKEND_InputBuffer(
    Input* input, uint32_t index, const void** buffer, uint64_t* byte_size, MemoryType* memory, int64_t* device);
Error* TRITONBACKEND_RequestOutputCount(Request* request, uint32_t* count);
Error* TRITONBACKEND_RequestOutputName(Request* request, uint32_t index, const char** name);
Error* TRITONBACKEND_RequestTrace(Request* request, Trace** trace);
Error* TRITONBACKEND_RequestRelease(Request* request, uint32_t flags);

/* Answers to clients */
Error* TRITONBACKEND_ResponseNew(Response** response, Request* request);
Error* TRITONBACKEND_ResponseDelete(Response* response);
Error* TRITONBACKEND_ResponseOutput(
    Response* response, Output** output, const char* name, DataType type, const int64_t* shape, uint32_t dims);
Error* TRITONBACKEND_OutputBuffer(Output* output, void** buffer, uint64_t byte_size, MemoryType* memory, int64_t* device);
Error* TRITONBACKEND_ResponseSetStringParameter(Response* response, const char* name, const char* value);
Error* TRITONBACKEND_ResponseSetIntParameter(Response* response, const char* name, int64_t value);
Error* TRITONBACKEND_ResponseSetBoolParameter(Response* response, const char* name, bool value);
Error* TRITONBACKEND_ResponseSetDoubleParameter(Response* response, const char* name, double value);
Error* TRITONBACKEND_ResponseSend(Response* response, uint32_t flags, Error* error);

#endif
