// A client may do everything below PREFIX/CLIENT ID/. The next plugin is asked about the rest.

#include <stdlib.h>

#include "authorizer.h"
#include "config.h"

static text prefix = {"clients", 7};

bool exports_wasmqtt_plugin_lifecycle_init(authorizer_string_t *config,
                                           exports_wasmqtt_plugin_lifecycle_registration_t *ret,
                                           authorizer_string_t *err) {
  text rest = {(const char *)config->ptr, config->len}, key, value;
  while (next_member(&rest, &key, &value)) {
    if (!is(key, "prefix")) {
      authorizer_string_dup_n(err, key.ptr, key.len);
      return false;
    }
    // The configuration is not freed, so that this stays.
    prefix = value;
  }
  if (rest.len > 0) {
    authorizer_string_dup(err, "the configuration must be an object of strings");
    return false;
  }
  memset(ret, 0, sizeof *ret);
  ret->authorize = WASMQTT_PLUGIN_TYPES_ACTIONS_PUBLISH | WASMQTT_PLUGIN_TYPES_ACTIONS_SUBSCRIBE;
  return true;
}

// Whether `topic` begins with PREFIX/ID/.
static bool owns(const authorizer_string_t *id, const authorizer_string_t *topic) {
  // A name that is a wildcard or has levels must not widen what it stands for.
  for (size_t i = 0; i < id->len; i++)
    if (strchr("+#/", id->ptr[i]) != NULL) return false;
  const uint8_t *at = topic->ptr;
  return id->len > 0 && topic->len >= prefix.len + id->len + 2 &&
         memcmp(at, prefix.ptr, prefix.len) == 0 && at[prefix.len] == '/' &&
         memcmp(at + prefix.len + 1, id->ptr, id->len) == 0 && at[prefix.len + 1 + id->len] == '/';
}

bool exports_wasmqtt_plugin_authorization_authorize(
    exports_wasmqtt_plugin_authorization_client_t *client,
    exports_wasmqtt_plugin_authorization_request_t *request,
    exports_wasmqtt_plugin_authorization_decision_t *ret,
    exports_wasmqtt_plugin_authorization_failure_t *err) {
  (void)err;
  memset(ret, 0, sizeof *ret);
  ret->answer.tag = owns(&client->id, &request->topic)
                        ? EXPORTS_WASMQTT_PLUGIN_AUTHORIZATION_ANSWER_ALLOW
                        : EXPORTS_WASMQTT_PLUGIN_AUTHORIZATION_ANSWER_ABSTAIN;
  exports_wasmqtt_plugin_authorization_client_free(client);
  exports_wasmqtt_plugin_authorization_request_free(request);
  return true;
}
