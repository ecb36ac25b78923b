// Lets those in who know their token. The next plugin is asked about names that have none.

#include <stdlib.h>

#include "authenticator.h"
#include "config.h"

// Where the names and tokens of the configuration begin. For real use keep hashes, as the plugin password-file does.
static text tokens;

static bool take(text *rest, char wanted) {
  skip(rest, " \n");
  if (rest->len == 0 || rest->ptr[0] != wanted) return false;
  rest->ptr++, rest->len--;
  return true;
}

// The next name and its token; false behind the last, or where something else stands.
static bool next_token(text *rest, text *name, text *token) {
  skip(rest, " \n,");
  if (!next_string(rest, name) || !take(rest, ':')) return false;
  skip(rest, " \n");
  return next_string(rest, token);
}

bool exports_wasmqtt_plugin_lifecycle_init(authenticator_string_t *config,
                                           exports_wasmqtt_plugin_lifecycle_registration_t *ret,
                                           authenticator_string_t *err) {
  // The configuration is not freed, so that its parts stay.
  text rest = {(const char *)config->ptr, config->len}, key, value;
  size_t count = 0;
  bool good = take(&rest, '{');
  skip(&rest, " \n");
  if (good && next_string(&rest, &key)) {
    good = is(key, "tokens") && take(&rest, ':') && take(&rest, '{');
    tokens = rest;
    while (good && next_token(&rest, &key, &value)) count++;
    good = good && take(&rest, '}');
  }
  if (!good || !take(&rest, '}')) {
    authenticator_string_dup(err, "the configuration must be tokens = { NAME = \"TOKEN\" }, without escapes");
    return false;
  }
  if (count == 0) {
    authenticator_string_dup(err, "tokens: is empty; name at least one user and token");
    return false;
  }
  memset(ret, 0, sizeof *ret);
  return true;
}

// Takes equally long wherever the first difference is.
static bool equal(text a, const uint8_t *b, size_t len) {
  uint8_t different = 0;
  if (a.len != len) return false;
  for (size_t i = 0; i < len; i++) different |= (uint8_t)a.ptr[i] ^ b[i];
  return different == 0;
}

static void accept(text name, exports_wasmqtt_plugin_authentication_outcome_t *ret) {
  ret->tag = EXPORTS_WASMQTT_PLUGIN_AUTHENTICATION_OUTCOME_ACCEPT;
  exports_wasmqtt_plugin_authentication_identity_t *identity = &ret->val.accept;
  identity->name.is_some = true;
  authenticator_string_dup_n(&identity->name.val, name.ptr, name.len);
  // All of the answer is freed once it is read.
  authenticator_tuple2_string_string_t *attribute = malloc(sizeof *attribute);
  if (attribute == NULL) abort();
  authenticator_string_dup(&attribute->f0, "by");
  authenticator_string_dup(&attribute->f1, "{{name}}");
  identity->attributes.ptr = attribute;
  identity->attributes.len = 1;
}

bool exports_wasmqtt_plugin_authentication_authenticate(
    exports_wasmqtt_plugin_authentication_connect_t *connect,
    exports_wasmqtt_plugin_authentication_outcome_t *ret,
    exports_wasmqtt_plugin_authentication_failure_t *err) {
  (void)err;
  memset(ret, 0, sizeof *ret);
  ret->tag = EXPORTS_WASMQTT_PLUGIN_AUTHENTICATION_OUTCOME_ABSTAIN;
  authenticator_string_t *sent = &connect->username.val;
  text rest = tokens, name, token;
  while (connect->username.is_some && next_token(&rest, &name, &token)) {
    if (name.len != sent->len || memcmp(name.ptr, sent->ptr, name.len) != 0) continue;
    authenticator_list_u8_t *password = &connect->password.val;
    if (connect->password.is_some && equal(token, password->ptr, password->len)) {
      accept(name, ret);
    } else {
      ret->tag = EXPORTS_WASMQTT_PLUGIN_AUTHENTICATION_OUTCOME_REFUSE;
      ret->val.refuse.code = 0x86;  // bad user name or password
    }
    break;
  }
  exports_wasmqtt_plugin_authentication_connect_free(connect);
  return true;
}
