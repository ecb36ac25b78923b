// Removes fields from JSON text. Knows nothing of the broker, so it is tested without it.
//
// The text is edited, not parsed and written again: what is not removed arrives as it was sent, numbers
// beyond 2^53 and white space included.

/**
 * Compiles paths into a tree (each key a name, each value a subtree, or `null` where a path ends) and the
 * names without which there is nothing to remove: the last one of each path.
 * @param {string[][]} paths names from the root
 */
export function compile(paths) {
  const root = new Map();
  for (const path of paths) {
    let node = root;
    for (const [index, name] of path.entries()) {
      // A shorter path removes whatever a longer one would.
      if (node.get(name) === null) break;
      if (index === path.length - 1) {
        node.set(name, null);
      } else {
        if (!node.has(name)) node.set(name, new Map());
        node = node.get(name);
      }
    }
  }
  return { root, last: [...new Set(paths.map((path) => path.at(-1)))] };
}

/**
 * The text without the fields, or the same string when it has none of them. A path goes through arrays:
 * it applies to each element. A name that occurs twice in an object is removed twice.
 * @param {string} text JSON
 * @param {ReturnType<typeof compile>} fields from `compile`
 * @param {string | undefined} replacement JSON to put in place of a removed value; undefined removes the
 *   field with its name
 * @throws {SyntaxError} when the text is not JSON
 */
export function redact(text, fields, replacement) {
  JSON.parse(text);
  // Most messages have none of the fields; the engine's own search sees that much sooner.
  if (!text.includes("\\") && !fields.last.some((name) => text.includes(name))) return text;
  const edits = findEdits(text, fields.root, replacement);
  if (edits.length === 0) return text;
  let result = "";
  let from = 0;
  for (const { start, end, put } of edits) {
    result += text.slice(from, start) + put;
    from = end;
  }
  return result + text.slice(from);
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

// Walks over the tokens of a text that is known to be JSON. There is no recursion, and next to nothing is
// allocated: the engine inside a component has no compiler and little memory.
function findEdits(text, fields, replacement) {
  const edits = [];
  // The objects and arrays around the current token. `node` is the tree of fields for what is inside,
  // undefined where no path leads.
  const stack = [];
  let top = { object: false, node: fields, member: undefined, keptEnd: -1 };
  // Set while the value of a field to be removed is skipped.
  let skipped;
  for (let at = skipSpace(text, 0); at < text.length; at = skipSpace(text, at)) {
    const start = at;
    const code = text.charCodeAt(at);
    at = code === QUOTE ? endOfString(text, at) : endOfToken(text, at, code);
    switch (code) {
      case OPEN_BRACE:
      case OPEN_BRACKET: {
        // The root and the elements of an array see the tree of what surrounds them.
        const node = top.object ? top.member.node : top.node;
        stack.push(top);
        top = {
          object: code === OPEN_BRACE,
          node: skipped ? undefined : node,
          member: undefined,
          keptEnd: -1,
        };
        continue;
      }
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        top = stack.pop();
        break;
      case COMMA:
        if (top.object) {
          if (top.member.edit) top.member.edit.end = at;
          top.member = undefined;
        }
        continue;
      case COLON:
        continue;
      default:
        if (top.object && top.member === undefined) {
          top.member = beginMember(text, top.node, start, at);
          if (top.member.remove && !skipped) skipped = top.member;
          continue;
        }
    }
    // A value has ended.
    if (!top.object) continue;
    if (top.member === skipped) {
      skipped = undefined;
      endRemoved(text, edits, top, at, replacement);
    } else {
      top.keptEnd = at;
    }
  }
  return edits;
}

// A member that no path leads into.
const OTHER = { start: -1, node: undefined, remove: false, nameEnd: -1, edit: undefined };

function beginMember(text, node, start, nameEnd) {
  if (node === undefined) return OTHER;
  let name = text.slice(start + 1, nameEnd - 1);
  if (name.includes("\\")) name = JSON.parse(text.slice(start, nameEnd));
  const field = node.get(name);
  if (field === undefined) return OTHER;
  return { start, node: field ?? undefined, remove: field === null, nameEnd, edit: undefined };
}

function endRemoved(text, edits, object, end, replacement) {
  const { member } = object;
  if (replacement !== undefined) {
    const start = skipSpace(text, skipSpace(text, member.nameEnd) + 1);
    if (text.slice(start, end) !== replacement) edits.push({ start, end, put: replacement });
    object.keptEnd = end;
    return;
  }
  const last = text.charCodeAt(skipSpace(text, end)) === CLOSE_BRACE;
  if (last && object.keptEnd !== -1) {
    // Nothing follows: the comma before it goes as well, with what was removed since.
    while (edits.length > 0 && edits.at(-1).start >= object.keptEnd) edits.pop();
    edits.push({ start: object.keptEnd, end, put: "" });
  } else {
    // Removed up to and with the comma that follows, which is not seen yet.
    member.edit = { start: member.start, end, put: "" };
    edits.push(member.edit);
  }
}

// In JSON, no character up to the space is part of a token.
function skipSpace(text, at) {
  while (text.charCodeAt(at) <= 0x20) at += 1;
  return at;
}

function endOfString(text, start) {
  let end = start;
  let backslashes;
  do {
    end = text.indexOf('"', end + 1);
    backslashes = end;
    while (text.charCodeAt(backslashes - 1) === BACKSLASH) backslashes -= 1;
  } while ((end - backslashes) % 2 === 1);
  return end + 1;
}

// Of punctuation, a number, or true, false and null.
function endOfToken(text, start, code) {
  let end = start + 1;
  if (isPunctuation(code)) return end;
  for (; end < text.length; end += 1) {
    const next = text.charCodeAt(end);
    if (next <= 0x20 || isPunctuation(next)) break;
  }
  return end;
}

function isPunctuation(code) {
  return (
    code === COMMA ||
    code === COLON ||
    code === OPEN_BRACE ||
    code === CLOSE_BRACE ||
    code === OPEN_BRACKET ||
    code === CLOSE_BRACKET
  );
}
