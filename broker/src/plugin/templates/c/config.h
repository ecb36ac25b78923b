// Reads a configuration that is a flat JSON object of strings, without escapes in them. Take a JSON
// library for more.
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { const char *ptr; size_t len; } text;

static inline bool is(text it, const char *word) {
  return it.len == strlen(word) && memcmp(it.ptr, word, it.len) == 0;
}

static inline void skip(text *rest, const char *blanks) {
  while (rest->len > 0 && strchr(blanks, rest->ptr[0]) != NULL) rest->ptr++, rest->len--;
}

// The next string in quotes; false when there is none.
static inline bool next_string(text *rest, text *found) {
  if (rest->len == 0 || rest->ptr[0] != '"') return false;
  const char *end = memchr(rest->ptr + 1, '"', rest->len - 1);
  if (end == NULL) return false;
  *found = (text){rest->ptr + 1, (size_t)(end - rest->ptr - 1)};
  rest->len -= (size_t)(end + 1 - rest->ptr);
  rest->ptr = end + 1;
  return memchr(found->ptr, '\\', found->len) == NULL;
}

// The next key and value; false at the end, or where it is no such object: then `rest` is not empty.
static inline bool next_member(text *rest, text *key, text *value) {
  skip(rest, " \n{,}");
  if (rest->len == 0 || !next_string(rest, key)) return false;
  skip(rest, " \n:");
  return next_string(rest, value);
}

#endif
