/** A codec cannot encode a value. The message says why and never shows the value. */
export class Refusal extends TypeError {}
