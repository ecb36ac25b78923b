// A client may do everything below PREFIX/CLIENT ID/. The next plugin is asked about the rest.

let prefix;

export const lifecycle = {
  init(text) {
    const { prefix: said = "clients", ...unknown } = JSON.parse(text);
    for (const key of Object.keys(unknown)) throw `${key}: there is no such key`;
    prefix = said;
    const authorize = { publish: true, subscribe: true, receive: false };
    return { authorize, onPublish: [], onDeliver: [], events: [], tickEvery: 0 };
  },
};

export const authorization = {
  authorize(client, request) {
    // A name that is a wildcard or has levels must not widen what it stands for.
    const plain = client.id !== "" && !/[+#/]/.test(client.id);
    const tag = plain && request.topic.startsWith(`${prefix}/${client.id}/`) ? "allow" : "abstain";
    return { answer: { tag }, reuseMs: 0 };
  },
};
