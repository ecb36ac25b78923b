// Messages and bytes that each client may publish, by token buckets that the broker keeps. What an operator can configure
// is in README.md.

#include <stdlib.h>

#include "json.h"
#include "quota.h"

// A client's key is as long as its identifier at most, behind two characters.
#define KEY_MAX (2 + 65535)

// One kind of bucket; none where nothing is refilled.
typedef struct { uint32_t per_second, burst; } bucket;

static bucket messages, bytes;
static bool by_username, discards;
static char key[KEY_MAX];

static const char USAGE[] =
    "write at least one of messages_per_second and bytes_per_second, as in messages_per_second = 10";

// The answer to `init` when something is wrong: `what`, of the key `name`.
static bool wrong(quota_string_t *err, text name, const char *what) {
  size_t len = name.len + strlen(what);
  char *message = malloc(len + 1);
  if (message == NULL) abort();
  memcpy(message, name.ptr, name.len);
  strcpy(message + name.len, what);
  quota_string_dup_n(err, message, len);
  free(message);
  return false;
}

static bool take_filters(text *rest, quota_list_string_t *filters) {
  if (!take(rest, '[')) return false;
  if (take(rest, ']')) return true;
  do {
    text filter;
    if (!take_string(rest, &filter)) return false;
    quota_string_t *grown = realloc(filters->ptr, (filters->len + 1) * sizeof *grown);
    if (grown == NULL) abort();
    filters->ptr = grown;
    quota_string_dup_n(&filters->ptr[filters->len++], filter.ptr, filter.len);
  } while (take(rest, ','));
  return take(rest, ']');
}

static bool take_word(text *rest, const char *no, const char *yes, bool *found) {
  text word;
  if (!take_string(rest, &word)) return false;
  *found = is(word, yes);
  return *found || is(word, no);
}

// Reads the value of one key; what is wrong with it, otherwise.
static const char *read_value(text name, text *rest, quota_list_string_t *filters) {
  const struct { const char *name; uint32_t *value; } numbers[] = {
      {"messages_per_second", &messages.per_second}, {"messages_burst", &messages.burst},
      {"bytes_per_second", &bytes.per_second},       {"bytes_burst", &bytes.burst},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (!is(name, numbers[i].name)) continue;
    bool fits = take_number(rest, numbers[i].value) && *numbers[i].value > 0;
    return fits ? NULL : ": must be a whole number from 1 to 4294967295";
  }
  if (is(name, "by"))
    return take_word(rest, "client_id", "username", &by_username)
               ? NULL : ": must be \"client_id\" or \"username\"";
  if (is(name, "on_exceed"))
    return take_word(rest, "reject", "discard", &discards)
               ? NULL : ": must be \"reject\" or \"discard\"";
  if (is(name, "filters")) {
    if (!take_filters(rest, filters)) return ": must be a list of topic filters";
    return filters->len > 0 ? NULL : ": matches no topic; leave it out to count every message";
  }
  return ": unknown; there are messages_per_second, messages_burst, bytes_per_second, bytes_burst, by, "
         "on_exceed and filters";
}

static bool read_config(text rest, quota_list_string_t *filters, quota_string_t *err) {
  const text nothing = {"", 0};
  messages = bytes = (bucket){0, 0};
  by_username = discards = false;
  bool ok = take(&rest, '{');
  if (ok && !take(&rest, '}')) {
    do {
      text name;
      ok = take_string(&rest, &name) && take(&rest, ':');
      const char *fault = ok ? read_value(name, &rest, filters) : NULL;
      if (fault != NULL) return wrong(err, name, fault);
    } while (ok && take(&rest, ','));
    ok = ok && take(&rest, '}');
  }
  if (!ok) return wrong(err, nothing, "the configuration cannot be read");
  if (messages.per_second == 0 && bytes.per_second == 0) return wrong(err, nothing, USAGE);
  const text stray = messages.per_second == 0 && messages.burst > 0 ? (text){"messages", 8} : (text){"bytes", 5};
  if ((messages.per_second == 0 && messages.burst > 0) || (bytes.per_second == 0 && bytes.burst > 0))
    return wrong(err, stray, "_burst: says how much may come at once, and needs the rate beside it");
  if (messages.burst == 0) messages.burst = messages.per_second;
  if (bytes.burst == 0) bytes.burst = bytes.per_second;
  return true;
}

