"""Lines as tritonserver 2.51 prints them."""

BROKEN = (
    "E1123 02:35:01.947795 3696 model_lifecycle.cc:642] \"failed to load 'broken' version 1: Internal: "
    "ModuleNotFoundError: No module named 'nowhere'\\n\\nAt:\\n  /models/broken/1/model.py(1): <module>\\n\""
)
TWO_LINES = (
    "E1123 02:35:03.500112 3696 model_lifecycle.cc:642] \"failed to load 'gpu' version 2: Internal: "
    'RuntimeError: gpu needs CUDA;\\nthis machine has "CPU"\\n\\nAt:\\n  model.py(3): initialize\\n"'
).replace('"CPU"', '\\"CPU\\"')
NO_VERSION = (
    "E1123 02:35:01.914909 3696 model_repository_manager.cc:724] \"failed to load model 'bare': "
    "at least one version must be available under the version policy of model 'bare'\""
)
PARSE_ERROR = (
    "[libprotobuf ERROR /tmp/grpc/third_party/protobuf/src/google/protobuf/text_format.cc:337] "
    "Error parsing text-format inference.ModelConfig: 1:17: Expected integer, got: x"
)
UNREADABLE = (
    "E1123 02:35:01.914254 3696 model_repository_manager.cc:1460] \"Poll failed for model directory 'typo': "
    'failed to read text proto from models/typo/config.pbtxt"'
)
WRONG_NAME = (
    "E1123 02:35:01.914526 3696 model_repository_manager.cc:1460] \"Poll failed for model directory 'one': "
    "unexpected directory name 'one' for model 'two', directory name must equal model name\""
)
LOADING = 'I1123 02:35:01.914857 3696 model_lifecycle.cc:472] "loading: slow:1"'
LOADED = "I1123 02:59:40.038384 22360 model_lifecycle.cc:839] \"successfully loaded 'slow'\""
GAVE_UP = "error: creating server: Internal - failed to load all models"
STUCK = (
    "I1123 02:35:01.935112 3712 pb_stub.cc:2105]  Failed to preinitialize Python stub: "
    "Python model file not found in 'models/bare/1/model.py'"
)
NOT_CREATED = (
    'E1126 10:53:46.028488 25509 tritonserver.cc:2607] "Invalid argument: unable to find '
    "'libtritoncache_absent.so' for cache. Searched: /opt/tritonserver/caches\""
)
HTTP_STARTED = 'I1126 10:48:51.954561 9068 http_server.cc:4713] "Started HTTPService at 127.0.0.1:99999"'
METRICS_STARTED = (
    'I1126 10:48:52.004439 9068 http_server.cc:362] "Started Metrics Service at 127.0.0.1:42293"'
)
