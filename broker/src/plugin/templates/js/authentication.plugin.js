// Lets those in who know their token. The next plugin is asked about names that have none.

let tokens;

export const lifecycle = {
  init(text) {
    const { tokens: said = {}, ...unknown } = JSON.parse(text);
    for (const key of Object.keys(unknown)) throw `${key}: there is no such key`;
    // By username. For real use keep hashes, as the plugin password-file does.
    tokens = new Map(Object.entries(said));
    if (tokens.size === 0) throw "tokens: is empty; name at least one user and token";
    return { authorize: {}, onPublish: [], onDeliver: [], events: [], tickEvery: 0 };
  },
};

export const authentication = {
  authenticate({ username, password }) {
    const token = tokens.get(username);
    if (token === undefined) return { tag: "abstain" };
    if (!equal(new TextEncoder().encode(token), password ?? new Uint8Array())) {
      return { tag: "refuse", val: { code: 0x86, reason: undefined, userProperties: [] } };
    }
    const identity = {
      name: username,
      attributes: [["by", "{{name}}"]],
      permissions: [],
      limits: undefined,
      expiresIn: undefined,
      connackProperties: [],
      responseInformation: undefined,
    };
    return { tag: "accept", val: identity };
  },
};

// Takes equally long wherever the first difference is.
function equal(a, b) {
  return a.length === b.length && a.reduce((different, byte, i) => different | (byte ^ b[i]), 0) === 0;
}