bool exports_wasmqtt_plugin_lifecycle_init(quota_string_t *config,
                                           exports_wasmqtt_plugin_lifecycle_registration_t *ret,
                                           quota_string_t *err) {
  exports_wasmqtt_plugin_lifecycle_selector_t *selector = calloc(1, sizeof *selector);
  if (selector == NULL) abort();
  text rest = {(const char *)config->ptr, config->len};
  bool ok = read_config(rest, &selector->filters, err);
  quota_string_free(config);
  if (!ok) return false;
  // The bindings free what is answered.
  memset(ret, 0, sizeof *ret);
  ret->on_publish.ptr = selector;
  ret->on_publish.len = 1;
  return true;
}

// Takes tokens from the client's bucket of this kind.
static bool within(char kind, const quota_string_t *name, uint32_t tokens, bucket of) {
  if (of.per_second == 0) return true;
  if (name->len > KEY_MAX - 2) return false;
  key[0] = kind;
  key[1] = '/';
  memcpy(key + 2, name->ptr, name->len);
  quota_string_t bucket_key = {(uint8_t *)key, name->len + 2};
  return wasmqtt_plugin_kv_take(&bucket_key, tokens, of.per_second, of.burst);
}

typedef exports_wasmqtt_plugin_transformation_verdict_t verdict;

static void refuse(verdict *ret, uint8_t code, const char *format, uint32_t number) {
  if (discards) {
    ret->tag = EXPORTS_WASMQTT_PLUGIN_TRANSFORMATION_VERDICT_DISCARD;
    return;
  }
  ret->tag = EXPORTS_WASMQTT_PLUGIN_TRANSFORMATION_VERDICT_REJECT;
  ret->val.reject.code = code;
  ret->val.reject.reason.is_some = true;
  char reason[96], digits[11];
  size_t at = sizeof digits;
  digits[--at] = '\0';
  do digits[--at] = (char)('0' + number % 10); while ((number /= 10) > 0);
  const char *gap = strchr(format, '%');
  size_t before = (size_t)(gap - format);
  memcpy(reason, format, before);
  strcpy(reason + before, digits + at);
  strcat(reason, gap + 1);
  quota_string_dup(&ret->val.reject.reason.val, reason);
}

// Bytes of topic and payload.
static uint32_t size_of(wasmqtt_plugin_messages_borrow_message_t message) {
  quota_string_t topic;
  wasmqtt_plugin_messages_method_message_topic(message, &topic);
  uint32_t size = (uint32_t)topic.len + wasmqtt_plugin_messages_method_message_payload_size(message);
  quota_string_free(&topic);
  return size;
}

static void judge(wasmqtt_plugin_messages_borrow_message_t message, verdict *ret) {
  wasmqtt_plugin_messages_client_t client;
  // What no client sent is nobody's quota.
  if (!wasmqtt_plugin_messages_method_message_publisher(message, &client)) return;
  const quota_string_t *name =
      by_username && client.username.is_some ? &client.username.val : &client.id;
  uint32_t size = bytes.per_second > 0 ? size_of(message) : 0;
  if (bytes.per_second > 0 && size > bytes.burst)
    refuse(ret, 0x97, "larger than the quota of % bytes at once", bytes.burst);
  else if (!within('m', name, 1, messages))
    refuse(ret, 0x97, "more than % messages per second", messages.per_second);
  else if (!within('b', name, size, bytes))
    refuse(ret, 0x97, "more than % bytes per second", bytes.per_second);
  wasmqtt_plugin_messages_client_free(&client);
}

bool exports_wasmqtt_plugin_transformation_on_publish(
    exports_wasmqtt_plugin_transformation_borrow_message_t message, verdict *ret,
    exports_wasmqtt_plugin_transformation_failure_t *err) {
  (void)err;
  memset(ret, 0, sizeof *ret);
  ret->tag = EXPORTS_WASMQTT_PLUGIN_TRANSFORMATION_VERDICT_FORWARD;
  judge(message, ret);
  wasmqtt_plugin_messages_message_drop_borrow(message);
  return true;
}

bool exports_wasmqtt_plugin_transformation_on_deliver(
    exports_wasmqtt_plugin_transformation_client_t *subscriber,
    exports_wasmqtt_plugin_transformation_borrow_message_t message, verdict *ret,
    exports_wasmqtt_plugin_transformation_failure_t *err) {
  (void)err;
  exports_wasmqtt_plugin_transformation_client_free(subscriber);
  wasmqtt_plugin_messages_message_drop_borrow(message);
  memset(ret, 0, sizeof *ret);
  ret->tag = EXPORTS_WASMQTT_PLUGIN_TRANSFORMATION_VERDICT_FORWARD;
  return true;
}
