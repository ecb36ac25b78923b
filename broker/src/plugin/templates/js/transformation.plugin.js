// Greets messages below hall/, and rejects spam.

let greeting;

export const lifecycle = {
  init(text) {
    const { greeting: said = "hello", ...unknown } = JSON.parse(text);
    for (const key of Object.keys(unknown)) throw `${key}: there is no such key`;
    greeting = said;
    const hall = { filters: ["hall/#"], userProperty: undefined, minPayload: 0, maxPayload: undefined };
    return { authorize: {}, onPublish: [hall], onDeliver: [], events: [], tickEvery: 0 };
  },
};

export const transformation = {
  onPublish(message) {
    if (new TextDecoder().decode(message.payload()).includes("spam")) {
      return { tag: "reject", val: { code: 0x99, reason: "no spam here", userProperties: [] } };
    }
    message.setUserProperty("greeting", greeting);
    return { tag: "forward" };
  },

  onDeliver() {
    return { tag: "forward" };
  },
};
