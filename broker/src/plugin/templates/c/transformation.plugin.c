// Greets messages below hall/, and rejects spam.

#include <stdlib.h>

#include "config.h"
#include "transformer.h"

static transformer_string_t greeting;

bool exports_wasmqtt_plugin_lifecycle_init(transformer_string_t *config,
                                           exports_wasmqtt_plugin_lifecycle_registration_t *ret,
                                           transformer_string_t *err) {
  text rest = {(const char *)config->ptr, config->len}, key, value;
  transformer_string_dup(&greeting, "hello");
  while (next_member(&rest, &key, &value)) {
    if (!is(key, "greeting")) {
      transformer_string_dup_n(err, key.ptr, key.len);
      return false;
    }
    transformer_string_dup_n(&greeting, value.ptr, value.len);
  }
  if (rest.len > 0) {
    transformer_string_dup(err, "the configuration must be an object of strings");
    return false;
  }
  // What is answered is freed by the bindings, so it must not be static.
  exports_wasmqtt_plugin_lifecycle_selector_t *hall = calloc(1, sizeof *hall);
  hall->filters.ptr = calloc(1, sizeof(transformer_string_t));
  hall->filters.len = 1;
  transformer_string_dup(&hall->filters.ptr[0], "hall/#");
  memset(ret, 0, sizeof *ret);
  ret->on_publish.ptr = hall;
  ret->on_publish.len = 1;
  return true;
}

static bool contains(transformer_list_u8_t *payload, const char *word) {
  size_t len = strlen(word);
  for (size_t i = 0; i + len <= payload->len; i++)
    if (memcmp(payload->ptr + i, word, len) == 0) return true;
  return false;
}

bool exports_wasmqtt_plugin_transformation_on_publish(
    exports_wasmqtt_plugin_transformation_borrow_message_t message,
    exports_wasmqtt_plugin_transformation_verdict_t *ret,
    exports_wasmqtt_plugin_transformation_failure_t *err) {
  (void)err;
  memset(ret, 0, sizeof *ret);
  ret->tag = EXPORTS_WASMQTT_PLUGIN_TRANSFORMATION_VERDICT_FORWARD;
  transformer_list_u8_t payload;
  wasmqtt_plugin_messages_method_message_payload(message, &payload);
  bool spam = contains(&payload, "spam");
  transformer_list_u8_free(&payload);
  if (spam) {
    ret->tag = EXPORTS_WASMQTT_PLUGIN_TRANSFORMATION_VERDICT_REJECT;
    ret->val.reject.code = 0x99;
    ret->val.reject.reason.is_some = true;
    transformer_string_dup(&ret->val.reject.reason.val, "no spam here");
  } else {
    transformer_string_t name;
    transformer_string_set(&name, "greeting");
    wasmqtt_plugin_messages_method_message_set_user_property(message, &name, &greeting);
  }
  return true;
}

bool exports_wasmqtt_plugin_transformation_on_deliver(
    exports_wasmqtt_plugin_transformation_client_t *subscriber,
    exports_wasmqtt_plugin_transformation_borrow_message_t message,
    exports_wasmqtt_plugin_transformation_verdict_t *ret,
    exports_wasmqtt_plugin_transformation_failure_t *err) {
  (void)message, (void)err;
  exports_wasmqtt_plugin_transformation_client_free(subscriber);
  memset(ret, 0, sizeof *ret);
  ret->tag = EXPORTS_WASMQTT_PLUGIN_TRANSFORMATION_VERDICT_FORWARD;
  return true;
}
