// Reads a JSON object whose values are strings without escapes, whole numbers, and lists of such strings: all that this
// plugin's configuration can be.
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { const char *ptr; size_t len; } text;

static inline bool is(text it, const char *word) {
  return it.len == strlen(word) && memcmp(it.ptr, word, it.len) == 0;
}

static inline void skip_blanks(text *rest) {
  while (rest->len > 0 && memchr(" \t\r\n", rest->ptr[0], 4) != NULL) rest->ptr++, rest->len--;
}

// Takes one character away; false when another one comes next.
static inline bool take(text *rest, char wanted) {
  skip_blanks(rest);
  if (rest->len == 0 || rest->ptr[0] != wanted) return false;
  rest->ptr++, rest->len--;
  return true;
}

static inline bool take_string(text *rest, text *found) {
  if (!take(rest, '"')) return false;
  const char *end = memchr(rest->ptr, '"', rest->len);
  if (end == NULL) return false;
  *found = (text){rest->ptr, (size_t)(end - rest->ptr)};
  rest->len -= (size_t)(end + 1 - rest->ptr);
  rest->ptr = end + 1;
  return memchr(found->ptr, '\\', found->len) == NULL;
}

// A whole number from 0 to 4294967295.
static inline bool take_number(text *rest, uint32_t *found) {
  skip_blanks(rest);
  uint64_t number = 0;
  size_t digits = 0;
  while (digits < rest->len && rest->ptr[digits] >= '0' && rest->ptr[digits] <= '9') {
    number = number * 10 + (uint64_t)(rest->ptr[digits] - '0');
    if (++digits > 10) return false;
  }
  // What follows belongs to a number of another kind.
  bool more = digits < rest->len && memchr(".eE", rest->ptr[digits], 3) != NULL;
  if (digits == 0 || number > UINT32_MAX || more) return false;
  rest->ptr += digits, rest->len -= digits;
  *found = (uint32_t)number;
  return true;
}

#endif
